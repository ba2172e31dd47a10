/* SPDX-License-Identifier: Apache-2.0
 *
 * See desk.h. Owns the folder and everything that a test puts together; one desk is one
 * store.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#define FIRST_MS INT64_C(1730968000000)

/* ---- the platform */

static int64_t wall_ms(void *context)
{
    return ((struct desk *)context)->now_ms;
}

static uint64_t boot_id(void *context)
{
    (void)context;
    return 8674665223082153551u;
}

uint64_t desk_random(struct desk *desk)
{
    uint64_t x = desk->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    desk->random = x;
    return x * UINT64_C(0x2545F4914F6CDD1D);
}

static bool random_bytes(void *context, void *bytes, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        ((uint8_t *)bytes)[i] = (uint8_t)(desk_random(context) >> 32);
    }
    return true;
}

static void observe(void *context, uint64_t entities)
{
    struct desk *desk = context;
    desk->changed |= entities;
    desk->told++;
}

/* ---- opening */

void desk_init(struct desk *desk)
{
    memset(desk, 0, sizeof *desk);
    const char *parent = getenv("TMPDIR");
    (void)dk_text_format(desk->folder, sizeof desk->folder, "%s/daybook-store-XXXXXX",
                         parent == NULL ? "/tmp" : parent);
    assert_non_null(mkdtemp(desk->folder));
    (void)dk_text_format(desk->path, sizeof desk->path, "%s/store.db", desk->folder);
    desk->now_ms = FIRST_MS;
    desk->random = 88172645463325252u;
    desk->platform = (daybook_platform){.size = sizeof desk->platform,
                                        .context = desk,
                                        .wall_ms = wall_ms,
                                        .steady_ms = wall_ms,
                                        .boot_id = boot_id,
                                        .random = random_bytes};
    desk->options = (struct store_options){
        .path = desk->path, .platform = &desk->platform, .changed = observe, .context = desk};
    dk_arena_init(&desk->arena, (size_t)256 * 1024 * 1024);
    dk_buffer_init(&desk->log, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&desk->verdicts, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&desk->scope, LIMIT_REPLY_EXPANDED);
    dk_buffer_init(&desk->pages, LIMIT_REPLY_EXPANDED);
}

void desk_open_expect(struct desk *desk, daybook_status status)
{
    daybook_status got =
        dk_store_open(&desk->options, &desk->store, desk->problem, sizeof desk->problem);
    if (got != status) {
        print_error("open gave %d: %s\n", (int)got, desk->problem);
    }
    assert_int_equal(got, status);
}

void desk_open(struct desk *desk)
{
    desk_open_expect(desk, DAYBOOK_OK);
}

void desk_close(struct desk *desk)
{
    dk_store_close(desk->store);
    desk->store = NULL;
}

void desk_clear(struct desk *desk)
{
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm",
                                        "store.db.lock"};
    char path[400];
    desk_close(desk);
    dk_arena_clear(&desk->arena);
    dk_buffer_clear(&desk->log);
    dk_buffer_clear(&desk->verdicts);
    dk_buffer_clear(&desk->scope);
    dk_buffer_clear(&desk->pages);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        (void)dk_text_format(path, sizeof path, "%s/%s", desk->folder, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(desk->folder), 0);
}

struct id desk_fixed_id(uint8_t byte)
{
    struct id id;
    memset(id.bytes, byte, sizeof id.bytes);
    return id;
}

void desk_enrol(struct desk *desk, int64_t device_no)
{
    struct enrol_reply reply = {.protocol = PROTOCOL_VERSION,
                                .token = "a token",
                                .device_no = device_no,
                                .organisation = desk_fixed_id(0xA1),
                                .user = desk_fixed_id(0xA2),
                                .territory = desk_fixed_id(0xA3),
                                .role = "rep",
                                .epoch = DESK_EPOCH};
    assert_int_equal(dk_store_enrolled(desk->store, &reply), DAYBOOK_OK);
}

void desk_begin(struct desk *desk)
{
    desk_init(desk);
    desk_open(desk);
    desk_enrol(desk, 5);
}

struct id desk_id(struct desk *desk)
{
    struct id id;
    desk->now_ms++;
    assert_int_equal(dk_store_new_id(desk->store, &id), DAYBOOK_OK);
    return id;
}

/* ---- a local transaction */

static void add_change(struct desk *desk, enum block_op op, int entity, const struct id *id,
                       int64_t seen)
{
    assert_true(desk->change_count < DESK_CHANGES);
    struct change *change = &desk->changes[desk->change_count++];
    *change = (struct change){.op = op, .entity = dk_entity(entity), .id = *id, .seen = seen};
    change->values = dk_arena_new(&desk->arena, DESK_VALUES * sizeof *change->values);
    desk->values = change->values;
    desk->value_count = &change->value_count;
    desk->entity = change->entity;
}

