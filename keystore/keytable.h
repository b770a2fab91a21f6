/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_KEYTABLE_H
#define KEYSTORE_KEYTABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "keystore/key.h"
#include "keystore/keyfile.h"
#include "keystore/keyset.h"
#include "lib/err.h"

/* What a key ring knows of its files after one look: a row a file, sorted by name. */

enum keyslot_role {
    KEYSLOT_FILE,     /* matches the pattern */
    KEYSLOT_DEFAULT,  /* key 0 */
    KEYSLOT_FALLBACK, /* helps to verify, is nobody's kid */
    KEYSLOT_SIGNING,  /* what the signing path names, when that is not there */
};

struct keyslot {
    enum keyslot_role role;
    char *file;      /* name in the key directory, or a path */
    char *path;      /* where it is, when that does not follow from file; else NULL */
    int64_t kid;     /* -1 when the name has none */
    struct key *key; /* what it gave; together with a reason: what it gave last */
    enum err reason; /* why it is refused as it is now. ERR_OK without a key: not decided yet, shown to nobody */
    bool is_loose;   /* keyfile_is_loose() */
    bool is_settled; /* an equal stamp means an equal file */
    struct keyfile_stamp stamp;
    uint8_t digest[KEYFILE_DIGEST_SIZE]; /* of the bytes that gave key */
};

struct keytable {
    struct keyslot *slot;
    size_t n;
};

void keytable_release(struct keytable *table);

/* A new row at the end; file is copied. The pointer is good until the next one. */
struct keyslot *keytable_add(struct keytable *table, enum keyslot_role role, const char *file, int64_t kid);

/* A copy of slot at the end, with its own reference to the key. */
struct keyslot *keytable_copy(struct keytable *table, const struct keyslot *slot);

/* By name, then role: what keytable_find() needs. */
void keytable_sort(struct keytable *table);
struct keyslot *keytable_find(const struct keytable *table, enum keyslot_role role, const char *file);

/* The row whose key has this id and verifies, or NULL; the row of the highest id. */
struct keyslot *keytable_key(const struct keytable *table, int64_t kid);
struct keyslot *keytable_highest(const struct keytable *table);

/* The row that is named for kid, with or without a key, other than `but`; NULL when there is none. */
struct keyslot *keytable_named(const struct keytable *table, int64_t kid, const struct keyslot *but);

/* Whether both say the same to a reader of the set. */
bool keytable_is_same(const struct keytable *a, const struct keytable *b);

/* The rows as keyset_new() takes them. */
struct keyset_entry *keytable_entries(const struct keytable *table, size_t *n);

#endif
