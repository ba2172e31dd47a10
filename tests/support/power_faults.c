/* SPDX-License-Identifier: Apache-2.0
 *
 * See power.h: operations on the disk that fail.
 */
#include "tests/support/power_inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const int errors[POWER_ACT_COUNT] = {
#define POWER_ACT_ERROR(name, error, text) error,
    POWER_ACTS(POWER_ACT_ERROR)
#undef POWER_ACT_ERROR
};

/* How an operation of this kind fails, SQLITE_OK: not by this fault. */
static int failure_of(enum power_act act, enum power_fault fault)
{
    switch (fault) {
    case POWER_SHORT: return act == POWER_READ ? SQLITE_IOERR_SHORT_READ : SQLITE_OK;
    case POWER_FULL: return act == POWER_WRITE ? SQLITE_FULL : SQLITE_OK;
    default: return errors[act];
    }
}

int power_point(struct power *power, enum power_act act)
{
    int result = SQLITE_OK;
    pthread_mutex_lock(&power->lock);
    if (power->spared) {
        pthread_mutex_unlock(&power->lock);
        return SQLITE_OK;
    }
    if (power->points < POWER_POINTS_MAX) {
        power->acts[power->points] = (unsigned char)act;
    }
    int point = ++power->points;
    struct power_plan *plan = &power->plan;
    if (plan->at != 0 && (point == plan->at || (point > plan->at && plan->sticky))) {
        result = failure_of(act, plan->fault);
        plan->struck += result != SQLITE_OK;
        power->overflows += result == SQLITE_FULL;
    }
    pthread_mutex_unlock(&power->lock);
    return result;
}

void power_fail_at(struct power *power, int point, enum power_fault fault, bool sticky)
{
    pthread_mutex_lock(&power->lock);
    power->plan = (struct power_plan){
        .fault = fault, .at = point == 0 ? 0 : power->points + point, .sticky = sticky};
    pthread_mutex_unlock(&power->lock);
}

void power_spare(struct power *power, bool spared)
{
    pthread_mutex_lock(&power->lock);
    power->spared = spared;
    pthread_mutex_unlock(&power->lock);
}

int power_struck(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int struck = power->plan.struck;
    pthread_mutex_unlock(&power->lock);
    return struck;
}

int power_points(struct power *power)
{
    pthread_mutex_lock(&power->lock);
    int points = power->points;
    pthread_mutex_unlock(&power->lock);
    return points;
}

enum power_act power_act_at(struct power *power, int point)
{
    assert_in_range(point, 1, POWER_POINTS_MAX);
    return (enum power_act)power->acts[point - 1];
}
