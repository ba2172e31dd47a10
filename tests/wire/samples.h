/* SPDX-License-Identifier: Apache-2.0
 *
 * Every message, changeset, block and verdict of PROTOCOL.md once, built in C; test_golden.c
 * compares them with the golden files.
 */
#ifndef DAYBOOK_TESTS_WIRE_SAMPLES_H
#define DAYBOOK_TESTS_WIRE_SAMPLES_H

#include "engine/protocol/changeset.h"
#include "engine/protocol/message.h"
#include "tests/wire/golden.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof(array)[0]))
#define TEXT(field_, text_)                                                                        \
    {                                                                                              \
        .field = (field_), .value = {                                                              \
            .kind = VALUE_TEXT,                                                                    \
            .length = sizeof(text_) - 1,                                                           \
            .text = (text_)                                                                        \
        }                                                                                          \
    }
#define INT(field_, integer_)                                                                      \
    {                                                                                              \
        .field = (field_), .value = {.kind = VALUE_INT, .integer = (integer_) }                    \
    }
#define NOTHING(field_)                                                                            \
    {                                                                                              \
        .field = (field_)                                                                          \
    }
#define EXTRA(name_, raw_)                                                                         \
    {                                                                                              \
        .field = -1, .name = (name_), .name_length = sizeof(name_) - 1, .value = {                 \
            .kind = VALUE_TEXT,                                                                    \
            .length = sizeof(raw_) - 1,                                                            \
            .text = (raw_)                                                                         \
        }                                                                                          \
    }

/* The ids of the examples: the n-th is 01929f6c-3a00-7000-8000-0000000000nn. */
static struct id example_id(uint8_t n)
{
    struct id id = {{0x01, 0x92, 0x9f, 0x6c, 0x3a, 0x00, 0x70, 0x00, 0x80}};
    id.bytes[15] = n;
    return id;
}

enum {
    ORGANISATION_1 = 1,
    USER_LI,
    TERRITORY_EAST,
    INSTANCE_LI,
    INSTANCE_NEW,
    CHANGESET_7,
    CHANGESET_8,
    CHANGESET_9,
    CUSTOMER_HE,
    VISIT_1,
    ACTION_1,
    ACTION_2,
    PRODUCT_1,
    QUOTE_1,
    LINE_1,
    LINE_2,
    CONTACT_1,
    CHANGESET_10,
    ORDER_1,
    CUSTOMER_WU
};

/* A field with an id. */
static struct field_value id_of(int field, uint8_t n)
{
    return (struct field_value){.field = field, .value = {.kind = VALUE_ID, .id = example_id(n)}};
}

/* ---- changesets */

/* Appends a changeset of Li's phone. */
static void write_changeset(struct buffer *out, uint8_t id, int64_t seq, int schema,
                            struct change *changes, int count)
{
    struct changeset changeset = {
        .id = example_id(id),
        .seq = seq,
        .epoch = UINT64_C(5577006791947779410),
        .time = (hlc)(UINT64_C(1730968140000) << 16 | 3),
        .boot = UINT64_C(8674665223082153551),
        .steady_ms = 5402133,
        .schema = schema,
        .change_count = count,
        .changes = changes,
    };
    dk_changeset_encode(out, &changeset);
}

