/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "keystore/keyscan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"

static void list_close(DIR **list)
{
    if (*list != NULL)
        closedir(*list);
}

static bool is_set(const char *path)
{
    return path != NULL && *path != '\0';
}

/* What a file's name alone says against it, as opposed to its content. */
static bool is_about_name(enum err reason)
{
    return reason == ERR_KEY_ID || reason == ERR_PATTERN_LIMIT || reason == ERR_KEY_DUPLICATE ||
           reason == ERR_KEY_LIMIT;
}

/* The row for file, with what old knows of it. */
static struct keyslot *add(struct keytable *out, const struct keytable *old, enum keyslot_role role, const char *file,
                           int64_t kid)
{
    const struct keyslot *known = keytable_find(old, role, file);
    if (known == NULL || known->kid != kid)
        return keytable_add(out, role, file, kid);
    struct keyslot *slot = keytable_copy(out, known);
    mem_free(&slot->path);
    if (is_about_name(slot->reason))
        slot->reason = ERR_OK;
    return slot;
}

/* names */

static void add_name(const struct keyscan *scan, const struct keytable *old, const char *name, struct keytable *out)
{
    int64_t kid = -1;
    enum err e = keyname_kid(scan->pattern, name, &kid);
    if (e == ERR_NOT_FOUND)
        return;
    struct keyslot *slot = add(out, old, KEYSLOT_FILE, name, kid);
    if (e != ERR_OK)
        slot->reason = e;
}

static enum err list_names(const struct keyscan *scan, const struct keyfile_dir *dir, const struct keytable *old,
                           struct keytable *out)
{
    int fd = openat(dir->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_KEY_DIR;
    AUTO(list_close) DIR *list = fdopendir(fd);
    if (list == NULL) {
        close(fd);
        return ERR_KEY_DIR;
    }
    errno = 0;
    for (struct dirent *name = readdir(list); name != NULL; name = readdir(list)) {
        if (strcmp(name->d_name, ".") != 0 && strcmp(name->d_name, "..") != 0)
            add_name(scan, old, name->d_name, out);
        errno = 0;
    }
    return errno != 0 ? ERR_KEY_DIR : ERR_OK;
}

static void add_path(const struct keyscan *scan, const struct keytable *old, enum keyslot_role role, const char *path,
                     int64_t kid, struct keytable *out)
{
    AUTO(mem_free) char *dir = keyname_dir(path);
    struct keyslot *slot = add(out, old, role, strcmp(dir, scan->dir) == 0 ? keyname_base(path) : path, kid);
    slot->path = mem_strdup(path);
}

/* Where key 0 is, as a new string; NULL: nowhere. */
static char *default_path(const struct keyscan *scan, const struct keyfile_dir *dir)
{
    if (is_set(scan->config->default_path))
        return mem_strdup(scan->config->default_path);
    if (scan->signing != NULL && !scan->signing->has_id)
        return mem_strdup(scan->signing->path);
    if (keyfile_exists(dir, "private.pem"))
        return mem_printf("%s/private.pem", scan->dir);
    return access(KEYRING_DEFAULT_KEY, F_OK) == 0 ? mem_strdup(KEYRING_DEFAULT_KEY) : NULL;
}

/* private.id.0.pem may itself be the default key: then it is in the table already, and no duplicate. */
static bool is_listed(const struct keytable *out, const struct keyfile_dir *dir, const char *path)
{
    AUTO(mem_free) char *parent = keyname_dir(path);
    AUTO(keyfile_dir_close) struct keyfile_dir other = {.fd = -1};
    struct keyfile_stamp named, listed;
    if (keyfile_dir_open(parent, &other) != ERR_OK || keyfile_stat(&other, keyname_base(path), &named) != ERR_OK)
        return false;
    for (size_t i = 0; i < out->n; i++)
        if (out->slot[i].kid == 0 && keyfile_stat(dir, out->slot[i].file, &listed) == ERR_OK &&
            keyfile_is_same(&named, &listed))
            return true;
    return false;
}

static void add_default(const struct keyscan *scan, const struct keyfile_dir *dir, const struct keytable *old,
                        struct keytable *out)
{
    AUTO(mem_free) char *path = default_path(scan, dir);
    if (path != NULL && !is_listed(out, dir, path))
        add_path(scan, old, KEYSLOT_DEFAULT, path, 0, out);
}

static void add_fallback(const struct keyscan *scan, const struct keytable *old, struct keytable *out)
{
    const char *path = scan->config->fallback_path;
    if (!is_set(path))
        return;
    int64_t kid = 0;
    if (keyname_kid(scan->pattern, keyname_base(path), &kid) != ERR_OK)
        kid = 0;
    add_path(scan, old, KEYSLOT_FALLBACK, path, kid, out);
}

/* rules between files */

struct claim {
    int64_t kid;
    struct keyslot *slot;
};

static int by_kid(const void *a, const void *b)
{
    const struct claim *x = a, *y = b;
    return (x->kid > y->kid) - (x->kid < y->kid);
}

/* Of several files of one id: the one whose key is in use, else the default key, else none. */
static const struct keyslot *keeper(const struct claim *claim, size_t n)
{
    const struct keyslot *keep = n == 1 ? claim->slot : NULL;
    for (size_t i = 0; i < n; i++) {
        if (claim[i].slot->key != NULL)
            return claim[i].slot;
        if (claim[i].slot->role == KEYSLOT_DEFAULT)
            keep = claim[i].slot;
    }
    return keep;
}

static void refuse_duplicates(const struct keytable *out)
{
    struct claim *claim = mem_calloc(out->n, sizeof *claim);
    size_t n = 0;
    for (size_t i = 0; i < out->n; i++)
        if (out->slot[i].kid >= 0 && out->slot[i].role != KEYSLOT_FALLBACK)
            claim[n++] = (struct claim){.kid = out->slot[i].kid, .slot = &out->slot[i]};
    qsort(claim, n, sizeof *claim, by_kid);
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && claim[end].kid == claim[i].kid;)
            end++;
        const struct keyslot *keep = keeper(&claim[i], end - i);
        for (size_t j = i; j < end; j++)
            if (claim[j].slot != keep)
                claim[j].slot->reason = ERR_KEY_DUPLICATE;
    }
    free(claim);
}

