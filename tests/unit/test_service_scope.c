/* SPDX-License-Identifier: Apache-2.0
 *
 * A service whose organisation has more buckets than a scope may have: who would see all of them is
 * told so, and nobody else is kept from work.
 */
#include "tests/unit/service_world.h"

/* Given more buckets than a scope may have, when somebody of the back office syncs, then the answer
 * says what is wrong, and what they sent is decided all the same; in a group with them, and alone,
 * reps go on, and so does the operator; once it fits again, the back office does. */
static void test_service_scope__too_many_buckets_stop_nobody_else(void **state)
{
    struct world *world = *state;
    struct phone office = enrol(world, "office"), li = enrol(world, "li");
    struct id customer = new_id(world);
    (void)load_phone(world, &office);
    (void)load_phone(world, &li);
    run_sql(world, format(world,
                          "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <"
                          " %d) INSERT INTO bucket(org, bucket, label) SELECT 1, 100000 + 3 * i,"
                          " 'territory:' || i FROM n",
                          LIMIT_BUCKETS));
    const char *sent =
        format(world, "[%s]", changeset(world, &office, 1, customer_blocks(world, &customer, "C")));
    for (int i = 0; i < 2; i++) {
        struct answer answer = post(world, "/v1/sync", office.token, request(world, &office, sent));
        expect_status(&answer, 500, "INTERNAL");
        expect_in(answer.text, format(world, "the most are %d", LIMIT_BUCKETS));
    }
    struct id other = new_id(world);
    expect_in(push_customer(world, &li, &other, "D"), "accepted");
    (void)command(world, DAYBOOK_OK, "user add late --territory East");
    run_sql(world, "DELETE FROM bucket WHERE bucket > 100000");
    expect_in(sync_phone(world, &office, sent), "\"duplicate\":true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_scope__too_many_buckets_stop_nobody_else,
                                        setup_service, teardown_service),
    };
    return cmocka_run_group_tests_name("service_scope", tests, NULL, NULL);
}
