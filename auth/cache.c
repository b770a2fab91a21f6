/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/metrics.h"

METRICS_COUNTER(hits, "mintd_token_cache_hits_total", "", "Tokens that were found in the cache.");
METRICS_COUNTER(misses, "mintd_token_cache_misses_total", "", "Tokens that were not.");
METRICS_COUNTER(evictions, "mintd_token_cache_evictions_total", "", "Tokens given up to make room for others.");
METRICS_GAUGE(bytes_used, "mintd_token_cache_bytes", "", "Memory that the tokens in the cache take.");
METRICS_GAUGE(entries_used, "mintd_token_cache_entries", "", "Tokens in the cache.");

/* Places in a bucket, buckets where a token can be, and locks that the buckets share. */
#define WAYS 8
#define CHOICES 2
#define LOCKS 64

/* What the allocator takes beside what it was asked for, about. */
#define MALLOC_OVERHEAD 16

static const size_t texts[] = {
    offsetof(struct claims, jti), offsetof(struct claims, sub), offsetof(struct claims, tenant),
    offsetof(struct claims, scp), offsetof(struct claims, iss),
};
#define TEXTS (sizeof texts / sizeof *texts)

/* A token, packed: struct claims is mostly unused room. */
struct entry {
    uint8_t digest[JWS_DIGEST_SIZE];
    struct cache_key key;
    int64_t exp, iat, nbf;
    struct liveness_found found;
    bool is_user, is_device;
    uint16_t len[TEXTS]; /* with the NUL */
    char text[];
};

/* A tag is a part of the digest: it spares looking at entries that are not meant. */
struct bucket {
    uint32_t tag[WAYS];
    struct entry *entry[WAYS];
    uint8_t asked; /* a bit for each entry that was found since the hand passed it */
    uint8_t hand;
};

/* A share of the buckets, every LOCKS-th, and of the memory. */
struct lock {
    _Alignas(64) pthread_mutex_t mutex;
    size_t bytes;
    size_t hand; /* the bucket where room was made last */
};

struct cache {
    size_t buckets;
    size_t ways;      /* fewer than WAYS only in a tiny cache */
    size_t bytes_max; /* of a share */
    struct bucket *bucket;
    struct lock lock[LOCKS];
};

/* A bucket that this thread has locked. */
struct held {
    struct bucket *bucket;
    struct lock *lock;
    uint32_t tag;
};

static uint32_t word(const uint8_t digest[JWS_DIGEST_SIZE], size_t i)
{
    uint32_t value = 0;
    memcpy(&value, digest + i * sizeof value, sizeof value);
    return value;
}

/*
 * The digest is as good as random: two parts of it choose a first and a second bucket, a third is the tag. With two
 * to choose from, hardly any bucket is full before all are.
 */
static struct held hold(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], size_t choice)
{
    size_t i = (size_t)(((uint64_t)word(digest, choice) * cache->buckets) >> 32);
    struct held held = {&cache->bucket[i], &cache->lock[i % LOCKS], word(digest, CHOICES)};
    pthread_mutex_lock(&held.lock->mutex);
    return held;
}

static void let_go(const struct held *held)
{
    pthread_mutex_unlock(&held->lock->mutex);
}

/* The place of a digest, or WAYS. */
static size_t place_of(const struct held *held, const uint8_t digest[JWS_DIGEST_SIZE])
{
    for (size_t i = 0; i < WAYS; i++) {
        const struct entry *entry = held->bucket->entry[i];
        if (held->bucket->tag[i] == held->tag && entry != NULL && memcmp(entry->digest, digest, JWS_DIGEST_SIZE) == 0)
            return i;
    }
    return WAYS;
}

static size_t size_of(const struct entry *entry)
{
    size_t size = sizeof *entry + MALLOC_OVERHEAD;
    for (size_t i = 0; i < TEXTS; i++)
        size += entry->len[i];
    return size;
}

