/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/session.h"
#include "auth/user.h"
#include "auth/user_db.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/fixture.h"

#define USERS "/api/management/v1/useradm/users"
#define ME USERS "/me"
#define ME2 "/api/management/v2/useradm/users/me"
#define TENANTS "/api/internal/v1/useradm/tenants"
#define TOKENS "/api/internal/v1/useradm/tokens"
#define VERIFY "/api/internal/v1/useradm/auth/verify"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* Rounds of a race; each takes milliseconds. */
#define RACES 15

static struct fixture f;

/* An error, by the body or query that causes it. */
struct refusal {
    const char *cause;
    int status;
    const char *text; /* the start of it */
};

static struct call *request(const char *method, const char *path, const char *bearer, const char *body)
{
    struct call *c = fixture_call(&f, method, path);
    c->header[CALL_AUTHORIZATION] = bearer;
    if (body != NULL) {
        fixture_body(c, body);
        c->header[CALL_CONTENT_TYPE] = "application/json";
    }
    fixture_run(c);
    return c;
}

static void expect(const char *method, const char *path, const char *bearer, const char *body, int status)
{
    AUTO(fixture_free) struct call *c = request(method, path, bearer, body);
    ck_assert_msg(c->status == status, "%s %s %s gave %d, not %d: %s", method, path, body, c->status, status, c->reply);
    if (status == 201 || status == 204) {
        ck_assert_uint_eq(c->reply_len, 0);
        ck_assert_ptr_null(c->type);
    }
}

static void expect_error(const struct call *c, const struct refusal *want)
{
    AUTO(json_release) json_t *text = json_string(want->text);
    AUTO(mem_free) char *quoted = json_wire(text);
    quoted[strlen(quoted) - 1] = '\0';
    AUTO(mem_free) char *start = mem_printf("{\"error\":%s", quoted);
    ck_assert_msg(c->status == want->status && c->reply != NULL && strncmp(c->reply, start, strlen(start)) == 0,
                  "%s gave %d %s, not %d %s", want->cause, c->status, c->reply, want->status, start);
}

static void expect_refusals(const char *method, const char *path, const char *bearer, const struct refusal *wants,
                            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO(fixture_free) struct call *c = request(method, path, bearer, wants[i].cause);
        expect_error(c, &wants[i]);
    }
}

static char *create(const char *tenant, const char *email, const char *password)
{
    const struct user_new user = {.tenant = tenant, .email = email, .password = password, .cost = 4};
    char why[USER_WHY_SIZE];
    char *id = NULL;
    ck_ok(user_create(f.db, &user, why, &id));
    return id;
}

static enum err try_login(const char *email, const char *password, char **token)
{
    const struct session_request request = {.email = email, .password = password, .client = "192.0.2.1", .cost = 4};
    return session_login(f.issuer, &request, token);
}

static char *login(const char *email, const char *password)
{
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(try_login(email, password, &token));
    return mem_printf("Bearer %s", token);
}

static char *path_of(const char *prefix, const char *id)
{
    return mem_printf("%s/%s", prefix, id);
}

static int64_t tokens_of(const char *id)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(f.db, "SELECT id FROM tokens WHERE user_id = $1", DB_ARGS(db_text(id)), &rows));
    return (int64_t)db_rows_count(rows);
}

static void insert_pat(const char *jti, const char *tenant, const char *user_id)
{
    ck_ok(db_exec(f.db,
                  "INSERT INTO tokens (id, tenant_id, user_id, name, kid, issued_ms) VALUES ($1, $2, $3, $1, 1, 1)",
                  DB_ARGS(db_text(jti), db_text(tenant), db_text(user_id)), NULL));
}

/* The e-mails of a list, "a,b". */
static char *emails_in(const char *path, const char *query, const char *bearer)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", path);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->query = query;
    ck_assert_msg(fixture_run(c) == 200, "%s: %s", query, c->reply);
    ck_assert_str_eq(c->type, "application/json; charset=utf-8");
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    ck_assert(json_is_array(list));
    char *text = mem_strdup("");
    for (size_t i = 0; i < json_array_size(list); i++) {
        char *longer = mem_printf("%s%s%s", text, i > 0 ? "," : "",
                                  json_string_value(json_object_get(json_array_get(list, i), "email")));
        mem_free(&text);
        text = longer;
    }
    return text;
}

static void expect_list(const char *path, const char *query, const char *bearer, const char *want)
{
    AUTO(mem_free) char *got = emails_in(path, query, bearer);
    ck_assert_msg(strcmp(got, want) == 0, "%s?%s gave %s, not %s", path, query, got, want);
}

/* POST users */

START_TEST(a_created_user_is_at_its_location_and_logs_in)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free)
    struct call *c = request("POST", USERS, bearer,
                             "{\"EMAIL\":\"Bob@Example.COM\",\"password\":\"battery staple\",\"id\":\"mine\","
                             "\"send_reset_password\":true,\"sso\":[]}");
    ck_assert_int_eq(c->status, 201);
    ck_assert_uint_eq(c->reply_len, 0);
    ck_assert_ptr_null(c->type);
    const char *location = fixture_header(c, "Location");
    ck_assert_int_eq(strncmp(location, USERS "/", strlen(USERS "/")), 0);
    ck_assert_uint_eq(strlen(location), strlen(USERS "/") + 36);
    AUTO(fixture_free) struct call *got = fixture_get(&f, location, bearer, 200);
    AUTO(mem_free)
    char *start =
        mem_printf("{\"id\":\"%s\",\"email\":\"bob@example.com\",\"created_ts\":", strrchr(location, '/') + 1);
    ck_assert_int_eq(strncmp(got->reply, start, strlen(start)), 0);
    AUTO(mem_free) char *bob = login("bob@example.com", "battery staple");
    fixture_expect(&f, ME, bob, 200);
    fixture_release(&f);
}
END_TEST

