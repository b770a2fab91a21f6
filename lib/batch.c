/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/batch.h"

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

static void init_member(struct batch_member *member)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&member->wake, &attr);
    pthread_condattr_destroy(&attr);
    member->next = NULL;
    member->is_taken = false;
    member->is_done = false;
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

/* Take the first of the line, its caller among them or not. */
static size_t take(struct batch *batch, struct batch_member **members)
{
    size_t n = 0;
    for (; n < BATCH_MAX && batch->first != NULL; n++) {
        members[n] = batch->first;
        members[n]->is_taken = true;
        batch->first = members[n]->next;
    }
    if (batch->first == NULL)
        batch->last = NULL;
    return n;
}

/* Until it is served, or its turn to serve has come; false when it waited for too long. */
static bool wait_in_line(struct batch *batch, struct batch_member *member, int wait_ms)
{
    int64_t ns = clock_mono_ns() + (int64_t)wait_ms * 1000000;
    const struct timespec limit = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    int rc = 0;
    while (!member->is_done && (batch->is_busy || batch->first != member) && (rc == 0 || member->is_taken))
        rc = member->is_taken ? pthread_cond_wait(&member->wake, &batch->lock)
                              : pthread_cond_timedwait(&member->wake, &batch->lock, &limit);
    return member->is_done || (!batch->is_busy && batch->first == member);
}

static void work(struct batch *batch, void (*serve)(struct batch_member *const *members, size_t n, void *arg),
                 void *arg)
{
    struct batch_member *members[BATCH_MAX];
    batch->is_busy = true;
    size_t n = take(batch, members);
    pthread_mutex_unlock(&batch->lock);
    serve(members, n, arg);
    pthread_mutex_lock(&batch->lock);
    batch->is_busy = false;
    for (size_t i = 0; i < n; i++) {
        members[i]->is_done = true;
        pthread_cond_signal(&members[i]->wake);
    }
    if (batch->first != NULL)
        pthread_cond_signal(&batch->first->wake);
}

bool batch_run(struct batch *batch, struct batch_member *member, int wait_ms,
               void (*serve)(struct batch_member *const *members, size_t n, void *arg), void *arg)
{
    init_member(member);
    pthread_mutex_lock(&batch->lock);
    enter(batch, member);
    bool is_turn = wait_in_line(batch, member, wait_ms);
    if (!is_turn)
        leave(batch, member);
    else if (!member->is_done)
        work(batch, serve, arg);
    /* whoever was to wake the first of the line may have given up */
    if (!is_turn && !batch->is_busy && batch->first != NULL)
        pthread_cond_signal(&batch->first->wake);
    pthread_mutex_unlock(&batch->lock);
    pthread_cond_destroy(&member->wake);
    return member->is_done;
}
