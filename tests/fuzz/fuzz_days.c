/* SPDX-License-Identifier: Apache-2.0
 *
 * Bytes as a day of two devices and a server (tests/support/day.h): the first four are the seed of
 * the laboratory, who has the devices and whether the network is bad, then each five are a step. In
 * the end everybody has the same, and nothing that somebody entered is lost.
 *
 * The laboratory's clock is libFuzzer's, too, while an input runs: -timeout=0.
 */
#include "tests/support/lab_system.h"

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/pool.h"

#include "tests/support/day.h"

#include <assert.h>

#define STEPS_MAX 60

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static int64_t counts[LAB_FAULT_COUNT];
    struct input input = {bytes, size};
    pool_install();
    struct day *day = calloc(1, sizeof *day);
    assert(day != NULL);
    struct lab *lab = &day->lab;
    day_begin(day, 1 + input_byte(&input), counts, NULL);
    lab->again[0] = '\0';
    for (int i = 0; i < 2; i++) {
        lab_enrol(lab_hire(lab, (int)input_byte(&input) % LAB_USERS));
    }
    lab->faults = input_byte(&input) % 2 != 0;
    for (int i = 0; i < STEPS_MAX && input.size > 0; i++) {
        int what = (int)input_short(&input) % DAY_CHOICES;
        int device = (int)input_byte(&input) % lab->device_count;
        lab_begin_step(lab, 1 + (int)input_short(&input)); /* what is drawn in it */
        day_step(day, &lab->devices[device], what);
    }
    lab_begin_step(lab, 0);
    day_end(day);
    free(day);
    return 0;
}
