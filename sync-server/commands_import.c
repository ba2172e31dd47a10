/* SPDX-License-Identifier: Apache-2.0
 *
 * The command import: records of a JSON lines file, written as changesets of the server through the
 * same decision as a device's. Called by srv_service_command. Invariants: 1. A changeset takes all
 * its lines or none. 2. The same file again changes nothing.
 */
#include "sync-server/inside.h"

#include "engine/base/text.h"
#include "sync-server/commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define BATCH_ROWS_MAX 1000
#define BATCH_BYTES_MAX ((size_t)2 * 1024 * 1024)
#define LINE_BYTES_MAX ((size_t)512 * 1024)
#define BATCH_ARENA_BYTES_MAX ((size_t)32 * 1024 * 1024)

/* The lines of one changeset, and the counts of all. */
struct batch {
    struct command_run *run;
    struct arena arena;
    struct import_row *rows;
    int count;
    size_t bytes;
    int64_t made, changed, same; /* of the changesets that are in */
    int64_t now_made, now_changed, now_same;
};

/* ---- on the decider's thread */

/* Ids by key, of the record itself and of those that it names. Lines with neither id nor key make a
 * new record each time. */
static daybook_status resolve(const struct draft *draft, struct import_row *row)
{
    bool fine = true;
    if (row->has_key && !row->has_id) {
        fine = srv_key_id(draft->org, row->entity, row->key, row->key_length, &row->id);
    } else if (!row->has_id) {
        struct id_maker maker = {0, 0};
        uint8_t random[10];
        fine = srv_random(random, sizeof random);
        row->id = dk_id_make(&maker, srv_now_ms(), random);
    }
    for (const struct import_key *reference = row->references; fine && reference != NULL;
         reference = reference->next) {
        struct value *value = &row->values[reference->field];
        value->kind = VALUE_ID;
        fine = srv_key_id(draft->org, dk_entity(row->entity->fields[reference->field].target),
                          reference->key, reference->length, &value->id);
    }
    return fine ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* The values of a record that is new. */
static daybook_status add_new(struct draft *draft, const struct import_row *row)
{
    if (srv_draft_add(draft, BLOCK_NEW, row->entity, &row->id, 0) == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < row->entity->field_count; i++) {
        if ((row->present >> i & 1) != 0 && !srv_draft_value(draft, i, &row->values[i])) {
            return DAYBOOK_NO_MEMORY;
        }
    }
    return DAYBOOK_OK;
}

/* The change of one field from what is stored, as a change has it: of sets and maps the
 * difference. */
static bool change_of(const struct draft *draft, const struct field *field,
                      const struct value *stored, const struct value *wanted, struct value *change)
{
    if (field->type == FIELD_SET) {
        return dk_set_difference(stored, wanted, draft->arena, change);
    }
    if (field->type == FIELD_MAP) {
        return dk_map_difference(stored, wanted, draft->arena, change);
    }
    *change = *wanted;
    return true;
}

/* Fields of the line that differ from what is stored, with the groups that they belong to. */
static uint64_t differing(const struct import_row *row, const struct record *stored)
{
    uint64_t mask = 0;
    for (int i = 0; i < row->entity->field_count; i++) {
        if ((row->present >> i & 1) != 0 && !dk_value_equal(&row->values[i], &stored->values[i])) {
            mask |= dk_field_group_mask(row->entity, i);
        }
    }
    return mask;
}

/* The change of a record that is there; none where nothing differs. */
static daybook_status add_change(struct draft *draft, const struct import_row *row,
                                 const struct srv_record *stored, bool *any)
{
    uint64_t mask = differing(row, &stored->record);
    *any = mask != 0;
    if (!*any) {
        return DAYBOOK_OK;
    }
    if (srv_draft_add(draft, BLOCK_SET, row->entity, &row->id, draft->org->head) == NULL) {
        return DAYBOOK_NO_MEMORY;
    }
    for (int i = 0; i < row->entity->field_count; i++) {
        const struct value *old = &stored->record.values[i];
        struct value change;
        if ((mask >> i & 1) == 0) {
            continue;
        }
        const struct value *wanted = (row->present >> i & 1) != 0 ? &row->values[i] : old;
        if (!change_of(draft, &row->entity->fields[i], old, wanted, &change) ||
            !srv_draft_value(draft, i, &change)) {
            return DAYBOOK_NO_MEMORY;
        }
    }
    return DAYBOOK_OK;
}

/* A line that names the organisation's zone brings the offsets that go with it, unless it says them
 * itself, so that the day is that zone's at once. */
static daybook_status add_offsets(const struct draft *draft, struct batch *batch,
                                  struct import_row *row)
{
    const uint64_t zone = (uint64_t)1 << ORGANISATION_ZONE;
    const uint64_t offsets = (uint64_t)1 << ORGANISATION_ZONE_OFFSETS;
    const struct value *name = &row->values[ORGANISATION_ZONE];
    char text[LIMIT_LABEL_BYTES + 1], list[DAY_OFFSETS_BYTES_MAX + 1], problem[256];
    if (row->entity->kind != ENTITY_ORGANISATION || (row->present & (zone | offsets)) != zone) {
        return DAYBOOK_OK;
    }
    row->present |= offsets;
    if (name->kind != VALUE_TEXT) {
        return DAYBOOK_OK; /* no zone, no offsets */
    }
    (void)dk_text_format(text, sizeof text, "%.*s", (int)name->length, name->text);
    daybook_status status = srv_zone_offsets(text, srv_now_ms(), list, problem, sizeof problem);
    if (status != DAYBOOK_OK) {
        return srv_command_fail(batch->run, status, "line %lld: %s", (long long)row->line, problem);
    }
    struct value *value = &row->values[ORGANISATION_ZONE_OFFSETS];
    *value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(list)};
    value->text = dk_arena_copy(draft->arena, list, value->length);
    return value->text != NULL ? DAYBOOK_OK : DAYBOOK_NO_MEMORY;
}

