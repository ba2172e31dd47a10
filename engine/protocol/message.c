/* SPDX-License-Identifier: Apache-2.0
 *
 * The tables of all messages, and the one encoder and one decoder that walk them; verdict rows.
 * Called by the syncer and by the server's endpoints. Invariant: what is encoded from a valid
 * struct is decoded to the same; optional members are left out where they are empty.
 */
#include "engine/protocol/message.h"

#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

#define MEMBERS_MAX 32 /* of one message: one bit each while decoding */

#define MEMBER(struct_, member_, type_, required_)                                                 \
    {                                                                                              \
#member_, MESSAGE_##type_, offsetof(struct struct_, member_), required_                    \
    }

#define TABLE(struct_)                                                                             \
    const struct message_table dk_##struct_##_table = {                                            \
        #struct_, struct_##_members,                                                               \
        (int)(sizeof struct_##_members / sizeof struct_##_members[0])};                            \
    _Static_assert(sizeof struct_##_members / sizeof struct_##_members[0] <= MEMBERS_MAX,          \
                   "too many members")

/* clang-format off */
static const struct message_member sync_request_members[] = {
    MEMBER(sync_request, protocol, INT, true),
    MEMBER(sync_request, schema, INT, true),
    MEMBER(sync_request, instance, ID, true),
    MEMBER(sync_request, device_no, INT, false),
    MEMBER(sync_request, epoch, LONG, true),
    MEMBER(sync_request, position, INT, true),
    MEMBER(sync_request, settled, INT, true),
    MEMBER(sync_request, sent_ms, LONG, true),
    MEMBER(sync_request, boot, LONG, true),
    MEMBER(sync_request, steady_ms, LONG, true),
    MEMBER(sync_request, page_bytes, INT, false),
    MEMBER(sync_request, leave_recent, BOOL, false),
    MEMBER(sync_request, scope, RAW, false),
    MEMBER(sync_request, loading, RAW, false),
    MEMBER(sync_request, sums, BOOL, false),
    MEMBER(sync_request, contents, BOOL, false),
    MEMBER(sync_request, diverged, INT, false),
    MEMBER(sync_request, changesets, RAW, false),
};
TABLE(sync_request);

static const struct message_member sync_reply_members[] = {
    MEMBER(sync_reply, protocol, INT, true),
    MEMBER(sync_reply, epoch, LONG, true),
    MEMBER(sync_reply, server_ms, LONG, true),
    MEMBER(sync_reply, position, INT, true),
    MEMBER(sync_reply, head, INT, true),
    MEMBER(sync_reply, safe_position, INT, true),
    MEMBER(sync_reply, more, BOOL, false),
    MEMBER(sync_reply, reset, BOOL, false),
    MEMBER(sync_reply, upgrade, BOOL, false),
    MEMBER(sync_reply, shared, INT, false),
    MEMBER(sync_reply, sum, LONG, false),
    MEMBER(sync_reply, sums, RAW, false),
    MEMBER(sync_reply, contents, RAW, false),
    MEMBER(sync_reply, scope, RAW, false),
    MEMBER(sync_reply, verdicts, RAW, false),
    MEMBER(sync_reply, pages, RAW, false),
    MEMBER(sync_reply, log, RAW, false),
};
TABLE(sync_reply);

static const struct message_member enrol_request_members[] = {
    MEMBER(enrol_request, protocol, INT, true),
    MEMBER(enrol_request, code, TEXT, true),
    MEMBER(enrol_request, instance, ID, true),
    MEMBER(enrol_request, device_name, TEXT, false),
};
TABLE(enrol_request);

static const struct message_member enrol_reply_members[] = {
    MEMBER(enrol_reply, protocol, INT, true),
    MEMBER(enrol_reply, token, TEXT, true),
    MEMBER(enrol_reply, device_no, INT, true),
    MEMBER(enrol_reply, organisation, ID, true),
    MEMBER(enrol_reply, user, ID, true),
    MEMBER(enrol_reply, territory, ID, false),
    MEMBER(enrol_reply, role, TEXT, true),
    MEMBER(enrol_reply, epoch, LONG, true),
    MEMBER(enrol_reply, server_ms, LONG, true),
};
TABLE(enrol_reply);

static const struct message_member lease_request_members[] = {
    MEMBER(lease_request, protocol, INT, true),
    MEMBER(lease_request, instance, ID, true),
    MEMBER(lease_request, old_instance, ID, true),
};
TABLE(lease_request);

static const struct message_member lease_reply_members[] = {
    MEMBER(lease_reply, protocol, INT, true),
    MEMBER(lease_reply, device_no, INT, true),
};
TABLE(lease_reply);

static const struct message_member fetch_request_members[] = {
    MEMBER(fetch_request, protocol, INT, true),
    MEMBER(fetch_request, entity, TEXT, true),
    MEMBER(fetch_request, record, ID, true),
};
TABLE(fetch_request);

static const struct message_member fetch_reply_members[] = {
    MEMBER(fetch_reply, protocol, INT, true),
    MEMBER(fetch_reply, server_ms, LONG, true),
    MEMBER(fetch_reply, rows, RAW, false),
};
TABLE(fetch_reply);

static const struct message_member error_reply_members[] = {
    MEMBER(error_reply, code, TEXT, true),
    MEMBER(error_reply, detail, TEXT, false),
    MEMBER(error_reply, seq, INT, false),
};
TABLE(error_reply);
/* clang-format on */

/* ---- encoding */

/* The length of a text as it goes out: at most LIMIT_LABEL_BYTES, cut between code points. */
static size_t label_length(const char *text, size_t length_max)
{
    size_t length = strnlen(text, length_max + 1);
    if (length <= length_max) {
        return length;
    }
    length = length_max;
    while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
        length--;
    }
    return length;
}