#define LONG_64 "0123456789012345678901234567890123456789012345678901234567890123"
#define LONG_257 LONG_64 LONG_64 LONG_64 LONG_64 "0"

START_TEST(create_refuses_what_it_must_with_the_contracts_texts)
{
    static const struct refusal wants[] = {
        {"", 400, "failed to decode request body: EOF\""},
        {"{", 400, "failed to decode request body: "},
        {"[]", 400, "failed to decode request body: "},
        {"{\"email\":1,\"password\":\"long enough\"}", 400, "failed to decode request body: "},
        {"{\"email\":\"a@b.cd\",\"password\":[]}", 400, "failed to decode request body: "},
        {"{\"email\":\"a@b.cd\",\"password\":\"nul\\u0000 inside\"}", 400, "failed to decode request body: "},
        {"{}", 400, "email: cannot be blank; password: cannot be blank.\""},
        {"null", 400, "email: cannot be blank; password: cannot be blank.\""},
        {"{\"email\":null,\"password\":\"long enough\"}", 400, "email: cannot be blank.\""},
        {"{\"email\":\"a@b.cd\"}", 400, "password: cannot be blank.\""},
        {"{\"email\":\"user@localhost\",\"password\":\"long enough\"}", 400, "email: must be a valid email address.\""},
        {"{\"email\":\"\xc3\xa4@b.cd\",\"password\":\"\xc3\xa4\"}", 400,
         "email: must contain ASCII characters only; password: must contain ASCII characters only.\""},
        {"{\"email\":\"" LONG_257 "@b.cd\",\"password\":\"" LONG_257 "\"}", 400,
         "email: the length must be no more than 256; password: the length must be no more than 256.\""},
        {"{\"email\":\"bad\",\"password\":\"short\"}", 400, "email: must be a valid email address.\""},
        {"{\"email\":\"a@b.cd\",\"password\":\"7 bytes\"}", 422, "password: must be minimum 8 characters long\""},
        {"{\"email\":\"a@b.cd\",\"password\":\"" LONG_64 "012345678\"}", 422,
         "password: must be no longer than 72 bytes\""},
        {"{\"email\":\"longname@b.cd\",\"password\":\"LongName\"}", 422, "password is too similar to the email\""},
        {"{\"email\":\"ALICE@example.com\",\"password\":\"Example.com\"}", 422,
         "password is too similar to the email\""},
        {"{\"email\":\"ALICE@example.com\",\"password\":\"long enough\"}", 422,
         "user with a given email already exists\""},
    };
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (size_t i = 0; i < COUNT(wants); i++) {
        AUTO(fixture_free) struct call *c = request("POST", USERS, bearer, wants[i].cause);
        AUTO(mem_free) char *text = mem_strndup(wants[i].text, strcspn(wants[i].text, "\""));
        expect_error(c, &(struct refusal){wants[i].cause, wants[i].status, text});
        bool is_whole = wants[i].text[strlen(text)] == '"';
        ck_assert(!is_whole || c->reply[strlen("{\"error\":\"") + strlen(text)] == '"');
    }
    expect_list(USERS, "", bearer, FIXTURE_EMAIL);
    fixture_release(&f);
}
END_TEST

START_TEST(bodies_must_be_announced_as_json_on_management_routes)
{
    static const struct {
        const char *method;
        const char *path;
    } routes_[] = {{"POST", USERS}, {"PUT", ME}, {"PUT", ME2}};
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (size_t i = 0; i < COUNT(routes_); i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, routes_[i].method, routes_[i].path);
        c->header[CALL_AUTHORIZATION] = bearer;
        c->header[CALL_CONTENT_TYPE] = "text/plain";
        fixture_body(c, "{}");
        ck_assert_int_eq(fixture_run(c), 415);
    }
    AUTO(fixture_free) struct call *internal = fixture_call(&f, "POST", TENANTS);
    internal->header[CALL_CONTENT_TYPE] = "text/plain";
    fixture_body(internal, "{\"tenant_id\":\"x\"}");
    ck_assert_int_eq(fixture_run(internal), 201);
    fixture_release(&f);
}
END_TEST

