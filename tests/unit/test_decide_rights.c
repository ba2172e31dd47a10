/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may write what: one test per refusal, the scope of writes and of pulls, records that move,
 * and what depends on what was refused.
 */
#include "tests/unit/decide_world.h"

#define CANARY "canary-in-a-coal-mine"

/* Given fields and entities of the server, when a device writes them, then READONLY; the server
 * itself may. */
static void test_decide_rights__what_belongs_to_the_server(void **state)
{
    struct world *world = *state;
    struct id id = make_record(world, ENTITY_PRODUCT);
    put_text(world, PRODUCT_CODE, "X");
    reject(world, &world->li, REJECT_READONLY, "", "entity");
    id = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_text(world, CUSTOMER_TIER, "A");
    reject(world, &world->li, REJECT_READONLY, "tier", "server");
    id = make_customer(world, &world->li, "C");
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_int(world, FIELD_CREATED_TS, 1);
    reject(world, &world->li, REJECT_READONLY, "created_ts", "server");
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_text(world, CUSTOMER_NORM_NAME, "c");
    reject(world, &world->li, REJECT_READONLY, "norm_name", "derived");
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_text(world, CUSTOMER_TIER, "A");
    (void)accept(world, &world->server);
    expect_text(world, ENTITY_CUSTOMER, &id, CUSTOMER_TIER, "A");
    id = make_record(world, ENTITY_CONFLICT);
    reject(world, &world->office, REJECT_READONLY, "", "entity");
}

/* Given an id that is taken, when it is made again, then EXISTS; a tombstone's too. */
static void test_decide_rights__an_id_is_made_once(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->li, "C");
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &id, 0);
    put_text(world, CUSTOMER_NAME, "D");
    reject(world, &world->li, REJECT_EXISTS, "", "");
    delete_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    (void)accept(world, &world->li);
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &id, 0);
    put_text(world, CUSTOMER_NAME, "D");
    reject(world, &world->li, REJECT_EXISTS, "", "");
}

/* Given an id that is taken, when a changeset makes records before, under and behind it, then
 * EXISTS; without it they are made. */
static void test_decide_rights__of_many_ids_each_is_made_once(void **state)
{
    struct world *world = *state;
    struct id before = new_id(world), taken = make_customer(world, &world->li, "C");
    struct id behind = new_id(world);
    const struct id *const ids[] = {&behind, &before, &taken};
    for (int count = 3; count >= 2; count--) {
        for (int i = 0; i < count; i++) {
            change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, ids[i], 0);
            put_text(world, CUSTOMER_NAME, "D");
        }
        if (count == 3) {
            reject(world, &world->li, REJECT_EXISTS, "", "");
        } else {
            (void)accept(world, &world->li);
        }
    }
    expect_text(world, ENTITY_CUSTOMER, &before, CUSTOMER_NAME, "D");
    expect_text(world, ENTITY_CUSTOMER, &taken, CUSTOMER_NAME, "C");
    expect_text(world, ENTITY_CUSTOMER, &behind, CUSTOMER_NAME, "D");
}

/* Given records of another territory and records that do not exist, when a rep touches or names
 * them, then the answers are the same. */
static void test_decide_rights__out_of_scope_is_as_if_it_did_not_exist(void **state)
{
    struct world *world = *state;
    struct id west = make_customer(world, &world->tom, "west");
    struct id nothing = new_id(world);
    for (int i = 0; i < 2; i++) {
        const struct id *id = i == 0 ? &west : &nothing;
        edit_record(world, ENTITY_CUSTOMER, id, world->org.head);
        put_text(world, CUSTOMER_PREFS, "mine");
        reject(world, &world->li, REJECT_REF_MISSING, "", "");
        delete_record(world, ENTITY_CUSTOMER, id, world->org.head);
        reject(world, &world->li, REJECT_REF_MISSING, "", "");
        (void)make_record(world, ENTITY_CONTACT);
        put_id(world, CONTACT_CUSTOMER_ID, id);
        put_text(world, CONTACT_NAME, "Anna");
        reject(world, &world->li, REJECT_REF_MISSING, "customer_id", "");
    }
    /* A reference that is moved there is refused too. */
    struct id east = make_customer(world, &world->li, "east");
    struct id contact = make_record(world, ENTITY_CONTACT);
    put_id(world, CONTACT_CUSTOMER_ID, &east);
    put_text(world, CONTACT_NAME, "Anna");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_CONTACT, &contact, base);
    put_id(world, CONTACT_CUSTOMER_ID, &west);
    reject(world, &world->li, REJECT_REF_MISSING, "customer_id", "");
    /* The back office sees both. */
    edit_record(world, ENTITY_CONTACT, &contact, base);
    put_id(world, CONTACT_CUSTOMER_ID, &west);
    (void)accept(world, &world->office);
}