/* Adds one line to the draft. */
static daybook_status add_row(struct draft *draft, struct batch *batch, struct import_row *row)
{
    struct srv_record stored;
    bool found, any;
    daybook_status status = resolve(draft, row);
    if (status == DAYBOOK_OK) {
        status = add_offsets(draft, batch, row);
    }
    if (status == DAYBOOK_OK) {
        status = srv_store_get(draft->decider->store, draft->org->org, row->entity, &row->id,
                               draft->arena, &stored, &found);
    }
    if (status != DAYBOOK_OK) {
        return status;
    }
    if (!found) {
        batch->now_made++;
        return add_new(draft, row);
    }
    if (stored.deleted) {
        return srv_command_fail(batch->run, DAYBOOK_NOT_FOUND, "line %lld: the record was deleted",
                                (long long)row->line);
    }
    status = add_change(draft, row, &stored, &any);
    batch->now_changed += any;
    batch->now_same += !any;
    return status;
}

/* Says which line was rejected, and why. */
static void explain(struct batch *batch, const struct verdict *verdict)
{
    char text[256];
    int64_t line = 0;
    for (int i = 0; i < batch->count; i++) {
        if (dk_id_compare(&batch->rows[i].id, &verdict->record) == 0) {
            line = batch->rows[i].line;
        }
    }
    srv_draft_explain(verdict, text, sizeof text);
    if (line > 0) {
        (void)srv_command_fail(batch->run, DAYBOOK_RULE, "line %lld: %s", (long long)line, text);
    } else {
        (void)srv_command_fail(batch->run, DAYBOOK_RULE, "lines %lld to %lld: %s",
                               (long long)batch->rows[0].line,
                               (long long)batch->rows[batch->count - 1].line, text);
    }
}

/* The task of one batch: its lines as one changeset. */
static daybook_status batch_run(struct decider *decider, void *context)
{
    struct batch *batch = context;
    struct draft draft;
    daybook_status status = srv_draft_begin(&draft, decider);
    if (status == DAYBOOK_NOT_FOUND) {
        return srv_command_fail(batch->run, status, "there is no organisation yet: init makes one");
    }
    batch->now_made = batch->now_changed = batch->now_same = 0;
    for (int i = 0; i < batch->count && status == DAYBOOK_OK; i++) {
        status = add_row(&draft, batch, &batch->rows[i]);
    }
    if (status == DAYBOOK_OK && draft.count > 0) {
        status = srv_draft_decide(&draft);
        if (status == DAYBOOK_RULE) {
            explain(batch, &draft.verdict);
        }
    }
    return status;
}

/* ---- on the caller's thread */

/* Decides what is collected. */
static daybook_status flush(struct batch *batch)
{
    if (batch->count == 0) {
        return DAYBOOK_OK;
    }
    daybook_status status = srv_run_task(batch->run->service, batch_run, batch);
    if (status == DAYBOOK_OK) {
        batch->made += batch->now_made;
        batch->changed += batch->now_changed;
        batch->same += batch->now_same;
    } else if (batch->run->problem[0] == '\0') {
        (void)srv_command_fail(batch->run, status,
                               "lines %lld to %lld: they could not be written, status %d",
                               (long long)batch->rows[0].line,
                               (long long)batch->rows[batch->count - 1].line, (int)status);
    }
    dk_arena_reset(&batch->arena);
    batch->count = 0;
    batch->bytes = 0;
    return status;
}

/* True where a line of the batch is about the same record: a changeset has one change per
 * record. */
