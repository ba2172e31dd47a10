/* SPDX-License-Identifier: Apache-2.0
 *
 * Classes of documents: the rule by itself, and the nightly job in its steps: many documents, an
 * end between two steps and a second run, the hour of the organisation's zone; the commands that
 * move people and customers, and what they refuse.
 */
#include "tests/unit/service_world.h"

#include "sync-server/inside.h"

#define HOUR_MS INT64_C(3600000)
#define VISITS 250

/* Imports these lines. */
static void import(struct world *world, const char *lines)
{
    const char *path = format(world, "%s/import.jsonl", world->folder);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(lines, file) >= 0);
    assert_int_equal(fclose(file), 0);
    (void)command(world, DAYBOOK_OK, format(world, "import %s", path));
}

/* Given documents in each state and of each age, when the rule is asked, then what leaves something
 * to do is open at any age, and the rest by its age. */
static void test_classify__the_rule(void **state)
{
    (void)state;
    static const struct {
        int entity, field;
        const char *status; /* NULL: none */
        bool open;
    } cases[] = {
        {ENTITY_VISIT, VISIT_STATUS, "planned", true},
        {ENTITY_VISIT, VISIT_STATUS, "in_progress", true},
        {ENTITY_VISIT, VISIT_STATUS, "completed", false},
        {ENTITY_VISIT, VISIT_STATUS, "plan", false},
        {ENTITY_VISIT, VISIT_STATUS, NULL, true},
        {ENTITY_QUOTE, QUOTE_STATUS, "sent", true},
        {ENTITY_QUOTE, QUOTE_STATUS, "converted", false},
        {ENTITY_SALES_ORDER, SALES_ORDER_STATUS, "shipped", true},
        {ENTITY_SALES_ORDER, SALES_ORDER_STATUS, "delivered", false},
        {ENTITY_OPPORTUNITY, OPPORTUNITY_STATUS, "suspended", true},
        {ENTITY_OPPORTUNITY, OPPORTUNITY_STATUS, "won", false},
        {ENTITY_CUSTOMER, CUSTOMER_STATUS, "archived", true}, /* no document */
    };
    static const struct {
        int64_t age_ms;
        enum srv_class class; /* of a closed one */
    } ages[] = {{-CLASS_DAY_MS, CLASS_OPEN},
                {30 * CLASS_DAY_MS, CLASS_OPEN},
                {30 * CLASS_DAY_MS + 1, CLASS_RECENT},
                {90 * CLASS_DAY_MS, CLASS_RECENT},
                {90 * CLASS_DAY_MS + 1, CLASS_ARCHIVE}};
    const struct class_rule rule = {CLASS_OPEN_DAYS, CLASS_RECENT_DAYS, CLASS_LAST};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct record record = {.entity = dk_entity(cases[i].entity)};
        if (cases[i].status != NULL) {
            record.values[cases[i].field] =
                (struct value){.kind = VALUE_TEXT,
                               .length = (uint32_t)strlen(cases[i].status),
                               .text = cases[i].status};
        }
        for (size_t j = 0; j < sizeof ages / sizeof ages[0]; j++) {
            int64_t now_ms = 200 * CLASS_DAY_MS;
            assert_int_equal(srv_class_of(&rule, &record, now_ms - ages[j].age_ms, now_ms),
                             cases[i].open ? CLASS_OPEN : ages[j].class);
        }
    }
    struct record twin = {.entity = dk_entity(ENTITY_VISIT)};
    twin.values[VISIT_REDIRECT_TO].kind = VALUE_ID;
    assert_int_equal(srv_class_of(&rule, &twin, 0, 200 * CLASS_DAY_MS), CLASS_ARCHIVE);
    assert_true(srv_class_applies(dk_entity(ENTITY_QUOTE)));
    assert_false(srv_class_applies(dk_entity(ENTITY_QUOTE_LINE)));
    assert_true(srv_class_keeps_last(dk_entity(ENTITY_VISIT)));
    assert_false(srv_class_keeps_last(dk_entity(ENTITY_QUOTE)));
}

/* Counts its calls, and says stop at the one whose turn it is. */
static bool stop_at(void *context)
{
    int *left = context;
    return (*left)-- == 0;
}

