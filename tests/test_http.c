/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/support.h"

enum { PATIENCE_MS = 20000, REPLY_MAX = 1024 };

/* A server for one connection: it reads a request whole, writes its answer, and closes at once or when told. */
static struct peer {
    pthread_t thread;
    int listener, port;
    const char *answer;
    size_t padding;           /* bytes "x" after the answer */
    bool stays_open;          /* until the client closes */
    _Atomic int64_t *told_ms; /* set to now when the answer is out; NULL: nothing */
    char got[8192];
    size_t len;
} peer;

static char url[64];

/* The header, and as much body as Content-Length says. */
static bool is_whole(const struct peer *p)
{
    const char *end = memmem(p->got, p->len, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    const char *length = strcasestr(p->got, "\r\nContent-Length:");
    size_t want = length != NULL ? strtoul(length + strlen("\r\nContent-Length:"), NULL, 10) : 0;
    return p->len >= (size_t)(end + 4 - p->got) + want;
}

static void receive(struct peer *p, int fd)
{
    while (!is_whole(p)) {
        ssize_t n = recv(fd, p->got + p->len, sizeof p->got - 1 - p->len, 0);
        if (n <= 0)
            return;
        p->len += (size_t)n;
    }
}

static void send_answer(const struct peer *p, int fd)
{
    if (send(fd, p->answer, strlen(p->answer), MSG_NOSIGNAL) < 0)
        return;
    char some[1024];
    memset(some, 'x', sizeof some);
    for (size_t left = p->padding; left > 0;) {
        ssize_t n = send(fd, some, left < sizeof some ? left : sizeof some, MSG_NOSIGNAL);
        if (n < 0)
            return;
        left -= (size_t)n;
    }
}

static void *serve(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->listener, NULL, NULL);
    if (fd < 0) /* the client gave up before it came here, and finish() closed */
        return NULL;
    receive(p, fd);
    send_answer(p, fd);
    if (p->told_ms != NULL)
        atomic_store(p->told_ms, clock_mono_ms());
    struct pollfd gone = {.fd = fd, .events = POLLRDHUP};
    if (p->stays_open)
        poll(&gone, 1, PATIENCE_MS);
    close(fd);
    return NULL;
}

static void listen_somewhere(void)
{
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof here;
    peer.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(peer.listener, (struct sockaddr *)&here, sizeof here), 0);
    ck_assert_int_eq(getsockname(peer.listener, (struct sockaddr *)&here, &len), 0);
    peer.port = ntohs(here.sin_port);
    snprintf(url, sizeof url, "http://127.0.0.1:%d/a/path?q=1", peer.port);
}

static void answer_with(const char *answer)
{
    listen_somewhere();
    peer.answer = answer;
    ck_assert_int_eq(listen(peer.listener, 1), 0);
    ck_assert_int_eq(pthread_create(&peer.thread, NULL, serve, &peer), 0);
}

static void finish(void)
{
    shutdown(peer.listener, SHUT_RDWR); /* ends an accept() that nobody came to */
    pthread_join(peer.thread, NULL);
    close(peer.listener);
}

static void forget(void)
{
    peer = (struct peer){0};
}

static struct http_request get(void)
{
    return (struct http_request){.method = "GET", .url = url, .timeout_ms = PATIENCE_MS, .reply_max = REPLY_MAX};
}

/* The request fails in this way, says why, and leaves the reply alone. */
static void refuses(const struct http_request *request, enum err want)
{
    char why[HTTP_WHY_SIZE] = "";
    struct http_reply reply = {.status = -1};
    ck_err(http_request(request, why, &reply), want);
    ck_assert_str_ne(why, "");
    ck_assert_int_eq(reply.status, -1);
    ck_assert_ptr_null(reply.body);
}

START_TEST(gives_status_and_body)
{
    answer_with("HTTP/1.1 201 Created\r\nContent-Type: text/x; a=b\r\nContent-Length: 5\r\n\r\nhello");
    struct http_request request = get();
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    ck_ok(http_request(&request, why, &reply));
    finish();
    ck_assert_int_eq(reply.status, 201);
    ck_assert_str_eq(reply.type, "text/x; a=b");
    ck_assert_str_eq(reply.body, "hello");
    ck_assert_uint_eq(reply.len, 5);
    ck_assert_int_eq(strncmp(peer.got, "GET /a/path?q=1 HTTP/1.1\r\n", 26), 0);
}
END_TEST

START_TEST(sends_method_headers_and_body)
{
    answer_with("HTTP/1.1 204 No Content\r\n\r\n");
    char body[4096];
    memset(body, 'b', sizeof body);
    struct http_request request = get();
    request.method = "PUT";
    request.headers = (const char *const[]){"Content-Type: application/json", "X-MEN-RequestID: 7", NULL};
    request.body = body;
    request.body_len = sizeof body;
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    ck_ok(http_request(&request, why, &reply));
    finish();
    ck_assert_int_eq(reply.status, 204);
    ck_assert_str_eq(reply.body, "");
    ck_assert_int_eq(strncmp(peer.got, "PUT /a/path", 11), 0);
    ck_assert_ptr_nonnull(strstr(peer.got, "\r\nContent-Type: application/json\r\n"));
    ck_assert_ptr_nonnull(strstr(peer.got, "\r\nX-MEN-RequestID: 7\r\n"));
    ck_assert_ptr_null(strcasestr(peer.got, "\r\nExpect:"));
    ck_assert_ptr_nonnull(memmem(peer.got, peer.len, body, sizeof body));
}
END_TEST

