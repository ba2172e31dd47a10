# SPDX-License-Identifier: Apache-2.0
#
# How the project's own C is compiled: warnings, hardening, sanitizers, coverage. Makes the
# interface library `daybook_flags`, which every target of ours links privately and no installed
# target mentions.
include(CheckCCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

check_pie_supported(LANGUAGES C)

add_library(daybook_flags INTERFACE)
target_include_directories(daybook_flags INTERFACE ${PROJECT_SOURCE_DIR}
                                                   ${PROJECT_SOURCE_DIR}/engine/include)
# Files on phones with a 32-bit off_t or time_t must still pass 2 GiB and the year 2038.
target_compile_definitions(daybook_flags INTERFACE _POSIX_C_SOURCE=200809L _FILE_OFFSET_BITS=64
                                                   _TIME_BITS=64)
target_compile_options(
    daybook_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes
                            -Wmissing-prototypes -Wvla -fvisibility=hidden)
if(DAYBOOK_WARNINGS_AS_ERRORS)
    target_compile_options(daybook_flags INTERFACE -Werror)
endif()

# Adds a compile flag where the compiler takes it.
function(daybook_probe_compile flag)
    string(MAKE_C_IDENTIFIER "DAYBOOK_HAS_${flag}" variable)
    set(CMAKE_REQUIRED_FLAGS "-Werror")
    check_c_compiler_flag("${flag}" ${variable})
    if(${variable})
        target_compile_options(daybook_flags INTERFACE "${flag}")
    endif()
endfunction()

# Adds a linker flag where the linker takes it.
function(daybook_probe_link flag)
    string(MAKE_C_IDENTIFIER "DAYBOOK_HAS_${flag}" variable)
    check_linker_flag(C "${flag}" ${variable})
    if(${variable})
        target_link_options(daybook_flags INTERFACE "${flag}")
    endif()
endfunction()

daybook_probe_compile(-fstack-protector-strong)
daybook_probe_compile(-fstack-clash-protection)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    daybook_probe_compile(-fcf-protection)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64")
    daybook_probe_compile(-mbranch-protection=standard)
endif()
daybook_probe_link(-Wl,-z,relro)
daybook_probe_link(-Wl,-z,now)
daybook_probe_link(-Wl,-z,noexecstack)
daybook_probe_link(-Wl,--as-needed)

if(DAYBOOK_SANITIZE)
    target_compile_options(
        daybook_flags INTERFACE -fsanitize=${DAYBOOK_SANITIZE} -fno-sanitize-recover=all
                                -fno-omit-frame-pointer -O1 -g1)
    target_link_options(daybook_flags INTERFACE -fsanitize=${DAYBOOK_SANITIZE})
    # For tests that have less to do then; compilers do not agree on a name.
    target_compile_definitions(daybook_flags INTERFACE DAYBOOK_SANITIZED)
else()
    # Sanitizers bring their own checks and leave symbols for the executable to resolve.
    daybook_probe_link(-Wl,-z,defs)
    target_compile_options(
        daybook_flags
        INTERFACE $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-U_FORTIFY_SOURCE>
                  $<$<CONFIG:Release,RelWithDebInfo,MinSizeRel>:-D_FORTIFY_SOURCE=2>)
endif()
# Assertions are part of the product: a broken invariant stops before it reaches the disk.
target_compile_options(daybook_flags INTERFACE -UNDEBUG)

if(DAYBOOK_COVERAGE)
    target_compile_options(daybook_flags INTERFACE --coverage)
    target_link_options(daybook_flags INTERFACE --coverage)
endif()
