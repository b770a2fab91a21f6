/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "lib/net.h"
#include "tests/support.h"

static struct net net_of(const char *text)
{
    struct net net;
    ck_assert_msg(net_parse(text, &net), "%s does not parse", text);
    return net;
}

START_TEST(networks_and_addresses_are_read_and_written)
{
    static const char *const cases[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"192.0.2.1/32", "192.0.2.1"},
        {"192.0.2.0/24", "192.0.2.0/24"},
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"192.0.2.128/25", "192.0.2.128/25"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::/0", "::/0"},
        {"::1", "::1"},
        {"2001:DB8:0:0::/32", "2001:db8::/32"},
        {"2001:db8::1/128", "2001:db8::1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.0/120", "192.0.2.0/24"},
        {"::ffff:c000:201", "192.0.2.1"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct net net = net_of(cases[i][0]);
        char text[NET_TEXT_SIZE];
        net_text(&net, text);
        ck_assert_str_eq(text, cases[i][1]);
    }
}
END_TEST

START_TEST(refuses_what_is_no_network)
{
    static const char *const cases[] = {
        "",
        "x",
        "192.0.2",
        "192.0.2.1.1",
        "192.0.2.256",
        "192.0.2.01",
        " 192.0.2.1",
        "192.0.2.1 ",
        "192.0.2.0/",
        "192.0.2.0/33",
        "192.0.2.0/-1",
        "192.0.2.0/a",
        "192.0.2.0/24/",
        "192.0.2.0/024",
        "192.0.2.1/24",
        "::/129",
        "2001:db8::1/64",
        "fe80::1%eth0",
        "[::1]",
        "1::2::3",
        "0x7f.1",
        "2001:db8::/4294967328",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc",
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct net net;
        ck_assert_msg(!net_parse(cases[i], &net), "%s parses", cases[i]);
    }
    struct net net;
    ck_assert(!net_parse_address("192.0.2.1/32", 12, &net));
    ck_assert(!net_parse_address("", 0, &net));
    ck_assert(net_parse_address("192.0.2.1:80", 9, &net));
}
END_TEST

START_TEST(a_network_contains_its_own)
{
    static const struct {
        const char *net, *address;
        bool is_in;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/25", "192.0.2.128", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct net net = net_of(cases[i].net);
        struct net address = net_of(cases[i].address);
        ck_assert_msg(net_contains(&net, &address) == cases[i].is_in, "%s in %s", cases[i].address, cases[i].net);
    }
}
END_TEST

START_TEST(the_network_around_an_address)
{
    static const char *const cases[][2] = {
        {"192.0.2.77", "192.0.2.0/24"},
        {"::ffff:192.0.2.77", "192.0.2.0/24"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"::1", "::/64"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct net address = net_of(cases[i][0]);
        struct net around = net_around(&address, 24, 64);
        char text[NET_TEXT_SIZE];
        net_text(&around, text);
        ck_assert_str_eq(text, cases[i][1]);
        ck_assert(net_contains(&around, &address));
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("net");
    TCase *tc = tcase_create("net");
    tcase_add_test(tc, networks_and_addresses_are_read_and_written);
    tcase_add_test(tc, refuses_what_is_no_network);
    tcase_add_test(tc, a_network_contains_its_own);
    tcase_add_test(tc, the_network_around_an_address);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
