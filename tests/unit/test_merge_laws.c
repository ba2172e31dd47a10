/* SPDX-License-Identifier: Apache-2.0
 *
 * The laws of merging: what stands after a set of changes is a function of the set. Random changes
 * of a few devices arrive in batches: who writes in one batch has seen some of the batches before
 * it, whole, and its own. Each batch is put into every order that keeps each device's own, every
 * outcome must be the same and be what a plain definition of the policy says, which looks at all
 * changes at once; and repeating a change must change nothing.
 *
 * Stamps are as devices make them: later than all that their author had seen. They tie often.
 */
#include "engine/protocol/merge.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CASES 100000
#define BATCHES 3
#define BATCH_MAX 3
#define CHANGES_MAX (BATCHES * BATCH_MAX)
#define DEVICES 4
#define WIDTH 3 /* fields of the group; the last is the flag of a doubtful clock */

struct change {
    int batch;
    int batches_seen; /* it has seen all changes of the batches below this one */
    int number;       /* in the order in which they were made */
    struct stamp stamp;
    struct value values[WIDTH];
    bool add; /* as a change of one element */
};

struct history {
    struct change changes[CHANGES_MAX];
    int count;
    uint64_t random;
};

/* What stands after some changes. */
struct outcome {
    struct stamp stamp;
    struct value values[WIDTH];
    struct merge_element element;
    int64_t last;
    int64_t batch_ends[BATCHES + 1]; /* position after so many batches */
};

typedef void arrive(struct outcome *outcome, const struct change *change);

static int next(struct history *history, int bound)
{
    history->random ^= history->random << 13;
    history->random ^= history->random >> 7;
    history->random ^= history->random << 17;
    return (int)((history->random >> 11) % (uint64_t)bound);
}

static bool is_doubtful(const struct value values[WIDTH])
{
    return values[WIDTH - 1].kind != VALUE_NULL;
}

/* True where the author of `later` had seen `earlier`, or made it. */
static bool saw(const struct change *later, const struct change *earlier)
{
    return earlier->batch < later->batches_seen ||
           (earlier->stamp.device_no == later->stamp.device_no && earlier->number < later->number);
}

/* What the next change of a device has seen: some of the batches so far and no less than before,
 * but while the one before is not settled, as much as that. */
static int choose_seen(struct history *history, uint32_t device_no, int batch)
{
    int seen = next(history, batch + 1);
    for (int i = history->count - 1; i >= 0; i--) {
        const struct change *own = &history->changes[i];
        if (own->stamp.device_no == device_no) {
            bool unsettled = own->batch >= seen;
            return unsettled || own->batches_seen > seen ? own->batches_seen : seen;
        }
    }
    return seen;
}

/* One more change of the batch. */
static void add_change(struct history *history, int batch)
{
    struct change *change = &history->changes[history->count];
    *change = (struct change){.batch = batch, .number = history->count};
    change->stamp.device_no = 1 + (uint32_t)next(history, DEVICES);
    change->batches_seen = choose_seen(history, change->stamp.device_no, batch);
    change->stamp.time = (hlc)next(history, 4);
    for (int i = 0; i < history->count; i++) {
        hlc time = history->changes[i].stamp.time;
        if (saw(change, &history->changes[i]) && change->stamp.time <= time) {
            change->stamp.time = time + 1;
        }
    }
    for (int i = 0; i < WIDTH; i++) {
        change->values[i].kind = next(history, 5) == 0 ? VALUE_NULL : VALUE_INT;
        change->values[i].integer = change->values[i].kind == VALUE_NULL ? 0 : next(history, 3);
    }
    bool doubtful = change->values[0].kind != VALUE_NULL && next(history, 4) == 0;
    change->values[WIDTH - 1].kind = doubtful ? VALUE_INT : VALUE_NULL;
    change->values[WIDTH - 1].integer = doubtful;
    change->add = next(history, 2) == 0;
    history->count++;
}

