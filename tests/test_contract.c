/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "auth/password.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/fixture.h"

/*
 * What the contract says of every route, asked of every row of the table, so that no new row can be forgotten; and the
 * sentences that belong to no resource alone. tests/contract/README.md tells which test stands for which sentence.
 */

#define LOGIN "/api/management/v1/useradm/auth/login"
#define LOGOUT "/api/management/v1/useradm/auth/logout"
#define USERS "/api/management/v1/useradm/users"
#define ME USERS "/me"
#define TOKENS "/api/management/v1/useradm/settings/tokens"
#define VERIFY "/api/internal/v1/useradm/auth/verify"
#define AUTH_REQUESTS "/api/devices/v1/authentication/auth_requests"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct fixture f;

/* The row under test, and its path with an id for each {name}. */
static const struct route *row;
static char path[256];

static int count_rows(void)
{
    int n = 0;
    while (routes[n].method != NULL)
        n++;
    return n;
}

/* Make the row of this index the one under test; false behind the last. */
static bool take_row(int index)
{
    row = &routes[index];
    if (row->method == NULL)
        return false;
    const char *id = strstr(row->path, "/tokens/") != NULL ? "00000000-0000-4000-8000-000000000000" : "me";
    size_t len = 0;
    for (const char *p = row->path; *p != '\0'; p++) {
        if (*p != '{') {
            path[len++] = *p;
            continue;
        }
        len += (size_t)snprintf(path + len, sizeof path - len, "%s", id);
        p = strchr(p, '}');
    }
    path[len] = '\0';
    return true;
}

/* Of a loop over row * SUPPORT_ENGINES + engine. */
static void begin(int index)
{
    ck_assert(take_row(index / SUPPORT_ENGINES));
    fixture_init(&f, index % SUPPORT_ENGINES);
}

static bool is_useradm(void)
{
    return strstr(row->path, "/useradm/") != NULL;
}

/* A call of this row that has all that any row wants but a token; nothing is sent to what takes no body. */
static struct call *make(const char *authorization)
{
    struct call *c = fixture_call(&f, row->method, path);
    c->header[CALL_AUTHORIZATION] = authorization;
    c->header[CALL_FORWARDED_METHOD] = "GET";
    c->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
    c->query = "tenant_id=t";
    if (row->method[0] == 'P') {
        c->header[CALL_CONTENT_TYPE] = "application/json";
        fixture_body(c, "{\"name\":\"ci\",\"email\":\"new@example.com\",\"password\":\"battery staple\","
                        "\"current_password\":\"correct horse\",\"tenant_id\":\"t\"}");
    }
    return c;
}

static void expect_error(const struct call *c, int status, const char *text)
{
    AUTO(mem_free) char *start = mem_printf("{\"error\":\"%s", text);
    ck_assert_msg(c->status == status && c->reply != NULL && strncmp(c->reply, start, strlen(start)) == 0,
                  "%s %s gave %d %s, not %d %s", c->method, c->path, c->status, c->reply, status, text);
    ck_assert_str_eq(c->type, "application/json; charset=utf-8");
    const char *id = fixture_header(c, "X-Men-Requestid");
    AUTO(mem_free) char *end = mem_printf("\",\"request_id\":\"%s\"}", id);
    ck_assert_str_eq(c->reply + c->reply_len - strlen(end), end);
}

