/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keytable.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

static int compare(const void *a, const void *b)
{
    const struct keyslot *x = a, *y = b;
    int order = strcmp(x->file, y->file);
    return order != 0 ? order : (int)x->role - (int)y->role;
}

static bool is_verifying(const struct keyslot *slot)
{
    return slot->key != NULL && (slot->role == KEYSLOT_FILE || slot->role == KEYSLOT_DEFAULT);
}

/*
 * The fallback key is in the set by its own right, not under an id: it is listed only when something is wrong with it.
 */
static bool is_listed(const struct keyslot *slot)
{
    return slot->reason != ERR_OK || is_verifying(slot);
}

static bool is_same_slot(const struct keyslot *a, const struct keyslot *b)
{
    return a->role == b->role && a->kid == b->kid && a->key == b->key && a->reason == b->reason &&
           strcmp(a->file, b->file) == 0;
}

/* The next row from i on that a reader of the set can see anything of. */
static size_t next_decided(const struct keytable *table, size_t i)
{
    while (i < table->n && table->slot[i].key == NULL && table->slot[i].reason == ERR_OK)
        i++;
    return i;
}

static struct keyslot *grow(struct keytable *table)
{
    if ((table->n & (table->n - 1)) == 0)
        table->slot = mem_resize(table->slot, table->n > 0 ? 2 * table->n : 1, sizeof *table->slot);
    return &table->slot[table->n++];
}

void keytable_release(struct keytable *table)
{
    for (size_t i = 0; i < table->n; i++) {
        mem_free(&table->slot[i].file);
        mem_free(&table->slot[i].path);
        key_free(&table->slot[i].key);
    }
    free(table->slot);
    *table = (struct keytable){0};
}

struct keyslot *keytable_add(struct keytable *table, enum keyslot_role role, const char *file, int64_t kid)
{
    struct keyslot *slot = grow(table);
    *slot = (struct keyslot){.role = role, .file = mem_strdup(file), .kid = kid, .reason = ERR_OK};
    return slot;
}

struct keyslot *keytable_copy(struct keytable *table, const struct keyslot *from)
{
    struct keyslot *slot = grow(table);
    *slot = *from;
    slot->file = mem_strdup(from->file);
    slot->path = mem_strdup(from->path);
    slot->key = from->key == NULL ? NULL : key_ref(from->key);
    return slot;
}

void keytable_sort(struct keytable *table)
{
    if (table->n > 1)
        qsort(table->slot, table->n, sizeof *table->slot, compare);
}

struct keyslot *keytable_find(const struct keytable *table, enum keyslot_role role, const char *file)
{
    struct keyslot wanted = {.role = role, .file = (char *)(uintptr_t)file};
    return table->n == 0 ? NULL : bsearch(&wanted, table->slot, table->n, sizeof wanted, compare);
}

struct keyslot *keytable_key(const struct keytable *table, int64_t kid)
{
    for (size_t i = 0; i < table->n; i++)
        if (table->slot[i].kid == kid && is_verifying(&table->slot[i]))
            return &table->slot[i];
    return NULL;
}

struct keyslot *keytable_highest(const struct keytable *table)
{
    struct keyslot *highest = NULL;
    for (size_t i = 0; i < table->n; i++)
        if (is_verifying(&table->slot[i]) && (highest == NULL || table->slot[i].kid > highest->kid))
            highest = &table->slot[i];
    return highest;
}

struct keyslot *keytable_named(const struct keytable *table, int64_t kid, const struct keyslot *but)
{
    for (size_t i = 0; i < table->n; i++) {
        struct keyslot *slot = &table->slot[i];
        if (slot != but && slot->kid == kid && (slot->role == KEYSLOT_FILE || slot->role == KEYSLOT_DEFAULT))
            return slot;
    }
    return NULL;
}

bool keytable_is_same(const struct keytable *a, const struct keytable *b)
{
    size_t i = next_decided(a, 0), j = next_decided(b, 0);
    for (; i < a->n && j < b->n; i = next_decided(a, i + 1), j = next_decided(b, j + 1))
        if (!is_same_slot(&a->slot[i], &b->slot[j]))
            return false;
    return i == a->n && j == b->n;
}

struct keyset_entry *keytable_entries(const struct keytable *table, size_t *n)
{
    struct keyset_entry *entries = mem_calloc(table->n, sizeof *entries);
    *n = 0;
    for (size_t i = 0; i < table->n; i++) {
        const struct keyslot *slot = &table->slot[i];
        if (!is_listed(slot))
            continue;
        struct key *key = is_verifying(slot) ? key_ref(slot->key) : NULL;
        entries[(*n)++] = (struct keyset_entry){
            .file = mem_strdup(slot->file),
            .key = key,
            .reason = slot->reason,
            .is_held = slot->key != NULL && slot->reason != ERR_OK,
        };
    }
    return entries;
}
