/* SPDX-License-Identifier: Apache-2.0
 *
 * See lab.h. The server of a laboratory: its life, its backups, the commands that it is given, and
 * what is known of it: where each customer is, and what each user may see.
 */
#include "tests/support/lab.h"

#include "engine/base/memory.h"
#include "tests/support/lab_inside.h"
#include "tests/support/power.h"
#include "tests/support/release.h"

#include <sqlite3.h>

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#define UPDATE_CUT_MAX 300  /* operations until the power fails */
#define UPDATE_STEPS_MAX 20 /* of a conversion */

const char *const lab_territories[3] = {"Main", "East", "West"};

/* ---- life */

/* Whether the line tells of a disk that fails or has no room, by the status that it gives. */
static bool names_disk(const char *line)
{
    const char *at = strstr(line, "status");
    long status = at == NULL ? DAYBOOK_OK : strtol(at + strlen("status") + 1, NULL, 10);
    return status == DAYBOOK_IO || status == DAYBOOK_DISK_FULL;
}

/* Keeps the first line that tells of an error; it is met at the end of the step. */
static void note_log(void *context, int level, const char *line)
{
    struct lab *lab = context;
    if (lab->trace) {
        (void)fprintf(stderr, "    log %d: %s\n", level, line);
    }
    /* An operator is told of what waits, which is no error of the server's. */
    bool waits = strncmp(line, "quarantined ", 12) == 0 && strstr(line, "INTERNAL") == NULL;
    bool excused = lab->bad_server_disk && names_disk(line) &&
                   power_struck(lab->disk) + power_overflows(lab->disk) > 0;
    if (level <= LOG_ERROR && lab->errors[0] == '\0' && !waits && !excused) {
        (void)snprintf(lab->errors, sizeof lab->errors, "%s", line);
    }
}

void lab_end(struct lab *lab)
{
    lab_close_reader(lab, lab->database);
    lab->release->service_close(lab->service);
    lab->service = NULL;
}

void lab_stop(struct lab *lab)
{
    lab_end(lab);
    power_return(lab->disk);
}

daybook_status lab_try_server(struct lab *lab, char *problem, size_t problem_size)
{
    struct service_options options = {.data_folder = lab->data,
                                      .worker_threads = 1,
                                      .page_bytes = lab->page_bytes,
                                      .snapshot_cache_mib = lab->cache_mib,
                                      .backups = true,
                                      .log = {note_log, lab, LOG_WARN}};
    return lab->release->service_open(&options, &lab->service, problem, problem_size);
}

/* Ends the conversion of records after so many steps; -1: never. */
static bool ends_after(void *context)
{
    int *steps = context;
    return (*steps)-- == 0;
}

/* As a server does before it serves anybody; converting, which goes on while it serves, ends after
 * so many steps, -1: when all is done. */
static void start(struct lab *lab, int steps)
{
    char problem[400] = "";
    if (lab_try_server(lab, problem, sizeof problem) != DAYBOOK_OK) {
        lab_fail(lab, "the server does not open: %s", problem);
    }
    daybook_status status = lab->release->service_judge(lab->service);
    if (status == DAYBOOK_OK) {
        status = lab->release->service_learn(lab->service);
    }
    if (status == DAYBOOK_OK) {
        status = lab->release->service_convert(lab->service, ends_after, &steps);
    }
    if (status != DAYBOOK_OK) {
        lab_fail(lab, "the server does not get ready: %s", daybook_status_name(status));
    }
}

void lab_open_server(struct lab *lab)
{
    start(lab, -1);
}

void lab_update_server(struct lab *lab)
{
    lab_trace(lab, "the server is updated");
    lab_stop(lab);
    lab->release = lab->newer;
    if (lab_chance(lab, 50)) {
        power_cut_at(lab->disk, 1 + lab_random(lab, UPDATE_CUT_MAX),
                     lab_chance(lab, 50) ? 0 : lab_next(&lab->random) | 1);
    }
    start(lab, lab_chance(lab, 50) ? lab_random(lab, UPDATE_STEPS_MAX) : -1);
    lab->counts[LAB_SERVER_UPDATED]++;
    if (!power_is_cut(lab->disk)) {
        power_cut_at(lab->disk, 0, 0);
        return;
    }
    lab_trace(lab, "  and lost power");
    lab_stop(lab);
    lab_open_server(lab);
    lab->counts[LAB_FELL]++;
}

