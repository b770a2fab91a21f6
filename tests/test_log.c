/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/support.h"

#define NOW INT64_C(1763715905120)

static void start(enum log_level level, enum log_format format)
{
    clock_set(NOW);
    log_setup(level, format);
    support_log_capture();
}

START_TEST(a_text_line_has_time_level_message_and_fields)
{
    start(LOG_INFO, LOG_TEXT);
    log_info("key accepted", LOG_STR("file", "a b.pem"), LOG_INT("kid", 7), LOG_STR("alg", "ES256"));
    AUTO(mem_free) char *log = support_log();
    ck_assert_str_eq(log, "2025-11-21T09:05:05.120Z info  key accepted file=\"a b.pem\" kid=7 alg=ES256\n");
}
END_TEST

START_TEST(the_time_has_three_digits_of_milliseconds_always)
{
    static const struct {
        int64_t ms;
        const char *text;
    } times[] = {{NOW / 1000 * 1000, "2025-11-21T09:05:05.000Z "}, {7, "1970-01-01T00:00:00.007Z "}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        start(LOG_INFO, LOG_TEXT);
        clock_set(times[i].ms);
        log_info("x");
        AUTO(mem_free) char *log = support_log();
        ck_assert_int_eq(strncmp(log, times[i].text, strlen(times[i].text)), 0);
    }
}
END_TEST

START_TEST(a_json_line_is_one_object)
{
    start(LOG_INFO, LOG_JSON);
    log_warn("x", LOG_STR("s", "q\"\\"), LOG_INT("n", -1), LOG_STR("none", NULL));
    AUTO(mem_free) char *log = support_log();
    ck_assert_str_eq(
        log, "{\"time\":\"2025-11-21T09:05:05.120Z\",\"level\":\"warn\",\"msg\":\"x\",\"s\":\"q\\\"\\\\\",\"n\":-1,"
             "\"none\":\"\"}\n");
}
END_TEST

START_TEST(a_value_cannot_forge_a_line)
{
    for (int format = LOG_TEXT; format <= LOG_JSON; format++) {
        start(LOG_INFO, (enum log_format)format);
        log_info("login", LOG_STR("email", "a@b.c\r\n2025 info forged\x1b[31m"));
        AUTO(mem_free) char *log = support_log();
        ck_assert_ptr_eq(strchr(log, '\n'), log + strlen(log) - 1);
        ck_assert_ptr_null(strchr(log, '\r'));
        ck_assert_ptr_null(strchr(log, '\x1b'));
    }
}
END_TEST

START_TEST(lines_below_the_level_are_dropped)
{
    start(LOG_WARN, LOG_TEXT);
    log_info("quiet");
    log_debug("quiet");
    log_error("loud");
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_null(strstr(log, "quiet"));
    ck_assert_ptr_nonnull(strstr(log, "loud"));
    ck_assert(!log_enabled(LOG_INFO));
}
END_TEST

START_TEST(level_names_are_known)
{
    enum log_level level = LOG_ERROR;
    ck_assert(log_level_parse("debug", &level));
    ck_assert_int_eq(level, LOG_DEBUG);
    ck_assert(log_level_parse("WARNING", &level));
    ck_assert_int_eq(level, LOG_WARN);
    ck_assert(!log_level_parse("loud", &level));
    ck_assert_int_eq(level, LOG_WARN);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("log");
    TCase *tc = tcase_create("log");
    tcase_add_test(tc, a_text_line_has_time_level_message_and_fields);
    tcase_add_test(tc, the_time_has_three_digits_of_milliseconds_always);
    tcase_add_test(tc, a_json_line_is_one_object);
    tcase_add_test(tc, a_value_cannot_forge_a_line);
    tcase_add_test(tc, lines_below_the_level_are_dropped);
    tcase_add_test(tc, level_names_are_known);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
