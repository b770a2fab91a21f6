/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/keyring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/hazard.h"
#include "keystore/keyname.h"
#include "keystore/keyring_log.h"
#include "keystore/keyscan.h"
#include "keystore/keytable.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/match.h"
#include "lib/mem.h"

struct keyring {
    struct keyring_config config;
    struct keyring_alg *algs;
    char *dir;
    struct match *pattern;
    _Atomic(void *) current; /* struct keyset */
    _Atomic uint64_t generation;
    _Atomic int64_t reloads[KEYRING_RESULTS];
    _Atomic int64_t last_success_s;

    pthread_mutex_t lock;         /* one reload at a time; what follows is its own */
    struct keytable table;        /* what the last look gave */
    struct key *signing;          /* borrowed from table */
    struct keyname_target target; /* what signing_path named last; path NULL: no signing_path */
    struct keyset **retired;      /* replaced, but a reader may still hold them */
    size_t retired_n;
    enum err fault; /* of the last reload: told once */
    bool is_loose_dir, is_near_limit;
};

static bool is_set(const char *path)
{
    return path != NULL && *path != '\0';
}

static void count(struct keyring *ring, enum keyring_result result)
{
    ring->reloads[result]++;
    if (result != KEYRING_FAILED)
        ring->last_success_s = clock_s();
}

/* sets */

static void free_retired(struct keyring *ring)
{
    size_t kept = 0;
    for (size_t i = 0; i < ring->retired_n; i++)
        if (hazard_is_held(ring->retired[i]))
            ring->retired[kept++] = ring->retired[i];
        else
            keyset_free(&ring->retired[i]);
    ring->retired_n = kept;
}

static void publish(struct keyring *ring)
{
    struct key *fallback = NULL;
    for (size_t i = 0; i < ring->table.n; i++)
        if (ring->table.slot[i].role == KEYSLOT_FALLBACK)
            fallback = ring->table.slot[i].key;
    size_t n;
    struct keyset_entry *entries = keytable_entries(&ring->table, &n);
    void *old = atomic_exchange(&ring->current, keyset_new(entries, n, ring->signing, fallback));
    atomic_fetch_add(&ring->generation, 1);
    if (old == NULL)
        return;
    ring->retired = mem_resize(ring->retired, ring->retired_n + 1, sizeof(struct keyset *));
    ring->retired[ring->retired_n++] = old;
    free_retired(ring);
}

/* Make next the ring's table, and a set of it when it says anything new. */
static bool commit(struct keyring *ring, struct keytable *next, struct key *signing)
{
    struct keytable old = ring->table;
    bool is_new_signer = signing != ring->signing;
    bool is_new = is_new_signer || !keytable_is_same(&old, next);
    ring->table = *next;
    *next = (struct keytable){0};
    ring->signing = signing;
    if (is_new)
        publish(ring);
    keyring_log_changes(ring->config.name, &old, &ring->table);
    if (is_new_signer)
        keyring_log_signing(ring->config.name, &ring->table, signing);
    keytable_release(&old);
    return is_new;
}

/* looking */

static bool is_path_mode(const struct keyring *ring)
{
    return is_set(ring->config.signing_path);
}

static enum err follow_signing_path(struct keyring *ring)
{
    if (!is_path_mode(ring))
        return ERR_OK;
    struct keyname_target target;
    TRY(keyname_follow(ring->pattern, ring->config.signing_path, &target));
    keyname_release(&ring->target);
    ring->target = target;
    return ERR_OK;
}

static void warn_of_limit(struct keyring *ring, const struct keytable *table)
{
    size_t files = 0;
    for (size_t i = 0; i < table->n; i++)
        files += table->slot[i].role == KEYSLOT_FILE;
    bool is_near = files * 10 >= ring->config.keys_max * 8;
    if (is_near && !ring->is_near_limit)
        keyring_log_limit(ring->config.name, files, ring->config.keys_max);
    ring->is_near_limit = is_near;
}

static enum err look(struct keyring *ring, bool is_first, struct keytable *out)
{
    struct keyscan scan = {
        .config = &ring->config,
        .pattern = ring->pattern,
        .dir = ring->dir,
        .signing = is_path_mode(ring) ? &ring->target : NULL,
        .is_first = is_first,
    };
    bool is_loose_dir;
    TRY(keyscan_run(&scan, &ring->table, out, &is_loose_dir));
    if (is_loose_dir && !ring->is_loose_dir)
        keyring_log_loose_dir(ring->config.name, ring->dir);
    ring->is_loose_dir = is_loose_dir;
    warn_of_limit(ring, out);
    return ERR_OK;
}

static const struct keyslot *signer(const struct keyring *ring, const struct keytable *table)
{
    return is_path_mode(ring) ? keytable_key(table, ring->target.kid) : keytable_highest(table);
}

/* holding on */

