/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions of quotes in the decider: what the copy of a sent quote puts back, and may not name;
 * quotes that two have sent; and the numbers of revisions.
 */
#include "tests/unit/paper_world.h"

/* The text with every `from` turned into `to`. */
static const char *replaced(struct world *world, const char *text, const char *from, const char *to)
{
    size_t room = strlen(text) * (strlen(to) / strlen(from) + 1) + 1;
    char *out = dk_arena_new(&world->arena, room), *at = out;
    const char *next;
    while ((next = strstr(text, from)) != NULL) {
        at += snprintf(at, room, "%.*s%s", (int)(next - text), text, to);
        text = next + strlen(from);
    }
    (void)snprintf(at, room, "%s", text);
    return out;
}

static const char *renamed(struct world *world, const char *text, const struct id *from,
                           const struct id *to)
{
    return replaced(world, text, wire(world, from), wire(world, to));
}

/* ---- what is put back */

/* Given a quote to which somebody has given keys of the app's own, unseen, when it is sent, then
 * those keys are on the revision alone, and everybody gets the quote whole, without them. */
static void test_decide_forks__keys_that_were_not_sent_go(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, FIELD_CUSTOM, "{\"floor\":3}");
    paper.seen = accept(world, &world->wang);
    const char *copy = copy_text(world, &paper);
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, FIELD_CUSTOM, "{\"colour\":\"red\",\"floor\":4}");
    int64_t edited = accept(world, &world->li);
    send_quote(world, &paper, copy);
    (void)merge(world, &world->wang);
    expect_text(world, ENTITY_QUOTE, &paper.quote, FIELD_CUSTOM, "{\"floor\":3}");
    assert_true(find_fork(world, &paper, &fork));
    expect_text(world, ENTITY_QUOTE, &fork.record.id, FIELD_CUSTOM,
                "{\"colour\":\"red\",\"floor\":4}");
    const char *page = pull_all(world, &world->li, edited);
    expect_in(page, "\"quote\",\"op\":\"new\"");
    expect_in(page, "{\"floor\":3}");
    expect_not_in(page, "\"quote\",\"op\":\"set\"");
}

/* Given a sent quote with a line that lacks what is required, as one from before the field, when
 * somebody changes the quote, unseen, then the next revision has that line as it is. */
static void test_decide_forks__a_revision_needs_no_more_than_its_quote(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    send_quote(world, &paper, copy_text(world, &paper));
    (void)accept(world, &world->wang);
    take_value(world, ENTITY_QUOTE_LINE, &paper.lines[1], QUOTE_LINE_PRICE_E4);
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "second");
    (void)merge(world, &world->li);
    assert_true(find_fork(world, &paper, &fork));
    assert_string_equal(quantities(world, &fork.record.id), "1000 2000");
}

/* Given a copy that names an opportunity which is not there, or not for its sender, when that would
 * be put back, then it is refused like any such value. */
static void test_decide_forks__a_copy_names_only_what_its_sender_may(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct id customer = make_customer(world, &world->tom, "west");
    struct id deals[] = {make_record(world, ENTITY_OPPORTUNITY), new_id(world)};
    put_id(world, OPPORTUNITY_CUSTOMER_ID, &customer);
    put_text(world, OPPORTUNITY_SUBJECT, "tom's");
    (void)accept(world, &world->tom);
    for (int i = 0; i < 2; i++) {
        char fields[60], value[60];
        const char *copy = copy_text(world, &paper);
        (void)snprintf(fields, sizeof fields, "\"fields\":[\"opportunity_id\",\"note\"");
        (void)snprintf(value, sizeof value, "\"%.22s\",\"first\"", wire(world, &deals[i]));
        copy = replaced(world, copy, "\"fields\":[\"note\"", fields);
        copy = replaced(world, copy, "\"first\"", value);
        send_quote(world, &paper, copy);
        reject(world, &world->wang, REJECT_REF_MISSING, "opportunity_id", "");
    }
    expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "draft");
}

/* Given a line that was rejected, when its author sends the quote with it, then that hangs from the
 * rejection; with a line that never was, it does not. */
