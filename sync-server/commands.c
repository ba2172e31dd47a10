/* SPDX-License-Identifier: Apache-2.0
 *
 * The command table and its parser. Pure: no I/O, no state. Called by main, the admin socket and
 * the service. Invariant: each option's place in its command's row is its place in
 * command_line.values.
 */
#include "sync-server/commands.h"

#include "engine/base/text.h"

#include <assert.h>
#include <string.h>

static const struct command_option global_options[] = {
    {"data", "FOLDER", "the data folder (default: $DAYBOOK_DATA, else ./daybook-data)"},
    {"json", NULL, "answer in JSON"},
    {"help", NULL, "show help"},
    {NULL, NULL, NULL},
};

static const struct command command_table[] = {
    {"init",
     "",
     0,
     0,
     "make the data folder, its certificates and the organisation",
     COMMAND_SERVICE,
     {{"name", "TEXT", "the organisation's name (default: Daybook)"},
      {"currency", "CODE", "its currency, three letters (default: EUR)"},
      {"zone", "NAME", "its time zone, such as Europe/Berlin, by the system's data"},
      {"tz-min", "MINUTES", "instead: minutes east of UTC, the same all year (default: 0)"},
      {NULL, NULL, NULL}}},
    {"serve",
     "",
     0,
     0,
     "run the server; makes what is missing first",
     COMMAND_LOCAL,
     {{"listen", "HOST:PORT", "the address to listen at; port 0 takes any free one"},
      {NULL, NULL, NULL}}},
    {"user add",
     "LOGIN",
     1,
     1,
     "add a user",
     COMMAND_SERVICE,
     {{"name", "TEXT", "the user's full name (default: LOGIN)"},
      {"role", "ROLE", "rep, manager or office (default: rep)"},
      {"territory", "NAME", "the user's territory, made where it is missing (default: Main)"},
      {"manager", "LOGIN", "whom the user reports to"},
      {NULL, NULL, NULL}}},
    {"user change",
     "LOGIN",
     1,
     1,
     "change what a user is and sees; work under way is judged by what held when it was done",
     COMMAND_SERVICE,
     {{"role", "ROLE", "rep, manager or office"},
      {"territory", "NAME", "another territory, which is there"},
      {"manager", "LOGIN", "whom the user reports to; empty: nobody"},
      {"disabled", "yes|no", "a disabled user can hand in work and reads nothing"},
      {NULL, NULL, NULL}}},
    {"customer reassign",
     "ID...",
     1,
     COMMAND_ARGUMENTS_MAX,
     "give customers, with all that hangs from them, to another territory or owner",
     COMMAND_SERVICE,
     {{"territory", "NAME", "the new territory, which is there"},
      {"owner", "LOGIN", "the new owner"},
      {NULL, NULL, NULL}}},
    {"classify",
     "",
     0,
     0,
     "do the nightly work at once: renew the zone's offsets; old documents become recent, then "
     "archive",
     COMMAND_SERVICE,
     {{"open-days", "N", "days that a closed document stays open (default: the setting)"},
      {"recent-days", "N", "days up to which it is recent (default: the setting)"},
      {"last", "N", "visits and orders of each customer that stay open (default: the setting)"},
      {NULL, NULL, NULL}}},
    {"device list",
     "",
     0,
     0,
     "list the devices with their users and positions",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"device revoke",
     "NUMBER",
     1,
     1,
     "accept a device's token no more",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"quarantine list",
     "",
     0,
     0,
     "list the changesets that wait for an operator",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"quarantine show",
     "CHANGESET",
     1,
     1,
     "print a changeset that waits, as it came",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"quarantine release",
     "CHANGESET",
     1,
     1,
     "decide a changeset that waits, and what waited behind it",
     COMMAND_SERVICE,
     {{"all", NULL, "and all others of the same device"}, {NULL, NULL, NULL}}},
    {"quarantine reject",
     "CHANGESET",
     1,
     1,
     "turn a changeset that waits down; its author gets it back",
     COMMAND_SERVICE,
     {{"all", NULL, "and all others of the same device"}, {NULL, NULL, NULL}}},
    {"customer merge",
     "FROM INTO",
     2,
     2,
     "make two records of one customer one: all that names FROM names INTO from now on",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"hold list", "", 0, 0, "list the holds that stand", COMMAND_SERVICE, {{NULL, NULL, NULL}}},
    {"hold clear",
     "HOLD",
     1,
     1,
     "let go what a hold holds up",
     COMMAND_SERVICE,
     {{"by", "LOGIN", "who decided it"}, {"note", "TEXT", "why"}, {NULL, NULL, NULL}}},
    {"enrol",
     "LOGIN",
     1,
     1,
     "make a one-time code with which a device signs in as this user",
     COMMAND_SERVICE,
     {{"minutes", "N", "how long the code is good for, 1 to 15 (default: 15)"},
      {NULL, NULL, NULL}}},
    {"import",
     "FILE",
     1,
     1,
     "write the records of a JSON file through the same decision as a device's",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"compact",
     "",
     0,
     0,
     "cut the log; without options as the settings log_days and log_positions say",
     COMMAND_SERVICE,
     {{"days", "N", "keep what is at most so many days old"},
      {"positions", "N", "keep at most the last so many positions"},
      {NULL, NULL, NULL}}},
    {"backup",
     "FOLDER",
     1,
     1,
     "make a folder with a checked copy of everything, while the server runs",
     COMMAND_SERVICE,
     {{NULL, NULL, NULL}}},
    {"restore",
     "FOLDER",
     1,
     1,
     "put a backup, or a copy of server.db, in the place of the store; no server may run",
     COMMAND_LOCAL,
     {{NULL, NULL, NULL}}},
    {"config check",
     "",
     0,
     0,
     "show every setting, where it comes from, and what is wrong with it",
     COMMAND_LOCAL,
     {{NULL, NULL, NULL}}},
    {"completion",
     "SHELL",
     1,
     1,
     "print the completions for bash or zsh",
     COMMAND_LOCAL,
     {{NULL, NULL, NULL}}},
    {"help", "[COMMAND]", 0, 2, "show help", COMMAND_LOCAL, {{NULL, NULL, NULL}}},
    {NULL, NULL, 0, 0, NULL, COMMAND_LOCAL, {{NULL, NULL, NULL}}},
};