/* Given a rep without a territory, when they make a customer, then it would be in a bucket that
 * they do not see. */
static void test_decide_rights__a_maker_sees_what_is_made(void **state)
{
    struct world *world = *state;
    struct device nobody;
    make_user(world, &nobody, "nobody", "rep", NULL);
    (void)make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    reject(world, &nobody, REJECT_SCOPE, "", "");
    struct id id = make_customer(world, &world->office, "C");
    assert_string_equal(pull_all(world, &world->li, world->org.head - 1), "");
    expect_in(pull_all(world, &world->office, world->org.head - 1), "\"op\":\"own\"");
    edit_record(world, ENTITY_CUSTOMER, &id, world->org.head);
    put_text(world, CUSTOMER_PREFS, "x");
    reject(world, &world->li, REJECT_REF_MISSING, "", "");
}

/* Given changesets with one thing wrong each, when they come, then nothing of them is applied and
 * the verdict names what is wrong. */
static void test_decide_rights__rules_and_shapes(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    struct id product = make_product(world, "TEA");
    (void)make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_PREFS, "no name");
    reject(world, &world->li, REJECT_REQUIRED, "name", "required");
    (void)make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_NAME, "C");
    put_int(world, CUSTOMER_LAT, 900000001);
    reject(world, &world->li, REJECT_SCHEMA, "lat_e7", "range");
    struct id quote = add_quote(world, &customer);
    (void)add_line(world, &quote, &product, 0);
    reject(world, &world->li, REJECT_RULE, "qty", "zero");
    assert_false(is_live(world, ENTITY_QUOTE, &quote));
    struct id order = make_record(world, ENTITY_SALES_ORDER);
    put_id(world, SALES_ORDER_CUSTOMER_ID, &customer);
    put_text(world, SALES_ORDER_CUR, "CNY");
    put_text(world, SALES_ORDER_CANCEL_REQ, "[\"a\"]");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_SALES_ORDER, &order, base);
    put_text(world, SALES_ORDER_CANCEL_REQ, "{\"remove\":[\"a\"]}");
    reject(world, &world->li, REJECT_POLICY, "cancel_req", "grow");
    edit_record(world, ENTITY_SALES_ORDER, &order, base);
    put_text(world, SALES_ORDER_CANCEL_REQ, "{\"add\":[\"b\"],\"remove\":[\"a\"]}");
    reject(world, &world->li, REJECT_POLICY, "cancel_req", "grow");
    edit_record(world, ENTITY_SALES_ORDER, &order, base);
    put_text(world, SALES_ORDER_CANCEL_REQ, "{\"add\":[\"x\\\"],\\\"remove\\\":\"]}");
    (void)accept(world, &world->li);
}

/* Given a document with as many lines as there may be, when one more comes, then LIMIT; keys of a
 * map too. */