void desk_new(struct desk *desk, int entity, const struct id *id)
{
    add_change(desk, BLOCK_NEW, entity, id, 0);
}

void desk_set(struct desk *desk, int entity, const struct id *id, int64_t seen)
{
    add_change(desk, BLOCK_SET, entity, id, seen);
}

void desk_delete(struct desk *desk, int entity, const struct id *id, int64_t seen)
{
    add_change(desk, BLOCK_DELETE, entity, id, seen);
}

static struct value *add_value(struct desk *desk, int field)
{
    assert_true(*desk->value_count < DESK_VALUES);
    struct field_value *value = &desk->values[(*desk->value_count)++];
    memset(value, 0, sizeof *value);
    value->field = field;
    return &value->value;
}

void desk_text(struct desk *desk, int field, const char *text)
{
    struct value *value = add_value(desk, field);
    if (text != NULL) {
        value->kind = VALUE_TEXT;
        value->length = (uint32_t)strlen(text);
        value->text = dk_arena_copy(&desk->arena, text, strlen(text));
    }
}

void desk_int(struct desk *desk, int field, int64_t number)
{
    *add_value(desk, field) = (struct value){.kind = VALUE_INT, .integer = number};
}

void desk_ref(struct desk *desk, int field, const struct id *id)
{
    *add_value(desk, field) = (struct value){.kind = VALUE_ID, .id = *id};
}

void desk_unknown(struct desk *desk, const char *name, const char *raw)
{
    desk_text(desk, -1, raw);
    struct field_value *value = &desk->values[*desk->value_count - 1];
    value->name = name;
    value->name_length = (uint32_t)strlen(name);
}

daybook_status desk_try_commit(struct desk *desk)
{
    desk->now_ms++;
    daybook_status status = desk_call_commit(desk);
    desk->change_count = 0;
    return status;
}

void desk_commit_expect(struct desk *desk, daybook_status status)
{
    daybook_status got = desk_try_commit(desk);
    if (got != status) {
        print_error("commit gave %d (%s, rule %s)\n", (int)got,
                    desk->failure.refusal.field == NULL ? "" : desk->failure.refusal.field,
                    desk->failure.refusal.rule == NULL ? "" : desk->failure.refusal.rule);
    }
    assert_int_equal(got, status);
}

void desk_commit(struct desk *desk)
{
    desk_commit_expect(desk, DAYBOOK_OK);
}

struct id desk_customer(struct desk *desk, const char *name)
{
    struct id id = desk_id(desk);
    desk_new(desk, ENTITY_CUSTOMER, &id);
    desk_text(desk, CUSTOMER_NAME, name);
    desk_commit(desk);
    return id;
}

/* ---- a reply */

/* Writes the row begun last, whose values are complete now. */
static void end_row(struct desk *desk);
struct pending_row {
    bool open;
    enum block_op op;
    int64_t bucket, position;
    struct id id;
};

/* The row under construction, beside its values in row_values. */
static struct pending_row *row_of(struct desk *desk)
{
    static _Thread_local struct pending_row row;
    (void)desk;
    return &row;
}

static void open_log(struct desk *desk)
{
    if (!desk->log_open) {
        dk_buffer_reset(&desk->log);
        dk_block_begin(&desk->log_writer, &desk->log);
        desk->log_open = true;
    }
}

static void end_row(struct desk *desk)
{
    struct pending_row *row = row_of(desk);
    struct buffer header;
    if (!row->open) {
        return;
    }
    row->open = false;
    dk_buffer_init(&header, 65536);
    dk_block_header(&header, row->op, desk->entity, row->bucket, desk->row_values,
                    desk->row_value_count);
    dk_block_row(&desk->log_writer, header.bytes, header.length);
    dk_buffer_append_char(&desk->log, '[');
    dk_buffer_append_int(&desk->log, row->position);
    dk_block_row_tail(&desk->log, desk->entity, &row->id, desk->row_values, desk->row_value_count);
    dk_buffer_clear(&header);
}

void desk_row(struct desk *desk, enum block_op op, int entity, int64_t bucket, int64_t position,
              const struct id *id)
{
    open_log(desk);
    end_row(desk);
    *row_of(desk) = (struct pending_row){true, op, bucket, position, *id};
    desk->entity = dk_entity(entity);
    desk->row_value_count = 0;
    desk->values = desk->row_values;
    desk->value_count = &desk->row_value_count;
}

