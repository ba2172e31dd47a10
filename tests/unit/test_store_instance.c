/* SPDX-License-Identifier: Apache-2.0
 *
 * Who the store is: enrolment, copies that take a new instance, another log of the server, buckets
 * gained and lost, and what goes up.
 */
#include "tests/support/desk.h"

#include "engine/base/text.h"

#include <stdarg.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void customer_row(struct desk *desk, enum block_op op, int64_t position, int64_t bucket,
                         const struct id *id, const char *name)
{
    desk_row(desk, op, ENTITY_CUSTOMER, bucket, position, id);
    desk_text(desk, CUSTOMER_NAME, name);
}

static struct id known_customer(struct desk *desk, int64_t position, int64_t bucket,
                                const char *name)
{
    struct id id = desk_id(desk);
    customer_row(desk, BLOCK_NEW, position, bucket, &id, name);
    desk_apply(desk, position);
    return id;
}

static void patch(struct desk *desk, const struct id *id, int64_t seen, int field, const char *text)
{
    desk_set(desk, ENTITY_CUSTOMER, id, seen);
    desk_text(desk, field, text);
    desk_commit(desk);
}

/* Bucket 2 is held and loaded. */
static void begin_north(struct desk *desk)
{
    desk_begin(desk);
    desk_scope(desk, "[[2,\"north\"]]");
    desk_apply(desk, 0);
    desk_page(desk, 2, 1, NULL, NULL);
    desk_apply_upto(desk, 0, 1);
}

/* A whole customer on a page under way. */
static void page_row(struct desk *desk, int64_t version, const struct id *id, const char *name)
{
    customer_row(desk, BLOCK_NEW, version, 0, id, name);
}

/* What a request would carry, as text. */
static const char *collect(struct desk *desk, int64_t after, size_t max_bytes, int max_count,
                           struct store_batch *batch)
{
    struct buffer out;
    dk_buffer_init(&out, LIMIT_REQUEST_EXPANDED);
    assert_int_equal(dk_store_collect(desk->store, after, max_bytes, max_count, &out, batch),
                     DAYBOOK_OK);
    const char *copy = dk_arena_copy(&desk->arena, out.bytes, out.length);
    dk_buffer_clear(&out);
    return copy;
}

static void test_store_instance__what_was_made_before_enrolment_gets_its_author(void **state)
{
    struct desk desk;
    (void)state;
    desk_init(&desk);
    desk_open(&desk);
    struct id customer = desk_customer(&desk, "A");
    struct id visit = desk_id(&desk);
    desk_new(&desk, ENTITY_VISIT, &visit);
    desk_ref(&desk, VISIT_CUSTOMER_ID, &customer);
    desk_commit(&desk);
    desk_set(&desk, ENTITY_VISIT, &visit, 0);
    desk_text(&desk, VISIT_FEEDBACK, "nice");
    desk_commit(&desk);
    assert_string_equal(desk_sql(&desk, "SELECT coalesce(rep_id,'nobody') FROM visit"), "nobody");
    desk_enrol(&desk, 5);
    assert_string_equal(desk_sql(&desk, "SELECT created_by=rep_id FROM visit"), "1");
    assert_string_equal(desk_sql(&desk, "SELECT feedback FROM visit"), "nice");
    desk_expect_int(&desk, ENTITY_CUSTOMER, &customer, FIELD_CREATED_DEV, 5);
    desk_check(&desk);
    desk_clear(&desk);
}

