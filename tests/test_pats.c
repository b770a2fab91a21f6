/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pat.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/fixture.h"

#define TOKENS "/api/management/v1/useradm/settings/tokens"
#define VERIFY "/api/internal/v1/useradm/auth/verify"
#define NOW_MS INT64_C(1763715905120)

enum { MAKERS = 12, LIMIT = 10 };

static struct fixture f;
static char *bearer;

static void begin(int engine)
{
    fixture_init(&f, engine);
    bearer = fixture_login(&f);
}

static void finish(void)
{
    mem_free(&bearer);
    fixture_release(&f);
}

static struct call *create(const char *body)
{
    struct call *c = fixture_call(&f, "POST", TOKENS);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_CONTENT_TYPE] = "application/json";
    fixture_body(c, body);
    fixture_run(c);
    return c;
}

/* "Bearer <token>", which the caller frees. */
static char *created(const char *body)
{
    AUTO(fixture_free) struct call *c = create(body);
    ck_assert_msg(c->status == 200, "%s: %d %s", body, c->status, c->reply);
    ck_assert_str_eq(c->type, "application/jwt");
    ck_assert_uint_eq(strspn(c->reply, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."),
                      c->reply_len);
    return mem_printf("Bearer %s", c->reply);
}

static void creates(const char *body)
{
    AUTO(mem_free) char *token = created(body);
    ck_assert_ptr_nonnull(token);
}

static void refuses(const char *body, int status, const char *text)
{
    AUTO(fixture_free) struct call *c = create(body);
    AUTO(json_release) json_t *json = json_loads(c->reply != NULL ? c->reply : "", 0, NULL);
    const char *got = json_string_value(json_object_get(json, "error"));
    ck_assert_msg(c->status == status && got != NULL && strcmp(got, text) == 0, "%s: %d %s, not %d %s", body, c->status,
                  c->reply, status, text);
}

static json_t *listed(void)
{
    AUTO(fixture_free) struct call *c = fixture_get(&f, TOKENS, bearer, 200);
    json_t *list = json_loads(c->reply, 0, NULL);
    ck_assert(json_is_array(list));
    return list;
}

static void lists(size_t n)
{
    AUTO(json_release) json_t *list = listed();
    ck_assert_uint_eq(json_array_size(list), n);
}

static char *jti_of(const char *token)
{
    struct issuer_token checked;
    ck_ok(issuer_check(f.issuer, token + 7, strlen(token + 7), &checked));
    return mem_strdup(checked.claims.jti);
}

static void delete (const char *id)
{
    AUTO(mem_free) char *path = mem_printf("%s/%s", TOKENS, id);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "DELETE", path);
    c->header[CALL_AUTHORIZATION] = bearer;
    ck_assert_int_eq(fixture_run(c), 204);
    ck_assert_uint_eq(c->reply_len, 0);
    ck_assert_ptr_null(c->type);
}

START_TEST(a_new_token_is_bare_text_that_verifies)
{
    begin(_i);
    AUTO(mem_free) char *token = created("{\"name\":\"ci\",\"expires_in\":3600}");
    fixture_expect(&f, VERIFY, token, 200);
    fixture_expect(&f, TOKENS, token, 200);
    finish();
}
END_TEST

START_TEST(a_token_has_the_claims_of_a_login_and_its_own_lifetime)
{
    clock_set(NOW_MS);
    begin(_i);
    AUTO(mem_free) char *token = created("{\"NAME\":\"ci\",\"expires_in\":31536000}");
    struct issuer_token checked;
    ck_ok(issuer_check(f.issuer, token + 7, strlen(token + 7), &checked));
    ck_assert_str_eq(checked.claims.sub, f.user_id);
    ck_assert_str_eq(checked.claims.scp, "mender.*");
    ck_assert(checked.claims.is_user);
    ck_assert_int_eq(checked.claims.exp, NOW_MS / 1000 + 31536000);
    clock_set(NOW_MS + INT64_C(31536000) * 1000);
    fixture_expect(&f, VERIFY, token, 401);
    finish();
}
END_TEST