static bool is_twin(const struct batch *batch, const struct import_row *row)
{
    for (int i = 0; i < batch->count && (row->has_id || row->has_key); i++) {
        const struct import_row *other = &batch->rows[i];
        bool same_id = row->has_id && other->has_id && dk_id_compare(&row->id, &other->id) == 0;
        bool same_key = row->has_key && other->has_key && row->key_length == other->key_length &&
                        memcmp(row->key, other->key, row->key_length) == 0;
        if (other->entity == row->entity && (same_id || same_key)) {
            return true;
        }
    }
    return false;
}

/* Takes one line into the batch; decides the batch before, where it is full. */
static daybook_status take_line(struct batch *batch, char *text, size_t length, int64_t line)
{
    char problem[200];
    daybook_status status = DAYBOOK_OK;
    if (batch->count == BATCH_ROWS_MAX || batch->bytes + length > BATCH_BYTES_MAX) {
        status = flush(batch);
    }
    for (int attempt = 0; status == DAYBOOK_OK && attempt < 2; attempt++) {
        struct import_row *row = &batch->rows[batch->count];
        char *copy = dk_arena_copy(&batch->arena, text, length);
        if (copy == NULL) {
            return DAYBOOK_NO_MEMORY;
        }
        if (!srv_import_line(copy, length, &batch->arena, row, problem, sizeof problem)) {
            return srv_command_fail(batch->run,
                                    batch->arena.failed ? DAYBOOK_NO_MEMORY : DAYBOOK_BAD_JSON,
                                    "line %lld: %s", (long long)line, problem);
        }
        row->line = line;
        if (!is_twin(batch, row)) {
            batch->count++;
            batch->bytes += length;
            return DAYBOOK_OK;
        }
        status = flush(batch); /* its memory goes with it: the line is read again */
    }
    return status;
}

/* The next line without its end; *length 0 with false at the end of the file. TOO_LARGE: longer
 * than the bound. */
static daybook_status read_line(FILE *file, struct buffer *line, bool *any)
{
    int c = EOF;
    dk_buffer_reset(line);
    while ((c = getc(file)) != EOF && c != '\n') {
        dk_buffer_append_char(line, (char)c);
    }
    *any = c != EOF || line->length > 0;
    if (line->length > 0 && line->bytes[line->length - 1] == '\r') {
        line->length--;
    }
    return ferror(file) ? DAYBOOK_IO : line->status;
}

/* All lines of the file; empty ones are passed over. */
static daybook_status read_file(struct batch *batch, FILE *file)
{
    struct buffer text;
    daybook_status status = DAYBOOK_OK;
    bool any = true;
    dk_buffer_init(&text, LINE_BYTES_MAX);
    for (int64_t line = 1; status == DAYBOOK_OK; line++) {
        status = read_line(file, &text, &any);
        if (status != DAYBOOK_OK) {
            (void)srv_command_fail(batch->run, status,
                                   "line %lld cannot be read, or is longer than %zu bytes",
                                   (long long)line, LINE_BYTES_MAX);
        }
        if (status != DAYBOOK_OK || !any) {
            break;
        }
        if (text.length > 0) {
            status = take_line(batch, text.bytes, text.length, line);
        }
    }
    dk_buffer_clear(&text);
    return status == DAYBOOK_OK ? flush(batch) : status;
}

/* Says how far it came. */
static void write_counts(struct command_run *run, const struct batch *batch, daybook_status status)
{
    char text[160], problem[sizeof run->problem];
    if (status != DAYBOOK_OK) {
        memcpy(problem, run->problem, sizeof problem);
        (void)dk_text_format(run->problem, sizeof run->problem,
                             "%.250s; %lld records of lines before are in", problem,
                             (long long)(batch->made + batch->changed + batch->same));
        return;
    }
    (void)dk_text_format(text, sizeof text,
                         run->line->json ? "{\"new\":%lld,\"changed\":%lld,\"same\":%lld}\n"
                                         : "%lld new, %lld changed, %lld the same\n",
                         (long long)batch->made, (long long)batch->changed, (long long)batch->same);
    dk_buffer_append_text(&run->out, text);
}

/* See the header. */
daybook_status srv_command_import(struct command_run *run)
{
    const char *path = run->line->arguments[0];
    struct batch batch = {.run = run};
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return srv_command_fail(run, DAYBOOK_CANNOT_OPEN, "cannot open %s: %s", path,
                                strerror(errno));
    }
    dk_arena_init(&batch.arena, BATCH_ARENA_BYTES_MAX);
    batch.rows = dk_memory_new(BATCH_ROWS_MAX, sizeof *batch.rows);
    daybook_status status = batch.rows == NULL ? DAYBOOK_NO_MEMORY : read_file(&batch, file);
    write_counts(run, &batch, status);
    dk_memory_free(batch.rows);
    dk_arena_clear(&batch.arena);
    (void)fclose(file);
    return status;
}