static void test_decide_forks__a_copy_with_a_rejected_line_depends_on_it(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct id line = add_line(world, &paper.quote, &paper.product, 0), none = new_id(world);
    reject(world, &world->wang, REJECT_RULE, "qty", "zero");
    struct id cause = world->last_changeset;
    send_quote(world, &paper, renamed(world, copy_text(world, &paper), &paper.lines[1], &line));
    struct verdict verdict = send_changeset(world, &world->wang);
    assert_int_equal(verdict.kind, VERDICT_REJECTED);
    assert_int_equal(verdict.code, REJECT_DEPENDS);
    assert_memory_equal(&verdict.cause, &cause, sizeof cause);
    send_quote(world, &paper, renamed(world, copy_text(world, &paper), &paper.lines[1], &none));
    reject(world, &world->wang, REJECT_REF_MISSING, "sent_copy", "");
}

/* ---- sent by two */

/* Conflict entries about the quote and its lines whose loser is this device, as one text. */
static const char *lost_of(struct world *world, const struct paper *paper,
                           const struct device *device)
{
    const struct id *about[] = {&paper->quote, &paper->lines[0], &paper->lines[1]};
    char text[2000] = "";
    for (size_t i = 0; i < 3; i++) {
        struct srv_record *rows;
        struct id none = {{0}};
        int count;
        assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_CONFLICT),
                                           CONFLICT_RECORD, about[i], &none, 50, false,
                                           &world->arena, &rows, &count),
                         DAYBOOK_OK);
        for (int n = 0; n < count; n++) {
            const struct value *values = rows[n].record.values;
            if (values[CONFLICT_LOST_DEV].integer == (int64_t)device->author.device_no) {
                (void)snprintf(text + strlen(text), sizeof text - strlen(text), "%.*s=%.*s;",
                               (int)values[CONFLICT_FIELD].length, values[CONFLICT_FIELD].text,
                               (int)values[CONFLICT_LOST].length, values[CONFLICT_LOST].text);
            }
        }
    }
    return dk_arena_copy(&world->arena, text, strlen(text));
}

/* Given a quote that two fill in and send, neither knowing of the other, then in either order the
 * first stands, what the other had sent is in the conflict log, and what both had filled in is
 * merged in the next revision. */
static void test_decide_forks__what_the_second_had_sent_is_kept(void **state)
{
    struct world *world = *state;
    for (int first = 0; first < 2; first++) {
        struct device *devices[] = {&world->wang, &world->li};
        static const char *const notes[] = {"by wang", "by li"};
        char lost[60];
        struct paper paper = make_paper(world);
        struct srv_record fork;
        const char *copies[2];
        for (int i = 0; i < 2; i++) {
            char value[40];
            (void)snprintf(value, sizeof value, "\"%s\"", notes[i]);
            copies[i] = replaced(world, copy_text(world, &paper), "\"first\"", value);
        }
        for (int i = 0; i < 2; i++) {
            int who = i == 0 ? first : 1 - first;
            send_quote(world, &paper, copies[who]);
            put_text(world, QUOTE_NOTE, notes[who]);
            world->hlc_ms = world->now_ms + 2 - who;
            struct verdict verdict = send_changeset(world, devices[who]);
            assert_int_equal(verdict.kind, i == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
        }
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_NOTE, notes[first]);
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "sent");
        (void)snprintf(lost, sizeof lost, "*={\"note\":\"%s\"};", notes[1 - first]);
        expect_in(lost_of(world, &paper, devices[1 - first]), lost);
        assert_string_equal(lost_of(world, &paper, devices[first]), "");
        assert_true(find_fork(world, &paper, &fork));
        expect_text(world, ENTITY_QUOTE, &fork.record.id, QUOTE_NOTE, "by wang"); /* by LATEST */
    }
}

/* Given a quote that is sent with a line less by one, and as it was by another, then in either
 * order the line, or that it was not there, is noted. */
