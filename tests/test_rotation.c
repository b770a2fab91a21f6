/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keystore/hazard.h"
#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/ring.h"
#include "tests/support.h"

/*
 * The storm: three threads sign and three verify, while an operator adds, activates, breaks, repairs and removes key
 * files as fast as they are taken up. A token must verify as long as the file of its kid has been there, good or bad;
 * and always with the key that its kid names.
 */
#define ROTATIONS 1000
#define SIGNERS 3
#define VERIFIERS 3
#define KIDS 8
#define TOKENS 64

/* Odd: the file of this kid is there, and a set with its key is published. Each removal and addition adds one. */
static _Atomic unsigned state[KIDS];

static struct token {
    char *text;
    int64_t kid;
    unsigned state; /* of the kid when it was signed */
} tokens[TOKENS];
static pthread_mutex_t tokens_lock = PTHREAD_MUTEX_INITIALIZER;

static atomic_bool is_over;
static _Atomic long signed_count, verified_count;
static _Atomic(const char *) failure;

static void broken(const char *what)
{
    failure = what;
    is_over = true;
}

static unsigned next_random(unsigned *seed)
{
    *seed = *seed * 1664525 + 1013904223;
    return *seed >> 8;
}

static void keep(struct token token, unsigned at)
{
    pthread_mutex_lock(&tokens_lock);
    struct token old = tokens[at % TOKENS];
    tokens[at % TOKENS] = token;
    pthread_mutex_unlock(&tokens_lock);
    mem_free(&old.text);
}

static struct token pick(unsigned at)
{
    pthread_mutex_lock(&tokens_lock);
    struct token token = tokens[at % TOKENS];
    token.text = mem_strdup(token.text);
    pthread_mutex_unlock(&tokens_lock);
    return token;
}

static void sign_one(unsigned *seed)
{
    unsigned before[KIDS];
    for (int i = 0; i < KIDS; i++)
        before[i] = state[i];
    struct keyring_view view = keyring_acquire(ring);
    const struct key *key = keyset_signing(view.set);
    int64_t kid = key_kid(key);
    char *text = NULL;
    if (jws_sign(key, "{\"sub\":\"storm\"}", 15, &text) != ERR_OK)
        broken("signing failed");
    else if (strncmp(text, key_header(key), strlen(key_header(key))) != 0)
        broken("the header is not that of the key");
    keyring_release(&view);
    if (text == NULL)
        return;
    signed_count++;
    keep((struct token){.text = text, .kid = kid, .state = before[kid]}, next_random(seed));
}

static void verify_one(unsigned *seed)
{
    struct token token = pick(next_random(seed));
    AUTO(mem_free) char *text = token.text;
    if (text == NULL)
        return;
    unsigned before = state[token.kid];
    AUTO(mem_free) char *memory = mem_calloc(1, sizeof(struct jws));
    struct jws *jws = (struct jws *)(void *)memory;
    struct keyring_view view = keyring_acquire(ring);
    enum err e = jws_verify(view.set, text, strlen(text), jws);
    bool is_of_kid = e != ERR_OK || key_kid(jws->key) == token.kid;
    keyring_release(&view);
    if (!is_of_kid)
        broken("verified with another key than the kid's");
    bool was_there = before % 2 == 1 && token.state == before && state[token.kid] == before;
    if (was_there && e != ERR_OK)
        broken("a valid token was refused");
    if (was_there)
        verified_count++;
}

static void *run(void *arg)
{
    unsigned seed = (unsigned)(uintptr_t)arg;
    bool is_signer = seed < SIGNERS;
    while (!is_over) {
        if (is_signer)
            sign_one(&seed);
        else
            verify_one(&seed);
        sched_yield(); /* valgrind runs one thread at a time, and is not fair by itself */
    }
    return NULL;
}

/* the operator */

static int active;

static char *file_of(int kid)
{
    return mem_printf("private.id.%d.pem", kid);
}

/* Never the same key again soon under one kid; now and then an RSA key. */
static const char *pem_of(int kid, unsigned at)
{
    unsigned i = (unsigned)kid * 5 + at / 2;
    return i % 11 == 0 ? ring_pem(RING_RSA + (int)(i % 2)) : ring_pem((int)(i % 20));
}

static void reload(void)
{
    if (keyring_reload(ring) != ERR_OK)
        broken("the reload failed");
}

static void write_in_place(int kid, const char *pem, size_t len)
{
    AUTO(mem_free) char *name = file_of(kid);
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    ck_assert_int_eq(write(fd, pem, len), (ssize_t)len);
    close(fd);
}

static void clear_away(int kid)
{
    AUTO(mem_free) char *name = file_of(kid);
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    (void)!remove(path);
}

static void put_whole(int kid, const char *pem)
{
    AUTO(mem_free) char *name = file_of(kid);
    ring_put(name, pem);
}

static void add(int kid, unsigned how)
{
    const char *pem = pem_of(kid, state[kid]);
    if (how % 2 == 0)
        put_whole(kid, pem);
    else {
        for (size_t len = 0; len < strlen(pem); len += strlen(pem) / 6) {
            write_in_place(kid, pem, len);
            reload();
        }
        write_in_place(kid, pem, strlen(pem));
    }
    reload();
    state[kid]++;
}

