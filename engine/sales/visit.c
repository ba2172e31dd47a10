/* SPDX-License-Identifier: Apache-2.0
 *
 * Which visits count: what they say of themselves, what those before them say of the way, and which
 * of several at one customer. Called by the server's decision, which sets visit.effective, and by
 * the device, provisionally. Invariant: pure, and whole numbers only, so that every end and every
 * order of arrival comes to the same.
 */
#include "engine/sales/sales.h"

#include "engine/base/text.h"
#include "engine/sales/machines.h"

#include <stdlib.h>

#define MINUTES_MIN_MS ((int64_t)5 * 60 * 1000) /* from check-in to check-out */
#define DISTANCE_MAX_CM 20000
#define ACCURACY_MAX_M 100
#define CM_PER_E7_TIMES_1E5 111319 /* along a meridian: 1.11319 cm per 10^-7 degree */
#define FULL_CIRCLE_E7 INT64_C(3600000000)
#define SPEED_MAX_KMH 200              /* from visit to visit; 36 km/h are 1 cm/ms */
#define WAY_MAX_CM INT64_C(2900000000) /* nothing on Earth is further; its square fits */

/* The cosine of a latitude × 10^6, good to 0.2 %: Bhaskara's formula,
 * (32400 − 4 x²) / (32400 + x²) with x in degrees. */
static int64_t cosine_e6(int64_t lat_e7)
{
    int64_t x = lat_e7 / 100000; /* hundredths of a degree */
    int64_t square = x * x;
    return (324000000 - 4 * square) * 1000000 / (324000000 + square);
}

/* True where two places are at most so far apart; over long ways along the parallel of the mean
 * latitude. */
static bool is_within(int64_t lat_a, int64_t lon_a, int64_t lat_b, int64_t lon_b, int64_t limit_cm)
{
    int64_t north = llabs(lat_a - lat_b), east = llabs(lon_a - lon_b);
    east = east > FULL_CIRCLE_E7 / 2 ? FULL_CIRCLE_E7 - east : east;
    int64_t north_cm = north * CM_PER_E7_TIMES_1E5 / 100000;
    int64_t east_cm =
        east * CM_PER_E7_TIMES_1E5 / 100000 * cosine_e6((lat_a + lat_b) / 2) / 1000000;
    return limit_cm >= WAY_MAX_CM || north_cm * north_cm + east_cm * east_cm <= limit_cm * limit_cm;
}

/* The value of a field of an integer type; false: none. */
static bool has_int(const struct record *record, int field, int64_t *integer)
{
    *integer = record->values[field].integer;
    return record->values[field].kind == VALUE_INT;
}

/* True where the field says yes. */
static bool is_set(const struct record *record, int field)
{
    int64_t flag;
    return has_int(record, field, &flag) && flag != 0;
}

/* True where the visit is in this state. */
static bool is_in(const struct record *visit, const char *state)
{
    const struct value *status = &visit->values[VISIT_STATUS];
    return status->kind == VALUE_TEXT && dk_text_equal(status->text, status->length, state);
}

/* See the header. */
bool dk_visit_is_ad_hoc(const struct record *visit)
{
    const struct value *values = visit->values;
    return values[VISIT_PLAN_DAY].kind == VALUE_NULL &&
           values[VISIT_CHECKIN_TS].kind == VALUE_INT && !is_set(visit, VISIT_CHECKIN_SUSPECT) &&
           values[VISIT_REP_ID].kind == VALUE_ID && values[VISIT_CUSTOMER_ID].kind == VALUE_ID;
}

/* True in the states of visits that took place, as far as anybody knows. */
static bool may_join(int rank)
{
    switch (rank) {
    case RANK_VISIT_planned:
    case RANK_VISIT_in_progress:
    case RANK_VISIT_abandoned:
    case RANK_VISIT_completed:
    case RANK_VISIT_rejected:
    case RANK_VISIT_verified: return true;
    default: return false;
    }
}

/* See the header. */
bool dk_visit_may_join(const struct record *visit)
{
    return may_join(dk_machine_state(visit));
}

/* See the header. */
bool dk_visit_is_twin(const struct record *a, const struct record *b)
{
    static const int same[] = {VISIT_CUSTOMER_ID, VISIT_REP_ID};
    if (!dk_visit_is_ad_hoc(a) || !dk_visit_is_ad_hoc(b)) {
        return false;
    }
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        if (!dk_value_equal(&a->values[same[i]], &b->values[same[i]])) {
            return false;
        }
    }
    int64_t apart_ms = a->values[VISIT_CHECKIN_TS].integer - b->values[VISIT_CHECKIN_TS].integer;
    return llabs(apart_ms) < SALES_TWIN_MS;
}

/* ---- the way from visit to visit */