START_TEST(every_management_route_asks_who_calls)
{
    static const struct {
        const char *method;
        const char *path;
    } routes_[] = {{"GET", USERS}, {"POST", USERS}, {"GET", ME}, {"PUT", ME}, {"DELETE", ME}, {"PUT", ME2}};
    fixture_init(&f, _i);
    for (size_t i = 0; i < COUNT(routes_); i++) {
        AUTO(fixture_free) struct call *c = request(routes_[i].method, routes_[i].path, NULL, "{");
        expect_error(c, &(struct refusal){routes_[i].path, 401, "Authorization not present in header"});
        ck_assert_str_eq(fixture_header(c, "WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
    }
    fixture_release(&f);
}
END_TEST

/* GET users */

START_TEST(the_list_has_every_user_of_the_tenant_and_no_password)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *other = create("t", "eve@example.com", "battery staple");
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(fixture_free) struct call *c = fixture_get(&f, USERS, bearer, 200);
    ck_assert_ptr_nonnull(strstr(c->reply, f.user_id));
    ck_assert_ptr_nonnull(strstr(c->reply, bob));
    ck_assert_ptr_null(strstr(c->reply, other));
    ck_assert_ptr_null(strstr(c->reply, "$2a$"));
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    const json_t *second = json_array_get(list, 1);
    ck_assert_uint_eq(json_object_size(second), 4);
    ck_assert_ptr_null(json_object_get(second, "login_ts"));
    ck_assert_ptr_nonnull(json_object_get(json_array_get(list, 0), "login_ts"));
    fixture_release(&f);
}
END_TEST

START_TEST(the_list_is_filtered_by_id_email_and_times)
{
    static const struct {
        const char *query;
        const char *want;
    } cases[] = {
        {"email=BOB@example.com", "bob@example.com"},
        {"email=bob%40example.com&email=alice@example.com&email=x", "alice@example.com,bob@example.com"},
        {"email=", ""},
        {"id=bob", ""},
        {"id=", ""},
        {"id", ""},
        {"created_after=1999", "alice@example.com,bob@example.com"},
        {"created_after=2000", "bob@example.com"},
        {"created_after=2001", ""},
        {"created_before=2001", "alice@example.com"},
        {"created_before=2000", ""},
        {"updated_after=%2B2000", "bob@example.com"},
        {"updated_before=2001", "alice@example.com"},
        {"updated_after=-9223372036854775808&updated_before=9223372036854775807", "alice@example.com,bob@example.com"},
        {"created_after=2000&email=alice@example.com", ""},
        {"created_after=2000&created_after=foo", "bob@example.com"},
        {"created_after=&unknown=1", "alice@example.com,bob@example.com"},
    };
    clock_set(2000000);
    fixture_init(&f, _i);
    clock_set(2001000);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (size_t i = 0; i < COUNT(cases); i++)
        expect_list(USERS, cases[i].query, bearer, cases[i].want);
    AUTO(mem_free) char *by_id = mem_printf("id=x&id=%s", bob);
    expect_list(USERS, by_id, bearer, "bob@example.com");
    AUTO(mem_free) char *both = mem_printf("id=%s&email=alice@example.com", bob);
    expect_list(USERS, both, bearer, "");
    fixture_release(&f);
}
END_TEST

START_TEST(the_list_refuses_a_filter_that_is_no_number)
{
    static const struct refusal wants[] = {
        {"created_after=foo", 400,
         "api: invalid form values: invalid form parameter \"created_after\": strconv.ParseInt: parsing \"foo\": "
         "invalid syntax"},
        {"created_before=1.5", 400, "api: invalid form values: invalid form parameter \"created_before\": strconv."},
        {"updated_after=1e3", 400, "api: invalid form values: invalid form parameter \"updated_after\": strconv."},
        {"updated_before=-", 400, "api: invalid form values: invalid form parameter \"updated_before\": strconv."},
        {"updated_before=+1", 400, "api: invalid form values: invalid form parameter \"updated_before\": strconv."},
        {"created_after=9223372036854775808", 400,
         "api: invalid form values: invalid form parameter \"created_after\": strconv.ParseInt: parsing "
         "\"9223372036854775808\": value out of range"},
        {"created_after=%ff", 400, "api: invalid form values: invalid form parameter \"created_after\": strconv."},
        {"id=%zz", 400, "api: bad form parameters: invalid URL escape \"%zz\""},
    };
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (size_t i = 0; i < 2 * COUNT(wants); i++) {
        const struct refusal *want = &wants[i / 2];
        AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", i % 2 == 0 ? USERS : TENANTS "/t/users");
        c->header[CALL_AUTHORIZATION] = bearer;
        c->query = want->cause;
        fixture_run(c);
        expect_error(c, want);
    }
    fixture_release(&f);
}
END_TEST

/* PUT users/{id} */

START_TEST(update_refuses_what_it_must_in_the_contracts_order)
{
    static const struct refusal mine[] = {
        {"", 400, "failed to decode request body: EOF"},
        {"{\"password\":true}", 400, "failed to decode request body: "},
        {"{\"current_password\":1,\"email\":\"a@b.cd\"}", 400, "failed to decode request body: "},
        {"{}", 400, "no update information provided"},
        {"{\"email\":\"\",\"password\":null,\"current_password\":\"x\"}", 400, "no update information provided"},
        {"{\"email\":\"bad\"}", 400, "email: must be a valid email address."},
        {"{\"password\":\"short\",\"current_password\":\"wrong\"}", 422, "password: must be minimum 8 characters long"},
        {"{\"password\":\"" LONG_64 "012345678\"}", 422, "password: must be no longer than 72 bytes"},
        {"{\"password\":\"alice@example.com\",\"current_password\":\"wrong\"}", 422, "current password mismatch"},
        {"{\"password\":\"battery staple\"}", 422, "current password mismatch"},
        {"{\"email\":\"bob@example.com\"}", 422, "current password mismatch"},
        {"{\"password\":\"ALICE@exam\",\"current_password\":\"correct horse\"}", 422,
         "password is too similar to the email"},
        {"{\"password\":\"newaddress\",\"email\":\"newaddress@b.cd\",\"current_password\":\"correct horse\"}", 422,
         "password is too similar to the email"},
        {"{\"password\":\"alice@example\",\"email\":\"new@b.cd\",\"current_password\":\"correct horse\"}", 422,
         "password is too similar to the email"},
        {"{\"email\":\"BOB@example.com\",\"current_password\":\"correct horse\"}", 422,
         "user with a given email already exists"},
    };
    static const struct refusal others[] = {
        {"{}", 400, "no update information provided"},
        {"{\"password\":\"short\"}", 422, "password: must be minimum 8 characters long"},
        {"{\"password\":\"bob@example.com\",\"email\":\"alice@example.com\",\"current_password\":\"correct horse\"}",
         422, "password cannot be modified"},
        {"{\"email\":\"secretword@b.cd\",\"current_password\":\"secretword\"}", 422,
         "password is too similar to the email"},
        {"{\"email\":\"alice@example.com\"}", 422, "user with a given email already exists"},
    };
    static const struct refusal nobodys[] = {
        {"{\"password\":\"short\"}", 422, "password: must be minimum 8 characters long"},
        {"{\"password\":\"battery staple\"}", 404, "user not found"},
        {"{\"email\":\"alice@example.com\"}", 404, "user not found"},
    };
    fixture_init(&f, _i);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *eve = create("t", "eve@example.com", "battery staple");
    AUTO(mem_free) char *bobs_path = path_of(USERS, bob);
    AUTO(mem_free) char *eves_path = path_of(USERS, eve);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *second = fixture_login(&f);
    expect_refusals("PUT", ME, bearer, mine, COUNT(mine));
    expect_refusals("PUT", bobs_path, bearer, others, COUNT(others));
    expect_refusals("PUT", eves_path, bearer, nobodys, COUNT(nobodys));
    expect_refusals("PUT", USERS "/%ff", bearer, nobodys, COUNT(nobodys));
    expect_list(USERS, "", bearer, "alice@example.com,bob@example.com");
    fixture_expect(&f, VERIFY, second, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(a_new_password_ends_all_tokens_but_the_callers)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *other = fixture_login(&f);
    insert_pat("p", "", f.user_id);
    fixture_expect(&f, VERIFY, other, 200);
    expect("PUT", ME, mine, "{\"password\":\"battery staple\",\"current_password\":\"correct horse\"}", 204);
    fixture_expect(&f, VERIFY, other, 401);
    fixture_expect(&f, VERIFY, mine, 200);
    ck_assert_int_eq(tokens_of(f.user_id), 1);
    char *token = NULL;
    ck_err(try_login(FIXTURE_EMAIL, FIXTURE_PASSWORD, &token), ERR_UNAUTHORIZED);
    AUTO(mem_free) char *again = login(FIXTURE_EMAIL, "battery staple");
    fixture_expect(&f, ME, again, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(an_update_moves_the_time_and_the_address)
{
    clock_set(1770000000000);
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    clock_set(1770000001500);
    AUTO(mem_free) char *path = path_of(USERS, f.user_id);
    expect("PUT", path, bearer, "{\"email\":\"New@Example.com\",\"current_password\":\"correct horse\"}", 204);
    AUTO(fixture_free) struct call *c = fixture_get(&f, path, bearer, 200);
    AUTO(mem_free)
    char *want = mem_printf("{\"id\":\"%s\",\"email\":\"new@example.com\",\"created_ts\":\"2026-02-02T02:40:00Z\","
                            "\"updated_ts\":\"2026-02-02T02:40:01.5Z\",\"login_ts\":\"2026-02-02T02:40:00Z\"}",
                            f.user_id);
    ck_assert_str_eq(c->reply, want);
    AUTO(mem_free) char *again = login("NEW@example.com", FIXTURE_PASSWORD);
    fixture_expect(&f, ME, again, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(ones_own_address_again_needs_no_password)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    expect("PUT", ME, bearer, "{\"email\":\"ALICE@example.com\"}", 204);
    fixture_release(&f);
}
END_TEST

START_TEST(anothers_address_needs_no_password_and_ends_that_users_tokens)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *bobs = login("bob@example.com", "battery staple");
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *path = path_of(USERS, bob);
    fixture_expect(&f, ME, bobs, 200);
    expect("PUT", path, mine, "{\"email\":\"robert@example.com\"}", 204);
    fixture_expect(&f, ME, bobs, 401);
    fixture_expect(&f, ME, mine, 200);
    expect_list(USERS, "", mine, "alice@example.com,robert@example.com");
    fixture_release(&f);
}
END_TEST

START_TEST(put_takes_me_in_any_case_and_get_does_not)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    expect("PUT", USERS "/ME", bearer, "{\"email\":\"alice@example.com\"}", 204);
    expect("PUT", USERS "/mE", bearer, "{\"email\":\"alice@example.com\"}", 204);
    fixture_expect(&f, USERS "/ME", bearer, 404);
    fixture_release(&f);
}
END_TEST

START_TEST(v2_changes_the_password_only)
{
    static const struct refusal wants[] = {
        {"", 400, "failed to decode request body: EOF"},
        {"{\"password\":1}", 400, "failed to decode request body: "},
        {"{\"password\":\"short\"}", 422, "password: must be minimum 8 characters long"},
        {"{\"password\":\"battery staple\"}", 422, "current password mismatch"},
        {"{\"password\":\"alice@ex\",\"current_password\":\"correct horse\"}", 422,
         "password is too similar to the email"},
    };
    fixture_init(&f, _i);
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *other = fixture_login(&f);
    expect_refusals("PUT", ME2, mine, wants, COUNT(wants));
    fixture_expect(&f, VERIFY, other, 200);
    expect("PUT", ME2, mine,
           "{\"password\":\"battery staple\",\"current_password\":\"correct horse\",\"email\":\"bob@example.com\"}",
           204);
    fixture_expect(&f, VERIFY, other, 401);
    expect_list(USERS, "", mine, FIXTURE_EMAIL);
    AUTO(mem_free) char *again = login(FIXTURE_EMAIL, "battery staple");
    fixture_expect(&f, ME, again, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(v2_takes_an_empty_update_and_ends_the_other_tokens)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *other = fixture_login(&f);
    fixture_expect(&f, VERIFY, other, 200);
    expect("PUT", ME2, mine, "{\"email\":7}", 204);
    fixture_expect(&f, VERIFY, other, 401);
    fixture_expect(&f, VERIFY, mine, 200);
    fixture_release(&f);
}
END_TEST

/* DELETE users/{id} */

START_TEST(delete_is_always_204_and_ends_the_tokens)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *eve = create("t", "eve@example.com", "battery staple");
    AUTO(mem_free) char *bobs = login("bob@example.com", "battery staple");
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *bobs_path = path_of(USERS, bob);
    AUTO(mem_free) char *eves_path = path_of(USERS, eve);
    fixture_expect(&f, VERIFY, bobs, 200);
    expect("DELETE", bobs_path, mine, NULL, 204);
    fixture_expect(&f, VERIFY, bobs, 401);
    ck_assert_int_eq(tokens_of(bob), 0);
    expect("DELETE", bobs_path, mine, NULL, 204);
    expect("DELETE", eves_path, mine, NULL, 204);
    expect("DELETE", ME, mine, NULL, 204);
    expect("DELETE", USERS "/%ff", mine, NULL, 204);
    fixture_expect(&f, ME, mine, 200);
    expect_list(TENANTS "/t/users", "", NULL, "eve@example.com");
    fixture_release(&f);
}
END_TEST

START_TEST(one_can_delete_oneself_even_as_the_last_user)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *path = path_of(USERS, f.user_id);
    expect("DELETE", path, mine, NULL, 204);
    fixture_expect(&f, ME, mine, 401);
    expect("PUT", ME, mine, "{\"email\":\"new@example.com\"}", 401);
    fixture_release(&f);
}
END_TEST

/* Behind a gateway */

/* The bearer with another signature. */
static char *spoil(const char *bearer)
{
    return mem_printf("%.*s.bogus_sign", (int)(strrchr(bearer, '.') - bearer), bearer);
}

START_TEST(behind_a_gateway_only_updates_check_the_signature)
{
    fixture_init(&f, _i);
    f.service.trust_gateway = true;
    AUTO(mem_free) char *good = fixture_login(&f);
    AUTO(mem_free) char *bogus = spoil(good);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *path = path_of(USERS, bob);
    fixture_expect(&f, USERS, bogus, 200);
    expect("POST", USERS, bogus, "{\"email\":\"c@example.com\",\"password\":\"battery staple\"}", 201);
    expect("DELETE", path, bogus, NULL, 204);
    expect("PUT", ME, bogus, "{\"email\":\"alice@example.com\"}", 401);
    expect("PUT", ME2, bogus, "{}", 401);
    expect("PUT", ME, good, "{\"email\":\"alice@example.com\"}", 204);
    expect("PUT", ME2, good, "{}", 204);
    expect("POST", TENANTS, NULL, "{\"tenant_id\":\"x\"}", 201);
    f.service.trust_gateway = false;
    expect("DELETE", path, bogus, NULL, 401);
    fixture_release(&f);
}
END_TEST

START_TEST(behind_a_gateway_the_claims_name_the_tenant)
{
    fixture_init(&f, _i);
    f.service.trust_gateway = true;
    AUTO(mem_free) char *eve = create("t", "eve@example.com", "battery staple");
    AUTO(mem_free) char *bearer = fixture_forge(&f, "{\"sub\":\"x\",\"mender.tenant\":\"t\"}");
    AUTO(mem_free) char *path = path_of(USERS, eve);
    expect_list(USERS, "", bearer, "eve@example.com");
    expect("POST", USERS, bearer, "{\"email\":\"kim@example.com\",\"password\":\"battery staple\"}", 201);
    expect_list(TENANTS "/t/users", "", NULL, "eve@example.com,kim@example.com");
    expect("DELETE", path, bearer, NULL, 204);
    expect_list(USERS, "", bearer, "kim@example.com");
    fixture_release(&f);
}
END_TEST

/* What other services ask for */

START_TEST(a_tenant_is_created_by_storing_nothing)
{
    static const struct refusal wants[] = {
        {"", 400, "EOF"},
        {"x", 400, ""},
        {"{\"tenant_id\":1}", 400, "json: "},
        {"{}", 400, "tenant_id: cannot be blank."},
        {"{\"tenant_id\":\"\"}", 400, "tenant_id: cannot be blank."},
    };
    fixture_init(&f, _i);
    expect("POST", TENANTS, NULL, "{\"tenant_id\":\"t\"}", 201);
    expect("POST", TENANTS, NULL, "{\"tenant_id\":\"t\"}", 201);
    expect_refusals("POST", TENANTS, NULL, wants, COUNT(wants));
    expect_list(TENANTS "/t/users", "", NULL, "");
    fixture_release(&f);
}
END_TEST

START_TEST(a_tenants_user_keeps_the_id_and_hash_that_came)
{
    fixture_init(&f, _i);
    AUTO(user_free) struct user *alice = NULL;
    ck_ok(user_get(f.db, "", f.user_id, &alice));
    AUTO(mem_free)
    char *body = mem_printf("{\"id\":\"my id\",\"email\":\"Eve@Example.com\",\"password_hash\":\"%s\","
                            "\"propagate\":false}",
                            alice->password_hash);
    AUTO(fixture_free) struct call *c = request("POST", TENANTS "/t%2f1/users", NULL, body);
    ck_assert_int_eq(c->status, 201);
    ck_assert_ptr_null(fixture_header(c, "Location"));
    AUTO(user_free) struct user *eve = NULL;
    ck_ok(user_get(f.db, "t/1", "my id", &eve));
    ck_assert_str_eq(eve->email, "eve@example.com");
    ck_assert_str_eq(eve->password_hash, alice->password_hash);
    expect("POST", TENANTS "/t/users", NULL, "{\"email\":\"longname@b.cd\",\"password\":\"longname\"}", 201);
    expect_list(TENANTS "/t/users", "email=LONGNAME@b.cd", NULL, "longname@b.cd");
    expect_list(TENANTS "/t/users", "email=eve@example.com", NULL, "");
    expect_list(TENANTS "/%ff/users", "", NULL, "");
    fixture_release(&f);
}
END_TEST

START_TEST(a_tenants_user_is_refused_with_the_contracts_texts)
{
    static const struct refusal wants[] = {
        {"", 400, "failed to decode request body: EOF"},
        {"{\"password_hash\":1}", 400, "failed to decode request body: "},
        {"{\"id\":1}", 400, "failed to decode request body: "},
        {"{\"email\":\"a@b.cd\"}", 400, "password *or* password_hash must be provided"},
        {"{\"email\":\"bad\",\"password\":\"battery staple\",\"password_hash\":\"x\"}", 400,
         "password *or* password_hash must be provided"},
        {"{\"email\":\"bad\",\"password\":\"battery staple\"}", 400, "email: must be a valid email address."},
        {"{\"password_hash\":\"x\"}", 400, "email: cannot be blank."},
        {"{\"email\":\"a@b.cd\",\"password\":\"7 bytes\"}", 400, "User: password: must be minimum 8 characters long."},
        {"{\"email\":\"a@b.cd\",\"password\":\"" LONG_64 "012345678\"}", 422,
         "password: must be no longer than 72 bytes"},
        {"{\"email\":\"alice@example.com\",\"password\":\"battery staple\"}", 422,
         "user with a given email already exists"},
        {"{\"id\":\"" LONG_257 "\",\"email\":\"a@b.cd\",\"password\":\"battery staple\"}", 400, "id: the length must"},
    };
    fixture_init(&f, _i);
    expect_refusals("POST", TENANTS "/t/users", NULL, wants, COUNT(wants));
    AUTO(mem_free)
    char *same_id = mem_printf("{\"id\":\"%s\",\"email\":\"a@b.cd\",\"password\":\"battery staple\"}", f.user_id);
    AUTO(fixture_free) struct call *c = request("POST", TENANTS "/t/users", NULL, same_id);
    expect_error(c, &(struct refusal){same_id, 422, "user with a given email already exists"});
    expect_list(TENANTS "/t/users", "", NULL, "");
    fixture_release(&f);
}
END_TEST

START_TEST(a_tenants_user_is_deleted_in_its_tenant_only)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *eve = create("t", "eve@example.com", "battery staple");
    insert_pat("p", "t", eve);
    AUTO(mem_free) char *wrong = path_of(TENANTS "/u/users", eve);
    AUTO(mem_free) char *right = path_of(TENANTS "/t/users", eve);
    expect("DELETE", wrong, NULL, NULL, 204);
    ck_assert_int_eq(tokens_of(eve), 1);
    expect("DELETE", right, NULL, NULL, 204);
    expect("DELETE", right, NULL, NULL, 204);
    ck_assert_int_eq(tokens_of(eve), 0);
    expect_list(TENANTS "/t/users", "", NULL, "");
    fixture_release(&f);
}
END_TEST

static int delete_tokens(const char *query)
{
    AUTO(fixture_free) struct call *c = fixture_call(&f, "DELETE", TOKENS);
    c->query = query;
    int status = fixture_run(c);
    if (status == 400)
        ck_assert_ptr_nonnull(strstr(c->reply, "\"tenant_id must be provided\""));
    return status;
}

START_TEST(tokens_are_deleted_by_tenant_and_by_user)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *eve = create("t", "eve@example.com", "battery staple");
    AUTO(mem_free) char *kim = create("t", "kim@example.com", "battery staple");
    AUTO(mem_free) char *mine = fixture_login(&f);
    insert_pat("e", "t", eve);
    insert_pat("k", "t", kim);
    ck_assert_int_eq(delete_tokens(""), 400);
    ck_assert_int_eq(delete_tokens("tenant_id="), 400);
    ck_assert_int_eq(delete_tokens("user_id=x"), 400);
    ck_assert_int_eq(delete_tokens("tenant_id=u"), 204);
    ck_assert_int_eq(delete_tokens("tenant_id=%ff"), 204);
    AUTO(mem_free) char *alices = mem_printf("tenant_id=t&user_id=%s", f.user_id);
    ck_assert_int_eq(delete_tokens(alices), 204);
    fixture_expect(&f, ME, mine, 200);
    AUTO(mem_free) char *eves = mem_printf("tenant_id=t&user_id=%s", eve);
    ck_assert_int_eq(delete_tokens(eves), 204);
    ck_assert_int_eq(tokens_of(eve), 0);
    ck_assert_int_eq(tokens_of(kim), 1);
    ck_assert_int_eq(delete_tokens("tenant_id=t"), 204);
    ck_assert_int_eq(tokens_of(kim), 0);
    fixture_expect(&f, ME, mine, 200);
    fixture_release(&f);
}
END_TEST

