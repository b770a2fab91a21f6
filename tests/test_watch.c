/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "keystore/watch.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/thread.h"
#include "tests/ring.h"
#include "tests/support.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t called;
static pthread_cond_t unblocked = PTHREAD_COND_INITIALIZER;
static int calls;
static bool is_blocked;

static void on_change(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&lock);
    calls++;
    pthread_cond_broadcast(&called);
    while (is_blocked)
        pthread_cond_wait(&unblocked, &lock);
    pthread_mutex_unlock(&lock);
}

static void block(bool blocked)
{
    pthread_mutex_lock(&lock);
    is_blocked = blocked;
    pthread_cond_broadcast(&unblocked);
    pthread_mutex_unlock(&lock);
}

static int calls_so_far(void)
{
    pthread_mutex_lock(&lock);
    int n = calls;
    pthread_mutex_unlock(&lock);
    return n;
}

/* Wait for a call after the first n; false when none comes in time. */
static bool comes_after(int n, int ms)
{
    struct timespec until = thread_limit(ms);
    int late = 0;
    pthread_mutex_lock(&lock);
    while (calls <= n && late == 0)
        late = pthread_cond_timedwait(&called, &lock, &until);
    bool has_come = calls > n;
    pthread_mutex_unlock(&lock);
    return has_come;
}

/* Wait until the calls for what was done so far are over. Returns how many there were. */
static int quiet(void)
{
    int n = calls_so_far();
    while (comes_after(n, 100))
        n = calls_so_far();
    return n;
}

static void started(const char *dir, struct watch **watch)
{
    calls = 0;
    ck_ok(watch_start(dir, on_change, NULL, watch));
    ck_assert(comes_after(0, 10000));
}

/* Each way to change a directory, and that a call comes well before the poll would make one. */
static void replace(const char *dir)
{
    AUTO(mem_free) char *path = support_path(dir, "a");
    support_write(path, "y", 1, 0600);
}

static void write_there(const char *dir)
{
    AUTO(mem_free) char *path = support_path(dir, "a");
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, "zz", 2), 2);
    close(fd);
}

static void make_link(const char *dir)
{
    AUTO(mem_free) char *path = support_path(dir, "l");
    ck_assert_int_eq(symlink("a", path), 0);
}

static void change_mode(const char *dir)
{
    AUTO(mem_free) char *path = support_path(dir, "a");
    ck_assert_int_eq(chmod(path, 0640), 0);
}

static void move_out(const char *dir)
{
    AUTO(mem_free) char *path = support_path(dir, "a");
    AUTO(mem_free) char *there = support_path(support_dir(), "a");
    ck_assert_int_eq(rename(path, there), 0);
}

static void delete_it(const char *dir)
{
    AUTO(mem_free) char *path = support_path(dir, "a");
    ck_assert_int_eq(unlink(path), 0);
}

static void (*const ways[])(const char *) = {replace,  write_there, make_link, change_mode,
                                             move_out, replace,     delete_it};

/* A poll might come by chance right after one change, but not after each of them. */
START_TEST(calls_back_soon_after_a_change)
{
    const char *dir = support_dir();
    AUTO(watch_stop) struct watch *watch = NULL;
    started(dir, &watch);
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        int n = quiet();
        int64_t start = clock_mono_ms();
        ways[i](dir);
        ck_assert(comes_after(n, 10000));
        ck_assert_int_lt(clock_mono_ms() - start, WATCH_POLL_MS / 2);
    }
}
END_TEST

START_TEST(polls_when_nothing_happens_or_there_is_no_directory)
{
    AUTO(watch_stop) struct watch *watch = NULL;
    started("/nonexistent/keys", &watch);
    int64_t start = clock_mono_ms();
    ck_assert(comes_after(1, 10000));
    ck_assert_int_ge(clock_mono_ms() - start, WATCH_POLL_MS / 2);
}
END_TEST

START_TEST(a_directory_that_comes_back_is_watched_again)
{
    AUTO(mem_free) char *dir = support_path(support_dir(), "keys");
    AUTO(mem_free) char *away = mem_printf("%s.away", dir);
    AUTO(mem_free) char *file = support_path(dir, "a");
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    AUTO(watch_stop) struct watch *watch = NULL;
    started(dir, &watch);
    ck_assert_int_eq(rename(dir, away), 0);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    for (int i = 0; i < 2; i++) /* the first may have looked before the new one was made */
        ck_assert(comes_after(quiet(), 10000));
    int n = quiet();
    int64_t start = clock_mono_ms();
    support_write(file, "x", 1, 0600);
    ck_assert(comes_after(n, 10000));
    ck_assert_int_lt(clock_mono_ms() - start, WATCH_POLL_MS / 2);
}
END_TEST

