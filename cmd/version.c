/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

#ifndef MINTD_VERSION
#define MINTD_VERSION "unknown"
#endif

const char version_text[] = MINTD_VERSION;

/* --version comes here too, without an option --output. */
static enum cmd_exit run(struct cmd *cmd)
{
    const char *output = cmd_value(cmd, "output");
    if (output == NULL || strcmp(output, "text") == 0)
        printf("%s\n", version_text);
    else if (strcmp(output, "json") == 0)
        printf("{\"version\":\"%s\"}\n", version_text);
    else
        return cmd_fail(cmd, CMD_USAGE, "--output is %.20s, must be text or json", output);
    return CMD_OK;
}

static const struct cmd_option options[] = {
    {"output", "FORMAT", "text or json (default text)", NULL, false, false},
    {0},
};

const struct command version_command = {
    .name = "version",
    .summary = "Print the version.",
    .examples = "$0 version\n$0 version --output json",
    .options = options,
    .is_bare = true,
    .run = run,
};
