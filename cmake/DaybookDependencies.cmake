# SPDX-License-Identifier: Apache-2.0
#
# The libraries that Daybook stands on, each as one target: SQLite::SQLite3 or the amalgamation
# given by DAYBOOK_SQLITE_SOURCE, PkgConfig::CJSON, PkgConfig::ZSTD, CURL::libcurl, OpenSSL::*,
# PkgConfig::LIBEVENT.
find_package(PkgConfig REQUIRED)
set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

if(DAYBOOK_SQLITE_SOURCE)
    if(NOT EXISTS "${DAYBOOK_SQLITE_SOURCE}/sqlite3.c"
       OR NOT EXISTS "${DAYBOOK_SQLITE_SOURCE}/sqlite3.h")
        message(FATAL_ERROR "${DAYBOOK_SQLITE_SOURCE} holds no sqlite3.c and sqlite3.h")
    endif()
    # Foreign code: compiled without our warnings, hidden in our library, found before the system's
    # header.
    add_library(daybook_sqlite_objects OBJECT "${DAYBOOK_SQLITE_SOURCE}/sqlite3.c")
    target_compile_options(daybook_sqlite_objects PRIVATE -w -fvisibility=hidden)
    target_compile_definitions(
        daybook_sqlite_objects
        PRIVATE SQLITE_DQS=0 SQLITE_THREADSAFE=1 SQLITE_DEFAULT_MEMSTATUS=0 SQLITE_TEMP_STORE=2
                SQLITE_OMIT_LOAD_EXTENSION SQLITE_OMIT_DEPRECATED SQLITE_OMIT_SHARED_CACHE
                SQLITE_ENABLE_FTS5 SQLITE_ENABLE_COLUMN_METADATA)
    set_target_properties(daybook_sqlite_objects PROPERTIES POSITION_INDEPENDENT_CODE ON)
    add_library(daybook_sqlite INTERFACE)
    target_include_directories(daybook_sqlite BEFORE INTERFACE "${DAYBOOK_SQLITE_SOURCE}")
    target_link_libraries(daybook_sqlite INTERFACE Threads::Threads m)
    set(daybook_sqlite_objects $<TARGET_OBJECTS:daybook_sqlite_objects>)
    set(daybook_sqlite daybook_sqlite)
    set(DAYBOOK_PC_SQLITE "")
else()
    find_package(SQLite3 3.38 REQUIRED)
    set(daybook_sqlite_objects "")
    set(daybook_sqlite SQLite::SQLite3)
    set(DAYBOOK_PC_SQLITE "sqlite3 >= 3.38, ")
endif()

pkg_check_modules(CJSON REQUIRED IMPORTED_TARGET libcjson>=1.7.15)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd>=1.4)
if(DAYBOOK_POSIX_PLATFORM OR DAYBOOK_BUILD_SERVER OR DAYBOOK_BUILD_TESTS)
    find_package(OpenSSL 3.0 REQUIRED)
endif()
if(DAYBOOK_POSIX_PLATFORM)
    # From 7.87 on libcurl writes TLS by itself, without SIGPIPE, and leaves a slow name look-up
    # behind when it is interrupted.
    find_package(CURL 7.87 REQUIRED)
    set(DAYBOOK_PC_PLATFORM ", libcurl, openssl")
else()
    set(DAYBOOK_PC_PLATFORM "")
endif()
if(DAYBOOK_BUILD_SERVER)
    pkg_check_modules(LIBEVENT REQUIRED IMPORTED_TARGET libevent_core>=2.1 libevent_openssl
                      libevent_pthreads)
endif()
if(DAYBOOK_BUILD_TESTS)
    pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1)
endif()
