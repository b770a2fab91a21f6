/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/bulk.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "cmd/account.h"
#include "lib/clock.h"

enum { PROGRESS_MS = 200, SHOWN = 20 };

void bulk_begin(struct bulk *bulk, const struct cmd *cmd, const char *path, const char *done)
{
    *bulk = (struct bulk){.cmd = cmd, .path = path, .done = done, .is_terminal = isatty(STDERR_FILENO) == 1};
}

static void clear(struct bulk *bulk)
{
    if (bulk->is_shown)
        fputs("\r\033[K", stderr);
    bulk->is_shown = false;
}

static void show_progress(struct bulk *bulk)
{
    int64_t now = clock_mono_ms();
    if (!bulk->is_terminal || now < bulk->next_ms)
        return;
    fprintf(stderr, "\r%s: %" PRId64 " %s, %" PRId64 " were already, %" PRId64 " failed\033[K", bulk->path,
            bulk->changed, bulk->done, bulk->there, bulk->failed);
    bulk->is_shown = true;
    bulk->next_ms = now + PROGRESS_MS;
}

void bulk_done(struct bulk *bulk, bool changed)
{
    bulk->changed += changed;
    bulk->there += !changed;
    show_progress(bulk);
}

void bulk_failed(struct bulk *bulk, int64_t line, const char *why)
{
    bulk->failed++;
    clear(bulk);
    if (bulk->failed <= SHOWN)
        fprintf(stderr, "%s:%" PRId64 ": %s\n", bulk->path, line, why);
    show_progress(bulk);
}

enum cmd_exit bulk_end(struct bulk *bulk, enum err e)
{
    clear(bulk);
    if (bulk->failed > SHOWN)
        fprintf(stderr, "%s: %" PRId64 " more failed\n", bulk->path, bulk->failed - SHOWN);
    printf("%" PRId64 " %s, %" PRId64 " were already, %" PRId64 " failed\n", bulk->changed, bulk->done, bulk->there,
           bulk->failed);
    if (e != ERR_OK)
        return cmd_fail(bulk->cmd, CMD_IMPORT, "%s: stopped on the way: %s", bulk->path, account_why(e));
    return bulk->failed > 0 ? CMD_SKIPPED : CMD_OK;
}
