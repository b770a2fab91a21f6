/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/lane.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/router.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/thread.h"

/* A thread's name has 15 bytes at most. */
#define NAME_SIZE 16

/* Made once for each lane name, since metrics outlive the lanes. */
struct lane_metrics {
    char name[NAME_SIZE];
    struct metric waiting;
    struct metric refused;
    struct lane_metrics *next;
};

struct lane {
    char name[NAME_SIZE];
    int nice;
    struct lane_metrics *metrics;
    pthread_t *threads;
    size_t threads_count;

    sem_t ready; /* a word for each call that waits, and for each thread when the lane stops */

    pthread_mutex_t lock; /* guards the rest */
    struct call *first;
    struct call *last;
    size_t waiting;
    size_t queue_max;
    bool is_stopping;
};

static pthread_mutex_t known_lock = PTHREAD_MUTEX_INITIALIZER;
static struct lane_metrics *known;

static void register_metric(struct metric *m, const char *lane, const char *name, const char *help)
{
    *m = (struct metric){.name = name, .help = help, .labels = mem_printf("lane=\"%s\"", lane)};
}

static struct lane_metrics *metrics_of(const char *name)
{
    pthread_mutex_lock(&known_lock);
    struct lane_metrics *m = known;
    while (m != NULL && strcmp(m->name, name) != 0)
        m = m->next;
    if (m == NULL) {
        m = mem_calloc(1, sizeof *m);
        snprintf(m->name, sizeof m->name, "%s", name);
        register_metric(&m->waiting, name, "mintd_lane_waiting", "Calls that wait for a thread.");
        m->waiting.type = METRICS_TYPE_GAUGE;
        metrics_register(&m->waiting);
        register_metric(&m->refused, name, "mintd_lane_refused_total", "Calls refused because the queue was full.");
        m->refused.type = METRICS_TYPE_COUNTER;
        metrics_register(&m->refused);
        m->next = known;
        known = m;
    }
    pthread_mutex_unlock(&known_lock);
    return m;
}

/* The next call, or NULL when the lane stops and nothing is left. */
static struct call *take(struct lane *lane)
{
    while (sem_wait(&lane->ready) != 0)
        continue;
    pthread_mutex_lock(&lane->lock);
    struct call *c = lane->first;
    if (c != NULL) {
        lane->first = c->next;
        lane->waiting--;
    }
    pthread_mutex_unlock(&lane->lock);
    if (c != NULL)
        metrics_add(&lane->metrics->waiting, -1);
    return c;
}

static void *work(void *arg)
{
    struct lane *lane = arg;
    if (lane->nice != 0) {
        id_t self = (id_t)gettid();
        setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + lane->nice);
    }
    for (struct call *c = take(lane); c != NULL; c = take(lane)) {
        router_finish(c);
        c->done(c);
    }
    return NULL;
}

struct lane *lane_new(const char *name, size_t threads, size_t queue_max, int nice)
{
    struct lane *lane = mem_calloc(1, sizeof *lane);
    snprintf(lane->name, sizeof lane->name, "%s", name);
    lane->nice = nice;
    lane->queue_max = queue_max;
    lane->metrics = metrics_of(lane->name);
    lane->threads = mem_calloc(threads, sizeof *lane->threads);
    pthread_mutex_init(&lane->lock, NULL);
    sem_init(&lane->ready, 0, 0);
    for (; lane->threads_count < threads; lane->threads_count++) {
        if (thread_start(&lane->threads[lane->threads_count], lane->name, work, lane) == ERR_OK)
            continue;
        lane_free(&lane);
        return NULL;
    }
    return lane;
}

bool lane_submit(struct lane *lane, struct call *c)
{
    c->next = NULL;
    pthread_mutex_lock(&lane->lock);
    bool has_room = lane->waiting < lane->queue_max && !lane->is_stopping;
    if (has_room) {
        if (lane->first == NULL)
            lane->first = c;
        else
            lane->last->next = c;
        lane->last = c;
        lane->waiting++;
        metrics_add(&lane->metrics->waiting, 1);
    }
    pthread_mutex_unlock(&lane->lock);
    if (has_room)
        sem_post(&lane->ready);
    else
        metrics_add(&lane->metrics->refused, 1);
    return has_room;
}

void lane_free(struct lane **lane)
{
    struct lane *l = *lane;
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->is_stopping = true;
    pthread_mutex_unlock(&l->lock);
    for (size_t i = 0; i < l->threads_count; i++)
        sem_post(&l->ready);
    for (size_t i = 0; i < l->threads_count; i++)
        pthread_join(l->threads[i], NULL);
    sem_destroy(&l->ready);
    pthread_mutex_destroy(&l->lock);
    free(l->threads);
    free(l);
    *lane = NULL;
}