/* Put an entry (NULL: none) into a place. The lock is held; the caller frees what was there. */
static struct entry *swap(struct lock *lock, struct bucket *bucket, size_t i, struct entry *entry)
{
    struct entry *gone = bucket->entry[i];
    size_t more = entry != NULL ? size_of(entry) : 0;
    size_t less = gone != NULL ? size_of(gone) : 0;
    bucket->entry[i] = entry;
    lock->bytes += more - less;
    metrics_add(&bytes_used, (int64_t)more - (int64_t)less);
    metrics_add(&entries_used, (entry != NULL) - (gone != NULL));
    return gone;
}

/* Go on from share's bucket to bucket, and give up what was not asked for since the last time round. */
static void make_room(struct cache *cache, struct lock *lock, size_t size)
{
    size_t share = (size_t)(lock - cache->lock);
    while (lock->bytes > 0 && size > cache->bytes_max - lock->bytes) {
        lock->hand = lock->hand + LOCKS < cache->buckets ? lock->hand + LOCKS : share;
        struct bucket *bucket = &cache->bucket[lock->hand];
        for (size_t i = 0; i < WAYS; i++) {
            if (bucket->entry[i] == NULL || (bucket->asked & 1U << i) != 0)
                continue;
            free(swap(lock, bucket, i, NULL));
            metrics_add(&evictions, 1);
        }
        bucket->asked = 0;
    }
}

/* A free place, or that of the next entry that was not asked for since the hand was there last. */
static size_t place_for_new(const struct cache *cache, struct bucket *bucket)
{
    for (size_t i = 0; i < cache->ways; i++) {
        if (bucket->entry[i] == NULL)
            return i;
    }
    for (;;) {
        size_t i = bucket->hand;
        uint8_t bit = (uint8_t)(1U << i);
        bucket->hand = (uint8_t)(i + 1 < cache->ways ? i + 1 : 0);
        if ((bucket->asked & bit) == 0)
            return i;
        bucket->asked &= (uint8_t)~bit;
    }
}

/*
 * Where to insert a digest: the bucket that has it, or the emptier one. One lock at a time: two threads with one
 * token may put it into both, which costs a place and nothing else.
 */
static size_t choose(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE])
{
    size_t best = 0, least = WAYS;
    for (size_t choice = 0; choice < CHOICES; choice++) {
        size_t count = 0;
        struct held held = hold(cache, digest, choice);
        bool is_here = place_of(&held, digest) < WAYS;
        for (size_t i = 0; i < WAYS; i++)
            count += held.bucket->entry[i] != NULL;
        let_go(&held);
        if (is_here)
            return choice;
        if (count < least) {
            least = count;
            best = choice;
        }
    }
    return best;
}

static struct entry *pack(const struct issuer_token *token, const struct cache_key *key)
{
    size_t len[TEXTS], total = 0;
    for (size_t i = 0; i < TEXTS; i++)
        total += len[i] = strlen((const char *)&token->claims + texts[i]) + 1;
    struct entry *entry = mem_calloc(1, sizeof *entry + total);
    *entry = (struct entry){
        .key = *key,
        .exp = token->claims.exp,
        .iat = token->claims.iat,
        .nbf = token->claims.nbf,
        .found = token->found,
        .is_user = token->claims.is_user,
        .is_device = token->claims.is_device,
    };
    memcpy(entry->digest, token->digest, sizeof entry->digest);
    char *p = entry->text;
    for (size_t i = 0; i < TEXTS; i++) {
        entry->len[i] = (uint16_t)len[i];
        memcpy(p, (const char *)&token->claims + texts[i], len[i]);
        p += len[i];
    }
    return entry;
}

static void unpack(const struct entry *entry, struct issuer_token *token)
{
    const char *p = entry->text;
    for (size_t i = 0; i < TEXTS; i++) {
        memcpy((char *)&token->claims + texts[i], p, entry->len[i]);
        p += entry->len[i];
    }
    token->claims.exp = entry->exp;
    token->claims.iat = entry->iat;
    token->claims.nbf = entry->nbf;
    token->claims.is_user = entry->is_user;
    token->claims.is_device = entry->is_device;
    memcpy(token->digest, entry->digest, sizeof token->digest);
    token->found = entry->found;
}