START_TEST(a_lifetime_of_nothing_never_ends)
{
    static const char *const bodies[] = {"{\"name\":\"a\"}", "{\"name\":\"b\",\"expires_in\":0}",
                                         "{\"name\":\"c\",\"expires_in\":null}"};
    begin(_i);
    for (size_t i = 0; i < 3; i++) {
        AUTO(mem_free) char *token = created(bodies[i]);
        struct issuer_token checked;
        ck_ok(issuer_check(f.issuer, token + 7, strlen(token + 7), &checked));
        ck_assert_int_eq(checked.claims.exp, CLAIMS_NO_EXPIRY);
    }
    finish();
}
END_TEST

START_TEST(the_list_has_what_the_contract_names)
{
    clock_set(NOW_MS);
    begin(_i);
    AUTO(fixture_free) struct call *none = fixture_get(&f, TOKENS, bearer, 200);
    ck_assert_str_eq(none->reply, "[]");
    AUTO(mem_free) char *first = created("{\"name\":\"ci <1>\",\"expires_in\":60}");
    AUTO(mem_free) char *first_id = jti_of(first);
    clock_set(NOW_MS + 1000);
    AUTO(mem_free) char *second = created("{\"name\":\"for ever\"}");
    AUTO(mem_free) char *second_id = jti_of(second);
    fixture_expect(&f, VERIFY, second, 200);
    AUTO(fixture_free) struct call *c = fixture_get(&f, TOKENS, bearer, 200);
    AUTO(mem_free)
    char *want =
        mem_printf("[{\"id\":\"%s\",\"name\":\"ci \\u003c1\\u003e\",\"expiration_date\":\"2025-11-21T09:06:05Z\","
                   "\"created_ts\":\"2025-11-21T09:05:05.12Z\"},"
                   "{\"id\":\"%s\",\"name\":\"for ever\",\"last_used\":\"2025-11-21T09:05:06.12Z\","
                   "\"created_ts\":\"2025-11-21T09:05:06.12Z\"}]",
                   first_id, second_id);
    ck_assert_str_eq(c->reply, want);
    finish();
}
END_TEST

START_TEST(a_bad_body_is_refused)
{
    static const char *const bodies[] = {
        "",
        "x",
        "[]",
        "{",
        "{\"name\":1}",
        "{\"name\":\"a\",\"expires_in\":\"1\"}",
        "{\"name\":\"a\",\"expires_in\":3600.0}",
        "{\"name\":\"a\",\"expires_in\":1e3}",
        "{\"name\":\"a\",\"expires_in\":99999999999999999999}",
        "{\"name\":\"a\\u0000b\"}",
    };
    begin(_i);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++)
        refuses(bodies[i], 400, "cannot parse request body as json");
    lists(0);
    finish();
}
END_TEST

START_TEST(name_and_lifetime_have_limits)
{
    begin(_i);
    refuses("null", 400, "name: cannot be blank.");
    refuses("{\"name\":\"\"}", 400, "name: cannot be blank.");
    refuses("{\"name\":\"a\",\"expires_in\":-1}", 400, "expires_in: must be no less than 0.");
    refuses("{\"name\":\"a\",\"expires_in\":31536001}", 400, "expires_in: must be no greater than 31536000.");
    refuses("{\"expires_in\":-1}", 400, "expires_in: must be no less than 0; name: cannot be blank.");
    char name[4098] = "";
    for (size_t i = 0; i < 4097; i++)
        name[i] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"[(i * i * 7 + i / 3 * 11) % 64];
    AUTO(mem_free) char *longer = mem_printf("{\"name\":\"%s\"}", name);
    AUTO(mem_free) char *longest = mem_printf("{\"name\":\"%s\"}", name + 1);
    refuses(longer, 400, "name: the length must be no more than 4096.");
    creates(longest);
    refuses(longest, 409, "Personal Access Token with a given name already exists");
    finish();
}
END_TEST