static void test_store_instance__collect_gives_what_fits_in_order(void **state)
{
    struct desk desk;
    struct store_batch batch;
    struct changeset header;
    (void)state;
    desk_begin(&desk);
    assert_string_equal(collect(&desk, 0, 1000, 10, &batch), "[]");
    assert_int_equal(batch.count, 0);
    for (int i = 0; i < 5; i++) {
        (void)desk_customer(&desk, "A");
    }
    size_t size = (size_t)desk_number(&desk, "SELECT length(body) FROM outbox WHERE seq=1");
    (void)collect(&desk, 0, 10, 10, &batch); /* at least one */
    assert_int_equal(batch.count, 1);
    (void)collect(&desk, 0, 2 * size + 5, 10, &batch);
    assert_int_equal(batch.count, 2);
    (void)collect(&desk, 0, 100000, 3, &batch);
    assert_int_equal(batch.count, 3);
    const char *bodies = collect(&desk, 2, 100000, 10, &batch);
    assert_int_equal(batch.first_seq, 3);
    assert_int_equal(batch.last_seq, 5);
    /* byte for byte what the outbox has */
    const char *body = desk_sql(&desk, "SELECT body FROM outbox WHERE seq=3");
    assert_int_equal(strncmp(bodies + 1, body, strlen(body)), 0);
    assert_true(dk_changeset_peek(body, strlen(body), &header));
    assert_int_equal(header.seq, 3);
    assert_int_equal(header.epoch, DESK_EPOCH);
    desk_clear(&desk);
}

static void test_store_instance__the_relaxed_option_makes_durable_what_leaves(void **state)
{
    struct desk desk;
    struct store_batch batch;
    (void)state;
    desk_init(&desk);
    desk.options.relaxed = true;
    desk_open(&desk);
    desk_enrol(&desk, 5);
    (void)desk_customer(&desk, "A");
    assert_int_equal(desk_number(&desk, "SELECT sent_seq FROM meta"), 0);
    (void)collect(&desk, 0, 100000, 10, &batch);
    assert_int_equal(desk_number(&desk, "SELECT sent_seq FROM meta"), 1);
    assert_string_equal(desk_sql(&desk, "SELECT state FROM sync_state"), "sending");
    desk_clear(&desk);
}

static void test_store_instance__a_copy_numbers_anew_and_keeps_its_work(void **state)
{
    struct desk desk;
    (void)state;
    begin_north(&desk);
    /* given an outbox with gaps: settled, rejected, accepted, undecided */
    struct id known = known_customer(&desk, 1, 2, "K");
    struct id a = desk_customer(&desk, "A");
    struct id b = desk_customer(&desk, "B");
    struct id c = desk_customer(&desk, "C");
    patch(&desk, &c, 0, CUSTOMER_INDUSTRY, "bakery");
    patch(&desk, &known, 1, CUSTOMER_NAME, "Kk");
    desk_send(&desk);
    desk_rejected(&desk, 2, REJECT_RULE, NULL);
    desk_accepted(&desk, 3, 9);
    desk_own(&desk, 2, 1, 2);
    desk.reply.safe_position = 1;
    desk_apply_upto(&desk, 2, 9);
    struct id third = desk_changeset(&desk, 3);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM outbox"), 4);
    /* when the file turns out to be a copy */
    struct id instance = desk_fixed_id(0x99);
    desk.changed = 0;
    assert_int_equal(dk_store_new_instance(desk.store, &instance, 8), DAYBOOK_OK);
    desk_check(&desk);
    assert_true(desk.changed == UINT64_MAX);
    /* then all has numbers from 1 and the same ids, in its text too; also what was settled */
    struct store_state now = desk_state(&desk);
    assert_memory_equal(&now.instance, &instance, sizeof instance);
    assert_int_equal(now.device_no, 8);
    assert_int_equal(now.next_seq, 5);
    assert_int_equal(now.pending, 4);
    assert_int_equal(now.settled, 0);
    assert_int_equal(now.position, 0);
    assert_int_equal(dk_id_compare(&third, &(struct id[]){desk_changeset(&desk, 2)}[0]), 0);
    assert_string_equal(
        desk_sql(&desk, "SELECT group_concat(substr(body,instr(body,'\"seq\":'),8)) FROM outbox"),
        "\"seq\":1,,\"seq\":2,,\"seq\":3,,\"seq\":4,");
    /* all is seen, the author of new records is the new number, and rows wait to be replaced */
    desk_expect_text(&desk, ENTITY_CUSTOMER, &c, CUSTOMER_INDUSTRY, "bakery");
    desk_expect_int(&desk, ENTITY_CUSTOMER, &c, FIELD_CREATED_DEV, 8);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &known, CUSTOMER_NAME, "Kk");
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &a));
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &b));
    desk_close(&desk);
    desk_open(&desk);
    /* when the pages come, own changesets of the old number come like anybody's */
    desk_send(&desk);
    desk_accepted(&desk, 1, 2);
    desk_accepted(&desk, 2, 9);
    desk_reset(&desk, DESK_EPOCH, 9);
    page_row(&desk, 1, &known, "K");
    page_row(&desk, 2, &a, "A");
    desk_page(&desk, 2, 9, NULL, &a);
    desk_apply(&desk, 9);
    assert_int_equal(desk_state(&desk).unsettled, 2);
    page_row(&desk, 9, &c, "C");
    desk_page(&desk, 2, 9, &a, NULL);
    desk_apply(&desk, 9);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &c, CUSTOMER_INDUSTRY, "bakery");
    assert_int_equal(desk_state(&desk).pending, 2);
    assert_int_equal(desk_state(&desk).unsettled, 0);
    desk_own(&desk, 10, 3, 2);
    desk_own(&desk, 11, 4, 2);
    desk_apply(&desk, 11);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &c, 10);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &known, 11);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM r_customer WHERE bucket=2"), 3);
    desk_clear(&desk);
}

