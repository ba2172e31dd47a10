/* SPDX-License-Identifier: Apache-2.0
 *
 * daybook-server: reads the command line by the table of commands and sends each command where it
 * is done: here, to the running server through its admin socket, or to the service opened for this
 * one command. Exit status: 0 done, 1 failed, 2 wrong usage or settings. Results go to stdout,
 * problems to stderr (with --json both to stdout).
 */
#include "engine/base/database.h"
#include "engine/base/json.h"
#include "engine/base/memory.h"
#include "engine/base/text.h"
#include "sync-server/admin_socket.h"
#include "sync-server/backup.h"
#include "sync-server/certificate.h"
#include "sync-server/commands.h"
#include "sync-server/folder.h"
#include "sync-server/help.h"
#include "sync-server/options.h"
#include "sync-server/serve.h"
#include "sync-server/service.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define EXIT_USAGE 2
#define OUTPUT_BYTES_MAX ((size_t)1024 * 1024)
#define DEFAULT_FOLDER "daybook-data"
#ifndef DAYBOOK_VERSION
#define DAYBOOK_VERSION "unknown"
#endif

/* The environment of the process. */
static const char *environment(void *context, const char *name)
{
    (void)context;
    return getenv(name);
}

/* Prints what is wrong; returns the exit status for it. */
static int report(bool json, daybook_status status, const char *problem)
{
    if (json) {
        struct buffer line;
        dk_buffer_init(&line, OUTPUT_BYTES_MAX);
        dk_buffer_append_text(&line, "{\"ok\":false,\"error\":");
        bool writable = dk_text_is_utf8(problem, strlen(problem));
        dk_json_write_string(&line, problem, writable ? strlen(problem) : 0);
        dk_buffer_append_text(&line, "}");
        (void)printf("%s\n", dk_buffer_text(&line));
        dk_buffer_clear(&line);
    } else {
        (void)fprintf(stderr, "daybook-server: %s\n", problem);
    }
    return status == DAYBOOK_INVALID ? EXIT_USAGE : EXIT_FAILURE;
}

/* Prints a buffer and clears it. */
static int print_and_clear(struct buffer *out, int result)
{
    (void)fputs(dk_buffer_text(out), stdout);
    dk_buffer_clear(out);
    return result;
}

/* help, and --help anywhere. Without a command at all it is wrong usage. */
static int print_help(const struct command_line *line)
{
    struct buffer out;
    dk_buffer_init(&out, OUTPUT_BYTES_MAX);
    struct command_line asked = *line;
    char problem[256];
    if (line->command != NULL && !line->help && line->argument_count > 0 &&
        srv_command_parse(line->argument_count, line->arguments, &asked, problem,
                          sizeof(problem)) != DAYBOOK_OK &&
        asked.command == NULL) {
        return report(line->json, DAYBOOK_INVALID, problem);
    }
    bool one = asked.command != NULL && strcmp(asked.command->name, "help") != 0;
    if (one) {
        srv_help_command(asked.command, &out);
    } else {
        srv_help_all(&out);
    }
    return print_and_clear(&out, line->command == NULL && !line->help ? EXIT_USAGE : EXIT_SUCCESS);
}

/* completion SHELL */
static int print_completion(const struct command_line *line)
{
    struct buffer out;
    dk_buffer_init(&out, OUTPUT_BYTES_MAX);
    if (!srv_help_completion(line->arguments[0], &out)) {
        dk_buffer_clear(&out);
        return report(line->json, DAYBOOK_INVALID, "completions are there for bash and zsh");
    }
    return print_and_clear(&out, EXIT_SUCCESS);
}

/* config check: every setting, and whether the server could start with them. */
static int check_config(const struct command_line *line, const char *folder)
{
    struct server_options options;
    struct buffer out;
    char problem[512];
    dk_buffer_init(&out, OUTPUT_BYTES_MAX);
    daybook_status status =
        srv_options_load(folder, environment, NULL, &options, problem, sizeof(problem));
    srv_options_print(&options, line->json, &out);
    return print_and_clear(&out, status == DAYBOOK_OK ? EXIT_SUCCESS : EXIT_USAGE);
}

/* serve */
static int serve(const struct command_line *line, const char *folder)
{
    struct server_options options;
    char problem[1024];
    const char *listen = srv_command_value(line, "listen");
    daybook_status status =
        srv_options_load(folder, environment, NULL, &options, problem, sizeof(problem));
    /* A command line that gives the address makes a wrong one elsewhere harmless. */
    if (listen != NULL) {
        status = srv_options_set(&options, OPTION_listen, listen, problem, sizeof(problem));
    }
    if (status == DAYBOOK_OK) {
        status = srv_serve(folder, &options, problem, sizeof(problem));
    }
    return status == DAYBOOK_OK ? EXIT_SUCCESS : report(line->json, status, problem);
}

