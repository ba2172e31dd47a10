/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads, checks and shows the settings. Called by main before anything else is opened.
 * Invariant: after a load every setting has a text and a source, also the wrong ones, so that
 * `config check` can show them all.
 */
#include "sync-server/options.h"

#include "engine/base/json.h"
#include "engine/base/log.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "sync-server/certificate.h"
#include "sync-server/folder.h"

#include <inttypes.h>
#include <string.h>

enum option_kind { KIND_ADDRESS, KIND_HOSTS, KIND_URL, KIND_SWITCH, KIND_INTEGER, KIND_LEVEL };

static const struct setting {
    const char *name;
    enum option_kind kind;
    const char *fallback;
    int64_t minimum;
    int64_t maximum;
    const char *help;
} settings[OPTION_COUNT] = {
#define OPTION_ROW(name, kind, fallback, minimum, maximum, help)                                   \
    {#name, KIND_##kind, fallback, minimum, maximum, help},
    OPTION_LIST(OPTION_ROW)
#undef OPTION_ROW
};

/* "DAYBOOK_" and the name in capitals. */
static void environment_name(const struct setting *setting, char out[64])
{
    (void)dk_text_format(out, 64, "DAYBOOK_%s", setting->name);
    for (char *c = out; *c != '\0'; c++) {
        if (*c >= 'a' && *c <= 'z') {
            *c = (char)(*c - 'a' + 'A');
        }
    }
}

/* HOST:PORT or [IPv6]:PORT into host and port; false with the value's problem set. */
static bool check_address(struct server_options *options, struct option_value *value)
{
    const char *text = value->text;
    const char *colon = strrchr(text, ':');
    int64_t port = 0;
    if (colon == NULL || !dk_text_to_int64(colon + 1, strlen(colon + 1), &port) || port < 0 ||
        port > 65535) {
        (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE,
                             "has to be HOST:PORT with a port from 0 to 65535");
        return false;
    }
    size_t length = (size_t)(colon - text);
    bool bracketed = length >= 2 && text[0] == '[' && text[length - 1] == ']';
    if (bracketed) {
        text++;
        length -= 2;
    }
    bool has_colon = memchr(text, ':', length) != NULL;
    if (length == 0 || length >= sizeof(options->listen_host) || has_colon != bracketed) {
        (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE,
                             "has to be HOST:PORT; an IPv6 address stands in [brackets]");
        return false;
    }
    memcpy(options->listen_host, text, length);
    options->listen_host[length] = '\0';
    options->listen_port = (int)port;
    return true;
}

/* "https://host[:port]" without a path, or empty. */
static bool check_url(struct option_value *value)
{
    const char *text = value->text;
    if (text[0] == '\0') {
        return true;
    }
    bool fine = strncmp(text, "https://", 8) == 0 && strlen(text) > 8 &&
                strpbrk(text + 8, "/?#@ \"\\") == NULL;
    if (!fine) {
        (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE,
                             "has to be https://HOST or https://HOST:PORT");
    }
    return fine;
}

/* The place of a text in a list that ends with NULL, from `first`; -1: not in it. */
static int64_t place_in(const char *const *words, const char *text, int64_t first)
{
    for (int64_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            return first + i;
        }
    }
    return -1;
}

/* Checks one value by its kind and takes the number out of it. */
static bool check_value(struct server_options *options, enum option_number number)
{
    static const char *const switches[] = {"no", "yes", NULL};
    static const char *const levels[] = {"error", "warn", "info", "debug", NULL};
    struct option_value *value = &options->values[number];
    const struct setting *setting = &settings[number];
    value->problem[0] = '\0';
    switch (setting->kind) {
    case KIND_ADDRESS: return check_address(options, value);
    case KIND_URL: return check_url(value);
    case KIND_HOSTS:
        return srv_certificate_check_hosts(value->text, value->problem, OPTION_PROBLEM_SIZE) ==
               DAYBOOK_OK;
    case KIND_SWITCH:
        value->number = place_in(switches, value->text, 0);
        if (value->number < 0) {
            (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE, "has to be yes or no");
        }
        return value->number >= 0;
    case KIND_LEVEL:
        value->number = place_in(levels, value->text, LOG_ERROR);
        if (value->number < 0) {
            (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE, "has to be %s",
                                 setting->help);
        }
        return value->number >= 0;
    case KIND_INTEGER:
        if (dk_text_to_int64(value->text, strlen(value->text), &value->number) &&
            value->number >= setting->minimum && value->number <= setting->maximum) {
            return true;
        }
        (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE,
                             "has to be a number from %" PRId64 " to %" PRId64, setting->minimum,
                             setting->maximum);
        return false;
    }
    return false;
}