/* Keep the key that old gave, although its file does not any more. */
static void carry(struct keytable *next, const struct keyslot *old, enum err reason)
{
    struct keyslot *slot = keytable_find(next, old->role, old->file);
    if (slot == NULL) {
        slot = keytable_copy(next, old);
        slot->reason = reason;
    } else if (slot->key == NULL) {
        slot->key = key_ref(old->key);
        memcpy(slot->digest, old->digest, sizeof slot->digest);
    }
    slot->is_settled = false;
    keytable_sort(next);
}

/* What could not be looked at stays as it was known; of files that are gone only the keys do. */
static void carry_all(const struct keyring *ring, struct keytable *next, enum err reason)
{
    for (size_t i = 0; i < ring->table.n; i++) {
        const struct keyslot *old = &ring->table.slot[i];
        if (old->key != NULL)
            carry(next, old, reason);
        else if (reason != ERR_KEY_MISSING)
            keytable_copy(next, old);
    }
    keytable_sort(next);
}

/* An empty directory is a mount that is gone, or an accident; nobody asks for a service without keys that way. */
static bool is_emptied(const struct keytable *table)
{
    for (size_t i = 0; i < table->n; i++)
        if (strchr(table->slot[i].file, '/') == NULL && table->slot[i].role != KEYSLOT_FALLBACK)
            return false;
    return true;
}

/* Show what is wrong with the signing path when no row of the table does. */
static void add_signing_fault(const struct keyring *ring, struct keytable *next, enum err followed)
{
    const char *file = keyname_base(followed == ERR_OK ? ring->target.path : ring->config.signing_path);
    bool is_shown = followed == ERR_OK ? keytable_named(next, ring->target.kid, NULL) != NULL
                                       : keytable_find(next, KEYSLOT_DEFAULT, file) != NULL;
    if (is_shown)
        return;
    keytable_add(next, KEYSLOT_SIGNING, file, -1)->reason = followed == ERR_OK ? ERR_KEY_MISSING : followed;
    keytable_sort(next);
}

/* The key that signs after this look: the one asked for, else the one that did so far. */
static struct key *choose_signer(const struct keyring *ring, struct keytable *next, enum err followed)
{
    const struct keyslot *slot = signer(ring, next);
    bool is_as_asked = followed == ERR_OK && slot != NULL;
    int64_t kid = slot != NULL ? slot->kid : key_kid(ring->signing);
    if (keytable_key(next, kid) == NULL)
        carry(next, keytable_key(&ring->table, kid), ERR_KEY_MISSING);
    if (!is_as_asked)
        add_signing_fault(ring, next, followed);
    return keytable_key(next, kid)->key;
}

/* opening */

static struct keyring_config copy_config(const struct keyring_config *from, struct keyring_alg **algs)
{
    struct keyring_config copy = *from;
    copy.name = mem_strdup(from->name);
    copy.dir = NULL;
    copy.signing_path = mem_strdup(from->signing_path);
    copy.default_path = mem_strdup(from->default_path);
    copy.fallback_path = mem_strdup(from->fallback_path);
    copy.pattern = mem_strdup(from->pattern);
    *algs = mem_calloc(from->algs_count, sizeof **algs);
    if (from->algs_count > 0)
        memcpy(*algs, from->algs, from->algs_count * sizeof **algs);
    copy.algs = *algs;
    copy.keys_max = from->keys_max > 0 ? from->keys_max : KEYRING_KEYS_MAX;
    return copy;
}

static void free_config(struct keyring *ring)
{
    const char *const text[] = {ring->config.name, ring->config.signing_path, ring->config.default_path,
                                ring->config.fallback_path, ring->config.pattern};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++)
        free((void *)(uintptr_t)text[i]);
    free(ring->algs);
}

/* Without a slash at the end, as the directory parts of paths are compared with it. */
static char *directory(const struct keyring_config *config)
{
    if (!is_set(config->dir))
        return is_set(config->signing_path) ? keyname_dir(config->signing_path) : NULL;
    size_t len = strlen(config->dir);
    while (len > 1 && config->dir[len - 1] == '/')
        len--;
    return mem_strndup(config->dir, len);
}

static enum err unusable(const struct keyring *ring, const char *file, enum err reason)
{
    keyring_log_unusable(ring->config.name, file, reason, "");
    return reason;
}

static enum err compile_pattern(struct keyring *ring)
{
    char why[160] = "";
    enum err e = match_new(ring->config.pattern, !ring->config.pattern_unanchored, why, sizeof why, &ring->pattern);
    if (e != ERR_OK)
        keyring_log_unusable(ring->config.name, ring->config.pattern, e, why);
    return e;
}

