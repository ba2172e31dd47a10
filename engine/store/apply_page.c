/* SPDX-License-Identifier: Apache-2.0
 *
 * Owns the pages of a snapshot that a reply brings: which of them are taken, and where the bucket
 * stands afterwards. Called by apply, before the log, since a page is read at or after the position
 * that the device had. Invariants: a page is taken only by a bucket that waits for the very key
 * after which it continues; what a record has from the log already is not set back by a page.
 */
#include "engine/store/inside.h"

#include "engine/base/text.h"

#include <string.h>

struct snapshot_page {
    int64_t bucket;
    int64_t head;
    struct page_key after, next; /* entity NULL: from the beginning; to the end */
};

/* ["entity","id"]; the text in the arena. False: it is none. */
static bool read_key(struct json_reader *json, struct arena *arena, struct page_key *key)
{
    if (dk_json_next(json) != JSON_ARRAY || dk_json_next(json) != JSON_STRING ||
        json->length == 0 || json->length > LIMIT_LABEL_BYTES) {
        return false;
    }
    key->entity = dk_arena_copy(arena, json->text, json->length);
    key->entity_length = json->length;
    return key->entity != NULL && dk_json_next(json) == JSON_STRING &&
           dk_id_from_wire(json->text, json->length, &key->id) && dk_json_next(json) == JSON_END;
}

/* The members of one page, whose brace was entered, up to its rows, which are the last. False: it
 * is none. */
static bool read_page(struct json_reader *json, struct arena *arena, struct snapshot_page *page)
{
    bool has_rows = false;
    memset(page, 0, sizeof *page);
    while (!has_rows && dk_json_key(json) == JSON_STRING) {
        bool fine = true;
        if (dk_text_equal(json->text, json->length, "bucket")) {
            fine = dk_json_next(json) == JSON_INTEGER;
            page->bucket = json->integer;
        } else if (dk_text_equal(json->text, json->length, "head")) {
            fine = dk_json_next(json) == JSON_INTEGER;
            page->head = json->integer;
        } else if (dk_text_equal(json->text, json->length, "after")) {
            fine = read_key(json, arena, &page->after);
        } else if (dk_text_equal(json->text, json->length, "next")) {
            fine = read_key(json, arena, &page->next);
        } else if (dk_text_equal(json->text, json->length, "rows")) {
            has_rows = true;
        } else {
            fine = dk_json_skip(json, NULL, NULL);
        }
        if (!fine) {
            return false;
        }
    }
    return has_rows && page->bucket > 0 && page->head > 0;
}

/* Whether two keys are the same place. */
static bool same_key(const struct page_key *a, const struct page_key *b)
{
    if (a->entity == NULL || b->entity == NULL) {
        return a->entity == b->entity;
    }
    return a->entity_length == b->entity_length &&
           memcmp(a->entity, b->entity, a->entity_length) == 0 &&
           dk_id_compare(&a->id, &b->id) == 0;
}

/* Takes a page where its bucket stands at its key, with its rows; passes over it, *taken false,
 * where that waits for another, as after a bucket was begun anew while the reply was under way. */
static daybook_status take_page(struct apply *apply, const struct snapshot_page *page,
                                struct json_reader *json, bool *taken)
{
    struct store *store = apply->store;
    struct page_key after;
    bool found;
    *taken = false;
    if (page->head < apply->start || page->head > apply->reply->head) {
        return dk_apply_bad(apply, "a page was read at a position that does not fit");
    }
    daybook_status status = dk_loading_find(store, page->bucket, &store->arena, &after, &found);
    if (status != DAYBOOK_OK || !found || !same_key(&after, &page->after)) {
        return status;
    }
    if (page->next.entity != NULL && same_key(&page->next, &page->after)) {
        return dk_apply_bad(apply, "a page goes on where it began");
    }
    *taken = true;
    status = dk_apply_rows(apply, json, page->bucket, page->head);
    if (status == DAYBOOK_OK) {
        status = dk_loading_advance(store, page->bucket, &page->next, page->head);
    }
    apply->bucket_ended = apply->bucket_ended || page->next.entity == NULL;
    apply->applied->pages++;
    return status;
}

/* Reads on behind a page that was taken, or passes over its rows. False: it is damaged. */
static bool leave_page(struct json_reader *json, bool taken)
{
    const char *raw;
    if (!taken && (!dk_json_skip(json, &raw, NULL) || *raw != '[')) {
        return false;
    }
    return dk_json_key(json) == JSON_END;
}

daybook_status dk_apply_pages(struct apply *apply)
{
    struct snapshot_page page;
    struct json_reader json;
    enum json_type type;
    const struct span *pages = &apply->reply->pages;
    if (pages->bytes == NULL) {
        return DAYBOOK_OK;
    }
    dk_json_open(&json, pages->bytes, pages->length);
    if (dk_json_next(&json) != JSON_ARRAY) {
        return dk_apply_bad(apply, "pages are no array");
    }
    while ((type = dk_json_next(&json)) == JSON_OBJECT) {
        bool taken = false;
        if (!read_page(&json, &apply->store->arena, &page)) {
            return apply->store->arena.failed ? DAYBOOK_NO_MEMORY
                                              : dk_apply_bad(apply, "a page is damaged");
        }
        daybook_status status = take_page(apply, &page, &json, &taken);
        if (status != DAYBOOK_OK) {
            return status;
        }
        if (!leave_page(&json, taken)) {
            return dk_apply_bad(apply, "a page does not end with its rows");
        }
    }
    if (type != JSON_END || !dk_json_finish(&json)) {
        return dk_apply_bad(apply, "pages are damaged");
    }
    return apply->applied->pages > 0 ? dk_loading_count(apply->store) : DAYBOOK_OK;
}