/* Stores a value from a source; a text that is too long is kept in part and marked as wrong. */
static void store_value(struct server_options *options, enum option_number number, const char *text,
                        size_t length, enum option_source source, int line)
{
    struct option_value *value = &options->values[number];
    bool fits = length <= OPTION_VALUE_BYTES_MAX;
    size_t kept = fits ? length : 40;
    memcpy(value->text, text, kept);
    value->text[kept] = '\0';
    value->source = source;
    value->line = line;
    if (fits && dk_text_is_utf8(text, length)) {
        (void)check_value(options, number);
    } else {
        (void)dk_text_format(value->problem, OPTION_PROBLEM_SIZE,
                             fits ? "is not UTF-8" : "is longer than %d bytes",
                             OPTION_VALUE_BYTES_MAX);
    }
}

/* White space within a line; a CR before the LF is some. */
static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* Notes the first problem of the file that belongs to no setting. */
static void file_problem(struct server_options *options, int line, const char *what)
{
    if (options->file_problem[0] == '\0') {
        (void)dk_text_format(options->file_problem, OPTION_PROBLEM_SIZE, "%s line %d: %s",
                             OPTIONS_FILE, line, what);
    }
}

/* One line of the file, without its LF. */
static void take_line(struct server_options *options, const char *text, size_t length, int line)
{
    const char *end = text + length;
    while (text < end && is_space(*text)) {
        text++;
    }
    while (end > text && is_space(end[-1])) {
        end--;
    }
    if (text == end || *text == '#') {
        return;
    }
    const char *equals = memchr(text, '=', (size_t)(end - text));
    if (equals == NULL) {
        file_problem(options, line, "has to be name = value");
        return;
    }
    const char *name_end = equals;
    const char *value = equals + 1;
    while (name_end > text && is_space(name_end[-1])) {
        name_end--;
    }
    while (value < end && is_space(*value)) {
        value++;
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        if (!dk_text_equal(text, (size_t)(name_end - text), settings[i].name)) {
            continue;
        }
        if (options->values[i].line > 0) {
            file_problem(options, line, "this setting is given twice");
        } else {
            store_value(options, (enum option_number)i, value, (size_t)(end - value), OPTION_FILE,
                        line);
        }
        return;
    }
    file_problem(options, line, "there is no setting of this name");
}

/* Reads the file, where there is one. */
static void take_file(struct server_options *options, const char *folder)
{
    char *bytes = NULL;
    size_t length = 0;
    daybook_status status = srv_folder_read(folder, OPTIONS_FILE, false, &bytes, &length,
                                            options->file_problem, sizeof(options->file_problem));
    if (status != DAYBOOK_OK) {
        return;
    }
    size_t begin = 0;
    for (int line = 1; begin < length; line++) {
        const char *end = memchr(bytes + begin, '\n', length - begin);
        size_t line_length = end != NULL ? (size_t)(end - bytes) - begin : length - begin;
        take_line(options, bytes + begin, line_length, line);
        begin += line_length + 1;
    }
    dk_memory_free(bytes);
}

/* Where a value comes from, in words. */
static const char *source_name(enum option_source source)
{
    static const char *const names[] = {"default", "file", "environment", "command line"};
    return names[source];
}

/* Words the first problem; OK where there is none. */
static daybook_status first_problem(const struct server_options *options, char *problem,
                                    size_t problem_size)
{
    if (options->file_problem[0] != '\0') {
        (void)dk_text_format(problem, problem_size, "%s", options->file_problem);
        return DAYBOOK_INVALID;
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_value *value = &options->values[i];
        if (value->problem[0] != '\0') {
            (void)dk_text_format(problem, problem_size, "setting %s (%s): %s", settings[i].name,
                                 source_name(value->source), value->problem);
            return DAYBOOK_INVALID;
        }
    }
    return DAYBOOK_OK;
}