/* restore */
static int restore(const struct command_line *line, const char *folder)
{
    char problem[1024] = "";
    int64_t position = 0;
    daybook_status status =
        srv_restore(line->arguments[0], folder, &position, problem, sizeof(problem));
    if (status != DAYBOOK_OK) {
        return report(line->json, status, problem);
    }
    (void)printf(line->json ? "{\"position\":%lld}\n" : "restored up to position %lld\n",
                 (long long)position);
    return EXIT_SUCCESS;
}

/* The words of a command as the service gets them: name, options as --name VALUE, --, arguments. */
struct words {
    const char *word[COMMAND_WORDS_MAX];
    int count;
    char name[2][32];                      /* the command's own words */
    char options[COMMAND_OPTIONS_MAX][32]; /* "--name" */
    char file[FOLDER_PATH_BYTES_MAX];      /* of import and backup: the absolute path */
};

/* Appends a word, which is borrowed; there is room for all that a command line can hold. */
static void add_word(struct words *words, const char *word)
{
    assert(words->count < COMMAND_WORDS_MAX);
    words->word[words->count++] = word;
}

/* The path as another process can use it; false where it is too long. */
static bool absolute_path(const char *path, char out[FOLDER_PATH_BYTES_MAX])
{
    char here[FOLDER_PATH_BYTES_MAX];
    if (path[0] == '/') {
        return dk_text_format(out, FOLDER_PATH_BYTES_MAX, "%s", path);
    }
    return getcwd(here, sizeof(here)) != NULL &&
           dk_text_format(out, FOLDER_PATH_BYTES_MAX, "%s/%s", here, path);
}

/* Puts the words together. A file is named absolutely, for the server has another working
 * directory. False with `problem` set where there is no such file. */
static bool make_words(const struct command_line *line, struct words *words, char *problem,
                       size_t problem_size)
{
    const struct command *command = line->command;
    memset(words, 0, sizeof(*words));
    size_t first = strcspn(command->name, " ");
    (void)dk_text_format(words->name[0], sizeof(words->name[0]), "%.*s", (int)first, command->name);
    add_word(words, words->name[0]);
    if (command->name[first] != '\0') {
        (void)dk_text_format(words->name[1], sizeof(words->name[1]), "%s",
                             command->name + first + 1);
        add_word(words, words->name[1]);
    }
    for (int i = 0; i < COMMAND_OPTIONS_MAX && command->options[i].name != NULL; i++) {
        if (line->values[i] == NULL) {
            continue;
        }
        (void)dk_text_format(words->options[i], sizeof(words->options[i]), "--%s",
                             command->options[i].name);
        add_word(words, words->options[i]);
        if (command->options[i].value != NULL) {
            add_word(words, line->values[i]);
        }
    }
    add_word(words, "--");
    for (int i = 0; i < line->argument_count; i++) {
        const char *argument = line->arguments[i];
        bool reads = strcmp(command->name, "import") == 0;
        if (reads && access(argument, R_OK) != 0) {
            (void)dk_text_format(problem, problem_size, "cannot read the file %s", argument);
            return false;
        }
        if (reads || strcmp(command->name, "backup") == 0) {
            if (!absolute_path(argument, words->file)) {
                (void)dk_text_format(problem, problem_size, "the path %s is too long", argument);
                return false;
            }
            argument = words->file;
        }
        add_word(words, argument);
    }
    return true;
}