const struct command *srv_commands(void)
{
    return command_table;
}

const struct command_option *srv_global_options(void)
{
    return global_options;
}

/* The place of the option called name[0..length) in a list that ends with a NULL name, or -1. */
static int option_find(const struct command_option *options, const char *name, size_t length)
{
    for (int i = 0; options[i].name != NULL; i++) {
        if (dk_text_equal(name, length, options[i].name)) {
            return i;
        }
    }
    return -1;
}

/* The command of one or two words; *words is how many of them its name takes. NULL: there is none.
 */
static const struct command *command_find(const char *const *words_given, int count, int *words)
{
    for (const struct command *command = command_table; command->name != NULL; command++) {
        const char *space = strchr(command->name, ' ');
        size_t first = space == NULL ? strlen(command->name) : (size_t)(space - command->name);
        if (count < 1 || strlen(words_given[0]) != first ||
            memcmp(words_given[0], command->name, first) != 0) {
            continue;
        }
        *words = space == NULL ? 1 : 2;
        if (space == NULL || (count >= 2 && strcmp(words_given[1], space + 1) == 0)) {
            return command;
        }
    }
    return NULL;
}

/* Whether argv[i] is an option as long as "--" has not come. */
static bool is_option(const char *word)
{
    return word[0] == '-' && word[1] != '\0';
}

/* Looks at the option word argv[*i], takes its value (moving *i on where that is the next word) and
 * stores it in the line. `command` may be NULL: then only global options are known. False with
 * `problem` set. */
static bool take_option(int argc, const char *const *argv, int *i, const struct command *command,
                        struct command_line *line, char *problem, size_t problem_size)
{
    const char *word = argv[*i];
    const char *name = word + 2;
    const char *equals = strchr(word, '=');
    size_t length = equals == NULL ? strlen(word) - 2 : (size_t)(equals - name);
    int global = word[1] == '-' ? option_find(global_options, name, length) : -1;
    int own = word[1] == '-' && command != NULL ? option_find(command->options, name, length) : -1;
    if (global < 0 && own < 0) {
        (void)dk_text_format(problem, problem_size, "unknown option %s", word);
        return false;
    }
    const struct command_option *option =
        global >= 0 ? &global_options[global] : &command->options[own];
    const char *value = "";
    if (option->value == NULL && equals != NULL) {
        (void)dk_text_format(problem, problem_size, "option --%s takes no value", option->name);
        return false;
    }
    if (option->value != NULL) {
        if (equals == NULL && *i + 1 >= argc) {
            (void)dk_text_format(problem, problem_size, "option --%s needs %s", option->name,
                                 option->value);
            return false;
        }
        value = equals != NULL ? equals + 1 : argv[++*i];
    }
    const char **place = own >= 0 ? &line->values[own] : NULL;
    if (global >= 0 && strcmp(option->name, "data") == 0) {
        place = &line->data;
    }
    if (place != NULL && *place != NULL) {
        (void)dk_text_format(problem, problem_size, "option --%s is given twice", option->name);
        return false;
    }
    if (place != NULL) {
        *place = value;
    } else if (strcmp(option->name, "json") == 0) {
        line->json = true;
    } else {
        line->help = true;
    }
    return true;
}