static void make_history(struct history *history)
{
    history->count = 0;
    for (int batch = 0; batch < BATCHES; batch++) {
        for (int i = 1 + next(history, BATCH_MAX); i > 0; i--) {
            add_change(history, batch);
        }
    }
}

/* ---- arriving, as the decider does it */

static int64_t seen_of(const struct outcome *outcome, const struct change *change)
{
    return outcome->batch_ends[change->batches_seen];
}

/* A change of the unit, under the policy. */
static void arrive_unit(struct outcome *outcome, const struct change *change,
                        enum merge_policy policy)
{
    struct merge_side stored = {outcome->stamp, outcome->values, is_doubtful(outcome->values)};
    struct merge_side incoming = {change->stamp, change->values, is_doubtful(change->values)};
    enum merge_result result =
        dk_merge(policy, &stored, &incoming, WIDTH, seen_of(outcome, change));
    struct stamp stamp = change->stamp;
    stamp.position = outcome->last;
    bool later = dk_stamp_compare(stamp.time, stamp.device_no, outcome->stamp.time,
                                  outcome->stamp.device_no) > 0;
    assert_int_not_equal(result, MERGE_REFUSED);
    if (result == MERGE_APPLY || result == MERGE_WINS) {
        memcpy(outcome->values, change->values, sizeof outcome->values);
    }
    if (result == MERGE_APPLY || result == MERGE_WINS || (result == MERGE_SAME && later)) {
        outcome->stamp = stamp;
    }
}

static void arrive_latest(struct outcome *outcome, const struct change *change)
{
    arrive_unit(outcome, change, POLICY_LATEST);
}

static void arrive_min(struct outcome *outcome, const struct change *change)
{
    arrive_unit(outcome, change, POLICY_MIN);
}

static void arrive_max(struct outcome *outcome, const struct change *change)
{
    arrive_unit(outcome, change, POLICY_MAX);
}

static void arrive_element(struct outcome *outcome, const struct change *change)
{
    struct stamp stamp = change->stamp;
    stamp.position = outcome->last;
    (void)dk_merge_element(&outcome->element, change->add, &stamp, seen_of(outcome, change));
}

/* ---- definitions, over all changes at once */

/* The latest of all that were given. */
static const struct change *define_latest(const struct history *history)
{
    const struct change *best = &history->changes[0];
    for (int i = 1; i < history->count; i++) {
        const struct change *change = &history->changes[i];
        int order = dk_stamp_compare(change->stamp.time, change->stamp.device_no, best->stamp.time,
                                     best->stamp.device_no);
        best = order > 0 ? change : best;
    }
    return best;
}

/* What counts first: a value, a good clock, the smaller (larger) value. */
static int64_t quality(const struct change *change, bool smaller)
{
    if (change->values[0].kind == VALUE_NULL) {
        return -1000;
    }
    int64_t value = change->values[0].integer;
    return (is_doubtful(change->values) ? 0 : 1000) + (smaller ? -value : value);
}

/* The best of all that were given, the latest among equals. */
static const struct change *define_best(const struct history *history, bool smaller)
{
    struct history equals = {.count = 0};
    int64_t best = INT64_MIN;
    for (int i = 0; i < history->count; i++) {
        int64_t mine = quality(&history->changes[i], smaller);
        if (mine > best) {
            best = mine;
            equals.count = 0;
        }
        if (mine == best) {
            equals.changes[equals.count++] = history->changes[i];
        }
    }
    return &history->changes[define_latest(&equals)->number];
}

/* Some addition was seen by no removal. */
static bool define_there(const struct history *history)
{
    for (int i = 0; i < history->count; i++) {
        bool stands = history->changes[i].add;
        for (int j = 0; j < history->count && stands; j++) {
            stands = history->changes[j].add || !saw(&history->changes[j], &history->changes[i]);
        }
        if (stands) {
            return true;
        }
    }
    return false;
}

/* ---- every order */

