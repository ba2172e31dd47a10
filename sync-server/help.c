/* SPDX-License-Identifier: Apache-2.0
 *
 * Words the command table for people and shells. Called by main. Pure.
 * Invariant: nothing is said here that the tables do not say.
 */
#include "sync-server/help.h"

#include "sync-server/options.h"

#include <string.h>

#define PROGRAM "daybook-server"

/* Appends spaces up to a column, at least two. */
static void append_column(struct buffer *out, size_t from, size_t column)
{
    do {
        dk_buffer_append_text(out, " ");
        from++;
    } while (from < column);
}

/* "  --name VALUE    help" per option. */
static void append_options(const struct command_option *options, struct buffer *out)
{
    for (const struct command_option *option = options; option->name != NULL; option++) {
        size_t begin = out->length;
        dk_buffer_append_text(out, "  --");
        dk_buffer_append_text(out, option->name);
        if (option->value != NULL) {
            dk_buffer_append_char(out, ' ');
            dk_buffer_append_text(out, option->value);
        }
        append_column(out, out->length - begin, 24);
        dk_buffer_append_text(out, option->help);
        dk_buffer_append_char(out, '\n');
    }
}

void srv_help_all(struct buffer *out)
{
    dk_buffer_append_text(out, "Usage: " PROGRAM " COMMAND [OPTION]...\n\nCommands:\n");
    for (const struct command *command = srv_commands(); command->name != NULL; command++) {
        size_t begin = out->length;
        dk_buffer_append_text(out, "  ");
        dk_buffer_append_text(out, command->name);
        if (command->usage[0] != '\0') {
            dk_buffer_append_char(out, ' ');
            dk_buffer_append_text(out, command->usage);
        }
        append_column(out, out->length - begin, 24);
        dk_buffer_append_text(out, command->help);
        dk_buffer_append_char(out, '\n');
    }
    dk_buffer_append_text(out, "\nOptions of every command:\n");
    append_options(srv_global_options(), out);
    dk_buffer_append_text(out, "\nSettings, from the environment, else " OPTIONS_FILE
                               " in the data folder (name = value), else the default:\n");
    srv_options_help(out);
}

void srv_help_command(const struct command *command, struct buffer *out)
{
    dk_buffer_append_text(out, "Usage: " PROGRAM " ");
    dk_buffer_append_text(out, command->name);
    if (command->usage[0] != '\0') {
        dk_buffer_append_char(out, ' ');
        dk_buffer_append_text(out, command->usage);
    }
    dk_buffer_append_text(out, " [OPTION]...\n\nTo ");
    dk_buffer_append_text(out, command->help);
    dk_buffer_append_text(out, ".\n\nOptions:\n");
    append_options(command->options, out);
    append_options(srv_global_options(), out);
    if (strcmp(command->name, "serve") == 0 || strcmp(command->name, "config check") == 0) {
        dk_buffer_append_text(out, "\nSettings:\n");
        srv_options_help(out);
    }
}

/* Every option of a list as " --name". */
static void append_option_words(const struct command_option *options, struct buffer *out)
{
    for (const struct command_option *option = options; option->name != NULL; option++) {
        dk_buffer_append_text(out, " --");
        dk_buffer_append_text(out, option->name);
    }
}

/* One case of the shell's function: after this command, these options. */
static void append_case(const struct command *command, struct buffer *out)
{
    dk_buffer_append_text(out, "        \"");
    dk_buffer_append_text(out, command->name);
    dk_buffer_append_text(out, "\"*) words=\"");
    append_option_words(command->options, out);
    append_option_words(srv_global_options(), out);
    dk_buffer_append_text(out, "\" ;;\n");
}

/* The words that may stand second after `first`, as a case; nothing where its commands have one
 * word. Printed at the first command of that name only. */
static void append_second_words(const struct command *command, struct buffer *out)
{
    const char *space = strchr(command->name, ' ');
    size_t length = space == NULL ? 0 : (size_t)(space - command->name) + 1;
    if (space == NULL ||
        (command > srv_commands() && strncmp(command[-1].name, command->name, length) == 0)) {
        return;
    }
    dk_buffer_append_text(out, "        \"");
    dk_buffer_append(out, command->name, length - 1);
    dk_buffer_append_text(out, "\") words=\"");
    const char *first = command->name;
    for (; command->name != NULL; command++) {
        if (strncmp(command->name, first, length) == 0) {
            dk_buffer_append_text(out, command->name + length);
            dk_buffer_append_char(out, ' ');
        }
    }
    dk_buffer_append_text(out, "\" ;;\n");
}

bool srv_help_completion(const char *shell, struct buffer *out)
{
    if (strcmp(shell, "bash") != 0 && strcmp(shell, "zsh") != 0) {
        return false;
    }
    /* zsh reads bash's completions when asked to. */
    if (strcmp(shell, "zsh") == 0) {
        dk_buffer_append_text(out, "autoload -U +X bashcompinit && bashcompinit\n");
    }
    dk_buffer_append_text(out, "_daybook_server() {\n"
                               "    local words=\"\" line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\"\n"
                               "    case \"$line\" in\n"
                               "        \"\") words=\"");
    const char *before = "";
    for (const struct command *command = srv_commands(); command->name != NULL; command++) {
        size_t length = strcspn(command->name, " ");
        if (strlen(before) < length || strncmp(before, command->name, length) != 0) {
            dk_buffer_append(out, command->name, length);
            dk_buffer_append_char(out, ' ');
        }
        before = command->name;
    }
    dk_buffer_append_text(out, "\" ;;\n");
    for (const struct command *command = srv_commands(); command->name != NULL; command++) {
        append_second_words(command, out);
    }
    for (const struct command *command = srv_commands(); command->name != NULL; command++) {
        append_case(command, out);
    }
    dk_buffer_append_text(out, "    esac\n"
                               "    COMPREPLY=($(compgen -W \"$words\" -- "
                               "\"${COMP_WORDS[COMP_CWORD]}\"))\n"
                               "}\n"
                               "complete -o default -F _daybook_server " PROGRAM "\n");
    return true;
}
