# SPDX-License-Identifier: Apache-2.0
#
# Writes the files in which the newer tree differs, into ${newer_tree}. Each edit must find its
# place, so that the two trees cannot come to be the same unnoticed. What is new is told in
# conversions.c.
set(newer_tree ${CMAKE_CURRENT_BINARY_DIR}/newer)
set(newer_protocol ${PROJECT_SOURCE_DIR}/engine/protocol)
set(newer_sales ${PROJECT_SOURCE_DIR}/engine/sales)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${newer_protocol}/limits.h
                                       ${newer_protocol}/entities.def ${newer_protocol}/entities.c
                                       ${newer_protocol}/states.def ${newer_sales}/machines.def
                                       ${newer_sales}/customer.c
                                       ${CMAKE_CURRENT_SOURCE_DIR}/newer.def)

# newer_read(<variable> <path>): the file's text, with semicolons hidden from CMake's lists.
function(newer_read variable path)
    file(READ "${path}" text)
    string(REPLACE ";" "@SEMICOLON@" text "${text}")
    set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# newer_replace(<variable> <old> <new>): one edit.
function(newer_replace variable old new)
    string(FIND "${${variable}}" "${old}" place)
    if(place EQUAL -1)
        message(FATAL_ERROR "tests/versions: \"${old}\" is not where it was")
    endif()
    string(REPLACE "${old}" "${new}" text "${${variable}}")
    set(${variable} "${text}" PARENT_SCOPE)
endfunction()

# newer_write(<path below engine> <text>): written only where it changed, so that nothing is
# compiled for nothing.
function(newer_write name text)
    string(REPLACE "@SEMICOLON@" ";" text "${text}")
    set(path "${newer_tree}/engine/${name}")
    set(before "")
    if(EXISTS "${path}")
        file(READ "${path}" before)
    endif()
    if(NOT before STREQUAL text)
        file(WRITE "${path}" "${text}")
    endif()
endfunction()

newer_read(limits ${newer_protocol}/limits.h)
newer_replace(limits "#define SCHEMA_VERSION 1 " "#define SCHEMA_VERSION 2 ")
newer_write(protocol/limits.h "${limits}")

newer_read(choices ${newer_protocol}/entities.c)
newer_replace(choices "{\"prospect\", \"active\", \"archived\", NULL}"
              "{\"prospect\", \"active\", \"archived\", \"dormant\", NULL}")
newer_write(protocol/entities.c "${choices}")

# A machine for contacts.
file(READ ${newer_protocol}/states.def states)
string(APPEND states "
STATES(CONTACT)
    STATE(CONTACT, met)
    STATE(CONTACT, trusted)
    STATE(CONTACT, gone)
END(CONTACT)
")
newer_write(protocol/states.def "${states}")
file(READ ${newer_sales}/machines.def machines)
string(APPEND machines "
STEP(CONTACT, met,     trusted, R, R,    UP,   NONE)
STEP(CONTACT, met,     gone,    R, R,    UP,   NONE)
STEP(CONTACT, trusted, gone,    R, R,    UP,   NONE)
STEP(CONTACT, gone,    met,     M, NONE, DOWN, NONE)
")
newer_write(sales/machines.def "${machines}")

# Derived: the first letter of a customer's name.
newer_read(customer ${newer_sales}/customer.c)
newer_replace(customer "    norm->kind = VALUE_NULL@SEMICOLON@
" "    norm->kind = VALUE_NULL@SEMICOLON@
    given->record->values[CUSTOMER_INITIAL] =
        (struct value){.kind = name->kind, .length = 1, .text = name->text}@SEMICOLON@
")
newer_write(sales/customer.c "${customer}")

# Rows of newer.def go to the end of their entities, whole entities to the end of the table.
newer_read(entities ${newer_protocol}/entities.def)
newer_replace(entities "title,       TEXT,     LATEST,  0, _,        1, 100, _"
              "title,       TEXT,     LATEST,  0, _,        1, 300, _")
newer_read(additions newer.def)
string(REGEX MATCHALL "[^\n]+\n" lines "${additions}")
set(entity "")
foreach(line IN LISTS lines)
    if(line MATCHES "^ENTITY\\(([A-Z_]+),")
        set(entity "${CMAKE_MATCH_1}")
        string(APPEND entities "\n${line}")
    elseif(line MATCHES "^END\\(")
        set(entity "")
        string(APPEND entities "${line}")
    elseif(NOT entity STREQUAL "")
        string(APPEND entities "${line}")
    elseif(line MATCHES "^ +FIELD\\(([A-Z_]+),")
        newer_replace(entities "END(${CMAKE_MATCH_1})" "${line}END(${CMAKE_MATCH_1})")
    endif()
endforeach()
newer_write(protocol/entities.def "${entities}")
