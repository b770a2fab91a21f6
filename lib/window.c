/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/window.h"

#include <pthread.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/rand.h"
#include "lib/sat.h"
#include "lib/siphash.h"

/* Locks, and the neighbouring slots that a key may be in. */
#define SHARDS 64
#define REACH 32

/* Keys are known by a keyed hash alone: two of them never meet, and nobody can make them. */
struct slot {
    uint64_t name[2];
    int64_t end_ms; /* 0: never used */
    int64_t interval_ms;
    int64_t count;
};

struct shard {
    _Alignas(64) pthread_mutex_t mutex;
    struct slot *slot;
};

struct window {
    uint8_t secret[SIPHASH_KEY_SIZE];
    size_t slots; /* of each shard */
    struct shard shard[SHARDS];
};

/* Also when the clock was set back behind the slot's window. */
static bool is_over(const struct slot *slot, int64_t now_ms)
{
    return now_ms >= slot->end_ms || now_ms < slot->end_ms - slot->interval_ms;
}

/*
 * The key's slot, or one that is free for it, or NULL. A slot that was used is never unused again, so behind the first
 * unused one there is nothing to find.
 */
static struct slot *find(const struct window *w, const struct shard *shard, const uint64_t name[2], int64_t now_ms)
{
    struct slot *vacant = NULL;
    size_t reach = w->slots < REACH ? w->slots : REACH;
    for (size_t i = 0; i < reach; i++) {
        struct slot *slot = &shard->slot[(name[1] + i) % w->slots];
        if (slot->end_ms == 0)
            return vacant != NULL ? vacant : slot;
        if (slot->name[0] == name[0] && slot->name[1] == name[1])
            return slot;
        if (vacant == NULL && is_over(slot, now_ms))
            vacant = slot;
    }
    return vacant;
}

struct window *window_new(size_t keys)
{
    struct window *w = aligned_alloc(_Alignof(struct window), sizeof *w);
    if (w == NULL)
        abort();
    rand_bytes(w->secret, sizeof w->secret);
    w->slots = keys / SHARDS + (keys % SHARDS != 0 || keys == 0);
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_init(&w->shard[i].mutex, NULL);
        w->shard[i].slot = mem_calloc(w->slots, sizeof(struct slot));
    }
    return w;
}

void window_free(struct window **w)
{
    if (*w == NULL)
        return;
    for (size_t i = 0; i < SHARDS; i++) {
        pthread_mutex_destroy(&(*w)->shard[i].mutex);
        free((*w)->shard[i].slot);
    }
    free(*w);
    *w = NULL;
}

bool window_count(struct window *w, const void *key, size_t len, int64_t interval_ms, int64_t *count, int64_t *left_ms)
{
    uint64_t name[2];
    siphash(w->secret, key, len, name);
    struct shard *shard = &w->shard[name[0] % SHARDS];
    pthread_mutex_lock(&shard->mutex);
    /* read under the lock, so that no thread comes with a window that another one has closed */
    int64_t now_ms = clock_ms();
    int64_t end_ms = sat_add(now_ms - now_ms % interval_ms, interval_ms);
    struct slot *slot = find(w, shard, name, now_ms);
    if (slot != NULL && (slot->name[0] != name[0] || slot->name[1] != name[1] || slot->end_ms != end_ms))
        *slot = (struct slot){.name = {name[0], name[1]}, .end_ms = end_ms, .interval_ms = interval_ms};
    *count = slot != NULL ? ++slot->count : 0;
    pthread_mutex_unlock(&shard->mutex);
    *left_ms = end_ms - now_ms;
    return slot != NULL;
}
