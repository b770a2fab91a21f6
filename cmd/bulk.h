/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_BULK_H
#define CMD_BULK_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"
#include "lib/err.h"

/* One change for each line of a file: how far it is, on a terminal, what went wrong where, and the final counts. */
struct bulk {
    const struct cmd *cmd;
    const char *path;
    const char *done; /* what becomes of a line: "accepted" */
    int64_t changed, there, failed;
    int64_t next_ms;
    bool is_terminal, is_shown;
};

/* path and done are borrowed. */
void bulk_begin(struct bulk *bulk, const struct cmd *cmd, const char *path, const char *done);

/* What became of the record that begins in this line: changed, or as it should be already; or what is wrong with it. */
void bulk_done(struct bulk *bulk, bool changed);
void bulk_failed(struct bulk *bulk, int64_t line, const char *why);

/* The counts, on stdout. CMD_SKIPPED: some failed. e: storage ended it early */
enum cmd_exit bulk_end(struct bulk *bulk, enum err e);

#endif
