/* SPDX-License-Identifier: Apache-2.0
 *
 * What the decider's tests share: a real store in a folder of its own with an organisation, two
 * territories, users and devices; changesets built by hand, sent through the wire's text; readers
 * for what stands afterwards and for what each device would be sent.
 */
#ifndef DAYBOOK_TESTS_DECIDE_WORLD_H
#define DAYBOOK_TESTS_DECIDE_WORLD_H

#include "tests/unit/decide_faults.h"

#include <dirent.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORLD_NOW_MS INT64_C(1795000000000)
#define CHANGES_MAX 12000

/* The columns of a table of cases. */
enum { EAST, WEST, TERRITORIES };

struct device {
    struct decide_author author;
    struct id instance;
    int64_t seq, settled; /* seq: given out */
};

struct world {
    char folder[256];
    struct srv_store *store, *reader;
    struct decide *decide;
    struct arena arena;  /* of the test */
    struct arena scopes; /* of the authors */
    struct decide_org org;
    struct id territories[TERRITORIES];
    struct device li, wang;            /* reps in the east */
    struct device tom, office, server; /* tom: a rep in the west */
    int64_t now_ms;
    uint32_t next_id;
    /* the changeset being built */
    struct change *changes;
    int count, schema;
    int64_t hlc_ms; /* 0: now */
    uint64_t epoch; /* 0: the store's */
    struct id last_changeset;
    char *last_text;
    size_t last_length;
    struct buffer page, rows;
    int64_t position; /* of the last page */
    bool held;        /* one transaction for many decisions */
};

/* An id that no other call gives. */
static inline struct id new_id(struct world *world)
{
    struct id id = {{0x01, 0x92}};
    uint32_t number = ++world->next_id;
    id.bytes[6] = 0x70;
    id.bytes[8] = 0x80;
    for (int i = 0; i < 4; i++) {
        id.bytes[12 + i] = (uint8_t)(number >> (24 - 8 * i));
    }
    return id;
}

/* ---- building a changeset */

static inline void change_record(struct world *world, enum block_op op, int entity,
                                 const struct id *id, int64_t seen)
{
    struct change *change = &world->changes[world->count++];
    assert_true(world->count <= CHANGES_MAX);
    *change = (struct change){.op = op, .entity = dk_entity(entity), .id = *id, .seen = seen};
    change->values = dk_arena_new(&world->arena, LIMIT_FIELDS * sizeof *change->values);
    assert_non_null(change->values);
}

static inline struct id make_record(struct world *world, int entity)
{
    struct id id = new_id(world);
    change_record(world, BLOCK_NEW, entity, &id, 0);
    return id;
}

static inline void edit_record(struct world *world, int entity, const struct id *id, int64_t seen)
{
    change_record(world, BLOCK_SET, entity, id, seen);
}

static inline void delete_record(struct world *world, int entity, const struct id *id, int64_t seen)
{
    change_record(world, BLOCK_DELETE, entity, id, seen);
}

static inline struct field_value *add_value(struct world *world, int field)
{
    struct change *change = &world->changes[world->count - 1];
    struct field_value *value = &change->values[change->value_count++];
    *value = (struct field_value){.field = field};
    return value;
}

static inline void put_null(struct world *world, int field)
{
    (void)add_value(world, field);
}

static inline void put_int(struct world *world, int field, int64_t integer)
{
    add_value(world, field)->value = (struct value){.kind = VALUE_INT, .integer = integer};
}

static inline void put_text(struct world *world, int field, const char *text)
{
    add_value(world, field)->value =
        (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(text), .text = text};
}

static inline void put_id(struct world *world, int field, const struct id *id)
{
    add_value(world, field)->value = (struct value){.kind = VALUE_ID, .id = *id};
}

/* A field of a newer schema, as raw JSON. */
static inline void put_extra(struct world *world, const char *name, const char *raw)
{
    struct field_value *value = add_value(world, -1);
    value->name = name;
    value->name_length = (uint32_t)strlen(name);
    value->value = (struct value){.kind = VALUE_TEXT, .length = (uint32_t)strlen(raw), .text = raw};
    world->schema = SCHEMA_VERSION + 1;
}