static void test_decide_rights__limits_hold(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    struct id product = make_product(world, "TEA");
    struct id quote = add_quote(world, &customer);
    for (int i = 0; i < LIMIT_CHILDREN; i++) {
        (void)add_line(world, &quote, &product, 1000);
    }
    (void)accept(world, &world->li);
    (void)add_line(world, &quote, &product, 1000);
    reject(world, &world->wang, REJECT_LIMIT, "", "children");
    expect_int(world, ENTITY_QUOTE, &quote, QUOTE_SUBTOTAL, 1000 * LIMIT_CHILDREN);
    char map[LIMIT_CUSTOM_KEYS * 12] = "";
    for (int i = 0; i < LIMIT_CUSTOM_KEYS; i++) {
        (void)snprintf(map + strlen(map), sizeof map - strlen(map), "%s\"k%03d\":%d",
                       i == 0 ? "{" : ",", i, i);
    }
    (void)snprintf(map + strlen(map), sizeof map - strlen(map), "}");
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_text(world, FIELD_CUSTOM, map);
    (void)accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_text(world, FIELD_CUSTOM, "{\"more\":1}");
    reject(world, &world->li, REJECT_LIMIT, "custom", "keys");
}

/* Given a changeset whose conflicts would make its log rows larger than any reply, when it comes,
 * then it is refused, and nobody is ever stuck before it. */
static void test_decide_rights__what_no_reply_could_carry(void **state)
{
    struct world *world = *state;
    enum { RECORDS = 1700, LENGTH = 2000 };
    static char texts[2][LENGTH + 1];
    struct id *ids = calloc(RECORDS, sizeof *ids);
    assert_non_null(ids);
    for (int i = 0; i < RECORDS; i++) {
        ids[i] = make_record(world, ENTITY_CUSTOMER);
        put_text(world, CUSTOMER_NAME, "C");
    }
    int64_t base = accept(world, &world->li);
    for (int turn = 0; turn < 2; turn++) {
        memset(texts[turn], 'a' + turn, LENGTH);
        for (int i = 0; i < RECORDS; i++) {
            edit_record(world, ENTITY_CUSTOMER, &ids[i], base);
            put_text(world, CUSTOMER_PREFS, texts[turn]);
        }
        if (turn == 0) {
            (void)accept(world, &world->li);
        } else {
            reject(world, &world->wang, REJECT_LIMIT, "", "bytes");
        }
    }
    expect_text(world, ENTITY_CUSTOMER, &ids[0], CUSTOMER_PREFS, texts[0]);
    free(ids);
}

/* Given a rejected creation, when other changesets build on it, then DEPENDS names it; once it was
 * made after all, they go through. */
static void test_decide_rights__what_builds_on_a_rejection_depends(void **state)
{
    struct world *world = *state;
    struct id customer = make_record(world, ENTITY_CUSTOMER);
    put_text(world, CUSTOMER_PREFS, "no name");
    reject(world, &world->li, REJECT_REQUIRED, "name", "required");
    struct id cause = world->last_changeset;
    for (int kind = 0; kind < 3; kind++) {
        struct id visit = {{0}};
        if (kind == 0) {
            edit_record(world, ENTITY_CUSTOMER, &customer, 0);
            put_text(world, CUSTOMER_PREFS, "x");
        } else if (kind == 1) {
            delete_record(world, ENTITY_CUSTOMER, &customer, 0);
        } else {
            visit = make_record(world, ENTITY_VISIT);
            put_id(world, VISIT_CUSTOMER_ID, &customer);
        }
        struct verdict verdict = send_changeset(world, &world->li);
        assert_int_equal(verdict.kind, VERDICT_REJECTED);
        assert_int_equal(verdict.code, REJECT_DEPENDS);
        assert_memory_equal(&verdict.cause, &cause, sizeof cause);
        if (kind == 2) { /* the chain goes on */
            struct id second = world->last_changeset;
            (void)make_record(world, ENTITY_VISIT_ACTION);
            put_id(world, VISIT_ACTION_VISIT_ID, &visit);
            put_text(world, VISIT_ACTION_KIND, "photo");
            verdict = send_changeset(world, &world->li);
            assert_int_equal(verdict.code, REJECT_DEPENDS);
            assert_memory_equal(&verdict.cause, &second, sizeof second);
        }
    }
    change_record(world, BLOCK_NEW, ENTITY_CUSTOMER, &customer, 0);
    put_text(world, CUSTOMER_NAME, "mended");
    (void)accept(world, &world->li);
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    (void)accept(world, &world->li);
    /* To others a record out of scope is missing, however it came to be. */
    (void)make_record(world, ENTITY_VISIT);
    put_id(world, VISIT_CUSTOMER_ID, &customer);
    reject(world, &world->tom, REJECT_REF_MISSING, "customer_id", "");
}