/* A customer with many visits that are over, and as many quotes that are not. */
static void make_past(struct world *world)
{
    struct buffer lines;
    dk_buffer_init(&lines, (size_t)1024 * 1024);
    dk_buffer_append_text(&lines, "{\"entity\":\"customer\",\"key\":\"C\",\"name\":\"C\","
                                  "\"territory_id\":{\"key\":\"East\"}}\n");
    for (int i = 0; i < VISITS; i++) {
        dk_buffer_append_text(
            &lines, format(world,
                           "{\"entity\":\"visit\",\"key\":\"V%d\",\"customer_id\":{\"key\":\"C\"},"
                           "\"status\":\"completed\"}\n"
                           "{\"entity\":\"quote\",\"key\":\"Q%d\",\"customer_id\":{\"key\":\"C\"},"
                           "\"cur\":\"CNY\",\"status\":\"draft\"}\n",
                           i, i));
    }
    import(world, dk_buffer_text(&lines));
    dk_buffer_clear(&lines);
}

/* Given hundreds of old documents, when the job is ended between any two steps and run again, then
 * it goes on, all but the last few have moved, and another run writes nothing. */
static void test_classify__goes_on_after_a_stop(void **state)
{
    struct world *world = *state;
    struct class_rule rule = {CLASS_OPEN_DAYS, CLASS_RECENT_DAYS, CLASS_LAST};
    int64_t seen, moved, total = 0, now_ms = srv_now_ms();
    make_past(world);
    assert_int_equal(srv_classify(world->service, &rule, now_ms, NULL, NULL, &seen, &moved),
                     DAYBOOK_OK);
    assert_int_equal(seen, 2 * VISITS);
    assert_int_equal(moved, 0);
    now_ms += 31 * CLASS_DAY_MS;
    for (int steps = 1; total < VISITS - CLASS_LAST; steps += 3) {
        int left = steps;
        assert_in_range(steps, 1, 100);
        assert_int_equal(srv_classify(world->service, &rule, now_ms, stop_at, &left, &seen, &moved),
                         DAYBOOK_OK);
        total += moved;
    }
    assert_int_equal(total, VISITS - CLASS_LAST);
    assert_int_equal(srv_classify(world->service, &rule, now_ms, NULL, NULL, &seen, &moved),
                     DAYBOOK_OK);
    assert_int_equal(seen, 2 * VISITS);
    assert_int_equal(moved, 0);
    struct phone li = enrol(world, "li");
    assert_non_null(strstr(sync_phone(world, &li, NULL), "/recent\""));
    now_ms += 60 * CLASS_DAY_MS;
    assert_int_equal(srv_classify(world->service, &rule, now_ms, NULL, NULL, &seen, &moved),
                     DAYBOOK_OK);
    assert_int_equal(moved, VISITS - CLASS_LAST);
    assert_int_equal(srv_classify(world->service, &rule, now_ms, NULL, NULL, &seen, &moved),
                     DAYBOOK_OK);
    assert_int_equal(seen, VISITS + CLASS_LAST); /* nobody looks into the archive */
    assert_null(strstr(sync_phone(world, &li, NULL), "/archive"));
}

/* Given documents that together pass what one changeset may carry, when the job runs, then it takes
 * them in smaller steps. */
static void test_classify__large_documents_go_in_smaller_steps(void **state)
{
    struct world *world = *state;
    enum { DOCUMENTS = 100, ACTIONS = 4, BYTES = 16000 };
    static char filler[BYTES + 1];
    struct class_rule rule = {0, 0, 0};
    struct buffer lines;
    int64_t seen, moved;
    memset(filler, 'x', BYTES);
    dk_buffer_init(&lines, (size_t)32 * 1024 * 1024);
    dk_buffer_append_text(&lines, "{\"entity\":\"customer\",\"key\":\"C\",\"name\":\"C\","
                                  "\"territory_id\":{\"key\":\"East\"}}\n");
    for (int i = 0; i < DOCUMENTS; i++) {
        dk_buffer_append_text(
            &lines, format(world,
                           "{\"entity\":\"visit\",\"key\":\"V%d\",\"customer_id\":{\"key\":\"C\"},"
                           "\"status\":\"completed\",\"custom\":{\"k\":\"%s\"}}\n",
                           i, filler));
        for (int j = 0; j < ACTIONS; j++) {
            dk_buffer_append_text(&lines,
                                  format(world,
                                         "{\"entity\":\"visit_action\",\"key\":\"A%d.%d\","
                                         "\"visit_id\":{\"key\":\"V%d\"},\"kind\":\"photo\","
                                         "\"custom\":{\"k\":\"%s\"}}\n",
                                         i, j, i, filler));
        }
    }
    import(world, dk_buffer_text(&lines));
    dk_buffer_clear(&lines);
    assert_int_equal(
        srv_classify(world->service, &rule, srv_now_ms() + CLASS_DAY_MS, NULL, NULL, &seen, &moved),
        DAYBOOK_OK);
    assert_int_equal(seen, DOCUMENTS);
    assert_int_equal(moved, DOCUMENTS);
}

/* Given a zone, when the next night is asked for, then it is ahead, within a day, at the full hour
 * there; and the work of a night with nothing to do is done. */