/* Why there is no signer at the first look, in one line. */
static enum err no_signer(const struct keyring *ring, const struct keytable *table)
{
    if (is_path_mode(ring)) {
        const struct keyslot *slot = keytable_named(table, ring->target.kid, NULL);
        return unusable(ring, ring->config.signing_path, slot == NULL ? ERR_KEY_MISSING : slot->reason);
    }
    for (size_t i = 0; i < table->n; i++)
        if (table->slot[i].reason != ERR_OK) {
            keyring_log_unusable(ring->config.name, table->slot[i].file, ERR_KEY_NONE, err_text(table->slot[i].reason));
            return ERR_KEY_NONE;
        }
    return unusable(ring, ring->dir, ERR_KEY_NONE);
}

/* Files that the configuration names must be good at the start. */
static enum err check_configured(const struct keyring *ring, const struct keytable *table)
{
    for (size_t i = 0; i < table->n; i++) {
        const struct keyslot *slot = &table->slot[i];
        bool is_default = is_set(ring->config.default_path) && slot->role == KEYSLOT_DEFAULT;
        if (slot->reason != ERR_OK && (is_default || slot->role == KEYSLOT_FALLBACK))
            return unusable(ring, slot->path, slot->reason);
    }
    return ERR_OK;
}

static enum err load(struct keyring *ring)
{
    if (ring->dir == NULL)
        return unusable(ring, "", ERR_KEY_DIR);
    TRY(compile_pattern(ring));
    enum err e = follow_signing_path(ring);
    if (e != ERR_OK)
        return unusable(ring, ring->config.signing_path, e);
    AUTO(keytable_release) struct keytable next = {0};
    e = look(ring, true, &next);
    if (e != ERR_OK)
        return unusable(ring, ring->dir, e);
    TRY(check_configured(ring, &next));
    const struct keyslot *slot = signer(ring, &next);
    if (slot == NULL)
        return no_signer(ring, &next);
    commit(ring, &next, slot->key);
    count(ring, KEYRING_CHANGED);
    return ERR_OK;
}

enum err keyring_open(const struct keyring_config *config, struct keyring **out)
{
    AUTO(keyring_free) struct keyring *ring = mem_calloc(1, sizeof *ring);
    pthread_mutex_init(&ring->lock, NULL);
    ring->config = copy_config(config, &ring->algs);
    ring->dir = directory(config);
    TRY(load(ring));
    *out = MOVE(ring);
    return ERR_OK;
}

void keyring_free(struct keyring **p)
{
    struct keyring *ring = *p;
    if (ring == NULL)
        return;
    struct keyset *current = atomic_load(&ring->current);
    keyset_free(&current);
    for (size_t i = 0; i < ring->retired_n; i++)
        keyset_free(&ring->retired[i]);
    free(ring->retired);
    keytable_release(&ring->table);
    keyname_release(&ring->target);
    match_free(&ring->pattern);
    mem_free(&ring->dir);
    free_config(ring);
    pthread_mutex_destroy(&ring->lock);
    free(ring);
    *p = NULL;
}

static enum err reload(struct keyring *ring, bool *is_new)
{
    AUTO(keytable_release) struct keytable next = {0};
    enum err followed = follow_signing_path(ring);
    enum err e = look(ring, false, &next);
    if (e != ERR_OK)
        carry_all(ring, &next, e);
    else if (is_emptied(&next) || keytable_highest(&next) == NULL) {
        e = ERR_KEY_NONE;
        carry_all(ring, &next, ERR_KEY_MISSING);
    }
    if (e != ring->fault)
        keyring_log_fault(ring->config.name, ring->dir, e);
    ring->fault = e;
    struct key *signing =
        e == ERR_OK ? choose_signer(ring, &next, followed) : keytable_key(&next, key_kid(ring->signing))->key;
    *is_new = commit(ring, &next, signing);
    return e;
}

enum err keyring_reload(struct keyring *ring)
{
    bool is_new = false;
    pthread_mutex_lock(&ring->lock);
    free_retired(ring);
    enum err e = reload(ring, &is_new);
    enum keyring_result changed = is_new ? KEYRING_CHANGED : KEYRING_UNCHANGED;
    count(ring, e != ERR_OK ? KEYRING_FAILED : changed);
    pthread_mutex_unlock(&ring->lock);
    return e;
}

const char *keyring_dir(const struct keyring *ring)
{
    return ring->dir;
}

struct keyring_view keyring_acquire(struct keyring *ring)
{
    struct keyring_view view;
    view.set = hazard_acquire(&ring->current, &view.slot);
    return view;
}

void keyring_release(struct keyring_view *view)
{
    hazard_release(view->slot);
    *view = (struct keyring_view){0};
}

uint64_t keyring_generation(const struct keyring *ring)
{
    return atomic_load(&ring->generation);
}

const char *keyring_name(const struct keyring *ring)
{
    return ring->config.name;
}

struct keyring_counts keyring_counts(const struct keyring *ring)
{
    struct keyring_counts counts = {.last_success_s = ring->last_success_s};
    for (int r = 0; r < KEYRING_RESULTS; r++)
        counts.reloads[r] = ring->reloads[r];
    return counts;
}