/* Given records in two territories, with edits, conflicts, deletes and refusals on them, when a rep
 * pulls everything, then not a byte of the other territory's records is in the page, nor their
 * ids. */
static void test_decide_rights__no_byte_of_another_territory(void **state)
{
    struct world *world = *state;
    struct id id = make_customer(world, &world->tom, CANARY "-name");
    int64_t base = world->org.head;
    struct device west;
    make_user(world, &west, "west2", "rep", &world->territories[WEST]);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, CANARY "-1");
    (void)accept(world, &world->tom);
    edit_record(world, ENTITY_CUSTOMER, &id, base);
    put_text(world, CUSTOMER_PREFS, CANARY "-2");
    put_text(world, FIELD_CUSTOM, "{\"" CANARY "\":1}");
    world->hlc_ms = world->now_ms + 5;
    (void)merge(world, &west);
    struct id quote = add_quote(world, &id);
    put_text(world, QUOTE_NOTE, CANARY);
    (void)accept(world, &world->tom);
    delete_record(world, ENTITY_QUOTE, &quote, world->org.head);
    (void)accept(world, &world->tom);
    (void)make_customer(world, &world->li, "east");
    const char *page = pull_all(world, &world->li, 0);
    expect_not_in(page, CANARY);
    expect_not_in(page, wire(world, &id));
    expect_not_in(page, wire(world, &quote));
    /* territories themselves are everybody's */
    expect_in(page, wire(world, &world->territories[WEST]));
    expect_in(pull_all(world, &world->tom, 0), CANARY);
    expect_in(pull_all(world, &world->office, 0), CANARY "-name");
}

/* Moves a customer to another territory, as an import does. */
static int64_t move_customer(struct world *world, const struct id *id, int territory)
{
    edit_record(world, ENTITY_CUSTOMER, id, world->org.head);
    put_id(world, CUSTOMER_TERRITORY_ID, &world->territories[territory]);
    return accept(world, &world->server);
}

/* Given a customer with contact, quote and line, when it goes to another territory, then all of it
 * goes: evicted here, whole there, neither for who sees both; and the new rep may work on it while
 * the old one may not. */
static void test_decide_rights__a_customer_moves_with_all_that_hangs_from_it(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "C");
    struct id product = make_product(world, "TEA");
    struct id contact = make_record(world, ENTITY_CONTACT);
    put_id(world, CONTACT_CUSTOMER_ID, &customer);
    put_text(world, CONTACT_NAME, "Anna");
    struct id quote = add_quote(world, &customer);
    struct id line = add_line(world, &quote, &product, 1000);
    struct id gone = add_line(world, &quote, &product, 2000);
    int64_t base = accept(world, &world->li);
    delete_record(world, ENTITY_QUOTE_LINE, &gone, base);
    (void)accept(world, &world->li);
    int64_t position = move_customer(world, &customer, WEST);
    const struct id *moved[] = {&customer, &contact, &quote, &line};
    const char *page = pull_all(world, &world->li, position - 1);
    expect_not_in(page, "\"op\":\"new\"");
    for (size_t i = 0; i < 4; i++) {
        expect_in(page, wire(world, moved[i]));
    }
    expect_in(page, "\"quote_line\",\"op\":\"evict\"");
    page = pull_all(world, &world->tom, position - 1);
    expect_not_in(page, "evict");
    expect_in(page, "\"quote_line\",\"op\":\"new\"");
    expect_in(page, "Anna");
    page = pull_all(world, &world->office, position - 1);
    expect_not_in(page, "evict");
    expect_in(page, "\"quote\",\"op\":\"new\"");
    assert_int_equal(version_of(world, ENTITY_QUOTE_LINE, &line), position);
    edit_record(world, ENTITY_CONTACT, &contact, position);
    put_text(world, CONTACT_TITLE, "CFO");
    (void)accept(world, &world->tom);
    edit_record(world, ENTITY_CONTACT, &contact, position);
    put_text(world, CONTACT_TITLE, "CEO");
    reject(world, &world->li, REJECT_REF_MISSING, "", "");
    /* The tombstone has moved too: an edit that had not seen the delete revives it for the new
     * territory. */
    edit_record(world, ENTITY_QUOTE_LINE, &gone, base);
    put_qty(world, 9000);
    position = merge(world, &world->tom);
    assert_string_equal(pull_all(world, &world->li, position - 1), "");
}