/* A 401 of a route that wants a token. */
static void refuses(const char *authorization, const char *text)
{
    AUTO(fixture_free) struct call *c = make(authorization);
    fixture_run(c);
    expect_error(c, 401, text);
    ck_assert_str_eq(fixture_header(c, "WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
}

/* A 401 that says nothing. */
static void refuses_silently(const char *authorization)
{
    AUTO(fixture_free) struct call *c = make(authorization);
    ck_assert_int_eq(fixture_run(c), 401);
    ck_assert_uint_eq(c->reply_len, 0);
    ck_assert_ptr_null(c->type);
}

/* "Bearer bogus_header.<payload>.bogus_sign" */
static char *bogus(const char *payload)
{
    AUTO(mem_free) char *encoded = mem_calloc(BASE64_ENCODED(strlen(payload)) + 1, 1);
    base64_encode(BASE64_URL, payload, strlen(payload), encoded);
    return mem_printf("Bearer bogus_header.%s.bogus_sign", encoded);
}

static char *bogus_of_user(void)
{
    AUTO(mem_free) char *payload = mem_printf("{\"sub\":\"%s\"}", f.user_id);
    return bogus(payload);
}

/* every row */

START_TEST(every_route_does_its_work)
{
    begin(_i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *c = make(row->access == ANYONE ? FIXTURE_BASIC : bearer);
    fixture_run(c);
    ck_assert_msg(!is_useradm() || c->status / 100 == 2, "%s %s gave %d %s", row->method, path, c->status, c->reply);
    ck_assert_uint_eq(strlen(fixture_header(c, "X-Men-Requestid")), 36);
    ck_assert((c->type == NULL) == (c->reply_len == 0));
    ck_assert_msg(c->reply_len == 0 || c->reply[c->reply_len - 1] != '\n' || strcmp(path, "/metrics") == 0, "%s", path);
    fixture_release(&f);
}
END_TEST

START_TEST(an_unverified_token_counts_behind_a_gateway_only)
{
    if (routes[_i / SUPPORT_ENGINES].access != BEARER)
        return;
    begin(_i);
    AUTO(mem_free) char *authorization = bogus_of_user();
    refuses(authorization, "invalid jwt");
    f.service.trust_gateway = true;
    AUTO(fixture_free) struct call *c = make(authorization);
    fixture_run(c);
    bool is_good = is_useradm() ? c->status / 100 == 2 : c->status != 401;
    ck_assert_msg(is_good, "%s %s gave %d %s", row->method, path, c->status, c->reply);
    fixture_release(&f);
}
END_TEST

START_TEST(the_signature_is_checked_in_both_modes_where_it_must_be)
{
    fixture_init(&f, _i);
    clock_set(1770000000000);
    AUTO(mem_free) char *expired = fixture_login(&f);
    AUTO(mem_free) char *authorization = bogus_of_user();
    clock_set(1780000000000);
    for (int i = 0; take_row(i / 2); i++) {
        bool ends_sessions = strcmp(path, LOGOUT) == 0 || strcmp(row->method, "PUT") == 0;
        ck_assert_msg(!is_useradm() || !ends_sessions || row->access == SIGNED, "%s %s", row->method, path);
        if (row->access != SIGNED && row->access != CHECKED)
            continue;
        f.service.trust_gateway = i % 2 == 1;
        refuses(authorization, "invalid jwt");
        refuses(expired, "invalid jwt");
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_gateway_that_asks_about_a_device_learns_no_reason)
{
    fixture_init(&f, 0);
    AUTO(mem_free) char *person = fixture_login(&f);
    AUTO(mem_free) char *authorization = bogus_of_user();
    for (int i = 0; take_row(i / 2); i++) {
        if (row->access != DEVICE)
            continue;
        f.service.trust_gateway = i % 2 == 1;
        refuses_silently(authorization);
        refuses_silently(person);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_token_must_have_its_form_in_both_modes)
{
    static const struct {
        const char *authorization;
        const char *text;
    } cases[] = {
        {NULL, "Authorization not present in header"},
        {"", "Authorization not present in header"},
        {"Bearer", "malformed Authorization header"},
        {"Bearer a b", "malformed Authorization header"},
        {"Digest a.b.c", "unknown Authorization method Digest"},
        {"Bearer ", "identity: incorrect token format"},
        {"Bearer a.b", "identity: incorrect token format"},
        {"Bearer bogus_header.!!.bogus_sign",
         "identity: failed to decode base64 JWT claims: illegal base64 data at input byte 0"},
        {"Bearer bogus_header.eyJzdWIiOjF9.bogus_sign", "identity: failed to decode JSON JWT claims: "}, /* a number */
        {"Bearer bogus_header.e30.bogus_sign", "identity: claim \\\"sub\\\" is required"},
    };
    fixture_init(&f, 0);
    for (int i = 0; take_row(i / 2); i++) {
        f.service.trust_gateway = i % 2 == 1;
        for (size_t n = 0; row->access != ANYONE && n < COUNT(cases); n++)
            refuses(cases[n].authorization, cases[n].text);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(who_calls_is_asked_before_what_is_sent)
{
    fixture_init(&f, 0);
    for (int i = 0; take_row(i); i++) {
        bool is_open = row->surface != MANAGEMENT || strcmp(path, LOGIN) == 0 || strcmp(path, AUTH_REQUESTS) == 0;
        ck_assert_msg(row->access != ANYONE || is_open, "%s is open to anyone", path);
        if (row->access == ANYONE)
            continue;
        AUTO(fixture_free) struct call *c = make(NULL);
        c->header[CALL_CONTENT_TYPE] = "text/plain";
        fixture_body(c, "{");
        fixture_run(c);
        expect_error(c, 401, "Authorization not present in header");
    }
    fixture_release(&f);
}
END_TEST

static void expect_type(const char *bearer, const char *type, int status, const char *text)
{
    AUTO(fixture_free) struct call *c = make(bearer);
    c->header[CALL_CONTENT_TYPE] = type;
    fixture_run(c);
    if (status != 0)
        expect_error(c, status, text);
    else
        ck_assert_msg(c->status / 100 == 2, "%s %s gave %d %s", row->method, path, c->status, c->reply);
}

START_TEST(management_routes_take_bodies_that_are_announced_as_json)
{
    begin(_i * SUPPORT_ENGINES);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    const char *authorization = row->access == ANYONE ? FIXTURE_BASIC : bearer;
    if (row->surface == MANAGEMENT && row->method[0] == 'P') {
        expect_type(authorization, "text/plain", 415, "Bad Content-Type, expected 'application/json'");
        expect_type(authorization, NULL, 400, "Invalid value for Content-Type header: mime: no media type");
        if (is_useradm())
            expect_type(authorization, "APPLICATION/json; charset=utf-8", 0, NULL);
    } else if (is_useradm())
        expect_type(authorization, "text/plain", 0, NULL);
    fixture_release(&f);
}
END_TEST

/* The methods of the row's path, as one list; *n is their number. */
static char *methods_of_path(int *n)
{
    char *list = mem_strdup("");
    *n = 0;
    for (const struct route *r = routes; r->method != NULL; r++) {
        if (strcmp(r->path, row->path) != 0)
            continue;
        char *longer = mem_printf("%s%s%s", list, (*n)++ > 0 ? ", " : "", r->method);
        mem_free(&list);
        list = longer;
    }
    return list;
}

/* Whether the method belongs to another row that takes any last segment: a device may be called "search" or "count". */
static bool is_of_another_row(const char *method)
{
    int stem = (int)(strrchr(row->path, '/') - row->path);
    AUTO(mem_free) char *any = mem_printf("%.*s/{id}", stem, row->path);
    AUTO(mem_free) char *any_device = mem_printf("%.*s/{did}", stem, row->path);
    for (const struct route *r = routes; r->method != NULL; r++)
        if (strcmp(r->method, method) == 0 && (strcmp(r->path, any) == 0 || strcmp(r->path, any_device) == 0))
            return strcmp(r->path, row->path) != 0;
    return false;
}

static int count_header(const struct call *c, const char *name)
{
    int n = 0;
    for (size_t i = 0; i < c->reply_headers; i++)
        n += strcmp(c->reply_header[i].name, name) == 0;
    return n;
}

/* Ask with a method that the row's path does not have; list is of those that it has. */
static void expect_other_method(const char *method, const char *list, int known)
{
    AUTO(fixture_free) struct call *c = make(NULL);
    c->method = method;
    fixture_run(c);
    if (row->surface == MANAGEMENT && strcmp(method, "OPTIONS") == 0) {
        ck_assert_int_eq(c->status, 200);
        ck_assert_uint_eq(c->reply_len, 0);
        ck_assert_int_eq(count_header(c, "Allow"), known);
        return;
    }
    expect_error(c, 405, "method not allowed");
    ck_assert_str_eq(fixture_header(c, "Allow"), list);
}

START_TEST(another_method_of_a_known_path_is_a_405)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "get"};
    fixture_init(&f, 0);
    for (int i = 0; take_row(i); i++) {
        int known = 0;
        AUTO(mem_free) char *list = methods_of_path(&known);
        AUTO(mem_free) char *searched = mem_printf(", %s,", list);
        for (size_t n = 0; n < COUNT(methods); n++) {
            AUTO(mem_free) char *sought = mem_printf(", %s,", methods[n]);
            if (strstr(searched, sought) == NULL && !is_of_another_row(methods[n]))
                expect_other_method(methods[n], list, known);
        }
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_body_over_the_limit_is_a_413_on_every_route)
{
    fixture_init(&f, 0);
    for (int i = 0; take_row(i); i++) {
        AUTO(fixture_free) struct call *c = make(NULL);
        c->content_length = f.service.body_max + 1;
        fixture_run(c);
        expect_error(c, 413, "http: request body too large");
    }
    fixture_release(&f);
}
END_TEST

/* What answers without looking into the database. */
static bool needs_storage(void)
{
    static const char *const free_of_it[] = {"/plans", "/plan_binding", "/useradm/tenants",      "/metrics",
                                             "/alive", "/health",       "/.well-known/jwks.json"};
    for (size_t i = 0; i < COUNT(free_of_it); i++)
        if (strlen(path) >= strlen(free_of_it[i]) &&
            strcmp(path + strlen(path) - strlen(free_of_it[i]), free_of_it[i]) == 0)
            return false;
    return true;
}

START_TEST(a_broken_database_is_a_500_that_tells_nothing)
{
    begin(_i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    f.service.trust_gateway = true;
    static const char *const breaks[] = {"ALTER TABLE tokens RENAME TO lost_tokens",
                                         "ALTER TABLE settings RENAME TO lost_settings",
                                         "ALTER TABLE users RENAME TO lost_users"};
    for (size_t i = 0; i < COUNT(breaks); i++)
        ck_ok(db_exec(f.db, breaks[i], DB_ARGS(), NULL));
    AUTO(fixture_free) struct call *c = make(row->access == ANYONE ? FIXTURE_BASIC : bearer);
    fixture_run(c);
    if (is_useradm() && needs_storage())
        expect_error(c, 500, "internal error");
    else
        ck_assert_msg(!is_useradm() || c->status / 100 == 2, "%s: %d", path, c->status);
    fixture_release(&f);
}
END_TEST

/* sentences of one route */

static struct call *ask(const char *method, const char *where, const char *authorization, const char *body)
{
    struct call *c = fixture_call(&f, method, where);
    c->header[CALL_AUTHORIZATION] = authorization;
    if (body != NULL) {
        c->header[CALL_CONTENT_TYPE] = "application/json";
        fixture_body(c, body);
    }
    fixture_run(c);
    return c;
}

static void gives(const char *method, const char *where, const char *authorization, const char *body, int status)
{
    AUTO(fixture_free) struct call *c = ask(method, where, authorization, body);
    ck_assert_msg(c->status == status, "%s %s gave %d %s, not %d", method, where, c->status, c->reply, status);
}

START_TEST(login_asks_for_the_type_before_the_password)
{
    fixture_init(&f, _i);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", LOGIN);
    c->header[CALL_CONTENT_TYPE] = "text/plain";
    fixture_body(c, "{}");
    fixture_run(c);
    expect_error(c, 415, "Bad Content-Type");
    ck_assert_ptr_null(fixture_header(c, "WWW-Authenticate"));
    fixture_release(&f);
}
END_TEST

START_TEST(login_ignores_what_it_does_not_know)
{
    fixture_init(&f, _i);
    gives("POST", LOGIN, FIXTURE_BASIC, "{\"token2fa\":123456,\"no_expiry\":null,\"x\":[{}]}", 200);
    gives("POST", LOGIN, FIXTURE_BASIC, "{\"no_expiry\":false} and more", 200);
    gives("POST", LOGIN, FIXTURE_BASIC, "{\"no_expiry\":1}", 400);
    AUTO(fixture_free) struct call *chunked = fixture_call(&f, "POST", LOGIN);
    chunked->header[CALL_AUTHORIZATION] = FIXTURE_BASIC;
    chunked->header[CALL_CONTENT_TYPE] = "text/plain"; /* without a length it does not count */
    chunked->body = "{}";
    chunked->body_len = 2;
    ck_assert_int_eq(fixture_run(chunked), 200);
    fixture_release(&f);
}
END_TEST

START_TEST(a_login_moves_nothing_but_the_time_of_login)
{
    clock_set(1770000000000);
    fixture_init(&f, _i);
    AUTO(mem_free) char *first = fixture_login(&f);
    ck_assert_ptr_nonnull(first);
    clock_set(1770000060250);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *c = fixture_get(&f, ME, bearer, 200);
    AUTO(mem_free)
    char *want = mem_printf("{\"id\":\"%s\",\"email\":\"" FIXTURE_EMAIL "\",\"created_ts\":\"2026-02-02T02:40:00Z\","
                            "\"updated_ts\":\"2026-02-02T02:40:00Z\",\"login_ts\":\"2026-02-02T02:41:00.25Z\"}",
                            f.user_id);
    ck_assert_str_eq(c->reply, want);
    fixture_release(&f);
}
END_TEST

START_TEST(logout_ignores_its_body)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    gives("POST", LOGOUT, bearer, "{ no json", 202);
    fixture_expect(&f, ME, bearer, 401);
    fixture_release(&f);
}
END_TEST

/* The original does not look at it there, so that such a token could not be ended. */
START_TEST(a_token_of_the_fallback_key_can_be_logged_out)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *key = support_path(f.keys, "private.id.1.pem");
    AUTO(mem_free) char *old = support_path(f.keys, "old.pem");
    ck_assert_int_eq(rename(key, old), 0);
    fixture_add_key(&f, "es256", 1);
    fixture_expect(&f, VERIFY, bearer, 401);
    const struct keyring_config config = {.name = "fallback",
                                          .dir = f.keys,
                                          .pattern = "private\\.id\\.([0-9]*)\\.pem",
                                          .fallback_path = old,
                                          .rsa_alg = KEY_RS256,
                                          .keys_max = 100};
    struct keyring *ring = NULL;
    ck_ok(keyring_open(&config, &ring));
    struct issuer *issuer = issuer_new(issuer_config(f.issuer), f.db, ring);
    f.service.users = issuer;
    fixture_expect(&f, VERIFY, bearer, 200);
    gives("POST", LOGOUT, bearer, NULL, 202);
    fixture_expect(&f, VERIFY, bearer, 401);
    f.service.users = f.issuer;
    issuer_free(&issuer);
    keyring_free(&ring);
    fixture_release(&f);
}
END_TEST

START_TEST(the_times_of_a_new_user_are_the_servers)
{
    clock_set(1770000000000);
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free)
    struct call *c = ask("POST", USERS, bearer,
                         "{\"email\":\"bob@example.com\",\"password\":\"battery staple\",\"created_ts\":"
                         "\"2001-01-01T00:00:00Z\",\"updated_ts\":1,\"login_ts\":\"2001-01-01T00:00:00Z\"}");
    ck_assert_int_eq(c->status, 201);
    AUTO(fixture_free) struct call *got = fixture_get(&f, fixture_header(c, "Location"), bearer, 200);
    ck_assert_ptr_nonnull(
        strstr(got->reply, "\"created_ts\":\"2026-02-02T02:40:00Z\",\"updated_ts\":\"2026-02-02T02:40:00Z\"}"));
    fixture_release(&f);
}
END_TEST

START_TEST(an_unknown_user_is_a_404_that_says_so)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *c = fixture_get(&f, USERS "/exists", bearer, 404);
    expect_error(c, 404, "user not found");
    fixture_release(&f);
}
END_TEST

START_TEST(an_expired_personal_token_counts_until_it_is_swept)
{
    clock_set(1770000000000);
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (int i = 0; i < 10; i++) {
        AUTO(mem_free) char *body = mem_printf("{\"name\":\"%d\",\"expires_in\":60}", i);
        gives("POST", TOKENS, bearer, body, 200);
    }
    clock_set(1770000061000);
    gives("POST", TOKENS, bearer, "{\"name\":\"new\"}", 422);
    int64_t deleted = 0;
    ck_ok(issuer_sweep(f.issuer, 100, &deleted));
    ck_assert_int_eq(deleted, 10);
    gives("POST", TOKENS, bearer, "{\"name\":\"new\"}", 200);
    fixture_release(&f);
}
END_TEST

START_TEST(verify_takes_the_cookie_and_ignores_a_body)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *cookie = mem_printf("JWT=%s", bearer + strlen("Bearer "));
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", VERIFY);
    c->header[CALL_AUTHORIZATION] = ""; /* an empty one is none */
    c->header[CALL_COOKIE] = cookie;
    c->header[CALL_FORWARDED_METHOD] = "GET";
    c->header[CALL_FORWARDED_URI] = "/api/management/v1/inventory/devices";
    c->header[CALL_CONTENT_TYPE] = "text/plain";
    fixture_body(c, "nothing");
    ck_assert_int_eq(fixture_run(c), 200);
    fixture_release(&f);
}
END_TEST

/* many at once */

enum { STORM = 24, SESSIONS = 10, RACERS = 4, ROUNDS = 10 };

struct attempt {
    pthread_t thread;
    int status;
    char *bearer;
};

static void *log_in(void *arg)
{
    struct attempt *attempt = arg;
    AUTO(fixture_free) struct call *c = ask("POST", LOGIN, FIXTURE_BASIC, "{\"no_expiry\":true}");
    attempt->status = c->status;
    attempt->bearer = mem_printf("Bearer %s", c->reply);
    return NULL;
}

static void start(struct attempt *attempts, int n)
{
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(pthread_create(&attempts[i].thread, NULL, log_in, &attempts[i]), 0);
}

/* Wait for all; how many of their tokens are good. */
static int count_alive(struct attempt *attempts, int n)
{
    int alive = 0;
    for (int i = 0; i < n; i++)
        pthread_join(attempts[i].thread, NULL);
    for (int i = 0; i < n; i++) {
        ck_assert_msg(attempts[i].status == 200 || attempts[i].status == 401, "%d", attempts[i].status);
        AUTO(fixture_free) struct call *c = ask("GET", ME, attempts[i].bearer, NULL);
        alive += c->status == 200;
        mem_free(&attempts[i].bearer);
    }
    return alive;
}

static int64_t rows_of_tokens(void)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(f.db, "SELECT id FROM tokens", DB_ARGS(), &rows));
    return (int64_t)db_rows_count(rows);
}

