/* SPDX-License-Identifier: Apache-2.0
 *
 * The network of a laboratory: an exchange is a call into the server, with what networks do to it.
 * Each reply that reaches a device is searched for what its user may not see.
 */
#include "tests/support/lab_inside.h"
#include "tests/support/power.h"
#include "tests/support/release.h"

#include "engine/base/memory.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DEPTH_MAX 2 /* exchanges within exchanges */

/* xorshift64*, by Vigna. */
uint64_t lab_next(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return (*state * UINT64_C(0x2545F4914F6CDD1D)) >> 11;
}

/* ---- clocks and chance of a device */

static int64_t wall_ms(void *context)
{
    const struct lab_device *device = context;
    return lab_now_ms() + device->ahead_ms;
}

static int64_t steady_ms(void *context)
{
    const struct lab_device *device = context;
    return device->steady_ms + lab_now_ms() - LAB_START_MS;
}

static uint64_t boot_id(void *context)
{
    const struct lab_device *device = context;
    return device->boot;
}

static bool random_bytes(void *context, void *bytes, size_t length)
{
    struct lab_device *device = context;
    unsigned char *out = bytes;
    for (size_t i = 0; i < length; i++) {
        out[i] = (unsigned char)(lab_next(&device->random) >> 16);
    }
    return true;
}

/* ---- one call */

static void take_answer(void *context, const struct service_answer *answer)
{
    *(struct service_answer *)context = *answer;
}

/* Calls the server and waits, also for what it does behind the answer, so that the same operations
 * fail in each run; the answer's body is the caller's. */
static struct service_answer call_server(const struct release *release, struct service *service,
                                         const char *path, const char *token, const void *body,
                                         size_t size)
{
    struct service_answer answer = {.http_status = 0};
    struct service_call call = {.method = "POST",
                                .path = path,
                                .token = token[0] == '\0' ? NULL : token,
                                .body = dk_memory_copy_text(body, size),
                                .body_size = size,
                                .done = take_answer,
                                .context = &answer};
    release->service_submit(service, &call);
    release->service_rest(service);
    assert_int_not_equal(answer.http_status, 0);
    return answer;
}

/* ---- what may be seen */

/* Customers' numbers stand in texts as c<number>! */
static void search_reply(struct lab_device *device, const struct service_answer *answer)
{
    struct lab *lab = device->lab;
    dk_buffer_reset(&lab->text);
    if (answer->body_size == 0 ||
        dk_frame_expand(lab->codec, answer->body, answer->body_size, &lab->text) != DAYBOOK_OK) {
        return;
    }
    lab_look(lab);
    dk_buffer_append_char(&lab->text, '\0');
    if (getenv("DAYBOOK_SIM_REPLIES") != NULL) {
        lab_trace(lab, "    to device %d: %s", device->number, lab->text.bytes);
    }
    for (const char *at = lab->text.bytes; (at = strchr(at, 'c')) != NULL; at++) {
        char *end;
        long number = strtol(at + 1, &end, 10);
        bool canary = end > at + 1 && *end == '!' && number >= 0 && number < lab->customer_count;
        if (!canary) {
            continue;
        }
        if (!lab_may_see(lab, device->user, (int)number)) {
            lab_fail(lab, "device %d of %s was sent something of customer %ld", device->number,
                     lab->users[device->user].login, number);
        }
    }
}

/* ---- faults */

#define SERVER_CUT_MAX 120    /* operations until the server's power fails */
#define SERVER_POINTS_MAX 100 /* operations until one fails */
#define SERVER_FILL_MAX 20000 /* bytes that its disk has left */
#define PARTED_MAX 60         /* steps */

void lab_part(struct lab_device *device)
{
    struct lab *lab = device->lab;
    device->parted_until = lab->steps + 1 + lab_random(lab, PARTED_MAX);
    device->parted_one_way = lab_chance(lab, 40);
}

void lab_part_all(struct lab *lab)
{
    for (int i = 0; i < lab->device_count; i++) {
        lab_part(&lab->devices[i]);
    }
}

/* Now and then the server loses power while it has the request, or its disk has trouble. */
static void threaten_server(struct lab *lab)
{
    int what = lab->faults ? lab_random(lab, 100) : 100;
    lab->bad_server_disk = what == 2 || what == 3;
    if (what < 2) {
        power_cut_at(lab->disk, 1 + lab_random(lab, SERVER_CUT_MAX),
                     lab_chance(lab, 50) ? 0 : lab_next(&lab->random) | 1);
    } else if (what == 2) {
        power_fill(lab->disk, lab_random(lab, SERVER_FILL_MAX));
    } else if (what == 3) {
        power_fail_at(lab->disk, 1 + lab_random(lab, SERVER_POINTS_MAX), POWER_FAILS,
                      lab_chance(lab, 30));
    }
}