daybook_status srv_options_load(const char *folder, option_environment environment, void *context,
                                struct server_options *options, char *problem, size_t problem_size)
{
    char name[64];
    memset(options, 0, sizeof(*options));
    problem[0] = '\0';
    for (int i = 0; i < OPTION_COUNT; i++) {
        store_value(options, (enum option_number)i, settings[i].fallback,
                    strlen(settings[i].fallback), OPTION_DEFAULT, 0);
    }
    take_file(options, folder);
    for (int i = 0; i < OPTION_COUNT; i++) {
        environment_name(&settings[i], name);
        const char *text = environment(context, name);
        if (text != NULL) {
            store_value(options, (enum option_number)i, text, strlen(text), OPTION_ENVIRONMENT, 0);
        }
    }
    return first_problem(options, problem, problem_size);
}

daybook_status srv_options_set(struct server_options *options, enum option_number number,
                               const char *text, char *problem, size_t problem_size)
{
    store_value(options, number, text, strlen(text), OPTION_ARGUMENT, 0);
    return first_problem(options, problem, problem_size);
}

int64_t srv_options_number(const struct server_options *options, enum option_number number)
{
    return options->values[number].number;
}

const char *srv_options_text(const struct server_options *options, enum option_number number)
{
    return options->values[number].text;
}

/* Appends text and spaces up to a width, at least one. */
static void append_padded(struct buffer *out, const char *text, size_t width)
{
    dk_buffer_append_text(out, text);
    size_t length = strlen(text);
    do {
        dk_buffer_append_char(out, ' ');
    } while (++length < width);
}

/* The settings as a JSON object; problems are null where there are none. */
static void print_json(const struct server_options *options, struct buffer *out)
{
    char problem[OPTION_PROBLEM_SIZE * 2];
    bool fine = first_problem(options, problem, sizeof(problem)) == DAYBOOK_OK;
    dk_buffer_append_text(out,
                          fine ? "{\"ok\":true,\"settings\":[" : "{\"ok\":false,\"settings\":[");
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_value *value = &options->values[i];
        dk_buffer_append_text(out, i > 0 ? ",{\"name\":" : "{\"name\":");
        dk_json_write_string(out, settings[i].name, strlen(settings[i].name));
        dk_buffer_append_text(out, ",\"value\":");
        bool writable = dk_text_is_utf8(value->text, strlen(value->text));
        dk_json_write_string(out, value->text, writable ? strlen(value->text) : 0);
        dk_buffer_append_text(out, ",\"source\":");
        const char *source = source_name(value->source);
        dk_json_write_string(out, source, strlen(source));
        dk_buffer_append_text(out, ",\"problem\":");
        if (value->problem[0] == '\0') {
            dk_buffer_append_text(out, "null}");
        } else {
            dk_json_write_string(out, value->problem, strlen(value->problem));
            dk_buffer_append_char(out, '}');
        }
    }
    dk_buffer_append_text(out, "],\"file_problem\":");
    if (options->file_problem[0] == '\0') {
        dk_buffer_append_text(out, "null}\n");
    } else {
        dk_json_write_string(out, options->file_problem, strlen(options->file_problem));
        dk_buffer_append_text(out, "}\n");
    }
}

void srv_options_print(const struct server_options *options, bool json, struct buffer *out)
{
    if (json) {
        print_json(options, out);
        return;
    }
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_value *value = &options->values[i];
        append_padded(out, settings[i].name, 20);
        append_padded(out, value->text[0] != '\0' ? value->text : "-", 24);
        dk_buffer_append_text(out, source_name(value->source));
        if (value->line > 0) {
            dk_buffer_append_text(out, " line ");
            dk_buffer_append_int(out, value->line);
        }
        if (value->problem[0] != '\0') {
            dk_buffer_append_text(out, "  WRONG: ");
            dk_buffer_append_text(out, value->problem);
        }
        dk_buffer_append_char(out, '\n');
    }
    if (options->file_problem[0] != '\0') {
        dk_buffer_append_text(out, "WRONG: ");
        dk_buffer_append_text(out, options->file_problem);
        dk_buffer_append_char(out, '\n');
    }
}

void srv_options_help(struct buffer *out)
{
    char name[64];
    for (int i = 0; i < OPTION_COUNT; i++) {
        environment_name(&settings[i], name);
        dk_buffer_append_text(out, "  ");
        append_padded(out, settings[i].name, 20);
        append_padded(out, name, 28);
        dk_buffer_append_text(out, settings[i].help);
        if (settings[i].fallback[0] != '\0') {
            dk_buffer_append_text(out, " (default: ");
            dk_buffer_append_text(out, settings[i].fallback);
            dk_buffer_append_char(out, ')');
        }
        dk_buffer_append_char(out, '\n');
    }
}