START_TEST(tokens_deleted_here_are_dead_at_once)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *mine = fixture_login(&f);
    fixture_expect(&f, VERIFY, mine, 200);
    /* this user's tenant, "", cannot be named in the query: the row is taken away behind the cache's back */
    ck_ok(db_exec(f.db, "DELETE FROM tokens WHERE user_id = $1", DB_ARGS(db_text(f.user_id)), NULL));
    ck_assert_int_eq(delete_tokens("tenant_id=t"), 204);
    fixture_expect(&f, VERIFY, mine, 401);
    fixture_release(&f);
}
END_TEST

/* Two at once */

struct job {
    const char *method;
    const char *path;
    const char *bearer;
    const char *body;
    pthread_barrier_t *start;
    int status;
};

static void *run_job(void *arg)
{
    struct job *job = arg;
    pthread_barrier_wait(job->start);
    AUTO(fixture_free) struct call *c = request(job->method, job->path, job->bearer, job->body);
    job->status = c->status;
    return NULL;
}

static void race(struct job *a, struct job *b)
{
    pthread_barrier_t start;
    pthread_t threads[2];
    ck_assert_int_eq(pthread_barrier_init(&start, NULL, 2), 0);
    a->start = b->start = &start;
    ck_assert_int_eq(pthread_create(&threads[0], NULL, run_job, a), 0);
    ck_assert_int_eq(pthread_create(&threads[1], NULL, run_job, b), 0);
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    pthread_barrier_destroy(&start);
}

