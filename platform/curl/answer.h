/* SPDX-License-Identifier: Apache-2.0
 *
 * The answer to one request while it arrives: a body with a maximum, and whether the header ended.
 * Used by the transport only.
 */
#ifndef DAYBOOK_PLATFORM_CURL_ANSWER_H
#define DAYBOOK_PLATFORM_CURL_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <curl/curl.h>

/* Invariants: 1. body_size < capacity whenever body is not NULL, and body[body_size] is NUL once
 * the answer is used;
 * 2. body_size <= body_max; 3. at most one of too_large and no_memory is set, and then nothing more
 * is taken. */
struct dk_answer {
    char *body;         /* owned; kept between exchanges */
    size_t body_size;   /* bytes received */
    size_t capacity;    /* bytes allocated */
    size_t body_max;    /* bytes; more makes the answer too_large */
    size_t header_size; /* bytes of all header lines so far */
    bool header_done;   /* the empty line after the last header line has come */
    bool too_large;     /* body or header passed its maximum */
    bool no_memory;     /* the body could not grow */
};

/* Makes ready for an answer of at most body_max bytes; gives back the memory of an unusually large
 * one before. */
void dk_answer_begin(struct dk_answer *answer, size_t body_max);
/* Frees what the answer owns. */
void dk_answer_clear(struct dk_answer *answer);
/* Tells libcurl to deliver header and body of its next transfer to the answer. */
CURLcode dk_answer_apply(struct dk_answer *answer, CURL *curl);
/* Ends the body with a NUL that does not count, so that it is never a NULL pointer; false when out
 * of memory. */
bool dk_answer_finish(struct dk_answer *answer);
/* The Retry-After header of the last transfer in milliseconds, given as seconds or as a date; -1
 * when there is none or it says nothing sensible. wall_ms is now, used where the server does not
 * say its own time in the Date header. */
int64_t dk_answer_retry_after_ms(CURL *curl, int64_t wall_ms);

#endif