struct service *lab_other(struct lab *lab)
{
    char folder[320], problem[400] = "";
    struct service_options options = {
        .data_folder = folder, .worker_threads = 1, .log = {note_log, lab, LOG_WARN}};
    static const char *const init[] = {"init", "--name", "Other", "--currency", "USD"};
    static const char *const add[] = {"user", "add", "li", "--role", "office"};
    char *text = NULL, *more = NULL;
    if (lab->other != NULL) {
        return lab->other;
    }
    (void)snprintf(folder, sizeof folder, "%s/other", lab->folder);
    if (mkdir(folder, 0700) != 0 ||
        srv_service_open(&options, &lab->other, problem, sizeof problem) != DAYBOOK_OK ||
        srv_service_command(lab->other, 5, init, false, &text) != DAYBOOK_OK ||
        srv_service_command(lab->other, 5, add, false, &more) != DAYBOOK_OK) {
        lab_fail(lab, "no other organisation: %s %s %s", problem, text == NULL ? "" : text,
                 more == NULL ? "" : more);
    }
    dk_memory_free(text);
    dk_memory_free(more);
    return lab->other;
}

daybook_status lab_command(struct lab *lab, char *out, size_t size, int argc,
                           const char *const *argv)
{
    char *text = NULL;
    daybook_status status = lab->release->service_command(lab->service, argc, argv, false, &text);
    (void)snprintf(out, size, "%s", text == NULL ? "" : text);
    dk_memory_free(text);
    return status;
}

static void must_command(struct lab *lab, int argc, const char *const *argv)
{
    char text[1000];
    if (lab_command(lab, text, sizeof text, argc, argv) != DAYBOOK_OK) {
        lab_fail(lab, "%s %s: %s", argv[0], argc > 1 ? argv[1] : "", text);
    }
}

daybook_status lab_import(struct lab *lab, const char *lines)
{
    char path[400], text[1000];
    const char *const argv[] = {"import", path};
    (void)snprintf(path, sizeof path, "%s/import", lab->folder);
    lab_write_file(lab, path, lines, strlen(lines));
    daybook_status status = lab_command(lab, text, sizeof text, 2, argv);
    lab_trace(lab, "  import %s  -> %d %s", lines, (int)status, text);
    if (status != DAYBOOK_OK && status != DAYBOOK_RULE && status != DAYBOOK_NOT_FOUND) {
        lab_fail(lab, "import %s: status %d: %s", lines, (int)status, text);
    }
    lab_look(lab);
    return status;
}

void lab_make_organisation(struct lab *lab)
{
    static const char catalogue[] =
        "{\"entity\":\"product\",\"id\":\"0193f000-0000-7000-8000-000000000001\",\"code\":\"A\","
        "\"name\":\"Tea\",\"uom\":\"box\",\"tax_bp\":1300}\n"
        "{\"entity\":\"product\",\"id\":\"0193f000-0000-7000-8000-000000000002\",\"code\":\"B\","
        "\"name\":\"Rice\",\"uom\":\"bag\",\"tax_bp\":600}\n";
    static const struct {
        const char *login, *role, *manager;
        int territory;
    } users[LAB_USERS] = {{"boss", "manager", NULL, 0},
                          {"li", "rep", "boss", 1},
                          {"wang", "rep", "boss", 1},
                          {"tom", "rep", NULL, 2},
                          {"office", "office", NULL, 0}};
    const char *const init[] = {"init", "--name", "Lab", "--currency", "CNY"};
    must_command(lab, 5, init);
    for (int i = 0; i < LAB_USERS; i++) {
        const char *const argv[] = {"user",
                                    "add",
                                    users[i].login,
                                    "--role",
                                    users[i].role,
                                    "--territory",
                                    lab_territories[users[i].territory],
                                    "--manager",
                                    users[i].manager};
        must_command(lab, users[i].manager == NULL ? 7 : 9, argv);
        lab->users[i].login = users[i].login;
    }
    if (lab_import(lab, catalogue) != DAYBOOK_OK) {
        lab_fail(lab, "the catalogue was refused");
    }
}

void lab_restart(struct lab *lab)
{
    lab_trace(lab, "server restarts");
    lab_stop(lab);
    lab_open_server(lab);
    lab->counts[LAB_RESTARTED]++;
}

