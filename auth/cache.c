/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/cache.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* Places in a bucket, buckets where a token can be, and locks that the buckets share. */
#define WAYS 8
#define CHOICES 2
#define LOCKS 64

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
    int64_t alive_until_ms;
    uint64_t epoch;
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

struct lock {
    _Alignas(64) pthread_mutex_t mutex;
};

struct cache {
    size_t buckets;
    size_t ways; /* fewer than WAYS only in a tiny cache */
    struct bucket *bucket;
    struct lock lock[LOCKS];
};

/* A bucket that this thread has locked. */
struct held {
    struct bucket *bucket;
    pthread_mutex_t *mutex;
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
    struct held held = {&cache->bucket[i], &cache->lock[i % LOCKS].mutex, word(digest, CHOICES)};
    pthread_mutex_lock(held.mutex);
    return held;
}

static void let_go(const struct held *held)
{
    pthread_mutex_unlock(held->mutex);
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
        .alive_until_ms = token->alive_until_ms,
        .epoch = token->epoch,
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
    token->alive_until_ms = entry->alive_until_ms;
    token->epoch = entry->epoch;
}

struct cache *cache_new(size_t entries)
{
    if (entries == 0)
        return NULL;
    struct cache *cache = aligned_alloc(_Alignof(struct cache), sizeof *cache);
    if (cache == NULL)
        abort();
    cache->ways = entries < WAYS ? entries : WAYS;
    cache->buckets = entries / cache->ways;
    cache->bucket = mem_calloc(cache->buckets, sizeof *cache->bucket);
    for (size_t i = 0; i < LOCKS; i++)
        pthread_mutex_init(&cache->lock[i].mutex, NULL);
    return cache;
}

void cache_free(struct cache **cache)
{
    if (*cache == NULL)
        return;
    for (size_t i = 0; i < (*cache)->buckets; i++) {
        for (size_t way = 0; way < WAYS; way++)
            free((*cache)->bucket[i].entry[way]);
    }
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
        if (i < WAYS)
            return true;
    }
    return false;
}

void cache_insert(struct cache *cache, const struct issuer_token *token, const struct cache_key *key)
{
    if (cache == NULL)
        return;
    struct entry *entry = pack(token, key);
    struct held held = hold(cache, token->digest, choose(cache, token->digest));
    size_t i = place_of(&held, token->digest);
    if (i == WAYS)
        i = place_for_new(cache, held.bucket);
    struct entry *gone = held.bucket->entry[i];
    held.bucket->entry[i] = entry;
    held.bucket->tag[i] = held.tag;
    let_go(&held);
    free(gone);
}

void cache_set_alive(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], int64_t until_ms, uint64_t epoch)
{
    if (cache == NULL)
        return;
    for (size_t choice = 0; choice < CHOICES; choice++) {
        struct held held = hold(cache, digest, choice);
        size_t i = place_of(&held, digest);
        if (i < WAYS) {
            held.bucket->entry[i]->alive_until_ms = until_ms;
            held.bucket->entry[i]->epoch = epoch;
        }
        let_go(&held);
    }
}