/* A visit made offline with two actions, and the customer's tags. */
static void changeset_visit(struct buffer *out)
{
    struct field_value visit[] = {
        TEXT(VISIT_DOC_NO, "VI-0002K-000123"),
        id_of(VISIT_CUSTOMER_ID, CUSTOMER_HE),
        TEXT(VISIT_STATUS, "completed"),
        INT(VISIT_CHECKIN_TS, INT64_C(1730967900000)),
        INT(VISIT_CHECKIN_TZ, 480),
        INT(VISIT_CHECKIN_LAT, 312304160),
        INT(VISIT_CHECKIN_LON, 1214737010),
        INT(VISIT_CHECKIN_MOCK, 0),
        TEXT(VISIT_PARTICIPANTS, "[\"Li Na\",\"王芳\"]"),
        TEXT(VISIT_FEEDBACK, "Shelf is \"half\" empty;\n下周补货"),
    };
    struct field_value action_1[] = {
        id_of(VISIT_ACTION_VISIT_ID, VISIT_1), TEXT(VISIT_ACTION_KIND, "stock_count"),
        id_of(VISIT_ACTION_PRODUCT_ID, PRODUCT_1), INT(VISIT_ACTION_QTY, 18000)};
    struct field_value action_2[] = {id_of(VISIT_ACTION_VISIT_ID, VISIT_1),
                                     TEXT(VISIT_ACTION_KIND, "stock_count"),
                                     NOTHING(VISIT_ACTION_PRODUCT_ID), INT(VISIT_ACTION_QTY, -500)};
    struct field_value customer[] = {
        TEXT(FIELD_CUSTOM, "{\"colour\":null,\"floor\":3}"),
        TEXT(CUSTOMER_TAGS, "{\"add\":[\"gold\"],\"remove\":[\"new\"]}")};
    struct change changes[] = {
        {BLOCK_NEW, dk_entity(ENTITY_VISIT), example_id(VISIT_1), 0, COUNT(visit), visit, 0},
        {BLOCK_NEW, dk_entity(ENTITY_VISIT_ACTION), example_id(ACTION_1), 0, COUNT(action_1),
         action_1, 0},
        {BLOCK_NEW, dk_entity(ENTITY_VISIT_ACTION), example_id(ACTION_2), 0, COUNT(action_2),
         action_2, 0},
        {BLOCK_SET, dk_entity(ENTITY_CUSTOMER), example_id(CUSTOMER_HE), 812, COUNT(customer),
         customer, 0},
    };
    write_changeset(out, CHANGESET_7, 7, 1, changes, COUNT(changes));
}

/* A quote edited: a whole group travels; the document goes with its lines. */
static void changeset_quote(struct buffer *out)
{
    struct field_value line[] = {INT(QUOTE_LINE_PRICE_E4, 123456), INT(QUOTE_LINE_DISC_BP, 500),
                                 INT(QUOTE_LINE_LIST_VER, 7), NOTHING(QUOTE_LINE_PROMO_ID)};
    struct change changes[] = {
        {BLOCK_SET, dk_entity(ENTITY_QUOTE_LINE), example_id(LINE_1), 815, COUNT(line), line, 0},
        {BLOCK_DELETE, dk_entity(ENTITY_QUOTE_LINE), example_id(LINE_2), 815, 0, NULL, 0},
        {BLOCK_DELETE, dk_entity(ENTITY_CONTACT), example_id(CONTACT_1), 640, 0, NULL, 0},
    };
    write_changeset(out, CHANGESET_8, 8, 1, changes, COUNT(changes));
}

/* An order is confirmed, and one of its lines was seen in a later version than the order. */
static void changeset_order(struct buffer *out)
{
    struct field_value order[] = {TEXT(SALES_ORDER_STATUS, "confirmed")};
    struct change changes[] = {
        {BLOCK_SET, dk_entity(ENTITY_SALES_ORDER), example_id(ORDER_1), 820, COUNT(order), order,
         0},
        {BLOCK_SET, dk_entity(ENTITY_ORDER_LINE), example_id(LINE_1), 823, 0, NULL, 0},
    };
    write_changeset(out, CHANGESET_10, 10, 1, changes, COUNT(changes));
}

/* From a newer engine: two fields that this schema does not know. */
static void changeset_newer(struct buffer *out)
{
    struct field_value contact[] = {TEXT(CONTACT_TITLE, "Buyer"), EXTRA("pronoun", "\"she\""),
                                    EXTRA("scores", "[1,2.5e3,{\"a\":null}]")};
    struct change changes[] = {{BLOCK_SET, dk_entity(ENTITY_CONTACT), example_id(CONTACT_1), 640,
                                COUNT(contact), contact, 0}};
    write_changeset(out, CHANGESET_9, 9, 2, changes, COUNT(changes));
}