static void test_store_instance__stale_rows_take_no_part_and_go_with_the_last_page(void **state)
{
    struct desk desk;
    (void)state;
    begin_north(&desk);
    struct id kept = known_customer(&desk, 3, 2, "kept"),
              gone = known_customer(&desk, 4, 2, "gone");
    struct id edited = known_customer(&desk, 5, 2, "edited"),
              dropped = known_customer(&desk, 6, 2, "dropped");
    patch(&desk, &edited, 5, CUSTOMER_INDUSTRY, "bakery");
    desk_delete(&desk, ENTITY_CUSTOMER, &dropped, 6);
    desk_commit(&desk);
    /* when the server's log is another one */
    desk.reply.shared = 1;
    desk_reset(&desk, 9999, 1);
    assert_int_equal(desk_state(&desk).epoch, 9999);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &kept, CUSTOMER_NAME, "kept");
    /* a stale row takes no partial change, whatever its number */
    desk.reply.epoch = 9999;
    customer_row(&desk, BLOCK_SET, 2, 2, &kept, "partial");
    customer_row(&desk, BLOCK_SET, 2, 2, &edited, "partial");
    desk_apply_upto(&desk, 2, 4);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &kept, CUSTOMER_NAME, "kept");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &edited, CUSTOMER_NAME, "edited");
    /* a form that showed a stale row has seen what both logs have */
    patch(&desk, &kept, 3, CUSTOMER_CHANNEL, "web");
    assert_non_null(
        strstr(desk_sql(&desk, "SELECT body FROM outbox WHERE seq=3"), "\"epoch\":\"9999\""));
    assert_non_null(
        strstr(desk_sql(&desk, "SELECT body FROM outbox WHERE seq=3"), "\"rows\":[[1,\""));
    /* whole rows replace, and what none brought is gone with the last page, but for the work on it
     */
    desk.reply.epoch = 9999;
    page_row(&desk, 2, &kept, "restored");
    desk_page(&desk, 2, 3, NULL, &kept);
    desk_apply_upto(&desk, 3, 4);
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &gone));
    desk.reply.epoch = 9999;
    desk_page(&desk, 2, 4, &kept, NULL);
    customer_row(&desk, BLOCK_SET, 4, 2, &kept, "restored, and changed");
    desk_apply(&desk, 4);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &kept, CUSTOMER_NAME, "restored, and changed");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &kept, CUSTOMER_CHANNEL, "web");
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &gone));
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &edited));
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM pending"), 3);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM r_customer WHERE bucket<0"), 0);
    struct id fresh = desk_customer(&desk, "fresh");
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &fresh));
    assert_non_null(
        strstr(desk_sql(&desk, "SELECT body FROM outbox WHERE seq=4"), "\"epoch\":\"9999\""));
    desk_clear(&desk);
}

