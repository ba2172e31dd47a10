/* SPDX-License-Identifier: Apache-2.0
 *
 * See people.h: what an engine must never answer, what a call that was refused has not done, and
 * what a device may lose with its power, and what it may not.
 */
#include "tests/support/people_inside.h"
#include "tests/support/power.h"

#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- what an engine must never answer */

void people_check_status(struct lab_device *device, daybook_status status, const char *what)
{
    static const daybook_status fine[] = {
        DAYBOOK_OK,        DAYBOOK_NOT_FOUND, DAYBOOK_BAD_VERSION,
        DAYBOOK_REQUIRED,  DAYBOOK_RULE,      DAYBOOK_OUT_OF_RANGE,
        DAYBOOK_TOO_LARGE, DAYBOOK_EXISTS,    DAYBOOK_READONLY,
    };
    bool expected = lab_is_disk_trouble(device, status);
    for (size_t i = 0; i < sizeof fine / sizeof fine[0]; i++) {
        expected = expected || status == fine[i];
    }
    if (!expected) {
        lab_fail(device->lab, "%s gives %s", what, daybook_status_name(status));
    }
}

void people_mark(struct lab_device *device, struct mark *mark)
{
    (void)snprintf(mark->text, sizeof mark->text, "%s",
                   lab_device_text(device,
                                   "SELECT count(*)||' up to '||coalesce(max(seq),0)||', '||"
                                   "(SELECT count(*) FROM inbox_item) FROM outbox"));
}

void people_check_mark(struct lab_device *device, const struct mark *mark, daybook_status status)
{
    struct mark now;
    people_mark(device, &now);
    if (strcmp(mark->text, now.text) != 0) {
        lab_fail(device->lab,
                 "device %d: a call gives %s, but outbox and inbox were %s, and are %s",
                 device->number, daybook_status_name(status), mark->text, now.text);
    }
}

/* ---- a loss of power */

void people_note_commit(struct people *people, struct lab_device *device)
{
    assert_in_range(people->commit_count, 0, PEOPLE_COMMITS_MAX - 1);
    struct commit *commit = &people->commits[people->commit_count++];
    *commit = (struct commit){.device = device->number,
                              .from = people->noted + 1,
                              .to = people->ledger.order,
                              .in_doubt = lab_has_fallen(device),
                              .syncs = power_syncs(device->disk)};
    people->noted = people->ledger.order;
    (void)snprintf(commit->changeset, sizeof commit->changeset, "%s",
                   lab_device_text(device, "SELECT hex(id) FROM outbox ORDER BY seq DESC LIMIT 1"));
}

/* Whether the device has the changeset still, or the server has it. */
static bool is_safe(struct lab_device *device, const struct commit *commit)
{
    char sql[120];
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM outbox WHERE id=x'%s'",
                   commit->changeset);
    if (lab_device_text(device, sql)[0] != '0') {
        return true;
    }
    (void)snprintf(sql, sizeof sql, "SELECT count(*) FROM decision WHERE changeset=x'%s'",
                   commit->changeset);
    return lab_server_text(device->lab, sql)[0] != '0';
}

void people_lose_power(struct people *people, struct lab_device *device)
{
    people_forget(people, device);
    for (int i = 0; i < people->commit_count; i++) {
        const struct commit *commit = &people->commits[i];
        bool doubtful =
            commit->in_doubt || (device->options.relaxed && commit->syncs >= device->syncs);
        if (commit->device == device->number && doubtful && !is_safe(device, commit)) {
            lab_trace(people->lab, "  commit %lld went with the power", (long long)commit->to);
            ledger_lose(&people->ledger, device->number, commit->from, commit->to);
        }
    }
}