/* ---- backups */

/* Makes a backup, which takes the place of the one before. */
void lab_backup(struct lab *lab)
{
    char folder[sizeof lab->backup];
    const char *const argv[] = {"backup", folder};
    (void)snprintf(folder, sizeof folder, "%s/backup%d", lab->folder, ++lab->backups);
    must_command(lab, 2, argv);
    if (lab->backup[0] != '\0') {
        lab_remove_folder(lab->backup);
    }
    (void)snprintf(lab->backup, sizeof lab->backup, "%s", folder);
    lab->covered = 0;
    for (int i = 0; i < lab->device_count; i++) {
        lab->covered |= lab->devices[i].enrolled ? 1U << i : 0;
    }
    lab_trace(lab, "backup %d", lab->backups);
    lab->counts[LAB_BACKUP]++;
}

/* Whether the server has a row of the customer, a tombstone perhaps. */
static bool has_customer(struct lab *lab, const char *id)
{
    char sql[200];
    (void)snprintf(sql, sizeof sql,
                   "SELECT count(*) FROM s_customer WHERE hex(id) = upper(replace('%s', '-', ''))",
                   id);
    return strcmp(lab_server_text(lab, sql), "0") != 0;
}

/* Customers that are on the server now are not known to be on the one that takes its place; what
 * hangs from one that compaction has taken away is where it was. */
static void forget_places(struct lab *lab)
{
    for (int i = 0; i < lab->customer_count; i++) {
        if (has_customer(lab, lab->customers[i].id)) {
            lab->customers[i].territory = -1;
        }
    }
}

/* Devices that enrolled after the backup would have to do so again; then it is not used. */
bool lab_recover(struct lab *lab)
{
    char problem[400] = "";
    int64_t position;
    for (int i = 0; i < lab->device_count; i++) {
        if (lab->devices[i].enrolled && (lab->covered >> i & 1) == 0) {
            return false;
        }
    }
    if (lab->backup[0] == '\0') {
        return false;
    }
    lab_look(lab);
    forget_places(lab);
    lab_stop(lab);
    if (lab->release->restore(lab->backup, lab->data, &position, problem, sizeof problem) !=
        DAYBOOK_OK) {
        lab_fail(lab, "restore: %s", problem);
    }
    power_return(lab->disk); /* which has another file by now */
    lab_open_server(lab);
    lab_trace(lab, "the server is restored from backup %d, position %lld", lab->backups,
              (long long)position);
    lab_look(lab);
    lab->counts[LAB_RECOVERED]++;
    return true;
}

/* ---- what is known of it */

/* Calls `row` with each row of a query over the server's file. */
static void each_row(struct lab *lab, const char *sql,
                     void (*row)(struct lab *lab, sqlite3_stmt *statement))
{
    sqlite3_stmt *statement = lab_query(lab, lab->database, sql);
    int result;
    while ((result = sqlite3_step(statement)) == SQLITE_ROW) {
        row(lab, statement);
    }
    if (result != SQLITE_DONE) {
        lab_fail(lab, "%s: %s", sql, sqlite3_errmsg(sqlite3_db_handle(statement)));
    }
    (void)sqlite3_reset(statement);
}

static const char *column(sqlite3_stmt *statement, int number)
{
    const char *text = (const char *)sqlite3_column_text(statement, number);
    return text == NULL ? "" : text;
}

static int find_territory(const char *name)
{
    int found = 2;
    while (found >= 0 && strcmp(name, lab_territories[found]) != 0) {
        found--;
    }
    return found;
}

int lab_find_customer(const struct lab *lab, const char *id)
{
    for (int i = 0; id != NULL && i < lab->customer_count; i++) {
        if (strcmp(lab->customers[i].id, id) == 0) {
            return i;
        }
    }
    return -1;
}

static void look_at_customer(struct lab *lab, sqlite3_stmt *statement)
{
    int number = lab_find_customer(lab, column(statement, 0));
    if (number >= 0) {
        lab->customers[number].territory = find_territory(column(statement, 1));
        int into = lab->customers[number].into = lab_find_customer(lab, column(statement, 2));
        int kin = lab->customers[number].kin;
        for (int i = 0; into >= 0 && i < lab->customer_count; i++) {
            bool same = lab->customers[i].kin == kin;
            lab->customers[i].kin = same ? lab->customers[into].kin : lab->customers[i].kin;
        }
    }
}

