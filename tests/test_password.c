/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "auth/password.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

/*
 * "allmine" by Go's bcrypt, whose test has it as $2a$10$; all prefixes stand for the same function of ASCII
 * passwords.
 */
static const char *const of_allmine[] = {
    "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2b$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2x$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2y$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
};

static char *repeat(char c, size_t n)
{
    char *text = mem_calloc(n + 1, 1);
    memset(text, c, n);
    return text;
}

START_TEST(checks_hashes_of_the_original_service)
{
    ck_ok(password_check("allmine", of_allmine[_i]));
    ck_err(password_check("allmin", of_allmine[_i]), ERR_UNAUTHORIZED);
    ck_err(password_check("", of_allmine[_i]), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(checks_what_it_hashed)
{
    AUTO(mem_free) char *hash = NULL;
    ck_ok(password_hash("correct horse", 5, &hash));
    ck_assert_int_eq(strncmp(hash, "$2a$05$", 7), 0);
    ck_assert_uint_eq(strlen(hash), 60);
    ck_assert(password_is_hash(hash));
    ck_ok(password_check("correct horse", hash));
    ck_err(password_check("correct horsf", hash), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(two_hashes_of_one_password_differ)
{
    AUTO(mem_free) char *a = NULL;
    AUTO(mem_free) char *b = NULL;
    ck_ok(password_hash("correct horse", 4, &a));
    ck_ok(password_hash("correct horse", 4, &b));
    ck_assert_str_ne(a, b);
}
END_TEST

START_TEST(hashes_at_most_72_bytes)
{
    AUTO(mem_free) char *longest = repeat('x', 72);
    AUTO(mem_free) char *too_long = repeat('x', 73);
    AUTO(mem_free) char *hash = NULL;
    ck_err(password_hash(too_long, 4, &hash), ERR_PASSWORD_LONG);
    ck_assert_ptr_null(hash);
    ck_ok(password_hash(longest, 4, &hash));
    ck_ok(password_check(longest, hash));
    /* bytes behind the 72nd never counted, in the original neither */
    ck_ok(password_check(too_long, hash));
    AUTO(mem_free) char *huge = repeat('x', 257);
    ck_err(password_check(huge, hash), ERR_UNAUTHORIZED);
    AUTO(mem_free) char *absurd = repeat('x', 100000);
    ck_err(password_check(absurd, hash), ERR_UNAUTHORIZED);
}
END_TEST

START_TEST(refuses_costs_out_of_range)
{
    AUTO(mem_free) char *hash = NULL;
    ck_err(password_hash("correct horse", PASSWORD_COST_MIN - 1, &hash), ERR_PASSWORD_HASH);
    ck_err(password_hash("correct horse", PASSWORD_COST_MAX + 1, &hash), ERR_PASSWORD_HASH);
    ck_err(password_hash("correct horse", -1, &hash), ERR_PASSWORD_HASH);
}
END_TEST

static const char *const no_hash[] = {
    "",
    "x",
    "allmine",
    "*0",
    "$2a$10$",
    "$2c$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcgaa",
    "$2a$03$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2a$31$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2a$1:$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga",
    "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcg",
    "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDcga ",
    "$2a$10$XajjQvNhvvRt5GSeFk1xFeyqRrsxkhBkUiQeg0dt.wU1qD4aFDc!a",
    "$1$aaaaaaaa$aaaaaaaaaaaaaaaaaaaaaa",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

START_TEST(refuses_other_hashes)
{
    ck_assert(!password_is_hash(no_hash[_i]));
    ck_err(password_check("allmine", no_hash[_i]), ERR_UNAUTHORIZED);
}
END_TEST

static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define ROUNDS 41

static double median(double samples[ROUNDS])
{
    qsort(samples, ROUNDS, sizeof *samples, by_size);
    return samples[ROUNDS / 2];
}

START_TEST(nobody_costs_what_somebody_does)
{
    AUTO(mem_free) char *hash = NULL;
    AUTO(mem_free) char *huge = repeat('x', 3000);
    ck_ok(password_hash("correct horse", 6, &hash));
    double somebody[ROUNDS], nobody[ROUNDS], other[ROUNDS], costlier[ROUNDS];
    for (int i = 0; i < ROUNDS; i++) {
        double start = cpu_ms();
        ck_err(password_check("wrong horse", hash), ERR_UNAUTHORIZED);
        somebody[i] = cpu_ms() - start;
        start = cpu_ms();
        password_check_nobody("wrong horse", 6);
        nobody[i] = cpu_ms() - start;
        start = cpu_ms();
        ck_err(password_check(huge, hash), ERR_UNAUTHORIZED);
        other[i] = cpu_ms() - start;
        start = cpu_ms();
        password_check_nobody("wrong horse", 7);
        costlier[i] = cpu_ms() - start;
    }
    double base = median(somebody);
    ck_assert_double_ge(median(nobody) / base, 0.75);
    ck_assert_double_le(median(nobody) / base, 1.25);
    ck_assert_double_ge(median(other) / base, 0.75);
    ck_assert_double_le(median(other) / base, 1.25);
    ck_assert_double_ge(median(costlier) / base, 1.5);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("password");
    TCase *tc = tcase_create("password");
    suite_add_tcase(s, tc);
    tcase_add_loop_test(tc, checks_hashes_of_the_original_service, 0, sizeof of_allmine / sizeof *of_allmine);
    tcase_add_test(tc, checks_what_it_hashed);
    tcase_add_test(tc, two_hashes_of_one_password_differ);
    tcase_add_test(tc, hashes_at_most_72_bytes);
    tcase_add_test(tc, refuses_costs_out_of_range);
    tcase_add_loop_test(tc, refuses_other_hashes, 0, sizeof no_hash / sizeof *no_hash);
    tcase_add_test(tc, nobody_costs_what_somebody_does);
    return s;
}

int main(void)
{
    return support_main(suite());
}
