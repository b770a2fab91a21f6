/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "api/deadline.h"
#include "tests/support.h"

#define COUNT 5

static struct deadline_list list;
static struct deadline all[COUNT];
static int peer[COUNT];
static int own[COUNT];

/* One connection for each phase. */
static void set_up(void)
{
    list = (struct deadline_list){0};
    for (int i = 0; i < COUNT; i++) {
        int pair[2];
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
        own[i] = pair[0];
        peer[i] = pair[1];
        deadline_add(&list, &all[i], own[i]);
        deadline_set(&all[i], (enum deadline_phase)i, 100 * i);
    }
}

static void tear_down(void)
{
    for (int i = 0; i < COUNT; i++) {
        close(own[i]);
        close(peer[i]);
    }
}

static bool is_cut(int i)
{
    char byte;
    return recv(peer[i], &byte, 1, 0) == 0;
}

START_TEST(cuts_exactly_what_is_over)
{
    deadline_sweep(&list, 199);
    ck_assert(!is_cut(0) && is_cut(1) && !is_cut(2) && !is_cut(3) && !is_cut(4));
    deadline_sweep(&list, 300);
    ck_assert(!is_cut(0) && is_cut(2) && is_cut(3) && !is_cut(4));
    deadline_sweep(&list, INT64_MAX);
    ck_assert(!is_cut(0) && is_cut(4));
}
END_TEST

START_TEST(gives_no_time_to_what_was_cut)
{
    deadline_sweep(&list, 100);
    deadline_set(&all[1], DEADLINE_BODY, 1000);
    ck_assert_int_eq(all[1].phase, DEADLINE_NONE);
    deadline_sweep(&list, 2000);
    ck_assert(is_cut(1));
}
END_TEST

START_TEST(forgets_what_was_removed)
{
    deadline_remove(&list, &all[1]);
    deadline_remove(&list, &all[4]);
    deadline_sweep(&list, INT64_MAX);
    ck_assert(!is_cut(1) && is_cut(2) && is_cut(3) && !is_cut(4));
    deadline_remove(&list, &all[0]);
    deadline_remove(&list, &all[2]);
    deadline_remove(&list, &all[3]);
    ck_assert_ptr_null(list.head);
    deadline_sweep(&list, INT64_MAX);
}
END_TEST

START_TEST(drops_who_has_no_request_under_way)
{
    deadline_drop_idle(&list);
    ck_assert(!is_cut(0) && is_cut(1) && !is_cut(2) && is_cut(3) && !is_cut(4));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("deadline");
    TCase *tc = tcase_create("deadline");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, cuts_exactly_what_is_over);
    tcase_add_test(tc, gives_no_time_to_what_was_cut);
    tcase_add_test(tc, forgets_what_was_removed);
    tcase_add_test(tc, drops_who_has_no_request_under_way);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