START_TEST(a_name_is_used_once_by_a_user)
{
    begin(_i);
    creates("{\"name\":\"ci\"}");
    refuses("{\"name\":\"ci\"}", 409, "Personal Access Token with a given name already exists");
    creates("{\"name\":\"CI\"}");
    lists(2);
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    const struct user_new bob = {.email = "bob@example.com", .password = "correct horse", .cost = 4};
    ck_ok(user_create(f.db, &bob, why, &id));
    struct claims claims = {0};
    snprintf(claims.sub, sizeof claims.sub, "%s", id);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(pat_create(f.issuer, &claims, false, "ci", 0, &token));
    lists(2);
    finish();
}
END_TEST

START_TEST(the_limit_goes_before_the_name)
{
    begin(_i);
    for (int i = 0; i < LIMIT; i++) {
        AUTO(mem_free) char *body = mem_printf("{\"name\":\"%d\"}", i);
        creates(body);
    }
    refuses("{\"name\":\"0\"}", 422, "maximum number of personal acess tokens reached for this user");
    refuses("{\"name\":\"new\"}", 422, "maximum number of personal acess tokens reached for this user");
    lists(LIMIT);
    AUTO(json_release) json_t *list = listed();
    delete (json_string_value(json_object_get(json_array_get(list, 0), "id")));
    creates("{\"name\":\"new\"}");
    finish();
}
END_TEST

START_TEST(a_deleted_token_is_dead_at_once)
{
    begin(_i);
    AUTO(mem_free) char *token = created("{\"name\":\"ci\"}");
    AUTO(mem_free) char *id = jti_of(token);
    fixture_expect(&f, VERIFY, token, 200);
    delete (id);
    fixture_expect(&f, VERIFY, token, 401);
    delete (id);
    lists(0);
    AUTO(mem_free) char *session = fixture_login(&f);
    AUTO(mem_free) char *session_id = jti_of(session);
    delete (session_id);
    fixture_expect(&f, VERIFY, session, 401);
    finish();
}
END_TEST

START_TEST(an_unknown_id_is_deleted_too)
{
    static const char *const ids[] = {"x", "%ff", "00000000-0000-4000-8000-000000000000", "%27%20OR%201=1--"};
    begin(_i);
    creates("{\"name\":\"ci\"}");
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++)
        delete (ids[i]);
    lists(1);
    finish();
}
END_TEST

START_TEST(nobody_deletes_the_tokens_of_others)
{
    begin(_i);
    AUTO(mem_free) char *token = created("{\"name\":\"ci\"}");
    AUTO(mem_free) char *id = jti_of(token);
    ck_ok(pat_delete(f.issuer, &(struct claims){.sub = "somebody else"}, id));
    fixture_expect(&f, VERIFY, token, 200);
    finish();
}
END_TEST

START_TEST(a_caller_that_was_revoked_meanwhile_leaves_no_token)
{
    begin(_i);
    struct issuer_token caller;
    ck_ok(issuer_check(f.issuer, bearer + 7, strlen(bearer + 7), &caller));
    ck_ok(pat_delete(f.issuer, &caller.claims, caller.claims.jti));
    char *token = NULL;
    ck_err(pat_create(f.issuer, &caller.claims, true, "ci", 0, &token), ERR_UNAUTHORIZED);
    ck_ok(user_delete(f.db, "", f.user_id));
    ck_err(pat_create(f.issuer, &caller.claims, false, "ci", 0, &token), ERR_UNAUTHORIZED);
    ck_assert_ptr_null(token);
    finish();
}
END_TEST