START_TEST(of_two_that_create_one_address_one_wins)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (int i = 0; i < RACES; i++) {
        AUTO(mem_free) char *body = mem_printf("{\"email\":\"u%d@b.cd\",\"password\":\"battery staple\"}", i);
        struct job a = {.method = "POST", .path = USERS, .bearer = bearer, .body = body};
        struct job b = a;
        race(&a, &b);
        ck_assert_msg((a.status == 201 && b.status == 422) || (a.status == 422 && b.status == 201), "%d and %d",
                      a.status, b.status);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(of_one_that_creates_and_one_that_takes_an_address_one_wins)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *path = path_of(USERS, bob);
    for (int i = 0; i < RACES; i++) {
        AUTO(mem_free) char *body = mem_printf("{\"email\":\"u%d@b.cd\",\"password\":\"battery staple\"}", i);
        AUTO(mem_free) char *address = mem_printf("{\"email\":\"u%d@b.cd\"}", i);
        struct job a = {.method = "POST", .path = USERS, .bearer = bearer, .body = body};
        struct job b = {.method = "PUT", .path = path, .bearer = bearer, .body = address};
        race(&a, &b);
        ck_assert_msg((a.status == 201 && b.status == 422) || (a.status == 422 && b.status == 204), "%d and %d",
                      a.status, b.status);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(of_two_that_take_one_address_one_wins)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *eve = create("", "eve@example.com", "battery staple");
    AUTO(mem_free) char *bobs_path = path_of(USERS, bob);
    AUTO(mem_free) char *eves_path = path_of(USERS, eve);
    for (int i = 0; i < RACES; i++) {
        AUTO(mem_free) char *address = mem_printf("{\"email\":\"u%d@b.cd\"}", i);
        struct job a = {.method = "PUT", .path = bobs_path, .bearer = bearer, .body = address};
        struct job b = {.method = "PUT", .path = eves_path, .bearer = bearer, .body = address};
        race(&a, &b);
        ck_assert_msg((a.status == 204 && b.status == 422) || (a.status == 422 && b.status == 204), "%d and %d",
                      a.status, b.status);
    }
    fixture_release(&f);
}
END_TEST

START_TEST(a_user_deleted_while_it_is_updated_stays_deleted)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bearer = fixture_login(&f);
    for (int i = 0; i < RACES; i++) {
        AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
        AUTO(mem_free) char *bobs = login("bob@example.com", "battery staple");
        AUTO(mem_free) char *path = path_of(USERS, bob);
        struct job a = {.method = "PUT", .path = path, .bearer = bearer, .body = "{\"email\":\"new@example.com\"}"};
        struct job b = {.method = "DELETE", .path = path, .bearer = bearer};
        race(&a, &b);
        ck_assert_int_eq(b.status, 204);
        ck_assert_msg(a.status == 204 || a.status == 404, "%d", a.status);
        fixture_expect(&f, path, bearer, 404);
        fixture_expect(&f, ME, bobs, 401);
        ck_assert_int_eq(tokens_of(bob), 0);
    }
    fixture_release(&f);
}
END_TEST

