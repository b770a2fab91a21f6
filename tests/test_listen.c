/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "api/listen.h"
#include "lib/mem.h"
#include "tests/support.h"

START_TEST(parses_addresses)
{
    static const struct {
        const char *text;
        const char *host;
        int port;
    } good[] = {
        {":8080", "", 8080},
        {"127.0.0.1:0", "127.0.0.1", 0},
        {"[::1]:65535", "::1", 65535},
        {"[fe80::1%eth0]:80", "fe80::1%eth0", 80},
        {"localhost:81", "localhost", 81},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct listen_address a;
        ck_ok(listen_parse(good[i].text, &a));
        ck_assert_str_eq(a.host, good[i].host);
        ck_assert_int_eq(a.port, good[i].port);
    }
}
END_TEST

START_TEST(refuses_what_is_no_address)
{
    static const char *const bad[] = {"",       "8080",  ":",       ":65536",  ":-1",    ":80a",    ": 80",
                                      "::1:80", "[::1]", "[::1:80", "::1]:80", "[x]:80", ":080808", "a[b]:80"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct listen_address a = {.port = 7};
        enum err e = listen_parse(bad[i], &a);
        ck_assert_msg(e == ERR_CONFIG, "%s", bad[i]);
        ck_assert_int_eq(a.port, 7);
    }
    char *long_name = mem_printf("%0*d:80", LISTEN_HOST_SIZE, 0);
    struct listen_address a;
    ck_err(listen_parse(long_name, &a), ERR_CONFIG);
    mem_free(&long_name);
}
END_TEST

static bool can_connect(const char *host, int port)
{
    int fd = -1;
    int rc = -1;
    if (strchr(host, ':') != NULL) {
        struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_port = htons((in_port_t)port)};
        inet_pton(AF_INET6, host, &to.sin6_addr);
        fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
        rc = connect(fd, (struct sockaddr *)&to, sizeof to);
    } else {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((in_port_t)port)};
        inet_pton(AF_INET, host, &to.sin_addr);
        fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        rc = connect(fd, (struct sockaddr *)&to, sizeof to);
    }
    close(fd);
    return rc == 0;
}

START_TEST(opens_several_sockets_on_one_port)
{
    int fds[3];
    int port = 0;
    ck_ok(listen_open("127.0.0.1:0", 3, fds, &port));
    ck_assert_int_gt(port, 0);
    for (size_t i = 0; i < 3; i++) {
        ck_assert(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
        ck_assert(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
    }
    ck_assert(can_connect("127.0.0.1", port));
    for (size_t i = 0; i < 3; i++)
        close(fds[i]);
    ck_assert(!can_connect("127.0.0.1", port));
}
END_TEST

START_TEST(listens_everywhere_when_no_host_is_named)
{
    int fd = -1;
    int port = 0;
    ck_ok(listen_open(":0", 1, &fd, &port));
    ck_assert(can_connect("127.0.0.1", port));
    struct sockaddr_storage own;
    socklen_t len = sizeof own;
    getsockname(fd, (struct sockaddr *)&own, &len);
    if (own.ss_family == AF_INET6)
        ck_assert(can_connect("::1", port));
    close(fd);
}
END_TEST

/* Also when that is another server of ours, with which SO_REUSEPORT would share it silently. */
START_TEST(refuses_a_port_that_somebody_listens_on)
{
    int fd = -1;
    int port = 0;
    ck_ok(listen_open("127.0.0.1:0", 1, &fd, &port));
    char *address = mem_printf("127.0.0.1:%d", port);
    support_log_capture();
    int second[2] = {-1, -1};
    ck_err(listen_open(address, 2, second, &port), ERR_CONFIG);
    char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "Address already in use"));
    mem_free(&log);
    close(fd);
    ck_ok(listen_open(address, 2, second, &port));
    close(second[0]);
    close(second[1]);
    mem_free(&address);
}
END_TEST

START_TEST(refuses_an_address_that_is_not_ours)
{
    int fd = -1;
    int port = 0;
    support_log_capture();
    ck_err(listen_open("192.0.2.1:0", 1, &fd, &port), ERR_CONFIG);
    ck_err(listen_open("256.1.1.1.:0", 1, &fd, &port), ERR_CONFIG);
    ck_err(listen_open("nonsense", 1, &fd, &port), ERR_CONFIG);
}
END_TEST

START_TEST(shows_ipv4_clients_as_ipv4)
{
    char text[48];
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &six.sin6_addr);
    listen_peer((struct sockaddr *)&six, text, sizeof text);
    ck_assert_str_eq(text, "192.0.2.7");
    inet_pton(AF_INET6, "2001:db8::7", &six.sin6_addr);
    listen_peer((struct sockaddr *)&six, text, sizeof text);
    ck_assert_str_eq(text, "2001:db8::7");
    struct sockaddr_in four = {.sin_family = AF_INET};
    inet_pton(AF_INET, "192.0.2.8", &four.sin_addr);
    listen_peer((struct sockaddr *)&four, text, sizeof text);
    ck_assert_str_eq(text, "192.0.2.8");
}
END_TEST

START_TEST(spares_files_for_the_rest_of_the_process)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = 64;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(listen_affordable(10, 1), 10);
    getrlimit(RLIMIT_NOFILE, &limit);
    ck_assert_uint_eq(limit.rlim_cur, limit.rlim_max);
    support_log_capture();
    limit = (struct rlimit){64, 64};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return; /* valgrind does not let the hard limit go */
    ck_assert_uint_eq(listen_affordable(1000, 1), 24);
    ck_assert_uint_eq(listen_affordable(1000, 2), 12);
    limit = (struct rlimit){16, 16};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_uint_eq(listen_affordable(1000, 2), 1);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("listen");
    TCase *tc = tcase_create("listen");
    tcase_add_test(tc, parses_addresses);
    tcase_add_test(tc, refuses_what_is_no_address);
    tcase_add_test(tc, opens_several_sockets_on_one_port);
    tcase_add_test(tc, listens_everywhere_when_no_host_is_named);
    tcase_add_test(tc, refuses_a_port_that_somebody_listens_on);
    tcase_add_test(tc, refuses_an_address_that_is_not_ours);
    tcase_add_test(tc, shows_ipv4_clients_as_ipv4);
    tcase_add_test(tc, spares_files_for_the_rest_of_the_process);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
