/* SPDX-License-Identifier: Apache-2.0
 *
 * See lab.h. Life of the laboratory and of its devices; its server is in lab_server.c, the network
 * in lab_network.c.
 */
#include "tests/support/lab.h"

#include "engine/base/memory.h"
#include "tests/support/lab_inside.h"
#include "tests/support/power.h"
#include "tests/support/release.h"
#include "tests/support/replica.h"

#include <sqlite3.h>

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define TRACE_SIZE 65536 /* of one line; what is longer is cut */
#define CUT_MAX 60       /* operations until the power fails */
#define POINTS_MAX 60    /* operations until one fails */
#define FILL_MAX 5000    /* bytes that a disk has left */

/* ---- chance, and words */

int lab_random(struct lab *lab, int bound)
{
    return (int)(lab_next(&lab->random) % (uint64_t)bound);
}

bool lab_chance(struct lab *lab, int percent)
{
    return lab_random(lab, 100) < percent;
}

void lab_begin_step(struct lab *lab, int step)
{
    lab->steps++;
    lab->random = (lab->seed * UINT64_C(0x9E3779B97F4A7C15) + (uint64_t)step + 1) *
                      UINT64_C(0xBF58476D1CE4E5B9) |
                  1;
    (void)lab_next(&lab->random);
}

void lab_trace(struct lab *lab, const char *format, ...)
{
    static char line[TRACE_SIZE];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(line, sizeof line, format, list);
    va_end(list);
    lab->hash = lab_hash(lab->hash, line);
    if (lab->trace) {
        (void)fprintf(stderr, "%s\n", line);
    }
}

void lab_fail(struct lab *lab, const char *format, ...)
{
    char text[1000];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    print_error("seed %llu: %s\n", (unsigned long long)lab->seed, text);
    if (lab->again[0] != '\0') {
        print_error("again: %s\n", lab->again);
    }
    _fail(__FILE__, __LINE__);
    abort();
}

/* ---- life */

void lab_open(struct lab *lab, uint64_t seed, int64_t *counts)
{
    const char *base = getenv("TMPDIR");
    const char *memory = "/dev/shm"; /* each commit waits for the disk */
    bool fast = base == NULL && access(memory, W_OK) == 0;
    memset(lab, 0, sizeof *lab);
    lab->seed = seed;
    lab->release = &daybook_release;
    lab->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    lab->counts = counts;
    lab->trace = getenv("DAYBOOK_SIM_TRACE") != NULL;
    lab->hash = LAB_HASH;
    (void)snprintf(lab->again, sizeof lab->again,
                   "DAYBOOK_SIM_FIRST=%llu DAYBOOK_SIM_SEEDS=1 DAYBOOK_SIM_TRACE=1"
                   " build/release/tests/sim_days",
                   (unsigned long long)seed);
    lab_set_now_ms(LAB_START_MS);
    lab_set_chance(seed);
    (void)snprintf(lab->folder, sizeof lab->folder, "%s/daybook_lab.XXXXXX",
                   fast           ? memory
                   : base == NULL ? "/tmp"
                                  : base);
    if (mkdtemp(lab->folder) == NULL) {
        lab_fail(lab, "no folder: %s", strerror(errno));
    }
    (void)snprintf(lab->data, sizeof lab->data, "%s/server", lab->folder);
    (void)snprintf(lab->database, sizeof lab->database, "%s/server.db", lab->data);
    if (mkdir(lab->data, 0700) != 0) {
        lab_fail(lab, "no folder: %s", strerror(errno));
    }
    static const int64_t pages[] = {1, 200, 2000, 20000, 0};
    lab->page_bytes = pages[lab_random(lab, 5)];
    lab->cache_mib = lab_chance(lab, 50) ? 4 : 0;
    lab->disk = power_new();
    power_only(lab->disk, lab->database);
    power_be_default(lab->disk);
    lab->codec = dk_frame_new();
    dk_buffer_init(&lab->text, (size_t)64 * 1024 * 1024);
    lab_open_server(lab);
    lab_make_organisation(lab);
}

static void close_engine(struct lab_device *device)
{
    lab_close_reader(device->lab, device->path);
    device->release->close(&device->engine);
}

void lab_close(struct lab *lab)
{
    for (int i = 0; i < lab->device_count; i++) {
        struct lab_device *device = &lab->devices[i];
        close_engine(device);
        power_free(device->disk);
        free(device->saved);
        free(device->late.body);
        dk_memory_free(device->reply);
    }
    lab_stop(lab);
    daybook_release.service_close(lab->other);
    lab->other = NULL;
    power_free(lab->disk);
    dk_frame_free(lab->codec);
    dk_buffer_clear(&lab->text);
    if (lab->folder[0] != '\0') {
        lab_remove_folder(lab->folder);
    }
    lab_set_now_ms(0);
}

daybook_status lab_try_open(struct lab_device *device)
{
    return device->release->open(&device->options, &device->engine, &device->error);
}

static void open_engine(struct lab_device *device)
{
    daybook_status status = lab_try_open(device);
    if (status != DAYBOOK_OK) {
        lab_fail(device->lab, "device %d does not open: %d %s", device->number, (int)status,
                 device->error.text);
    }
}

