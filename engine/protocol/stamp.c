/* SPDX-License-Identifier: Apache-2.0
 *
 * The hybrid logical clock. The engine's transactions tick it, the syncer teaches it, the decider
 * clamps and compares. Invariant: every stamp given is below 2^63, so that it can be kept and
 * ordered as a signed 64-bit number.
 */
#include "engine/protocol/stamp.h"

#define HLC_MS_MAX ((INT64_C(1) << 47) - 1) /* about the year 6429 */
#define BEHIND_MAX_MS 1000 /* a clock that ran ahead of corrected time by more is set back */

/* a - b, held within int64 (both may come from the wire). */
static int64_t subtract(int64_t a, int64_t b)
{
    if (b > 0 && a < INT64_MIN + b) {
        return INT64_MIN;
    }
    if (b < 0 && a > INT64_MAX + b) {
        return INT64_MAX;
    }
    return a - b;
}

/* a + b, held within int64. */
static int64_t add(int64_t a, int64_t b)
{
    if (b > 0 && a > INT64_MAX - b) {
        return INT64_MAX;
    }
    if (b < 0 && a < INT64_MIN - b) {
        return INT64_MIN;
    }
    return a + b;
}

/* The first stamp of a millisecond, which is held between 0 and HLC_MS_MAX. */
static hlc from_ms(int64_t ms)
{
    if (ms < 0) {
        ms = 0;
    } else if (ms > HLC_MS_MAX) {
        ms = HLC_MS_MAX;
    }
    return (hlc)ms << 16;
}

/* The next stamp: corrected wall time where that is above the last stamp, else the last plus one
 * (the counter's overflow carries into the milliseconds). At the end of time it stands still. */
hlc dk_hlc_tick(struct hlc_clock *clock, int64_t now_ms)
{
    hlc now = from_ms(add(now_ms, clock->offset_ms));
    if (now > clock->last) {
        clock->last = now;
    } else if (clock->last < INT64_MAX) {
        clock->last++;
    }
    return clock->last;
}

/* The server's time belongs to the middle between sending and receiving. A wall clock that was set
 * back in between says nothing about the middle; then the moment of receipt is taken. */
void dk_hlc_learn(struct hlc_clock *clock, int64_t sent_ms, int64_t received_ms, int64_t server_ms)
{
    int64_t travel_ms = subtract(received_ms, sent_ms);
    int64_t middle_ms = travel_ms > 0 ? subtract(received_ms, travel_ms / 2) : received_ms;
    clock->offset_ms = subtract(server_ms, middle_ms);
    hlc now = from_ms(add(received_ms, clock->offset_ms));
    if (dk_hlc_ms(clock->last) > dk_hlc_ms(now) + BEHIND_MAX_MS) {
        clock->last = now;
    }
}

int64_t dk_hlc_ms(hlc time)
{
    return (int64_t)(time >> 16);
}

/* A stamp further ahead of the server than STAMP_AHEAD_MAX_MS becomes the server's time. */
hlc dk_hlc_clamp(hlc time, int64_t server_ms, bool *clamped)
{
    *clamped = dk_hlc_ms(time) > add(server_ms, STAMP_AHEAD_MAX_MS);
    return *clamped ? from_ms(server_ms) : time;
}

int dk_stamp_compare(hlc a, uint32_t a_device, hlc b, uint32_t b_device)
{
    if (a != b) {
        return a < b ? -1 : 1;
    }
    if (a_device != b_device) {
        return a_device < b_device ? -1 : 1;
    }
    return 0;
}

/* See the header. */
bool dk_true_time(int64_t server_now_ms, int64_t steady_now_ms, int64_t steady_act_ms,
                  int64_t *true_ms)
{
    int64_t elapsed_ms = subtract(steady_now_ms, steady_act_ms);
    if (elapsed_ms < 0 || elapsed_ms > server_now_ms) {
        return false;
    }
    *true_ms = server_now_ms - elapsed_ms;
    return true;
}
