/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/batch.h"

#include <errno.h>
#include <stdatomic.h>

#include "lib/thread.h"

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

/* Whoever is told may be gone at once. */
static void tell(struct batch_member *member, enum batch_state state)
{
    atomic_store(&member->state, state);
    sem_post(&member->word);
}

/* Take the first of the line, the one who leads among them. */
static size_t take(struct batch *batch, const struct batch_member *leader, struct batch_member **members)
{
    size_t n = 0;
    for (; n < BATCH_MAX && batch->first != NULL; n++) {
        members[n] = batch->first;
        batch->first = members[n]->next;
        if (members[n] != leader)
            atomic_store(&members[n]->state, BATCH_TAKEN);
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

/* Whether there was a word before the limit; NULL: there will be. */
static bool wait_for_word(struct batch_member *member, const struct timespec *limit)
{
    int rc;
    do
        rc = limit == NULL ? sem_wait(&member->word) : sem_clockwait(&member->word, CLOCK_MONOTONIC, limit);
    while (rc != 0 && errno == EINTR);
    return rc == 0;
}

/* What the member is told; BATCH_WAITS when it waited for too long and has left the line. */
static enum batch_state wait_in_line(struct batch *batch, struct batch_member *member, int wait_ms)
{
    const struct timespec limit = thread_limit(wait_ms);
    if (!wait_for_word(member, &limit)) {
        pthread_mutex_lock(&batch->lock);
        bool is_late = atomic_load(&member->state) == BATCH_WAITS;
        if (is_late)
            leave(batch, member);
        pthread_mutex_unlock(&batch->lock);
        if (is_late)
            return BATCH_WAITS;
        (void)wait_for_word(member, NULL);
    }
    return atomic_load(&member->state);
}

bool batch_run(struct batch *batch, struct batch_member *member, int wait_ms,
               void (*serve)(struct batch_member *const *members, size_t n, void *arg), void *arg)
{
    member->next = NULL;
    sem_init(&member->word, 0, 0);
    pthread_mutex_lock(&batch->lock);
    enum batch_state state = batch->is_busy ? BATCH_WAITS : BATCH_LEADS;
    atomic_init(&member->state, state);
    batch->is_busy = true;
    enter(batch, member);
    pthread_mutex_unlock(&batch->lock);
    if (state == BATCH_WAITS)
        state = wait_in_line(batch, member, wait_ms);
    if (state == BATCH_LEADS)
        lead(batch, member, serve, arg);
    sem_destroy(&member->word);
    return state != BATCH_WAITS;
}