/* Given a customer with a quote that went to another territory, when a new device of the old one
 * reads the log from its beginning, or the maker's own device does, then not a byte of them is in
 * it; when the customer comes back, all of it is. */
static void test_decide_rights__the_past_of_what_has_left_is_not_told(void **state)
{
    struct world *world = *state;
    struct device fresh;
    struct id customer = make_customer(world, &world->li, CANARY "-1");
    struct id quote = add_quote(world, &customer);
    put_text(world, QUOTE_NOTE, CANARY "-2");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_CUSTOMER, &customer, base);
    put_text(world, CUSTOMER_PREFS, CANARY "-3");
    (void)accept(world, &world->wang);
    int64_t moved = move_customer(world, &customer, WEST);
    edit_record(world, ENTITY_QUOTE, &quote, moved);
    put_text(world, QUOTE_NOTE, CANARY "-4");
    (void)accept(world, &world->tom);
    make_device(world, &fresh, &world->li.author.account.user);
    struct device *readers[] = {&fresh, &world->li, &world->wang};
    for (int i = 0; i < 3; i++) {
        const char *page = pull_all(world, readers[i], 0);
        expect_not_in(page, CANARY);
        expect_in(page, "\"quote\",\"op\":\"evict\"");
    }
    expect_in(pull_all(world, &world->tom, 0), CANARY "-2");
    expect_in(pull_all(world, &world->office, 0), CANARY "-3");
    int64_t back = move_customer(world, &customer, EAST);
    const char *page = pull_all(world, &fresh, 0);
    expect_in(page, CANARY "-1");
    expect_in(page, CANARY "-4");
    expect_in(pull_all(world, &fresh, back - 1), "\"customer\",\"op\":\"new\"");
    expect_not_in(pull_all(world, &world->tom, 0), CANARY);
}

/* Given a customer that moves within a scope and then out of it, when the log is read from before,
 * then it is evicted from where the reader has it. */
static void test_decide_rights__what_left_by_detours_is_evicted(void **state)
{
    struct world *world = *state;
    struct device manager;
    make_user(world, &manager, "manager", "manager", &world->territories[EAST]);
    edit_record(world, ENTITY_USER, &world->tom.author.account.user, world->org.head);
    put_id(world, USER_MANAGER_ID, &manager.author.account.user);
    (void)accept(world, &world->server);
    struct id customer = make_customer(world, &world->li, CANARY);
    int64_t before = world->org.head;
    (void)move_customer(world, &customer, WEST);
    expect_in(pull_all(world, &manager, before), CANARY);
    expect_not_in(pull_all(world, &manager, before), "\"op\":\"evict\"");
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_null(world, CUSTOMER_TERRITORY_ID);
    (void)accept(world, &world->server);
    const char *page = pull_all(world, &manager, before);
    expect_not_in(page, CANARY);
    const char *first = strstr(page, "\"op\":\"evict\"");
    assert_non_null(first);
    assert_non_null(strstr(first + 1, "\"op\":\"evict\""));
}

/* Given a contact, when the back office hangs it under another territory's customer, then it is
 * evicted and new in one entry, and the author, who sees both, is told its new bucket. */
