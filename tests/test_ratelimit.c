/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/ratelimit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/siphash.h"
#include "lib/window.h"
#include "tests/board.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))
#define NOW_MS INT64_C(1770000000000) /* the start of a minute */
#define MINUTE_MS INT64_C(60000)
#define VERIFY "/api/internal/v1/useradm/auth/verify"
#define SUBJECT "{{with .Identity}}{{.Subject}}{{end}}"

/* A limiter of lists in a JSON with ' for ", or why there is none. */
static enum err make(const char *groups, const char *match, bool reject, size_t keys, struct ratelimit_fault *fault,
                     struct ratelimit **out)
{
    const char *const lists[] = {groups, match};
    json_t *list[2];
    for (int i = 0; i < 2; i++) {
        AUTO(mem_free) char *text = mem_strdup(lists[i]);
        for (char *p = text; *p != '\0'; p++)
            if (*p == '\'')
                *p = '"';
        list[i] = json_loads(text, 0, NULL);
        ck_assert_ptr_nonnull(list[i]);
    }
    const struct ratelimit_config config = {.reject_unmatched = reject,
                                            .groups = list[0],
                                            .match = list[1],
                                            .keys_max = keys};
    enum err e = ratelimit_new(&config, fault, out);
    json_decref(list[0]);
    json_decref(list[1]);
    return e;
}

static struct ratelimit *limiter(const char *groups, const char *match, bool reject, size_t keys)
{
    struct ratelimit_fault fault = {.why = ""};
    struct ratelimit *limit = NULL;
    enum err e = make(groups, match, reject, keys, &fault, &limit);
    ck_assert_msg(e == ERR_OK, "%s%s", fault.list, fault.why);
    return limit;
}

/* One group, and one pattern for all. */
static struct ratelimit *simple(const char *quota, const char *interval, const char *event)
{
    AUTO(mem_free)
    char *groups =
        mem_printf("[{'name':'default','quota':'%s','interval':'%s','event_expression':'%s'}]", quota, interval, event);
    return limiter(groups, "[{'api_pattern':'/','group_expression':'default'}]", false, 1000);
}

/* What this subject gets: 0 when it passes, otherwise the seconds to wait. */
static int64_t ask(struct ratelimit *limit, const char *subject)
{
    const struct ratelimit_identity who = {.subject = subject, .is_user = true};
    const struct ratelimit_request request = {.method = "GET", .uri = "/api/x", .identity = &who};
    int64_t retry_s = 0;
    enum err e = ratelimit_count(limit, &request, &retry_s);
    ck_assert(e == ERR_OK || (e == ERR_RATE_LIMIT && retry_s > 0));
    return retry_s;
}

static int passes(struct ratelimit *limit, const char *subject, int times)
{
    int n = 0;
    for (int i = 0; i < times; i++)
        n += ask(limit, subject) == 0;
    return n;
}

static void set_up(void)
{
    clock_set(NOW_MS);
    support_log_capture();
}

/* The reference's vectors for the key 00 01 .. 0f and the texts 00 01 02 .. */
START_TEST(siphash_gives_the_reference_vectors)
{
    static const struct {
        size_t len;
        const char *hex;
    } vectors[] = {{0, "a3817f04ba25a8e66df67214c7550293"},
                   {1, "da87c1d86b99af44347659119b22fc45"},
                   {7, "a1f1ebbed8dbc153c0b84aa61ff08239"},
                   {8, "3b62a9ba6258f5610f83e264f31497b4"},
                   {15, "5493e99933b0a8117e08ec0f97cfc3d9"}};
    uint8_t bytes[16];
    for (uint8_t i = 0; i < 16; i++)
        bytes[i] = i;
    for (int v = 0; v < COUNT(vectors); v++) {
        uint64_t out[2];
        char hex[33] = "";
        siphash(bytes, bytes, vectors[v].len, out);
        for (size_t i = 0; i < 16; i++)
            snprintf(hex + 2 * i, 3, "%02x", (unsigned)(out[i / 8] >> (8 * (i % 8)) & 0xff));
        ck_assert_str_eq(hex, vectors[v].hex);
    }
}
END_TEST

