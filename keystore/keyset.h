/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYSET_H
#define KEYSTORE_KEYSET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/jwks.h"
#include "keystore/key.h"
#include "lib/err.h"

/*
 * An immutable set of keys: what a request sees of a key ring. Built whole, published whole, never changed.
 */
struct keyset;

/* One file of the key directory, as `keys list`, health and metrics show it. */
struct keyset_entry {
    char *file;      /* name in the directory */
    struct key *key; /* the key it gave, or gave last (held); NULL when it never gave one */
    enum err reason; /* ERR_OK, or why the file as it is now is refused */
    bool is_held;    /* the key is the last good one although the file is refused or gone */
};

/*
 * Build a set. Takes over entries (n of them, an array from mem_calloc, with its keys and names).
 *   signing    the key that signs, also found by its kid; a reference is taken. NULL: none (for tests of verification)
 *   fallback   tried when the kid's key does not verify, not found by its kid; a reference is taken. May be NULL
 */
struct keyset *keyset_new(struct keyset_entry *entries, size_t n, struct key *signing, struct key *fallback);
void keyset_free(struct keyset **set);

/* The key that signs, or NULL; its kid, header and signature belong together (take one set per request). */
const struct key *keyset_signing(const struct keyset *set);
const struct key *keyset_fallback(const struct keyset *set);

/* The key with this id, or NULL. */
const struct key *keyset_find(const struct keyset *set, int64_t kid);

/* The key whose encoded header is exactly these characters, or NULL: spares parsing the header of our own tokens. */
const struct key *keyset_find_header(const struct keyset *set, const char *header, size_t len);

/* Files in name order. */
size_t keyset_count(const struct keyset *set);
const struct keyset_entry *keyset_entry(const struct keyset *set, size_t i);

/* False when a file is refused or a key is held: the health detail. */
bool keyset_is_clean(const struct keyset *set);

/*
 * The public keys as a JWK Set (RFC 7517 section 5), sorted by kid, and its entity tag with quotes. Made once per set.
 */
const char *keyset_jwks(const struct keyset *set);
const char *keyset_etag(const struct keyset *set);

/*
 * The public keys of two rings as one JWK Set, the first one's before the other's, and a key that both have only once;
 * and its entity tag. Two keys of the same kid are told apart by their type or by trying. The caller frees *json.
 */
void keyset_jwks_both(const struct keyset *set, const struct keyset *other, char **json, char etag[JWKS_ETAG_SIZE]);

#endif
