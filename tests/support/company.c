/* SPDX-License-Identifier: Apache-2.0
 *
 * See company.h.
 */
#include "tests/support/company.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define JSON_SIZE 16384
#define SETTLE_ROUNDS 3

const int arrival_orders[ARRIVAL_ORDERS][3] = {{0, 1, 2}, {1, 0, 2}, {2, 1, 0},
                                               {0, 2, 1}, {1, 2, 0}, {2, 0, 1}};

static const char catalogue[] =
    "{\"entity\":\"product\",\"id\":\"" TEA "\",\"code\":\"TEA-250\",\"name\":\"龙井茶 250g\","
    "\"category\":\"tea\",\"uom\":\"box\",\"tax_bp\":1300,\"active\":true}\n"
    "{\"entity\":\"product\",\"id\":\"" COOKIE "\",\"code\":\"COOKIE-12\","
    "\"name\":\"Butter cookies\",\"category\":\"biscuits\",\"uom\":\"carton\",\"tax_bp\":1300,"
    "\"active\":true}\n"
    "{\"entity\":\"price\",\"id\":\"0193f000-0001-7000-8000-000000000001\","
    "\"product_id\":\"" TEA "\",\"list_ver\":7,\"cur\":\"CNY\",\"price_e4\":\"123456\","
    "\"valid_from\":20260101}\n";

void company_open(struct company *company)
{
    memset(company, 0, sizeof *company);
    server_init(&company->server);
    server_start(&company->server);
    server_import(&company->server, catalogue);
}

void company_close(struct company *company)
{
    for (int i = 0; i < company->count; i++) {
        device_clear(&company->reps[i].device);
        tap_clear(&company->reps[i].tap);
    }
    server_clear(&company->server);
}

struct rep *company_add_device(struct company *company, const char *login)
{
    assert_true(company->count < COMPANY_REPS_MAX);
    struct rep *rep = &company->reps[company->count++];
    *rep = (struct rep){.company = company};
    (void)snprintf(rep->login, sizeof rep->login, "%s", login);
    tap_init(&rep->tap);
    device_init(&rep->device, &rep->tap.platform, company->server.url, company->server.ca_file);
    return rep;
}

struct rep *company_add(struct company *company, const char *login, const char *role,
                        const char *territory)
{
    server_add_user(&company->server, login, role, territory);
    return company_add_device(company, login);
}

void rep_begin(struct rep *rep)
{
    char code[64];
    server_code(&rep->company->server, rep->login, code);
    device_open(&rep->device);
    device_enrol(&rep->device, code);
    device_sync(&rep->device);
}

struct rep *company_hire(struct company *company, const char *login, const char *role,
                         const char *territory)
{
    struct rep *rep = company_add(company, login, role, territory);
    rep_begin(rep);
    return rep;
}

struct rep *company_second_device(struct company *company, const struct rep *rep)
{
    struct rep *second = company_add_device(company, rep->login);
    rep_begin(second);
    return second;
}

struct rep *company_copy(struct company *company, struct rep *rep)
{
    struct rep *copy = company_add_device(company, rep->login);
    device_close(&rep->device);
    device_copy(&rep->device, &copy->device);
    device_open(&rep->device);
    return copy;
}

void company_pair(struct company *company, struct rep **wang, struct rep **li,
                  char shop[DAYBOOK_ID_SIZE])
{
    *wang = company_hire(company, "wang", "rep", "East");
    *li = company_hire(company, "li", "rep", "East");
    rep_put(*wang, "customer", "{\"name\":\"shop\"}", shop);
    company_settle(company);
}

struct proxy *company_pair_behind(struct company *company, struct rep **wang, struct rep **li,
                                  char url[64])
{
    struct proxy *proxy = proxy_start(company->server.port);
    (void)snprintf(url, 64, "https://127.0.0.1:%d", proxy_port(proxy));
    *wang = company_hire(company, "wang", "rep", "East");
    *li = company_add(company, "li", "rep", "East");
    (*li)->device.options.server_url = url;
    rep_begin(*li);
    return proxy;
}

void company_check(struct company *company, const char *file, int line)
{
    for (int round = 0; round < SETTLE_ROUNDS; round++) {
        for (int i = 0; i < company->count; i++) {
            if (!company->reps[i].left) {
                if (round == SETTLE_ROUNDS - 1) { /* then what every record says is compared too */
                    device_must(daybook_verify(company->reps[i].device.engine), NULL);
                }
                device_sync(&company->reps[i].device);
            }
        }
    }
    for (int i = 0; i < company->count; i++) {
        struct rep *rep = &company->reps[i];
        if (!rep->left) {
            replica_check(&rep->device, &company->server, rep->login, file, line);
        }
    }
    replica_check_server(&company->server);
}

/* ---- what reps do */

void rep_sync(struct rep *rep)
{
    device_sync(&rep->device);
}

bool rep_exchange(struct rep *rep)
{
    tap_allow(&rep->tap, 1);
    daybook_status status = daybook_sync(rep->device.engine, 0, &rep->device.error);
    tap_allow(&rep->tap, -1);
    assert_true(status == DAYBOOK_OK || status == DAYBOOK_OFFLINE);
    return status == DAYBOOK_OK;
}

void rep_leave(struct rep *rep)
{
    device_close(&rep->device);
    rep->left = true;
}