START_TEST(parallel_logins_leave_no_more_than_the_limit)
{
    fixture_init(&f, _i);
    struct attempt attempts[STORM] = {0};
    start(attempts, STORM);
    ck_assert_int_eq(count_alive(attempts, STORM), SESSIONS);
    ck_assert_int_eq(rows_of_tokens(), SESSIONS);
    fixture_release(&f);
}
END_TEST

/* The user goes at another moment of the logins each round. */
START_TEST(a_user_deleted_while_logging_in_has_no_live_token)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *where = mem_printf(USERS "/%s", f.user_id);
    for (int round = 0; round < ROUNDS; round++) {
        AUTO(mem_free) char *bearer = fixture_login(&f);
        struct attempt attempts[RACERS] = {0};
        start(attempts, RACERS);
        for (int i = 0; i < round; i++)
            password_check_nobody("x", 4);
        gives("DELETE", where, bearer, NULL, 204);
        ck_assert_int_eq(count_alive(attempts, RACERS), 0);
        ck_assert_int_eq(rows_of_tokens(), 0);
        const struct user_new again = {.id = f.user_id,
                                       .email = FIXTURE_EMAIL,
                                       .password = FIXTURE_PASSWORD,
                                       .cost = 4};
        char why[USER_WHY_SIZE];
        AUTO(mem_free) char *id = NULL;
        ck_ok(user_create(f.db, &again, why, &id));
    }
    fixture_release(&f);
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        every_route_does_its_work,
        an_unverified_token_counts_behind_a_gateway_only,
        a_broken_database_is_a_500_that_tells_nothing,
    };
    const TTest *const of_one[] = {
        login_asks_for_the_type_before_the_password,
        login_ignores_what_it_does_not_know,
        a_login_moves_nothing_but_the_time_of_login,
        logout_ignores_its_body,
        a_token_of_the_fallback_key_can_be_logged_out,
        the_times_of_a_new_user_are_the_servers,
        an_unknown_user_is_a_404_that_says_so,
        an_expired_personal_token_counts_until_it_is_swept,
        verify_takes_the_cookie_and_ignores_a_body,
        parallel_logins_leave_no_more_than_the_limit,
        a_user_deleted_while_logging_in_has_no_live_token,
    };
    Suite *s = suite_create("contract");
    TCase *rows = tcase_create("every row");
    tcase_add_checked_fixture(rows, support_log_capture, NULL);
    for (size_t i = 0; i < COUNT(on_both); i++)
        tcase_add_loop_test(rows, on_both[i], 0, count_rows() * SUPPORT_ENGINES);
    tcase_add_loop_test(rows, management_routes_take_bodies_that_are_announced_as_json, 0, count_rows());
    tcase_add_loop_test(rows, the_signature_is_checked_in_both_modes_where_it_must_be, 0, SUPPORT_ENGINES);
    tcase_add_test(rows, a_gateway_that_asks_about_a_device_learns_no_reason);
    tcase_add_test(rows, a_token_must_have_its_form_in_both_modes);
    tcase_add_test(rows, who_calls_is_asked_before_what_is_sent);
    tcase_add_test(rows, another_method_of_a_known_path_is_a_405);
    tcase_add_test(rows, a_body_over_the_limit_is_a_413_on_every_route);
    suite_add_tcase(s, rows);
    TCase *one = tcase_create("one route");
    tcase_add_checked_fixture(one, support_log_capture, NULL);
    for (size_t i = 0; i < COUNT(of_one); i++)
        tcase_add_loop_test(one, of_one[i], 0, SUPPORT_ENGINES);
    suite_add_tcase(s, one);
    return s;
}

int main(void)
{
    return support_main(suite());
}