/* A place for a device, with its options; the engine is closed. */
static struct lab_device *new_device(struct lab *lab, int user)
{
    static const int64_t pages[] = {1, 100, 1000, 10000, 0};
    if (lab->device_count == LAB_DEVICES) {
        return NULL;
    }
    struct lab_device *device = &lab->devices[lab->device_count];
    memset(device, 0, sizeof *device);
    device->lab = lab;
    device->release = &daybook_release;
    device->number = lab->device_count++;
    device->user = user;
    device->hired = true;
    device->random = lab_next(&lab->random) | 1;
    device->steady_ms = lab_random(lab, 1000000);
    device->boot = lab_next(&lab->random);
    device->ahead_ms = lab_chance(lab, 50) ? 0 : lab_random(lab, 7200000) - 3600000;
    device->error = (daybook_error)DAYBOOK_ERROR_INIT;
    (void)snprintf(device->path, sizeof device->path, "%s/device%d", lab->folder, device->number);
    lab_platform(device);
    device->disk = power_new();
    device->platform.log = NULL;
    device->options = (daybook_options)DAYBOOK_OPTIONS_INIT;
    device->options.path = device->path;
    device->options.vfs = power_name(device->disk);
    device->options.platform = &device->platform;
    device->options.server_url = "https://lab.invalid";
    device->options.page_bytes = pages[lab_random(lab, 5)];
    device->options.relaxed = lab_chance(lab, 30);
    return device;
}

struct lab_device *lab_hire(struct lab *lab, int user)
{
    struct lab_device *device = new_device(lab, user);
    if (device != NULL) {
        open_engine(device);
        lab_trace(lab, "device %d: %s, clock %+lld ms, page %lld", device->number,
                  lab->users[user].login, (long long)device->ahead_ms,
                  (long long)device->options.page_bytes);
    }
    return device;
}

void lab_enrol(struct lab_device *device)
{
    struct lab *lab = device->lab;
    char code[400];
    const char *const argv[] = {"enrol", lab->users[device->user].login, false};
    bool faults = lab->faults;
    lab->faults = false;
    if (lab_command(lab, code, sizeof code, 2, argv) != DAYBOOK_OK) {
        lab_fail(lab, "no code: %s", code);
    }
    code[strcspn(code, "\n")] = '\0';
    daybook_status status = device->release->enrol(device->engine, code, "lab", &device->error);
    if (status != DAYBOOK_OK) {
        lab_fail(lab, "device %d cannot enrol: %d %s", device->number, (int)status,
                 device->error.text);
    }
    lab->faults = faults;
    device->enrolled = true;
}

void lab_reopen(struct lab_device *device)
{
    lab_trace(device->lab, "device %d reopens", device->number);
    close_engine(device);
    device->boot = lab_next(&device->random);
    open_engine(device);
    device->lab->counts[LAB_REOPENED]++;
}

void lab_let_go(struct lab_device *device)
{
    close_engine(device);
    power_return(device->disk);
    device->boot = lab_next(&device->random);
}

void lab_rest(struct lab *lab)
{
    for (int i = 0; i < lab->device_count; i++) {
        lab_let_go(&lab->devices[i]);
    }
    lab_stop(lab);
}

void lab_wake(struct lab *lab)
{
    lab_open_server(lab);
    for (int i = 0; i < lab->device_count; i++) {
        open_engine(&lab->devices[i]);
    }
}

void lab_update(struct lab_device *device)
{
    lab_trace(device->lab, "device %d is updated", device->number);
    lab_let_go(device);
    device->release = device->lab->newer;
    if (lab_chance(device->lab, 50)) {
        lab_threaten(device);
    }
    open_engine(device);
    device->lab->counts[LAB_UPDATED]++;
}

void lab_threaten(struct lab_device *device)
{
    struct lab *lab = device->lab;
    power_cut_at(device->disk, 1 + lab_random(lab, CUT_MAX),
                 lab_chance(lab, 50) ? 0 : lab_next(&lab->random) | 1);
}

bool lab_has_fallen(const struct lab_device *device)
{
    return power_is_cut(device->disk);
}

bool lab_rises(struct lab_device *device)
{
    if (!power_is_cut(device->disk)) {
        power_cut_at(device->disk, 0, 0);
        return false;
    }
    lab_trace(device->lab, "device %d lost power", device->number);
    device->syncs = power_syncs(device->disk);
    close_engine(device);
    power_return(device->disk);
    device->boot = lab_next(&device->random);
    open_engine(device);
    device->lab->counts[LAB_CRASHED]++;
    return true;
}

void lab_spoil_disk(struct lab_device *device)
{
    struct lab *lab = device->lab;
    if (lab_chance(lab, 40)) {
        power_fill(device->disk, lab_random(lab, FILL_MAX));
    } else {
        power_fail_at(device->disk, 1 + lab_random(lab, POINTS_MAX), POWER_FAILS,
                      lab_chance(lab, 30));
    }
}

