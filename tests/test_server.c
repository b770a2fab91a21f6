/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <time.h>

#include "api/route.h"
#include "api/server.h"
#include "lib/mem.h"
#include "tests/support.h"
#include "tests/wire.h"

/* The front with routes of its own behind it, over real sockets: framing, limits, deadlines, lanes, stop. */

#define BIG (8 << 20)

static sem_t may_go; /* what GET /hold waits for */
static _Atomic int holding;
static _Atomic int done_count;

static enum err reply_empty(struct call *c)
{
    return call_empty(c, 204);
}

static enum err reply_ok(struct call *c)
{
    atomic_fetch_add(&done_count, 1);
    return call_empty(c, 200);
}

/* What the handler saw. */
static enum err reply_echo(struct call *c)
{
    char *text = mem_printf("%s %s?%s peer=%s internal=%d length=%ld cut=%d body=%zu:%s", c->method, c->path, c->query,
                            c->peer, c->is_internal, (long)c->content_length, c->is_body_cut, c->body_len, c->body);
    return call_text(c, 200, "text/plain", &text);
}

static enum err reply_headers(struct call *c)
{
    static const char *const names[CALL_HEADERS] = {"authorization", "cookie",         "type",          "id",
                                                    "uri",           "forward-method", "for",           "host",
                                                    "signature",     "if-match",       "if-none-match", "agent"};
    char *text = mem_strdup("");
    for (size_t i = 0; i < CALL_HEADERS; i++) {
        char *longer = mem_printf("%s%s=%s;", text, names[i], c->header[i] != NULL ? c->header[i] : "-");
        mem_free(&text);
        text = longer;
    }
    return call_text(c, 200, "text/plain", &text);
}

static enum err reply_hold(struct call *c)
{
    atomic_fetch_add(&holding, 1);
    while (sem_wait(&may_go) != 0 && errno == EINTR)
        continue;
    atomic_fetch_add(&done_count, 1);
    return call_empty(c, 200);
}

static enum err reply_big(struct call *c)
{
    char *text = mem_calloc(BIG + 1, 1);
    memset(text, 'x', BIG);
    return call_text(c, 200, "text/plain", &text);
}

/* Found by the linker before the product's own table, which therefore stays out of this program. */
const struct route routes[] = {
    {"GET", "/empty", BOTH, PUBLIC, ANYONE, LANE_IO, reply_empty},
    {"GET", "/ok", BOTH, PUBLIC, ANYONE, LANE_IO, reply_ok},
    {"GET", "/echo", BOTH, PUBLIC, ANYONE, LANE_IO, reply_echo},
    {"POST", "/echo", BOTH, PUBLIC, ANYONE, LANE_IO, reply_echo},
    {"GET", "/a%2fb/../", BOTH, PUBLIC, ANYONE, LANE_IO, reply_echo},
    {"GET", "/headers", BOTH, PUBLIC, ANYONE, LANE_IO, reply_headers},
    {"GET", "/big", BOTH, PUBLIC, ANYONE, LANE_IO, reply_big},
    {"GET", "/lane", BOTH, PUBLIC, ANYONE, LANE_DB, reply_ok},
    {"POST", "/lane", BOTH, PUBLIC, ANYONE, LANE_DB, reply_echo},
    {"GET", "/hold", BOTH, PUBLIC, ANYONE, LANE_DB, reply_hold},
    {"GET", "/inside", BOTH, INTERNAL, ANYONE, LANE_IO, reply_echo},
    {0},
};

static struct service service = {.body_max = 64 * 1024};
static struct server_config config;
static struct server *server;
static int port;

static void set_up(void)
{
    config = server_defaults;
    config.listen = "127.0.0.1:0";
    config.internal_listen = "";
    config.threads = 2;
    config.db_threads = 2;
    config.hash_threads = 1;
    sem_init(&may_go, 0, 0);
    holding = 0;
    done_count = 0;
}

static void tear_down(void)
{
    server_stop(&server);
    sem_destroy(&may_go);
}

static void start(void)
{
    ck_ok(server_start(&config, &service, &server));
    port = server_port(server, false);
    ck_assert_int_gt(port, 0);
}

/* Wait until what() is true. */
static void wait_for(bool (*what)(void))
{
    for (int64_t end = wire_now_ms() + WIRE_PATIENCE_MS; !what();) {
        ck_assert_msg(wire_now_ms() < end, "it never came true");
        poll(NULL, 0, 2);
    }
}

static bool is_one_held(void)
{
    return atomic_load(&holding) >= 1;
}

static bool is_one_connected(void)
{
    return support_metric("mintd_connections") == 1;
}

static bool is_none_connected(void)
{
    return support_metric("mintd_connections") == 0;
}

/* Requests and replies */

START_TEST(answers_with_an_empty_204_without_length)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "GET /empty HTTP/1.1\r\nHost: x\r\nX-MEN-RequestID: abc\r\n\r\n");
    ck_assert_int_eq(r.status, 204);
    ck_assert(!r.has_length);
    ck_assert_ptr_null(wire_header(&r, "Content-Type"));
    ck_assert_str_eq(wire_header(&r, "X-Men-Requestid"), "abc");
    r = wire_ask(w, "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_str_eq(wire_header(&r, "Content-Length"), "0");
    ck_assert_ptr_null(wire_header(&r, "Content-Type"));
    ck_assert_ptr_null(wire_header(&r, "Connection"));
    wire_close(w);
}
END_TEST