START_TEST(the_tenant_is_copied_from_the_caller)
{
    begin(_i);
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    const struct user_new bob = {
        .id = "bob", .tenant = "t", .email = "bob@example.com", .password = "correct horse", .cost = 4};
    ck_ok(user_create(f.db, &bob, why, &id));
    f.service.trust_gateway = true;
    mem_free(&bearer);
    /* {"sub":"bob","mender.tenant":"t"}, which a gateway has verified */
    bearer = mem_strdup("Bearer bogus.eyJzdWIiOiJib2IiLCJtZW5kZXIudGVuYW50IjoidCJ9.bogus");
    AUTO(mem_free) char *token = created("{\"name\":\"ci\"}");
    struct issuer_token checked;
    ck_ok(issuer_check(f.issuer, token + 7, strlen(token + 7), &checked));
    ck_assert_str_eq(checked.claims.tenant, "t");
    fixture_expect(&f, VERIFY, token, 200);
    lists(1);
    finish();
}
END_TEST

START_TEST(nobody_gets_in_without_a_token)
{
    begin(_i);
    fixture_expect(&f, TOKENS, NULL, 401);
    mem_free(&bearer);
    refuses("{\"name\":\"ci\"}", 401, "Authorization not present in header");
    AUTO(fixture_free) struct call *c = fixture_call(&f, "DELETE", TOKENS "/x");
    ck_assert_int_eq(fixture_run(c), 401);
    finish();
}
END_TEST

struct maker {
    pthread_barrier_t *start;
    char body[32];
    int status;
};

static void *make_in_thread(void *arg)
{
    struct maker *maker = arg;
    pthread_barrier_wait(maker->start);
    AUTO(fixture_free) struct call *c = create(maker->body);
    maker->status = c->status;
    return NULL;
}

/* Let all make a token at once, of one name or each of its own; how many got one, the others being refused so. */
static int race(bool is_one_name, int refusal)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, MAKERS);
    struct maker makers[MAKERS];
    pthread_t threads[MAKERS];
    int made = 0;
    for (int i = 0; i < MAKERS; i++) {
        makers[i] = (struct maker){.start = &start};
        snprintf(makers[i].body, sizeof makers[i].body, "{\"name\":\"%d\"}", is_one_name ? 0 : i + 1);
        ck_assert_int_eq(pthread_create(&threads[i], NULL, make_in_thread, &makers[i]), 0);
    }
    for (int i = 0; i < MAKERS; i++) {
        pthread_join(threads[i], NULL);
        int status = makers[i].status;
        ck_assert_msg(status == 200 || status == refusal || status == 503, "%d", status);
        made += status == 200;
    }
    pthread_barrier_destroy(&start);
    return made;
}

START_TEST(of_parallel_creations_of_one_name_exactly_one_wins)
{
    begin(_i);
    ck_assert_int_eq(race(true, 409), 1);
    lists(1);
    finish();
}
END_TEST

START_TEST(parallel_creations_never_exceed_the_limit)
{
    begin(_i);
    for (int i = 0; i < LIMIT - 3; i++) {
        AUTO(mem_free) char *body = mem_printf("{\"name\":\"old %d\"}", i);
        creates(body);
    }
    int made = race(false, 422);
    ck_assert_int_gt(made, 0);
    ck_assert_int_le(made, 3);
    lists((size_t)(LIMIT - 3 + made));
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        a_new_token_is_bare_text_that_verifies,
        a_token_has_the_claims_of_a_login_and_its_own_lifetime,
        a_lifetime_of_nothing_never_ends,
        the_list_has_what_the_contract_names,
        a_bad_body_is_refused,
        name_and_lifetime_have_limits,
        a_name_is_used_once_by_a_user,
        the_limit_goes_before_the_name,
        a_deleted_token_is_dead_at_once,
        an_unknown_id_is_deleted_too,
        nobody_deletes_the_tokens_of_others,
        a_caller_that_was_revoked_meanwhile_leaves_no_token,
        the_tenant_is_copied_from_the_caller,
        nobody_gets_in_without_a_token,
        of_parallel_creations_of_one_name_exactly_one_wins,
        parallel_creations_never_exceed_the_limit,
    };
    Suite *s = suite_create("pats");
    TCase *tc = tcase_create("pats");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < sizeof on_both / sizeof *on_both; i++)
        tcase_add_loop_test(tc, on_both[i], 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
