/* SPDX-License-Identifier: Apache-2.0
 *
 * What a changeset that cannot be applied would have made. Called by the sync endpoint for those
 * that the decoder refuses. Invariant: the text has been read as JSON before; what cannot be
 * understood of it is left out.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"

/* See inside.h. */
bool srv_at_close(const struct json_reader *json)
{
    const char *next = json->next;
    while (next < json->end && (*next == ' ' || *next == '\n' || *next == '\r' || *next == '\t')) {
        next++;
    }
    return next < json->end && *next == ']';
}

/* Ids in the rows of a block that makes records. False: damage, or too many. */
static bool read_made_rows(struct json_reader *json, struct id *ids, int *count)
{
    enum json_type type = dk_json_next(json) == JSON_ARRAY ? dk_json_next(json) : JSON_ERROR;
    for (; type == JSON_ARRAY; type = dk_json_next(json)) {
        bool row = *count < LIMIT_CHANGESET_CHANGES && dk_json_next(json) == JSON_INTEGER &&
                   dk_json_next(json) == JSON_STRING &&
                   dk_id_from_wire(json->text, json->length, &ids[*count]);
        if (!row) {
            return false;
        }
        (*count)++;
        while (!srv_at_close(json)) {
            if (!dk_json_skip(json, NULL, NULL)) {
                return false;
            }
        }
        if (dk_json_next(json) != JSON_END) {
            return false;
        }
    }
    return type == JSON_END;
}

/* One block: its rows' ids where its op is "new", which stands before them, or `all`. */
static bool read_made_block(struct json_reader *json, bool all, struct id *ids, int *count)
{
    bool makes = all;
    enum json_type type;
    while ((type = dk_json_key(json)) == JSON_STRING) {
        if (dk_text_equal(json->text, json->length, "op")) {
            if (dk_json_next(json) != JSON_STRING) {
                return false;
            }
            makes = all || dk_text_equal(json->text, json->length, "new");
        } else if (makes && dk_text_equal(json->text, json->length, "rows")) {
            if (!read_made_rows(json, ids, count)) {
                return false;
            }
        } else if (!dk_json_skip(json, NULL, NULL)) {
            return false;
        }
    }
    return type == JSON_END;
}

/* See inside.h. */
void srv_read_made(char *text, size_t length, bool all, struct id *ids, int *count)
{
    struct json_reader json;
    dk_json_open(&json, text, length);
    json.any_number = true;
    *count = 0;
    if (dk_json_next(&json) != JSON_OBJECT) {
        return;
    }
    while (dk_json_key(&json) == JSON_STRING) {
        if (!dk_text_equal(json.text, json.length, "changes")) {
            if (!dk_json_skip(&json, NULL, NULL)) {
                return;
            }
            continue;
        }
        if (dk_json_next(&json) != JSON_ARRAY) {
            return;
        }
        while (dk_json_next(&json) == JSON_OBJECT) {
            if (!read_made_block(&json, all, ids, count)) {
                return;
            }
        }
        return;
    }
}
