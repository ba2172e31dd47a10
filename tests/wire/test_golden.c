/* SPDX-License-Identifier: Apache-2.0
 *
 * Every message, changeset, block and verdict of PROTOCOL.md once, built in C: the encoder makes
 * the golden file byte for byte, the decoder reads it back to the same, a cut at any byte is
 * damage, and members of newer versions are passed over.
 */
#include "tests/support/messages.h"
#include "tests/wire/samples.h"

/* ---- what is read is written again */

static void rewrite_message(const struct message_table *table, void *message, char *bytes,
                            size_t length, struct arena *arena, struct buffer *out)
{
    const char *problem = NULL;
    if (!dk_message_decode(table, bytes, length, message, arena, &problem)) {
        fail_msg("%s: %s", table->name, problem);
    }
    dk_message_encode(out, table, message);
}

static void rewrite_changeset(char *bytes, size_t length, struct arena *arena, struct buffer *out)
{
    struct changeset changeset;
    struct refusal refusal;
    struct change refused;
    const char *problem;
    if (!dk_changeset_decode(bytes, length, arena, &changeset, &refusal, &refused, &problem)) {
        fail_msg("%s, %d %s", problem == NULL ? "refused" : problem, refusal.code,
                 refusal.rule == NULL ? "" : refusal.rule);
    }
    dk_changeset_encode(out, &changeset);
}

static void rewrite_blocks(char *bytes, size_t length, struct arena *arena, struct buffer *out)
{
    struct block_reader reader;
    struct block_writer writer;
    struct row row;
    bool new_block;
    int result;
    dk_block_open(&reader, bytes, length, arena);
    dk_block_begin(&writer, out);
    while ((result = dk_block_next(&reader, &row, &new_block)) == 1) {
        if (reader.block.op == BLOCK_OWN) {
            write_own(&writer, row.number, &row.id, row.seq, row.bucket);
        } else {
            assert_non_null(reader.block.entity);
            write_row(&writer, reader.block.op, (int)reader.block.entity->kind, reader.block.bucket,
                      row.number, &row.id, row.values, row.value_count);
        }
    }
    dk_block_end(&writer);
    assert_int_equal(result, 0);
}

static void rewrite_verdicts(char *bytes, size_t length, struct buffer *out)
{
    struct json_reader json;
    struct verdict verdict;
    const char *comma = "";
    int result;
    dk_json_open(&json, bytes, length);
    assert_int_equal(dk_json_next(&json), JSON_ARRAY);
    dk_buffer_append_char(out, '[');
    while ((result = dk_verdict_read(&json, &verdict)) == 1) {
        dk_buffer_append_text(out, comma);
        dk_verdict_write(out, &verdict);
        comma = ",";
    }
    dk_buffer_append_char(out, ']');
    assert_int_equal(result, 0);
}

/* ---- the files */

enum kind { CHANGESET, BLOCKS, VERDICTS, MESSAGE };