static void test_classify__the_night_is_the_organisations(void **state)
{
    struct world *world = *state;
    static const int64_t zones[] = {0, 480, -570, 900, -900};
    for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
        char id[ID_TEXT_SIZE];
        int64_t tz_ms = zones[i] * 60000;
        dk_id_to_text(&world->service->decider.orgs[0].id, id);
        import(world, format(world, "{\"entity\":\"organisation\",\"id\":\"%s\",\"tz_min\":%lld}\n",
                             id, (long long)zones[i]));
        for (int64_t now_ms = 1795000000000; now_ms < 1795000000000 + 2 * CLASS_DAY_MS;
             now_ms += 25 * 60000) {
            int64_t night_ms = srv_service_next_night(world->service, 2, now_ms);
            assert_in_range(night_ms - now_ms, 1, CLASS_DAY_MS);
            assert_int_equal((night_ms + tz_ms) % CLASS_DAY_MS, 2 * HOUR_MS);
        }
    }
}

/* Given old documents and a log that is to be short, when a night has passed, then the documents
 * have moved and the log begins where it should; without that setting it is whole. */
static void test_classify__a_night_classifies_and_cuts_the_log(void **state)
{
    struct world *world = *state;
    make_past(world);
    world->service->classes = (struct class_rule){.open_days = 0, .recent_days = 90, .last = 3};
    assert_int_equal(srv_service_night(world->service, NULL, NULL), DAYBOOK_OK);
    const char *whole = command(world, DAYBOOK_OK, "compact --json");
    assert_int_equal(number_member(world, whole, "floor"), 0);
    world->service->log_positions = 2;
    assert_int_equal(srv_service_night(world->service, NULL, NULL), DAYBOOK_OK);
    int64_t head = world->service->decider.orgs[0].head;
    const char *again = command(world, DAYBOOK_OK, "compact --json");
    assert_int_equal(number_member(world, again, "floor"), head - 2);
    assert_int_equal(number_member(world, again, "removed"), 0);
}

/* Given commands with one thing wrong each, when they are run, then they say what, and change
 * nothing. */
static void test_classify__what_the_commands_refuse(void **state)
{
    struct world *world = *state;
    static const struct {
        daybook_status status;
        const char *words, *text;
    } cases[] = {
        {DAYBOOK_NOT_FOUND, "user change nobody --role rep", "there is no user nobody"},
        {DAYBOOK_NOT_FOUND, "user change li --territory Nowhere", "there is no territory Nowhere"},
        {DAYBOOK_NOT_FOUND, "user change li --manager nobody", "there is no user nobody"},
        {DAYBOOK_INVALID, "user change li --role king", "there is no role king"},
        {DAYBOOK_INVALID, "user change li --disabled maybe", "--disabled is yes or no"},
        {DAYBOOK_INVALID, "user change li", "say what is to change"},
        {DAYBOOK_RULE, "user change li --manager li", "self"},
        {DAYBOOK_INVALID, "customer reassign x --territory East", "x is no id"},
        {DAYBOOK_INVALID, "customer reassign 0193f000-0000-7000-8000-000000000001", "say to whom"},
        {DAYBOOK_NOT_FOUND,
         "customer reassign 0193f000-0000-7000-8000-000000000001 --territory East",
         "there is no customer"},
        {DAYBOOK_INVALID, "classify --open-days x", "--open-days is 0 to 3650"},
        {DAYBOOK_INVALID, "classify --last 101", "--last is 0 to 100"},
        {DAYBOOK_INVALID, "classify --open-days 10 --recent-days 9", "less than"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_in(command(world, cases[i].status, cases[i].words), cases[i].text);
    }
    (void)command(world, DAYBOOK_OK,
                  "user change li --role manager --territory West --disabled no");
    expect_in(command(world, DAYBOOK_OK, "classify --json"), "{\"seen\":0,\"moved\":0}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classify__the_rule),
        cmocka_unit_test_setup_teardown(test_classify__goes_on_after_a_stop, setup_service,
                                        teardown_service),
        cmocka_unit_test_setup_teardown(test_classify__large_documents_go_in_smaller_steps,
                                        setup_service, teardown_service),
        cmocka_unit_test_setup_teardown(test_classify__the_night_is_the_organisations,
                                        setup_service, teardown_service),
        cmocka_unit_test_setup_teardown(test_classify__a_night_classifies_and_cuts_the_log,
                                        setup_service, teardown_service),
        cmocka_unit_test_setup_teardown(test_classify__what_the_commands_refuse, setup_service,
                                        teardown_service),
    };
    return cmocka_run_group_tests_name("classify", tests, NULL, NULL);
}
