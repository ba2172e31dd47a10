# Turns the comments of the public headers into doxygen's: the one at the top of a file, those above a declaration, and
# those behind a field. Rulers that part a header into sections stay comments.
1s,^/\* SPDX-License-Identifier: Apache-2.0,/** @file,
s,^\( *\)/\* \([^-]\),\1/** \2,
s,\([;\,({}0-9"A-Z]\)  */\* \(.*\*/\)$,\1 /**< \2,