/* ---- sending it */

static inline daybook_status give_text(void *context, const char **bytes, size_t *length)
{
    struct world *world = context;
    *bytes = world->last_text;
    *length = world->last_length;
    return DAYBOOK_OK;
}

/* Many decisions in one transaction, because a commit waits for the disk. */
static inline void hold_transaction(struct world *world)
{
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    world->held = true;
}

static inline void let_go(struct world *world)
{
    world->held = false;
    assert_int_equal(srv_decide_finish(world->decide, &world->org), DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
}

/* Decides one input in a transaction of its own. */
static inline enum decide_answer decide_input(struct world *world, struct device *device,
                                              const struct decide_input *input,
                                              struct verdict *verdict)
{
    enum decide_answer answer;
    bool alone = !world->held;
    if (alone) {
        decide_with_faults(world->decide, world->store, &world->org, &device->author, input,
                           world->now_ms);
        hold_transaction(world);
    }
    assert_int_equal(srv_decide(world->decide, &world->org, &device->author, input, world->now_ms,
                                verdict, &answer),
                     DAYBOOK_OK);
    if (alone) {
        let_go(world);
    }
    return answer;
}

/* Decodes a changeset's text as the service does. */
static inline void decode_text(struct world *world, const char *text, size_t length,
                               struct decide_input *input)
{
    const char *problem;
    char *copy = dk_arena_copy(&world->arena, text, length);
    assert_non_null(copy);
    memset(input, 0, sizeof *input);
    assert_true(srv_decide_digest(text, length, input->digest));
    bool decoded = dk_changeset_decode(copy, length, &world->arena, &input->changeset,
                                       &input->refusal, &input->refused, &problem);
    if (!decoded && problem != NULL) {
        fail_msg("the changeset is damaged: %s: %s", problem, text);
    }
    input->text = give_text;
    input->context = world;
}

/* Encodes what was built as this seq of the device, and begins the next. */
static inline void encode_changeset(struct world *world, int64_t seq, const struct id *id)
{
    struct buffer text;
    struct changeset changeset = {
        .id = *id,
        .seq = seq,
        .epoch = world->epoch == 0 ? srv_store_epoch(world->store) : world->epoch,
        .time = (hlc)(world->hlc_ms == 0 ? world->now_ms : world->hlc_ms) << 16,
        .boot = 1,
        .steady_ms = 1,
        .schema = world->schema,
        .change_count = world->count,
        .changes = world->changes};
    dk_buffer_init(&text, (size_t)64 * 1024 * 1024);
    dk_changeset_encode(&text, &changeset);
    assert_int_equal(text.status, DAYBOOK_OK);
    free(world->last_text);
    world->last_length = text.length;
    world->last_text = malloc(text.length + 1);
    assert_non_null(world->last_text);
    memcpy(world->last_text, text.bytes, text.length);
    world->last_text[text.length] = '\0';
    dk_buffer_clear(&text);
    world->last_changeset = *id;
    world->count = 0;
    world->hlc_ms = 0;
    world->epoch = 0;
    world->schema = SCHEMA_VERSION;
}

/* Sends the text that was encoded last. */
static inline enum decide_answer resend(struct world *world, struct device *device,
                                        struct verdict *verdict)
{
    struct decide_input input;
    decode_text(world, world->last_text, world->last_length, &input);
    return decide_input(world, device, &input, verdict);
}

/* Sends what was built as the device's next changeset; the server's goes in as it is. */
static inline struct verdict send_changeset(struct world *world, struct device *device)
{
    struct verdict verdict;
    struct id id = new_id(world);
    if (device->author.is_server) {
        struct decide_input input = {.changeset = {.id = id,
                                                   .seq = device->author.decided + 1,
                                                   .epoch = srv_store_epoch(world->store),
                                                   .time = (hlc)world->now_ms << 16,
                                                   .schema = SCHEMA_VERSION,
                                                   .change_count = world->count,
                                                   .changes = world->changes}};
        world->count = 0;
        world->last_changeset = id;
        assert_int_equal(decide_input(world, device, &input, &verdict), DECIDE_VERDICT);
        return verdict;
    }
    encode_changeset(world, device->author.decided + 1, &id);
    assert_int_equal(resend(world, device, &verdict), DECIDE_VERDICT);
    return verdict;
}

/* Sends it and expects this verdict; returns its position. */
static inline int64_t expect_kind(struct world *world, struct device *device,
                                  enum verdict_kind kind)
{
    struct verdict verdict = send_changeset(world, device);
    if (verdict.kind != kind) {
        fail_msg("%s %s %s %s %s", dk_verdict_name(verdict.kind), dk_reject_name(verdict.code),
                 verdict.entity, verdict.field, verdict.rule);
    }
    return verdict.position;
}

static inline int64_t accept(struct world *world, struct device *device)
{
    return expect_kind(world, device, VERDICT_ACCEPTED);
}

static inline int64_t merge(struct world *world, struct device *device)
{
    return expect_kind(world, device, VERDICT_MERGED);
}

/* Sends it and expects this rejection, by code, field and rule. */
static inline void reject(struct world *world, struct device *device, enum reject_code code,
                          const char *field, const char *rule)
{
    int64_t head = world->org.head;
    struct verdict verdict = send_changeset(world, device);
    if (verdict.kind != VERDICT_REJECTED || verdict.code != code ||
        strcmp(verdict.field, field) != 0 || strcmp(verdict.rule, rule) != 0) {
        fail_msg("%s %s %s %s %s, expected %s %s %s", dk_verdict_name(verdict.kind),
                 dk_reject_name(verdict.code), verdict.entity, verdict.field, verdict.rule,
                 dk_reject_name(code), field, rule);
    }
    assert_int_equal(verdict.position, 0);
    assert_int_equal(world->org.head, head);
}

/* ---- reading what stands */

static inline bool read_row(struct world *world, int entity, const struct id *id,
                            struct srv_record *row)
{
    bool found;
    assert_int_equal(srv_store_get(world->store, world->org.org, dk_entity(entity), id,
                                   &world->arena, row, &found),
                     DAYBOOK_OK);
    return found;
}

static inline bool is_live(struct world *world, int entity, const struct id *id)
{
    struct srv_record row;
    return read_row(world, entity, id, &row) && !row.deleted;
}

static inline int64_t version_of(struct world *world, int entity, const struct id *id)
{
    struct srv_record row;
    assert_true(read_row(world, entity, id, &row));
    return row.record.version;
}

static inline struct value value_of(struct world *world, int entity, const struct id *id, int field)
{
    struct srv_record row;
    assert_true(read_row(world, entity, id, &row));
    assert_false(row.deleted);
    return row.record.values[field];
}

/* NULL: no value. */
static inline void expect_text(struct world *world, int entity, const struct id *id, int field,
                               const char *text)
{
    struct value value = value_of(world, entity, id, field);
    if (text == NULL) {
        assert_int_equal(value.kind, VALUE_NULL);
        return;
    }
    assert_int_equal(value.kind, VALUE_TEXT);
    const char *copy = dk_arena_copy(&world->arena, value.text, value.length);
    assert_string_equal(copy, text);
}

static inline void expect_int(struct world *world, int entity, const struct id *id, int field,
                              int64_t integer)
{
    struct value value = value_of(world, entity, id, field);
    assert_int_equal(value.kind, VALUE_INT);
    assert_int_equal(value.integer, integer);
}

/* ---- what a device would be sent */

/* The log after `after` as the device would get it, in one page; NUL-terminated. */
static inline const char *pull(struct world *world, struct device *device, int64_t after,
                               int64_t page_bytes)
{
    struct scope scope;
    struct arena *arena = &world->arena;
    int64_t head;
    dk_buffer_reset(&world->page);
    assert_int_equal(srv_store_begin_read(world->reader), DAYBOOK_OK);
    assert_int_equal(srv_scope_of(world->reader, &device->author.account, SCOPE_NOW, arena, &scope),
                     DAYBOOK_OK);
    assert_int_equal(srv_store_get_head(world->reader, world->org.org, &head), DAYBOOK_OK);
    struct page page = {.reader = world->reader,
                        .org = world->org.org,
                        .device_no = device->author.device_no,
                        .settled = device->settled,
                        .after = after,
                        .head = head,
                        .upto = head,
                        .page_bytes = page_bytes,
                        .scope = &scope,
                        .arena = arena,
                        .rows = &world->rows,
                        .out = &world->page};
    assert_int_equal(srv_page_build(&page, &world->position), DAYBOOK_OK);
    srv_store_end_read(world->reader);
    return dk_buffer_text(&world->page);
}

static inline const char *pull_all(struct world *world, struct device *device, int64_t after)
{
    return pull(world, device, after, LIMIT_REPLY_EXPANDED);
}

/* The wire form of an id, in the world's arena. */
static inline const char *wire(struct world *world, const struct id *id)
{
    char text[ID_WIRE_LENGTH];
    dk_id_to_wire(id, text);
    return dk_arena_copy(&world->arena, text, sizeof text);
}

static inline void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL) {
        fail_msg("\"%s\" is not in %s", part, text);
    }
}

