/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/batch.h"

#include <stdint.h>
#include <time.h>

#include "lib/clock.h"

void batch_init(struct batch *batch)
{
    *batch = (struct batch){0};
    pthread_mutex_init(&batch->lock, NULL);
}

void batch_release(struct batch *batch)
{
    pthread_mutex_destroy(&batch->lock);
}

static void enter(struct batch *batch, struct batch_member *member)
{
    if (batch->last != NULL)
        batch->last->next = member;
    else
        batch->first = member;
    batch->last = member;
}

static void leave(struct batch *batch, const struct batch_member *member)
{
    struct batch_member **link = &batch->first;
    struct batch_member *before = NULL;
    for (; *link != member; link = &(*link)->next)
        before = *link;
    *link = member->next;
    if (batch->last == member)
        batch->last = before;
}

static void init_member(struct batch_member *member)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&member->changed, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_init(&member->lock, NULL);
    member->state = BATCH_WAITS;
    member->next = NULL;
}

static void release_member(struct batch_member *member)
{
    pthread_cond_destroy(&member->changed);
    pthread_mutex_destroy(&member->lock);
}

/* Whoever is told that it is served may be gone at once. */
static void tell(struct batch_member *member, enum batch_state state)
{
    pthread_mutex_lock(&member->lock);
    member->state = state;
    if (state != BATCH_TAKEN)
        pthread_cond_signal(&member->changed);
    pthread_mutex_unlock(&member->lock);
}

/* Take the first of the line, the one who leads among them. */
static size_t take(struct batch *batch, const struct batch_member *leader, struct batch_member **members)
{
    size_t n = 0;
    for (; n < BATCH_MAX && batch->first != NULL; n++) {
        members[n] = batch->first;
        batch->first = members[n]->next;
        if (members[n] != leader)
            tell(members[n], BATCH_TAKEN);
    }
    if (batch->first == NULL)
        batch->last = NULL;
    return n;
}

static void lead(struct batch *batch, struct batch_member *leader,
                 void (*serve)(struct batch_member *const *members, size_t n, void *arg), void *arg)
{
    struct batch_member *members[BATCH_MAX];
    pthread_mutex_lock(&batch->lock);
    size_t n = take(batch, leader, members);
    pthread_mutex_unlock(&batch->lock);
    serve(members, n, arg);
    pthread_mutex_lock(&batch->lock);
    batch->is_busy = batch->first != NULL;
    if (batch->is_busy)
        tell(batch->first, BATCH_LEADS);
    pthread_mutex_unlock(&batch->lock);
    for (size_t i = 0; i < n; i++)
        if (members[i] != leader)
            tell(members[i], BATCH_SERVED);
}

/* Until its state is a final one, or the limit has passed while it waits. */
static enum batch_state wait_for_word(struct batch_member *member, const struct timespec *limit)
{
    int rc = 0;
    pthread_mutex_lock(&member->lock);
    while (member->state == BATCH_TAKEN || (member->state == BATCH_WAITS && rc == 0))
        rc = member->state == BATCH_TAKEN ? pthread_cond_wait(&member->changed, &member->lock)
                                          : pthread_cond_timedwait(&member->changed, &member->lock, limit);
    enum batch_state state = member->state;
    pthread_mutex_unlock(&member->lock);
    return state;
}

/* What the member is told; BATCH_WAITS when it waited for too long and has left the line. */
static enum batch_state wait_in_line(struct batch *batch, struct batch_member *member, int wait_ms)
{
    int64_t ns = clock_mono_ns() + (int64_t)wait_ms * 1000000;
    const struct timespec limit = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    enum batch_state state = wait_for_word(member, &limit);
    if (state != BATCH_WAITS)
        return state;
    pthread_mutex_lock(&batch->lock);
    pthread_mutex_lock(&member->lock);
    state = member->state;
    if (state == BATCH_WAITS)
        leave(batch, member);
    pthread_mutex_unlock(&member->lock);
    pthread_mutex_unlock(&batch->lock);
    return state == BATCH_TAKEN ? wait_for_word(member, &limit) : state;
}

bool batch_run(struct batch *batch, struct batch_member *member, int wait_ms,
               void (*serve)(struct batch_member *const *members, size_t n, void *arg), void *arg)
{
    init_member(member);
    pthread_mutex_lock(&batch->lock);
    enum batch_state state = batch->is_busy ? BATCH_WAITS : BATCH_LEADS;
    batch->is_busy = true;
    enter(batch, member);
    pthread_mutex_unlock(&batch->lock);
    if (state == BATCH_WAITS)
        state = wait_in_line(batch, member, wait_ms);
    if (state == BATCH_LEADS)
        lead(batch, member, serve, arg);
    release_member(member);
    return state != BATCH_WAITS;
}