/* Prints the result of a command. */
static int finish_command(const struct command_line *line, bool ok, char *text)
{
    const char *shown = text != NULL ? text : "";
    size_t length = strlen(shown);
    FILE *out = ok || line->json ? stdout : stderr;
    (void)fprintf(out, "%s%s", shown, length == 0 || shown[length - 1] == '\n' ? "" : "\n");
    dk_memory_free(text);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* The CA's pin; makes folder and certificates only where there is no CA yet: whether the server's
 * certificate still names the right hosts is for serve to see, which knows its listen address. */
static daybook_status ensure_pin(const char *folder, const struct server_options *options,
                                 char pin[CERTIFICATE_PIN_SIZE], char *problem, size_t problem_size)
{
    bool renewed = false;
    daybook_status status = srv_certificate_pin(folder, pin, problem, problem_size);
    if (status != DAYBOOK_NOT_FOUND) {
        return status;
    }
    status = srv_serve_prepare(folder, options, &renewed, problem, problem_size);
    return status == DAYBOOK_OK ? srv_certificate_pin(folder, pin, problem, problem_size) : status;
}

/* Opens the service on the folder, runs the command, closes. Only init may make a folder. */
static int run_directly(const struct command_line *line, const char *folder,
                        const struct words *words)
{
    struct server_options options;
    struct service *service = NULL;
    struct stat about;
    char problem[1024];
    char pin[CERTIFICATE_PIN_SIZE];
    char url[SERVE_URL_SIZE];
    if (strcmp(line->command->name, "init") != 0 && stat(folder, &about) != 0) {
        (void)dk_text_format(problem, sizeof(problem),
                             "there is no data folder %s; init or serve makes one", folder);
        return report(line->json, DAYBOOK_NOT_FOUND, problem);
    }
    daybook_status status =
        srv_options_load(folder, environment, NULL, &options, problem, sizeof(problem));
    if (status == DAYBOOK_OK) {
        status = ensure_pin(folder, &options, pin, problem, sizeof(problem));
    }
    if (status != DAYBOOK_OK) {
        return report(line->json, status, problem);
    }
    srv_serve_public_url(&options, options.listen_port, url);
    struct service_options service_options = {
        .data_folder = folder,
        .worker_threads = 1,
        .log_days = srv_options_number(&options, OPTION_log_days),
        .log_positions = srv_options_number(&options, OPTION_log_positions),
        .page_bytes = srv_options_number(&options, OPTION_page_bytes),
        .classes = srv_serve_classes(&options),
        .backups = srv_options_number(&options, OPTION_backups) == 1,
        .log = srv_serve_log(&options),
        .public_url = url[0] != '\0' ? url : NULL,
        .ca_pin = pin};
    status = srv_service_open(&service_options, &service, problem, sizeof(problem));
    if (status != DAYBOOK_OK) {
        return report(line->json, status, problem);
    }
    char *text = NULL;
    status = srv_service_command(service, words->count, words->word, line->json, &text);
    srv_service_close(service);
    return finish_command(line, status == DAYBOOK_OK, text);
}

/* A command of the service: through the running server, else directly. */
static int run_command(const struct command_line *line, const char *folder)
{
    struct words words;
    char problem[1024];
    char *text = NULL;
    bool ok = false;
    int result = EXIT_FAILURE;
    if (!make_words(line, &words, problem, sizeof(problem))) {
        return report(line->json, DAYBOOK_NOT_FOUND, problem);
    }
    daybook_status status = srv_admin_call(folder, words.count, words.word, line->json, &ok, &text,
                                           problem, sizeof(problem));
    if (status == DAYBOOK_OK) {
        result = finish_command(line, ok, text);
    } else if (status == DAYBOOK_NOT_FOUND) {
        result = run_directly(line, folder, &words);
    } else {
        result = report(line->json, status, problem);
    }
    return result;
}

int main(int argc, char **argv)
{
    struct command_line line;
    char problem[512];
    dk_database_own_process();
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("daybook-server %s\n", DAYBOOK_VERSION);
        return EXIT_SUCCESS;
    }
    daybook_status status =
        srv_command_parse(argc - 1, (const char *const *)argv + 1, &line, problem, sizeof(problem));
    if (status != DAYBOOK_OK) {
        bool json = line.json;
        for (int i = 1; i < argc; i++) {
            json = json || strcmp(argv[i], "--json") == 0; /* it may stand behind the wrong word */
        }
        int result = report(json, status, problem);
        if (!json) {
            (void)fprintf(stderr, "Run daybook-server --help for all commands.\n");
        }
        return result;
    }
    const char *name = line.command != NULL ? line.command->name : "help";
    const char *folder = line.data != NULL ? line.data : getenv("DAYBOOK_DATA");
    if (folder == NULL || folder[0] == '\0') {
        folder = DEFAULT_FOLDER;
    }
    if (line.help || strcmp(name, "help") == 0) {
        return print_help(&line);
    }
    if (strcmp(name, "completion") == 0) {
        return print_completion(&line);
    }
    if (strcmp(name, "config check") == 0) {
        return check_config(&line, folder);
    }
    if (strcmp(name, "serve") == 0) {
        return serve(&line, folder);
    }
    if (strcmp(name, "restore") == 0) {
        return restore(&line, folder);
    }
    return run_command(&line, folder);
}