static inline void expect_not_in(const char *text, const char *part)
{
    if (strstr(text, part) != NULL) {
        fail_msg("\"%s\" is in %s", part, text);
    }
}

/* ---- the world */

/* A device of a user. */
static inline void make_device(struct world *world, struct device *device, const struct id *user)
{
    struct srv_device row = {.org = world->org.org, .user = *user, .instance = new_id(world)};
    uint8_t hash[SRV_HASH_SIZE];
    bool found;
    assert_true(srv_hash(row.instance.bytes, ID_SIZE, hash));
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_add_device(world->store, &row, hash), DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    memset(device, 0, sizeof *device);
    device->instance = row.instance;
    device->author.device_no = row.device_no;
    assert_int_equal(srv_store_get_account(world->store, user, &device->author.account, &found),
                     DAYBOOK_OK);
    assert_true(found);
    assert_int_equal(srv_scope_of(world->store, &device->author.account, SCOPE_NOW, &world->scopes,
                                  &device->author.scope),
                     DAYBOOK_OK);
}

/* A user's record, and a device of theirs. */
static inline void make_user(struct world *world, struct device *device, const char *login,
                             const char *role, const struct id *territory)
{
    struct id user = make_record(world, ENTITY_USER);
    put_text(world, USER_NAME, login);
    put_text(world, USER_LOGIN, login);
    put_text(world, USER_ROLE, role);
    if (territory != NULL) {
        put_id(world, USER_TERRITORY_ID, territory);
    }
    (void)accept(world, &world->server);
    make_device(world, device, &user);
}

