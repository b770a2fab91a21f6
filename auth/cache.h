/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_CACHE_H
#define AUTH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/issuer.h"
#include "keystore/jws.h"

/*
 * Tokens whose signatures were good, by the digest of their exact bytes: the issuer's memory. Bounded in number and in
 * memory; what is full gives up entries that were not asked for lately. Any thread may call. A NULL cache remembers
 * nothing.
 */
struct cache;

/* The keys behind a token: what is remembered of the token is void without them. */
struct cache_key {
    int64_t kid;     /* that the token asks for */
    uint64_t serial; /* of the key that verified it */
};

/* Room for that many tokens, in that many bytes (0: any); memory is taken as they come. NULL for 0 entries. */
struct cache *cache_new(size_t entries, size_t bytes);
void cache_free(struct cache **cache);

/*
 * Look a token up, with its claims and what is known of its liveness; false, and nothing is written, when it is not
 * there. Never allocates.
 */
bool cache_find(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], struct issuer_token *token,
                struct cache_key *key);

/* Remember a token, in place of what was known of the same one. */
void cache_insert(struct cache *cache, const struct issuer_token *token, const struct cache_key *key);

/* Note that a token, if it is still here, was found alive. */
void cache_set_found(struct cache *cache, const uint8_t digest[JWS_DIGEST_SIZE], const struct liveness_found *found);

/* Forget the tokens that are not usable any more: by their exp, in seconds, and by their key. */
void cache_tidy(struct cache *cache, bool (*is_usable)(int64_t exp, const struct cache_key *key, const void *arg),
                const void *arg);

#endif
