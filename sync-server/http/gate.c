/* SPDX-License-Identifier: Apache-2.0
 *
 * The listener's counts. Called by the acceptor and by every loop. Devices are kept in a hash table
 * of fixed size, one entry per device that has a connection, so there are never more entries than
 * connections. Invariants: 1. connections <= connections_max. 2. body bytes <= body_bytes_max. 3.
 * each entry's count >= 1.
 */
#include "sync-server/http/gate.h"

#include "engine/base/memory.h"
#include "engine/protocol/limits.h"

#include <openssl/evp.h>

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#define NONE (-1)

struct entry {
    uint8_t key[GATE_DEVICE_SIZE];
    int count; /* connections of this device */
    int next;  /* in its chain, or in the list of free entries; NONE: the last */
};

struct gate {
    struct http_limits limits;
    pthread_mutex_t mutex;
    pthread_cond_t emptied;
    int connections;
    int64_t bytes;
    struct entry *entries; /* connections_max of them */
    int *chains;           /* first entry by hash; as many */
    int free_entry;
};

struct http_limits srv_http_limits_default(void)
{
    struct http_limits limits = {.connections_max = 10000,
                                 .device_connections_max = 8,
                                 .body_bytes_max = (int64_t)64 * LIMIT_REQUEST_BYTES,
                                 .head_ms = 10000,
                                 .transfer_ms = 10000,
                                 .transfer_bytes_per_s = 1024,
                                 .idle_ms = 75000,
                                 .answer_ms = 60000,
                                 .linger_ms = 2000};
    return limits;
}

/* The condition waits by the steady clock, so that a clock that is set does not cut or stretch a
 * stop. */
static bool start_locks(struct gate *gate)
{
    pthread_condattr_t attributes;
    if (pthread_mutex_init(&gate->mutex, NULL) != 0) {
        return false;
    }
    bool fine = pthread_condattr_init(&attributes) == 0;
    if (fine) {
        fine = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
               pthread_cond_init(&gate->emptied, &attributes) == 0;
        (void)pthread_condattr_destroy(&attributes);
    }
    if (!fine) {
        (void)pthread_mutex_destroy(&gate->mutex);
    }
    return fine;
}

struct gate *srv_gate_new(const struct http_limits *limits)
{
    assert(limits->connections_max > 0 && limits->device_connections_max > 0);
    struct gate *gate = dk_memory_new(1, sizeof(*gate));
    if (gate == NULL) {
        return NULL;
    }
    size_t places = (size_t)limits->connections_max;
    gate->limits = *limits;
    gate->entries = dk_memory_new(places, sizeof(*gate->entries));
    gate->chains = dk_memory_new(places, sizeof(*gate->chains));
    if (gate->entries == NULL || gate->chains == NULL || !start_locks(gate)) {
        dk_memory_free(gate->entries);
        dk_memory_free(gate->chains);
        dk_memory_free(gate);
        return NULL;
    }
    for (int i = 0; i < limits->connections_max; i++) {
        gate->chains[i] = NONE;
        gate->entries[i].next = i + 1 < limits->connections_max ? i + 1 : NONE;
    }
    return gate;
}

void srv_gate_free(struct gate *gate)
{
    if (gate == NULL) {
        return;
    }
    assert(gate->connections == 0);
    (void)pthread_cond_destroy(&gate->emptied);
    (void)pthread_mutex_destroy(&gate->mutex);
    dk_memory_free(gate->entries);
    dk_memory_free(gate->chains);
    dk_memory_free(gate);
}

const struct http_limits *srv_gate_limits(const struct gate *gate)
{
    return &gate->limits;
}

bool srv_gate_enter(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    bool room = gate->connections < gate->limits.connections_max;
    if (room) {
        gate->connections++;
    }
    (void)pthread_mutex_unlock(&gate->mutex);
    return room;
}

/* Where the link to the entry with this key is, or the chain's last link (NONE). The lock is held.
 */