void desk_own_id(struct desk *desk, int64_t position, int64_t seq, const struct id *changeset,
                 int64_t bucket)
{
    static const char header[] = "{\"op\":\"own\"";
    char wire[ID_WIRE_LENGTH];
    open_log(desk);
    end_row(desk);
    dk_block_row(&desk->log_writer, header, sizeof header - 1);
    dk_id_to_wire(changeset, wire);
    dk_buffer_append_char(&desk->log, '[');
    dk_buffer_append_int(&desk->log, position);
    dk_buffer_append_text(&desk->log, ",\"");
    dk_buffer_append(&desk->log, wire, sizeof wire);
    dk_buffer_append_text(&desk->log, "\",");
    dk_buffer_append_int(&desk->log, seq);
    dk_buffer_append_char(&desk->log, ',');
    dk_buffer_append_int(&desk->log, bucket);
    dk_buffer_append_char(&desk->log, ']');
}

void desk_own(struct desk *desk, int64_t position, int64_t seq, int64_t bucket)
{
    struct id id = desk_changeset(desk, seq);
    desk_own_id(desk, position, seq, &id, bucket);
}

void desk_raw_log(struct desk *desk, const char *blocks)
{
    end_row(desk);
    dk_buffer_reset(&desk->log);
    dk_buffer_append_text(&desk->log, blocks);
    desk->log_open = false;
}

/* ,"name":["customer","id"] where there is one. */
static void append_key(struct buffer *out, const char *name, const struct id *id)
{
    char wire[ID_WIRE_LENGTH + 1] = "", key[100];
    if (id != NULL) {
        dk_id_to_wire(id, wire);
        (void)dk_text_format(key, sizeof key, ",\"%s\":[\"customer\",\"%s\"]", name, wire);
        dk_buffer_append_text(out, key);
    }
}

void desk_page(struct desk *desk, int64_t bucket, int64_t head, const struct id *after,
               const struct id *next)
{
    char text[100];
    open_log(desk);
    end_row(desk);
    dk_block_end(&desk->log_writer);
    desk->log_open = false;
    (void)dk_text_format(text, sizeof text, "%s{\"bucket\":%lld,\"head\":%lld",
                         desk->pages.length == 0 ? "[" : ",", (long long)bucket, (long long)head);
    dk_buffer_append_text(&desk->pages, text);
    append_key(&desk->pages, "after", after);
    append_key(&desk->pages, "next", next);
    dk_buffer_append_text(&desk->pages, ",\"rows\":");
    dk_buffer_append(&desk->pages, desk->log.bytes, desk->log.length);
    dk_buffer_append_char(&desk->pages, '}');
    assert_int_equal(desk->pages.status, DAYBOOK_OK);
    dk_buffer_reset(&desk->log);
}

void desk_reset(struct desk *desk, uint64_t epoch, int64_t position)
{
    desk->reply.reset = true;
    desk->reply.epoch = epoch;
    desk_apply_upto(desk, position, position);
}

void desk_verdict(struct desk *desk, const struct verdict *verdict)
{
    dk_buffer_append_char(&desk->verdicts, desk->verdicts.length == 0 ? '[' : ',');
    dk_verdict_write(&desk->verdicts, verdict);
}

void desk_accepted(struct desk *desk, int64_t seq, int64_t position)
{
    struct verdict verdict = {.seq = seq, .kind = VERDICT_ACCEPTED, .position = position};
    desk_verdict(desk, &verdict);
}

void desk_rejected(struct desk *desk, int64_t seq, enum reject_code code, const struct id *cause)
{
    struct verdict verdict = {.seq = seq, .kind = VERDICT_REJECTED, .code = code};
    if (cause != NULL) {
        verdict.cause = *cause;
    }
    desk_verdict(desk, &verdict);
}

void desk_scope(struct desk *desk, const char *json)
{
    dk_buffer_reset(&desk->scope);
    dk_buffer_append_text(&desk->scope, json);
}

daybook_status desk_try_apply(struct desk *desk, int64_t position, int64_t head)
{
    struct sync_reply *reply = &desk->reply;
    end_row(desk);
    if (desk->log_open) {
        dk_block_end(&desk->log_writer);
    }
    if (desk->verdicts.length > 0) {
        dk_buffer_append_char(&desk->verdicts, ']');
    }
    if (desk->pages.length > 0) {
        dk_buffer_append_char(&desk->pages, ']');
    }
    assert_int_equal(desk->log.status | desk->verdicts.status | desk->scope.status, DAYBOOK_OK);
    reply->protocol = PROTOCOL_VERSION;
    reply->epoch = reply->epoch == 0 ? DESK_EPOCH : reply->epoch;
    reply->server_ms = desk->now_ms;
    reply->position = position;
    reply->head = head;
    reply->safe_position = reply->safe_position == 0 ? head : reply->safe_position;
    reply->safe_position = reply->safe_position < 0 ? 0 : reply->safe_position;
    reply->more = position < head;
    daybook_status status = desk_call_apply(desk);
    memset(reply, 0, sizeof *reply);
    dk_buffer_reset(&desk->log);
    dk_buffer_reset(&desk->verdicts);
    dk_buffer_reset(&desk->scope);
    dk_buffer_reset(&desk->pages);
    desk->log_open = false;
    return status;
}

