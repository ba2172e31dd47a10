/* SPDX-License-Identifier: Apache-2.0
 *
 * The rule of classes: a table of the documents and the states in which each is open. Called by the
 * decision, which asks what has a class, and by the nightly job. Invariant: pure; the class follows
 * from the record, its stamps and the time.
 */
#include "sync-server/scope/class.h"

#include <string.h>

#define STATES_MAX 8

/* One kind of document. A delivered order counts as closed: nothing says yet whether it is paid. */
static const struct class_entity {
    int kind;
    int status;
    bool keeps_last;
    const char *open[STATES_MAX]; /* up to the first NULL */
    int redirect; /* names the record that it has become, which somebody goes on with; 0: none */
} class_entities[] = {
    {ENTITY_OPPORTUNITY, OPPORTUNITY_STATUS, false, {"tracking", "suspended"}, 0},
    {ENTITY_VISIT, VISIT_STATUS, true, {"planned", "in_progress"}, VISIT_REDIRECT_TO},
    {ENTITY_QUOTE,
     QUOTE_STATUS,
     false,
     {"draft", "pending_approval", "approved", "sent", "accepted"},
     0},
    {ENTITY_SALES_ORDER,
     SALES_ORDER_STATUS,
     true,
     {"draft", "submitted", "confirmed", "picking", "part_shipped", "shipped", "short_closed"},
     0},
};

/* The row of an entity; NULL: its records have no class of their own. */
static const struct class_entity *class_entity(const struct entity *entity)
{
    for (size_t i = 0; i < sizeof class_entities / sizeof class_entities[0]; i++) {
        if (class_entities[i].kind == entity->kind) {
            return &class_entities[i];
        }
    }
    return NULL;
}

/* See the header. */
bool srv_class_applies(const struct entity *entity)
{
    return class_entity(entity) != NULL;
}

/* See the header. */
bool srv_class_keeps_last(const struct entity *entity)
{
    const struct class_entity *row = class_entity(entity);
    return row != NULL && row->keeps_last;
}

/* See the header. */
int64_t srv_class_touched_ms(const struct srv_record *row)
{
    int64_t touched_ms = 0;
    for (int i = 0; i < row->record.entity->field_count; i++) {
        int64_t time_ms = dk_hlc_ms(row->stamps[i].time);
        touched_ms = time_ms > touched_ms ? time_ms : touched_ms;
    }
    for (int i = 0; i < row->key_stamp_count; i++) {
        int64_t time_ms = dk_hlc_ms(row->key_stamps[i].stamp.time);
        touched_ms = time_ms > touched_ms ? time_ms : touched_ms;
    }
    return touched_ms;
}

/* Whether the document's state is one of those in which somebody has something to do. One without a
 * state is new. */
static bool is_open(const struct class_entity *row, const struct record *record)
{
    const struct value *status = &record->values[row->status];
    if (row->redirect > 0 && record->values[row->redirect].kind == VALUE_ID) {
        return false;
    }
    if (status->kind != VALUE_TEXT) {
        return true;
    }
    for (int i = 0; i < STATES_MAX && row->open[i] != NULL; i++) {
        size_t length = strlen(row->open[i]);
        if (length == status->length && memcmp(row->open[i], status->text, length) == 0) {
            return true;
        }
    }
    return false;
}

/* See the header. */
enum srv_class srv_class_of(const struct class_rule *rule, const struct record *record,
                            int64_t touched_ms, int64_t now_ms)
{
    const struct class_entity *row = class_entity(record->entity);
    int64_t age_ms = now_ms - touched_ms;
    if (row == NULL || is_open(row, record) || age_ms <= rule->open_days * CLASS_DAY_MS) {
        return CLASS_OPEN;
    }
    return age_ms <= rule->recent_days * CLASS_DAY_MS ? CLASS_RECENT : CLASS_ARCHIVE;
}
