/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyset.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"

struct keyset {
    struct keyset_entry *entries; /* by name */
    size_t entries_count;
    struct key *signing;
    struct key *fallback;
    const struct key **by_kid;
    const struct key **by_header;
    size_t keys_count;
    char *jwks;
    char etag[JWKS_ETAG_SIZE];
};

struct header {
    const char *text;
    size_t len;
};

static int compare_entries(const void *a, const void *b)
{
    const struct keyset_entry *x = a, *y = b;
    return strcmp(x->file, y->file);
}

static int compare_kid(int64_t kid, const struct key *key)
{
    return (kid > key_kid(key)) - (kid < key_kid(key));
}

static int find_kid(const void *kid, const void *slot)
{
    return compare_kid(*(const int64_t *)kid, *(const struct key *const *)slot);
}

static int sort_kid(const void *a, const void *b)
{
    return compare_kid(key_kid(*(const struct key *const *)a), *(const struct key *const *)b);
}

/* Any order will do, as long as it is one. */
static int compare_header(const struct header *header, const char *other)
{
    size_t len = strlen(other);
    if (header->len != len)
        return header->len < len ? -1 : 1;
    return memcmp(header->text, other, len);
}

static int find_header(const void *header, const void *slot)
{
    return compare_header(header, key_header(*(const struct key *const *)slot));
}

static int sort_header(const void *a, const void *b)
{
    const char *text = key_header(*(const struct key *const *)a);
    return compare_header(&(struct header){text, strlen(text)}, key_header(*(const struct key *const *)b));
}

static const struct key *find(const void *what, const struct key *const *keys, size_t n,
                              int (*compare)(const void *, const void *))
{
    const struct key *const *slot = n > 0 ? bsearch(what, keys, n, sizeof(struct key *), compare) : NULL;
    return slot != NULL ? *slot : NULL;
}

/* Each kid once, in order; the signing key is among them even when no file stands for it any more. */
static void collect_keys(struct keyset *set)
{
    size_t n = 0;
    const struct key **keys = mem_calloc(set->entries_count + 1, sizeof(struct key *));
    if (set->signing != NULL)
        keys[n++] = set->signing;
    for (size_t i = 0; i < set->entries_count; i++) {
        const struct key *key = set->entries[i].key;
        if (key != NULL && (set->signing == NULL || key_kid(key) != key_kid(set->signing)))
            keys[n++] = key;
    }
    qsort(keys, n, sizeof(struct key *), sort_kid);
    for (size_t i = 0; i < n; i++)
        if (set->keys_count == 0 || key_kid(keys[set->keys_count - 1]) != key_kid(keys[i]))
            keys[set->keys_count++] = keys[i];
    set->by_kid = keys;
}

static void index_headers(struct keyset *set)
{
    set->by_header = mem_calloc(set->keys_count, sizeof(struct key *));
    for (size_t i = 0; i < set->keys_count; i++)
        set->by_header[i] = set->by_kid[i];
    qsort(set->by_header, set->keys_count, sizeof(struct key *), sort_header);
}

struct keyset *keyset_new(struct keyset_entry *entries, size_t n, struct key *signing, struct key *fallback)
{
    struct keyset *set = mem_calloc(1, sizeof *set);
    set->entries = entries;
    set->entries_count = n;
    set->signing = key_ref(signing);
    set->fallback = key_ref(fallback);
    if (n > 0)
        qsort(entries, n, sizeof *entries, compare_entries);
    collect_keys(set);
    index_headers(set);
    jwks_write(set->by_kid, set->keys_count, &set->jwks, set->etag);
    return set;
}

void keyset_free(struct keyset **set)
{
    struct keyset *old = MOVE(*set);
    if (old == NULL)
        return;
    for (size_t i = 0; i < old->entries_count; i++) {
        mem_free(&old->entries[i].file);
        key_free(&old->entries[i].key);
    }
    free(old->entries);
    key_free(&old->signing);
    key_free(&old->fallback);
    free(old->by_kid);
    free(old->by_header);
    mem_free(&old->jwks);
    free(old);
}

const struct key *keyset_signing(const struct keyset *set)
{
    return set->signing;
}

const struct key *keyset_fallback(const struct keyset *set)
{
    return set->fallback;
}

const struct key *keyset_find(const struct keyset *set, int64_t kid)
{
    return find(&kid, set->by_kid, set->keys_count, find_kid);
}

const struct key *keyset_find_header(const struct keyset *set, const char *header, size_t len)
{
    return find(&(struct header){header, len}, set->by_header, set->keys_count, find_header);
}

size_t keyset_count(const struct keyset *set)
{
    return set->entries_count;
}

const struct keyset_entry *keyset_entry(const struct keyset *set, size_t i)
{
    return &set->entries[i];
}

bool keyset_is_clean(const struct keyset *set)
{
    for (size_t i = 0; i < set->entries_count; i++)
        if (set->entries[i].reason != ERR_OK || set->entries[i].is_held)
            return false;
    return true;
}

const char *keyset_jwks(const struct keyset *set)
{
    return set->jwks;
}

const char *keyset_etag(const struct keyset *set)
{
    return set->etag;
}

static bool has_key(const struct keyset *set, const struct key *key)
{
    const struct key *twin = keyset_find(set, key_kid(key));
    return twin != NULL && strcmp(key_thumbprint(twin), key_thumbprint(key)) == 0;
}

void keyset_jwks_both(const struct keyset *set, const struct keyset *other, char **json, char etag[JWKS_ETAG_SIZE])
{
    size_t n = 0;
    const struct key **keys = mem_calloc(set->keys_count + other->keys_count, sizeof(struct key *));
    for (size_t i = 0; i < set->keys_count; i++)
        keys[n++] = set->by_kid[i];
    for (size_t i = 0; i < other->keys_count; i++)
        if (!has_key(set, other->by_kid[i]))
            keys[n++] = other->by_kid[i];
    jwks_write(keys, n, json, etag);
    free(keys);
}