static void test_decide_forks__lines_that_the_second_had_sent_are_kept(void **state)
{
    struct world *world = *state;
    for (int less_first = 0; less_first < 2; less_first++) {
        char name[80], id[ID_TEXT_SIZE];
        struct paper paper = make_paper(world);
        const char *whole = copy_text(world, &paper);
        for (int i = 0; i < 2; i++) {
            bool less = (i == 0) == (less_first == 1);
            if (less) {
                /* The last row of the copy is the second line. */
                char *copy = dk_arena_copy(&world->arena, whole, strlen(whole));
                char *row = strstr(copy, wire(world, &paper.lines[1]));
                row -= strlen(",[0,\"");
                memmove(row, strstr(row, "]]}"), strlen(strstr(row, "]]}")) + 1);
                memmove(row, row + 1, strlen(row));
                delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], paper.seen);
                send_quote(world, &paper, copy);
            } else {
                send_quote(world, &paper, whole);
            }
            (void)send_changeset(world, less ? &world->wang : &world->li);
        }
        expect_text(world, ENTITY_QUOTE, &paper.quote, QUOTE_STATUS, "sent");
        assert_string_equal(quantities(world, &paper.quote), less_first ? "1000" : "1000 2000");
        dk_id_to_text(&paper.lines[1], id);
        (void)snprintf(name, sizeof name, "quote_line.%s={", id);
        expect_in(lost_of(world, &paper, less_first ? &world->li : &world->wang),
                  less_first ? name : "*={};");
    }
}

/* Given a quote that two send as it is, then nothing is in conflict. */
static void test_decide_forks__sending_the_same_twice_is_no_conflict(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    const char *copy = copy_text(world, &paper);
    send_quote(world, &paper, copy);
    (void)accept(world, &world->wang);
    send_quote(world, &paper, copy);
    (void)accept(world, &world->li);
    assert_string_equal(lost_of(world, &paper, &world->li), "");
    assert_false(find_fork(world, &paper, &fork));
    /* A bad copy is refused here, too. */
    send_quote(world, &paper, "{}");
    reject(world, &world->li, REJECT_SCHEMA, "sent_copy", "copy");
}

/* Given edits of several before the sending, unseen, then each is told which revision has them. */
static void test_decide_forks__each_editor_is_told(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    const char *copy = copy_text(world, &paper);
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "by li");
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_QUOTE_LINE, &paper.lines[0], paper.seen);
    put_qty(world, 5000);
    (void)accept(world, &world->office);
    send_quote(world, &paper, copy);
    (void)merge(world, &world->wang);
    delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], paper.seen);
    (void)merge(world, &world->server);
    expect_in(lost_of(world, &paper, &world->li), "revision={\"id\":");
    expect_in(lost_of(world, &paper, &world->office), "revision={\"id\":");
    expect_in(lost_of(world, &paper, &world->server), "revision={\"id\":");
    assert_string_equal(lost_of(world, &paper, &world->wang), "");
}

/* Who deletes a line of what was sent, unseen, deletes it from the revision, and is told that this
 * line is gone: the device knows it by then. */
static void test_decide_forks__who_deletes_a_line_learns_of_the_revisions(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    const char *copy = copy_text(world, &paper);
    edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
    put_text(world, QUOTE_NOTE, "by li");
    (void)accept(world, &world->li);
    send_quote(world, &paper, copy);
    (void)merge(world, &world->wang);
    assert_true(find_fork(world, &paper, &fork));
    int64_t before = world->org.head;
    delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], paper.seen);
    (void)merge(world, &world->office);
    expect_in(pull_all(world, &world->li, before), "\"quote_line\",\"op\":\"delete\"");
    expect_in(pull_all(world, &world->office, before), "\"quote_line\",\"op\":\"delete\"");
}

/* Given a quote whose sender had edited a line, when another who had seen neither deletes the line,
 * then the revision that this makes keeps it, and the conflict log says so. */