/* An id as a JSON string. */
static void write_id(struct buffer *out, const struct id *id)
{
    char text[ID_WIRE_LENGTH + 2] = "\"";
    dk_id_to_wire(id, text + 1);
    text[ID_WIRE_LENGTH + 1] = '"';
    dk_buffer_append(out, text, sizeof text);
}

/* True where the member holds nothing that an optional member would have to say. */
static bool is_empty(const struct message_member *member, const void *value)
{
    switch (member->type) {
    case MESSAGE_INT:
    case MESSAGE_LONG: return *(const int64_t *)value == 0;
    case MESSAGE_BOOL: return !*(const bool *)value;
    case MESSAGE_TEXT: return *(const char *const *)value == NULL;
    case MESSAGE_ID: return dk_id_is_zero(value);
    case MESSAGE_RAW: return ((const struct span *)value)->bytes == NULL;
    }
    return true;
}

/* Appends the value of one member as JSON. */
static void write_member(struct buffer *out, const struct message_member *member, const void *value)
{
    switch (member->type) {
    case MESSAGE_INT: dk_buffer_append_int(out, *(const int64_t *)value); break;
    case MESSAGE_LONG: dk_json_write_int64(out, *(const int64_t *)value); break;
    case MESSAGE_BOOL: dk_buffer_append_text(out, *(const bool *)value ? "true" : "false"); break;
    case MESSAGE_TEXT: {
        const char *text = *(const char *const *)value;
        dk_json_write_string(out, text, label_length(text, LIMIT_LABEL_BYTES));
        break;
    }
    case MESSAGE_ID: write_id(out, value); break;
    case MESSAGE_RAW: {
        const struct span *span = value;
        dk_buffer_append(out, span->bytes, span->length);
        break;
    }
    }
}

/* Members stand in table order; optional ones that are empty are left out. A required text or span
 * must be there. */
void dk_message_encode(struct buffer *out, const struct message_table *table, const void *message)
{
    const char *separator = "{\"";
    for (int i = 0; i < table->member_count; i++) {
        const struct message_member *member = &table->members[i];
        const void *value = (const char *)message + member->offset;
        if (!member->required && is_empty(member, value)) {
            continue;
        }
        assert(member->type != MESSAGE_TEXT || *(const char *const *)value != NULL);
        dk_buffer_append_text(out, separator);
        dk_buffer_append_text(out, member->name);
        dk_buffer_append_text(out, "\":");
        write_member(out, member, value);
        separator = ",\"";
    }
    dk_buffer_append_char(out, '}');
}

/* ---- decoding */

/* The size of the struct that a member's value lies in, past its offset. */
static size_t size_of(enum message_type type)
{
    switch (type) {
    case MESSAGE_INT:
    case MESSAGE_LONG: return sizeof(int64_t);
    case MESSAGE_BOOL: return sizeof(bool);
    case MESSAGE_TEXT: return sizeof(const char *);
    case MESSAGE_ID: return sizeof(struct id);
    case MESSAGE_RAW: return sizeof(struct span);
    }
    return 0;
}

