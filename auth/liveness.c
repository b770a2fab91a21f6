/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/liveness.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "auth/liveness_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/feed.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/thread.h"

METRICS_GAUGE(feed_up, "mintd_token_feed_up", "", "1 while revocations of other processes are heard of.");
METRICS_COUNTER(changes, "mintd_token_changes_total", "", "Tokens heard of that may have died.");
METRICS_COUNTER(resyncs, "mintd_token_feed_resyncs_total", "", "Times that all tokens had to be asked about again.");
METRICS_COUNTER(from_memory, "mintd_liveness_answers_total", "source=\"memory\"",
                "Whether a token is alive, by source.");
METRICS_COUNTER(from_database, "mintd_liveness_answers_total", "source=\"database\"",
                "Whether a token is alive, by source.");

enum {
    SLOTS = 1 << 14,
    CHANGES_MAX = 1000, /* that are read one by one */
    RETRY_MS = 500,
    IDLE_ROUNDS = 50, /* without a question, before the log is read seldom */
    IDLE_MS = 15000,
    KEEP_MS = 600000, /* rows of the log; longer than any reader sleeps */
    SWEEP_BATCH = 500,
    SWEEP_ROUNDS = 100,
};

struct liveness {
    struct db *db;
    /*
     * What is counted here only grows, so the sum of two counts is what it was only while both are. Tokens share the
     * slots: one that is hit by another's change is asked about once more, and that is all.
     */
    _Atomic uint64_t forgotten; /* how often everything was */
    _Atomic uint64_t slot[SLOTS];
    _Atomic int64_t intact_until_ms;
    _Atomic bool is_wanted; /* somebody asked since the thread looked */
    _Atomic bool is_idle;   /* the thread sleeps for long */
    _Atomic bool is_stopping;
    bool is_started;
    bool is_up; /* the thread's */
    int wake_fd;
    pthread_t thread;
    pthread_mutex_t lock;
    int64_t position; /* guarded by lock: the row up to which the log was read; 0: not at all */
    int64_t prune_ms; /* the sweeper's: when the marks were set */
    int64_t mark[2];  /* rows before the first are old, unless it is 0; the second is the next first */
};

/* FNV-1a: ids are this program's own, nobody makes them meet. */
static size_t slot_of(const char *jti)
{
    uint64_t hash = 14695981039346656037U;
    for (; *jti != '\0'; jti++)
        hash = (hash ^ (unsigned char)*jti) * 1099511628211U;
    return (size_t)((hash ^ hash >> 32) % SLOTS);
}

static uint64_t stamp_of(struct liveness *liveness, const char *jti)
{
    return atomic_load(&liveness->forgotten) + atomic_load(&liveness->slot[slot_of(jti)]);
}

static void forget_all(struct liveness *liveness)
{
    atomic_fetch_add(&liveness->forgotten, 1);
    metrics_add(&resyncs, 1);
}

static int64_t position_of(struct liveness *liveness)
{
    pthread_mutex_lock(&liveness->lock);
    int64_t position = liveness->position;
    pthread_mutex_unlock(&liveness->lock);
    return position;
}

/* Whoever read from another row has moved it already, and knows better. */
static void move_position(struct liveness *liveness, int64_t from, int64_t to)
{
    pthread_mutex_lock(&liveness->lock);
    if (liveness->position == from)
        liveness->position = to;
    pthread_mutex_unlock(&liveness->lock);
}

/* The position goes first: what dies between the two is read later, what died before it the database knows. */
static enum err start_over(struct liveness *liveness, int64_t from)
{
    int64_t newest = 0;
    TRY(liveness_db_newest(liveness->db, &newest));
    move_position(liveness, from, newest);
    forget_all(liveness);
    return ERR_OK;
}

static void hear(struct liveness *liveness, const char *jti)
{
    if (*jti == '\0')
        forget_all(liveness);
    else
        atomic_fetch_add(&liveness->slot[slot_of(jti)], 1);
    metrics_add(&changes, 1);
}

/*
 * Read the log on, by way of the feed or, without one (NULL), of the pool. Where the last row known is not there any
 * more, somebody has pruned or replaced the log, and what was missed nobody knows.
 */
static enum err read_on(struct liveness *liveness, struct feed *feed)
{
    int64_t from = position_of(liveness);
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    TRY(liveness_db_since(liveness->db, feed, from, CHANGES_MAX + 1, &rows));
    if (rows == NULL)
        return ERR_OK;
    if (!db_rows_next(rows) || db_rows_int(rows, 0) != from || db_rows_count(rows) > CHANGES_MAX)
        return start_over(liveness, from);
    int64_t to = from;
    while (db_rows_next(rows)) {
        to = db_rows_int(rows, 0);
        hear(liveness, db_rows_text(rows, 1));
    }
    move_position(liveness, from, to);
    return ERR_OK;
}

/* One look at the log. The time is taken before it: what is committed later may not be in what it sees. */
static enum err look(struct liveness *liveness, struct feed **feed)
{
    if (*feed == NULL)
        TRY(feed_open(liveness->db, LIVENESS_DB_CHANNEL, feed));
    int64_t now = clock_mono_ms();
    TRY(read_on(liveness, *feed));
    atomic_store(&liveness->intact_until_ms, now + LIVENESS_LEASE_MS);
    return ERR_OK;
}

