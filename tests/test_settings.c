/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/settings.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/rand.h"
#include "tests/fixture.h"

#define GLOBAL "/api/management/v1/useradm/settings"
#define MINE "/api/management/v1/useradm/settings/me"

enum { SAVERS = 8, ROUNDS = 5 };

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

static void expect_error(const struct call *c, int status, const char *text)
{
    AUTO(json_release) json_t *json = json_loads(c->reply != NULL ? c->reply : "", 0, NULL);
    const char *got = json_string_value(json_object_get(json, "error"));
    ck_assert_msg(c->status == status && got != NULL && strcmp(got, text) == 0, "%d %s, not %d %s", c->status, c->reply,
                  status, text);
}

/* POST as the user interface does; etag may be NULL. */
static struct call *save(const char *path, const char *etag, const char *body)
{
    struct call *c = fixture_call(&f, "POST", path);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_CONTENT_TYPE] = "application/json";
    c->header[CALL_IF_MATCH] = etag;
    fixture_body(c, body);
    fixture_run(c);
    return c;
}

static void saves(const char *path, const char *etag, const char *body)
{
    AUTO(fixture_free) struct call *c = save(path, etag, body);
    ck_assert_msg(c->status == 201, "%s: %d %s", body, c->status, c->reply);
    ck_assert_uint_eq(c->reply_len, 0);
    ck_assert_ptr_null(c->type);
    ck_assert_ptr_null(fixture_header(c, "ETag"));
}

static void refuses(const char *path, const char *etag, const char *body, int status, const char *text)
{
    AUTO(fixture_free) struct call *c = save(path, etag, body);
    expect_error(c, status, text);
}

/* What GET gives must be body; the etag, which the caller frees, or NULL. */
static char *shows(const char *path, const char *body)
{
    AUTO(fixture_free) struct call *c = fixture_get(&f, path, bearer, 200);
    ck_assert_str_eq(c->reply, body);
    ck_assert_str_eq(c->type, "application/json; charset=utf-8");
    return mem_strdup(fixture_header(c, "ETag"));
}

static void holds(const char *path, const char *body)
{
    AUTO(mem_free) char *etag = shows(path, body);
    ck_assert_ptr_nonnull(etag);
}

START_TEST(nothing_stored_is_an_empty_object_without_etag)
{
    begin(_i);
    AUTO(mem_free) char *global = shows(GLOBAL, "{}");
    AUTO(mem_free) char *mine = shows(MINE, "{}");
    ck_assert_ptr_null(global);
    ck_assert_ptr_null(mine);
    finish();
}
END_TEST

START_TEST(an_object_comes_back_as_it_was_written)
{
    static const char *const bodies[] = {
        "{\"columnSelection\":[],\"onboarding\":{\"approach\":null,\"demoArtifactPort\":85},\"tooltips\":{}}",
        "{ \"b\" : 1.10, \"a\" : 100000000000000000000, \"c\":1e3,\"d\":-0}",
        "{\"\\u00e4\":\"\xc3\xa4\",\"nul\":\"a\\u0000b\",\"\":\"\"}",
        "{}",
    };
    begin(_i);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        saves(MINE, NULL, bodies[i]);
        AUTO(mem_free) char *etag = shows(MINE, bodies[i]);
        ck_assert(rand_is_uuid(etag));
    }
    finish();
}
END_TEST

START_TEST(null_is_an_empty_object_and_bytes_behind_it_are_ignored)
{
    begin(_i);
    saves(GLOBAL, NULL, " null ");
    AUTO(mem_free) char *empty = shows(GLOBAL, "{}");
    ck_assert_ptr_nonnull(empty);
    saves(GLOBAL, NULL, "\n {\"a\":1} {\"b\":2} nonsense");
    holds(GLOBAL, "{\"a\":1}");
    finish();
}
END_TEST

START_TEST(what_is_unsafe_in_html_is_escaped_on_its_way_out)
{
    begin(_i);
    saves(MINE, NULL, "{\"<b>\":\"a&b\\\\<\"}");
    holds(MINE, "{\"\\u003cb\\u003e\":\"a\\u0026b\\\\\\u003c\"}");
    finish();
}
END_TEST

