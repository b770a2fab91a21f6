/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/outbox.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "auth/outbox_db.h"
#include "auth/outbox_metrics.h"
#include "auth/workflow.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/rand.h"
#include "lib/thread.h"

enum {
    LEASE_MARGIN_MS = 5000, /* behind the time-out of a call: whoever was killed while sending is not waited for */
    ROUND_MS = 1000,
    PEEK_MS = 20, /* between looks at what another process sends */
    BATCH = 100,
    RETRY_MAX_MS = 300000,
    PAUSE_MAX_MS = 30000,
    MEND_EVERY_MS = 60000,
    FUTURE_MS = 600000, /* no lease and no retry is as far ahead as this */
};

struct outbox {
    struct workflow_engine engine;
    int64_t round_ms;
    struct db *db;
    pthread_t thread;
    pthread_mutex_t lock;   /* for all below */
    pthread_cond_t changed; /* a call ended, or the outbox is to stop */
    bool is_stopping;
    bool is_down;      /* as it is in the log */
    bool is_silent;    /* it let a call wait until its time-out: one at a time now, for a thread waits in each */
    int calls;         /* under way */
    bool is_recovered; /* delivered after trouble: the dispatcher need not pause */
};

static int64_t jittered(int64_t ms)
{
    uint16_t part;
    rand_bytes(&part, sizeof part);
    return ms - ms / 4 * part / UINT16_MAX;
}

/* A round, two, four ... max_ms, and up to a quarter less. */
static int64_t backoff_ms(const struct outbox *outbox, int64_t failures, int64_t max_ms)
{
    int64_t ms = outbox->round_ms;
    for (int64_t i = 1; i < failures && ms < max_ms; i++)
        ms *= 2;
    return jittered(ms < max_ms ? ms : max_ms);
}

/* What is known of the engine */

static bool is_trouble(enum workflow_outcome outcome)
{
    return outcome == WORKFLOW_TROUBLE || outcome == WORKFLOW_LATE;
}

/* While it lets calls wait, one thread at most waits with them; and none begins one that is given up at once. */
static bool enter(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    bool may = (!outbox->is_silent || outbox->calls == 0) && !workflow_is_given_up(&outbox->engine);
    outbox->calls += may;
    pthread_mutex_unlock(&outbox->lock);
    return may;
}

/* Whether the engine's state, as it is in the log, has changed. */
static bool leave(struct outbox *outbox, enum workflow_outcome outcome)
{
    pthread_mutex_lock(&outbox->lock);
    bool was_down = outbox->is_down;
    if (outcome != WORKFLOW_GIVEN_UP)
        outbox->is_down = is_trouble(outcome);
    outbox->is_silent = outcome == WORKFLOW_LATE;
    outbox->is_recovered |= was_down && !outbox->is_down;
    bool changed = was_down != outbox->is_down;
    outbox->calls--;
    pthread_mutex_unlock(&outbox->lock);
    return changed;
}

static void report_state(enum workflow_outcome outcome, const char *why)
{
    if (is_trouble(outcome))
        log_error("the workflow engine takes no calls; they stay queued", LOG_STR("cause", why));
    else
        log_info("the workflow engine takes calls again");
}

/* At each doubling, so that what never succeeds is seen and yet fills no log. */
static void report_refused(const struct outbox_claim *claim, const char *why)
{
    if ((claim->attempts & (claim->attempts - 1)) == 0)
        log_warn("the workflow engine refuses a call; what follows it for this device waits",
                 LOG_STR("device_id", claim->device_id), LOG_STR("workflow", claim->workflow),
                 LOG_INT("attempts", claim->attempts), LOG_STR("cause", why));
}

/* One event */

static void wake(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    pthread_cond_broadcast(&outbox->changed);
    pthread_mutex_unlock(&outbox->lock);
}