static void test_store_instance__a_document_whose_stale_line_goes_adds_up_again(void **state)
{
    struct desk desk;
    (void)state;
    begin_north(&desk);
    struct id customer = known_customer(&desk, 2, 2, "A"), quote = desk_id(&desk);
    struct id lines[2] = {desk_id(&desk), desk_id(&desk)};
    for (int round = 0; round < 2; round++) {
        /* on the log, then on pages without the second line */
        int64_t position = 3 + round * 5;
        desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE, round == 0 ? 2 : 0, 3, &quote);
        desk_ref(&desk, QUOTE_CUSTOMER_ID, &customer);
        desk_text(&desk, QUOTE_CUR, "CNY");
        for (int i = 0; i < 2 - round; i++) {
            desk_row(&desk, BLOCK_NEW, ENTITY_QUOTE_LINE, round == 0 ? 2 : 0, 3, &lines[i]);
            desk_ref(&desk, QUOTE_LINE_QUOTE_ID, &quote);
            desk_ref(&desk, QUOTE_LINE_PRODUCT_ID, &customer);
            desk_int(&desk, QUOTE_LINE_QTY, 1000);
            desk_int(&desk, QUOTE_LINE_PRICE_E4, 1000);
        }
        if (round == 1) {
            desk_page(&desk, 2, position, NULL, &lines[0]);
            desk_apply(&desk, position);
            desk_page(&desk, 2, position, &lines[0], NULL);
        }
        desk_apply(&desk, position);
        desk_check(&desk);
        desk_expect_int(&desk, ENTITY_QUOTE, &quote, QUOTE_TOTAL, round == 0 ? 20 : 10);
        if (round == 0) {
            desk_reset(&desk, DESK_EPOCH, position);
        }
    }
    assert_false(desk_has(&desk, ENTITY_QUOTE_LINE, &lines[1]));
    desk_clear(&desk);
}

/* Given a document that was fetched, when a snapshot of what is held does not have its customer any
 * more, then the document goes too. */
static void test_store_instance__what_was_fetched_goes_with_a_stale_customer(void **state)
{
    struct desk desk;
    char rows[300], document[ID_WIRE_LENGTH + 1] = "", root[ID_WIRE_LENGTH + 1] = "";
    (void)state;
    begin_north(&desk);
    struct id customers[2] = {known_customer(&desk, 3, 2, "kept"),
                              known_customer(&desk, 4, 2, "gone")};
    for (int i = 0; i < 2; i++) {
        struct id visit = desk_id(&desk);
        dk_id_to_wire(&visit, document);
        dk_id_to_wire(&customers[i], root);
        (void)dk_text_format(rows, sizeof rows,
                             "[{\"entity\":\"visit\",\"op\":\"new\",\"fields\":[\"customer_id\"],"
                             "\"rows\":[[2,\"%s\",\"%s\"]]}]",
                             document, root);
        struct span span = {rows, strlen(rows)};
        assert_int_equal(dk_store_fetched_put(desk.store, dk_entity(ENTITY_VISIT), &visit, &span),
                         DAYBOOK_OK);
    }
    desk_reset(&desk, DESK_EPOCH, 4);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM fetched"), 2);
    page_row(&desk, 3, &customers[0], "kept");
    desk_page(&desk, 2, 4, NULL, NULL);
    desk_apply(&desk, 4);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM fetched"), 1);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM fetched_record f JOIN r_customer c"
                                        " ON c.id=f.root WHERE c.name='kept'"),
                     1);
    desk_clear(&desk);
}