static void test_decide_rights__a_contact_changes_its_customer(void **state)
{
    struct world *world = *state;
    struct id east = make_customer(world, &world->li, "E");
    struct id west = make_customer(world, &world->tom, "W");
    struct id contact = make_record(world, ENTITY_CONTACT);
    put_id(world, CONTACT_CUSTOMER_ID, &east);
    put_text(world, CONTACT_NAME, "Anna");
    int64_t base = accept(world, &world->li);
    edit_record(world, ENTITY_CONTACT, &contact, base);
    put_id(world, CONTACT_CUSTOMER_ID, &west);
    int64_t position = accept(world, &world->office);
    expect_in(pull_all(world, &world->li, position - 1), "\"contact\",\"op\":\"evict\"");
    expect_in(pull_all(world, &world->tom, position - 1), "Anna");
    const char *page = pull_all(world, &world->office, position - 1);
    expect_in(page, "\"op\":\"own\"");
    expect_in(page, "\"contact\",\"op\":\"new\"");
    expect_not_in(page, "evict");
}

/* Given a changeset with records in two buckets, when its author pulls, then its marker names none,
 * and behind it comes what everybody gets, of the buckets that are in scope by then. */
static void test_decide_rights__one_changeset_in_two_buckets(void **state)
{
    struct world *world = *state;
    struct id east = make_customer(world, &world->li, "E");
    struct id west = make_customer(world, &world->tom, "W");
    int64_t base = world->org.head;
    edit_record(world, ENTITY_CUSTOMER, &east, base);
    put_text(world, CUSTOMER_PREFS, "office");
    edit_record(world, ENTITY_CUSTOMER, &west, base);
    put_text(world, CUSTOMER_PREFS, "office");
    int64_t position = accept(world, &world->office);
    const char *page = pull_all(world, &world->office, position - 1);
    char marker[100];
    (void)snprintf(marker, sizeof marker, "\"%s\",%lld,0]", wire(world, &world->last_changeset),
                   (long long)world->office.author.decided);
    const char *first = strstr(page, marker);
    assert_non_null(first);
    assert_null(strstr(first + 2, wire(world, &world->last_changeset)));
    expect_in(page, wire(world, &east));
    expect_in(page, wire(world, &west));
    struct device moved = world->office;
    (void)snprintf(moved.author.account.role, sizeof moved.author.account.role, "rep");
    moved.author.account.territory = world->territories[EAST];
    page = pull_all(world, &moved, position - 1);
    expect_in(page, marker);
    expect_in(page, wire(world, &east));
    expect_not_in(page, wire(world, &west));
    expect_in(pull_all(world, &world->li, position - 1), wire(world, &east));
    expect_not_in(pull_all(world, &world->li, position - 1), wire(world, &west));
}

/* Given a manager, when a user reports to them, then they see and may write what is in that user's
 * territory. */
static void test_decide_rights__a_manager_sees_the_team(void **state)
{
    struct world *world = *state;
    struct device manager;
    make_user(world, &manager, "manager", "manager", NULL);
    struct id customer = make_customer(world, &world->tom, "W");
    assert_string_equal(pull_all(world, &manager, world->org.head - 1), "");
    edit_record(world, ENTITY_USER, &world->tom.author.account.user, world->org.head);
    put_id(world, USER_MANAGER_ID, &manager.author.account.user);
    (void)accept(world, &world->server);
    expect_in(pull_all(world, &manager, 0), wire(world, &customer));
    assert_int_equal(srv_scope_of(world->store, &manager.author.account, SCOPE_NOW, &world->scopes,
                                  &manager.author.scope),
                     DAYBOOK_OK);
    edit_record(world, ENTITY_CUSTOMER, &customer, world->org.head);
    put_text(world, CUSTOMER_PREFS, "m");
    (void)accept(world, &manager);
    expect_not_in(pull_all(world, &manager, 0), "\"op\":\"evict\"");
}

/* Given a login that is taken, when another user gets it, then EXISTS; a change of role reaches the
 * account. */