static const struct golden {
    const char *name;
    void (*build)(struct buffer *out);
    enum kind kind;
    const struct message_table *table; /* MESSAGE */
} goldens[] = {
    {"enrol_request", enrol_request, MESSAGE, &dk_enrol_request_table},
    {"enrol_reply", enrol_reply, MESSAGE, &dk_enrol_reply_table},
    {"lease_request", lease_request, MESSAGE, &dk_lease_request_table},
    {"lease_reply", lease_reply, MESSAGE, &dk_lease_reply_table},
    {"fetch_request", fetch_request, MESSAGE, &dk_fetch_request_table},
    {"fetch_reply", fetch_reply, MESSAGE, &dk_fetch_reply_table},
    {"sync_request_first", sync_request_first, MESSAGE, &dk_sync_request_table},
    {"sync_request", sync_request, MESSAGE, &dk_sync_request_table},
    {"sync_request_loading", sync_request_loading, MESSAGE, &dk_sync_request_table},
    {"sync_reply_pages", sync_reply_pages, MESSAGE, &dk_sync_reply_table},
    {"sync_reply", sync_reply, MESSAGE, &dk_sync_reply_table},
    {"sync_reply_nothing", sync_reply_nothing, MESSAGE, &dk_sync_reply_table},
    {"sync_reply_reset", sync_reply_reset, MESSAGE, &dk_sync_reply_table},
    {"sync_request_sums", sync_request_sums, MESSAGE, &dk_sync_request_table},
    {"sync_reply_sums", sync_reply_sums, MESSAGE, &dk_sync_reply_table},
    {"error_sign_in", error_sign_in, MESSAGE, &dk_error_reply_table},
    {"error_gap", error_gap, MESSAGE, &dk_error_reply_table},
    {"changeset_visit", changeset_visit, CHANGESET, NULL},
    {"changeset_quote", changeset_quote, CHANGESET, NULL},
    {"changeset_order", changeset_order, CHANGESET, NULL},
    {"changeset_newer", changeset_newer, CHANGESET, NULL},
    {"log_page", log_page, BLOCKS, NULL},
    {"verdicts", verdicts, VERDICTS, NULL},
};

/* Reads bytes as the file's kind and writes them again. */
static void rewrite(const struct golden *golden, char *bytes, size_t length, struct arena *arena,
                    struct buffer *out)
{
    union any_message message;
    switch (golden->kind) {
    case CHANGESET: rewrite_changeset(bytes, length, arena, out); break;
    case BLOCKS: rewrite_blocks(bytes, length, arena, out); break;
    case VERDICTS: rewrite_verdicts(bytes, length, out); break;
    case MESSAGE: rewrite_message(golden->table, &message, bytes, length, arena, out); break;
    }
}

/* True where the bytes are read to their end without damage or refusal. */
static bool is_read(const struct golden *golden, char *bytes, size_t length, struct arena *arena)
{
    union any_message message;
    struct changeset changeset;
    struct refusal refusal;
    struct change refused;
    struct block_reader reader;
    struct row row;
    struct json_reader json;
    struct verdict verdict;
    const char *problem;
    bool new_block;
    int result;
    switch (golden->kind) {
    case MESSAGE: return dk_message_decode(golden->table, bytes, length, &message, arena, &problem);
    case CHANGESET:
        return dk_changeset_decode(bytes, length, arena, &changeset, &refusal, &refused, &problem);
    case BLOCKS:
        dk_block_open(&reader, bytes, length, arena);
        do {
            result = dk_block_next(&reader, &row, &new_block);
        } while (result == 1);
        return result == 0;
    case VERDICTS:
        dk_json_open(&json, bytes, length);
        if (dk_json_next(&json) != JSON_ARRAY) {
            return false;
        }
        do {
            result = dk_verdict_read(&json, &verdict);
        } while (result == 1);
        return result == 0 && dk_json_finish(&json);
    }
    return false;
}

static void test_golden__the_encoder_makes_each_file(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(goldens); i++) {
        struct buffer text;
        dk_buffer_init(&text, GOLDEN_SIZE_MAX);
        goldens[i].build(&text);
        golden_compare(goldens[i].name, &text);
        dk_buffer_clear(&text);
    }
}

static void test_golden__the_decoder_reads_each_file(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(goldens); i++) {
        struct buffer file, again;
        struct arena arena;
        dk_buffer_init(&file, GOLDEN_SIZE_MAX);
        dk_buffer_init(&again, GOLDEN_SIZE_MAX);
        dk_arena_init(&arena, GOLDEN_SIZE_MAX);
        golden_load(goldens[i].name, &file);
        /* when it is read, which may write into it, and written */
        rewrite(&goldens[i], file.bytes, file.length, &arena, &again);
        /* then nothing was lost */
        golden_compare(goldens[i].name, &again);
        dk_arena_clear(&arena);
        dk_buffer_clear(&again);
        dk_buffer_clear(&file);
    }
}