static void test_store_instance__what_the_restored_server_lost_goes_up_again(void **state)
{
    struct desk desk;
    struct store_batch batch;
    (void)state;
    begin_north(&desk);
    struct id known = known_customer(&desk, 1, 2, "K");
    struct id made = desk_customer(&desk, "A");
    patch(&desk, &known, 1, CUSTOMER_NAME, "Kk");
    (void)desk_customer(&desk, "covered");
    desk_send(&desk);
    desk_own(&desk, 2, 3, 2);
    desk_own(&desk, 3, 1, 2);
    desk_own(&desk, 4, 2, 2);
    desk.reply.safe_position = 2;
    desk_apply(&desk, 4);
    assert_int_equal(desk_state(&desk).settled, 3);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM outbox"), 2);
    /* when the server comes back from its backup of position 2 */
    desk_reset(&desk, 9999, 2);
    assert_int_equal(desk_state(&desk).settled, 0);
    assert_int_equal(desk_state(&desk).pending, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &made, CUSTOMER_NAME, "A");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &known, CUSTOMER_NAME, "Kk");
    (void)collect(&desk, 0, 100000, 10, &batch);
    assert_int_equal(batch.count, 2);
    /* then its pages bring what it has, and the lost ones are decided again */
    desk.reply.epoch = 9999;
    page_row(&desk, 1, &known, "K");
    desk_page(&desk, 2, 2, NULL, NULL);
    desk_apply(&desk, 2);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &known, CUSTOMER_NAME, "Kk");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &made, CUSTOMER_NAME, "A");
    desk.reply.epoch = 9999;
    desk_own(&desk, 3, 1, 2);
    desk_own(&desk, 4, 2, 2);
    desk_apply(&desk, 4);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &made, 3);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &known, CUSTOMER_NAME, "Kk");
    assert_int_equal(desk_state(&desk).pending, 0);
    desk_clear(&desk);
}

/* What the changeset says that its one change had seen. */
static int64_t sent_seen(struct desk *desk, int64_t seq)
{
    char sql[120];
    (void)dk_text_format(sql, sizeof sql,
                         "SELECT body->>'$.changes[0].rows[0][0]' FROM outbox WHERE seq=%d",
                         (int)seq);
    return desk_number(desk, sql);
}

/* Given changes that had seen positions of an epoch, when the server's log becomes another one, and
 * another one again, then their records, and whoever edits on, have seen no more than all the logs
 * have in common. */
static void test_store_instance__positions_of_an_earlier_epoch_mean_nothing_later(void **state)
{
    struct desk desk;
    (void)state;
    begin_north(&desk);
    struct id low = known_customer(&desk, 3, 2, "low"), high = known_customer(&desk, 8, 2, "high");
    patch(&desk, &low, 3, CUSTOMER_NAME, "Low");
    patch(&desk, &high, 8, CUSTOMER_NAME, "High");
    desk.reply.shared = 5;
    desk_reset(&desk, 9999, 7);
    for (int loaded = 0; loaded < 2; loaded++) { /* also when all pages are in, and after a start */
        desk_expect_version(&desk, ENTITY_CUSTOMER, &low, 3);
        desk_expect_version(&desk, ENTITY_CUSTOMER, &high, 5);
        patch(&desk, &high, 5, CUSTOMER_CHANNEL, "web");
        assert_int_equal(sent_seen(&desk, 3 + loaded), 5);
        desk.reply.epoch = 9999;
        page_row(&desk, 3, &low, "low");
        page_row(&desk, 6, &high, "high");
        desk_page(&desk, 2, 7, NULL, NULL);
        desk_apply(&desk, 7);
        desk_close(&desk);
        desk_open(&desk);
    }
    assert_int_equal(desk_number(&desk, "SELECT stale_epoch FROM meta"), 0);
    desk.reply.shared = 6;
    desk_reset(&desk, 8888, 6);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &high, 5);
    desk.reply.shared = 2;
    desk_reset(&desk, 7777, 2);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &low, 2);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &high, 2);
    /* one that is in no past has nothing in common */
    desk_reset(&desk, 6666, 2);
    desk_expect_version(&desk, ENTITY_CUSTOMER, &high, 0);
    desk_delete(&desk, ENTITY_CUSTOMER, &high, -1);
    desk_commit(&desk);
    assert_int_equal(sent_seen(&desk, 5), 0);
    desk_clear(&desk);
}