static void take_away(int kid)
{
    state[kid]++;
    clear_away(kid);
    reload();
}

static void activate(int kid)
{
    AUTO(mem_free) char *name = file_of(kid);
    ring_link(name, "active.pem");
    reload();
    active = kid;
}

/* Put something bad in the file's place, atomically: its key is held. */
static void put_bad(int kid, unsigned how)
{
    AUTO(mem_free) char *name = file_of(kid);
    AUTO(mem_free) char *path = support_path(ring_dir, name);
    AUTO(mem_free) char *tmp = support_path(ring_dir, "bad.tmp~");
    switch (how % 5) {
    case 0:
        ring_put(name, "-----BEGIN PRIVATE KEY-----\nMIIE");
        return;
    case 1:
        write_in_place(kid, "-----BEGIN", 10);
        return;
    case 2:
        ck_assert_int_eq(mkfifo(tmp, 0600), 0);
        break;
    case 3:
        ck_assert_int_eq(symlink("/dev/null", tmp), 0);
        break;
    default:
        ck_assert_int_eq(symlink("nowhere", tmp), 0);
        break;
    }
    ck_assert_int_eq(rename(tmp, path), 0);
}

static void break_and_repair(int kid, unsigned how)
{
    const char *pem = pem_of(kid, state[kid] - 1);
    put_bad(kid, how);
    reload();
    if (how % 3 == 0)
        reload();
    put_whole(kid, pem);
    reload();
}

static void rotate(unsigned *seed)
{
    int kid = (int)(next_random(seed) % KIDS);
    unsigned how = next_random(seed);
    if (state[kid] % 2 == 0)
        add(kid, how);
    else if (how % 3 == 0)
        activate(kid);
    else if (how % 3 == 1 && kid != active)
        take_away(kid);
    else
        break_and_repair(kid, how / 3);
}

static void open_storm_ring(void)
{
    ring_link("private.id.1.pem", "active.pem");
    ring_config.signing_path = ring_path("active.pem");
    put_whole(1, pem_of(1, 0));
    ring_open();
    state[1] = 1;
    active = 1;
}

static int rotations(void)
{
    const char *text = getenv("MINTD_TEST_ROTATIONS"); /* valgrind is slow */
    return text != NULL ? (int)strtol(text, NULL, 10) : ROTATIONS;
}

START_TEST(no_valid_token_is_refused_in_a_storm_of_rotations)
{
    open_storm_ring();
    pthread_t thread[SIGNERS + VERIFIERS];
    for (uintptr_t i = 0; i < SIGNERS + VERIFIERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, run, (void *)i), 0);
    unsigned seed = 42;
    for (int i = 0; i < rotations() && !is_over; i++)
        rotate(&seed);
    is_over = true;
    for (int i = 0; i < SIGNERS + VERIFIERS; i++)
        pthread_join(thread[i], NULL);
    ck_assert_msg(failure == NULL, "%s", failure);
    ck_assert_int_gt(signed_count, 0);
    ck_assert_int_gt(verified_count, rotations() / 10);
    for (int i = 0; i < TOKENS; i++)
        mem_free(&tokens[i].text);
}
END_TEST

/* hazard slots, without keys around them */

static _Atomic(void *) current;

static void *read_on(void *arg)
{
    (void)arg;
    for (unsigned i = 0; !is_over; i++) {
        void *slot;
        const _Atomic int *object = hazard_acquire(&current, &slot);
        if (*object != 1)
            broken("freed while it was held");
        hazard_release(slot);
        if (i % 256 == 0)
            sched_yield();
    }
    return NULL;
}

/* Objects are 1 while they may be used and 0 after they were freed, until it is their turn again. */
START_TEST(what_a_reader_holds_is_not_freed)
{
    enum { READERS = 3, OBJECTS = 64 };
    static _Atomic int pool[OBJECTS] = {1};
    current = &pool[0];
    pthread_t thread[READERS];
    for (int i = 0; i < READERS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, read_on, NULL), 0);
    for (int round = 1; round < 300 * rotations() && !is_over; round++) {
        pool[round % OBJECTS] = 1;
        _Atomic int *old = atomic_exchange(&current, &pool[round % OBJECTS]);
        while (hazard_is_held(old))
            sched_yield();
        *old = 0;
    }
    is_over = true;
    for (int i = 0; i < READERS; i++)
        pthread_join(thread[i], NULL);
    ck_assert_msg(failure == NULL, "%s", failure);
}
END_TEST

START_TEST(every_slot_can_be_taken_and_is_given_back)
{
    static void *slots[HAZARD_SLOTS];
    static int object;
    current = &object;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < HAZARD_SLOTS; i++)
            ck_assert_ptr_eq(hazard_acquire(&current, &slots[i]), &object);
        ck_assert(hazard_is_held(&object));
        for (int i = 0; i < HAZARD_SLOTS; i++)
            hazard_release(slots[i]);
        ck_assert(!hazard_is_held(&object));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("rotation");
    TCase *tc = tcase_create("rotation");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, no_valid_token_is_refused_in_a_storm_of_rotations);
    tcase_add_test(tc, what_a_reader_holds_is_not_freed);
    tcase_add_test(tc, every_slot_can_be_taken_and_is_given_back);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
