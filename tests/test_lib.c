/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "lib/rand.h"
#include "lib/sat.h"
#include "lib/thread.h"
#include "tests/support.h"

/* Two have no text, since their replies have no body: contract/deviceauth 1.4, 3.3. */
START_TEST(every_error_has_a_status_and_a_text)
{
#define CHECK_ROW(name, status, text)                                                                                  \
    ck_assert_str_eq(err_name(ERR_##name), #name);                                                                     \
    ck_assert_int_eq(err_status(ERR_##name), status);                                                                  \
    ck_assert_int_eq(*err_text(ERR_##name) == '\0', ERR_##name == ERR_NO_DEVICE || ERR_##name == ERR_NOTHING_THERE);
    ERR_LIST(CHECK_ROW)
}
END_TEST

START_TEST(sums_and_products_stop_at_the_ends)
{
    ck_assert_int_eq(sat_add(-5, 7), 2);
    ck_assert_int_eq(sat_add(INT64_MAX - 1, 1), INT64_MAX);
    ck_assert_int_eq(sat_add(INT64_MAX, 1), INT64_MAX);
    ck_assert_int_eq(sat_mul(-3, 1000), -3000);
    ck_assert_int_eq(sat_mul(INT64_MAX / 2, 3), INT64_MAX);
    ck_assert_int_eq(sat_mul(INT64_MIN / 2, 3), INT64_MIN);
}
END_TEST

static enum err fail_second(int *steps)
{
    (*steps)++;
    TRY(ERR_OK);
    (*steps)++;
    TRY(ERR_BUSY);
    (*steps)++;
    return ERR_OK;
}

START_TEST(try_returns_the_first_error)
{
    int steps = 0;
    ck_err(fail_second(&steps), ERR_BUSY);
    ck_assert_int_eq(steps, 2);
}
END_TEST

START_TEST(move_leaves_nothing_to_free_twice)
{
    AUTO(mem_free) char *from = mem_strdup("x");
    AUTO(mem_free) char *to = MOVE(from);
    ck_assert_ptr_null(from);
    ck_assert_str_eq(to, "x");
}
END_TEST

START_TEST(a_stopped_clock_gives_its_time)
{
    clock_set(1700000000123);
    ck_assert_int_eq(clock_ms(), 1700000000123);
    ck_assert_int_eq(clock_s(), 1700000000);
    ck_assert_int_eq(clock_mono_ms(), 1700000000123);
    clock_set(-1);
    ck_assert_int_gt(clock_ms(), 1700000000123);
}
END_TEST

START_TEST(writes_times_as_the_contract_shows_them)
{
    static const struct {
        int64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00Z"},
        {1763715905120, "2025-11-21T09:05:05.12Z"},
        {1763715905000, "2025-11-21T09:05:05Z"},
        {1763715905001, "2025-11-21T09:05:05.001Z"},
        {5738457600000, "2151-11-05T08:00:00Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[CLOCK_RFC3339_SIZE];
        clock_rfc3339(cases[i].ms, text);
        ck_assert_str_eq(text, cases[i].text);
    }
}
END_TEST

START_TEST(uuids_are_version_4_and_differ)
{
    char a[RAND_UUID_SIZE];
    char b[RAND_UUID_SIZE];
    rand_uuid(a);
    rand_uuid(b);
    ck_assert_str_ne(a, b);
    ck_assert_uint_eq(strlen(a), 36);
    ck_assert_uint_eq(strspn(a, "0123456789abcdef-"), 36);
    ck_assert_int_eq(a[14], '4');
    ck_assert_ptr_nonnull(strchr("89ab", a[19]));
}
END_TEST

START_TEST(ordered_uuids_sort_as_they_were_made)
{
    char before[RAND_UUID_SIZE];
    char uuid[RAND_UUID_SIZE];
    rand_uuid_ordered(before);
    for (int i = 0; i < 20000; i++) {
        rand_uuid_ordered(uuid);
        ck_assert(rand_is_uuid(uuid));
        ck_assert_int_eq(uuid[14], '7');
        ck_assert_int_lt(strcmp(before, uuid), 0);
        memcpy(before, uuid, sizeof before);
    }
}
END_TEST

START_TEST(a_uuid_is_known_by_its_form)
{
    static const char *const others[] = {"",
                                         "f54ef50c-9c1e-4b7a-8a57-0c2b1d3e4f5",
                                         "f54ef50c-9c1e-4b7a-8a57-0c2b1d3e4f5a0",
                                         "f54ef50c-9c1e-4b7a-8a57-0c2b1d3e4f5A",
                                         "f54ef50c09c1e-4b7a-8a57-0c2b1d3e4f5a",
                                         "f54ef50c-9c1e-4b7a-8a57-0c2b1d3e4f5-",
                                         "f54ef50c-9c1e-4b7a-8a57-0c2b1d3e4f5\xff"};
    char uuid[RAND_UUID_SIZE];
    rand_uuid(uuid);
    ck_assert(rand_is_uuid(uuid));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        ck_assert(!rand_is_uuid(others[i]));
}
END_TEST

static void *collect_uuids(void *out)
{
    for (size_t i = 0; i < 1000; i++)
        rand_uuid((char *)out + i * RAND_UUID_SIZE);
    return NULL;
}

static int compare_uuids(const void *a, const void *b)
{
    return memcmp(a, b, RAND_UUID_SIZE);
}

START_TEST(a_wait_ends_at_its_limit_also_when_the_clock_is_stopped)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never;
    thread_cond_init(&never);
    clock_set(INT64_C(1763715905120));
    struct timespec limit = thread_limit(1020);
    struct timespec now = thread_limit(0);
    int64_t ms = (limit.tv_sec - now.tv_sec) * 1000 + (limit.tv_nsec - now.tv_nsec) / 1000000;
    ck_assert_int_le(ms, 1020);
    ck_assert_int_gt(ms, 0);
    ck_assert_int_lt(limit.tv_nsec, 1000000000);
    limit = thread_limit(20);
    pthread_mutex_lock(&lock);
    int rc = 0;
    while (rc == 0)
        rc = pthread_cond_timedwait(&never, &lock, &limit);
    pthread_mutex_unlock(&lock);
    ck_assert_int_eq(rc, ETIMEDOUT);
    clock_set(-1);
    pthread_cond_destroy(&never);
}
END_TEST

START_TEST(threads_never_share_a_uuid)
{
    enum { THREADS = 4, EACH = 1000 };
    char *all = mem_calloc(THREADS * EACH, RAND_UUID_SIZE);
    pthread_t thread[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, collect_uuids, all + i * EACH * RAND_UUID_SIZE), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    qsort(all, THREADS * EACH, RAND_UUID_SIZE, compare_uuids);
    for (size_t i = 1; i < THREADS * EACH; i++)
        ck_assert_str_ne(all + i * RAND_UUID_SIZE, all + (i - 1) * RAND_UUID_SIZE);
    mem_free(&all);
}
END_TEST

START_TEST(strings_are_copied_printed_and_wiped)
{
    AUTO(mem_free) char *copy = mem_strndup("secret", 3);
    ck_assert_str_eq(copy, "sec");
    AUTO(mem_free) char *text = mem_printf("%s-%d", copy, 7);
    ck_assert_str_eq(text, "sec-7");
    ck_assert_ptr_null(mem_strdup(NULL));
    mem_wipe(&copy);
    ck_assert_ptr_null(copy);
}
END_TEST

START_TEST(an_impossible_allocation_aborts)
{
    free(mem_calloc(SIZE_MAX / 2, 4));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("lib");
    TCase *tc = tcase_create("lib");
    tcase_add_test(tc, every_error_has_a_status_and_a_text);
    tcase_add_test(tc, sums_and_products_stop_at_the_ends);
    tcase_add_test(tc, try_returns_the_first_error);
    tcase_add_test(tc, move_leaves_nothing_to_free_twice);
    tcase_add_test(tc, a_stopped_clock_gives_its_time);
    tcase_add_test(tc, writes_times_as_the_contract_shows_them);
    tcase_add_test(tc, uuids_are_version_4_and_differ);
    tcase_add_test(tc, ordered_uuids_sort_as_they_were_made);
    tcase_add_test(tc, a_uuid_is_known_by_its_form);
    tcase_add_test(tc, a_wait_ends_at_its_limit_also_when_the_clock_is_stopped);
    tcase_add_test(tc, threads_never_share_a_uuid);
    tcase_add_test(tc, strings_are_copied_printed_and_wiped);
    tcase_add_test_raise_signal(tc, an_impossible_allocation_aborts, 6);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_fork(); /* one test aborts */
    return support_main(suite());
}