/* A note that storage does not take, which it logs, is made up for by the end of the lease. */
static void settle(struct outbox *outbox, const struct outbox_claim *claim, enum workflow_outcome outcome,
                   const char *why)
{
    if (outcome == WORKFLOW_DELIVERED) {
        if (outbox_db_delete(outbox->db, claim) != ERR_OK)
            log_warn("a call was delivered and will be once more", LOG_STR("workflow", claim->workflow));
        return;
    }
    int64_t due_ms =
        clock_ms() + (outcome == WORKFLOW_GIVEN_UP ? 0 : backoff_ms(outbox, claim->attempts, RETRY_MAX_MS));
    if (outbox_db_postpone(outbox->db, claim, due_ms, why) != ERR_OK)
        return;
}

static enum workflow_outcome deliver(struct outbox *outbox, const struct outbox_claim *claim)
{
    char why[HTTP_WHY_SIZE] = "";
    enum workflow_outcome outcome = workflow_call(&outbox->engine, claim->workflow, claim->body, why);
    settle(outbox, claim, outcome, why);
    outbox_metrics_count(claim->workflow, outcome == WORKFLOW_DELIVERED);
    if (outcome == WORKFLOW_REFUSED)
        report_refused(claim, why);
    if (leave(outbox, outcome))
        report_state(outcome, why);
    wake(outbox);
    return outcome;
}

/* ERR_NOT_FOUND: somebody else has it. ERR_BUSY: the engine is not to be asked now */
static enum err send_event(struct outbox *outbox, const char *device_id, int64_t seq, enum workflow_outcome *outcome)
{
    if (!enter(outbox))
        return ERR_BUSY;
    AUTO(outbox_db_release) struct outbox_claim claim = {0};
    int64_t now_ms = clock_ms();
    enum err e = outbox_db_claim(outbox->db, device_id, seq, now_ms,
                                 now_ms + outbox->engine.timeout_ms + LEASE_MARGIN_MS, &claim);
    if (e == ERR_OK) {
        *outcome = deliver(outbox, &claim);
        return ERR_OK;
    }
    pthread_mutex_lock(&outbox->lock);
    outbox->calls--;
    pthread_mutex_unlock(&outbox->lock);
    return e == ERR_DB_RETRY ? ERR_NOT_FOUND : e;
}

/* Until something changes, or ms have passed. The lock is held. */
static void wait_locked(struct outbox *outbox, int64_t ms)
{
    struct timespec until = thread_limit(ms);
    pthread_cond_timedwait(&outbox->changed, &outbox->lock, &until);
}

/* The dispatcher */

/* The device's events one after the other, for as long as all goes well. */
static enum workflow_outcome drain(struct outbox *outbox, const char *device_id)
{
    enum workflow_outcome outcome = WORKFLOW_DELIVERED;
    while (outcome == WORKFLOW_DELIVERED) {
        struct outbox_head head;
        if (outbox_db_head(outbox->db, device_id, &head) != ERR_OK || head.due_ms > clock_ms())
            return WORKFLOW_DELIVERED;
        enum err e = send_event(outbox, device_id, head.seq, &outcome);
        if (e == ERR_BUSY)
            return WORKFLOW_TROUBLE;
        if (e != ERR_OK)
            return WORKFLOW_DELIVERED;
    }
    return outcome;
}

static void free_names(char **names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        mem_free(&names[i]);
    free(names);
}

static bool is_stopping(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    bool stops = outbox->is_stopping;
    pthread_mutex_unlock(&outbox->lock);
    return stops;
}

/* What is due, until the engine is in trouble: it is not asked once for each device that waits. */
static enum workflow_outcome go_round(struct outbox *outbox, bool *is_full)
{
    char **devices = NULL;
    size_t n = 0;
    *is_full = false;
    int64_t now_ms = clock_ms();
    if (outbox_db_due(outbox->db, now_ms, now_ms - outbox->round_ms, BATCH, &devices, &n) != ERR_OK)
        return WORKFLOW_DELIVERED;
    enum workflow_outcome outcome = WORKFLOW_DELIVERED;
    for (size_t i = 0; i < n && !is_trouble(outcome) && !is_stopping(outbox); i++)
        outcome = drain(outbox, devices[i]);
    free_names(devices, n);
    *is_full = n == BATCH;
    return outcome;
}

