/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/deadline.h"

#include <stddef.h>
#include <sys/socket.h>
#include <utlist.h>

#include "lib/metrics.h"

#define KILLS "mintd_deadline_kills_total"
#define KILLS_HELP "Connections cut because their client was too slow, by what was waited for."

METRICS_COUNTER(kills_headers, KILLS, "phase=\"headers\"", KILLS_HELP);
METRICS_COUNTER(kills_body, KILLS, "phase=\"body\"", KILLS_HELP);
METRICS_COUNTER(kills_idle, KILLS, "phase=\"idle\"", KILLS_HELP);
METRICS_COUNTER(kills_reply, KILLS, "phase=\"reply\"", KILLS_HELP);

static struct metric *kills(enum deadline_phase phase)
{
    switch (phase) {
    case DEADLINE_NONE:
        return NULL;
    case DEADLINE_HEADERS:
        return &kills_headers;
    case DEADLINE_BODY:
        return &kills_body;
    case DEADLINE_IDLE:
        return &kills_idle;
    case DEADLINE_REPLY:
        return &kills_reply;
    }
    return NULL;
}

static void cut(struct deadline *d)
{
    shutdown(d->fd, SHUT_RDWR);
    d->fd = -1;
    d->phase = DEADLINE_NONE;
}

void deadline_add(struct deadline_list *list, struct deadline *d, int fd)
{
    *d = (struct deadline){.fd = fd};
    DL_APPEND(list->head, d);
}

void deadline_remove(struct deadline_list *list, struct deadline *d)
{
    DL_DELETE(list->head, d);
}

void deadline_set(struct deadline *d, enum deadline_phase phase, int64_t at_ms)
{
    if (d->fd < 0)
        return;
    d->phase = phase;
    d->at_ms = at_ms;
}

void deadline_sweep(struct deadline_list *list, int64_t now_ms)
{
    struct deadline *d = NULL;
    DL_FOREACH(list->head, d)
    {
        if (d->phase == DEADLINE_NONE || now_ms < d->at_ms)
            continue;
        metrics_add(kills(d->phase), 1);
        cut(d);
    }
}

void deadline_drop_idle(struct deadline_list *list)
{
    struct deadline *d = NULL;
    DL_FOREACH(list->head, d)
    {
        if (d->phase == DEADLINE_HEADERS || d->phase == DEADLINE_IDLE)
            cut(d);
    }
}