void desk_apply_upto(struct desk *desk, int64_t position, int64_t head)
{
    daybook_status status = desk_try_apply(desk, position, head);
    if (status != DAYBOOK_OK) {
        print_error("apply gave %d: %s\n", (int)status,
                    desk->reply_problem == NULL ? "" : desk->reply_problem);
    }
    assert_int_equal(status, DAYBOOK_OK);
    desk_check(desk);
}

void desk_apply(struct desk *desk, int64_t position)
{
    desk_apply_upto(desk, position, position);
}

void desk_apply_expect(struct desk *desk, int64_t position, daybook_status status)
{
    assert_int_equal(desk_try_apply(desk, position, position), status);
    desk_check(desk);
}

void desk_send(struct desk *desk)
{
    struct buffer out;
    struct store_batch batch;
    int64_t after = 0;
    dk_buffer_init(&out, LIMIT_REPLY_EXPANDED);
    do { /* a request has no gap in its numbers */
        dk_buffer_reset(&out);
        assert_int_equal(
            dk_store_collect(desk->store, after, LIMIT_REPLY_EXPANDED, 100000, &out, &batch),
            DAYBOOK_OK);
        after = batch.last_seq;
    } while (batch.count > 0);
    dk_buffer_clear(&out);
}

/* ---- looking */

void desk_check(struct desk *desk)
{
    if (!dk_store_check(desk->store, desk->problem, sizeof desk->problem)) {
        print_error("check: %s\n", desk->problem);
        fail();
    }
}

static bool read_record(struct desk *desk, int entity, const struct id *id, struct record *record)
{
    bool found = false;
    assert_int_equal(
        dk_store_read(desk->store, dk_entity(entity), id, &desk->arena, record, &found),
        DAYBOOK_OK);
    return found;
}

bool desk_has(struct desk *desk, int entity, const struct id *id)
{
    struct record record;
    return read_record(desk, entity, id, &record);
}

static struct value read_field(struct desk *desk, int entity, const struct id *id, int field)
{
    struct record record;
    assert_true(read_record(desk, entity, id, &record));
    return record.values[field];
}

void desk_expect_text(struct desk *desk, int entity, const struct id *id, int field,
                      const char *text)
{
    struct value value = read_field(desk, entity, id, field);
    assert_int_equal(value.kind, VALUE_TEXT);
    assert_string_equal(value.text, text); /* the store's copies end with NUL */
}

void desk_expect_int(struct desk *desk, int entity, const struct id *id, int field, int64_t number)
{
    struct value value = read_field(desk, entity, id, field);
    assert_int_equal(value.kind, VALUE_INT);
    assert_int_equal(value.integer, number);
}

void desk_expect_null(struct desk *desk, int entity, const struct id *id, int field)
{
    assert_int_equal(read_field(desk, entity, id, field).kind, VALUE_NULL);
}

int64_t desk_version(struct desk *desk, int entity, const struct id *id)
{
    struct record record;
    assert_true(read_record(desk, entity, id, &record));
    return record.version;
}

void desk_expect_version(struct desk *desk, int entity, const struct id *id, int64_t version)
{
    assert_int_equal(desk_version(desk, entity, id), version);
}

struct store_state desk_state(struct desk *desk)
{
    struct store_state state;
    dk_store_state(desk->store, &state);
    return state;
}

const char *desk_sql(struct desk *desk, const char *sql)
{
    sqlite3 *handle = NULL;
    sqlite3_stmt *statement = NULL;
    const char *copy = "";
    assert_int_equal(sqlite3_open_v2(desk->path, &handle, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    if (sqlite3_prepare_v2(handle, sql, -1, &statement, NULL) != SQLITE_OK) {
        print_error("%s: %s\n", sql, sqlite3_errmsg(handle));
        fail();
    }
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL) {
        copy = dk_arena_copy(&desk->arena, (const char *)sqlite3_column_blob(statement, 0),
                             (size_t)sqlite3_column_bytes(statement, 0));
    }
    (void)sqlite3_finalize(statement);
    (void)sqlite3_close(handle);
    return copy;
}

int64_t desk_number(struct desk *desk, const char *sql)
{
    return strtoll(desk_sql(desk, sql), NULL, 10);
}

struct id desk_changeset(struct desk *desk, int64_t seq)
{
    struct id id;
    char sql[100];
    (void)dk_text_format(sql, sizeof sql, "SELECT id FROM outbox WHERE seq=%lld", (long long)seq);
    const char *bytes = desk_sql(desk, sql);
    memcpy(id.bytes, bytes, sizeof id.bytes);
    return id;
}
