/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and hashing tokens and enrolment codes. Called by accounts.c and by tests. Invariant: a
 * code or token that was made here hashes to the same bytes in any form that a person or a device
 * may hand back.
 */
#include "sync-server/accounts/tokens.h"

#include "engine/base/text.h"

#include <string.h>

#define TOKEN_BYTES 32
#define CODE_LETTERS 26 /* of 5 bit each */
#define CODE_GROUP 4

/* Digits and letters without I, L, O, U. */
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/* See the header. */
bool srv_token_make(char text[TOKEN_TEXT_SIZE])
{
    uint8_t bytes[TOKEN_BYTES];
    if (!srv_random(bytes, sizeof bytes)) {
        return false;
    }
    text[dk_text_to_base64url(bytes, sizeof bytes, text)] = '\0';
    return true;
}

/* See the header. */
bool srv_token_hash(const char *text, uint8_t hash[HASH_SIZE])
{
    uint8_t bytes[TOKEN_BYTES];
    size_t length = strnlen(text, TOKEN_TEXT_SIZE);
    return dk_text_from_base64url(text, length, bytes, sizeof bytes) &&
           srv_hash(bytes, sizeof bytes, hash);
}

/* See the header. */
bool srv_code_make(char text[CODE_TEXT_SIZE])
{
    uint8_t bytes[CODE_LETTERS];
    size_t at = 0;
    if (!srv_random(bytes, sizeof bytes)) {
        return false;
    }
    for (int i = 0; i < CODE_LETTERS; i++) {
        if (i > 0 && i % CODE_GROUP == 0) {
            text[at++] = '-';
        }
        text[at++] = alphabet[bytes[i] % 32];
    }
    text[at] = '\0';
    return true;
}

/* The letter of the alphabet that this one stands for, or NUL. */
static char fold(char c)
{
    if (c >= 'a' && c <= 'z') {
        c = (char)(c - 'a' + 'A');
    }
    if (c == 'O') {
        return '0';
    }
    if (c == 'I' || c == 'L') {
        return '1';
    }
    return c != '\0' && strchr(alphabet, c) != NULL ? c : '\0';
}

/* See the header. */
bool srv_code_hash(const char *text, uint8_t hash[HASH_SIZE])
{
    char letters[CODE_LETTERS];
    int count = 0;
    size_t length = strnlen(text, CODE_TEXT_BYTES_MAX + 1);
    if (length > CODE_TEXT_BYTES_MAX) {
        return false;
    }
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '-' || text[i] == ' ') {
            continue;
        }
        char letter = fold(text[i]);
        if (letter == '\0' || count == CODE_LETTERS) {
            return false;
        }
        letters[count++] = letter;
    }
    return count == CODE_LETTERS && srv_hash(letters, sizeof letters, hash);
}