static void test_golden__a_file_cut_at_any_byte_is_damage(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(goldens); i++) {
        struct buffer file;
        struct arena arena;
        dk_buffer_init(&file, GOLDEN_SIZE_MAX);
        dk_arena_init(&arena, GOLDEN_SIZE_MAX);
        golden_load(goldens[i].name, &file);
        for (size_t length = 0; length < file.length; length++) {
            char *cut =
                malloc(length == 0 ? 1 : length); /* its own size, so that reading past it shows */
            assert_non_null(cut);
            memcpy(cut, file.bytes, length);
            if (is_read(&goldens[i], cut, length, &arena)) {
                fail_msg("%s is read when cut at %zu", goldens[i].name, length);
            }
            free(cut);
            dk_arena_reset(&arena);
        }
        dk_arena_clear(&arena);
        dk_buffer_clear(&file);
    }
}

static void test_golden__no_changed_byte_breaks_the_decoder(void **state)
{
    (void)state;
    static const char others[] = "\"\\{}[],:0-9eu \x01\xff";
    int read = 0, refused = 0;
    for (int i = 0; i < COUNT(goldens); i++) {
        struct buffer file;
        struct arena arena;
        dk_buffer_init(&file, GOLDEN_SIZE_MAX);
        dk_arena_init(&arena, GOLDEN_SIZE_MAX);
        golden_load(goldens[i].name, &file);
        char *copy = malloc(file.length); /* its own size, so that reading past it shows */
        assert_non_null(copy);
        for (size_t at = 0; at < file.length; at++) {
            for (size_t other = 0; other < sizeof others - 1; other++) {
                memcpy(copy, file.bytes, file.length);
                copy[at] = others[other];
                bool fine = is_read(&goldens[i], copy, file.length, &arena);
                read += fine;
                refused += !fine;
                dk_arena_reset(&arena);
            }
        }
        free(copy);
        dk_arena_clear(&arena);
        dk_buffer_clear(&file);
    }
    /* a changed letter within a text is another text; a changed bracket is damage */
    assert_true(read > 1000 && refused > 1000);
}

/* The file with a member that no version knows at the beginning of its outermost object. */
static void add_member(const struct buffer *file, struct buffer *out)
{
    dk_buffer_append_text(out, "{\"zz\":[1.5,{\"zz\":null}],");
    dk_buffer_append(out, file->bytes + 1, file->length - 1);
}

static void test_golden__members_of_newer_versions_are_passed_over(void **state)
{
    (void)state;
    for (int i = 0; i < COUNT(goldens); i++) {
        struct buffer file, newer, again;
        struct arena arena;
        if (goldens[i].kind != MESSAGE && goldens[i].kind != CHANGESET) {
            continue;
        }
        dk_buffer_init(&file, GOLDEN_SIZE_MAX);
        dk_buffer_init(&newer, GOLDEN_SIZE_MAX);
        dk_buffer_init(&again, GOLDEN_SIZE_MAX);
        dk_arena_init(&arena, GOLDEN_SIZE_MAX);
        golden_load(goldens[i].name, &file);
        add_member(&file, &newer);
        rewrite(&goldens[i], newer.bytes, newer.length, &arena, &again);
        golden_compare(goldens[i].name, &again);
        dk_arena_clear(&arena);
        dk_buffer_clear(&again);
        dk_buffer_clear(&newer);
        dk_buffer_clear(&file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden__the_encoder_makes_each_file),
        cmocka_unit_test(test_golden__the_decoder_reads_each_file),
        cmocka_unit_test(test_golden__a_file_cut_at_any_byte_is_damage),
        cmocka_unit_test(test_golden__no_changed_byte_breaks_the_decoder),
        cmocka_unit_test(test_golden__members_of_newer_versions_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
