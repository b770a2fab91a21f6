/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/lane.h"
#include "api/route.h"
#include "api/service.h"
#include "tests/support.h"

#define CALLS 100

static sem_t may_go;
static sem_t begun;
static struct service service;
static struct call calls[CALLS];
static _Atomic int done_count;
static int order[CALLS];
static int seen_nice;
static char seen_name[16];
static sigset_t seen_mask;

static void done(struct call *c)
{
    int place = atomic_fetch_add(&done_count, 1);
    order[place] = (int)(c - calls);
}

static enum err note(struct call *c)
{
    seen_nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    pthread_getname_np(pthread_self(), seen_name, sizeof seen_name);
    pthread_sigmask(SIG_SETMASK, NULL, &seen_mask);
    ck_assert(c->may_block);
    return call_empty(c, 200);
}

static enum err hold(struct call *c)
{
    sem_post(&begun);
    while (sem_wait(&may_go) != 0 && errno == EINTR)
        continue;
    return call_empty(c, 200);
}

/* The linker takes these for the product's own. */
const struct route routes[] = {
    {"GET", "/note", BOTH, PUBLIC, ANYONE, LANE_DB, note},
    {"GET", "/hold", BOTH, PUBLIC, ANYONE, LANE_DB, hold},
    {0},
};

static void set_up(void)
{
    sem_init(&may_go, 0, 0);
    sem_init(&begun, 0, 0);
    done_count = 0;
    for (size_t i = 0; i < CALLS; i++)
        calls[i] = (struct call){.service = &service, .route = &routes[0], .done = done};
}

static void tear_down(void)
{
    sem_destroy(&may_go);
    sem_destroy(&begun);
}

START_TEST(works_off_in_order)
{
    struct lane *lane = lane_new("db", 1, CALLS, 0);
    ck_assert_ptr_nonnull(lane);
    for (size_t i = 0; i < CALLS; i++)
        ck_assert(lane_submit(lane, &calls[i]));
    lane_free(&lane);
    ck_assert_ptr_null(lane);
    ck_assert_int_eq(done_count, CALLS);
    for (int i = 0; i < CALLS; i++) {
        ck_assert_int_eq(order[i], i);
        ck_assert_int_eq(calls[i].status, 200);
        call_release(&calls[i]);
    }
}
END_TEST

START_TEST(runs_as_many_at_once_as_it_has_threads)
{
    struct lane *lane = lane_new("db", 3, CALLS, 0);
    for (size_t i = 0; i < 3; i++) {
        calls[i].route = &routes[1];
        ck_assert(lane_submit(lane, &calls[i]));
    }
    for (size_t i = 0; i < 3; i++)
        sem_wait(&begun);
    for (size_t i = 0; i < 3; i++)
        sem_post(&may_go);
    lane_free(&lane);
    ck_assert_int_eq(done_count, 3);
    for (size_t i = 0; i < 3; i++)
        call_release(&calls[i]);
}
END_TEST

START_TEST(refuses_what_it_cannot_queue)
{
    struct lane *lane = lane_new("db", 1, 2, 0);
    calls[0].route = &routes[1];
    ck_assert(lane_submit(lane, &calls[0]));
    sem_wait(&begun); /* at work, no longer in the queue */
    ck_assert(lane_submit(lane, &calls[1]));
    ck_assert(lane_submit(lane, &calls[2]));
    ck_assert(!lane_submit(lane, &calls[3]));
    sem_post(&may_go);
    lane_free(&lane);
    ck_assert_int_eq(done_count, 3);
    ck_assert_int_eq(calls[3].status, 0);
    for (size_t i = 0; i < 3; i++)
        call_release(&calls[i]);
}
END_TEST

START_TEST(lowers_priority_and_gets_no_signals)
{
    int before = getpriority(PRIO_PROCESS, (id_t)gettid());
    struct lane *lane = lane_new("hash", 1, 2, 5);
    ck_assert(lane_submit(lane, &calls[0]));
    lane_free(&lane);
    ck_assert_int_eq(seen_nice, before + 5 > 19 ? 19 : before + 5);
    ck_assert_str_eq(seen_name, "hash");
    ck_assert(sigismember(&seen_mask, SIGTERM) && sigismember(&seen_mask, SIGHUP));
    sigset_t own;
    pthread_sigmask(SIG_SETMASK, NULL, &own);
    ck_assert(!sigismember(&own, SIGTERM));
    call_release(&calls[0]);
}
END_TEST

START_TEST(frees_nothing_twice)
{
    struct lane *none = NULL;
    lane_free(&none);
    struct lane *idle = lane_new("db", 4, 1, 0);
    lane_free(&idle);
    lane_free(&idle);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("lane");
    TCase *tc = tcase_create("lane");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, works_off_in_order);
    tcase_add_test(tc, runs_as_many_at_once_as_it_has_threads);
    tcase_add_test(tc, refuses_what_it_cannot_queue);
    tcase_add_test(tc, lowers_priority_and_gets_no_signals);
    tcase_add_test(tc, frees_nothing_twice);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