START_TEST(lets_the_quota_through_in_each_window)
{
    AUTO(ratelimit_free) struct ratelimit *limit = simple("3", "1m", SUBJECT);
    ck_assert_int_eq(passes(limit, "a", 10), 3);
    ck_assert_int_eq(passes(limit, "b", 10), 3);
    clock_set(NOW_MS + MINUTE_MS - 1);
    ck_assert_int_eq(passes(limit, "a", 2), 0);
    clock_set(NOW_MS + MINUTE_MS);
    ck_assert_int_eq(passes(limit, "a", 10), 3);
}
END_TEST

START_TEST(says_when_the_next_window_begins)
{
    static const struct {
        int64_t at_ms, retry_s;
    } cases[] = {{0, 60}, {1, 60}, {999, 60}, {1000, 59}, {58999, 2}, {59000, 1}, {59001, 1}, {59999, 1}};
    AUTO(ratelimit_free) struct ratelimit *limit = simple("0", "1m", SUBJECT);
    for (int i = 0; i < COUNT(cases); i++) {
        clock_set(NOW_MS + cases[i].at_ms);
        ck_assert_int_eq(ask(limit, "a"), cases[i].retry_s);
    }
}
END_TEST

START_TEST(windows_begin_at_multiples_of_the_interval)
{
    AUTO(ratelimit_free) struct ratelimit *limit = simple("1", "1h30m", SUBJECT);
    int64_t interval = 90 * MINUTE_MS;
    int64_t start = NOW_MS - NOW_MS % interval + interval;
    clock_set(start - 1);
    ck_assert_int_eq(ask(limit, "a"), 0);
    ck_assert_int_eq(ask(limit, "a"), 1);
    clock_set(start);
    ck_assert_int_eq(ask(limit, "a"), 0);
    ck_assert_int_eq(ask(limit, "a"), interval / 1000);
}
END_TEST

START_TEST(a_clock_that_steps_starts_windows_anew)
{
    AUTO(ratelimit_free) struct ratelimit *limit = simple("2", "1m", SUBJECT);
    static const int64_t steps[] = {0, 86400000, -86400000, 1, MINUTE_MS};
    for (int i = 0; i < COUNT(steps); i++) {
        clock_set(NOW_MS + steps[i]);
        ck_assert_int_eq(passes(limit, "a", 5), 2);
    }
}
END_TEST

static const struct {
    const char *text;
    int64_t ms; /* 0: refused */
} intervals[] = {
    {"1m", 60000},
    {"30s", 30000},
    {"1h30m", 5400000},
    {"1.5s", 1500},
    {"100ms", 100},
    {".5h", 1800000},
    {"2500us", 2},
    {"1m1ms", 60001},
    {"1.s", 1000},
    {"0.0000001h", 0},
    {"", 0},
    {"0", 0},
    {"0s", 0},
    {"999us", 0},
    {"60", 0},
    {"1d", 0},
    {"-1m", 0},
    {"+1m", 0},
    {"1 m", 0},
    {"m", 0},
    {".s", 0},
    {"1m ", 0},
    {"1ns", 0},
    {"1M", 0},
    {"9223372036854775807s", 0},
    {"99999999999999999999s", 0},
    {"2562047788016h", 0},
    {"1e3s", 0},
};

START_TEST(takes_durations_as_go_writes_them)
{
    AUTO(mem_free)
    char *groups = mem_printf("[{'name':'d','quota':'0','interval':'%s','event_expression':''}]", intervals[_i].text);
    struct ratelimit_fault fault = {.why = ""};
    AUTO(ratelimit_free) struct ratelimit *limit = NULL;
    enum err e = make(groups, "[{'api_pattern':'/','group_expression':'d'}]", false, 1, &fault, &limit);
    ck_assert_msg((e == ERR_OK) == (intervals[_i].ms > 0), "%s: %s", intervals[_i].text, fault.why);
    if (e != ERR_OK) {
        ck_assert_ptr_nonnull(strstr(fault.why, "must be a duration such as"));
        return;
    }
    int64_t end_ms = NOW_MS - NOW_MS % intervals[_i].ms + intervals[_i].ms;
    ck_assert_int_eq(ask(limit, "a"), (end_ms - NOW_MS + 999) / 1000);
}
END_TEST

