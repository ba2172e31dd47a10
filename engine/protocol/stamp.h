/* SPDX-License-Identifier: Apache-2.0
 *
 * The hybrid logical clock: 48 bit milliseconds, 16 bit counter. It orders field values and nothing
 * else.
 */
#ifndef DAYBOOK_PROTOCOL_STAMP_H
#define DAYBOOK_PROTOCOL_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#define STAMP_AHEAD_MAX_MS 300000 /* a stamp further ahead of the server than this is clamped */

typedef uint64_t hlc; /* (ms << 16) | counter */

/* Who wrote a field last, as the server keeps it. */
struct stamp {
    int64_t position; /* of the log entry; 0: never written */
    hlc time;
    uint32_t device_no; /* names the device instance */
};

struct hlc_clock {
    hlc last;          /* highest stamp given or seen */
    int64_t offset_ms; /* server minus device wall clock */
};

/* The next stamp at device wall time now_ms: corrected by the offset, above the last. */
hlc dk_hlc_tick(struct hlc_clock *clock, int64_t now_ms);
/* Learns from one round trip: server_ms is the server's time in the reply, sent_ms and received_ms
 * the device's around it. Sets the offset (midpoint), and sets `last` back to corrected now where
 * it had run ahead of it by more than a second. */
void dk_hlc_learn(struct hlc_clock *clock, int64_t sent_ms, int64_t received_ms, int64_t server_ms);
int64_t dk_hlc_ms(hlc time);
/* min(time, now + STAMP_AHEAD_MAX_MS …): the stamp that the server uses; *clamped set where it was
 * further ahead (then it is now_ms). */
hlc dk_hlc_clamp(hlc time, int64_t server_ms, bool *clamped);
/* < 0, 0, > 0 by time, then device number. */
int dk_stamp_compare(hlc a, uint32_t a_device, hlc b, uint32_t b_device);
/* True time of an act made since the same boot: server_now - (steady_now - steady_act). False, and
 * nothing is set, where the readings contradict each other: the act lies ahead of now, or before
 * 1970. */
bool dk_true_time(int64_t server_now_ms, int64_t steady_now_ms, int64_t steady_act_ms,
                  int64_t *true_ms);

#endif