static void test_decide_forks__a_delete_that_loses_in_the_revision_is_noted(void **state)
{
    struct world *world = *state;
    struct paper paper = make_paper(world);
    struct srv_record fork;
    edit_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], paper.seen);
    put_int(world, QUOTE_LINE_QTY, 7000);
    (void)accept(world, &world->wang);
    send_quote(world, &paper, copy_text(world, &paper));
    (void)accept(world, &world->wang);
    int64_t before = world->org.head;
    delete_record(world, ENTITY_QUOTE_LINE, &paper.lines[1], paper.seen);
    (void)merge(world, &world->office);
    assert_true(find_fork(world, &paper, &fork));
    expect_in(pull_all(world, &world->li, before), "\"\\\"edit\\\"\",\"\\\"delete\\\"\"");
}

/* ---- numbers of revisions */

static struct id make_revision(struct world *world, const struct paper *paper, const struct id *of,
                               int rev)
{
    struct id id = add_quote(world, &paper->customer);
    put_id(world, QUOTE_REVISION_OF, of);
    if (rev != 0) {
        put_int(world, QUOTE_REV, rev);
    }
    return id;
}

/* Given a revision that an app made, when the server makes one, or the other way round, then the
 * second is the next; who named a number that is taken is told. */
static void test_decide_forks__no_two_revisions_are_the_same(void **state)
{
    struct world *world = *state;
    for (int order = 0; order < 2; order++) {
        struct paper paper = make_paper(world);
        struct srv_record *rows;
        struct id none = {{0}}, own = none;
        int count;
        send_quote(world, &paper, copy_text(world, &paper));
        (void)accept(world, &world->wang);
        for (int i = 0; i < 2; i++) {
            if (i == order) {
                own = make_revision(world, &paper, &paper.quote, 2);
                struct verdict verdict = send_changeset(world, &world->wang);
                assert_int_equal(verdict.kind, order == 0 ? VERDICT_ACCEPTED : VERDICT_MERGED);
            } else {
                edit_record(world, ENTITY_QUOTE, &paper.quote, paper.seen);
                put_text(world, QUOTE_NOTE, "by li");
                (void)merge(world, &world->li);
            }
        }
        expect_int(world, ENTITY_QUOTE, &own, QUOTE_REV, order == 0 ? 2 : 3);
        assert_int_equal(srv_store_related(world->store, world->org.org, dk_entity(ENTITY_QUOTE),
                                           QUOTE_REVISION_OF, &paper.quote, &none, 10, false,
                                           &world->arena, &rows, &count),
                         DAYBOOK_OK);
        assert_int_equal(count, 2);
        assert_int_equal(
            rows[0].record.values[QUOTE_REV].integer + rows[1].record.values[QUOTE_REV].integer, 5);
        /* A revision of a revision is the first quote's; who names no number gets the next. */
        struct id third = make_revision(world, &paper, &own, 0);
        (void)accept(world, &world->wang);
        expect_int(world, ENTITY_QUOTE, &third, QUOTE_REV, 4);
        struct value of = value_of(world, ENTITY_QUOTE, &third, QUOTE_REVISION_OF);
        assert_memory_equal(&of.id, &paper.quote, sizeof of.id);
    }
}

int main(void)
{
#define FORKS_TEST(name)                                                                           \
    cmocka_unit_test_setup_teardown(test_decide_forks__##name, setup_world, teardown_world)
    const struct CMUnitTest tests[] = {
        FORKS_TEST(keys_that_were_not_sent_go),
        FORKS_TEST(a_revision_needs_no_more_than_its_quote),
        FORKS_TEST(a_copy_names_only_what_its_sender_may),
        FORKS_TEST(a_copy_with_a_rejected_line_depends_on_it),
        FORKS_TEST(what_the_second_had_sent_is_kept),
        FORKS_TEST(lines_that_the_second_had_sent_are_kept),
        FORKS_TEST(sending_the_same_twice_is_no_conflict),
        FORKS_TEST(each_editor_is_told),
        FORKS_TEST(who_deletes_a_line_learns_of_the_revisions),
        FORKS_TEST(a_delete_that_loses_in_the_revision_is_noted),
        FORKS_TEST(no_two_revisions_are_the_same),
    };
    return cmocka_run_group_tests_name("decide_forks", tests, NULL, NULL);
}
