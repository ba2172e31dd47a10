/* SPDX-License-Identifier: Apache-2.0
 *
 * The configurations of the model check (model.h). To add one, add its row: the records that it
 * begins with, the fields that its operations write, with the whole groups that they belong to, and
 * up to MODEL_ALPHABET operations of each device. With n operations of each it has about
 * 20 (n + 1)^6 words.
 */
#include "tests/model/model.h"

#include <string.h>

#define SETS(record_, json)                                                                        \
    {                                                                                              \
        .verb = MODEL_SET, .record = (record_)-1, .values = (json)                                 \
    }
#define ADDS(record_, set, element)                                                                \
    {                                                                                              \
        .verb = MODEL_ADD, .record = (record_)-1, .field = (set), .values = (element)              \
    }
#define REMOVES(record_, set, element)                                                             \
    {                                                                                              \
        .verb = MODEL_REMOVE, .record = (record_)-1, .field = (set), .values = (element)           \
    }
#define DELETES(record_)                                                                           \
    {                                                                                              \
        .verb = MODEL_DELETE, .record = (record_)-1                                                \
    }
#define MAKES(entity_, json)                                                                       \
    {                                                                                              \
        .verb = MODEL_NEW, .entity = (entity_), .values = (json)                                   \
    }
#define STEPS(state) SETS(1, "{\"status\":\"" state "\"}")

#define CUSTOMER                                                                                   \
    {                                                                                              \
        {                                                                                          \
            "r1", "customer", "{\"name\":\"n0\",\"industry\":\"i0\",\"kind\":\"k0\"}"              \
        }                                                                                          \
    }
#define DEAL                                                                                       \
    {                                                                                              \
        {                                                                                          \
            "r1", "opportunity",                                                                   \
                "{\"customer_id\":\"$s\",\"subject\":\"s0\",\"amount\":1,\"cur\":\"USD\"}"         \
        }                                                                                          \
    }
#define VISIT_VALUES "{\"customer_id\":\"$s\",\"checkin_ts\":$d5000000,\"checkout_ts\":$d5000000}"
#define VISIT                                                                                      \
    {                                                                                              \
        {                                                                                          \
            "r1", "visit", VISIT_VALUES                                                            \
        }                                                                                          \
    }
#define PLAN                                                                                       \
    {                                                                                              \
        {                                                                                          \
            "r1", "visit", "{\"customer_id\":\"$s\",\"feedback\":\"f0\"}"                          \
        }                                                                                          \
    }
#define LINE(product, qty)                                                                         \
    "{\"quote_id\":\"$1\",\"product_id\":\"" product "\",\"qty\":" qty ",\"price_e4\":10000}"
#define QUOTE                                                                                      \
    {                                                                                              \
        {"r1", "quote", "{\"customer_id\":\"$s\",\"cur\":\"CNY\",\"note\":\"n0\"}"},               \
        {                                                                                          \
            "l1", "quote_line", LINE("$t", "1000")                                                 \
        }                                                                                          \
    }
#define ADDS_LINE MAKES("quote_line", LINE("$k", "$n"))
#define QUOTE_FIELDS ",note,status,qty,uom,"
#define ADDRESS ",address_region,address_city,address_street,address_postcode,"
#define CHECKIN                                                                                    \
    ",checkin_ts,checkin_tz_min,checkin_lat_e7,checkin_lon_e7,checkin_acc_m,checkin_mock,"
#define CHECKOUT                                                                                   \
    ",checkout_ts,checkout_tz_min,checkout_lat_e7,checkout_lon_e7,checkout_acc_m,checkout_mock,"
#define INDUSTRY SETS(1, "{\"industry\":\"$v\"}")
#define KIND SETS(1, "{\"kind\":\"$v\"}")
#define AT(field, time, more) SETS(1, "{\"" field "\":" time more "}")
#define T(number) "$d" number "000000" /* 1 to 9: later and later */