START_TEST(counts_by_group_and_by_what_the_event_renders_to)
{
    AUTO(ratelimit_free)
    struct ratelimit *limit = limiter("[{'name':'a','quota':'1','interval':'1m','event_expression':'" SUBJECT "'},"
                                      "{'name':'b','quota':'2','interval':'1m','event_expression':'" SUBJECT "'},"
                                      "{'name':'c','quota':'3','interval':'1m','event_expression':'all'}]",
                                      "[{'api_pattern':'/a/','group_expression':'a'},"
                                      "{'api_pattern':'GET /b/','group_expression':'b'},"
                                      "{'api_pattern':'/c/','group_expression':'c'},"
                                      "{'api_pattern':'/d/','group_expression':'{{.Identity.Plan}}'}]",
                                      false, 1000);
    static const struct {
        const char *method, *uri, *plan;
        int passes;
    } cases[] = {
        {"GET", "/a/1", NULL, 2}, {"GET", "/b/1", NULL, 4},  {"POST", "/b/1", NULL, 20}, {"GET", "/c/1", NULL, 3},
        {"GET", "/d/1", "a", 0},  {"GET", "/d/2", "no", 20}, {"GET", "/d/3", NULL, 20},  {"GET", "/e", NULL, 20},
    };
    for (int i = 0; i < COUNT(cases); i++) {
        int n = 0;
        for (int k = 0; k < 20; k++) {
            const struct ratelimit_identity who = {.subject = k % 2 == 0 ? "x" : "y", .plan = cases[i].plan};
            const struct ratelimit_request request = {cases[i].method, NULL, cases[i].uri, &who};
            int64_t retry_s = 0;
            n += ratelimit_count(limit, &request, &retry_s) == ERR_OK;
        }
        ck_assert_msg(n == cases[i].passes, "%s %s: %d", cases[i].method, cases[i].uri, n);
    }
}
END_TEST

START_TEST(events_that_render_to_nothing_are_counted_together)
{
    AUTO(ratelimit_free) struct ratelimit *limit = simple("2", "1m", "{{.Identity.Tenant}}");
    ck_assert_int_eq(ask(limit, "a"), 0);
    ck_assert_int_eq(ask(limit, "b"), 0);
    ck_assert_int_eq(ask(limit, "c"), 60);
    AUTO(ratelimit_free) struct ratelimit *unknown = simple("1", "1m", SUBJECT);
    const struct ratelimit_request request = {.method = "GET", .uri = "/"};
    int64_t retry_s = 0;
    ck_ok(ratelimit_count(unknown, &request, &retry_s));
    ck_err(ratelimit_count(unknown, &request, &retry_s), ERR_RATE_LIMIT);
}
END_TEST

START_TEST(refuses_what_no_group_takes_when_told_so)
{
    static const char groups[] = "[{'name':'a','quota':'9','interval':'1m','event_expression':''}]";
    static const char match[] = "[{'api_pattern':'/a','group_expression':'a'},"
                                "{'api_pattern':'/b','group_expression':'{{.Identity.Plan}}'}]";
    static const struct {
        const char *uri;
        bool is_matched;
    } cases[] = {{"/a", true}, {"/b", false}, {"/c", false}};
    for (int i = 0; i < 2 * COUNT(cases); i++) {
        bool reject = i % 2 == 1;
        bool is_matched = cases[i / 2].is_matched;
        AUTO(ratelimit_free) struct ratelimit *limit = limiter(groups, match, reject, 1000);
        const struct ratelimit_request request = {.method = "GET", .uri = cases[i / 2].uri};
        int64_t retry_s = 0;
        ck_err(ratelimit_count(limit, &request, &retry_s), reject && !is_matched ? ERR_RATE_LIMIT : ERR_OK);
        ck_assert_int_eq(retry_s, reject && !is_matched ? INT64_C(9223372037) : 0);
    }
}
END_TEST