/* A dear hash leaves the time in which the other one writes; now and then it comes too early or too late. */
START_TEST(an_update_that_another_overtook_is_a_409_and_changes_nothing)
{
    fixture_init(&f, _i);
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    AUTO(mem_free) char *mine = fixture_login(&f);
    AUTO(mem_free) char *bobs = login("bob@example.com", "battery staple");
    struct job a = {.method = "PUT",
                    .path = ME,
                    .bearer = mine,
                    .body = "{\"password\":\"correct horse\",\"current_password\":\"correct horse\"}"};
    struct job b = {.method = "PUT", .path = NULL, .bearer = bobs, .body = "{\"email\":\"alice@example.com\"}"};
    AUTO(mem_free) char *path = path_of(USERS, f.user_id);
    b.path = path;
    ck_assert_int_eq(tokens_of(bob), 1);
    f.service.password_cost = 9;
    int64_t deadline = clock_mono_ms() + 20000;
    while (a.status != 409 && clock_mono_ms() < deadline) {
        mem_free(&mine); /* the other's update ends it */
        mine = fixture_login(&f);
        a.bearer = mine;
        race(&a, &b);
        ck_assert_msg(a.status == 204 || a.status == 401 || a.status == 409, "%d", a.status);
        ck_assert_msg(b.status == 204 || b.status == 409, "%d", b.status);
    }
    ck_assert_int_eq(a.status, 409);
    fixture_release(&f);
}
END_TEST