/* ---- log pages */

/* Appends one row of a log page. */
static void write_row(struct block_writer *writer, enum block_op op, int entity, int64_t bucket,
                      int64_t position, const struct id *id, const struct field_value *values,
                      int count)
{
    struct buffer header;
    dk_buffer_init(&header, GOLDEN_SIZE_MAX);
    dk_block_header(&header, op, dk_entity(entity), bucket, values, count);
    assert_int_equal(header.status, DAYBOOK_OK);
    dk_block_row(writer, header.bytes, header.length);
    dk_buffer_append_char(writer->out, '[');
    dk_buffer_append_int(writer->out, position);
    dk_block_row_tail(writer->out, dk_entity(entity), id, values, count);
    dk_buffer_clear(&header);
}

/* Appends a marker. */
static void write_own(struct block_writer *writer, int64_t position, const struct id *id,
                      int64_t seq, int64_t bucket)
{
    static const char header[] = "{\"op\":\"own\"";
    char text[ID_WIRE_LENGTH + 1] = "";
    dk_block_row(writer, header, sizeof header - 1);
    dk_id_to_wire(id, text);
    dk_buffer_append_char(writer->out, '[');
    dk_buffer_append_int(writer->out, position);
    dk_buffer_append_text(writer->out, ",\"");
    dk_buffer_append_text(writer->out, text);
    dk_buffer_append_text(writer->out, "\",");
    dk_buffer_append_int(writer->out, seq);
    dk_buffer_append_char(writer->out, ',');
    dk_buffer_append_int(writer->out, bucket);
    dk_buffer_append_char(writer->out, ']');
}

/* What a device reads: somebody else's work, its own, and what left its scope. */
static void log_page(struct buffer *out)
{
    struct block_writer writer;
    struct id he = example_id(CUSTOMER_HE), wu = example_id(CUSTOMER_WU), line = example_id(LINE_2);
    struct id visit = example_id(VISIT_1), own = example_id(CHANGESET_7);
    struct field_value made[] = {INT(FIELD_CREATED_TS, INT64_C(1730966000123)),
                                 id_of(FIELD_CREATED_BY, USER_LI),
                                 INT(FIELD_CREATED_DEV, 43),
                                 TEXT(FIELD_CUSTOM, "{\"vip\":true}"),
                                 TEXT(CUSTOMER_NAME, "吴记 Trading"),
                                 id_of(CUSTOMER_TERRITORY_ID, TERRITORY_EAST),
                                 TEXT(CUSTOMER_TAGS, "[\"gold\",\"north\"]"),
                                 EXTRA("segment", "\"A\"")};
    struct field_value changed[] = {TEXT(FIELD_CUSTOM, "{\"colour\":null,\"floor\":3}"),
                                    TEXT(CUSTOMER_PHONE, "+8613800138000")};
    struct field_value tags[] = {TEXT(CUSTOMER_TAGS, "[\"gold\"]")};
    struct field_value verified[] = {INT(VISIT_EFFECTIVE, 1)};
    dk_block_begin(&writer, out);
    write_row(&writer, BLOCK_NEW, ENTITY_CUSTOMER, 2, 816, &wu, made, COUNT(made));
    write_row(&writer, BLOCK_SET, ENTITY_CUSTOMER, 2, 816, &he, changed, COUNT(changed));
    write_row(&writer, BLOCK_SET, ENTITY_CUSTOMER, 2, 817, &he, tags, COUNT(tags));
    write_own(&writer, 818, &own, 7, 2);
    write_row(&writer, BLOCK_SET, ENTITY_VISIT, 2, 818, &visit, verified, COUNT(verified));
    write_row(&writer, BLOCK_DELETE, ENTITY_QUOTE_LINE, 2, 819, &line, NULL, 0);
    write_row(&writer, BLOCK_EVICT, ENTITY_CUSTOMER, 2, 820, &he, NULL, 0);
    dk_block_end(&writer);
}

/* ---- verdicts */

