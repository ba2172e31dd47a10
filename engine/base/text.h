/* SPDX-License-Identifier: Apache-2.0
 *
 * Text: UTF-8 checks, hex and base64url, strict decimal numbers. No locale.
 */
#ifndef DAYBOOK_BASE_TEXT_H
#define DAYBOOK_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Well-formed UTF-8 (no overlong form, no surrogate, at most U+10FFFF) without NUL. Fast
 * for ASCII. */
bool dk_text_is_utf8(const char *text, size_t length);
/* Code points of valid UTF-8. */
size_t dk_text_code_points(const char *text, size_t length);
/* Strict decimal int64: "-"? digits, no leading zero, no "+", no space, nothing behind, no "-0". */
bool dk_text_to_int64(const char *text, size_t length, int64_t *number);
/* Writes at most 21 bytes with NUL; returns the length. */
size_t dk_text_from_int64(int64_t number, char out[21]);
/* out gets 2 * length + 1 bytes, lower case. */
void dk_text_to_hex(const uint8_t *bytes, size_t length, char *out);
/* Exactly `length` bytes from 2 * length hex digits; false on anything else. */
bool dk_text_from_hex(const char *hex, size_t hex_length, uint8_t *out, size_t length);
/* RFC 4648 base64url without padding. out gets (length * 4 + 2) / 3 bytes and no NUL; returns that
 * number. */
size_t dk_text_to_base64url(const uint8_t *bytes, size_t length, char *out);
/* Exactly `length` bytes, canonical (unused bits zero); false on anything else. */
bool dk_text_from_base64url(const char *text, size_t text_length, uint8_t *out, size_t length);
/* snprintf that never cuts silently: false where `size` was too small (out is then cut but
 * terminated). */
bool dk_text_format(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool dk_text_equal(const char *a, size_t a_length, const char *b);

#endif