static void look_at_user(struct lab *lab, sqlite3_stmt *statement)
{
    for (int i = 0; i < LAB_USERS; i++) {
        struct lab_user *user = &lab->users[i];
        if (strcmp(user->login, column(statement, 0)) == 0) {
            user->territory = find_territory(column(statement, 1));
            (void)snprintf(user->role, sizeof user->role, "%s", column(statement, 2));
            user->manager = -1;
            for (int j = 0; j < LAB_USERS; j++) {
                bool reports = strcmp(lab->users[j].login, column(statement, 3)) == 0;
                user->manager = reports ? j : user->manager;
            }
            user->disabled = strcmp(column(statement, 4), "1") == 0;
        }
    }
}

static void look_at_users(struct lab *lab)
{
    each_row(lab,
             "SELECT u.login, t.name, u.user_role, m.login, u.disabled FROM app_user u"
             " LEFT JOIN territory t ON t.id_key = u.territory_id_key"
             " LEFT JOIN app_user m ON m.id_key = u.manager_id_key",
             look_at_user);
}

#define ID_TEXT(h)                                                                                 \
    "lower(substr(" h ",1,8)||'-'||substr(" h ",9,4)||'-'||substr(" h ",13,4)||'-'||substr(" h     \
    ",17,4)||'-'||substr(" h ",21))"

/* The table, not the view: a customer that was deleted was somewhere too. */
void lab_look(struct lab *lab)
{
    each_row(lab,
             "SELECT " ID_TEXT("h") ", name, " ID_TEXT(
                 "r") " FROM (SELECT hex(c.id) AS h,"
                      " t.name AS name, hex(c.redirect_to) AS r FROM s_customer c"
                      " JOIN s_territory t ON t.id = c.territory_id)",
             look_at_customer);
    look_at_users(lab);
}

int lab_root(const struct lab *lab, int customer)
{
    for (int steps = 0; steps < 10 && lab->customers[customer].into >= 0; steps++) {
        customer = lab->customers[customer].into;
    }
    return customer;
}

unsigned lab_scope(const struct lab *lab, int user)
{
    const struct lab_user *who = &lab->users[user];
    unsigned team = 1U << user, before = 0, scope = 0;
    if (who->disabled) {
        return 0;
    }
    if (strcmp(who->role, "back_office") == 0) {
        return 7;
    }
    while (team != before) { /* those who report to a manager of the team belong to it */
        before = team;
        for (int i = 0; i < LAB_USERS; i++) {
            int manager = lab->users[i].manager;
            bool reports = manager >= 0 && (team >> manager & 1) != 0 &&
                           strcmp(lab->users[manager].role, "manager") == 0;
            team |= reports ? 1U << i : 0;
        }
    }
    for (int i = 0; i < LAB_USERS; i++) {
        bool placed = (team >> i & 1) != 0 && lab->users[i].territory >= 0;
        scope |= placed ? 1U << lab->users[i].territory : 0;
    }
    return scope;
}

bool lab_may_see(const struct lab *lab, int user, int customer)
{
    unsigned scope = lab_scope(lab, user);
    int kin = lab->customers[customer].kin;
    for (int i = 0; i < lab->customer_count; i++) {
        int territory = lab->customers[i].territory;
        if (territory >= 0 && (scope >> territory & 1) != 0 && lab->customers[i].kin == kin) {
            return true;
        }
    }
    return false;
}

void lab_check_server(struct lab *lab)
{
    static const char *const nothing[] = {
        "SELECT count(*) FROM quarantine WHERE ended = 0",
        "SELECT count(*) FROM quarantine WHERE why = 'INTERNAL'",
        "SELECT count(*) FROM (SELECT position FROM decision WHERE position > 0"
        " GROUP BY position HAVING count(*) > 1)",
        "SELECT count(*) FROM decision, org WHERE position > head",
        "SELECT (SELECT count(DISTINCT position) FROM decision WHERE position > 0)"
        " - (SELECT head FROM org)",
    };
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        const char *text = lab_server_text(lab, nothing[i]);
        if (strcmp(text, "0") != 0) {
            lab_fail(lab, "server: %s gives %s", nothing[i], text);
        }
    }
}