START_TEST(reserved_names_never_come_back)
{
    begin(_i);
    saves(MINE, NULL,
          "{ \"_id\":1, \"a\" : {\"etag\":[\"}\",{\"x\":\"\\\"\"}]} ,\"et\\u0061g\":{\"b\":2},\"b\":[1,2],"
          "\"user_id\":\"x\\\\\",\"ETag\":3,\"tenant_id\":null}");
    holds(MINE, "{\"a\" : {\"etag\":[\"}\",{\"x\":\"\\\"\"}]} ,\"b\":[1,2],\"ETag\":3}");
    saves(MINE, NULL, "{\"etag\":\"mine\" }");
    AUTO(mem_free) char *other = shows(MINE, "{}");
    ck_assert_str_ne(other, "mine");
    finish();
}
END_TEST

START_TEST(each_save_replaces_everything_and_has_a_new_etag)
{
    begin(_i);
    saves(GLOBAL, NULL, "{\"a\":1}");
    AUTO(mem_free) char *first = shows(GLOBAL, "{\"a\":1}");
    saves(GLOBAL, NULL, "{\"b\":1}");
    AUTO(mem_free) char *second = shows(GLOBAL, "{\"b\":1}");
    ck_assert_str_ne(first, second);
    saves(GLOBAL, second, "{\"b\":1}");
    AUTO(mem_free) char *third = shows(GLOBAL, "{\"b\":1}");
    ck_assert_str_ne(second, third);
    finish();
}
END_TEST

START_TEST(if_match_must_be_the_stored_etag_to_the_byte)
{
    begin(_i);
    saves(MINE, NULL, "{\"a\":1}");
    AUTO(mem_free) char *etag = shows(MINE, "{\"a\":1}");
    AUTO(mem_free) char *quoted = mem_printf("\"%s\"", etag);
    AUTO(mem_free) char *list = mem_printf("%s, %s", etag, etag);
    AUTO(mem_free) char *cut = mem_strndup(etag, 35);
    AUTO(mem_free) char *loud = mem_strdup(etag);
    loud[14] = 'X';
    const char *const wrong[] = {quoted, list,      cut,        loud,
                                 "*",    "W/\"x\"", "\xff\xfe", "00000000-0000-4000-8000-000000000000"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuses(MINE, wrong[i], "{\"a\":2}", 412, "ETag doesn't match");
    AUTO(mem_free) char *same = shows(MINE, "{\"a\":1}");
    ck_assert_str_eq(same, etag);
    saves(MINE, etag, "{\"a\":2}");
    refuses(MINE, etag, "{\"a\":3}", 412, "ETag doesn't match");
    saves(MINE, "", "{\"a\":4}");
    finish();
}
END_TEST

START_TEST(if_match_with_nothing_stored_inserts)
{
    begin(_i);
    saves(GLOBAL, "\xff", "{\"a\":1}");
    saves(MINE, "00000000-0000-4000-8000-000000000000", "{\"b\":1}");
    AUTO(mem_free) char *global = shows(GLOBAL, "{\"a\":1}");
    AUTO(mem_free) char *mine = shows(MINE, "{\"b\":1}");
    ck_assert_str_ne(global, mine);
    finish();
}
END_TEST

START_TEST(settings_belong_to_a_user_or_to_the_tenant)
{
    begin(_i);
    saves(GLOBAL, NULL, "{\"who\":\"all\"}");
    saves(MINE, NULL, "{\"who\":\"alice\"}");
    char why[USER_WHY_SIZE];
    AUTO(mem_free) char *id = NULL;
    const struct user_new bob = {.email = "bob@example.com", .password = "correct horse", .cost = 4};
    ck_ok(user_create(f.db, &bob, why, &id));
    mem_free(&bearer);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", "/api/management/v1/useradm/auth/login");
    c->header[CALL_AUTHORIZATION] = "Basic Ym9iQGV4YW1wbGUuY29tOmNvcnJlY3QgaG9yc2U=";
    ck_assert_int_eq(fixture_run(c), 200);
    bearer = mem_printf("Bearer %s", c->reply);
    AUTO(mem_free) char *none = shows(MINE, "{}");
    ck_assert_ptr_null(none);
    holds(GLOBAL, "{\"who\":\"all\"}");
    AUTO(settings_release) struct settings other = {0};
    ck_ok(settings_load(f.db, "another tenant", "", &other));
    ck_assert_str_eq(other.body, "{}");
    ck_assert_str_eq(other.etag, "");
    finish();
}
END_TEST

START_TEST(settings_outlive_their_user)
{
    begin(_i);
    saves(MINE, NULL, "{\"a\":1}");
    ck_ok(user_delete(f.db, "", f.user_id));
    AUTO(settings_release) struct settings left = {0};
    ck_ok(settings_load(f.db, "", f.user_id, &left));
    ck_assert_str_eq(left.body, "{\"a\":1}");
    finish();
}
END_TEST

START_TEST(what_is_no_object_is_refused)
{
    static const char *const bodies[] = {"",     " ", "[]",       "\"x\"", "1",
                                         "true", "{", "{\"a\":}", "nul",   "{\"a\":\"\xff\"}",
                                         "x{}"};
    begin(_i);
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        refuses(GLOBAL, NULL, bodies[i], 400, "cannot parse request body as json");
        refuses(MINE, NULL, bodies[i], 400, "cannot parse request body as json");
    }
    AUTO(fixture_free) struct call *chunked = fixture_call(&f, "POST", MINE);
    chunked->header[CALL_AUTHORIZATION] = bearer;
    chunked->body = "{}";
    chunked->body_len = 2;
    chunked->is_body_cut = true;
    fixture_run(chunked);
    expect_error(chunked, 400, "cannot parse request body as json");
    AUTO(mem_free) char *etag = shows(MINE, "{}");
    ck_assert_ptr_null(etag);
    finish();
}
END_TEST