/* The trouble of the server's disk ends. What it has met excuses that the server is busy; without
 * that the answer is the one that the request gets anyway. */
static void relieve_server(struct lab *lab, int http_status)
{
    if (!lab->bad_server_disk) {
        return;
    }
    bool struck = power_struck(lab->disk) > 0, full = power_overflows(lab->disk) > 0;
    bool right = http_status == 200 || http_status == 503 || (!struck && !full);
    if (!right || http_status == 500) {
        lab_fail(lab, "the server answers %d on a disk that %s", http_status,
                 struck ? "failed"
                 : full ? "is full"
                        : "did nothing");
    }
    lab->counts[LAB_SERVER_DISK] += struck;
    lab->counts[LAB_SERVER_FULL] += full;
    power_fill(lab->disk, -1);
    power_fail_at(lab->disk, 0, POWER_FAILS, false);
    lab->bad_server_disk = false;
}

/* Whether it has; then it starts again, and nobody has got an answer. */
static bool has_server_fallen(struct lab *lab)
{
    if (lab->bare) {
        return power_is_cut(lab->disk);
    }
    if (!power_is_cut(lab->disk)) {
        power_cut_at(lab->disk, 0, 0);
        return false;
    }
    lab_trace(lab, "    the server lost power");
    lab_stop(lab);
    lab_open_server(lab);
    lab->counts[LAB_FELL]++;
    return true;
}

static enum lab_fault draw_fault(struct lab_device *device)
{
    struct lab *lab = device->lab;
    static const enum lab_fault faults[] = {
        LAB_UNSENT, LAB_LOST,    LAB_LOST,    LAB_LOST,    LAB_CUT,  LAB_FLIPPED, LAB_BUSY,
        LAB_PORTAL, LAB_STRAYED, LAB_DOUBLED, LAB_DOUBLED, LAB_LATE, LAB_LATE};
    if (lab->faults && device->parted_until > lab->steps) {
        lab->counts[device->parted_one_way ? LAB_HALF_PARTED : LAB_PARTED]++;
        return device->parted_one_way ? LAB_LOST : LAB_UNSENT;
    }
    if (!lab->faults || !lab_chance(lab, 25)) {
        return LAB_FAULT_COUNT;
    }
    return faults[lab_random(lab, (int)(sizeof faults / sizeof faults[0]))];
}

/* The old request arrives now; nobody waits for its answer. Then this one is kept. */
static void send_late(struct lab_device *device, const char *path, const char *token,
                      const struct daybook_request *request)
{
    struct lab *lab = device->lab;
    if (device->late.body != NULL) {
        struct service_answer answer =
            call_server(lab->release, lab->service, device->late.path, device->late.token,
                        device->late.body, device->late.size);
        lab_trace(lab, "    an old request comes late: %d", answer.http_status);
        dk_memory_free(answer.body);
        lab->counts[LAB_LATE]++;
    }
    free(device->late.body);
    device->late.body = malloc(request->body_size + 1);
    assert_non_null(device->late.body);
    memcpy(device->late.body, request->body, request->body_size);
    device->late.size = request->body_size;
    (void)snprintf(device->late.path, sizeof device->late.path, "%s", path);
    (void)snprintf(device->late.token, sizeof device->late.token, "%s", token);
}

/* The request comes to another organisation's server, as through a wrong name: nobody there knows
 * the device, and nothing of it is taken. */
static struct service_answer stray(struct lab_device *device, const char *path, const char *token,
                                   const struct daybook_request *request)
{
    struct lab *lab = device->lab;
    struct service_answer answer = call_server(&daybook_release, lab_other(lab), path, token,
                                               request->body, request->body_size);
    lab_trace(lab, "    another organisation's server: %d", answer.http_status);
    if (answer.http_status != 401 && answer.http_status != 403) {
        lab_fail(lab, "another organisation's server answers device %d with %d: %.*s",
                 device->number, answer.http_status, (int)answer.body_size, answer.body);
    }
    lab->counts[LAB_STRAYED]++;
    return answer;
}

/* What a device gets that the server did not send. */
static daybook_status answer_instead(struct lab_device *device, enum lab_fault fault,
                                     struct daybook_reply *reply)
{
    static const char portal[] = "<html>Welcome to the hotel</html>";
    device->lab->counts[fault]++;
    lab_trace(device->lab, "    fault %d", (int)fault);
    if (fault == LAB_UNSENT) {
        return lab_chance(device->lab, 50) ? DAYBOOK_OFFLINE : DAYBOOK_TIMEOUT;
    }
    device->reply = dk_memory_copy_text(portal, sizeof portal - 1);
    reply->http_status = fault == LAB_BUSY ? 503 : 200;
    reply->content_type = "text/html";
    reply->body = device->reply;
    reply->body_size = sizeof portal - 1;
    return DAYBOOK_OK;
}

