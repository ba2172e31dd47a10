/* SPDX-License-Identifier: Apache-2.0
 *
 * The command customer merge on the real service, where very much names the customer that goes.
 */
#include "tests/unit/service_world.h"

#define DOUBLINGS 14 /* 16,384 contacts, where a command moves at most 20,000 */

/* Given a customer with more contacts than fit into the memory of one decision, when it is merged
 * into another, then all of them are the other's. */
static void test_service_merge__however_much_names_the_customer(void **state)
{
    struct world *world = *state;
    struct phone li = enrol(world, "li");
    struct id from = new_id(world), into = new_id(world), contact = new_id(world);
    char from_text[ID_TEXT_SIZE], into_text[ID_TEXT_SIZE];
    (void)push_customer(world, &li, &from, "Lotus");
    (void)push_customer(world, &li, &into, "Lotus Trading");
    const char *blocks =
        format(world,
               "[{\"entity\":\"contact\",\"op\":\"new\",\"fields\":"
               "[\"customer_id\",\"name\"],\"rows\":[[0,\"%s\",\"%s\",\"Anna\"]]}]",
               wire(world, &contact), wire(world, &from));
    const char *reply =
        sync_phone(world, &li, format(world, "[%s]", changeset(world, &li, ++li.seq, blocks)));
    expect_in(reply, "\"accepted\"");
    for (int i = 0; i < DOUBLINGS; i++) {
        run_sql(world, "CREATE TEMP TABLE more AS SELECT * FROM s_contact;"
                       "UPDATE more SET id = randomblob(16);"
                       "INSERT INTO s_contact SELECT * FROM more;");
    }
    dk_id_to_text(&from, from_text);
    dk_id_to_text(&into, into_text);
    const char *words = format(world, "customer merge %s %s --json", from_text, into_text);
    expect_in(command(world, DAYBOOK_OK, words), format(world, "\"moved\":%d", 1 << DOUBLINGS));
    /* fails where any is left */
    run_sql(world, format(world,
                          "CREATE TEMP TABLE every(one CHECK(one = 1));"
                          "INSERT INTO every SELECT customer_id = '%s' FROM contact",
                          into_text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_service_merge__however_much_names_the_customer,
                                        setup_service, teardown_service),
    };
    return cmocka_run_group_tests_name("service_merge", tests, NULL, NULL);
}