/* Said when the log cannot be read, and when it can be again; that it can from the start goes without saying. */
static void note(struct liveness *liveness, bool is_up, bool is_first)
{
    if (is_up != liveness->is_up)
        metrics_add(&feed_up, is_up ? 1 : -1);
    if (!is_up && (liveness->is_up || is_first))
        log_warn("revocations by other processes are not heard of: the database is asked instead");
    if (is_up && !liveness->is_up && !is_first)
        log_info("revocations by other processes are heard of again");
    liveness->is_up = is_up;
}

static void wake(struct liveness *liveness)
{
    (void)eventfd_write(liveness->wake_fd, 1);
}

/* is_idle goes before the last look at is_wanted, and want() has it the other way round: one of them sees the other. */
static int time_to_sleep(struct liveness *liveness, bool is_up, int *quiet_rounds)
{
    if (!is_up)
        return RETRY_MS;
    *quiet_rounds = atomic_exchange(&liveness->is_wanted, false) ? 0 : *quiet_rounds + 1;
    if (*quiet_rounds < IDLE_ROUNDS)
        return LIVENESS_POLL_MS;
    atomic_store(&liveness->is_idle, true);
    return atomic_load(&liveness->is_wanted) ? 0 : IDLE_MS;
}

static void sleep_until(struct liveness *liveness, struct feed **feed, int ms)
{
    eventfd_t count;
    if (*feed == NULL)
        (void)poll(&(struct pollfd){.fd = liveness->wake_fd, .events = POLLIN}, 1, ms);
    else if (feed_wait(*feed, liveness->wake_fd, ms) != ERR_OK)
        feed_free(feed);
    atomic_store(&liveness->is_idle, false);
    (void)eventfd_read(liveness->wake_fd, &count);
}

static void *run(void *arg)
{
    struct liveness *liveness = arg;
    AUTO(feed_free) struct feed *feed = NULL;
    int quiet_rounds = 0;
    for (bool is_first = true; !atomic_load(&liveness->is_stopping); is_first = false) {
        bool is_up = look(liveness, &feed) == ERR_OK;
        if (!is_up)
            feed_free(&feed);
        note(liveness, is_up, is_first);
        sleep_until(liveness, &feed, time_to_sleep(liveness, is_up, &quiet_rounds));
    }
    return NULL;
}

struct liveness *liveness_new(struct db *db)
{
    struct liveness *liveness = mem_calloc(1, sizeof *liveness);
    liveness->db = db;
    liveness->wake_fd = -1;
    pthread_mutex_init(&liveness->lock, NULL);
    return liveness;
}

void liveness_free(struct liveness **liveness)
{
    if (*liveness == NULL)
        return;
    if ((*liveness)->is_started) {
        atomic_store(&(*liveness)->is_stopping, true);
        wake(*liveness);
        pthread_join((*liveness)->thread, NULL);
    }
    if ((*liveness)->wake_fd >= 0)
        close((*liveness)->wake_fd);
    pthread_mutex_destroy(&(*liveness)->lock);
    free(*liveness);
    *liveness = NULL;
}

enum err liveness_start(struct liveness *liveness)
{
    liveness->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (liveness->wake_fd < 0) {
        log_error("cannot make an eventfd");
        return ERR_INTERNAL;
    }
    TRY(thread_start(&liveness->thread, "liveness", run, liveness));
    liveness->is_started = true;
    return ERR_OK;
}

static void want(struct liveness *liveness)
{
    if (atomic_load_explicit(&liveness->is_wanted, memory_order_relaxed))
        return;
    atomic_store(&liveness->is_wanted, true);
    if (atomic_load(&liveness->is_idle))
        wake(liveness);
}

struct liveness_found liveness_ask(struct liveness *liveness, const char *jti)
{
    want(liveness);
    metrics_add(&from_database, 1);
    return (struct liveness_found){.asked_ms = clock_mono_ms(), .stamp = stamp_of(liveness, jti)};
}

bool liveness_believes(struct liveness *liveness, const char *jti, const struct liveness_found *found)
{
    int64_t now = clock_mono_ms();
    if (found->until_ms <= now || found->stamp != stamp_of(liveness, jti))
        return false;
    if (atomic_load(&liveness->intact_until_ms) <= now && found->asked_ms + LIVENESS_BLIND_MS <= now)
        return false;
    want(liveness);
    metrics_add(&from_memory, 1);
    return true;
}

void liveness_revoked(struct liveness *liveness)
{
    if (!liveness->is_started || read_on(liveness, NULL) != ERR_OK)
        forget_all(liveness);
}

/* A row is old when it was read at a mark that was set KEEP_MS before the next one. */
void liveness_sweep(struct liveness *liveness)
{
    int64_t now = clock_mono_ms();
    if (liveness->prune_ms == 0 || now - liveness->prune_ms >= KEEP_MS) {
        liveness->prune_ms = now;
        liveness->mark[0] = liveness->mark[1];
        liveness->mark[1] = position_of(liveness);
    }
    int64_t deleted = SWEEP_BATCH;
    for (int i = 0; i < SWEEP_ROUNDS && liveness->mark[0] > 0 && deleted == SWEEP_BATCH; i++)
        if (liveness_db_prune(liveness->db, liveness->mark[0], SWEEP_BATCH, &deleted) != ERR_OK)
            return;
    if (deleted < SWEEP_BATCH)
        liveness->mark[0] = 0;
}