/* Whether the word at i is the value of the option before it, so far as the whole table can tell:
 * needed to find the command's words when options stand before them. */
static bool takes_next(const char *word)
{
    if (strncmp(word, "--", 2) != 0 || strchr(word, '=') != NULL) {
        return false;
    }
    int place = option_find(global_options, word + 2, strlen(word + 2));
    if (place >= 0) {
        return global_options[place].value != NULL;
    }
    for (const struct command *command = command_table; command->name != NULL; command++) {
        place = option_find(command->options, word + 2, strlen(word + 2));
        if (place >= 0) {
            return command->options[place].value != NULL;
        }
    }
    return false;
}

/* The first two words that are no options and no options' values. */
static int first_words(int argc, const char *const *argv, const char *words[2])
{
    int count = 0;
    for (int i = 0; i < argc && count < 2; i++) {
        if (strcmp(argv[i], "--") == 0) {
            break;
        }
        if (!is_option(argv[i])) {
            words[count++] = argv[i];
        } else if (takes_next(argv[i])) {
            i++;
        }
    }
    return count;
}

/* Takes a word that is no option: one of the command's name (skipped), or an argument. */
static bool take_word(const char *word, int *name_words, struct command_line *line, char *problem,
                      size_t problem_size)
{
    if (*name_words > 0) {
        (*name_words)--;
        return true;
    }
    if (line->argument_count >= line->command->arguments_max ||
        line->argument_count >= COMMAND_ARGUMENTS_MAX) {
        (void)dk_text_format(problem, problem_size, "unexpected argument %s", word);
        return false;
    }
    line->arguments[line->argument_count++] = word;
    return true;
}

daybook_status srv_command_parse(int argc, const char *const *argv, struct command_line *out,
                                 char *problem, size_t problem_size)
{
    const char *words[2] = {NULL, NULL};
    int name_words = 0;
    bool options_end = false;
    memset(out, 0, sizeof(*out));
    problem[0] = '\0';
    if (argc > COMMAND_WORDS_MAX) {
        (void)dk_text_format(problem, problem_size, "more than %d words", COMMAND_WORDS_MAX);
        return DAYBOOK_INVALID;
    }
    int count = first_words(argc, argv, words);
    out->command = command_find(words, count, &name_words);
    if (count > 0 && out->command == NULL) {
        (void)dk_text_format(problem, problem_size, "unknown command %s%s%s", words[0],
                             count > 1 && name_words == 2 ? " " : "",
                             count > 1 && name_words == 2 ? words[1] : "");
        return DAYBOOK_INVALID;
    }
    for (int i = 0; i < argc; i++) {
        bool fine = true;
        if (!options_end && strcmp(argv[i], "--") == 0) {
            options_end = true;
        } else if (!options_end && is_option(argv[i])) {
            fine = take_option(argc, argv, &i, out->command, out, problem, problem_size);
        } else if (out->command != NULL) {
            fine = take_word(argv[i], &name_words, out, problem, problem_size);
        }
        if (!fine) {
            return DAYBOOK_INVALID;
        }
    }
    if (out->command != NULL && !out->help && out->argument_count < out->command->arguments_min) {
        (void)dk_text_format(problem, problem_size, "%s needs %s", out->command->name,
                             out->command->usage);
        return DAYBOOK_INVALID;
    }
    return DAYBOOK_OK;
}

const char *srv_command_value(const struct command_line *line, const char *name)
{
    assert(line->command != NULL);
    int place = option_find(line->command->options, name, strlen(name));
    assert(place >= 0);
    return line->values[place];
}