/* One of each kind, with all that can stand behind it. */
static void verdicts(struct buffer *out)
{
    struct verdict rows[] = {
        {.seq = 7, .kind = VERDICT_ACCEPTED, .position = 818},
        {.seq = 8,
         .kind = VERDICT_MERGED,
         .position = 821,
         .duplicate = true,
         .clock_suspect = true},
        {.seq = 9,
         .kind = VERDICT_REJECTED,
         .code = REJECT_RULE,
         .entity = "quote_line",
         .record = example_id(LINE_1),
         .field = "qty",
         .rule = "zero"},
        {.seq = 10,
         .kind = VERDICT_REJECTED,
         .code = REJECT_DEPENDS,
         .entity = "sales_order",
         .record = example_id(ORDER_1),
         .cause = example_id(CHANGESET_9)},
        {.seq = 11, .kind = VERDICT_QUARANTINED, .code = REJECT_INTERNAL},
    };
    dk_buffer_append_char(out, '[');
    for (int i = 0; i < COUNT(rows); i++) {
        dk_buffer_append_text(out, i == 0 ? "" : ",");
        dk_verdict_write(out, &rows[i]);
    }
    dk_buffer_append_char(out, ']');
}

/* ---- messages */

/* The text written by `build` as a span; the caller clears the buffer. */
static struct span span_of(struct buffer *text, void (*build)(struct buffer *out))
{
    dk_buffer_init(text, GOLDEN_SIZE_MAX);
    build(text);
    assert_int_equal(text->status, DAYBOOK_OK);
    return (struct span){text->bytes, text->length};
}

static void enrol_request(struct buffer *out)
{
    struct enrol_request message = {.protocol = 1,
                                    .code = "K7QF-2M9D-XWTR",
                                    .instance = example_id(INSTANCE_LI),
                                    .device_name = "李娜's phone"};
    dk_message_encode(out, &dk_enrol_request_table, &message);
}

static void enrol_reply(struct buffer *out)
{
    struct enrol_reply message = {.protocol = 1,
                                  .token = "q8nZ0V3mWJt1cQ5yXk7aB2dE4fG6hI8jK0lM2nO4pQ6",
                                  .device_no = 43,
                                  .organisation = example_id(ORGANISATION_1),
                                  .user = example_id(USER_LI),
                                  .territory = example_id(TERRITORY_EAST),
                                  .role = "rep",
                                  .epoch = UINT64_C(5577006791947779410),
                                  .server_ms = INT64_C(1730968000000)};
    dk_message_encode(out, &dk_enrol_reply_table, &message);
}

static void lease_request(struct buffer *out)
{
    struct lease_request message = {.protocol = 1,
                                    .instance = example_id(INSTANCE_NEW),
                                    .old_instance = example_id(INSTANCE_LI)};
    dk_message_encode(out, &dk_lease_request_table, &message);
}

static void lease_reply(struct buffer *out)
{
    struct lease_reply message = {.protocol = 1, .device_no = 57};
    dk_message_encode(out, &dk_lease_reply_table, &message);
}

static void fetch_request(struct buffer *out)
{
    struct fetch_request message = {
        .protocol = 1, .entity = "visit", .record = example_id(INSTANCE_NEW)};
    dk_message_encode(out, &dk_fetch_request_table, &message);
}

static void fetch_reply(struct buffer *out)
{
    static char rows[] =
        "[{\"entity\":\"visit\",\"op\":\"new\",\"fields\":[\"customer_id\",\"status\"],"
        "\"rows\":[[412,\"AZKfbDoAcACAAAAAAAAABQ\",\"AZKfbDoAcACAAAAAAAAACQ\",\"completed\"]]},"
        "{\"entity\":\"visit_action\",\"op\":\"new\",\"fields\":[\"visit_id\",\"kind\"],"
        "\"rows\":[[412,\"AZKfbDoAcACAAAAAAAAACw\",\"AZKfbDoAcACAAAAAAAAABQ\",\"photo\"]]}]";
    struct fetch_reply message = {
        .protocol = 1, .server_ms = INT64_C(1730968000000), .rows = {rows, sizeof rows - 1}};
    dk_message_encode(out, &dk_fetch_reply_table, &message);
}