START_TEST(leaves_path_and_query_as_they_were_sent)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "GET /a%2fb/../?q=%2F&r=a+b&&=? HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_str_eq(r.body, "GET /a%2fb/../?q=%2F&r=a+b&&=? peer=127.0.0.1 internal=0 length=-1 cut=0 body=0:");
    r = wire_ask(w, "GET /echo? HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_str_eq(r.body, "GET /echo? peer=127.0.0.1 internal=0 length=-1 cut=0 body=0:");
    r = wire_ask(w, "GET /x/../ok HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 404);
    r = wire_ask(w, "GET /%6fk HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 404);
    wire_close(w);
}
END_TEST

START_TEST(hands_on_the_headers_that_matter)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r =
        wire_ask(w, "GET /headers HTTP/1.1\r\nHost: x\r\nAUTHORIZATION: Bearer t\r\ncookie: JWT=c\r\n"
                    "Content-Type: a/b\r\nX-MEN-RequestID: i\r\nX-Forwarded-Uri: /u\r\nX-Other: o\r\n"
                    "X-Forwarded-Method: PUT\r\nX-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Host: h\r\nIf-Match: m\r\n"
                    "X-MEN-Signature: s\r\nIf-None-Match: n\r\nUser-Agent:ua\r\nuser-agent: second\r\n\r\n");
    ck_assert_str_eq(r.body,
                     "authorization=Bearer t;cookie=JWT=c;type=a/b;id=i;uri=/u;forward-method=PUT;for=192.0.2.1;"
                     "host=h;signature=s;if-match=m;if-none-match=n;agent=ua;");
    r = wire_ask(w, "GET /headers HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_str_eq(r.body,
                     "authorization=-;cookie=-;type=-;id=-;uri=-;forward-method=-;for=-;host=-;signature=-;if-match=-;"
                     "if-none-match=-;agent=-;");
    wire_close(w);
}
END_TEST

START_TEST(keeps_the_connection_over_many_requests)
{
    start();
    struct wire *w = wire_open(port);
    for (int i = 0; i < 150; i++) {
        struct wire_reply r = wire_ask(w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi");
        ck_assert_int_eq(r.status, 200);
        ck_assert_str_eq(strstr(r.body, "length="), "length=2 cut=0 body=2:hi");
    }
    wire_close(w);
}
END_TEST

START_TEST(answers_pipelined_requests_in_order)
{
    start();
    struct wire *w = wire_open(port);
    char all[32 * 64] = "";
    for (size_t i = 0; i < 32; i++) {
        size_t len = strlen(all);
        snprintf(all + len, sizeof all - len, "GET %s?%zu HTTP/1.1\r\nHost: x\r\n\r\n", i % 2 ? "/echo" : "/lane", i);
    }
    wire_send(w, all);
    for (int i = 0; i < 32; i++) {
        struct wire_reply r = wire_read(w, true);
        ck_assert_int_eq(r.status, 200);
        char want[16];
        snprintf(want, sizeof want, "/echo?%d ", i);
        if (i % 2)
            ck_assert_ptr_nonnull(strstr(r.body, want));
        else
            ck_assert_uint_eq(r.body_len, 0);
    }
    wire_close(w);
}
END_TEST

START_TEST(closes_when_the_client_asks_for_it)
{
    start();
    bool is_closed = false;
    static const char request[] = "GET /ok HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    struct wire_reply r = wire_once_n(port, request, sizeof request - 1, &is_closed);
    ck_assert_int_eq(r.status, 200);
    ck_assert_str_eq(wire_header(&r, "Connection"), "close");
    ck_assert(is_closed);
}
END_TEST

START_TEST(answers_head_without_a_body)
{
    start();
    struct wire *w = wire_open(port);
    wire_send(w, "HEAD /ok HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(wire_read(w, false).status, 405);
    ck_assert_int_eq(wire_ask(w, "GET /ok HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    wire_close(w);
}
END_TEST

START_TEST(takes_method_names_as_they_are)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "get /ok HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 405);
    ck_assert_str_eq(wire_header(&r, "Allow"), "GET");
    wire_close(w);
}
END_TEST

START_TEST(takes_chunked_bodies)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\nTrailer: t\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "length=-1 cut=0 body=5:abcde"));
    wire_close(w);
}
END_TEST

START_TEST(keeps_trailers_out_of_the_headers)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "GET /headers HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                                      "0\r\nAuthorization: Bearer late\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "authorization=-;"));
    wire_close(w);
}
END_TEST

START_TEST(sends_100_continue)
{
    start();
    struct wire *w = wire_open(port);
    wire_send(w, "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    ck_assert_int_eq(wire_read(w, false).status, 100);
    struct wire_reply r = wire_ask(w, "ok");
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "body=2:ok"));
    wire_close(w);
}
END_TEST

START_TEST(serves_each_listener_its_own_routes)
{
    config.internal_listen = "127.0.0.1:0";
    start();
    static const char request[] = "GET /inside HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    int inside = server_port(server, true);
    ck_assert_int_ne(inside, port);
    ck_assert_int_eq(wire_once_n(port, request, sizeof request - 1, NULL).status, 404);
    struct wire_reply r = wire_once_n(inside, request, sizeof request - 1, NULL);
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "internal=1"));
}
END_TEST

/* Requests that can be read in two ways */

struct raw {
    const char *text;
    size_t len;
};
#define RAW(s)                                                                                                         \
    {                                                                                                                  \
        s, sizeof(s) - 1                                                                                               \
    }
#define GET_WITH(lines) "GET /ok HTTP/1.1\r\nHost: x\r\n" lines "\r\n"
#define POST_WITH(lines) "POST /echo HTTP/1.1\r\nHost: x\r\n" lines "\r\n"