START_TEST(no_limiter_limits_nothing)
{
    int64_t retry_s = 0;
    const struct ratelimit_request request = {.method = "GET", .uri = "/"};
    ck_ok(ratelimit_count(NULL, &request, &retry_s));
    struct ratelimit *none = NULL;
    ratelimit_free(&none);
}
END_TEST

#define GROUP_A "{'name':'a','quota':'1','interval':'1m','event_expression':''}"
#define MATCH_A "{'api_pattern':'/','group_expression':'a'}"

static const struct {
    const char *groups, *match, *list, *why;
} refused[] = {
    {"[{}]", "[]", "groups", "[0].name is missing"},
    {"[{'name':'a'}]", "[]", "groups", "[0].quota is missing"},
    {"[" GROUP_A ",{'name':'b','quota':'1','interval':'1m'}]", "[]", "groups", "[1].event_expression is missing"},
    {"[{'name':'a','kwota':'1'}]", "[]", "groups", "[0].kwota is unknown"},
    {"[" GROUP_A "," GROUP_A "]", "[]", "groups", "[1].name is a, which is there already"},
    {"[{'name':'','quota':'1','interval':'1m','event_expression':''}]", "[]", "groups", "[0].name must not be empty"},
    {"[{'name':'a','quota':'-1','interval':'1m','event_expression':''}]", "[]", "groups", "[0].quota is -1, must"},
    {"[{'name':'a','quota':'1.5','interval':'1m','event_expression':''}]", "[]", "groups", "[0].quota is 1.5"},
    {"[{'name':'a','quota':'','interval':'1m','event_expression':''}]", "[]", "groups", "[0].quota is , must"},
    {"[{'name':'a','quota':'9223372036854775808','interval':'1m','event_expression':''}]", "[]", "groups",
     "from 0 to 9223372036854775807"},
    {"[{'name':'a','quota':'1','interval':'1m','event_expression':'{{.Subject}}'}]", "[]", "groups",
     "[0].event_expression is {{.Subject}}, which is not supported: position 3: there is no .Subject"},
    {"[" GROUP_A "]", "[{'api_pattern':'/'}]", "match", "[0].group_expression is missing"},
    {"[" GROUP_A "]", "[{'api_pattern':'/','group_expression':'b'}]", "match", "\"b\", and there is no such group"},
    {"[" GROUP_A "]", "[{'api_pattern':'/','group_expression':''}]", "match", "\"\", and there is no such group"},
    {"[" GROUP_A "]", "[{'api_pattern':'/','group_expression':'{{printf}}'}]", "match",
     "[0].group_expression is {{printf}}, which is not supported: position 3: printf"},
    {"[" GROUP_A "]", "[{'api_pattern':'a','group_expression':'a'}]", "match", "[0].api_pattern is a: there is no /"},
    {"[" GROUP_A "]", "[" MATCH_A "," MATCH_A "]", "match", "[1].api_pattern is /: takes the same requests as \"/\""},
};

START_TEST(says_what_is_wrong_with_a_configuration)
{
    struct ratelimit_fault fault = {.why = ""};
    struct ratelimit *limit = NULL;
    ck_err(make(refused[_i].groups, refused[_i].match, false, 1, &fault, &limit), ERR_CONFIG);
    ck_assert_ptr_null(limit);
    ck_assert_str_eq(fault.list, refused[_i].list);
    ck_assert_msg(strstr(fault.why, refused[_i].why) != NULL, "%s", fault.why);
}
END_TEST