struct cache *cache_new(size_t entries, size_t bytes)
{
    if (entries == 0)
        return NULL;
    struct cache *cache = aligned_alloc(_Alignof(struct cache), sizeof *cache);
    if (cache == NULL)
        abort();
    cache->ways = entries < WAYS ? entries : WAYS;
    cache->buckets = entries / cache->ways;
    cache->bucket = mem_calloc(cache->buckets, sizeof *cache->bucket);
    cache->bytes_max = bytes > 0 ? bytes / (cache->buckets < LOCKS ? cache->buckets : LOCKS) : SIZE_MAX;
    for (size_t i = 0; i < LOCKS; i++) {
        cache->lock[i].bytes = 0;
        cache->lock[i].hand = i;
        pthread_mutex_init(&cache->lock[i].mutex, NULL);
    }
    return cache;
}

static bool is_never(int64_t exp, const struct cache_key *key, const void *arg)
{
    (void)exp, (void)key, (void)arg;
    return false;
}

void cache_free(struct cache **cache)
{
    if (*cache == NULL)
        return;
    cache_tidy(*cache, is_never, NULL);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_destroy(&(*cache)->lock[i].mutex);
    free((*cache)->bucket);
    free(*cache);
    *cache = NULL;
}

bool cache_find(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], struct issuer_token *token,
                struct cache_key *key)
{
    if (cache == NULL)
        return false;
    for (size_t choice = 0; choice < CHOICES; choice++) {
        struct held held = hold(cache, digest, choice);
        size_t i = place_of(&held, digest);
        if (i < WAYS) {
            held.bucket->asked |= (uint8_t)(1U << i);
            unpack(held.bucket->entry[i], token);
            *key = held.bucket->entry[i]->key;
        }
        let_go(&held);
        if (i < WAYS) {
            metrics_add(&hits, 1);
            return true;
        }
    }
    metrics_add(&misses, 1);
    return false;
}

void cache_insert(struct cache *cache, const struct issuer_token *token, const struct cache_key *key)
{
    if (cache == NULL)
        return;
    struct entry *entry = pack(token, key);
    struct held held = hold(cache, token->digest, choose(cache, token->digest));
    make_room(cache, held.lock, size_of(entry));
    size_t i = place_of(&held, token->digest);
    bool is_new = i == WAYS;
    if (is_new)
        i = place_for_new(cache, held.bucket);
    struct entry *gone = swap(held.lock, held.bucket, i, entry);
    held.bucket->tag[i] = held.tag;
    let_go(&held);
    if (is_new && gone != NULL)
        metrics_add(&evictions, 1);
    free(gone);
}

void cache_set_found(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], const struct liveness_found *found)
{
    if (cache == NULL)
        return;
    for (size_t choice = 0; choice < CHOICES; choice++) {
        struct held held = hold(cache, digest, choice);
        size_t i = place_of(&held, digest);
        if (i < WAYS)
            held.bucket->entry[i]->found = *found;
        let_go(&held);
    }
}

void cache_tidy(struct cache *cache, bool (*is_usable)(int64_t exp, const struct cache_key *key, const void *arg),
                const void *arg)
{
    for (size_t i = 0; cache != NULL && i < cache->buckets; i++) {
        struct lock *lock = &cache->lock[i % LOCKS];
        pthread_mutex_lock(&lock->mutex);
        for (size_t way = 0; way < WAYS; way++) {
            const struct entry *entry = cache->bucket[i].entry[way];
            if (entry != NULL && !is_usable(entry->exp, &entry->key, arg))
                free(swap(lock, &cache->bucket[i], way, NULL));
        }
        pthread_mutex_unlock(&lock->mutex);
    }
}
