/* SPDX-License-Identifier: Apache-2.0
 *
 * Every command of the server, once: its words, arguments, options and help. The command line, its
 * help and shell completions, the admin socket and the service's own commands all read this table;
 * a command or option that is not in it does not exist. Parsing keeps no state between calls, so
 * that the admin socket may parse on any thread.
 */
#ifndef DAYBOOK_SERVER_COMMANDS_H
#define DAYBOOK_SERVER_COMMANDS_H

#include <daybook/status.h>

#include <stdbool.h>
#include <stddef.h>

#define COMMAND_OPTIONS_MAX 8   /* options of one command, without the global ones */
#define COMMAND_ARGUMENTS_MAX 4 /* words behind the command's name that are not options */
#define COMMAND_WORDS_MAX 64    /* argv of one command */

enum command_place {
    COMMAND_LOCAL,  /* done by the process that was called: serve, config check, completion, help */
    COMMAND_SERVICE /* done by srv_service_command: in the running server, else under the folder's
                       lock */
};

struct command_option {
    const char *name;  /* without the dashes */
    const char *value; /* what it takes, for the help: "NAME"; NULL: it is a switch */
    const char *help;
};

struct command {
    const char *name;  /* one or two words: "user add" */
    const char *usage; /* arguments behind the name: "LOGIN", or "" */
    int arguments_min; /* words that are not options */
    int arguments_max;
    const char *help; /* one sentence */
    enum command_place place;
    struct command_option options[COMMAND_OPTIONS_MAX]; /* ends with a NULL name */
};

/* One parsed command. All text is borrowed from argv. */
struct command_line {
    const struct command *command;
    const char *arguments[COMMAND_ARGUMENTS_MAX];
    int argument_count;
    const char *
        values[COMMAND_OPTIONS_MAX]; /* by the command's option; "" for a switch; NULL: not given */
    const char *data;                /* --data FOLDER, or NULL */
    bool json;                       /* --json */
    bool help;                       /* --help */
};

/* The table; ends with a NULL name. */
const struct command *srv_commands(void);
/* The options that every command takes; ends with a NULL name. */
const struct command_option *srv_global_options(void);
/* Parses argv without the program name, as a shell or the admin socket gives it: options anywhere,
 * "--name VALUE" or
 * "--name=VALUE", no abbreviations, each at most once, "--" ends them. DAYBOOK_INVALID names the
 * word that is wrong in `problem`. With --help, or where there is no command at all, missing
 * arguments are fine (command may be NULL). */
daybook_status srv_command_parse(int argc, const char *const *argv, struct command_line *out,
                                 char *problem, size_t problem_size);
/* The value of one of the command's own options; NULL where not given. The name must be in the
 * table. */
const char *srv_command_value(const struct command_line *line, const char *name);

#endif