static void test_store_instance__a_restored_server_may_reject_what_it_had_accepted(void **state)
{
    struct desk desk;
    (void)state;
    begin_north(&desk);
    struct id made = desk_customer(&desk, "A");
    desk_send(&desk);
    desk_own(&desk, 1, 1, 2);
    desk.reply.safe_position = -1; /* none covered */
    desk_apply(&desk, 1);
    desk_reset(&desk, 9999, 5);
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &made));
    /* at once, long before the pages are in */
    desk.reply.epoch = 9999;
    desk_rejected(&desk, 1, REJECT_SCOPE, NULL);
    desk_apply_upto(&desk, 5, 6);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &made));
    assert_int_equal(desk_state(&desk).inbox, 1);
    desk_clear(&desk);
}

static void
test_store_instance__long_bodies_lie_compressed_and_go_up_as_they_were_made(void **state)
{
    struct desk desk;
    struct store_batch batch;
    struct changeset header;
    (void)state;
    desk_begin(&desk);
    for (int i = 0; i < 100; i++) {
        struct id id = desk_id(&desk);
        desk_new(&desk, ENTITY_CUSTOMER, &id);
        desk_text(&desk, CUSTOMER_NAME, "a customer with a name of some length");
    }
    struct id spare = desk_customer(&desk, "spare"); /* in the same transaction */
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM customer"), 101);
    assert_int_equal(desk_number(&desk, "SELECT length(body)<size/2 FROM outbox"), 1);
    const char *bodies = collect(&desk, 0, 1000000, 10, &batch);
    size_t length = (size_t)desk_number(&desk, "SELECT size FROM outbox");
    assert_int_equal(strlen(bodies), length + 2);
    assert_true(dk_changeset_peek(bodies + 1, length, &header));
    assert_int_equal(header.change_count, 101);
    /* also under another number */
    (void)desk_customer(&desk, "another");
    desk_rejected(&desk, 1, REJECT_RULE, NULL);
    desk_apply(&desk, 0);
    assert_int_equal(desk_number(&desk, "SELECT length(body) FROM inbox"), (int64_t)length);
    assert_int_equal(desk_number(&desk, "SELECT substr(body,1,7)='{\"id\":\"' FROM inbox"), 1);
    for (int i = 0; i < 100; i++) {
        struct id id = desk_id(&desk);
        desk_new(&desk, ENTITY_CUSTOMER, &id);
        desk_text(&desk, CUSTOMER_NAME, "a customer with a name of some length");
    }
    desk_commit(&desk);
    struct id instance = desk_fixed_id(0x99);
    assert_int_equal(dk_store_new_instance(desk.store, &instance, 8), DAYBOOK_OK);
    desk_check(&desk);
    bodies = collect(&desk, 1, 1000000, 10, &batch);
    assert_true(dk_changeset_peek(bodies + 1, strlen(bodies) - 2, &header));
    assert_int_equal(header.seq, 2);
    assert_int_equal(header.change_count, 100);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &spare));
    desk_clear(&desk);
}

static void test_store_instance__a_lost_bucket_is_gone_with_the_next_reply(void **state)
{
    struct desk desk;
    (void)state;
    desk_begin(&desk);
    desk_scope(&desk, "[[1,\"organisation\"],[2,\"north\"],[3,\"south\"]]");
    desk_apply(&desk, 0);
    assert_string_equal(desk_sql(&desk, "SELECT group_concat(bucket||label) FROM buckets"),
                        "1organisation,2north,3south");
    struct id north = known_customer(&desk, 1, 2, "N"), south = known_customer(&desk, 2, 3, "S");
    struct id edited = known_customer(&desk, 3, 3, "E"), deleted = known_customer(&desk, 4, 3, "D");
    desk_raw_log(&desk, "[{\"entity\":\"spaceship\",\"op\":\"new\",\"bucket\":3,\"fields\":[],"
                        "\"rows\":[[5,\"AZKfbDoAcACAAAAAAAAAFA\"]]}]");
    desk_apply(&desk, 5);
    patch(&desk, &edited, 3, CUSTOMER_NAME, "Ee");
    desk_delete(&desk, ENTITY_CUSTOMER, &deleted, 4);
    desk_commit(&desk);
    struct id mine = desk_customer(&desk, "mine");
    desk_scope(&desk, "[[1,\"organisation\"],[2,\"north\"]]");
    desk_apply(&desk, 5);
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &north));
    assert_true(desk_has(&desk, ENTITY_CUSTOMER, &mine));
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &south));
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &edited));
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM raw_record"), 0);
    assert_int_equal(desk_number(&desk, "SELECT count(*) FROM pending WHERE base IS NOT NULL"), 0);
    assert_int_equal(desk_state(&desk).pending, 3);
    struct buffer out;
    dk_buffer_init(&out, 1000);
    assert_int_equal(dk_store_write_scope(desk.store, &out), DAYBOOK_OK);
    assert_string_equal(dk_buffer_text(&out), "[1,2]");
    dk_buffer_clear(&out);
    desk_clear(&desk);
}

