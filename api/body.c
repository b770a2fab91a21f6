/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/body.h"

#include <string.h>

#include "lib/mem.h"

/* Bodies here are mostly a few hundred bytes of JSON. */
#define FIRST_ROOM 1024

static bool take(struct body_budget *budget, int64_t bytes)
{
    if (atomic_fetch_add(&budget->used, bytes) + bytes <= budget->max)
        return true;
    atomic_fetch_sub(&budget->used, bytes);
    return false;
}

/* Make room for need bytes; never for more than max. */
static bool grow(struct body *body, struct body_budget *budget, size_t need, size_t max)
{
    if (need <= body->room)
        return true;
    size_t room = body->room > 0 ? body->room : FIRST_ROOM;
    while (room < need)
        room *= 2;
    if (room > max)
        room = max;
    if (!take(budget, (int64_t)(room - body->room)))
        return false;
    body->data = mem_resize(body->data, room, 1);
    body->room = room;
    return true;
}

bool body_fits(struct body_budget *budget, int64_t bytes)
{
    return bytes <= budget->max - atomic_load(&budget->used);
}

void body_append(struct body *body, struct body_budget *budget, const char *data, size_t len, size_t max)
{
    if (body->is_refused || len == 0)
        return;
    if (len > max - body->len) {
        body->is_cut = true;
        len = max - body->len;
    }
    if (!grow(body, budget, body->len + len + 1, max + 1)) {
        body_release(body, budget);
        body->is_refused = true;
        return;
    }
    memcpy(body->data + body->len, data, len);
    body->len += len;
    body->data[body->len] = '\0';
}

void body_release(struct body *body, struct body_budget *budget)
{
    if (body->data != NULL)
        explicit_bzero(body->data, body->len); /* it may hold a password */
    mem_free(&body->data);
    atomic_fetch_sub(&budget->used, (int64_t)body->room);
    *body = (struct body){0};
}