static void test_decide_rights__users_and_their_accounts(void **state)
{
    struct world *world = *state;
    (void)make_record(world, ENTITY_USER);
    put_text(world, USER_NAME, "Li 2");
    put_text(world, USER_LOGIN, "li");
    put_text(world, USER_ROLE, "rep");
    struct verdict verdict;
    enum decide_answer answer;
    struct decide_input input = {.changeset = {.id = new_id(world),
                                               .seq = world->server.author.decided + 1,
                                               .schema = SCHEMA_VERSION,
                                               .change_count = world->count,
                                               .changes = world->changes}};
    assert_int_equal(srv_store_begin(world->store), DAYBOOK_OK);
    assert_int_equal(srv_decide(world->decide, &world->org, &world->server.author, &input,
                                world->now_ms, &verdict, &answer),
                     DAYBOOK_OK);
    srv_store_rollback(world->store);
    assert_int_equal(verdict.code, REJECT_EXISTS);
    assert_string_equal(verdict.field, "login");
    world->count = 0;
    world->server.author.decided--;
    edit_record(world, ENTITY_USER, &world->li.author.account.user, world->org.head);
    put_text(world, USER_ROLE, "back_office");
    put_int(world, USER_DISABLED, 1);
    (void)accept(world, &world->server);
    struct srv_account account;
    bool found;
    assert_int_equal(
        srv_store_get_account(world->store, &world->li.author.account.user, &account, &found),
        DAYBOOK_OK);
    assert_true(found && account.disabled);
    assert_string_equal(account.role, "back_office");
}

/* Given a changeset on which the server runs out of its own bounds, when it comes, then it alone is
 * quarantined, its text is kept, and the next goes through. */
static void test_decide_rights__a_failure_of_the_server_is_no_verdict_on_others(void **state)
{
    struct world *world = *state;
    struct id customer = make_customer(world, &world->li, "large"), product;
    product = make_product(world, "P");
    struct id quote = add_quote(world, &customer);
    for (int i = 0; i < 200; i++) {
        (void)add_line(world, &quote, &product, 1000);
    }
    (void)accept(world, &world->li);
    srv_decide_free(world->decide);
    struct log log = {NULL, NULL, 0};
    world->decide = srv_decide_new(world->store, &log, 256 * 1024);
    for (int i = 0; i < 200; i++) {
        (void)make_record(world, ENTITY_CUSTOMER);
        put_text(world, CUSTOMER_NAME, "C");
    }
    int64_t head = world->org.head;
    struct verdict verdict = send_changeset(world, &world->li);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    assert_int_equal(verdict.code, REJECT_INTERNAL);
    assert_int_equal(world->org.head, head);
    bool has = false;
    assert_int_equal(srv_store_has_quarantine(world->store, world->li.author.device_no, &has),
                     DAYBOOK_OK);
    assert_true(has);
    (void)make_customer(world, &world->li, "small");
    assert_int_equal(world->org.head, head + 1);
    /* Also where the bound is reached by what the store has. */
    delete_record(world, ENTITY_QUOTE, &quote, head);
    verdict = send_changeset(world, &world->wang);
    assert_int_equal(verdict.kind, VERDICT_QUARANTINED);
    assert_int_equal(verdict.code, REJECT_INTERNAL);
    assert_int_equal(world->org.head, head + 1);
}

#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(test_decide_rights__##name, setup_world, teardown_world)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_belongs_to_the_server),
        TEST(an_id_is_made_once),
        TEST(of_many_ids_each_is_made_once),
        TEST(out_of_scope_is_as_if_it_did_not_exist),
        TEST(a_maker_sees_what_is_made),
        TEST(rules_and_shapes),
        TEST(limits_hold),
        TEST(what_no_reply_could_carry),
        TEST(what_builds_on_a_rejection_depends),
        TEST(no_byte_of_another_territory),
        TEST(a_customer_moves_with_all_that_hangs_from_it),
        TEST(the_past_of_what_has_left_is_not_told),
        TEST(what_left_by_detours_is_evicted),
        TEST(a_contact_changes_its_customer),
        TEST(one_changeset_in_two_buckets),
        TEST(a_manager_sees_the_team),
        TEST(users_and_their_accounts),
        TEST(a_failure_of_the_server_is_no_verdict_on_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