START_TEST(a_list_is_bounded)
{
    AUTO(mem_free) char *list = mem_strdup("[" GROUP_A);
    for (int i = 0; i < 256; i++) {
        char *longer = mem_printf("%s,{'name':'a%d','quota':'1','interval':'1m','event_expression':''}", list, i);
        mem_free(&list);
        list = longer;
    }
    AUTO(mem_free) char *closed = mem_printf("%s]", list);
    struct ratelimit_fault fault = {.why = ""};
    struct ratelimit *limit = NULL;
    ck_err(make(closed, "[]", false, 1, &fault, &limit), ERR_CONFIG);
    ck_assert_ptr_nonnull(strstr(fault.why, "[256] is one too many"));
}
END_TEST

/* Who is over it says so once in a window, however often it asks. */
START_TEST(logs_once_for_each_event_and_window)
{
    AUTO(ratelimit_free) struct ratelimit *limit = simple("2", "1m", SUBJECT);
    passes(limit, "a\nb", 50);
    AUTO(mem_free) char *log = support_log();
    const char *line = strstr(log, "rate limit reached group=default event=\"a\\u000ab\" quota=2 retry_after_s=60");
    ck_assert_msg(line != NULL, "%s", log);
    ck_assert_ptr_null(strstr(line + 1, "rate limit reached"));
    clock_set(NOW_MS + MINUTE_MS);
    passes(limit, "a\nb", 50);
    AUTO(mem_free) char *again = support_log();
    ck_assert_ptr_nonnull(strstr(strstr(again, "rate limit reached") + 1, "rate limit reached"));
}
END_TEST

/* A full table goes on counting whom it knows, lets the others pass, and has room again in the next window. */
START_TEST(memory_is_bounded)
{
    AUTO(window_free) struct window *w = window_new(256);
    enum { KEYS = 5000 };
    for (int round = 0; round < 3; round++) {
        clock_set(NOW_MS + round * MINUTE_MS);
        int known = 0;
        for (int turn = 1; turn <= 3; turn++) {
            int counted = 0;
            for (int i = 0; i < KEYS; i++) {
                int64_t count = -1, left_ms = 0;
                bool has_room = window_count(w, &i, sizeof i, MINUTE_MS, &count, &left_ms);
                ck_assert_int_eq(count, has_room ? turn : 0);
                ck_assert_int_eq(left_ms, MINUTE_MS);
                counted += has_room;
            }
            ck_assert_int_ge(counted, 250);
            ck_assert_int_le(counted, 256);
            ck_assert(turn == 1 || counted == known);
            known = counted;
        }
    }
}
END_TEST

START_TEST(a_limiter_without_room_lets_pass)
{
    AUTO(ratelimit_free)
    struct ratelimit *limit = limiter("[{'name':'a','quota':'0','interval':'1m','event_expression':'" SUBJECT "'}]",
                                      "[" MATCH_A "]", false, 1);
    int n = 0;
    for (int i = 0; i < 1000; i++) {
        char subject[16];
        snprintf(subject, sizeof subject, "%d", i);
        n += passes(limit, subject, 1);
    }
    ck_assert_int_ge(n, 1000 - 64);
    ck_assert_int_lt(n, 1000);
}
END_TEST

START_TEST(keys_of_other_intervals_do_not_disturb)
{
    AUTO(window_free) struct window *w = window_new(64);
    static const char keys[] = "abcdefgh";
    for (int64_t second = 0; second < 120; second++) {
        clock_set(NOW_MS + second * 1000);
        for (size_t i = 0; i < sizeof keys - 1; i++) {
            int64_t count = 0, left_ms = 0;
            int64_t interval = i % 2 == 0 ? 1000 : MINUTE_MS;
            bool has_room = window_count(w, &keys[i], 1, interval, &count, &left_ms);
            ck_assert(!has_room || count == (i % 2 == 0 ? 1 : second % 60 + 1) || count == 1);
            ck_assert_int_eq(left_ms, i % 2 == 0 ? 1000 : MINUTE_MS - second % 60 * 1000);
        }
    }
}
END_TEST

enum { THREADS = 8, EACH = 2000, QUOTA = 777 };

