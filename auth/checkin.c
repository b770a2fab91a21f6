/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/checkin.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/checkin_db.h"
#include "auth/device_event.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/rand.h"
#include "lib/siphash.h"
#include "lib/thread.h"

METRICS_COUNTER(written, "mintd_check_ins_written_total", "", "Times of devices' last check-in that were written.");
METRICS_COUNTER(dropped, "mintd_check_ins_dropped_total", "", "Check-ins that had no room in memory.");

enum { SHARDS = 32, SLOTS = 2048, SLOTS_USED_MAX = 1536, ID_SIZE = 40, BATCH = 200 };

static const int64_t day_ms = INT64_C(86400) * 1000;

struct slot {
    char id[ID_SIZE]; /* "": empty */
    int64_t seen_ms;
};

/* Open addressing; nothing is taken out but all at once. */
struct table {
    struct slot slot[SLOTS];
    size_t n;
};

/* One table takes notes while the other one is written, or empty. */
struct shard {
    pthread_mutex_t lock;
    struct table table[2];
    int active;
};

struct checkin {
    const struct fleet *fleet;
    uint8_t key[SIPHASH_KEY_SIZE];
    struct shard shard[SHARDS];
    pthread_mutex_t writing; /* one writer at a time */
    pthread_t thread;
    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t changed;
    bool is_stopping, is_full;
};

/* Where the device is in the table, or could be. */
static struct slot *find(struct table *table, uint64_t hash, const char *id)
{
    size_t i = hash % SLOTS;
    while (*table->slot[i].id != '\0' && strcmp(table->slot[i].id, id) != 0)
        i = (i + 1) % SLOTS;
    return &table->slot[i];
}

static struct shard *shard_of(struct checkin *checkin, const char *id, uint64_t *hash)
{
    uint64_t sum[2];
    siphash(checkin->key, id, strlen(id), sum);
    *hash = sum[1];
    return &checkin->shard[sum[0] % SHARDS];
}

/* False when there is no room. */
static bool put(struct table *table, uint64_t hash, const char *id, int64_t seen_ms)
{
    struct slot *slot = find(table, hash, id);
    if (*slot->id == '\0') {
        if (table->n == SLOTS_USED_MAX)
            return false;
        table->n++;
        memcpy(slot->id, id, strlen(id) + 1);
    }
    slot->seen_ms = seen_ms;
    return true;
}

static void call_writer(struct checkin *checkin)
{
    pthread_mutex_lock(&checkin->lock);
    checkin->is_full = true;
    pthread_cond_signal(&checkin->changed);
    pthread_mutex_unlock(&checkin->lock);
}

/* Writing */

/* What is to be written; the tables that it comes from stay as they are meanwhile. */
struct batch {
    const struct fleet *fleet;
    const char *request_id;
    const struct slot *slot;
    size_t n;
};

static enum err save(const struct batch *batch, struct db *tx, const struct slot *slot)
{
    int64_t told_ms = 0;
    enum err e = checkin_db_save(tx, slot->id, slot->seen_ms, &told_ms);
    if (e == ERR_NOT_FOUND) /* it was deleted meanwhile */
        return ERR_OK;
    TRY(e);
    if (batch->fleet->outbox == NULL || slot->seen_ms - told_ms < day_ms)
        return ERR_OK;
    AUTO(mem_free) char *tenant = NULL;
    e = checkin_db_tell(tx, slot->id, slot->seen_ms, &tenant);
    if (e == ERR_NOT_FOUND) /* it would come to life again there */
        return ERR_OK;
    TRY(e);
    return device_event_seen(batch->fleet, tx, tenant, slot->id, slot->seen_ms, batch->request_id);
}

static enum err save_batch(struct db *tx, void *arg)
{
    const struct batch *batch = arg;
    for (size_t i = 0; i < batch->n; i++)
        TRY(save(batch, tx, &batch->slot[i]));
    return ERR_OK;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct slot *)a)->id, ((const struct slot *)b)->id);
}

/* Let new notes go to the other table, unless that one could not be written last time, and copy what there is. */
static void collect(struct shard *shard, struct slot **list, size_t *n)
{
    pthread_mutex_lock(&shard->lock);
    if (shard->table[!shard->active].n == 0)
        shard->active = !shard->active;
    pthread_mutex_unlock(&shard->lock);
    const struct table *full = &shard->table[!shard->active];
    if (full->n == 0)
        return;
    *list = mem_resize(*list, *n + full->n, sizeof **list);
    for (size_t i = 0; i < SLOTS; i++)
        if (*full->slot[i].id != '\0')
            (*list)[(*n)++] = full->slot[i];
}

static void forget(struct shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    struct table *done = &shard->table[!shard->active];
    if (done->n > 0)
        memset(done, 0, sizeof *done);
    pthread_mutex_unlock(&shard->lock);
}