struct walk {
    const struct history *history;
    arrive *arrive;
    void (*check)(const struct history *history, const struct outcome *outcome);
    int64_t orders;
};

/* True where another change of the batch must come before this one: an earlier one of its device.
 */
static bool waits(const struct history *history, int number, unsigned arrived)
{
    for (int i = 0; i < number; i++) {
        const struct change *change = &history->changes[i];
        if (change->batch == history->changes[number].batch && (arrived >> i & 1) == 0 &&
            change->stamp.device_no == history->changes[number].stamp.device_no) {
            return true;
        }
    }
    return false;
}

/* Lets the rest of the changes arrive in every order. The last one comes twice: the second time
 * finds all as it is. */
static void walk_orders(struct walk *walk, const struct outcome *before, unsigned arrived, int last)
{
    const struct history *history = walk->history;
    int batch = BATCHES;
    bool any = false;
    for (int i = history->count - 1; i >= 0; i--) {
        batch = (arrived >> i & 1) == 0 ? history->changes[i].batch : batch;
    }
    for (int i = 0; i < history->count; i++) {
        if ((arrived >> i & 1) != 0 || history->changes[i].batch != batch ||
            waits(history, i, arrived)) {
            continue;
        }
        struct outcome outcome = *before;
        outcome.last++;
        walk->arrive(&outcome, &history->changes[i]);
        for (int b = batch + 1; b <= BATCHES; b++) {
            outcome.batch_ends[b] = outcome.last;
        }
        any = true;
        walk_orders(walk, &outcome, arrived | 1U << i, i);
    }
    if (!any) {
        struct outcome again = *before;
        walk->arrive(&again, &history->changes[last]);
        walk->orders++;
        walk->check(history, before);
        walk->check(history, &again);
    }
}

static void check_latest(const struct history *history, const struct outcome *outcome)
{
    const struct change *wanted = define_latest(history);
    assert_memory_equal(outcome->values, wanted->values, sizeof outcome->values);
}

static void check_min(const struct history *history, const struct outcome *outcome)
{
    const struct change *wanted = define_best(history, true);
    if (wanted->values[0].kind != VALUE_NULL) {
        assert_memory_equal(outcome->values, wanted->values, sizeof outcome->values);
    }
}

static void check_max(const struct history *history, const struct outcome *outcome)
{
    const struct change *wanted = define_best(history, false);
    if (wanted->values[0].kind != VALUE_NULL) {
        assert_memory_equal(outcome->values, wanted->values, sizeof outcome->values);
    }
}

static void check_element(const struct history *history, const struct outcome *outcome)
{
    assert_int_equal(outcome->element.there, define_there(history));
}

static void obey(arrive *arrive_one,
                 void (*check)(const struct history *history, const struct outcome *outcome))
{
    struct history history = {.random = UINT64_C(0x2545F4914F6CDD1D)};
    struct walk walk = {.history = &history, .arrive = arrive_one, .check = check};
    struct outcome nothing = {.last = 0};
    for (int i = 0; i < CASES; i++) {
        make_history(&history);
        walk_orders(&walk, &nothing, 0, 0);
    }
    assert_true(walk.orders > 3 * (int64_t)CASES);
    print_message("%d cases, %lld orders\n", CASES, (long long)walk.orders);
}

static void test_merge_laws__latest(void **state)
{
    (void)state;
    obey(arrive_latest, check_latest);
}

static void test_merge_laws__min(void **state)
{
    (void)state;
    obey(arrive_min, check_min);
}

static void test_merge_laws__max(void **state)
{
    (void)state;
    obey(arrive_max, check_max);
}

static void test_merge_laws__set(void **state)
{
    (void)state;
    obey(arrive_element, check_element);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_merge_laws__latest),
        cmocka_unit_test(test_merge_laws__min),
        cmocka_unit_test(test_merge_laws__max),
        cmocka_unit_test(test_merge_laws__set),
    };
    return cmocka_run_group_tests_name("merge_laws", tests, NULL, NULL);
}
