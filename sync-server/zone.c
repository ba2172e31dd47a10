/* SPDX-License-Identifier: Apache-2.0
 *
 * The organisation's time zone: its offsets for some years, out of the system's data, in its
 * record, where devices find them. Called by init, import, the night's work and classify.
 * Invariants: 1. The list follows from the zone, its data and the year alone, so it is written only
 * when one of them has changed. 2. At least three years of it lie ahead. 3. Where there is no such
 * list, the record keeps the one it has.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "engine/sales/day.h"
#include "sync-server/folder.h"
#include "sync-server/tzif.h"

#include <stdlib.h>
#include <string.h>

#define ZONE_FOLDER "/usr/share/zoneinfo" /* or $TZDIR, as for the C library */
#define ZONE_NAME_BYTES_MAX 64            /* the field's limit */
#define YEARS_BACK 1
#define YEARS_AHEAD 3 /* whole ones, beside the present */
#define DAY_S INT64_C(86400)

/* ---- the list */

/* Appends a pair. False: there is no more room, or the offset is out of bounds. */
static bool append_pair(struct buffer *out, int64_t from_s, int64_t minutes)
{
    dk_buffer_append_text(out, out->length == 0 ? "[[" : ",[");
    dk_buffer_append_int(out, from_s * 1000);
    dk_buffer_append_char(out, ',');
    dk_buffer_append_int(out, minutes);
    dk_buffer_append_char(out, ']');
    return minutes >= -DAY_OFFSET_MAX && minutes <= DAY_OFFSET_MAX && out->status == DAYBOOK_OK;
}

/* The moment between two, at most a day apart, from which the second one's offset holds. */
static int64_t find_change(const struct tzif *tzif, int64_t before_s, int64_t after_s)
{
    int64_t offset_s = srv_tzif_offset_s(tzif, after_s);
    while (after_s - before_s > 1) {
        int64_t middle_s = before_s + (after_s - before_s) / 2;
        if (srv_tzif_offset_s(tzif, middle_s) == offset_s) {
            after_s = middle_s;
        } else {
            before_s = middle_s;
        }
    }
    return after_s;
}

/* Writes the list, looking day by day: no zone changes its clocks twice in one. Offsets are whole
 * minutes since 1972. */
static bool write_offsets(const struct tzif *tzif, int64_t year, struct buffer *out)
{
    int64_t end_s = srv_tzif_year_s(year + YEARS_AHEAD + 1);
    int64_t before_s = srv_tzif_year_s(year - YEARS_BACK);
    int64_t offset_s = srv_tzif_offset_s(tzif, before_s);
    bool fine = append_pair(out, before_s, offset_s / 60);
    for (; fine && before_s < end_s; before_s += DAY_S) {
        int64_t next_s = srv_tzif_offset_s(tzif, before_s + DAY_S);
        if (next_s != offset_s) {
            fine = append_pair(out, find_change(tzif, before_s, before_s + DAY_S), next_s / 60);
            offset_s = next_s;
        }
    }
    dk_buffer_append_char(out, ']');
    return fine && out->status == DAYBOOK_OK;
}

/* ---- the data */

/* Names are paths below the folder of the data, and lead nowhere else: words of letters, digits,
 * "_", "-" and "+", with "/" between. */
static bool is_name(const char *name)
{
    bool begins = true; /* a word */
    size_t length = 0;
    for (; name[length] != '\0' && length <= ZONE_NAME_BYTES_MAX; length++) {
        char c = name[length];
        bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!letter && (begins || strchr("_-+/", c) == NULL)) {
            return false;
        }
        begins = c == '/';
    }
    return !begins && length <= ZONE_NAME_BYTES_MAX;
}

