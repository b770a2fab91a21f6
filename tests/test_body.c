/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <string.h>

#include "api/body.h"
#include "tests/support.h"

static struct body_budget budget;
static struct body body;

static void set_up(void)
{
    budget = (struct body_budget){.max = 10000};
    body = (struct body){0};
}

static void tear_down(void)
{
    body_release(&body, &budget);
    ck_assert_int_eq(budget.used, 0);
}

START_TEST(collects_pieces)
{
    body_append(&body, &budget, "ab", 2, 100);
    body_append(&body, &budget, "", 0, 100);
    body_append(&body, &budget, "c\0d", 3, 100);
    ck_assert_uint_eq(body.len, 5);
    ck_assert_mem_eq(body.data, "abc\0d", 6);
    ck_assert(!body.is_cut && !body.is_refused);
}
END_TEST

START_TEST(keeps_no_more_than_the_limit)
{
    body_append(&body, &budget, "abc", 3, 4);
    body_append(&body, &budget, "def", 3, 4);
    ck_assert_str_eq(body.data, "abcd");
    ck_assert(body.is_cut);
    body_append(&body, &budget, "g", 1, 4);
    ck_assert_uint_eq(body.len, 4);
    ck_assert_int_eq(budget.used, 5);
}
END_TEST

START_TEST(refuses_what_the_budget_cannot_hold)
{
    static const char some[3000];
    for (int i = 0; i < 3; i++)
        body_append(&body, &budget, some, sizeof some, 9000);
    ck_assert(!body.is_refused);
    struct body other = {0};
    body_append(&other, &budget, "x", 1, 9000);
    ck_assert(other.is_refused);
    ck_assert_ptr_null(other.data);
    body_append(&other, &budget, "x", 1, 9000);
    ck_assert(other.is_refused);
    ck_assert_int_eq(budget.used, 9001);
    ck_assert(body_fits(&budget, 999));
    ck_assert(!body_fits(&budget, 1000));
    ck_assert(!body_fits(&budget, INT64_MAX));
    body_release(&other, &budget);
}
END_TEST

START_TEST(gives_its_room_back)
{
    body_append(&body, &budget, "x", 1, 9000);
    ck_assert_int_gt(budget.used, 0);
    body_release(&body, &budget);
    ck_assert_int_eq(budget.used, 0);
    body_release(&body, &budget);
    ck_assert_int_eq(budget.used, 0);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("body");
    TCase *tc = tcase_create("body");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, collects_pieces);
    tcase_add_test(tc, keeps_no_more_than_the_limit);
    tcase_add_test(tc, refuses_what_the_budget_cannot_hold);
    tcase_add_test(tc, gives_its_room_back);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
