/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of verdicts and refusal codes, as they stand on the wire. Both directions come from the
 * same arrays.
 */
#include "engine/protocol/verdict.h"

#include "engine/base/text.h"

#include <assert.h>

static const char *const verdict_names[] = {
    [VERDICT_NONE] = "none",
    [VERDICT_ACCEPTED] = "accepted",
    [VERDICT_MERGED] = "merged",
    [VERDICT_REJECTED] = "rejected",
    [VERDICT_QUARANTINED] = "quarantined",
};

#define REJECT_CODE_NAME(name, text) [REJECT_##name] = #name,
#define REJECT_CODE_TEXT(name, text) [REJECT_##name] = text,
static const char *const reject_names[REJECT_COUNT] = {REJECT_CODE_LIST(REJECT_CODE_NAME)};
static const char *const reject_texts[REJECT_COUNT] = {REJECT_CODE_LIST(REJECT_CODE_TEXT)};

const char *dk_verdict_name(enum verdict_kind kind)
{
    assert((size_t)kind < sizeof verdict_names / sizeof verdict_names[0]);
    return verdict_names[kind];
}

/* VERDICT_NONE where there is no such verdict. */
enum verdict_kind dk_verdict_by_name(const char *name, size_t length)
{
    for (int kind = VERDICT_ACCEPTED; kind <= VERDICT_QUARANTINED; kind++) {
        if (dk_text_equal(name, length, verdict_names[kind])) {
            return (enum verdict_kind)kind;
        }
    }
    return VERDICT_NONE;
}

const char *dk_reject_name(enum reject_code code)
{
    assert((unsigned)code < REJECT_COUNT);
    return reject_names[code];
}

/* REJECT_INTERNAL stands for codes of newer servers. */
enum reject_code dk_reject_by_name(const char *name, size_t length)
{
    for (int code = 0; code < REJECT_COUNT; code++) {
        if (dk_text_equal(name, length, reject_names[code])) {
            return (enum reject_code)code;
        }
    }
    return REJECT_INTERNAL;
}

const char *dk_reject_text(enum reject_code code)
{
    assert((unsigned)code < REJECT_COUNT);
    return reject_texts[code];
}