static int64_t kid_to_sign(const struct keyscan *scan, const struct keytable *out)
{
    if (scan->signing != NULL)
        return scan->signing->kid;
    int64_t highest = -1;
    for (size_t i = 0; i < out->n; i++)
        if (out->slot[i].kid > highest && !is_about_name(out->slot[i].reason))
            highest = out->slot[i].kid;
    return highest;
}

/* Who may stay when there are too many: the keys in use, then the one that is to sign, then by name. */
static int rank(const struct keyslot *slot, int64_t signing)
{
    if (slot->key != NULL)
        return 0;
    return slot->kid == signing ? 1 : 2;
}

static void refuse_surplus(const struct keyscan *scan, const struct keytable *out)
{
    int64_t signing = kid_to_sign(scan, out);
    size_t taken = 0;
    for (int r = 0; r <= 2; r++)
        for (size_t i = 0; i < out->n; i++) {
            struct keyslot *slot = &out->slot[i];
            if (slot->role != KEYSLOT_FILE || is_about_name(slot->reason) || rank(slot, signing) != r)
                continue;
            if (++taken > scan->config->keys_max)
                slot->reason = ERR_KEY_LIMIT;
        }
}

/* content */

static const struct keyring_alg *own_alg(const struct keyring_config *config, int64_t kid)
{
    for (size_t i = 0; i < config->algs_count; i++)
        if (config->algs[i].kid == kid)
            return &config->algs[i];
    return NULL;
}

static enum err parse(const struct keyring_config *config, int64_t kid, const struct keyfile *file, struct key **out)
{
    const struct keyring_alg *own = own_alg(config, kid);
    bool is_rsa = own != NULL && own->alg <= KEY_PS512;
    AUTO(key_free) struct key *key = NULL;
    TRY(key_parse(file->data, file->len, kid, is_rsa ? own->alg : config->rsa_alg, &key));
    if (own != NULL && key_alg(key) != own->alg)
        return ERR_KEY_ALG;
    *out = MOVE(key);
    return ERR_OK;
}