/* Zeroes all members, so that absent ones read as empty. */
static void clear_members(const struct message_table *table, void *message)
{
    for (int i = 0; i < table->member_count; i++) {
        const struct message_member *member = &table->members[i];
        memset((char *)message + member->offset, 0, size_of(member->type));
    }
}

/* A text for the developer in the arena; returns false. */
static bool fail(const char **problem, struct arena *arena, const char *format, const char *name)
{
    char text[LIMIT_LABEL_BYTES + 100];
    if (!dk_text_format(text, sizeof text, format, name)) {
        text[sizeof text - 1] = '\0';
    }
    const char *copy = dk_arena_copy(arena, text, strlen(text));
    *problem = copy == NULL ? "out of memory" : copy;
    return false;
}

/* The string just read, NUL-terminated in the arena. */
static bool read_text(struct json_reader *json, const char **text, struct arena *arena)
{
    if (dk_json_next(json) != JSON_STRING || json->length > LIMIT_LABEL_BYTES) {
        return false;
    }
    *text = dk_arena_copy(arena, json->text, json->length);
    return *text != NULL;
}

/* An array, whole and unread. */
static bool read_span(struct json_reader *json, struct span *span)
{
    const char *raw;
    if (!dk_json_skip(json, &raw, &span->length) || *raw != '[') {
        return false;
    }
    span->bytes = json->next - span->length; /* the same bytes, writable */
    return true;
}

/* Reads the value of a member; false where its type or range is wrong. */
static bool read_member(struct json_reader *json, const struct message_member *member, void *value,
                        struct arena *arena)
{
    switch (member->type) {
    case MESSAGE_INT:
        if (dk_json_next(json) != JSON_INTEGER || json->integer < 0) {
            return false;
        }
        *(int64_t *)value = json->integer;
        return true;
    case MESSAGE_LONG:
        return dk_json_next(json) == JSON_STRING &&
               dk_text_to_int64(json->text, json->length, value);
    case MESSAGE_BOOL: {
        enum json_type type = dk_json_next(json);
        *(bool *)value = type == JSON_TRUE;
        return type == JSON_TRUE || type == JSON_FALSE;
    }
    case MESSAGE_TEXT: return read_text(json, value, arena);
    case MESSAGE_ID:
        return dk_json_next(json) == JSON_STRING &&
               dk_id_from_wire(json->text, json->length, value);
    case MESSAGE_RAW: return read_span(json, value);
    }
    return false;
}

/* The number of the member whose key was just read, or -1. */
static int find_member(const struct message_table *table, const struct json_reader *json)
{
    for (int i = 0; i < table->member_count; i++) {
        if (dk_text_equal(json->text, json->length, table->members[i].name)) {
            return i;
        }
    }
    return -1;
}

/* Every required member has been there. */
static bool check_required(const struct message_table *table, uint32_t had, struct arena *arena,
                           const char **problem)
{
    for (int i = 0; i < table->member_count; i++) {
        if (table->members[i].required && (had >> i & 1) == 0) {
            return fail(problem, arena, "member \"%s\" is missing", table->members[i].name);
        }
    }
    return true;
}

bool dk_message_decode(const struct message_table *table, char *bytes, size_t length, void *message,
                       struct arena *arena, const char **problem)
{
    struct json_reader json;
    uint32_t had = 0;
    enum json_type type;
    clear_members(table, message);
    *problem = NULL;
    dk_json_open(&json, bytes, length);
    if (dk_json_next(&json) != JSON_OBJECT) {
        return fail(problem, arena, "%s", json.problem != NULL ? json.problem : "not an object");
    }
    while ((type = dk_json_key(&json)) == JSON_STRING) {
        int number = find_member(table, &json);
        if (number < 0) {
            (void)dk_json_skip(&json, NULL, NULL);
            continue;
        }
        const struct message_member *member = &table->members[number];
        if ((had >> number & 1) != 0) {
            return fail(problem, arena, "member \"%s\" is there twice", member->name);
        }
        had |= (uint32_t)1 << number;
        if (!read_member(&json, member, (char *)message + member->offset, arena)) {
            return fail(problem, arena, "member \"%s\" has a wrong type, form or size",
                        member->name);
        }
    }
    if (type == JSON_ERROR || !dk_json_finish(&json)) {
        return fail(problem, arena, "%s", json.problem != NULL ? json.problem : "damaged");
    }
    return check_required(table, had, arena, problem);
}