/* Sleep, but not over what is to be done; false when it stops. */
static bool rest(struct outbox *outbox, int64_t ms, bool is_paused)
{
    const int64_t until_ns = clock_mono_ns() + ms * 1000000;
    int64_t left_ms = ms;
    pthread_mutex_lock(&outbox->lock);
    while (left_ms > 0 && !outbox->is_stopping && !(is_paused && outbox->is_recovered)) {
        wait_locked(outbox, left_ms);
        left_ms = (until_ns - clock_mono_ns()) / 1000000;
    }
    outbox->is_recovered = false;
    bool goes_on = !outbox->is_stopping;
    pthread_mutex_unlock(&outbox->lock);
    return goes_on;
}

/* A clock that was set back has left times in the future, for which nobody is to wait. */
static void mend(struct outbox *outbox)
{
    int64_t now_ms = clock_ms();
    int64_t mended = 0;
    if (outbox_db_mend(outbox->db, now_ms, now_ms + FUTURE_MS, &mended) == ERR_OK && mended > 0)
        log_warn("calls of the workflow engine had times in the future: was the clock set back?",
                 LOG_INT("calls", mended));
}

/* Whether it is time again, as ms says. */
static bool is_time(int64_t *at_ms, int64_t ms)
{
    int64_t now_ms = clock_mono_ms();
    if (now_ms < *at_ms)
        return false;
    *at_ms = now_ms + ms;
    return true;
}

static void *dispatch(void *arg)
{
    struct outbox *outbox = arg;
    int64_t failures = 0;
    int64_t ms = 0;
    int64_t mend_at_ms = 0;
    int64_t measure_at_ms = 0;
    do {
        if (is_time(&mend_at_ms, MEND_EVERY_MS))
            mend(outbox);
        bool is_full = false;
        bool is_down = is_trouble(go_round(outbox, &is_full));
        failures = is_down ? failures + 1 : 0;
        ms = is_down ? backoff_ms(outbox, failures, PAUSE_MAX_MS) : is_full ? 0 : outbox->round_ms;
        if (is_time(&measure_at_ms, outbox->round_ms))
            outbox_metrics_measure(outbox->db);
    } while (rest(outbox, ms, failures > 0));
    return NULL;
}

/* Public */

static struct outbox *outbox_new(const struct outbox_config *config, struct db *db)
{
    struct outbox *outbox = mem_calloc(1, sizeof *outbox);
    workflow_init(&outbox->engine, config->orchestrator_addr, config->timeout_ms);
    outbox->round_ms = config->round_ms > 0 ? config->round_ms : ROUND_MS;
    outbox->db = db;
    pthread_mutex_init(&outbox->lock, NULL);
    thread_cond_init(&outbox->changed);
    return outbox;
}

static void outbox_free(struct outbox **outbox)
{
    if (*outbox == NULL)
        return;
    pthread_cond_destroy(&(*outbox)->changed);
    pthread_mutex_destroy(&(*outbox)->lock);
    workflow_release(&(*outbox)->engine);
    free(*outbox);
    *outbox = NULL;
}

enum err outbox_start(const struct outbox_config *config, struct db *db, struct outbox **out)
{
    AUTO(outbox_free) struct outbox *outbox = outbox_new(config, db);
    TRY(thread_start(&outbox->thread, "outbox", dispatch, outbox));
    *out = MOVE(outbox);
    return ERR_OK;
}

void outbox_hurry(struct outbox *outbox, int64_t within_ms)
{
    int64_t at_ms = clock_mono_ms() + within_ms;
    atomic_store(&outbox->engine.give_up_ms, at_ms != 0 ? at_ms : 1);
}