struct storm {
    struct ratelimit *limit;
    _Atomic int passed;
    pthread_barrier_t barrier;
};

static void *rush(void *arg)
{
    struct storm *storm = arg;
    pthread_barrier_wait(&storm->barrier);
    for (int i = 0; i < EACH; i++)
        if (ask(storm->limit, "a") == 0)
            atomic_fetch_add(&storm->passed, 1);
    return NULL;
}

START_TEST(threads_never_get_more_than_the_quota)
{
    struct storm storm = {.limit = simple("777", "1m", SUBJECT)};
    pthread_barrier_init(&storm.barrier, NULL, THREADS);
    pthread_t thread[THREADS];
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, rush, &storm), 0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    pthread_barrier_destroy(&storm.barrier);
    ck_assert_int_eq(storm.passed, QUOTA);
    ratelimit_free(&storm.limit);
}
END_TEST

/* through the router */

static struct fixture f;

static struct call *verify(const char *bearer, const char *uri, int status)
{
    struct call *c = fixture_call(&f, "GET", VERIFY);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_FORWARDED_METHOD] = "GET";
    c->header[CALL_FORWARDED_URI] = uri;
    c->header[CALL_REQUEST_ID] = "rid";
    ck_assert_int_eq(fixture_run(c), status);
    return c;
}

static void expect(const char *bearer, const char *uri, int status)
{
    struct call *c = verify(bearer, uri, status);
    fixture_free(&c);
}

START_TEST(a_gateway_gets_the_contracts_429)
{
    fixture_init(&f, _i);
    clock_set(NOW_MS + 30500);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    f.service.user_limits = simple("2", "1m", SUBJECT);
    expect(bearer, "/api/management/v1/a/b", 200);
    expect(bearer, "/api/management/v1/a/b", 200);
    AUTO(fixture_free) struct call *c = verify(bearer, "/api/management/v1/a/b?c", 429);
    ck_assert_str_eq(c->reply, "{\"error\":\"too many requests\",\"request_id\":\"rid\"}");
    ck_assert_str_eq(c->type, "application/json");
    ck_assert_str_eq(fixture_header(c, "Retry-After"), "30");
    ck_assert_str_eq(fixture_header(c, "X-Men-Requestid"), "rid");
    ck_assert_ptr_null(fixture_header(c, "WWW-Authenticate"));
    clock_set(NOW_MS + MINUTE_MS);
    expect(bearer, "/api/management/v1/a/b", 200);
    ratelimit_free(&f.service.user_limits);
    fixture_release(&f);
}
END_TEST

/* The limiter is the last one to be asked: what is refused before it does not count, nor do other routes. */
START_TEST(only_verified_calls_count)
{
    fixture_init(&f, _i);
    clock_set(NOW_MS);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *bad = mem_printf("%.*sAAAA", (int)strlen(bearer) - 4, bearer);
    f.service.user_limits = simple("1", "1m", "all");
    for (int i = 0; i < 5; i++) {
        expect(bad, "/api/management/v1/a/b", 401);
        expect(bearer, "/short", 500);
        fixture_expect(&f, "/api/management/v1/useradm/users/me", bearer, 200);
    }
    expect(bearer, "/api/management/v1/a/b", 200);
    expect(bearer, "/api/management/v1/a/b", 429);
    expect(bad, "/api/management/v1/a/b", 401);
    ratelimit_free(&f.service.user_limits);
    fixture_release(&f);
}
END_TEST