/* The organisation and the server's own device, as init makes them. */
static inline void make_organisation(struct world *world)
{
    struct caller caller;
    int64_t bucket;
    world->org.id = new_id(world);
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_store_add_organisation(world->store, &world->org.id, &world->org.org),
                     DAYBOOK_OK);
    assert_int_equal(srv_store_bucket(world->store, world->org.org, SCOPE_ORGANISATION, &bucket),
                     DAYBOOK_OK);
    assert_int_equal(srv_store_bucket(world->store, world->org.org, SCOPE_NO_TERRITORY, &bucket),
                     DAYBOOK_OK);
    assert_int_equal(srv_server_device(world->store, world->org.org, &world->arena, &caller),
                     DAYBOOK_OK);
    assert_int_equal(srv_store_commit(world->store), DAYBOOK_OK);
    world->server.author = (struct decide_author){
        .account = caller.account, .device_no = caller.device.device_no, .is_server = true};
}

/* Opens store, reader and decider on the world's folder. */
static inline void open_world(struct world *world, size_t memory_max)
{
    char problem[200] = "";
    struct log log = {NULL, NULL, 0};
    struct srv_store_options options = {.folder = world->folder, .writer = true};
    if (srv_store_open_sqlite(&options, &world->store, problem, sizeof problem) != DAYBOOK_OK) {
        fail_msg("%s", problem);
    }
    options.writer = false;
    assert_int_equal(srv_store_open_sqlite(&options, &world->reader, problem, sizeof problem),
                     DAYBOOK_OK);
    world->decide = srv_decide_new(world->store, &log, memory_max);
    assert_non_null(world->decide);
}