/* Refused by us, as JSON. */
static const struct raw ambiguous[] = {
    RAW(POST_WITH("Content-Length: 3\r\nContent-Length: 3\r\n") "abc"),
    RAW(POST_WITH("Content-Length: 3\r\nContent-Length: 4\r\n") "abcd"),
    RAW(POST_WITH("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: xchunked\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: gzip, chunked\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: identity\r\n")),
    RAW(POST_WITH("Transfer-Encoding:\r\n")),
    RAW(POST_WITH("Transfer-Encoding : chunked\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding\t: chunked\r\n") "0\r\n\r\n"),
    RAW(POST_WITH("Transfer-Encoding: chunked \r\n") "0\r\n\r\n"),
    RAW(GET_WITH("Host: y\r\n")),
    RAW(GET_WITH("Authorization: Bearer a\r\nAuthorization: Bearer b\r\n")),
    RAW(GET_WITH("X (y): z\r\n")),
    RAW(GET_WITH("X-\xc3\xa4: z\r\n")),
    RAW(GET_WITH(": empty\r\n")),
    RAW("GET /ok HTTP/1.1\nHost: x\n\n"),
    RAW("GET /ok HTTP/1.1\r\nHost: x\nX: y\r\n\r\n"),
    RAW("GET /ok HTTP/1.1\r\nHost: x\r\nX: y\n\n"),
    RAW("GET /ok HTTP/1.1\r\nHost: x\r\nX: y\r\n\n"),
    RAW(GET_WITH("X: folded\r\n to two lines\r\n")),
    RAW(GET_WITH("X: folded\r\n\tTransfer-Encoding: chunked\r\n")),
    RAW(GET_WITH("X: y\r\n : folded\r\n")),
    RAW("GET /ok%00x HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW("GET /echo?x=%00 HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW("GET /ok\0x HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW("GET /echo?q\0x HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW(GET_WITH("X: y\0hidden\r\nZ: z\r\n")),
    RAW(GET_WITH("X: y\0hidden\r\n")),
    RAW(GET_WITH("X: y\0\0\0\0\r\n")),
    RAW(GET_WITH("X: \0\r\n")),
    RAW(GET_WITH("Authorization: Bearer a\0b\r\n")),
    RAW(GET_WITH("X: y\rTransfer-Encoding: chunked\r\n")),
    RAW(GET_WITH("X: y\r\r\n")),
    RAW(GET_WITH("X: \x01\r\n")),
    RAW(GET_WITH("X: a\x7f\r\n")),
    RAW(POST_WITH("Transfer-Encoding:\x0b"
                  "chunked\r\n") "0\r\n\r\n"),
    RAW("GET /ok\rx HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW("GET /echo?\x1b[31m HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
    RAW("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
};

START_TEST(refuses_an_ambiguous_head)
{
    start();
    const struct raw *raw = &ambiguous[_i];
    bool is_closed = false;
    struct wire_reply r = wire_once_n(port, raw->text, raw->len, &is_closed);
    ck_assert_msg(r.status == 400, "%d for %s", r.status, raw->text);
    ck_assert(is_closed);
    ck_assert_str_eq(wire_header(&r, "Content-Type"), "application/json; charset=utf-8");
    ck_assert_str_eq(wire_header(&r, "Connection"), "close");
    ck_assert_ptr_nonnull(wire_header(&r, "X-Men-Requestid"));
    ck_assert_ptr_nonnull(strstr(r.body, "{\"error\":\""));
    ck_assert_int_eq(atomic_load(&done_count), 0);
}
END_TEST

/* A chunked body with a request behind it. Wherever this server sees its end, and a proxy another: that is not run. */
static const char *const chunks[] = {
    "3\r\nabc\r\n0\r\n\r\n",
    "3\nabc\r\n0\r\n\r\n",
    "3\r\nabc\n0\r\n\r\n",
    "3\r\nabc\r\n0\n\n",
    "3;a=b\r\nabc\r\n0\r\n\r\n",
    "3;a\nabc\r\n0\r\n\r\n",
    "3;a\rabc\r\n0\r\n\r\n",
    "0\r\nX: y\n\n",
    "0\r\nX: y\r\n z\r\n\r\n",
    "0\r\nContent-Length: 5\r\n\r\n",
    "0x3\r\nabc\r\n0\r\n\r\n",
    "+3\r\nabc\r\n0\r\n\r\n",
    "-1\r\nabc\r\n0\r\n\r\n",
    " 3\r\nabc\r\n0\r\n\r\n",
    "3 \r\nabc\r\n0\r\n\r\n",
    "\r\nabc\r\n0\r\n\r\n",
    "3\r\nabcd\r\n0\r\n\r\n",
    "3\r\nabcXX0\r\n\r\n",
    "10000000000000003\r\nabc\r\n0\r\n\r\n",
    "0\r\n",
};

START_TEST(runs_nothing_behind_a_chunked_body)
{
    start();
    struct wire *w = wire_open(port);
    char *request = mem_printf(POST_WITH("Transfer-Encoding: chunked\r\n") "%s" GET_WITH(""), chunks[_i]);
    wire_send(w, request);
    struct wire_reply r = wire_read(w, true);
    ck_assert_int_ne(r.status, 0);
    ck_assert_str_eq(wire_header(&r, "Connection"), "close");
    ck_assert(wire_ends(w));
    ck_assert_int_eq(atomic_load(&done_count), 0);
    mem_free(&request);
    wire_close(w);
}
END_TEST

/* Refused by libmicrohttpd: by its own page, or by closing. */
static const struct {
    struct raw raw;
    int status;
} malformed[] = {
    {RAW("GET /ok HTTP/9.9\r\nHost: x\r\n\r\n"), 505},
    {RAW("GET /ok HTTP/1.1\r\n\r\n"), 400},
    {RAW(POST_WITH("Content-Length: +3\r\n") "abc"), 400},
    {RAW(POST_WITH("Content-Length: 0x3\r\n") "abc"), 400},
    {RAW(POST_WITH("Content-Length: 3, 3\r\n") "abc"), 400},
    {RAW(POST_WITH("Content-Length: 3\r\r\n") "abc"), 400},
    {RAW(POST_WITH("Content-Length: -1\r\n") "abc"), 400},
    {RAW(POST_WITH("Content-Length:\r\n") "abc"), 400},
    {RAW(POST_WITH("Content-Length: 99999999999999999999\r\n") "abc"), 413},
    {RAW(GET_WITH("no colon\r\n")), 400},
    {RAW(GET_WITH("X\0: y\r\n")), 400},
    {RAW("GET /ok x HTTP/1.1\r\nHost: x\r\n\r\n"), 0},
    {RAW("\x16\x03\x01\x02\x00\r\n\r\n"), 0},
};

START_TEST(closes_behind_a_malformed_request)
{
    start();
    const struct raw *raw = &malformed[_i].raw;
    struct wire *w = wire_open(port);
    wire_send_n(w, raw->text, raw->len);
    while (wire_fill(w))
        continue;
    if (malformed[_i].status != 0) {
        int status = 0;
        ck_assert_msg(sscanf(w->buf, "HTTP/1.1 %d", &status) == 1, "%s: %s", raw->text, w->buf);
        ck_assert_int_eq(status, malformed[_i].status);
    }
    ck_assert_int_eq(atomic_load(&done_count), 0);
    wire_close(w);
}
END_TEST

static const struct raw harmless[] = {
    RAW(GET_WITH("")),
    RAW(GET_WITH("X:y\r\n")),
    RAW(GET_WITH("X: \t y \t\r\n")),
    RAW(GET_WITH("X:\r\n")),
    RAW(GET_WITH("X:   \r\nY: z\r\n")),
    RAW(GET_WITH("X: a: b\r\n")),
    RAW(GET_WITH("Content-Length: 0\r\n")),
    RAW(GET_WITH("!#$%&'*+-.^_`|~09: all of token\r\n")),
    RAW("GET /ok?a=b&c HTTP/1.1\r\nHost: x\r\nX: y\r\n\r\n"),
    RAW("\r\nGET /ok HTTP/1.1\r\nHost: x\r\n\r\n"),
    RAW("GET /ok HTTP/1.0\r\n\r\n"),
};

START_TEST(accepts_an_unusual_but_clear_head)
{
    start();
    struct wire *w = wire_open(port);
    wire_send_n(w, harmless[_i].text, harmless[_i].len);
    struct wire_reply r = wire_read(w, true);
    ck_assert_msg(r.status == 200, "%d for %s: %s", r.status, harmless[_i].text, r.body);
    wire_close(w);
}
END_TEST

/* Limits */

START_TEST(refuses_a_header_block_over_the_limit)
{
    config.header_max = 8 * 1024;
    start();
    for (size_t size = 6 * 1024; size <= 64 * 1024; size += 58 * 1024) {
        char *request = mem_printf("GET /ok HTTP/1.1\r\nHost: x\r\nX: %0*d\r\n\r\n", (int)size, 0);
        struct wire_reply r = wire_once_n(port, request, strlen(request), NULL);
        ck_assert_int_eq(r.status, size < config.header_max ? 200 : 431);
        mem_free(&request);
    }
}
END_TEST

START_TEST(refuses_a_body_over_the_limit_before_it_is_read)
{
    start();
    bool is_closed = false;
    char *request = mem_printf(POST_WITH("Content-Length: %ld\r\n"), (long)service.body_max + 1);
    struct wire_reply r = wire_once_n(port, request, strlen(request), &is_closed);
    ck_assert_int_eq(r.status, 413);
    ck_assert_ptr_nonnull(strstr(r.body, "http: request body too large"));
    ck_assert(is_closed);
    mem_free(&request);
}
END_TEST

START_TEST(answers_413_to_a_client_that_sends_everything_first)
{
    start();
    size_t size = 4 << 20;
    char *request = mem_calloc(size + 200, 1);
    int head = snprintf(request, 200, POST_WITH("Content-Length: %zu\r\n"), size);
    memset(request + head, 'x', size);
    struct wire_reply r = wire_once_n(port, request, (size_t)head + size, NULL);
    ck_assert_int_eq(r.status, 413);
    mem_free(&request);
}
END_TEST

START_TEST(takes_a_body_of_exactly_the_limit)
{
    start();
    char *request =
        mem_printf(POST_WITH("Content-Length: %ld\r\n") "%0*d", (long)service.body_max, (int)service.body_max, 0);
    struct wire_reply r = wire_once_n(port, request, strlen(request), NULL);
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "length=65536 cut=0 body=65536:000"));
    mem_free(&request);
}
END_TEST

START_TEST(cuts_a_chunked_body_over_the_limit)
{
    start();
    struct wire *w = wire_open(port);
    wire_send(w, POST_WITH("Transfer-Encoding: chunked\r\n"));
    char *chunk = mem_printf("8000\r\n%0*d\r\n", 0x8000, 0);
    for (int i = 0; i < 3; i++)
        wire_send(w, chunk);
    struct wire_reply r = wire_ask(w, "0\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "length=-1 cut=1 body=65536:000"));
    mem_free(&chunk);
    wire_close(w);
}
END_TEST

START_TEST(refuses_bodies_that_are_too_much_together)
{
    config.inflight_max = 100000;
    start();
    struct wire *first = wire_open(port);
    char *half = mem_printf(POST_WITH("Content-Length: 65536\r\n") "%0*d", 60000, 0);
    wire_send(first, half);
    /* The second is refused once the first has taken its room. */
    struct wire_reply r = {0};
    for (int64_t end = wire_now_ms() + WIRE_PATIENCE_MS; r.status != 503;) {
        ck_assert_int_lt(wire_now_ms(), end);
        static const char other[] = POST_WITH("Content-Length: 60000\r\n");
        struct wire *w = wire_open(port);
        wire_send(w, other);
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        if (poll(&p, 1, 20) == 1)
            r = wire_read(w, true);
        wire_close(w);
    }
    ck_assert_ptr_nonnull(wire_header(&r, "Retry-After"));
    char *rest = mem_printf("%0*d", 5536, 0);
    ck_assert_int_eq(wire_ask(first, rest).status, 200);
    mem_free(&half);
    mem_free(&rest);
    wire_close(first);
}
END_TEST

START_TEST(refuses_a_chunked_body_when_the_memory_is_used_up)
{
    config.inflight_max = 4096;
    start();
    struct wire *w = wire_open(port);
    char *request = mem_printf(POST_WITH("Transfer-Encoding: chunked\r\n") "2000\r\n%0*d\r\n0\r\n\r\n", 0x2000, 0);
    struct wire_reply r = wire_ask(w, request);
    ck_assert_int_eq(r.status, 503);
    ck_assert(wire_ends(w));
    mem_free(&request);
    wire_close(w);
}
END_TEST

START_TEST(closes_connections_over_the_limit_and_recovers)
{
    config.connections_max = 8;
    start();
    int64_t before = support_metric("mintd_connections_refused_total{reason=\"limit\"}");
    struct wire *in[8];
    for (size_t i = 0; i < 8; i++) {
        in[i] = wire_open(port);
        ck_assert_int_eq(wire_ask(in[i], GET_WITH("")).status, 200);
    }
    struct wire *over = wire_open(port);
    ck_assert(wire_ends(over));
    wire_close(over);
    ck_assert_int_eq(support_metric("mintd_connections_refused_total{reason=\"limit\"}"), before + 1);
    ck_assert_int_eq(support_metric("mintd_connections"), 8);
    wire_close(in[0]);
    int status = 0;
    for (int64_t end = wire_now_ms() + WIRE_PATIENCE_MS; status != 200 && wire_now_ms() < end;)
        status = wire_once_n(port, GET_WITH(""), sizeof(GET_WITH("")) - 1, NULL).status;
    ck_assert_int_eq(status, 200);
    for (size_t i = 1; i < 8; i++)
        wire_close(in[i]);
}
END_TEST

START_TEST(serves_beside_a_thousand_idle_connections)
{
    config.connections_max = 2000;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    start();
    size_t count = files.rlim_max > 2600 ? 1000 : 100;
    int *idle = mem_calloc(count, sizeof *idle);
    for (size_t i = 0; i < count; i++)
        idle[i] = wire_socket(port);
    int64_t begin = wire_now_ms();
    struct wire *w = wire_open(port);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
    ck_assert_int_lt(wire_now_ms() - begin, 5000);
    wire_close(w);
    for (size_t i = 0; i < count; i++)
        close(idle[i]);
    free(idle);
}
END_TEST

/* libmicrohttpd's own epoll loop sleeps when exactly 128 connections are ready at once. */
START_TEST(does_not_stall_when_many_connections_are_ready_at_once)
{
    config.threads = 1;
    start();
    enum { MANY = 256 };
    static struct wire *all[MANY];
    for (size_t i = 0; i < MANY; i++)
        all[i] = wire_open(port);
    int64_t begin = wire_now_ms();
    for (int round = 0; round < 4; round++) {
        for (size_t i = 0; i < MANY; i++)
            wire_send(all[i], GET_WITH(""));
        for (size_t i = 0; i < MANY; i++)
            ck_assert_int_eq(wire_read(all[i], true).status, 200);
    }
    ck_assert_int_lt(wire_now_ms() - begin, 10000);
    for (size_t i = 0; i < MANY; i++)
        wire_close(all[i]);
}
END_TEST

/* Slow clients */

/*
 * Send text byte after byte, each soon enough for a limit on idleness, until the server has had enough; how long
 * that took.
 */
static int64_t drip(struct wire *w, const char *text, bool *is_cut)
{
    int64_t begin = wire_now_ms();
    *is_cut = false;
    for (size_t i = 0; text[i] != '\0' && !*is_cut; i++) {
        wire_send_n(w, &text[i], 1);
        struct pollfd p = {.fd = w->fd, .events = POLLIN};
        *is_cut = poll(&p, 1, 40) == 1 && !wire_fill(w);
    }
    return wire_now_ms() - begin;
}

START_TEST(cuts_a_client_that_drips_its_headers)
{
    config.header_timeout_ms = 300;
    start();
    int64_t before = support_metric("mintd_deadline_kills_total{phase=\"headers\"}");
    struct wire *w = wire_open(port);
    bool is_cut = false;
    int64_t took =
        drip(w, "GET /ok HTTP/1.1\r\nHost: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &is_cut);
    ck_assert(is_cut);
    ck_assert_int_ge(took, 250);
    ck_assert_int_eq(support_metric("mintd_deadline_kills_total{phase=\"headers\"}"), before + 1);
    wire_close(w);
}
END_TEST

START_TEST(cuts_a_client_that_drips_its_second_request)
{
    config.header_timeout_ms = 300;
    start();
    struct wire *w = wire_open(port);
    ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
    wire_send(w, "GET /ok HTTP/1.1\r\n");
    bool is_cut = false;
    drip(w, "Host: x\r\nX-Slow: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         &is_cut);
    ck_assert(is_cut);
    wire_close(w);
}
END_TEST

START_TEST(cuts_a_client_that_drips_its_body)
{
    config.body_timeout_ms = 300;
    start();
    int64_t before = support_metric("mintd_deadline_kills_total{phase=\"body\"}");
    struct wire *w = wire_open(port);
    wire_send(w, POST_WITH("Content-Length: 1000\r\n"));
    bool is_cut = false;
    drip(w, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &is_cut);
    ck_assert(is_cut);
    ck_assert_int_eq(support_metric("mintd_deadline_kills_total{phase=\"body\"}"), before + 1);
    wire_close(w);
}
END_TEST

START_TEST(cuts_a_client_that_says_nothing)
{
    config.header_timeout_ms = 300;
    start();
    int64_t before = support_metric("mintd_deadline_kills_total{phase=\"headers\"}");
    struct wire *w = wire_open(port);
    ck_assert(wire_ends(w));
    ck_assert_int_eq(support_metric("mintd_deadline_kills_total{phase=\"headers\"}"), before + 1);
    wire_close(w);
}
END_TEST

/* A chunk of 2^64 - 1 bytes is announced, and only the limit on time ends it. */
START_TEST(cuts_a_client_whose_chunk_never_ends)
{
    config.body_timeout_ms = 300;
    start();
    int64_t before = support_metric("mintd_deadline_kills_total{phase=\"body\"}");
    struct wire *w = wire_open(port);
    wire_send(w, POST_WITH("Transfer-Encoding: chunked\r\n") "ffffffffffffffff\r\nabc");
    ck_assert(wire_ends(w));
    ck_assert_int_eq(support_metric("mintd_deadline_kills_total{phase=\"body\"}"), before + 1);
    ck_assert_int_eq(atomic_load(&done_count), 0);
    wire_close(w);
}
END_TEST

#define SLOW 100

/* Half of them stop in the head, half in the body; somebody else is served all the time until all of them are cut. */
START_TEST(serves_others_while_many_are_slow)
{
    config.header_timeout_ms = 2000;
    config.body_timeout_ms = 2000;
    start();
    struct wire *slow[SLOW];
    for (size_t i = 0; i < SLOW; i++) {
        slow[i] = wire_open(port);
        wire_send(slow[i], i % 2 == 0 ? "GET /ok HTTP/1.1\r\nHost: x\r\nX: " : POST_WITH("Content-Length: 9\r\n") "ab");
    }
    struct wire *good = wire_open(port);
    int served = 0;
    for (int64_t end = wire_now_ms() + WIRE_PATIENCE_MS; support_metric("mintd_connections") > 1;) {
        ck_assert_int_eq(wire_ask(good, GET_WITH("")).status, 200);
        served += support_metric("mintd_connections") == SLOW + 1;
        ck_assert_int_lt(wire_now_ms(), end);
    }
    ck_assert_int_gt(served, 0);
    for (size_t i = 0; i < SLOW; i++) {
        ck_assert(wire_ends(slow[i]));
        wire_close(slow[i]);
    }
    wire_close(good);
}
END_TEST

START_TEST(cuts_a_client_that_does_not_take_its_reply)
{
    config.body_timeout_ms = 300;
    start();
    int64_t before = support_metric("mintd_deadline_kills_total{phase=\"reply\"}");
    struct wire *w = wire_open(port);
    int small = 4096;
    setsockopt(w->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    wire_send(w, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(is_one_connected);
    wait_for(is_none_connected);
    ck_assert_int_eq(support_metric("mintd_deadline_kills_total{phase=\"reply\"}"), before + 1);
    wire_close(w);
}
END_TEST

START_TEST(sends_a_large_reply_whole)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 200);
    ck_assert_uint_eq(r.body_len, BIG);
    wire_close(w);
}
END_TEST

START_TEST(closes_an_idle_connection)
{
    config.idle_timeout_ms = 200;
    start();
    int64_t before = support_metric("mintd_deadline_kills_total{phase=\"idle\"}");
    struct wire *w = wire_open(port);
    ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
    ck_assert(wire_ends(w));
    ck_assert_int_eq(support_metric("mintd_deadline_kills_total{phase=\"idle\"}"), before + 1);
    wire_close(w);
}
END_TEST

START_TEST(gives_each_request_on_a_connection_its_own_time)
{
    config.header_timeout_ms = 600;
    config.idle_timeout_ms = 600;
    config.body_timeout_ms = 600;
    start();
    struct wire *w = wire_open(port);
    for (int64_t end = wire_now_ms() + 1800; wire_now_ms() < end;) {
        ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
        poll(NULL, 0, 50);
    }
    wire_close(w);
}
END_TEST

START_TEST(gives_a_call_at_work_all_the_time_it_needs)
{
    config.header_timeout_ms = 100;
    config.idle_timeout_ms = 100;
    config.body_timeout_ms = 100;
    start();
    struct wire *w = wire_open(port);
    wire_send(w, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(is_one_held);
    struct pollfd p = {.fd = w->fd, .events = POLLIN};
    ck_assert_int_eq(poll(&p, 1, 800), 0);
    sem_post(&may_go);
    ck_assert_int_eq(wire_read(w, true).status, 200);
    wire_close(w);
}
END_TEST

START_TEST(survives_clients_that_go_away)
{
    start();
    for (int i = 0; i < 50; i++) {
        struct wire *w = wire_open(port);
        wire_send(w, i % 3 == 0   ? "GET /lane HTTP/1.1\r\nHost: x\r\n\r\n"
                     : i % 3 == 1 ? POST_WITH("Content-Length: 500\r\n") "abc"
                                  : "GET /big HTTP/1.1\r\nHost: x\r\n\r\n");
        struct linger hard = {.l_onoff = 1};
        setsockopt(w->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
        wire_close(w);
    }
    ck_assert_int_eq(wire_once_n(port, GET_WITH("Connection: close\r\n"), sizeof(GET_WITH("Connection: close\r\n")) - 1,
                                 NULL)
                         .status,
                     200);
}
END_TEST

/* Lanes */

START_TEST(runs_blocking_calls_in_a_lane_with_their_body)
{
    start();
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "POST /lane HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    ck_assert_int_eq(r.status, 200);
    ck_assert_ptr_nonnull(strstr(r.body, "length=4 cut=0 body=4:body"));
    wire_close(w);
}
END_TEST

/* Each lane call would take up to a sweep's 250 ms if the resume did not wake the loop. */
START_TEST(wakes_the_loop_when_a_worker_is_done)
{
    start();
    struct wire *w = wire_open(port);
    int64_t begin = wire_now_ms();
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(wire_ask(w, "GET /lane HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    ck_assert_int_lt(wire_now_ms() - begin, 10000);
    wire_close(w);
}
END_TEST

START_TEST(answers_503_when_a_lane_is_full)
{
    config.db_threads = 1;
    config.queue_max = 1;
    start();
    struct wire *held[2] = {wire_open(port), wire_open(port)};
    wire_send(held[0], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(is_one_held);
    wire_send(held[1], "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    for (int64_t end = wire_now_ms() + WIRE_PATIENCE_MS; support_metric("mintd_lane_waiting{lane=\"db\"}") != 1;)
        ck_assert_int_lt(wire_now_ms(), end);
    struct wire *w = wire_open(port);
    struct wire_reply r = wire_ask(w, "GET /lane HTTP/1.1\r\nHost: x\r\n\r\n");
    ck_assert_int_eq(r.status, 503);
    ck_assert_str_eq(wire_header(&r, "Retry-After"), "1");
    /* the connection and everything that needs no lane stay usable */
    ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
    sem_post(&may_go);
    sem_post(&may_go);
    ck_assert_int_eq(wire_read(held[0], true).status, 200);
    ck_assert_int_eq(wire_read(held[1], true).status, 200);
    ck_assert_int_eq(wire_ask(w, "GET /lane HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);
    wire_close(w);
    wire_close(held[0]);
    wire_close(held[1]);
}
END_TEST

/* Stop */

static void *stop_it(void *arg)
{
    (void)arg;
    server_stop(&server);
    return NULL;
}

START_TEST(stop_lets_a_call_in_flight_finish)
{
    start();
    struct wire *idle = wire_open(port);
    ck_assert_int_eq(wire_ask(idle, GET_WITH("")).status, 200);
    struct wire *w = wire_open(port);
    wire_send(w, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(is_one_held);
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_it, NULL);
    ck_assert(wire_ends(idle));
    sem_post(&may_go);
    struct wire_reply r = wire_read(w, true);
    ck_assert_int_eq(r.status, 200);
    ck_assert_str_eq(wire_header(&r, "Connection"), "close");
    ck_assert(wire_ends(w));
    pthread_join(stopper, NULL);
    ck_assert_ptr_null(server);
    wire_close(w);
    wire_close(idle);
}
END_TEST

START_TEST(stop_gives_up_on_a_slow_client_in_time)
{
    config.stop_timeout_ms = 200;
    start();
    struct wire *slow = wire_open(port);
    wire_send(slow, POST_WITH("Content-Length: 5\r\n") "ab");
    struct wire *w = wire_open(port);
    ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
    int64_t begin = wire_now_ms();
    server_stop(&server);
    ck_assert_int_lt(wire_now_ms() - begin, 5000);
    ck_assert(wire_ends(slow));
    wire_close(slow);
    wire_close(w);
}
END_TEST

START_TEST(stop_does_not_wait_for_a_request_that_is_not_there_yet)
{
    start();
    struct wire *half = wire_open(port);
    wire_send(half, "GET /ok HTTP/1.1\r\nHost:");
    struct wire *fresh = wire_open(port);
    int64_t begin = wire_now_ms();
    server_stop(&server);
    ck_assert_int_lt(wire_now_ms() - begin, 5000);
    wire_close(half);
    wire_close(fresh);
}
END_TEST

/* A lane still at work when the patience ends: the stop waits for its worker, and does not abort. */
START_TEST(stop_outlasts_a_worker_that_is_late)
{
    config.stop_timeout_ms = 50;
    start();
    struct wire *w = wire_open(port);
    wire_send(w, "GET /hold HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for(is_one_held);
    pthread_t stopper;
    pthread_create(&stopper, NULL, stop_it, NULL);
    poll(NULL, 0, 400);
    sem_post(&may_go);
    pthread_join(stopper, NULL);
    wire_close(w);
}
END_TEST

static _Atomic int acknowledged;
static _Atomic bool is_over;

static void *load(void *arg)
{
    (void)arg;
    while (!atomic_load(&is_over)) {
        struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
        to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        struct wire *w = calloc(1, sizeof *w);
        w->fd = socket(AF_INET, SOCK_STREAM, 0);
        bool is_open = connect(w->fd, (struct sockaddr *)&to, sizeof to) == 0;
        while (is_open) {
            wire_send(w, "GET /lane HTTP/1.1\r\nHost: x\r\n\r\n");
            struct wire_reply r = wire_read(w, true);
            if (r.status == 200)
                atomic_fetch_add(&acknowledged, 1);
            is_open = r.status == 200 && wire_header(&r, "Connection") == NULL;
        }
        wire_close(w);
    }
    return NULL;
}

static bool is_loaded(void)
{
    return atomic_load(&acknowledged) > 200;
}

START_TEST(stop_under_load_loses_no_acknowledged_call)
{
    start();
    acknowledged = 0;
    is_over = false;
    pthread_t clients[4];
    for (size_t i = 0; i < 4; i++)
        pthread_create(&clients[i], NULL, load, NULL);
    wait_for(is_loaded);
    server_stop(&server);
    is_over = true;
    for (size_t i = 0; i < 4; i++)
        pthread_join(clients[i], NULL);
    ck_assert_int_ge(atomic_load(&done_count), atomic_load(&acknowledged));
}
END_TEST

/* Start */

START_TEST(refuses_a_port_that_is_taken)
{
    start();
    support_log_capture();
    struct server_config second = config;
    char *address = mem_printf("127.0.0.1:%d", port);
    second.listen = address;
    struct server *other = NULL;
    ck_err(server_start(&second, &service, &other), ERR_CONFIG);
    ck_assert_ptr_null(other);
    char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, address));
    mem_free(&log);
    mem_free(&address);
}
END_TEST

static int open_files(void)
{
    int count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

START_TEST(leaves_nothing_open_behind_it)
{
    config.internal_listen = "127.0.0.1:0";
    start();
    server_stop(&server);
    int before = open_files();
    for (int i = 0; i < 3; i++) {
        start();
        struct wire *w = wire_open(port);
        ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
        wire_close(w);
        server_stop(&server);
        struct server_config bad = config;
        bad.internal_listen = "nowhere";
        ck_err(server_start(&bad, &service, &server), ERR_CONFIG);
    }
    ck_assert_int_eq(open_files(), before);
}
END_TEST

/* With few files there are fewer connections, and always one for the next client. */
START_TEST(stays_within_the_limit_of_open_files)
{
    struct rlimit few = {.rlim_cur = 64, .rlim_max = 64};
    if (setrlimit(RLIMIT_NOFILE, &few) != 0)
        return; /* valgrind does not let the hard limit go */
    start();
    struct wire *all[20];
    size_t refused = 0;
    for (size_t i = 0; i < 20; i++)
        all[i] = wire_open(port);
    for (size_t i = 0; i < 20; i++)
        refused += wire_ask(all[i], GET_WITH("")).status != 200;
    ck_assert_uint_eq(refused, 0);
    for (size_t i = 0; i < 20; i++)
        wire_close(all[i]);
}
END_TEST

/* accept() fails while there is none: the client waits, the thread does not spin, and all goes on afterwards. */
START_TEST(waits_for_a_free_file)
{
    struct rlimit usual = {.rlim_cur = 1024, .rlim_max = 1024};
    if (setrlimit(RLIMIT_NOFILE, &usual) != 0)
        return; /* valgrind plays the limit itself: it closes what was accepted over it */
    config.threads = 1;
    start();
    struct wire *w = wire_open(port);
    ck_assert_int_eq(wire_ask(w, GET_WITH("")).status, 200);
    int late = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* ours, before there are none */
    struct rlimit before;
    getrlimit(RLIMIT_NOFILE, &before);
    wire_close(w);
    wait_for(is_none_connected);
    struct rlimit none = {.rlim_cur = 3, .rlim_max = before.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);

    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    ck_assert_int_eq(connect(late, (struct sockaddr *)&to, sizeof to), 0);
    struct wire waiting = {.fd = late};
    wire_send(&waiting, GET_WITH(""));
    clock_t begin = clock();
    poll(NULL, 0, 400);
    ck_assert_int_lt(clock() - begin, CLOCKS_PER_SEC / 10);

    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(wire_read(&waiting, true).status, 200);
    close(late);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("server");
    TCase *tc = tcase_create("http");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, answers_with_an_empty_204_without_length);
    tcase_add_test(tc, leaves_path_and_query_as_they_were_sent);
    tcase_add_test(tc, hands_on_the_headers_that_matter);
    tcase_add_test(tc, keeps_the_connection_over_many_requests);
    tcase_add_test(tc, answers_pipelined_requests_in_order);
    tcase_add_test(tc, closes_when_the_client_asks_for_it);
    tcase_add_test(tc, answers_head_without_a_body);
    tcase_add_test(tc, takes_method_names_as_they_are);
    tcase_add_test(tc, takes_chunked_bodies);
    tcase_add_test(tc, keeps_trailers_out_of_the_headers);
    tcase_add_test(tc, sends_100_continue);
    tcase_add_test(tc, serves_each_listener_its_own_routes);
    tcase_add_loop_test(tc, refuses_an_ambiguous_head, 0, (int)(sizeof ambiguous / sizeof *ambiguous));
    tcase_add_loop_test(tc, runs_nothing_behind_a_chunked_body, 0, (int)(sizeof chunks / sizeof *chunks));
    tcase_add_loop_test(tc, closes_behind_a_malformed_request, 0, (int)(sizeof malformed / sizeof *malformed));
    tcase_add_loop_test(tc, accepts_an_unusual_but_clear_head, 0, (int)(sizeof harmless / sizeof *harmless));
    suite_add_tcase(s, tc);

    tc = tcase_create("limits");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, refuses_a_header_block_over_the_limit);
    tcase_add_test(tc, refuses_a_body_over_the_limit_before_it_is_read);
    tcase_add_test(tc, answers_413_to_a_client_that_sends_everything_first);
    tcase_add_test(tc, takes_a_body_of_exactly_the_limit);
    tcase_add_test(tc, cuts_a_chunked_body_over_the_limit);
    tcase_add_test(tc, refuses_bodies_that_are_too_much_together);
    tcase_add_test(tc, refuses_a_chunked_body_when_the_memory_is_used_up);
    tcase_add_test(tc, closes_connections_over_the_limit_and_recovers);
    tcase_add_test(tc, serves_beside_a_thousand_idle_connections);
    tcase_add_test(tc, does_not_stall_when_many_connections_are_ready_at_once);
    suite_add_tcase(s, tc);

    tc = tcase_create("deadlines");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, cuts_a_client_that_drips_its_headers);
    tcase_add_test(tc, cuts_a_client_that_drips_its_second_request);
    tcase_add_test(tc, cuts_a_client_that_drips_its_body);
    tcase_add_test(tc, cuts_a_client_that_says_nothing);
    tcase_add_test(tc, cuts_a_client_whose_chunk_never_ends);
    tcase_add_test(tc, serves_others_while_many_are_slow);
    tcase_add_test(tc, cuts_a_client_that_does_not_take_its_reply);
    tcase_add_test(tc, sends_a_large_reply_whole);
    tcase_add_test(tc, closes_an_idle_connection);
    tcase_add_test(tc, gives_each_request_on_a_connection_its_own_time);
    tcase_add_test(tc, gives_a_call_at_work_all_the_time_it_needs);
    tcase_add_test(tc, survives_clients_that_go_away);
    suite_add_tcase(s, tc);

    tc = tcase_create("lanes");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, runs_blocking_calls_in_a_lane_with_their_body);
    tcase_add_test(tc, wakes_the_loop_when_a_worker_is_done);
    tcase_add_test(tc, answers_503_when_a_lane_is_full);
    suite_add_tcase(s, tc);

    tc = tcase_create("start and stop");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, stop_lets_a_call_in_flight_finish);
    tcase_add_test(tc, stop_gives_up_on_a_slow_client_in_time);
    tcase_add_test(tc, stop_does_not_wait_for_a_request_that_is_not_there_yet);
    tcase_add_test(tc, stop_outlasts_a_worker_that_is_late);
    tcase_add_test(tc, stop_under_load_loses_no_acknowledged_call);
    tcase_add_test(tc, refuses_a_port_that_is_taken);
    tcase_add_test(tc, leaves_nothing_open_behind_it);
    tcase_add_test(tc, stays_within_the_limit_of_open_files);
    tcase_add_test(tc, waits_for_a_free_file);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