static void sync_request_first(struct buffer *out)
{
    struct sync_request message = {.protocol = 1,
                                   .schema = 1,
                                   .instance = example_id(INSTANCE_LI),
                                   .sent_ms = INT64_C(1730968001000),
                                   .boot = UINT64_C(8674665223082153551),
                                   .steady_ms = 5263133};
    dk_message_encode(out, &dk_sync_request_table, &message);
}

/* Two changesets in one array. */
static void two_changesets(struct buffer *out)
{
    dk_buffer_append_char(out, '[');
    changeset_visit(out);
    dk_buffer_append_char(out, ',');
    changeset_quote(out);
    dk_buffer_append_char(out, ']');
}

static void sync_request(struct buffer *out)
{
    struct buffer changesets;
    char scope[] = "[1,2]";
    struct sync_request message = {.protocol = 1,
                                   .schema = 1,
                                   .instance = example_id(INSTANCE_LI),
                                   .epoch = UINT64_C(5577006791947779410),
                                   .position = 815,
                                   .settled = 6,
                                   .sent_ms = INT64_C(1730968150000),
                                   .boot = UINT64_C(8674665223082153551),
                                   .steady_ms = 5412133,
                                   .page_bytes = 262144,
                                   .scope = {scope, sizeof scope - 1},
                                   .changesets = span_of(&changesets, two_changesets)};
    dk_message_encode(out, &dk_sync_request_table, &message);
    dk_buffer_clear(&changesets);
}

static void sync_reply(struct buffer *out)
{
    struct buffer rows, answers;
    char scope[] = "[[1,\"organisation\"],[2,\"territory:01929f6c-3a00-7000-8000-000000000003\"]]";
    struct sync_reply message = {.protocol = 1,
                                 .epoch = UINT64_C(5577006791947779410),
                                 .server_ms = INT64_C(1730968150120),
                                 .position = 820,
                                 .head = 821,
                                 .safe_position = 790,
                                 .more = true,
                                 .scope = {scope, sizeof scope - 1},
                                 .verdicts = span_of(&answers, verdicts),
                                 .log = span_of(&rows, log_page)};
    dk_message_encode(out, &dk_sync_reply_table, &message);
    dk_buffer_clear(&rows);
    dk_buffer_clear(&answers);
}

static void sync_reply_nothing(struct buffer *out)
{
    struct sync_reply message = {.protocol = 1,
                                 .epoch = UINT64_C(5577006791947779410),
                                 .server_ms = INT64_C(1730968160000),
                                 .position = 821,
                                 .head = 821,
                                 .safe_position = 821,
                                 .sum = INT64_C(2981226391512220204)};
    dk_message_encode(out, &dk_sync_reply_table, &message);
}

static void sync_request_sums(struct buffer *out)
{
    static char scope[] = "[1,2]";
    struct sync_request message = {.protocol = 1,
                                   .schema = 1,
                                   .instance = example_id(INSTANCE_LI),
                                   .epoch = UINT64_C(5577006791947779410),
                                   .position = 821,
                                   .settled = 11,
                                   .sent_ms = INT64_C(1730968170000),
                                   .boot = UINT64_C(8674665223082153551),
                                   .steady_ms = 5432133,
                                   .scope = {scope, sizeof scope - 1},
                                   .sums = true,
                                   .contents = true,
                                   .diverged = 1};
    dk_message_encode(out, &dk_sync_request_table, &message);
}

static void sync_reply_sums(struct buffer *out)
{
    static char contents[] = "[[1,\"0\"],[2,\"1710904937087745427\"]]";
    static char sums[] = "[[1,\"0\"],[2,\"4037291262184876587\"]]";
    struct sync_reply message = {.protocol = 1,
                                 .epoch = UINT64_C(5577006791947779410),
                                 .server_ms = INT64_C(1730968170120),
                                 .position = 821,
                                 .head = 821,
                                 .safe_position = 821,
                                 .sum = INT64_C(2981226391512220204),
                                 .sums = {sums, sizeof sums - 1},
                                 .contents = {contents, sizeof contents - 1}};
    dk_message_encode(out, &dk_sync_reply_table, &message);
}

