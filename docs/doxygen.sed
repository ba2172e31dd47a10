# Turns the comments of the public headers into doxygen's: the one at the top of a file, those above
# a declaration, and those behind a field. Rulers that part a header into sections stay comments.
# The list of status codes becomes the values of the enumeration that is made of it.
/^    X(/{
H
x
s,\n    X(\([A-Z_]*\)\, *\([0-9]*\)\, *\([A-Z_]*\)\, *"\(.*\)")[ \\]*$,\n    DAYBOOK_\1 = \2\, /**< \3: \4 */,
x
}
/^#define DAYBOOK_STATUS_ENUM/d
/^    DAYBOOK_STATUS_LIST(DAYBOOK_STATUS_ENUM)/g
1s,^/\* SPDX-License-Identifier: Apache-2.0,/** @file,
s,^\( *\)/\* \([^-]\),\1/** \2,
s,\([;\,({}0-9"A-Z]\)  *\/\* \(.*\*/\)$,\1 /**< \2,
s,\([;\,({}0-9"A-Z]\)  *\/\* \([^/]*\)$,\1 /**< \2,