static inline void remove_folder(const char *folder)
{
    DIR *directory = opendir(folder);
    char path[512];
    for (struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        (void)unlink(path);
    }
    if (directory != NULL) {
        (void)closedir(directory);
    }
    (void)rmdir(folder);
}

static inline int setup_world(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    const char *base = getenv("TMPDIR");
    assert_non_null(world);
    (void)snprintf(world->folder, sizeof world->folder, "%s/test_decide.XXXXXX",
                   base == NULL ? "/tmp" : base);
    assert_non_null(mkdtemp(world->folder));
    dk_arena_init(&world->arena, (size_t)1024 * 1024 * 1024);
    dk_arena_init(&world->scopes, (size_t)64 * 1024 * 1024);
    dk_buffer_init(&world->page, (size_t)64 * 1024 * 1024);
    dk_buffer_init(&world->rows, (size_t)64 * 1024 * 1024);
    world->changes = calloc(CHANGES_MAX, sizeof *world->changes);
    assert_non_null(world->changes);
    world->schema = SCHEMA_VERSION;
    world->now_ms = WORLD_NOW_MS;
    open_world(world, 0);
    make_organisation(world);
    for (int i = 0; i < TERRITORIES; i++) {
        world->territories[i] = make_record(world, ENTITY_TERRITORY);
        put_text(world, TERRITORY_NAME, i == EAST ? "East" : "West");
        (void)accept(world, &world->server);
    }
    make_user(world, &world->li, "li", "rep", &world->territories[EAST]);
    make_user(world, &world->wang, "wang", "rep", &world->territories[EAST]);
    make_user(world, &world->tom, "tom", "rep", &world->territories[WEST]);
    make_user(world, &world->office, "office", "back_office", NULL);
    *state = world;
    return 0;
}

static inline int teardown_world(void **state)
{
    struct world *world = *state;
    srv_decide_free(world->decide);
    dk_memory_free(world->org.sums);
    srv_store_close(world->reader);
    srv_store_close(world->store);
    dk_buffer_clear(&world->page);
    dk_buffer_clear(&world->rows);
    dk_arena_clear(&world->arena);
    dk_arena_clear(&world->scopes);
    remove_folder(world->folder);
    free(world->last_text);
    free(world->changes);
    free(world);
    return 0;
}

/* ---- records that most tests need */

static inline struct id make_customer(struct world *world, struct device *device, const char *name)
{
    struct id id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, name);
    (void)accept(world, device);
    return id;
}

static inline struct id make_product(struct world *world, const char *code)
{
    struct id id = make_record(world, ENTITY_PRODUCT);
    put_text(world, PRODUCT_CODE, code);
    put_text(world, PRODUCT_NAME, code);
    put_text(world, PRODUCT_UOM, "box");
    put_int(world, PRODUCT_TAX_BP, 1300);
    (void)accept(world, &world->server);
    return id;
}

/* Into the changeset being built. */
static inline struct id add_quote(struct world *world, const struct id *customer)
{
    struct id id = make_record(world, ENTITY_QUOTE);
    put_id(world, QUOTE_CUSTOMER_ID, customer);
    put_text(world, QUOTE_CUR, "CNY");
    return id;
}

static inline struct id add_line(struct world *world, const struct id *quote,
                                 const struct id *product, int64_t qty)
{
    struct id id = make_record(world, ENTITY_QUOTE_LINE);
    put_id(world, QUOTE_LINE_QUOTE_ID, quote);
    put_id(world, QUOTE_LINE_PRODUCT_ID, product);
    put_int(world, QUOTE_LINE_QTY, qty);
    put_int(world, QUOTE_LINE_PRICE_E4, 100000);
    return id;
}

/* The group of quantity and unit, whole. */
static inline void put_qty(struct world *world, int64_t qty)
{
    put_int(world, QUOTE_LINE_QTY, qty);
    put_null(world, QUOTE_LINE_UOM);
}

#endif