/* A file that is no whole PEM yet is most likely being written: it is looked at again before anybody hears of it. */
static bool is_in_grace(const struct keyscan *scan, const struct keyslot *slot, enum err e, int64_t now)
{
    int64_t age = keyfile_age_ms(&slot->stamp, now);
    return e == ERR_KEY_NOT_PEM && !scan->is_first && age >= 0 && age < KEYSCAN_GRACE_MS;
}

/* The verdict on the file as it is now; slot->key is replaced only by a good key. */
static enum err judge(const struct keyscan *scan, const struct keyfile_dir *dir, const char *name, struct keyslot *slot)
{
    AUTO(keyfile_release) struct keyfile file = {0};
    bool was_settled = slot->is_settled;
    slot->is_settled = false;
    TRY(keyfile_stat(dir, name, &file.stamp));
    if (was_settled && keyfile_is_same(&slot->stamp, &file.stamp)) {
        slot->is_settled = true;
        return slot->reason;
    }
    int64_t now = clock_ms();
    TRY(keyfile_read(dir, name, &file));
    slot->stamp = file.stamp;
    slot->is_settled = keyfile_change_age_ms(&file.stamp, now) >= KEYSCAN_RACY_MS;
    slot->is_loose = keyfile_is_loose(&file.stamp);
    if (slot->is_loose && scan->config->strict_permissions)
        return ERR_KEY_MODE;
    if (slot->key != NULL && memcmp(slot->digest, file.digest, sizeof file.digest) == 0)
        return ERR_OK;
    struct key *key = NULL;
    enum err e = parse(scan->config, slot->kid, &file, &key);
    if (e != ERR_OK)
        return is_in_grace(scan, slot, e, now) ? slot->reason : e;
    key_free(&slot->key);
    slot->key = key;
    memcpy(slot->digest, file.digest, sizeof file.digest);
    return ERR_OK;
}

/* The default and the fallback key may be elsewhere; the same care is taken in their directories. */
static enum err judge_path(const struct keyscan *scan, struct keyslot *slot)
{
    AUTO(mem_free) char *parent = keyname_dir(slot->path);
    AUTO(keyfile_dir_close) struct keyfile_dir dir = {.fd = -1};
    if (keyfile_dir_open(parent, &dir) != ERR_OK)
        return ERR_KEY_UNREADABLE;
    if (scan->config->strict_permissions && keyfile_dir_is_loose(&dir))
        return ERR_KEY_MODE;
    if (!keyfile_exists(&dir, keyname_base(slot->path)))
        key_free(&slot->key);
    return judge(scan, &dir, keyname_base(slot->path), slot);
}

enum err keyscan_run(const struct keyscan *scan, const struct keytable *old, struct keytable *out, bool *is_loose_dir)
{
    AUTO(keyfile_dir_close) struct keyfile_dir dir = {.fd = -1};
    AUTO(keytable_release) struct keytable table = {0};
    TRY(keyfile_dir_open(scan->dir, &dir));
    bool is_loose = keyfile_dir_is_loose(&dir);
    if (is_loose && scan->config->strict_permissions)
        return ERR_KEY_MODE;
    TRY(list_names(scan, &dir, old, &table));
    add_default(scan, &dir, old, &table);
    add_fallback(scan, old, &table);
    keytable_sort(&table);
    refuse_duplicates(&table);
    refuse_surplus(scan, &table);
    for (size_t i = 0; i < table.n; i++) {
        struct keyslot *slot = &table.slot[i];
        if (!is_about_name(slot->reason))
            slot->reason = slot->path != NULL ? judge_path(scan, slot) : judge(scan, &dir, slot->file, slot);
    }
    *is_loose_dir = is_loose;
    *out = table;
    table = (struct keytable){0};
    return ERR_OK;
}