/* A device's refused calls count too, when it is known whose they are (contract/deviceauth 3.3). */
START_TEST(a_devices_calls_count_good_or_refused)
{
    fixture_init(&f, _i);
    clock_set(NOW_MS);
    struct board board;
    board_init(&board, &f, "ED25519", "{\"mac\":\"1\"}");
    AUTO(mem_free) char *admin = fixture_login(&f);
    ck_assert_int_eq(board_ask(&board), 401);
    AUTO(json_release) json_t *device = board_device(&f, "");
    AUTO(mem_free) char *path = board_set_path(device, 0, "/status");
    board_expect(&f, admin, "PUT", path, "{\"status\":\"accepted\"}", 204, "");
    ck_assert_int_eq(board_ask(&board), 200);
    f.service.device_limits = simple("3", "1m", SUBJECT);
    ck_assert_int_eq(board_verify(&board), 200);
    board_expect(&f, admin, "PUT", path, "{\"status\":\"rejected\"}", 204, "");
    ck_assert_int_eq(board_verify(&board), 401);
    ck_assert_int_eq(board_verify(&board), 401);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", BOARD_VERIFY);
    c->header[CALL_AUTHORIZATION] = board.bearer;
    ck_assert_int_eq(fixture_run(c), 429);
    ck_assert_int_eq(strncmp(c->reply, "{\"error\":\"too many requests\"", 28), 0);
    ck_assert_str_eq(c->type, "application/json");
    ck_assert_str_eq(fixture_header(c, "Retry-After"), "60");
    fixture_expect(&f, "/api/internal/v1/useradm/auth/verify", admin, 200);
    ratelimit_free(&f.service.device_limits);
    board_release(&board);
    fixture_release(&f);
}
END_TEST

START_TEST(the_forwarded_request_is_what_is_matched)
{
    fixture_init(&f, _i);
    clock_set(NOW_MS);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    f.service.user_limits = limiter("[{'name':'a','quota':'0','interval':'1m','event_expression':''}]",
                                    "[{'api_pattern':'GET h/api/management/{v}/a/','group_expression':'a'}]", true, 1);
    AUTO(fixture_free) struct call *c = verify(bearer, "/api/management/v1/a/b", 429);
    ck_assert_str_eq(fixture_header(c, "Retry-After"), "9223372037");
    struct call *hosted = fixture_call(&f, "GET", VERIFY);
    hosted->header[CALL_AUTHORIZATION] = bearer;
    hosted->header[CALL_FORWARDED_METHOD] = "GET";
    hosted->header[CALL_FORWARDED_URI] = "/api/management/v1/a/b";
    hosted->header[CALL_FORWARDED_HOST] = "h:443";
    ck_assert_int_eq(fixture_run(hosted), 429);
    ck_assert_str_eq(fixture_header(hosted, "Retry-After"), "60");
    fixture_free(&hosted);
    ratelimit_free(&f.service.user_limits);
    fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("ratelimit");
    TCase *tc = tcase_create("ratelimit");
    tcase_add_checked_fixture(tc, set_up, NULL);
    tcase_add_test(tc, siphash_gives_the_reference_vectors);
    tcase_add_test(tc, lets_the_quota_through_in_each_window);
    tcase_add_test(tc, says_when_the_next_window_begins);
    tcase_add_test(tc, windows_begin_at_multiples_of_the_interval);
    tcase_add_test(tc, a_clock_that_steps_starts_windows_anew);
    tcase_add_loop_test(tc, takes_durations_as_go_writes_them, 0, COUNT(intervals));
    tcase_add_test(tc, counts_by_group_and_by_what_the_event_renders_to);
    tcase_add_test(tc, events_that_render_to_nothing_are_counted_together);
    tcase_add_test(tc, refuses_what_no_group_takes_when_told_so);
    tcase_add_test(tc, no_limiter_limits_nothing);
    tcase_add_loop_test(tc, says_what_is_wrong_with_a_configuration, 0, COUNT(refused));
    tcase_add_test(tc, a_list_is_bounded);
    tcase_add_test(tc, logs_once_for_each_event_and_window);
    tcase_add_test(tc, memory_is_bounded);
    tcase_add_test(tc, a_limiter_without_room_lets_pass);
    tcase_add_test(tc, keys_of_other_intervals_do_not_disturb);
    tcase_add_test(tc, threads_never_get_more_than_the_quota);
    tcase_add_loop_test(tc, a_gateway_gets_the_contracts_429, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, only_verified_calls_count, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_devices_calls_count_good_or_refused, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_forwarded_request_is_what_is_matched, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