/* {"0":0,"1":1 ...} with n members. */
static char *object_of(int n)
{
    AUTO(json_release) json_t *object = json_object();
    for (int i = 0; i < n; i++) {
        AUTO(mem_free) char *name = mem_printf("%d", i);
        json_object_set_new(object, name, json_integer(i));
    }
    return json_wire(object);
}

static char *letters(int n)
{
    char *text = mem_calloc((size_t)n + 1, 1);
    memset(text, 'x', (size_t)n);
    return text;
}

START_TEST(limits_are_the_contracts)
{
    begin(_i);
    AUTO(mem_free) char *most = object_of(1024);
    AUTO(mem_free) char *more = object_of(1025);
    saves(MINE, NULL, most);
    refuses(MINE, NULL, more, 400, "Values: the length must be no more than 1024.");
    AUTO(mem_free) char *name = letters(129);
    AUTO(mem_free) char *long_name = mem_printf("{\"%s\":1}", name);
    AUTO(mem_free) char *good_name = mem_printf("{\"%s\":1}", name + 1);
    saves(MINE, NULL, good_name);
    refuses(MINE, NULL, long_name, 400, "Values: the length must be no more than 128.");
    AUTO(mem_free) char *text = letters(4097);
    AUTO(mem_free) char *long_text = mem_printf("{\"a\":1,\"key\":\"%s\"}", text);
    AUTO(mem_free) char *good_text = mem_printf("{\"key\":\"%s\",\"deep\":[\"%s\"]}", text + 1, text);
    saves(MINE, NULL, good_text);
    refuses(MINE, NULL, long_text, 400, "Values: (key: the length must be no more than 4096.).");
    holds(MINE, good_text);
    finish();
}
END_TEST

START_TEST(a_body_of_another_type_is_refused)
{
    begin(_i);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", GLOBAL);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_CONTENT_TYPE] = "text/plain";
    fixture_body(c, "{}");
    fixture_run(c);
    expect_error(c, 415, "Bad Content-Type, expected 'application/json'");
    finish();
}
END_TEST