void lab_mend_disk(struct lab_device *device)
{
    if (power_struck(device->disk) > 0) {
        lab_trace(device->lab, "  the disk of %d failed", device->number);
        device->lab->counts[LAB_DISK]++;
    }
    power_fill(device->disk, -1);
    power_fail_at(device->disk, 0, POWER_FAILS, false);
}

bool lab_is_disk_trouble(const struct lab_device *device, daybook_status status)
{
    if (status == DAYBOOK_DISK_FULL && power_overflows(device->disk) > 0) {
        device->lab->counts[LAB_FULL]++;
        return true;
    }
    bool failed = status == DAYBOOK_IO || status == DAYBOOK_CANNOT_OPEN; /* as a connection opens */
    return failed && power_struck(device->disk) > 0;
}

void lab_save(struct lab_device *device)
{
    close_engine(device);
    free(device->saved);
    device->saved = lab_read_file(device->lab, device->path, &device->saved_size);
    open_engine(device);
}

void lab_restore(struct lab_device *device)
{
    lab_trace(device->lab, "device %d restores its file", device->number);
    close_engine(device);
    power_return(device->disk);
    lab_write_file(device->lab, device->path, device->saved, device->saved_size);
    open_engine(device);
    device->lab->counts[LAB_RESTORED]++;
}

struct lab_device *lab_clone(struct lab_device *device)
{
    struct lab *lab = device->lab;
    size_t size;
    struct lab_device *clone = new_device(lab, device->user);
    if (clone == NULL) {
        return NULL;
    }
    lab_trace(lab, "device %d is cloned as %d", device->number, clone->number);
    close_engine(device);
    char *bytes = lab_read_file(lab, device->path, &size);
    open_engine(device);
    lab_write_file(lab, clone->path, bytes, size);
    free(bytes);
    clone->release = device->release;
    clone->enrolled = device->enrolled;
    open_engine(clone);
    lab->covered |= (lab->covered >> device->number & 1) << clone->number;
    lab->counts[LAB_CLONED]++;
    return clone;
}

daybook_status lab_sync(struct lab_device *device, int64_t budget_ms)
{
    struct store_state before, after;
    device->release->state(device->engine, &before);
    daybook_status status = device->release->sync(device->engine, budget_ms, &device->error);
    device->release->state(device->engine, &after);
    bool diverged = dk_id_compare(&before.instance, &after.instance) != 0;
    device->lab->counts[LAB_DIVERGED] += diverged;
    device->lab->counts[LAB_BUDGET] += budget_ms > 0 && status == DAYBOOK_INTERRUPTED;
    lab_trace(device->lab, "device %d syncs: %s %s, position %lld of %lld, pending %lld+%lld%s",
              device->number, daybook_status_name(status),
              status == DAYBOOK_OK ? "" : device->error.text, (long long)after.position,
              (long long)after.head, (long long)after.pending, (long long)after.unsettled,
              diverged ? ", new instance" : "");
    const char *sql = getenv("DAYBOOK_SIM_SQL");
    if (device->lab->trace && sql != NULL) {
        lab_trace(device->lab, "    %s", lab_device_text(device, sql));
    }
    return status;
}

void lab_must_sync(struct lab_device *device)
{
    daybook_status status = lab_sync(device, 0);
    if (status != DAYBOOK_OK) {
        lab_fail(device->lab, "device %d: sync gives %s: %s", device->number,
                 daybook_status_name(status), device->error.text);
    }
}

/* ---- what must hold */

void lab_check(struct lab_device *device)
{
    char problem[300];
    struct lab *lab = device->lab;
    if (lab->errors[0] != '\0') {
        lab_fail(lab, "an error was logged: %s", lab->errors);
    }
    if (!device->release->check(device->engine, problem, sizeof problem)) {
        lab_fail(lab, "device %d: %s", device->number, problem);
    }
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    (void)device->release->get_status(device->engine, &status);
    if (status.divergences != 0) {
        lab_fail(lab, "device %d: %lld buckets differed from the server's, and were mended",
                 device->number, (long long)status.divergences);
    }
    if (status.pending + status.unsettled == 0 &&
        strcmp(lab_device_text(device, "SELECT count(*) FROM sync_state WHERE state<>'held'"),
               "0") != 0) {
        lab_fail(lab, "device %d: nothing is pending, but sync_state says %s", device->number,
                 lab_device_text(device, "SELECT entity||' '||id||' '||state FROM sync_state"));
    }
}

void lab_check_rest(struct lab_device *device)
{
    daybook_sync_status status = DAYBOOK_SYNC_STATUS_INIT;
    (void)device->release->get_status(device->engine, &status);
    if (status.pending + status.unsettled > 0) {
        lab_fail(device->lab, "device %d: %lld changesets pending, %lld unsettled", device->number,
                 (long long)status.pending, (long long)status.unsettled);
    }
}

void lab_compare(struct lab_device *device)
{
    struct lab *lab = device->lab;
    const struct replica replica = {.store = device->path,
                                    .server = lab->database,
                                    .login = lab->users[device->user].login,
                                    .shared = device->release != lab->release};
    if (replica_compare_through(&replica, power_name(device->disk)) < 0) {
        lab_fail(lab, "the replica of device %d is not what the server has", device->number);
    }
}
