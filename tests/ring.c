/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/ring.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

#define PATHS_MAX 64

struct keyring *ring;
struct keyring_config ring_config;
const char *ring_dir;

static char *pems[RING_PEMS];
static char *paths[PATHS_MAX];
static size_t paths_count;

static char *thumbprint(const char *pem, int64_t kid)
{
    AUTO(key_free) struct key *key = NULL;
    ck_ok(key_parse(pem, strlen(pem), kid, KEY_RS256, &key));
    return mem_strdup(key_thumbprint(key));
}

void ring_set_up(void)
{
    support_log_capture();
    ring_dir = support_dir();
    ring_config = (struct keyring_config){
        .name = "useradm",
        .dir = ring_dir,
        .pattern = "private\\.id\\.([0-9]*)\\.pem",
        .rsa_alg = KEY_RS256,
    };
}

void ring_tear_down(void)
{
    keyring_free(&ring);
    for (int i = 0; i < RING_PEMS; i++)
        mem_wipe(&pems[i]);
    while (paths_count > 0)
        mem_free(&paths[--paths_count]);
}

const char *ring_pem(int i)
{
    ck_assert_int_lt(i, RING_PEMS);
    if (pems[i] == NULL)
        ck_ok(key_generate(i >= RING_RSA ? "rsa2048" : i % 2 == 0 ? "ed25519" : "es256", &pems[i]));
    return pems[i];
}

const char *ring_path(const char *name)
{
    ck_assert_uint_lt(paths_count, PATHS_MAX);
    return paths[paths_count++] = support_path(ring_dir, name);
}

void ring_age(const char *name)
{
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, old, 0), 0);
}

void ring_put(const char *name, const char *text)
{
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    support_write(path, text, strlen(text), 0600);
    ring_age(name);
}

void ring_link(const char *target, const char *name)
{
    AUTO(mem_free) char *tmp = support_path(ring_dir, "link.tmp~");
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    ck_assert_int_eq(symlink(target, tmp), 0);
    ck_assert_int_eq(rename(tmp, path), 0);
}

void ring_remove(const char *name)
{
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    ck_assert_int_eq(remove(path), 0);
}

void ring_open(void)
{
    ck_ok(keyring_open(&ring_config, &ring));
}

void ring_reload(void)
{
    ck_ok(keyring_reload(ring));
}

int64_t ring_signer(void)
{
    struct keyring_view view = keyring_acquire(ring);
    int64_t kid = key_kid(keyset_signing(view.set));
    keyring_release(&view);
    return kid;
}

bool ring_has(int64_t kid)
{
    struct keyring_view view = keyring_acquire(ring);
    bool has = keyset_find(view.set, kid) != NULL;
    keyring_release(&view);
    return has;
}

bool ring_is(int64_t kid, const char *pem)
{
    AUTO(mem_free) char *want = thumbprint(pem, kid);
    struct keyring_view view = keyring_acquire(ring);
    const struct key *key = keyset_find(view.set, kid);
    bool is = key != NULL && key_kid(key) == kid && strcmp(key_thumbprint(key), want) == 0;
    keyring_release(&view);
    return is;
}

static struct keyset_entry entry_of(const char *file)
{
    struct keyset_entry found = {.reason = ERR_NOT_FOUND};
    struct keyring_view view = keyring_acquire(ring);
    for (size_t i = 0; i < keyset_count(view.set); i++)
        if (strcmp(keyset_entry(view.set, i)->file, file) == 0)
            found = *keyset_entry(view.set, i);
    keyring_release(&view);
    return found;
}

enum err ring_reason(const char *file)
{
    return entry_of(file).reason;
}

bool ring_is_held(const char *file)
{
    return entry_of(file).is_held;
}

static bool has_words(const char *line, const char *first, va_list rest)
{
    bool has = true;
    for (const char *word = first; word != NULL; word = va_arg(rest, const char *))
        has = has && strstr(line, word) != NULL;
    return has;
}

int ring_logged(const char *word, ...)
{
    AUTO(mem_free) char *text = support_log();
    int lines = 0;
    char *rest = text;
    for (char *line = strsep(&rest, "\n"); line != NULL; line = strsep(&rest, "\n")) {
        va_list words;
        va_start(words, word);
        lines += has_words(line, word, words);
        va_end(words);
    }
    return lines;
}