START_TEST(nobody_gets_in_without_a_token)
{
    static const char *const paths[] = {GLOBAL, MINE};
    begin(_i);
    for (size_t i = 0; i < 2; i++) {
        fixture_expect(&f, paths[i], NULL, 401);
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", paths[i]);
        fixture_body(c, "{}");
        ck_assert_int_eq(fixture_run(c), 401);
        ck_assert_str_eq(fixture_header(c, "WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
    }
    finish();
}
END_TEST

START_TEST(the_tenant_is_the_callers)
{
    begin(_i);
    f.service.trust_gateway = true;
    mem_free(&bearer);
    /* {"sub":"u","mender.tenant":"t"}, which a gateway has verified */
    bearer = mem_strdup("Bearer bogus.eyJzdWIiOiJ1IiwibWVuZGVyLnRlbmFudCI6InQifQ.bogus");
    saves(GLOBAL, NULL, "{\"t\":1}");
    AUTO(settings_release) struct settings theirs = {0};
    ck_ok(settings_load(f.db, "t", "", &theirs));
    ck_assert_str_eq(theirs.body, "{\"t\":1}");
    AUTO(settings_release) struct settings ours = {0};
    ck_ok(settings_load(f.db, "", "", &ours));
    ck_assert_str_eq(ours.body, "{}");
    finish();
}
END_TEST

struct saver {
    pthread_barrier_t *start;
    const char *etag;
    int status;
};

static void *save_in_thread(void *arg)
{
    struct saver *saver = arg;
    pthread_barrier_wait(saver->start);
    AUTO(fixture_free) struct call *c = save(MINE, saver->etag, "{\"a\":1}");
    saver->status = c->status;
    return NULL;
}

/* Let all save with one etag at once; how many succeeded. Nobody may see anything but 201 and 412. */
static int race(const char *etag)
{
    pthread_barrier_t start;
    pthread_barrier_init(&start, NULL, SAVERS);
    struct saver savers[SAVERS];
    pthread_t threads[SAVERS];
    int won = 0;
    for (int i = 0; i < SAVERS; i++) {
        savers[i] = (struct saver){.start = &start, .etag = etag};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, save_in_thread, &savers[i]), 0);
    }
    for (int i = 0; i < SAVERS; i++) {
        pthread_join(threads[i], NULL);
        won += savers[i].status == 201;
        ck_assert_msg(savers[i].status == 201 || savers[i].status == 412, "%d", savers[i].status);
    }
    pthread_barrier_destroy(&start);
    return won;
}

START_TEST(of_parallel_saves_with_one_etag_exactly_one_wins)
{
    begin(_i);
    ck_assert_int_eq(race("00000000-0000-4000-8000-000000000000"), 1); /* nothing is stored yet */
    for (int i = 0; i < ROUNDS; i++) {
        AUTO(mem_free) char *etag = shows(MINE, "{\"a\":1}");
        ck_assert_int_eq(race(etag), 1);
    }
    finish();
}
END_TEST

START_TEST(parallel_saves_without_an_etag_all_succeed)
{
    begin(_i);
    ck_assert_int_eq(race(NULL), SAVERS);
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        nothing_stored_is_an_empty_object_without_etag,
        an_object_comes_back_as_it_was_written,
        null_is_an_empty_object_and_bytes_behind_it_are_ignored,
        what_is_unsafe_in_html_is_escaped_on_its_way_out,
        reserved_names_never_come_back,
        each_save_replaces_everything_and_has_a_new_etag,
        if_match_must_be_the_stored_etag_to_the_byte,
        if_match_with_nothing_stored_inserts,
        settings_belong_to_a_user_or_to_the_tenant,
        settings_outlive_their_user,
        what_is_no_object_is_refused,
        limits_are_the_contracts,
        a_body_of_another_type_is_refused,
        nobody_gets_in_without_a_token,
        the_tenant_is_the_callers,
        of_parallel_saves_with_one_etag_exactly_one_wins,
        parallel_saves_without_an_etag_all_succeed,
    };
    Suite *s = suite_create("settings");
    TCase *tc = tcase_create("settings");
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