/* Where the pages of two buckets go on. */
static void sync_request_loading(struct buffer *out)
{
    char scope[] = "[1,2]";
    char loading[] = "[[1],[2,\"visit\",\"AZKfbDoAcACAAAAAAAAACg\"]]";
    struct sync_request message = {.protocol = 1,
                                   .schema = 1,
                                   .instance = example_id(INSTANCE_LI),
                                   .epoch = UINT64_C(5577006791947779410),
                                   .position = 818,
                                   .settled = 6,
                                   .sent_ms = INT64_C(1730968150000),
                                   .boot = UINT64_C(8674665223082153551),
                                   .steady_ms = 5412133,
                                   .scope = {scope, sizeof scope - 1},
                                   .loading = {loading, sizeof loading - 1}};
    dk_message_encode(out, &dk_sync_request_table, &message);
}

/* The last page of one bucket, a page of another, and the log behind. */
static void sync_reply_pages(struct buffer *out)
{
    char pages[] =
        "[{\"bucket\":1,\"head\":820,\"rows\":[{\"entity\":\"territory\",\"op\":\"new\","
        "\"fields\":[\"created_ts\",\"name\"],"
        "\"rows\":[[3,\"AZKfbDoAcACAAAAAAAAAAw\",\"1730900000000\",\"East\"]]}]},"
        "{\"bucket\":2,\"head\":820,\"after\":[\"visit\",\"AZKfbDoAcACAAAAAAAAACg\"],"
        "\"next\":[\"visit\",\"AZKfbDoAcACAAAAAAAAAFg\"],"
        "\"rows\":[{\"entity\":\"visit\",\"op\":\"new\",\"fields\":[\"customer_id\",\"status\","
        "\"feedback\"],"
        "\"rows\":[[815,\"AZKfbDoAcACAAAAAAAAAFg\",\"AZKfbDoAcACAAAAAAAAACQ\",\"completed\","
        "\"Asked for samples\"]]}]}]";
    char log[] = "[{\"entity\":\"visit\",\"op\":\"set\",\"bucket\":2,\"fields\":[\"feedback\"],"
                 "\"rows\":[[820,\"AZKfbDoAcACAAAAAAAAAFw\",\"Closed\"]]}]";
    struct sync_reply message = {.protocol = 1,
                                 .epoch = UINT64_C(5577006791947779410),
                                 .server_ms = INT64_C(1730968150120),
                                 .position = 820,
                                 .head = 820,
                                 .safe_position = 790,
                                 .more = true,
                                 .pages = {pages, sizeof pages - 1},
                                 .log = {log, sizeof log - 1}};
    dk_message_encode(out, &dk_sync_reply_table, &message);
}

static void sync_reply_reset(struct buffer *out)
{
    char scope[] = "[[1,\"organisation\"],[2,\"territory:01929f6c-3a00-7000-8000-000000000003\"]]";
    struct sync_reply message = {.protocol = 1,
                                 .epoch = UINT64_C(6129484611666145821),
                                 .server_ms = INT64_C(1731000000000),
                                 .position = 802,
                                 .head = 802,
                                 .safe_position = 802,
                                 .more = true,
                                 .reset = true,
                                 .shared = 790,
                                 .scope = {scope, sizeof scope - 1}};
    dk_message_encode(out, &dk_sync_reply_table, &message);
}

static void error_sign_in(struct buffer *out)
{
    struct error_reply message = {.code = "SIGN_IN", .detail = "the token is not known"};
    dk_message_encode(out, &dk_error_reply_table, &message);
}

static void error_gap(struct buffer *out)
{
    struct error_reply message = {.code = "GAP", .detail = "seq 9 came, 7 is expected", .seq = 7};
    dk_message_encode(out, &dk_error_reply_table, &message);
}

#endif
