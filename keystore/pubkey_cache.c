/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/pubkey_cache.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/mem.h"

enum { WAYS = 8 };

struct entry {
    uint8_t digest[JWS_DIGEST_SIZE];
    struct pubkey *key; /* NULL: free */
    bool was_asked;     /* since the hand passed it */
};

struct bucket {
    _Alignas(64) pthread_mutex_t mutex;
    size_t hand;
    struct entry entry[WAYS];
};

struct pubkey_cache {
    int rsa_bits_min;
    size_t buckets;
    struct bucket *bucket;
};

/* The digest is as good as random, so a part of it chooses the bucket. */
static struct bucket *bucket_of(const struct pubkey_cache *cache, const uint8_t digest[JWS_DIGEST_SIZE])
{
    uint32_t word = 0;
    memcpy(&word, digest, sizeof word);
    return &cache->bucket[((uint64_t)word * cache->buckets) >> 32];
}

static struct entry *find(struct bucket *bucket, const uint8_t digest[JWS_DIGEST_SIZE])
{
    for (size_t i = 0; i < WAYS; i++) {
        struct entry *entry = &bucket->entry[i];
        if (entry->key != NULL && memcmp(entry->digest, digest, JWS_DIGEST_SIZE) == 0)
            return entry;
    }
    return NULL;
}

/* A free place, or that of the next key that was not asked for since the hand was there last. */
static struct entry *place(struct bucket *bucket)
{
    for (;;) {
        struct entry *entry = &bucket->entry[bucket->hand];
        bucket->hand = (bucket->hand + 1) % WAYS;
        if (entry->key == NULL || !entry->was_asked)
            return entry;
        entry->was_asked = false;
    }
}

/* Another reference to the key of this digest, or NULL. */
static struct pubkey *take(struct pubkey_cache *cache, const uint8_t digest[JWS_DIGEST_SIZE])
{
    if (cache->buckets == 0)
        return NULL;
    struct bucket *bucket = bucket_of(cache, digest);
    struct pubkey *key = NULL;
    pthread_mutex_lock(&bucket->mutex);
    struct entry *entry = find(bucket, digest);
    if (entry != NULL) {
        entry->was_asked = true;
        key = pubkey_ref(entry->key);
    }
    pthread_mutex_unlock(&bucket->mutex);
    return key;
}

static void keep(struct pubkey_cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], struct pubkey *key)
{
    if (cache->buckets == 0)
        return;
    struct bucket *bucket = bucket_of(cache, digest);
    struct pubkey *gone = NULL;
    pthread_mutex_lock(&bucket->mutex);
    if (find(bucket, digest) == NULL) {
        struct entry *entry = place(bucket);
        gone = entry->key;
        *entry = (struct entry){.key = pubkey_ref(key)};
        memcpy(entry->digest, digest, JWS_DIGEST_SIZE);
    }
    pthread_mutex_unlock(&bucket->mutex);
    pubkey_free(&gone);
}

struct pubkey_cache *pubkey_cache_new(size_t entries, int rsa_bits_min)
{
    struct pubkey_cache *cache = mem_calloc(1, sizeof *cache);
    cache->rsa_bits_min = rsa_bits_min;
    cache->buckets = entries / WAYS + (entries % WAYS != 0);
    if (cache->buckets == 0)
        return cache;
    if (cache->buckets > SIZE_MAX / sizeof *cache->bucket)
        abort();
    cache->bucket = aligned_alloc(_Alignof(struct bucket), cache->buckets * sizeof *cache->bucket);
    if (cache->bucket == NULL)
        abort();
    memset(cache->bucket, 0, cache->buckets * sizeof *cache->bucket);
    for (size_t i = 0; i < cache->buckets; i++)
        pthread_mutex_init(&cache->bucket[i].mutex, NULL);
    return cache;
}

void pubkey_cache_free(struct pubkey_cache **cache)
{
    if (*cache == NULL)
        return;
    for (size_t i = 0; i < (*cache)->buckets; i++) {
        struct bucket *bucket = &(*cache)->bucket[i];
        for (size_t way = 0; way < WAYS; way++)
            pubkey_free(&bucket->entry[way].key);
        pthread_mutex_destroy(&bucket->mutex);
    }
    free((*cache)->bucket);
    free(*cache);
    *cache = NULL;
}

enum err pubkey_cache_get(struct pubkey_cache *cache, const char *pem, size_t len, char why[PUBKEY_WHY_SIZE],
                          struct pubkey **out)
{
    uint8_t digest[JWS_DIGEST_SIZE];
    jws_digest(pem, len, digest);
    struct pubkey *key = take(cache, digest);
    if (key == NULL) {
        TRY(pubkey_parse(pem, len, cache->rsa_bits_min, why, &key));
        keep(cache, digest, key);
    }
    *out = key;
    return ERR_OK;
}

size_t pubkey_cache_count(struct pubkey_cache *cache)
{
    size_t count = 0;
    for (size_t i = 0; i < cache->buckets; i++) {
        struct bucket *bucket = &cache->bucket[i];
        pthread_mutex_lock(&bucket->mutex);
        for (size_t way = 0; way < WAYS; way++)
            count += bucket->entry[way].key != NULL;
        pthread_mutex_unlock(&bucket->mutex);
    }
    return count;
}