static int *find_link(struct gate *gate, const uint8_t key[GATE_DEVICE_SIZE])
{
    uint32_t hash = 0; /* the key is a hash already */
    memcpy(&hash, key, sizeof(hash));
    int *link = &gate->chains[hash % (uint32_t)gate->limits.connections_max];
    while (*link != NONE && memcmp(gate->entries[*link].key, key, GATE_DEVICE_SIZE) != 0) {
        link = &gate->entries[*link].next;
    }
    return link;
}

/* Takes the device's place back. The lock is held. */
static void leave_device(struct gate *gate, struct gate_device *device)
{
    if (!device->known) {
        return;
    }
    device->known = false;
    int *link = find_link(gate, device->key);
    assert(*link != NONE);
    struct entry *entry = &gate->entries[*link];
    if (--entry->count > 0) {
        return;
    }
    int index = *link;
    *link = entry->next;
    entry->next = gate->free_entry;
    gate->free_entry = index;
}

void srv_gate_leave(struct gate *gate, struct gate_device *device)
{
    (void)pthread_mutex_lock(&gate->mutex);
    leave_device(gate, device);
    assert(gate->connections > 0);
    if (--gate->connections == 0) {
        (void)pthread_cond_broadcast(&gate->emptied);
    }
    (void)pthread_mutex_unlock(&gate->mutex);
}

bool srv_gate_enter_device(struct gate *gate, struct gate_device *device, const char *token)
{
    uint8_t digest[32];
    if (EVP_Digest(token, strlen(token), digest, NULL, EVP_sha256(), NULL) != 1) {
        return false;
    }
    if (device->known && memcmp(device->key, digest, GATE_DEVICE_SIZE) == 0) {
        return true;
    }
    (void)pthread_mutex_lock(&gate->mutex);
    leave_device(gate, device);
    memcpy(device->key, digest, GATE_DEVICE_SIZE);
    int *link = find_link(gate, device->key);
    if (*link == NONE) {
        assert(gate->free_entry != NONE); /* one per connection, and this connection has none */
        int index = gate->free_entry;
        struct entry *entry = &gate->entries[index];
        gate->free_entry = entry->next;
        memcpy(entry->key, device->key, GATE_DEVICE_SIZE);
        entry->count = 0;
        entry->next = NONE;
        *link = index;
    }
    struct entry *entry = &gate->entries[*link];
    device->known = entry->count < gate->limits.device_connections_max;
    if (device->known) {
        entry->count++;
    }
    (void)pthread_mutex_unlock(&gate->mutex);
    return device->known;
}

bool srv_gate_charge(struct gate *gate, int64_t bytes)
{
    (void)pthread_mutex_lock(&gate->mutex);
    bool room = bytes <= gate->limits.body_bytes_max - gate->bytes;
    if (room) {
        gate->bytes += bytes;
    }
    (void)pthread_mutex_unlock(&gate->mutex);
    return room;
}

void srv_gate_release(struct gate *gate, int64_t bytes)
{
    (void)pthread_mutex_lock(&gate->mutex);
    gate->bytes -= bytes;
    assert(gate->bytes >= 0);
    (void)pthread_mutex_unlock(&gate->mutex);
}

bool srv_gate_wait_empty(struct gate *gate, int64_t wait_ms)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(wait_ms / 1000);
    until.tv_nsec += (long)(wait_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&gate->mutex);
    int result = 0;
    while (gate->connections > 0 && result == 0) {
        result = pthread_cond_timedwait(&gate->emptied, &gate->mutex, &until);
    }
    bool empty = gate->connections == 0;
    (void)pthread_mutex_unlock(&gate->mutex);
    return empty;
}

int srv_gate_connections(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    int connections = gate->connections;
    (void)pthread_mutex_unlock(&gate->mutex);
    return connections;
}

int64_t srv_gate_bytes(struct gate *gate)
{
    (void)pthread_mutex_lock(&gate->mutex);
    int64_t bytes = gate->bytes;
    (void)pthread_mutex_unlock(&gate->mutex);
    return bytes;
}