static const struct model_config configs[] = {
    {"latest",
     "manager",
     true,
     ",industry,kind,",
     CUSTOMER,
     {{INDUSTRY, KIND}, {INDUSTRY, SETS(1, "{\"industry\":\"$v\",\"kind\":\"$v\"}")}}},
    {"same",
     "manager",
     true,
     ",industry,",
     CUSTOMER,
     {{INDUSTRY, SETS(1, "{\"industry\":\"same\"}")},
      {SETS(1, "{\"industry\":\"same\"}"), SETS(1, "{\"industry\":null}")}}},
    {"latest_null",
     "manager",
     false,
     ",industry,kind,",
     CUSTOMER,
     {{INDUSTRY, SETS(1, "{\"industry\":null}"), SETS(1, "{\"industry\":\"same\"}")},
      {INDUSTRY, SETS(1, "{\"industry\":null}"), SETS(1, "{\"industry\":\"same\"}")}}},
    {"group",
     "manager",
     true,
     ADDRESS,
     {{"r1", "customer", "{\"name\":\"n0\",\"address_city\":\"c0\",\"address_street\":\"s0\"}"}},
     {{SETS(1, "{\"address_city\":\"$v\"}"), SETS(1, "{\"address_street\":\"$v\"}")},
      {SETS(1, "{\"address_city\":\"$v\"}"),
       SETS(1, "{\"address_city\":\"c0\",\"address_street\":\"$v\"}")}}},
    {"group_latest",
     "manager",
     false,
     ",amount,cur,stage,",
     DEAL,
     {{SETS(1, "{\"amount\":$n}"), SETS(1, "{\"amount\":$n,\"cur\":\"EUR\"}"),
       SETS(1, "{\"stage\":\"$v\"}")},
      {SETS(1, "{\"amount\":$n}"), SETS(1, "{\"cur\":\"CNY\"}"), SETS(1, "{\"stage\":\"$v\"}")}}},
    {"money",
     "manager",
     true,
     ",amount,cur,",
     DEAL,
     {{SETS(1, "{\"amount\":$n}"), SETS(1, "{\"amount\":$n,\"cur\":\"EUR\"}")},
      {SETS(1, "{\"amount\":$n}"), SETS(1, "{\"cur\":\"CNY\"}")}}},
    {"null",
     "manager",
     true,
     ",industry,",
     CUSTOMER,
     {{INDUSTRY, SETS(1, "{\"industry\":null}")}, {INDUSTRY, SETS(1, "{\"industry\":null}")}}},
    {"delete",
     "manager",
     true,
     ",industry,kind,",
     CUSTOMER,
     {{INDUSTRY, DELETES(1)}, {INDUSTRY, DELETES(1)}}},
    {"delete_both",
     "manager",
     true,
     ",industry,kind,",
     CUSTOMER,
     {{KIND, SETS(1, "{\"industry\":\"$v\",\"kind\":\"$v\"}")}, {INDUSTRY, DELETES(1)}}},
    {"delete_two",
     "manager",
     false,
     ",industry,kind,",
     CUSTOMER,
     {{INDUSTRY, KIND, DELETES(1)}, {INDUSTRY, KIND, DELETES(1)}}},
    {"two",
     "manager",
     true,
     ",industry,",
     {{"r1", "customer", "{\"name\":\"n1\",\"industry\":\"i0\"}"},
      {"r2", "customer", "{\"name\":\"n2\",\"industry\":\"i0\"}"}},
     {{INDUSTRY, SETS(2, "{\"industry\":\"$v\"}")}, {INDUSTRY, DELETES(2)}}},
    {"two_records",
     "manager",
     false,
     ",industry,",
     {{"r1", "customer", "{\"name\":\"n1\",\"industry\":\"i0\"}"},
      {"r2", "customer", "{\"name\":\"n2\",\"industry\":\"i0\"}"}},
     {{INDUSTRY, SETS(2, "{\"industry\":\"$v\"}"), DELETES(2)},
      {INDUSTRY, SETS(2, "{\"industry\":\"$v\"}"), DELETES(2)}}},
    {"propose",
     "manager",
     true,
     ",tax_no,kind,",
     {{"r1", "customer", "{\"name\":\"n0\",\"tax_no\":\"t0\",\"kind\":\"k0\"}"}},
     {{SETS(1, "{\"tax_no\":\"$v\"}"), KIND}, {SETS(1, "{\"tax_no\":\"$v\"}"), KIND}}},
    {"office",
     "back_office",
     true,
     ",tax_no,",
     {{"r1", "customer", "{\"name\":\"n0\"}"}},
     {{SETS(1, "{\"tax_no\":\"$v\"}"), SETS(1, "{\"tax_no\":\"same\"}")},
      {SETS(1, "{\"tax_no\":\"$v\"}"), SETS(1, "{\"tax_no\":\"same\"}")}}},
    {"propose_office",
     "back_office",
     false,
     ",tax_no,kind,",
     {{"r1", "customer", "{\"name\":\"n0\",\"kind\":\"k0\"}"}},
     {{SETS(1, "{\"tax_no\":\"$v\"}"), SETS(1, "{\"tax_no\":\"same\"}"), KIND},
      {SETS(1, "{\"tax_no\":\"$v\"}"), SETS(1, "{\"tax_no\":\"same\"}"), DELETES(1)}}},
    {"min",
     "manager",
     true,
     CHECKIN,
     VISIT,
     {{AT("checkin_ts", T("1"), ""), AT("checkin_ts", T("3"), ",\"checkin_tz_min\":480")},
      {AT("checkin_ts", T("2"), ""), AT("checkin_ts", T("4"), ",\"checkin_acc_m\":$n")}}},
    {"min_rest",
     "manager",
     false,
     CHECKIN,
     VISIT,
     {{AT("checkin_ts", T("1"), ""), AT("checkin_ts", T("8"), ""),
       SETS(1, "{\"checkin_tz_min\":60}")},
      {AT("checkin_ts", T("1"), ",\"checkin_acc_m\":5"), SETS(1, "{\"checkin_ts\":null}"),
       SETS(1, "{\"checkin_acc_m\":$n}")}}},
    {"max",
     "manager",
     true,
     CHECKOUT,
     VISIT,
     {{AT("checkout_ts", T("6"), ""), AT("checkout_ts", T("8"), ",\"checkout_tz_min\":480")},
      {AT("checkout_ts", T("7"), ""), AT("checkout_ts", T("9"), ",\"checkout_acc_m\":$n")}}},
    {"set",
     "manager",
     false, /* differs: see ARCHITECTURE.md */
     ",tags,",
     {{"r1", "customer", "{\"name\":\"n0\",\"tags\":[\"x\"]}"}},
     {{ADDS(1, "tags", "x"), REMOVES(1, "tags", "x")},
      {ADDS(1, "tags", "x"), REMOVES(1, "tags", "x")}}},
    {"set_two",
     "manager",
     false,
     ",tags,",
     {{"r1", "customer", "{\"name\":\"n0\",\"tags\":[\"x\"]}"}},
     {{ADDS(1, "tags", "x"), REMOVES(1, "tags", "x"), ADDS(1, "tags", "y")},
      {ADDS(1, "tags", "x"), REMOVES(1, "tags", "x"), REMOVES(1, "tags", "y")}}},
    {"map",
     "manager",
     true,
     ",custom,",
     {{"r1", "customer", "{\"name\":\"n0\",\"custom\":{\"k\":\"m0\"}}"}},
     {{SETS(1, "{\"custom\":{\"k\":\"$v\"}}"), SETS(1, "{\"custom\":{\"j\":\"$v\"}}")},
      {SETS(1, "{\"custom\":{\"k\":\"$v\"}}"), SETS(1, "{\"custom\":{\"k\":null,\"j\":\"$v\"}}")}}},
    {"visit",
     "manager",
     true,
     ",status,",
     PLAN,
     {{STEPS("in_progress"), STEPS("completed")}, {STEPS("cancelled"), STEPS("rejected")}}},
    {"visit_more",
     "manager",
     false,
     ",status,feedback,",
     PLAN,
     {{STEPS("completed"), STEPS("abandoned"), SETS(1, "{\"feedback\":\"$v\"}")},
      {STEPS("cancelled"), STEPS("rejected"), STEPS("completed")}}},
    {"deal",
     "manager",
     true,
     ",status,",
     DEAL,
     {{STEPS("suspended"), STEPS("won")}, {STEPS("tracking"), STEPS("invalid")}}},
    {"deal_more",
     "manager",
     false,
     ",status,lost_reason,",
     DEAL,
     {{STEPS("suspended"), STEPS("tracking"),
       SETS(1, "{\"status\":\"lost\",\"lost_reason\":\"$v\"}")},
      {STEPS("suspended"), STEPS("tracking"), DELETES(1)}}},
    {"lines",
     "manager",
     false, /* differs: see ARCHITECTURE.md */
     QUOTE_FIELDS,
     QUOTE,
     {{SETS(2, "{\"qty\":$n}"), DELETES(1)}, {ADDS_LINE, DELETES(2)}}},
    {"lines_more",
     "manager",
     false,
     QUOTE_FIELDS,
     QUOTE,
     {{SETS(2, "{\"qty\":$n}"), DELETES(1), DELETES(2)},
      {SETS(2, "{\"qty\":$n}"), DELETES(1), DELETES(2)}}},
    {"lines_note",
     "manager",
     false,
     QUOTE_FIELDS,
     QUOTE,
     {{SETS(1, "{\"note\":\"$v\"}"), ADDS_LINE, DELETES(1)},
      {SETS(1, "{\"note\":\"$v\"}"), ADDS_LINE, DELETES(2)}}},
    {"send",
     "manager",
     false, /* differs: see ARCHITECTURE.md */
     QUOTE_FIELDS,
     QUOTE,
     {{STEPS("sent"), SETS(2, "{\"qty\":$n}")}, {SETS(1, "{\"note\":\"$v\"}"), DELETES(2)}}},
    {"send_more",
     "manager",
     false,
     QUOTE_FIELDS,
     QUOTE,
     {{STEPS("sent"), SETS(1, "{\"note\":\"$v\"}"), STEPS("withdrawn")},
      {SETS(2, "{\"qty\":$n}"), ADDS_LINE, DELETES(1)}}},
};

size_t model_config_count(void)
{
    return sizeof configs / sizeof configs[0];
}

const struct model_config *model_config_at(size_t number)
{
    return &configs[number];
}

const struct model_config *model_config_named(const char *name, size_t length)
{
    for (size_t i = 0; i < model_config_count(); i++) {
        if (strlen(configs[i].name) == length && memcmp(configs[i].name, name, length) == 0) {
            return &configs[i];
        }
    }
    return NULL;
}