void rep_put(struct rep *rep, const char *entity, const char *json, char *id)
{
    struct device *device = &rep->device;
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(device->engine, &transaction), NULL);
    device_must(daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, id, &device->error),
                &device->error);
    device_must(daybook_commit(transaction, &device->error), &device->error);
    daybook_end(&transaction);
}

void rep_putf(struct rep *rep, const char *entity, char *id, const char *format, ...)
{
    char json[JSON_SIZE];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(json, sizeof json, format, list);
    va_end(list);
    assert_in_range(length, 2, JSON_SIZE - 1);
    rep_put(rep, entity, json, id);
}

daybook_status rep_try_put(struct rep *rep, const char *entity, const char *json)
{
    struct device *device = &rep->device;
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(device->engine, &transaction), NULL);
    daybook_status status =
        daybook_put_json(transaction, entity, NULL, DAYBOOK_NEW, json, NULL, &device->error);
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, &device->error);
    }
    daybook_end(&transaction);
    return status;
}

daybook_status rep_try_patch(struct rep *rep, const char *entity, const char *id, int64_t version,
                             const char *json)
{
    struct device *device = &rep->device;
    daybook_transaction *transaction = NULL;
    device_must(daybook_begin(device->engine, &transaction), NULL);
    daybook_status status =
        daybook_patch_json(transaction, entity, id, version, json, &device->error);
    if (status == DAYBOOK_OK) {
        status = daybook_commit(transaction, &device->error);
    }
    daybook_end(&transaction);
    return status;
}

void rep_patch_at(struct rep *rep, const char *entity, const char *id, int64_t version,
                  const char *json)
{
    daybook_status status = rep_try_patch(rep, entity, id, version, json);
    if (status != DAYBOOK_OK) {
        print_error("%s patches %s %s at %lld with %s\n", rep->login, entity, id,
                    (long long)version, json);
    }
    device_must(status, &rep->device.error);
}

void rep_patch(struct rep *rep, const char *entity, const char *id, const char *json)
{
    rep_patch_at(rep, entity, id, device_version(&rep->device, entity, id), json);
}

void rep_patchf(struct rep *rep, const char *entity, const char *id, const char *format, ...)
{
    char json[JSON_SIZE];
    va_list list;
    va_start(list, format);
    int length = vsnprintf(json, sizeof json, format, list);
    va_end(list);
    assert_in_range(length, 2, JSON_SIZE - 1);
    rep_patch(rep, entity, id, json);
}

void rep_delete(struct rep *rep, const char *entity, const char *id)
{
    device_delete(&rep->device, entity, id);
}

void rep_quote(struct rep *rep, const char *name, char *customer, char *quote, char *line)
{
    char ids[3][DAYBOOK_ID_SIZE];
    rep_putf(rep, "customer", ids[0], "{\"name\":\"%s\"}", name);
    rep_putf(rep, "quote", ids[1], "{\"customer_id\":\"%s\",\"cur\":\"CNY\",\"note\":\"first\"}",
             ids[0]);
    rep_putf(rep, "quote_line", ids[2],
             "{\"quote_id\":\"%s\",\"product_id\":\"" TEA "\",\"qty\":24000,\"uom\":\"box\","
             "\"price_e4\":123456,\"disc_bp\":500}",
             ids[1]);
    char *const out[] = {customer, quote, line};
    for (int i = 0; i < 3; i++) {
        if (out[i] != NULL) {
            memcpy(out[i], ids[i], DAYBOOK_ID_SIZE);
        }
    }
}

void rep_visit(struct rep *rep, const char *customer, const char *feedback, char *id)
{
    rep_putf(rep, "visit", id, "{\"customer_id\":\"%s\",\"feedback\":\"%s\"}", customer, feedback);
}

/* ---- what is seen */

const char *rep_field(struct rep *rep, const char *entity, const char *id, const char *field)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE id = ?1", field, entity);
    return device_text_of(&rep->device, sql, id);
}

int64_t rep_count(struct rep *rep, const char *sql, const char *id)
{
    const char *text = device_text_of(&rep->device, sql, id);
    int64_t count = -1;
    assert_int_equal(sscanf(text, "%" SCNd64, &count), 1);
    return count;
}

int64_t rep_take_inbox(struct rep *rep, const char *kind, const char *record)
{
    char sql[200];
    int64_t item;
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM inbox WHERE kind = '%s' AND (?1 = '' OR record_id = ?1)",
                   kind);
    int64_t count = rep_count(rep, sql, record);
    while ((item = device_int(&rep->device, "SELECT min(item) FROM inbox")) >= 0) {
        device_must(daybook_inbox_discard(rep->device.engine, item), NULL);
    }
    return count;
}

void company_reassign(struct company *company, const char *customer, const char *territory)
{
    char line[300];
    (void)snprintf(line, sizeof line,
                   "{\"entity\":\"customer\",\"id\":\"%s\",\"territory_id\":{\"key\":\"%s\"}}\n",
                   customer, territory);
    server_import(&company->server, line);
}

void company_change_user(struct company *company, const char *login, const char *members)
{
    char line[300];
    (void)snprintf(line, sizeof line, "{\"entity\":\"app_user\",\"key\":\"%s\",%s}\n", login,
                   members);
    server_import(&company->server, line);
}

int64_t company_visits(struct company *company, const char *feedback)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM visit WHERE feedback = '%s'", feedback);
    return server_int(&company->server, sql);
}

const char *company_field(struct company *company, const char *entity, const char *id,
                          const char *field)
{
    char sql[400];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE id = '%s'", field, entity, id);
    return server_text(&company->server, sql);
}