START_TEST(ten_thousand_kicks_are_one_call)
{
    AUTO(watch_stop) struct watch *watch = NULL;
    started(support_dir(), &watch);
    block(true);
    int before = calls_so_far();
    watch_kick(watch);
    ck_assert(comes_after(before, 10000));
    before = calls_so_far();
    for (int i = 0; i < 10000; i++)
        watch_kick(watch);
    block(false);
    ck_assert(comes_after(before, 10000));
    ck_assert_int_le(quiet() - before, 2); /* the other may be a poll */
}
END_TEST

static struct watch *signalled;

static void on_signal(int number)
{
    (void)number;
    watch_kick(signalled);
}

START_TEST(a_storm_of_signals_is_coalesced)
{
    started(support_dir(), &signalled);
    struct sigaction action = {.sa_handler = on_signal};
    ck_assert_int_eq(sigaction(SIGHUP, &action, NULL), 0);
    int n = calls_so_far();
    for (int i = 0; i < 10000; i++)
        raise(SIGHUP);
    ck_assert(comes_after(n, 10000));
    signal(SIGHUP, SIG_IGN);
    watch_stop(&signalled);
}
END_TEST

static atomic_bool is_kicking;
static struct watch *kicked;

static void *kick_on(void *arg)
{
    (void)arg;
    while (is_kicking)
        watch_kick(kicked);
    return NULL;
}

START_TEST(stops_cleanly_while_there_is_much_to_do)
{
    const char *dir = support_dir();
    for (int i = 0; i < 50; i++) {
        ck_ok(watch_start(dir, on_change, NULL, &kicked));
        is_kicking = true;
        pthread_t thread;
        ck_assert_int_eq(pthread_create(&thread, NULL, kick_on, NULL), 0);
        ck_assert(comes_after(calls_so_far(), 10000));
        is_kicking = false;
        pthread_join(thread, NULL);
        watch_kick(kicked);
        watch_stop(&kicked);
        ck_assert_ptr_null(kicked);
        int after = calls_so_far();
        ck_assert_int_eq(calls_so_far(), after);
    }
    watch_stop(&kicked); /* NULL is fine */
}
END_TEST

START_TEST(says_so_when_it_cannot_start)
{
    struct rlimit none = {0};
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &none), 0);
    none.rlim_cur = 0;
    struct watch *watch = NULL;
    const char *dir = support_dir();
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    enum err e = watch_start(dir, on_change, NULL, &watch);
    none.rlim_cur = none.rlim_max;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    ck_err(e, ERR_INTERNAL);
    ck_assert_ptr_null(watch);
}
END_TEST

static void reload(void *arg)
{
    if (keyring_reload(arg) == ERR_OK)
        on_change(NULL);
}

START_TEST(a_dropped_key_signs_within_two_seconds)
{
    ring_put("private.id.1.pem", ring_pem(0));
    ring_open();
    AUTO(watch_stop) struct watch *watch = NULL;
    ck_ok(watch_start(keyring_dir(ring), reload, ring, &watch));
    ck_assert(comes_after(0, 10000));
    ring_put("private.id.2.pem", ring_pem(1));
    int64_t start = clock_mono_ms();
    for (int n = calls_so_far(); ring_signer() != 2; n = calls_so_far())
        ck_assert(comes_after(n - 1, 10) && clock_mono_ms() - start < 10000);
    ck_assert_int_lt(clock_mono_ms() - start, WATCH_POLL_MS);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("watch");
    TCase *tc = tcase_create("watch");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, ring_set_up, ring_tear_down);
    tcase_add_test(tc, calls_back_soon_after_a_change);
    tcase_add_test(tc, polls_when_nothing_happens_or_there_is_no_directory);
    tcase_add_test(tc, a_directory_that_comes_back_is_watched_again);
    tcase_add_test(tc, ten_thousand_kicks_are_one_call);
    tcase_add_test(tc, a_storm_of_signals_is_coalesced);
    tcase_add_test(tc, stops_cleanly_while_there_is_much_to_do);
    tcase_add_test(tc, says_so_when_it_cannot_start);
    tcase_add_test(tc, a_dropped_key_signs_within_two_seconds);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    thread_cond_init(&called);
    return support_main(suite());
}
