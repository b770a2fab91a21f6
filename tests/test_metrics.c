/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "tests/support.h"

METRICS_COUNTER(good, "test_total", "result=\"ok\"", "Things by result.");
METRICS_GAUGE(level, "test_level", "", "A level.");
METRICS_HISTOGRAM(seconds, "test_seconds", "route=\"/x\"", "Durations.");
METRICS_COUNTER(bad, "test_total", "result=\"bad\"", "Things by result.");

static char *output(void)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    metrics_write(out);
    fclose(out);
    return text;
}

START_TEST(a_family_stands_together_under_one_help)
{
    metrics_add(&good, 2);
    metrics_add(&bad, 3);
    AUTO(mem_free) char *text = output();
    ck_assert_ptr_nonnull(strstr(text, "# HELP test_total Things by result.\n# TYPE test_total counter\n"
                                       "test_total{result=\"ok\"} 2\ntest_total{result=\"bad\"} 3\n"));
}
END_TEST

START_TEST(a_gauge_goes_up_and_down)
{
    metrics_add(&level, 7);
    metrics_add(&level, -2);
    ck_assert_int_eq(metrics_value(&level), 5);
    metrics_add(&level, -4);
    AUTO(mem_free) char *text = output();
    ck_assert_ptr_nonnull(strstr(text, "# TYPE test_level gauge\ntest_level 1\n"));
}
END_TEST

START_TEST(a_histogram_is_cumulative)
{
    metrics_observe(&seconds, 50000);
    metrics_observe(&seconds, 50001);
    metrics_observe(&seconds, INT64_C(3600000000000));
    AUTO(mem_free) char *text = output();
    ck_assert_ptr_nonnull(strstr(text, "test_seconds_bucket{route=\"/x\",le=\"5e-05\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, "test_seconds_bucket{route=\"/x\",le=\"0.0001\"} 2\n"));
    ck_assert_ptr_nonnull(strstr(text, "test_seconds_bucket{route=\"/x\",le=\"+Inf\"} 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "test_seconds_count{route=\"/x\"} 3\n"));
    ck_assert_int_eq(metrics_value(&seconds), 3);
}
END_TEST

static void *add_many(void *unused)
{
    (void)unused;
    for (int i = 0; i < 10000; i++)
        metrics_add(&good, 1);
    return NULL;
}

START_TEST(threads_lose_no_count)
{
    pthread_t thread[12];
    for (size_t i = 0; i < 12; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, add_many, NULL), 0);
    for (size_t i = 0; i < 12; i++)
        pthread_join(thread[i], NULL);
    ck_assert_int_eq(metrics_value(&good), 120000);
}
END_TEST

static void write_key(FILE *out)
{
    fputs("key_info{file=\"", out);
    metrics_label(out, "a\"b\\c\nd");
    fputs("\"} 1\n", out);
}

START_TEST(a_collector_writes_at_each_output)
{
    metrics_collect(write_key);
    for (int i = 0; i < 2; i++) {
        AUTO(mem_free) char *text = output();
        ck_assert_ptr_nonnull(strstr(text, "key_info{file=\"a\\\"b\\\\c\\nd\"} 1\n"));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("metrics");
    TCase *tc = tcase_create("metrics");
    tcase_add_test(tc, a_family_stands_together_under_one_help);
    tcase_add_test(tc, a_gauge_goes_up_and_down);
    tcase_add_test(tc, a_histogram_is_cumulative);
    tcase_add_test(tc, threads_lose_no_count);
    tcase_add_test(tc, a_collector_writes_at_each_output);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    support_fork(); /* counts are from the start */
    return support_main(suite());
}