START_TEST(an_update_of_an_old_revision_is_refused)
{
    fixture_init(&f, _i);
    AUTO(user_free) struct user *user = NULL;
    ck_ok(user_get(f.db, "", f.user_id, &user));
    ck_ok(user_db_update(f.db, user));
    ck_err(user_db_update(f.db, user), ERR_USER_CHANGED);
    user->revision++;
    ck_ok(user_db_update(f.db, user));
    AUTO(mem_free) char *bob = create("", "bob@example.com", "battery staple");
    user->revision++;
    mem_free(&user->email);
    user->email = mem_strdup("bob@example.com");
    ck_err(user_db_update(f.db, user), ERR_EMAIL_TAKEN);
    ck_err(user_db_check_email(f.db, user), ERR_EMAIL_TAKEN);
    ck_ok(user_delete(f.db, "", bob));
    ck_ok(user_db_check_email(f.db, user));
    ck_ok(user_delete(f.db, "", f.user_id));
    ck_err(user_db_update(f.db, user), ERR_USER_NOT_FOUND);
    fixture_release(&f);
}
END_TEST

static void add(TCase *tc, const TTest *test)
{
    tcase_add_loop_test(tc, test, 0, SUPPORT_ENGINES);
}

static Suite *suite(void)
{
    Suite *s = suite_create("users");
    TCase *tc = tcase_create("users");
    add(tc, a_created_user_is_at_its_location_and_logs_in);
    add(tc, create_refuses_what_it_must_with_the_contracts_texts);
    add(tc, bodies_must_be_announced_as_json_on_management_routes);
    add(tc, every_management_route_asks_who_calls);
    add(tc, the_list_has_every_user_of_the_tenant_and_no_password);
    add(tc, the_list_is_filtered_by_id_email_and_times);
    add(tc, the_list_refuses_a_filter_that_is_no_number);
    add(tc, update_refuses_what_it_must_in_the_contracts_order);
    add(tc, a_new_password_ends_all_tokens_but_the_callers);
    add(tc, an_update_moves_the_time_and_the_address);
    add(tc, ones_own_address_again_needs_no_password);
    add(tc, anothers_address_needs_no_password_and_ends_that_users_tokens);
    add(tc, put_takes_me_in_any_case_and_get_does_not);
    add(tc, v2_changes_the_password_only);
    add(tc, v2_takes_an_empty_update_and_ends_the_other_tokens);
    add(tc, delete_is_always_204_and_ends_the_tokens);
    add(tc, one_can_delete_oneself_even_as_the_last_user);
    add(tc, behind_a_gateway_only_updates_check_the_signature);
    add(tc, behind_a_gateway_the_claims_name_the_tenant);
    suite_add_tcase(s, tc);
    TCase *internal = tcase_create("tenants");
    add(internal, a_tenant_is_created_by_storing_nothing);
    add(internal, a_tenants_user_keeps_the_id_and_hash_that_came);
    add(internal, a_tenants_user_is_refused_with_the_contracts_texts);
    add(internal, a_tenants_user_is_deleted_in_its_tenant_only);
    add(internal, tokens_are_deleted_by_tenant_and_by_user);
    add(internal, tokens_deleted_here_are_dead_at_once);
    suite_add_tcase(s, internal);
    TCase *races = tcase_create("races");
    add(races, of_two_that_create_one_address_one_wins);
    add(races, of_one_that_creates_and_one_that_takes_an_address_one_wins);
    add(races, of_two_that_take_one_address_one_wins);
    add(races, a_user_deleted_while_it_is_updated_stays_deleted);
    add(races, an_update_that_another_overtook_is_a_409_and_changes_nothing);
    add(races, an_update_of_an_old_revision_is_refused);
    suite_add_tcase(s, races);
    return s;
}

int main(void)
{
    return support_main(suite());
}
