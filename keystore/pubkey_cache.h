/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_PUBKEY_CACHE_H
#define KEYSTORE_PUBKEY_CACHE_H

#include <stddef.h>

#include "keystore/pubkey.h"
#include "lib/err.h"

/*
 * Public keys that were parsed, by the digest of their exact text, so that a device that asks again costs no parsing
 * and no setting up. Bounded: a full bucket gives up a key that was not asked for lately. Any thread may call.
 */
struct pubkey_cache;

/* Keys that a cache has room for when nothing else is known; one takes about 8 KiB. */
#define PUBKEY_CACHE_ENTRIES 1024

/*
 *   entries       room for that many keys, rounded up to whole buckets; 0 remembers nothing
 *   rsa_bits_min  what its keys must have, see pubkey_parse()
 */
struct pubkey_cache *pubkey_cache_new(size_t entries, int rsa_bits_min);
void pubkey_cache_free(struct pubkey_cache **cache);

/*
 * pubkey_parse(), or the key that the same text gave before. The caller gives *out back with pubkey_free().
 * The errors of pubkey_parse(); they are not remembered
 */
enum err pubkey_cache_get(struct pubkey_cache *cache, const char *pem, size_t len, char why[PUBKEY_WHY_SIZE],
                          struct pubkey **out);

/* Keys in it now. */
size_t pubkey_cache_count(struct pubkey_cache *cache);

#endif
