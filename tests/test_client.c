/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "api/client.h"
#include "api/frame.h"
#include "api/service.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/fixture.h"

static const char *const trusted[] = {"10.0.0.0/8", "192.0.2.7", "2001:db8::/32"};

static void check(const char *peer, const char *forwarded, const char *want)
{
    struct net proxies[3];
    for (size_t i = 0; i < 3; i++)
        ck_assert(net_parse(trusted[i], &proxies[i]));
    struct service service = {.trusted_proxies = proxies, .trusted_proxies_n = 3};
    struct call c = {.service = &service};
    memcpy(c.peer, peer, strlen(peer));
    c.header[CALL_FORWARDED_FOR] = forwarded;
    ck_assert_msg(strcmp(client_address(&c), want) == 0, "%s with %s: %s", peer, forwarded, client_address(&c));
}

START_TEST(the_client_is_the_right_most_that_is_no_proxy)
{
    check("10.0.0.1", NULL, "10.0.0.1");
    check("10.0.0.1", "203.0.113.9", "203.0.113.9");
    check("10.0.0.1", "198.51.100.1, 203.0.113.9", "203.0.113.9");
    check("10.0.0.1", "198.51.100.1, 203.0.113.9, 10.1.1.1,\t192.0.2.7 ", "203.0.113.9");
    check("2001:db8::1", "2001:DB9:0::1", "2001:db9::1");
    check("10.0.0.1", "::ffff:203.0.113.9", "203.0.113.9");
    check("10.0.0.1", "203.0.113.9:4711", "203.0.113.9");
    check("10.0.0.1", "[2001:db9::1]:4711", "2001:db9::1");
    check("10.0.0.1", "[2001:db9::1]", "2001:db9::1");
    /* all of them are proxies: the first is as far as can be seen */
    check("10.0.0.1", "10.0.0.3, 10.0.0.2", "10.0.0.3");
}
END_TEST

START_TEST(strangers_are_not_believed)
{
    check("203.0.113.1", "198.51.100.1", "203.0.113.1");
    check("203.0.113.1", "10.0.0.1", "203.0.113.1");
    check("2001:db9::1", "198.51.100.1", "2001:db9::1");
    struct service none = {0};
    struct call c = {.service = &none, .peer = "10.0.0.1"};
    c.header[CALL_FORWARDED_FOR] = "198.51.100.1";
    ck_assert_str_eq(client_address(&c), "10.0.0.1");
}
END_TEST

START_TEST(garbage_is_never_an_address)
{
    static const char *const garbage[] = {
        "",
        " ",
        ",",
        "unknown",
        "_hidden",
        "198.51.100.1 x",
        "198.51.100",
        "198.51.100.1,",
        ",,",
        "\"198.51.100.1\"",
        "198.51.100.1/8",
        "[2001:db9::1",
        "2001:db9::1]",
        "[198.51.100.1",
        "localhost",
        "0",
        "-",
        "203.0.113.9, 1.2.3.4.5",
        "2001:db9::1%eth0",
        "for=198.51.100.1",
        "198.51.100.1\n",
        "999.1.1.1",
        ":80",
        "[]:80",
        "[]",
    };
    for (size_t i = 0; i < sizeof garbage / sizeof *garbage; i++) {
        check("10.0.0.1", garbage[i], "10.0.0.1");
        AUTO(mem_free) char *behind = mem_printf("%s , 10.0.0.2", garbage[i]);
        check("10.0.0.1", behind, "10.0.0.2");
    }
    AUTO(mem_free) char *long_one = mem_calloc(5000, 1);
    memset(long_one, '1', 4999);
    check("10.0.0.1", long_one, "10.0.0.1");
    memset(long_one, ',', 4999);
    check("10.0.0.1", long_one, "10.0.0.1");
}
END_TEST

/* HAProxy adds a line behind those that the client sent. */
START_TEST(the_last_of_several_lines_counts)
{
    struct frame frame = {0};
    struct call c = {0};
    static const char name[] = "X-Forwarded-For";
    frame_header(&frame, &c, name, sizeof name - 1, "198.51.100.1", 12);
    frame_header(&frame, &c, "x-forwarded-for", sizeof name - 1, "203.0.113.9", 11);
    ck_assert_str_eq(c.header[CALL_FORWARDED_FOR], "203.0.113.9");
    ck_assert_ptr_null(frame.why);
}
END_TEST

START_TEST(the_access_log_shows_the_client)
{
    struct fixture f;
    fixture_init(&f, 0);
    struct net proxy;
    ck_assert(net_parse("127.0.0.1", &proxy));
    f.service.trusted_proxies = &proxy;
    f.service.trusted_proxies_n = 1;
    support_log_capture();
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", "/api/management/v1/useradm/users");
    c->header[CALL_FORWARDED_FOR] = "203.0.113.9";
    ck_assert_int_eq(fixture_run(c), 401);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "client=203.0.113.9"));
    fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("client");
    TCase *tc = tcase_create("client");
    tcase_add_test(tc, the_client_is_the_right_most_that_is_no_proxy);
    tcase_add_test(tc, strangers_are_not_believed);
    tcase_add_test(tc, garbage_is_never_an_address);
    tcase_add_test(tc, the_last_of_several_lines_counts);
    tcase_add_test(tc, the_access_log_shows_the_client);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
