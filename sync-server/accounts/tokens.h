/* SPDX-License-Identifier: Apache-2.0
 *
 * Secrets that devices sign in with: one-time enrolment codes and tokens. Only their SHA-256 is
 * ever stored.
 */
#ifndef DAYBOOK_SERVER_TOKENS_H
#define DAYBOOK_SERVER_TOKENS_H

#include "sync-server/hash.h"

#define TOKEN_TEXT_SIZE 44      /* 256 bit as base64url, and NUL */
#define CODE_TEXT_SIZE 33       /* 130 bit as 26 characters in groups of four, and NUL */
#define CODE_TEXT_BYTES_MAX 100 /* of what a person typed */
#define CODE_MINUTES_DEFAULT 15

/* A new token; false where there is no randomness. */
bool srv_token_make(char text[TOKEN_TEXT_SIZE]);
/* What is stored of a token. False: it cannot be one of ours, or no memory. */
bool srv_token_hash(const char *text, uint8_t hash[HASH_SIZE]);

/* A new code such as "7KQF-0ZM3-…": letters that are not mistaken for each other. */
bool srv_code_make(char text[CODE_TEXT_SIZE]);
/* What is stored of a code. Case, hyphens and spaces do not matter, O is 0, I and L are 1. False:
 * it cannot be a code. */
bool srv_code_hash(const char *text, uint8_t hash[HASH_SIZE]);

#endif