START_TEST(takes_no_body_for_head)
{
    answer_with("HTTP/1.1 200 OK\r\nContent-Length: 5000000\r\n\r\n");
    struct http_request request = get();
    request.method = "HEAD";
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    ck_ok(http_request(&request, why, &reply));
    finish();
    ck_assert_int_eq(reply.status, 200);
    ck_assert_uint_eq(reply.len, 0);
}
END_TEST

/* 0: before it begins; 1: while the body is awaited */
START_TEST(is_given_up_when_told)
{
    _Atomic int64_t give_up_ms = _i == 0 ? clock_mono_ms() : 0;
    peer.stays_open = true;
    peer.told_ms = _i == 0 ? NULL : &give_up_ms;
    answer_with("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    struct http_request request = get();
    request.give_up_ms = &give_up_ms;
    refuses(&request, ERR_HTTP_TIMEOUT);
    finish();
    int64_t told_ms = atomic_load(&give_up_ms);
    ck_assert_int_ne(told_ms, 0);
    ck_assert_int_lt(clock_mono_ms() - told_ms, PATIENCE_MS / 2);
}
END_TEST

START_TEST(is_given_up_from_its_time_on)
{
    _Atomic int64_t give_up_ms = 0;
    ck_assert(!http_is_given_up(&give_up_ms));
    atomic_store(&give_up_ms, clock_mono_ms() + PATIENCE_MS);
    ck_assert(!http_is_given_up(&give_up_ms));
    atomic_store(&give_up_ms, clock_mono_ms());
    ck_assert(http_is_given_up(&give_up_ms));
}
END_TEST

START_TEST(follows_no_redirect)
{
    answer_with("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    struct http_request request = get();
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    ck_ok(http_request(&request, why, &reply));
    finish();
    ck_assert_int_eq(reply.status, 302);
}
END_TEST

START_TEST(uses_no_proxy_of_the_environment)
{
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    answer_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    struct http_request request = get();
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    ck_ok(http_request(&request, why, &reply));
    finish();
}
END_TEST

/* 0: as large as allowed; 1: announced larger; 2: larger without a word */
START_TEST(refuses_a_reply_that_is_too_large)
{
    static const char *const heads[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1024\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n",
    };
    peer.padding = _i == 2 ? 1000000 : REPLY_MAX + (size_t)_i;
    answer_with(heads[_i]);
    struct http_request request = get();
    if (_i > 0) {
        refuses(&request, ERR_HTTP_TOO_LARGE);
        finish();
        return;
    }
    char why[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    ck_ok(http_request(&request, why, &reply));
    finish();
    ck_assert_uint_eq(reply.len, REPLY_MAX);
}
END_TEST

static const char *const broken[] = {
    "",
    "HTTP/1.1 200 OK\r\nContent-Len",
    "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    "SSH-2.0-OpenSSH_9.2\r\n",
};

START_TEST(refuses_a_reply_that_is_cut_off)
{
    answer_with(broken[_i]);
    struct http_request request = get();
    refuses(&request, ERR_HTTP_UNREACHABLE);
    finish();
}
END_TEST

/* 0: nothing comes; 1: the body never ends */
START_TEST(gives_up_after_the_timeout)
{
    peer.stays_open = true;
    answer_with(_i == 0 ? "" : "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
    struct http_request request = get();
    request.timeout_ms = 100;
    int64_t from = clock_mono_ms();
    refuses(&request, ERR_HTTP_TIMEOUT);
    ck_assert_int_lt(clock_mono_ms() - from, PATIENCE_MS);
    finish();
}
END_TEST

START_TEST(tells_that_nobody_listens)
{
    listen_somewhere();
    close(peer.listener);
    struct http_request request = get();
    refuses(&request, ERR_HTTP_UNREACHABLE);
}
END_TEST

static const char *const bad_urls[] = {
    "",
    "127.0.0.1:8081",
    "/api",
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "gopher://127.0.0.1:1/",
    "http://",
    "http://[::",
    "http://127.0.0.1:99999/",
    "http://a b/",
};

START_TEST(refuses_what_is_no_http_url)
{
    struct http_request request = get();
    request.url = bad_urls[_i];
    refuses(&request, ERR_HTTP_URL);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("http");
    TCase *tc = tcase_create("http");
    tcase_add_checked_fixture(tc, NULL, forget);
    tcase_add_test(tc, gives_status_and_body);
    tcase_add_test(tc, sends_method_headers_and_body);
    tcase_add_test(tc, takes_no_body_for_head);
    tcase_add_loop_test(tc, is_given_up_when_told, 0, 2);
    tcase_add_test(tc, is_given_up_from_its_time_on);
    tcase_add_test(tc, follows_no_redirect);
    tcase_add_test(tc, uses_no_proxy_of_the_environment);
    tcase_add_loop_test(tc, refuses_a_reply_that_is_too_large, 0, 3);
    tcase_add_loop_test(tc, refuses_a_reply_that_is_cut_off, 0, sizeof broken / sizeof *broken);
    tcase_add_loop_test(tc, gives_up_after_the_timeout, 0, 2);
    tcase_add_test(tc, tells_that_nobody_listens);
    tcase_add_loop_test(tc, refuses_what_is_no_http_url, 0, sizeof bad_urls / sizeof *bad_urls);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
