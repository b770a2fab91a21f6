/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_HELP_H
#define CMD_HELP_H

#include <stdio.h>

#include "cmd/cmd.h"

/* The help of a program: its commands. */
void help_program(const struct program *program, FILE *out);

/* The help of the commands that begin with a word: "user". */
void help_group(const struct program *program, const char *group, FILE *out);

/* The help of one command: usage, options with defaults, examples. */
void help_command(const struct program *program, const struct command *command, FILE *out);

#endif
