/* SPDX-License-Identifier: Apache-2.0
 *
 * What the server writes in its own name: changesets of its own device, through the same decision
 * as everybody's. Used by the commands, on the decider's thread. Invariant: the server's device has
 * no gap in its seq, because a task that fails is undone whole.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"

#include <string.h>

/* See the header. */
daybook_status srv_draft_begin(struct draft *draft, struct decider *decider)
{
    memset(draft, 0, sizeof *draft);
    draft->decider = decider;
    draft->arena = &decider->arena;
    if (decider->org_count == 0) {
        return DAYBOOK_NOT_FOUND;
    }
    draft->org = &decider->orgs[0];
    return srv_decider_server(decider, draft->org, draft->arena, &draft->author);
}

/* See the header. */
struct change *srv_draft_add(struct draft *draft, enum block_op op, const struct entity *entity,
                             const struct id *id, int64_t seen)
{
    if (draft->count == draft->capacity) {
        int capacity = draft->capacity == 0 ? 16 : draft->capacity * 2;
        struct change *changes = dk_arena_new(draft->arena, (size_t)capacity * sizeof *changes);
        if (changes == NULL) {
            return NULL;
        }
        if (draft->count > 0) {
            memcpy(changes, draft->changes, (size_t)draft->count * sizeof *changes);
        }
        draft->changes = changes;
        draft->capacity = capacity;
    }
    struct change *change = &draft->changes[draft->count];
    *change = (struct change){.op = op, .entity = entity, .id = *id, .seen = seen};
    change->values = dk_arena_new(draft->arena, LIMIT_FIELDS * sizeof *change->values);
    if (change->values == NULL) {
        return NULL;
    }
    draft->count++;
    return change;
}

/* See the header. */
bool srv_draft_value(struct draft *draft, int field, const struct value *value)
{
    struct change *change = &draft->changes[draft->count - 1];
    if (value->kind == VALUE_NULL && change->op == BLOCK_NEW) {
        return true;
    }
    if (change->value_count == LIMIT_FIELDS) {
        return false;
    }
    change->values[change->value_count++] = (struct field_value){.field = field, .value = *value};
    return true;
}

/* See the header. */
bool srv_draft_text(struct draft *draft, int field, const char *text)
{
    struct value value = {.kind = VALUE_TEXT, .length = (uint32_t)strlen(text), .text = text};
    return srv_draft_value(draft, field, &value);
}

/* The header of a changeset of the server. */
static bool make_input(struct draft *draft, int64_t now_ms, struct decide_input *input)
{
    struct id_maker maker = {0, 0};
    uint8_t random[10];
    memset(input, 0, sizeof *input);
    input->class = draft->class;
    input->converts = draft->converts;
    if (!srv_random(random, sizeof random)) {
        return false;
    }
    input->changeset =
        (struct changeset){.id = dk_id_make(&maker, now_ms, random),
                           .seq = draft->author.decided + 1,
                           .epoch = srv_store_epoch(draft->decider->store),
                           .time = (hlc)(draft->time_ms > 0 ? draft->time_ms : now_ms) << 16,
                           .schema = SCHEMA_VERSION,
                           .change_count = draft->count,
                           .changes = draft->changes};
    return srv_hash(input->changeset.id.bytes, ID_SIZE, input->digest);
}

/* See the header. */
daybook_status srv_draft_decide(struct draft *draft)
{
    struct decide_input input;
    enum decide_answer answer;
    struct decider *decider = draft->decider;
    int64_t now_ms = srv_now_ms();
    if (!make_input(draft, now_ms, &input)) {
        return DAYBOOK_NO_MEMORY;
    }
    daybook_status status = srv_decide(decider->decide, draft->org, &draft->author, &input, now_ms,
                                       &draft->verdict, &answer);
    if (status == DAYBOOK_OK && answer != DECIDE_VERDICT) {
        return DAYBOOK_INTERNAL;
    }
    if (status == DAYBOOK_OK && draft->verdict.position == 0) {
        return DAYBOOK_RULE;
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_mark_device(decider->store, draft->author.device_no,
                                       draft->author.decided, draft->author.decided, now_ms);
    }
    draft->count = 0;
    draft->capacity = 0;
    draft->class = CLASS_OPEN;
    draft->time_ms = 0;
    draft->converts = false;
    return status;
}

/* See the header. */
daybook_status srv_draft_find(struct draft *draft, int entity, const char *name, struct id *id)
{
    struct srv_record row;
    bool found = false;
    daybook_status status;
    if (entity == ENTITY_USER) {
        status = srv_store_find_login(draft->decider->store, draft->org->org, name, id, &found);
    } else if (!srv_key_id(draft->org, dk_entity(entity), name, strlen(name), id)) {
        status = DAYBOOK_NO_MEMORY;
    } else {
        status = srv_store_get(draft->decider->store, draft->org->org, dk_entity(entity), id,
                               draft->arena, &row, &found);
        found = found && !row.deleted;
    }
    return status == DAYBOOK_OK && !found ? DAYBOOK_NOT_FOUND : status;
}

/* See the header. */
void srv_draft_explain(const struct verdict *verdict, char *out, size_t size)
{
    char id[ID_TEXT_SIZE] = "";
    if (!dk_id_is_zero(&verdict->record)) {
        dk_id_to_text(&verdict->record, id);
    }
    (void)dk_text_format(out, size, "%s%s%s: %s%s%s%s%s%s (%s)", verdict->entity,
                         id[0] == '\0' ? "" : " ", id, dk_reject_name(verdict->code),
                         verdict->field[0] == '\0' ? "" : " ", verdict->field,
                         verdict->rule[0] == '\0' ? "" : ", rule ", verdict->rule, "",
                         dk_reject_text(verdict->code));
}

/* See the header. */
bool srv_key_id(const struct decide_org *org, const struct entity *entity, const char *key,
                size_t length, struct id *id)
{
    uint8_t hash[HASH_SIZE];
    const struct hash_part parts[] = {
        {org->id.bytes, ID_SIZE}, {entity->name, strlen(entity->name)}, {key, length}};
    if (!srv_hash_parts(parts, (int)(sizeof parts / sizeof parts[0]), hash)) {
        return false;
    }
    *id = dk_id_from_hash(hash);
    return true;
}