/* In one order everywhere, so that two processes seldom meet. */
static enum err save_all(const struct fleet *fleet, struct slot *list, size_t n)
{
    char request_id[RAND_UUID_SIZE];
    rand_uuid(request_id);
    qsort(list, n, sizeof *list, compare);
    for (size_t i = 0; i < n; i += BATCH) {
        struct batch batch = {.fleet = fleet,
                              .request_id = request_id,
                              .slot = list + i,
                              .n = n - i < BATCH ? n - i : BATCH};
        TRY(db_tx(fleet->db, save_batch, &batch));
        metrics_add(&written, (int64_t)batch.n);
    }
    return ERR_OK;
}

static enum err write_locked(struct checkin *checkin)
{
    struct slot *list = NULL;
    size_t n = 0;
    for (size_t i = 0; i < SHARDS; i++)
        collect(&checkin->shard[i], &list, &n);
    enum err e = n > 0 ? save_all(checkin->fleet, list, n) : ERR_OK;
    free(list);
    TRY(e);
    for (size_t i = 0; i < SHARDS; i++)
        forget(&checkin->shard[i]);
    return ERR_OK;
}

/* Until it is time, a table is full, or it stops: then false. */
static bool rest(struct checkin *checkin)
{
    struct timespec until = thread_limit(CHECKIN_EVERY_MS);
    int fault = 0;
    pthread_mutex_lock(&checkin->lock);
    while (!checkin->is_stopping && !checkin->is_full && fault == 0)
        fault = pthread_cond_timedwait(&checkin->changed, &checkin->lock, &until);
    checkin->is_full = false;
    bool goes_on = !checkin->is_stopping;
    pthread_mutex_unlock(&checkin->lock);
    return goes_on;
}

static void *write_now_and_then(void *arg)
{
    struct checkin *checkin = arg;
    bool goes_on = true;
    while (goes_on) {
        goes_on = rest(checkin);
        if (checkin_write(checkin) != ERR_OK)
            continue; /* storage has logged it; the notes stay */
    }
    return NULL;
}

/* Start and stop */

static void checkin_free(struct checkin **checkin)
{
    if (*checkin == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_destroy(&(*checkin)->shard[i].lock);
    pthread_mutex_destroy(&(*checkin)->writing);
    pthread_mutex_destroy(&(*checkin)->lock);
    pthread_cond_destroy(&(*checkin)->changed);
    free(*checkin);
    *checkin = NULL;
}

static struct checkin *checkin_new(const struct fleet *fleet)
{
    struct checkin *checkin = mem_calloc(1, sizeof *checkin);
    checkin->fleet = fleet;
    rand_bytes(checkin->key, sizeof checkin->key);
    for (size_t i = 0; i < SHARDS; i++)
        pthread_mutex_init(&checkin->shard[i].lock, NULL);
    pthread_mutex_init(&checkin->writing, NULL);
    pthread_mutex_init(&checkin->lock, NULL);
    thread_cond_init(&checkin->changed);
    return checkin;
}

enum err checkin_start(const struct fleet *fleet, struct checkin **out)
{
    AUTO(checkin_free) struct checkin *checkin = checkin_new(fleet);
    TRY(thread_start(&checkin->thread, "checkin", write_now_and_then, checkin));
    *out = MOVE(checkin);
    return ERR_OK;
}

void checkin_stop(struct checkin **checkin)
{
    if (*checkin == NULL)
        return;
    pthread_mutex_lock(&(*checkin)->lock);
    (*checkin)->is_stopping = true;
    pthread_cond_signal(&(*checkin)->changed);
    pthread_mutex_unlock(&(*checkin)->lock);
    pthread_join((*checkin)->thread, NULL);
    checkin_free(checkin);
}

void checkin_note(struct checkin *checkin, const char *device_id)
{
    if (checkin == NULL || strlen(device_id) >= ID_SIZE)
        return;
    uint64_t hash;
    int64_t now_ms = clock_ms();
    struct shard *shard = shard_of(checkin, device_id, &hash);
    pthread_mutex_lock(&shard->lock);
    bool has_room = put(&shard->table[shard->active], hash, device_id, now_ms);
    pthread_mutex_unlock(&shard->lock);
    if (has_room)
        return;
    metrics_add(&dropped, 1);
    call_writer(checkin);
}

void checkin_overlay(struct checkin *checkin, struct device *device)
{
    if (checkin == NULL || strlen(device->id) >= ID_SIZE)
        return;
    uint64_t hash;
    struct shard *shard = shard_of(checkin, device->id, &hash);
    pthread_mutex_lock(&shard->lock);
    for (int i = 0; i < 2; i++) {
        const struct slot *slot = find(&shard->table[i], hash, device->id);
        if (slot->seen_ms > device->seen_ms)
            device->seen_ms = slot->seen_ms;
    }
    pthread_mutex_unlock(&shard->lock);
}

enum err checkin_write(struct checkin *checkin)
{
    pthread_mutex_lock(&checkin->writing);
    enum err e = write_locked(checkin);
    pthread_mutex_unlock(&checkin->writing);
    return e;
}