/* The fields of a check-in or check-out. */
struct end_fields {
    int time, lat, lon, accuracy, mock, suspect;
};
static const struct end_fields checkin = {VISIT_CHECKIN_TS,   VISIT_CHECKIN_LAT,
                                          VISIT_CHECKIN_LON,  VISIT_CHECKIN_ACC,
                                          VISIT_CHECKIN_MOCK, VISIT_CHECKIN_SUSPECT};
static const struct end_fields checkout = {VISIT_CHECKOUT_TS,   VISIT_CHECKOUT_LAT,
                                           VISIT_CHECKOUT_LON,  VISIT_CHECKOUT_ACC,
                                           VISIT_CHECKOUT_MOCK, VISIT_CHECKOUT_SUSPECT};

/* A place where the rep was, and when. */
struct point {
    int64_t time_ms, lat, lon;
};

/* The place of a check-in or check-out; false: it has none that can be believed. */
static bool has_point(const struct record *visit, const struct end_fields *end, struct point *point)
{
    int64_t accuracy;
    return has_int(visit, end->time, &point->time_ms) && has_int(visit, end->lat, &point->lat) &&
           has_int(visit, end->lon, &point->lon) && has_int(visit, end->accuracy, &accuracy) &&
           accuracy <= ACCURACY_MAX_M && !is_set(visit, end->mock) && !is_set(visit, end->suspect);
}

/* See the header. */
bool dk_visit_is_trace(const struct record *visit)
{
    struct point point;
    return visit->values[VISIT_REDIRECT_TO].kind == VALUE_NULL &&
           visit->values[VISIT_REP_ID].kind == VALUE_ID && dk_visit_may_join(visit) &&
           !is_in(visit, "rejected") && has_point(visit, &checkin, &point);
}

/* See the header. */
bool dk_visit_same_way(int rank, int other)
{
    bool is = may_join(rank) && rank != RANK_VISIT_rejected;
    bool other_is = may_join(other) && other != RANK_VISIT_rejected;
    return is == other_is && (rank == RANK_VISIT_verified) == (other == RANK_VISIT_verified);
}

/* See the header. */
bool dk_visit_way_differs(const struct record *before, const struct record *after)
{
    const struct entity *entity = dk_entity(ENTITY_VISIT);
    const uint64_t fields = dk_field_group_mask(entity, VISIT_CHECKIN_TS) |
                            dk_field_group_mask(entity, VISIT_CHECKOUT_TS);
    bool was = before != NULL && dk_visit_is_trace(before);
    bool is = after != NULL && dk_visit_is_trace(after);
    if (!was || !is) {
        return was != is;
    }
    bool differs = is_in(before, "verified") != is_in(after, "verified");
    for (int i = 0; i < entity->field_count && !differs; i++) {
        differs = (fields >> i & 1) != 0 && !dk_value_equal(&before->values[i], &after->values[i]);
    }
    return differs;
}

/* True where a rep can have come from one visit to a later one. A check-out says where the rep was
 * last, where it is not later than the next check-in: who forgets to check out does so in the
 * evening. */
static bool can_reach(const struct record *from, const struct record *to)
{
    struct point start = {0, 0, 0}, left, end = {0, 0, 0};
    (void)has_point(from, &checkin, &start);
    (void)has_point(to, &checkin, &end);
    if (has_point(from, &checkout, &left) && left.time_ms >= start.time_ms &&
        left.time_ms <= end.time_ms) {
        start = left;
    }
    int64_t free_cm = DISTANCE_MAX_CM + (end.time_ms - start.time_ms) * SPEED_MAX_KMH / 36;
    return is_within(start.lat, start.lon, end.lat, end.lon, free_cm);
}

/* See the header. */
bool dk_visit_is_reached(const struct record *visit, const struct record *before)
{
    return is_in(visit, "verified") || before == NULL || can_reach(before, visit);
}

/* See the header. */
bool dk_visit_is_too_fast(const struct record *const *run, int count)
{
    const struct record *last = run[count - 1];
    for (int i = count - 2; i >= 0; i--) {
        last = is_in(run[i], "verified") || can_reach(last, run[i]) ? run[i] : last;
    }
    return last != run[0];
}

/* ---- what a visit says of itself */

/* See the header. */
uint64_t dk_visit_facts(void)
{
    const struct entity *entity = dk_entity(ENTITY_VISIT);
    return dk_field_group_mask(entity, VISIT_CHECKIN_TS) |
           dk_field_group_mask(entity, VISIT_CHECKOUT_TS) | (uint64_t)1 << VISIT_STATUS |
           (uint64_t)1 << VISIT_FEEDBACK | (uint64_t)1 << VISIT_REDIRECT_TO;
}

/* True where it lasted long enough. */
static bool is_long(const struct record *visit)
{
    int64_t in, out;
    return has_int(visit, VISIT_CHECKIN_TS, &in) && has_int(visit, VISIT_CHECKOUT_TS, &out) &&
           out - in >= MINUTES_MIN_MS;
}