/* The middle of an exchange is a moment like any other. */
static void between(struct lab_device *device)
{
    struct lab *lab = device->lab;
    if (lab->faults && lab->between != NULL && device->depth < DEPTH_MAX && lab_chance(lab, 10)) {
        lab->counts[LAB_BETWEEN]++;
        lab->between(lab->context, device);
    }
}

/* The server's answer on its way to the device. */
static daybook_status deliver(struct lab_device *device, const struct service_answer *answer,
                              enum lab_fault fault, struct daybook_reply *reply)
{
    struct lab *lab = device->lab;
    device->reply = answer->body;
    if (fault == LAB_LOST) {
        lab->counts[fault]++;
        lab_trace(lab, "    the reply is lost");
        return lab_chance(lab, 50) ? DAYBOOK_OFFLINE : DAYBOOK_TIMEOUT;
    }
    reply->http_status = answer->http_status;
    reply->content_type = answer->content_type;
    reply->retry_after_ms = answer->retry_after_ms;
    reply->body = answer->body;
    reply->body_size = answer->body_size;
    if (fault == LAB_CUT && reply->body_size > 0) {
        lab->counts[fault]++;
        reply->body_size = (size_t)lab_random(lab, (int)reply->body_size);
    }
    if (fault == LAB_FLIPPED && reply->body_size > 0) {
        lab->counts[fault]++;
        reply->body[lab_random(lab, (int)reply->body_size)] ^= (char)(1 << lab_random(lab, 8));
    }
    return DAYBOOK_OK;
}

bool lab_may_end(const struct lab_device *device, daybook_status status)
{
    enum daybook_class kind = daybook_status_class(status);
    return kind == DAYBOOK_CLASS_OK || kind == DAYBOOK_CLASS_OFFLINE ||
           kind == DAYBOOK_CLASS_RETRY || (status == DAYBOOK_SIGN_IN && device->strayed);
}

static daybook_status exchange(void *context, void *connection,
                               const struct daybook_request *request, struct daybook_reply *reply)
{
    struct lab_device *device = context;
    struct lab *lab = device->lab;
    char path[32], token[64];
    enum lab_fault fault = draw_fault(device);
    (void)connection;
    const char *begin = strstr(request->url, "/v1/");
    assert_non_null(begin);
    (void)snprintf(path, sizeof path, "%s", begin);
    (void)snprintf(token, sizeof token, "%s", request->token == NULL ? "" : request->token);
    lab_set_now_ms(lab_now_ms() + 1 + lab_random(lab, lab_chance(lab, 10) ? 30000 : 300));
    dk_memory_free(device->reply);
    device->reply = NULL;
    if (power_is_cut(device->disk) || power_is_cut(lab->disk) || lab->service == NULL) {
        return DAYBOOK_OFFLINE; /* one of them has no power by now, though it goes on a moment */
    }
    if (fault == LAB_UNSENT || fault == LAB_BUSY || fault == LAB_PORTAL) {
        return answer_instead(device, fault, reply);
    }
    if (fault == LAB_STRAYED) {
        device->strayed = true;
        struct service_answer answer = stray(device, path, token, request);
        return deliver(device, &answer, fault, reply);
    }
    device->depth++;
    between(device);
    if (fault == LAB_LATE) {
        send_late(device, path, token, request);
    }
    threaten_server(lab);
    struct service_answer answer =
        call_server(lab->release, lab->service, path, token, request->body, request->body_size);
    relieve_server(lab, answer.http_status);
    if (has_server_fallen(lab)) {
        dk_memory_free(answer.body);
        device->depth--;
        return DAYBOOK_OFFLINE;
    }
    if (fault == LAB_DOUBLED) {
        lab->counts[fault]++;
        dk_memory_free(answer.body);
        answer =
            call_server(lab->release, lab->service, path, token, request->body, request->body_size);
    }
    if (answer.http_status == 200 && !lab->bare) {
        search_reply(device, &answer);
    }
    lab_trace(lab, "    %s: %d, %zu bytes up, %zu down", path, answer.http_status,
              request->body_size, answer.body_size);
    between(device);
    device->depth--;
    dk_memory_free(device->reply); /* of an exchange in between */
    return deliver(device, &answer, fault, reply);
}

/* ---- the hooks */

static void *open_connection(void *context)
{
    return context;
}

static void leave_connection(void *context, void *connection)
{
    (void)context;
    (void)connection;
}

void lab_platform(struct lab_device *device)
{
    device->platform = (daybook_platform){.size = sizeof device->platform,
                                          .context = device,
                                          .wall_ms = wall_ms,
                                          .steady_ms = steady_ms,
                                          .boot_id = boot_id,
                                          .random = random_bytes,
                                          .transport_open = open_connection,
                                          .transport_exchange = exchange,
                                          .transport_interrupt = leave_connection,
                                          .transport_close = leave_connection};
}
