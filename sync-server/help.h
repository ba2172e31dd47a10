/* SPDX-License-Identifier: Apache-2.0
 *
 * Help and shell completions, printed from the tables of commands and settings.
 */
#ifndef DAYBOOK_SERVER_HELP_H
#define DAYBOOK_SERVER_HELP_H

#include "engine/base/buffer.h"
#include "sync-server/commands.h"

#include <stdbool.h>

/* All commands in short, the global options and the settings. */
void srv_help_all(struct buffer *out);
/* One command with its options; `serve` and `config check` with the settings too. */
void srv_help_command(const struct command *command, struct buffer *out);
/* A completion script; false for a shell other than bash and zsh. */
bool srv_help_completion(const char *shell, struct buffer *out);

#endif