/* Why place and time cannot be believed, by what the visit says of itself: a device that knows
 * where and when it is has no flaw. A manager who verifies the visit vouches for both. */
static enum visit_flaw flaw_of_place(const struct record *visit)
{
    int64_t lat, lon, accuracy;
    if (is_in(visit, "verified")) {
        return FLAW_NONE;
    }
    if (is_set(visit, VISIT_CHECKIN_MOCK) || is_set(visit, VISIT_CHECKOUT_MOCK)) {
        return FLAW_MOCK;
    }
    if (is_set(visit, VISIT_CHECKIN_SUSPECT) || is_set(visit, VISIT_CHECKOUT_SUSPECT)) {
        return FLAW_CLOCK;
    }
    if (!has_int(visit, VISIT_CHECKIN_LAT, &lat) || !has_int(visit, VISIT_CHECKIN_LON, &lon)) {
        return FLAW_NO_PLACE;
    }
    return has_int(visit, VISIT_CHECKIN_ACC, &accuracy) && accuracy <= ACCURACY_MAX_M ? FLAW_NONE
                                                                                      : FLAW_VAGUE;
}

/* What a visit says against itself, whatever is known of its customer. */
static enum visit_flaw flaw_of_its_own(const struct record *visit)
{
    enum visit_flaw flaw = visit->values[VISIT_REDIRECT_TO].kind != VALUE_NULL       ? FLAW_JOINED
                           : !is_in(visit, "completed") && !is_in(visit, "verified") ? FLAW_OPEN
                           : !is_long(visit)                                         ? FLAW_SHORT
                                             : flaw_of_place(visit);
    bool nowhere = visit->values[VISIT_CUSTOMER_ID].kind != VALUE_ID;
    return flaw == FLAW_NONE && nowhere ? FLAW_NO_CUSTOMER_PLACE : flaw;
}

/* See the header. */
bool dk_visit_may_count(const struct record *visit)
{
    return flaw_of_its_own(visit) == FLAW_NONE;
}

/* Whether the check-in, where its place matters, was at the customer. */
static enum visit_flaw flaw_of_way_to(const struct record *visit, const struct record *customer)
{
    int64_t lat, lon;
    if (is_in(visit, "verified")) {
        return FLAW_NONE;
    }
    if (!has_int(customer, CUSTOMER_LAT, &lat) || !has_int(customer, CUSTOMER_LON, &lon)) {
        return FLAW_NO_CUSTOMER_PLACE;
    }
    return is_within(visit->values[VISIT_CHECKIN_LAT].integer,
                     visit->values[VISIT_CHECKIN_LON].integer, lat, lon, DISTANCE_MAX_CM)
               ? FLAW_NONE
               : FLAW_FAR;
}

/* Whether something came of it: feedback, or an order or a stock count among its actions. */
static daybook_status bore_fruit(const struct sales_reader *reader, const struct record *visit,
                                 struct arena *arena, bool *fruit)
{
    static const char *const kinds[] = {"order", "stock_count"};
    struct record *actions;
    int count;
    *fruit = visit->values[VISIT_FEEDBACK].kind == VALUE_TEXT &&
             visit->values[VISIT_FEEDBACK].length > 0;
    if (*fruit) {
        return DAYBOOK_OK;
    }
    daybook_status status =
        reader->children(reader->context, ENTITY_VISIT_ACTION, &visit->id, arena, &actions, &count);
    for (int i = 0; status == DAYBOOK_OK && i < count; i++) {
        const struct value *kind = &actions[i].values[VISIT_ACTION_KIND];
        for (size_t k = 0; k < sizeof kinds / sizeof kinds[0]; k++) {
            *fruit = *fruit || (kind->kind == VALUE_TEXT &&
                                dk_text_equal(kind->text, kind->length, kinds[k]));
        }
    }
    return status;
}

/* See the header. */
daybook_status dk_visit_flaw(const struct sales_reader *reader, const struct record *visit,
                             struct arena *arena, enum visit_flaw *flaw)
{
    struct record customer;
    bool found, fruit;
    *flaw = flaw_of_its_own(visit);
    if (*flaw != FLAW_NONE) {
        return DAYBOOK_OK;
    }
    daybook_status status =
        reader->get(reader->context, ENTITY_CUSTOMER, &visit->values[VISIT_CUSTOMER_ID].id, arena,
                    &customer, &found);
    if (status != DAYBOOK_OK) {
        return status;
    }
    *flaw = found ? flaw_of_way_to(visit, &customer) : FLAW_NO_CUSTOMER_PLACE;
    if (*flaw != FLAW_NONE) {
        return DAYBOOK_OK;
    }
    status = bore_fruit(reader, visit, arena, &fruit);
    *flaw = fruit ? FLAW_NONE : FLAW_NO_RESULT;
    return status;
}