static void test_store_instance__a_gained_bucket_loads_beside_the_log(void **state)
{
    struct desk desk;
    (void)state;
    begin_north(&desk);
    struct id here = known_customer(&desk, 7, 2, "newest");
    patch(&desk, &here, 7, CUSTOMER_INDUSTRY, "bakery");
    struct id there = desk_id(&desk), later = desk_id(&desk);
    desk_scope(&desk, "[[2,\"north\"],[3,\"south\"]]");
    /* its entries come from here on; what changes a record that no page has brought is skipped */
    customer_row(&desk, BLOCK_SET, 8, 3, &there, "changed");
    customer_row(&desk, BLOCK_NEW, 8, 3, &later, "made meanwhile");
    desk_apply_upto(&desk, 8, 9);
    assert_string_equal(desk_sql(&desk, "SELECT group_concat(label||loading) FROM buckets"),
                        "north0,south1");
    assert_int_equal(desk_state(&desk).loading, 1);
    assert_false(desk_has(&desk, ENTITY_CUSTOMER, &there));
    desk_expect_text(&desk, ENTITY_CUSTOMER, &later, CUSTOMER_NAME, "made meanwhile");
    /* the page was read behind that */
    page_row(&desk, 9, &there, "changed twice");
    page_row(&desk, 8, &later, "made meanwhile");
    desk_page(&desk, 3, 9, NULL, NULL);
    desk_apply_upto(&desk, 8, 9);
    assert_int_equal(desk_state(&desk).loading, 1);
    customer_row(&desk, BLOCK_SET, 9, 3, &there, "changed twice");
    desk_apply(&desk, 9);
    assert_int_equal(desk_state(&desk).loading, 0);
    desk_expect_text(&desk, ENTITY_CUSTOMER, &there, CUSTOMER_NAME, "changed twice");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &here, CUSTOMER_NAME, "newest");
    desk_expect_text(&desk, ENTITY_CUSTOMER, &here, CUSTOMER_INDUSTRY, "bakery");
    desk_clear(&desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_store_instance__what_was_made_before_enrolment_gets_its_author),
        cmocka_unit_test(test_store_instance__collect_gives_what_fits_in_order),
        cmocka_unit_test(test_store_instance__the_relaxed_option_makes_durable_what_leaves),
        cmocka_unit_test(test_store_instance__a_copy_numbers_anew_and_keeps_its_work),
        cmocka_unit_test(test_store_instance__stale_rows_take_no_part_and_go_with_the_last_page),
        cmocka_unit_test(test_store_instance__a_document_whose_stale_line_goes_adds_up_again),
        cmocka_unit_test(test_store_instance__what_was_fetched_goes_with_a_stale_customer),
        cmocka_unit_test(test_store_instance__what_the_restored_server_lost_goes_up_again),
        cmocka_unit_test(test_store_instance__positions_of_an_earlier_epoch_mean_nothing_later),
        cmocka_unit_test(test_store_instance__a_restored_server_may_reject_what_it_had_accepted),
        cmocka_unit_test(
            test_store_instance__long_bodies_lie_compressed_and_go_up_as_they_were_made),
        cmocka_unit_test(test_store_instance__a_lost_bucket_is_gone_with_the_next_reply),
        cmocka_unit_test(test_store_instance__a_gained_bucket_loads_beside_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