/* See the header. */
daybook_status srv_zone_offsets(const char *name, int64_t now_ms,
                                char out[DAY_OFFSETS_BYTES_MAX + 1], char *problem,
                                size_t problem_size)
{
    const char *variable = getenv("TZDIR");
    const char *folder = variable == NULL || variable[0] == '\0' ? ZONE_FOLDER : variable;
    struct buffer list;
    struct tzif tzif;
    char *bytes = NULL;
    size_t length = 0;
    if (!is_name(name)) {
        (void)dk_text_format(problem, problem_size,
                             "%.64s is no name of a time zone, such as Europe/Berlin", name);
        return DAYBOOK_INVALID;
    }
    daybook_status status =
        srv_folder_read(folder, name, false, &bytes, &length, problem, problem_size);
    if (status == DAYBOOK_NOT_FOUND) {
        (void)dk_text_format(problem, problem_size, "there is no time zone %s in %.200s", name,
                             folder);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    dk_buffer_init(&list, DAY_OFFSETS_BYTES_MAX);
    if (srv_tzif_open(bytes, length, &tzif) &&
        write_offsets(&tzif, dk_day_at(now_ms, 0) / 10000, &list)) {
        memcpy(out, list.bytes, list.length);
        out[list.length] = '\0';
    } else {
        (void)dk_text_format(problem, problem_size, "the data of time zone %s in %.200s is no use",
                             name, folder);
        status = DAYBOOK_INVALID;
    }
    dk_buffer_clear(&list);
    dk_memory_free(bytes);
    return status;
}

/* ---- the record */

struct renewal {
    int64_t now_ms;
    bool written;
    char *problem;
    size_t problem_size;
};

/* Writes the list as a changeset of the server. */
static daybook_status write_list(struct decider *decider, struct renewal *renewal, const char *list)
{
    struct draft draft;
    daybook_status status = srv_draft_begin(&draft, decider);
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (srv_draft_add(&draft, BLOCK_SET, dk_entity(ENTITY_ORGANISATION), &draft.org->id,
                      draft.org->head) == NULL ||
        !srv_draft_text(&draft, ORGANISATION_ZONE_OFFSETS, list)) {
        return DAYBOOK_NO_MEMORY;
    }
    status = srv_draft_decide(&draft);
    renewal->written = status == DAYBOOK_OK;
    if (status == DAYBOOK_RULE) {
        srv_draft_explain(&draft.verdict, renewal->problem, renewal->problem_size);
    }
    return status;
}

/* The task: the list as it is now, where the record has another. */
static daybook_status renew_run(struct decider *decider, void *context)
{
    struct renewal *renewal = context;
    struct srv_record row;
    char name[ZONE_NAME_BYTES_MAX + 2]; /* too long by one is seen */
    char list[DAY_OFFSETS_BYTES_MAX + 1];
    bool found;
    if (decider->org_count == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status =
        srv_store_get(decider->store, decider->orgs[0].org, dk_entity(ENTITY_ORGANISATION),
                      &decider->orgs[0].id, &decider->arena, &row, &found);
    if (status != DAYBOOK_OK || !found || row.record.values[ORGANISATION_ZONE].kind != VALUE_TEXT) {
        return status;
    }
    const struct value *zone = &row.record.values[ORGANISATION_ZONE];
    const struct value *offsets = &row.record.values[ORGANISATION_ZONE_OFFSETS];
    (void)dk_text_format(name, sizeof name, "%.*s", (int)zone->length, zone->text);
    status = srv_zone_offsets(name, renewal->now_ms, list, renewal->problem, renewal->problem_size);
    if (status != DAYBOOK_OK ||
        (offsets->kind == VALUE_TEXT && dk_text_equal(offsets->text, offsets->length, list))) {
        return status;
    }
    return write_list(decider, renewal, list);
}

/* See the header. */
daybook_status srv_zone_renew(struct service *service, int64_t now_ms, char *problem,
                              size_t problem_size)
{
    struct renewal renewal = {.now_ms = now_ms, .problem = problem, .problem_size = problem_size};
    problem[0] = '\0';
    daybook_status status = srv_run_task(service, renew_run, &renewal);
    if (status == DAYBOOK_OK && renewal.written) {
        dk_log(&service->log, LOG_INFO, "zone offsets written");
    }
    return status;
}