void outbox_stop(struct outbox **outbox)
{
    if (*outbox == NULL)
        return;
    outbox_hurry(*outbox, 0);
    pthread_mutex_lock(&(*outbox)->lock);
    (*outbox)->is_stopping = true;
    pthread_cond_broadcast(&(*outbox)->changed);
    pthread_mutex_unlock(&(*outbox)->lock);
    pthread_join((*outbox)->thread, NULL);
    outbox_free(outbox);
}

enum err outbox_add(struct db *tx, const char *device_id, const char *workflow, const char *body)
{
    int64_t now_ms = clock_ms();
    return outbox_db_insert(tx, device_id, workflow, body, now_ms);
}

/* Somebody else, here or in another process, is sending: its outcome is ours. False: it is not worth waiting for. */
static bool watch_other(struct outbox *outbox)
{
    pthread_mutex_lock(&outbox->lock);
    bool may = !outbox->is_silent && !workflow_is_given_up(&outbox->engine);
    if (may)
        wait_locked(outbox, PEEK_MS);
    pthread_mutex_unlock(&outbox->lock);
    return may;
}

/* One step; ERR_BUSY: it is somebody else's to send now. */
static enum err flush_head(struct outbox *outbox, const char *device_id, const struct outbox_head *head)
{
    if (head->held_until_ms > clock_ms())
        return ERR_BUSY;
    enum workflow_outcome outcome = WORKFLOW_TROUBLE;
    enum err e = send_event(outbox, device_id, head->seq, &outcome);
    if (e == ERR_NOT_FOUND)
        return ERR_BUSY;
    if (e == ERR_BUSY)
        return ERR_WORKFLOW;
    TRY(e);
    return outcome == WORKFLOW_DELIVERED ? ERR_OK : ERR_WORKFLOW;
}

enum err outbox_flush(struct outbox *outbox, const char *device_id)
{
    int64_t last = 0;
    int64_t watched = 0;
    int64_t limit_ns = clock_mono_ns() + (outbox->engine.timeout_ms + LEASE_MARGIN_MS) * 1000000;
    TRY(outbox_db_last(outbox->db, device_id, &last));
    for (;;) {
        struct outbox_head head;
        enum err e = outbox_db_head(outbox->db, device_id, &head);
        if (e == ERR_NOT_FOUND || (e == ERR_OK && head.seq > last))
            return ERR_OK;
        TRY(e);
        bool is_held = head.held_until_ms > clock_ms();
        if (watched == head.seq && !is_held)
            return ERR_WORKFLOW;
        e = flush_head(outbox, device_id, &head);
        if (e != ERR_OK && e != ERR_BUSY)
            return e;
        if (e == ERR_OK)
            continue;
        watched = is_held ? head.seq : 0;
        if (clock_mono_ns() > limit_ns || !watch_other(outbox))
            return ERR_WORKFLOW;
    }
}

enum err outbox_pending(struct db *db, int64_t *calls, int64_t *age_ms)
{
    int64_t n = 0;
    int64_t oldest_ms = 0;
    TRY(outbox_db_count(db, &n, &oldest_ms));
    int64_t age = n > 0 ? clock_ms() - oldest_ms : 0;
    *calls = n;
    *age_ms = age > 0 ? age : 0;
    return ERR_OK;
}

enum err outbox_list(struct db *db, int64_t limit, struct outbox_event **out, size_t *n)
{
    return outbox_db_list(db, limit, out, n);
}

void outbox_list_free(struct outbox_event **events, size_t n)
{
    for (size_t i = 0; *events != NULL && i < n; i++) {
        mem_free(&(*events)[i].device_id);
        mem_free(&(*events)[i].workflow);
        mem_free(&(*events)[i].error);
    }
    free(*events);
    *events = NULL;
}
