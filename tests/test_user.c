/* SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims.h"
#include "auth/password.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

#define GOOD_PASSWORD "correct horse"

static struct db *db;
static char why[USER_WHY_SIZE];

static void no_database(void)
{
    db_free(&db);
}

static char *repeat(char c, size_t n)
{
    char *text = mem_calloc(n + 1, 1);
    memset(text, c, n);
    return text;
}

static enum err create(const char *id, const char *tenant, const char *email, char **out)
{
    struct user_new user = {.id = id, .tenant = tenant, .email = email, .password = GOOD_PASSWORD, .cost = 4};
    return user_create(db, &user, why, out);
}

static char *created(const char *id, const char *tenant, const char *email)
{
    char *made = NULL;
    ck_ok(create(id, tenant, email, &made));
    return made;
}

static void insert_token(const char *id, const char *user_id)
{
    ck_ok(db_exec(db, "INSERT INTO tokens (id, tenant_id, user_id, kid, issued_ms) VALUES ($1, '', $2, 0, 1)",
                  DB_ARGS(db_text(id), db_text(user_id)), NULL));
}

static int64_t tokens_of(const char *user_id)
{
    AUTO(db_rows_free) struct db_rows *rows = NULL;
    ck_ok(db_query(db, "SELECT COUNT(*) FROM tokens WHERE user_id = $1", DB_ARGS(db_text(user_id)), &rows));
    ck_assert(db_rows_next(rows));
    return db_rows_int(rows, 0);
}

static const struct {
    const char *email;
    const char *password;
    enum err err;
    const char *why;
} checks[] = {
    {"user@example.com", "12345678", ERR_OK, ""},
    {NULL, "12345678", ERR_OK, ""},
    {"user@example.com", NULL, ERR_OK, ""},
    {NULL, NULL, ERR_OK, ""},
    {"", NULL, ERR_INVALID, "email: cannot be blank."},
    {NULL, "", ERR_INVALID, "password: cannot be blank."},
    {"", "", ERR_INVALID, "email: cannot be blank; password: cannot be blank."},
    {"foo", "12345678", ERR_INVALID, "email: must be a valid email address."},
    {"foo", "1234567", ERR_INVALID, "email: must be a valid email address."},
    {"us\xc3\xa9r@example.com", "12345678", ERR_INVALID, "email: must contain ASCII characters only."},
    {"us\xff", "12345678", ERR_INVALID, "email: must contain ASCII characters only."},
    {"user@example.com", "passw\xc3\xb6rd", ERR_INVALID, "password: must contain ASCII characters only."},
    {"user@example.com", "\xc3\xb6", ERR_INVALID, "password: must contain ASCII characters only."},
    {"foo", "\xff", ERR_INVALID, "email: must be a valid email address; password: must contain ASCII characters only."},
    {"user@example.com", "1234567", ERR_PASSWORD_SHORT, "password: must be minimum 8 characters long"},
};

START_TEST(checks_fields_with_the_texts_of_the_contract)
{
    why[0] = '\0';
    ck_err(user_check(checks[_i].email, checks[_i].password, why), checks[_i].err);
    ck_assert_str_eq(why, checks[_i].why);
}
END_TEST

START_TEST(checks_lengths_in_bytes)
{
    AUTO(mem_free) char *local = repeat('a', 250);
    AUTO(mem_free) char *fits = mem_printf("%s@bc.de", local);
    AUTO(mem_free) char *too_long = mem_printf("%s@bcd.ef", local);
    ck_ok(user_check(fits, NULL, why));
    ck_err(user_check(too_long, NULL, why), ERR_INVALID);
    ck_assert_str_eq(why, "email: the length must be no more than 256.");

    AUTO(mem_free) char *p72 = repeat('p', 72);
    AUTO(mem_free) char *p73 = repeat('p', 73);
    AUTO(mem_free) char *p256 = repeat('p', 256);
    AUTO(mem_free) char *p257 = repeat('p', 257);
    ck_ok(user_check(NULL, p72, why));
    ck_err(user_check(NULL, p73, why), ERR_PASSWORD_LONG);
    ck_assert_str_eq(why, "password: must be no longer than 72 bytes");
    ck_err(user_check(NULL, p256, why), ERR_PASSWORD_LONG);
    ck_err(user_check(NULL, p257, why), ERR_INVALID);
    ck_assert_str_eq(why, "password: the length must be no more than 256.");
    /* the length goes before the characters */
    p257[0] = (char)0xff;
    ck_err(user_check(NULL, p257, why), ERR_INVALID);
    ck_assert_str_eq(why, "password: the length must be no more than 256.");
}
END_TEST

static const char *const addresses[] = {
    "a@b.c",
    "A@B.C",
    "user+tag@example.com",
    "a.b.c@d.e.f",
    "!#$%&'*+-/=?^_`{|}~@example.com",
    "1@1.com",
    "a@b.c.",
    "a@x-y_z~w.co",
    "a@b..c.de",
    "a@1.2.a1b",
    "a@b.c1-_~d",
    "\"a b\"@example.com",
    "\"a@b\"@example.com",
    "\"a\\\"b\\\\\"@example.com",
};

START_TEST(takes_addresses)
{
    ck_assert_msg(user_check(addresses[_i], NULL, why) == ERR_OK, "%s", addresses[_i]);
}
END_TEST

static const char *const no_addresses[] = {
    "user",
    "@",
    "@example.com",
    "user@",
    "user@localhost",
    "user@1.2.3.4",
    ".user@example.com",
    "user.@example.com",
    "us..er@example.com",
    "us er@example.com",
    "user@example.com ",
    " user@example.com",
    "user@@example.com",
    "user@exam@ple.com",
    "user@.com",
    "user@example.",
    "user@example..",
    "user@example.com..",
    "user@example.c1",
    "user@example.1c",
    "user@-example.com",
    "user@example-.com",
    "user@example.com-",
    "user@exa mple.com",
    "user@exa/mple.com",
    "user(a)@example.com",
    "<user@example.com>",
    "user@example.com\n",
    "us\ner@example.com",
    "\"user@example.com",
    "\"us\"er\"@example.com",
    "\"us\ner\"@example.com",
    "\"us\\\ner\"@example.com",
    "\"user\\\"@example.com",
    "\"user\"example.com",
    "x\"user\"@example.com",
};

START_TEST(refuses_what_is_no_address)
{
    ck_err(user_check(no_addresses[_i], NULL, why), ERR_INVALID);
    ck_assert_str_eq(why, "email: must be a valid email address.");
}
END_TEST

START_TEST(creates_and_gets_a_user)
{
    db = support_db(_i);
    clock_set(1770000000123);
    AUTO(mem_free) char *id = created(NULL, NULL, "User@Example.COM");
    ck_assert_uint_eq(strlen(id), 36);

    AUTO(user_free) struct user *user = NULL;
    ck_ok(user_get(db, "", id, &user));
    ck_assert_str_eq(user->email, "user@example.com");
    ck_assert_str_eq(user->tenant_id, "");
    ck_assert_int_eq(user->created_ms, 1770000000123);
    ck_assert_int_eq(user->updated_ms, 1770000000123);
    ck_assert_int_eq(user->login_ms, 0);
    ck_ok(password_check(GOOD_PASSWORD, user->password_hash));

    AUTO(user_free) struct user *same = NULL;
    ck_ok(user_get_by_email(db, "", "USER@example.com", &same));
    ck_assert_str_eq(same->id, id);
}
END_TEST

START_TEST(keeps_a_chosen_id)
{
    db = support_db(_i);
    AUTO(mem_free) char *plain = created("123456", NULL, "a@example.com");
    ck_assert_str_eq(plain, "123456");
    AUTO(mem_free) char *upper = created("2A4F1C2E-0000-4000-8000-0000000000AB", NULL, "b@example.com");
    ck_assert_str_eq(upper, "2A4F1C2E-0000-4000-8000-0000000000AB");
    AUTO(mem_free) char *fresh = created("", NULL, "c@example.com");
    ck_assert_uint_eq(strlen(fresh), 36);
}
END_TEST

START_TEST(refuses_a_second_user_of_one_address)
{
    db = support_db(_i);
    AUTO(mem_free) char *id = created("one", NULL, "a@example.com");
    char *other = NULL;
    ck_assert_str_eq(id, "one");
    ck_err(create(NULL, NULL, "A@EXAMPLE.com", &other), ERR_EMAIL_TAKEN);
    ck_err(create(NULL, "tenant", "a@example.com", &other), ERR_EMAIL_TAKEN);
    ck_err(create("one", NULL, "b@example.com", &other), ERR_EMAIL_TAKEN);
    ck_assert_ptr_null(other);
}
END_TEST

START_TEST(refuses_ids_that_claims_have_no_room_for)
{
    db = support_db(_i);
    AUTO(mem_free) char *longest = repeat('x', CLAIMS_TEXT_SIZE - 1);
    AUTO(mem_free) char *too_long = repeat('x', CLAIMS_TEXT_SIZE);
    char *none = NULL;
    ck_err(create(too_long, NULL, "a@example.com", &none), ERR_INVALID);
    ck_assert_int_eq(strncmp(why, "id: ", 4), 0);
    ck_err(create(NULL, too_long, "a@example.com", &none), ERR_INVALID);
    ck_assert_int_eq(strncmp(why, "tenant_id: ", 11), 0);
    ck_err(create("\xff\xfe", NULL, "a@example.com", &none), ERR_INVALID);
    ck_assert_int_eq(strncmp(why, "id: ", 4), 0);
    AUTO(mem_free) char *id = created(longest, longest, "a@example.com");
    ck_assert_str_eq(id, longest);
}
END_TEST

START_TEST(applies_the_rules_when_creating)
{
    db = support_db(_i);
    char *none = NULL;
    ck_err(create(NULL, NULL, "a@localhost", &none), ERR_INVALID);
    ck_assert_str_eq(why, "email: must be a valid email address.");
    struct user_new user = {.email = "a@example.com", .password = "short", .cost = 4};
    ck_err(user_create(db, &user, why, &none), ERR_PASSWORD_SHORT);
    ck_assert_str_eq(why, "password: must be minimum 8 characters long");
    /* similarity is for those who call this to judge */
    user.password = "a@exampl";
    AUTO(mem_free) char *id = NULL;
    ck_ok(user_create(db, &user, why, &id));
}
END_TEST

static const char *const hostile[] = {
    "' OR '1'='1",
    "'; DROP TABLE users; --",
    "a@example.com'--",
    "$1",
    "%",
    "\\",
    "\"",
    "",
    "\xff\xfe",
    "a@ex\xc3\xa4mple.com",
    "\xc0\x80",
    "\xed\xa0\x80",
    "\x01\x1b[31m",
};

START_TEST(hostile_text_finds_nobody)
{
    db = support_db(_i);
    AUTO(mem_free) char *id = created(NULL, NULL, "a@example.com");
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct user *user = NULL;
        ck_err(user_get_by_email(db, "", hostile[i], &user), ERR_USER_NOT_FOUND);
        ck_err(user_get(db, "", hostile[i], &user), ERR_USER_NOT_FOUND);
        ck_err(user_get(db, hostile[i][0] != '\0' ? hostile[i] : "x", id, &user), ERR_USER_NOT_FOUND);
        ck_err(user_set_password(db, "", hostile[i], GOOD_PASSWORD, 4, why), ERR_USER_NOT_FOUND);
        ck_err(user_delete(db, "", hostile[i]), ERR_USER_NOT_FOUND);
        ck_assert_ptr_null(user);
        char *none = NULL;
        ck_err(create(NULL, NULL, hostile[i], &none), ERR_INVALID);
    }
    AUTO(user_free) struct user *still = NULL;
    ck_ok(user_get(db, "", id, &still));
}
END_TEST

START_TEST(a_user_is_seen_in_its_tenant_only)
{
    db = support_db(_i);
    AUTO(mem_free) char *id = created(NULL, "t1", "a@example.com");
    struct user *none = NULL;
    ck_err(user_get(db, "", id, &none), ERR_USER_NOT_FOUND);
    ck_err(user_get_by_email(db, "t2", "a@example.com", &none), ERR_USER_NOT_FOUND);
    ck_err(user_delete(db, "t2", id), ERR_USER_NOT_FOUND);
    ck_err(user_set_password(db, "t2", "a@example.com", "another horse", 4, why), ERR_USER_NOT_FOUND);
    AUTO(user_free) struct user *user = NULL;
    ck_ok(user_get(db, "t1", id, &user));
    ck_assert_str_eq(user->tenant_id, "t1");
}
END_TEST

START_TEST(lists_the_users_of_a_tenant_by_address)
{
    db = support_db(_i);
    AUTO(mem_free) char *b = created(NULL, NULL, "b@example.com");
    AUTO(mem_free) char *a = created(NULL, NULL, "a@example.com");
    AUTO(mem_free) char *other = created(NULL, "t", "c@example.com");
    struct user **users = NULL;
    size_t n = 0;
    ck_ok(user_list(db, "", &users, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_str_ne(users[0]->id, other);
    ck_assert_str_eq(users[0]->id, a);
    ck_assert_str_eq(users[1]->id, b);
    user_list_free(&users, n);
    ck_assert_ptr_null(users);
    ck_ok(user_list(db, "nobody's", &users, &n));
    ck_assert_uint_eq(n, 0);
    user_list_free(&users, n);
}
END_TEST

START_TEST(sets_a_password_and_ends_all_sessions)
{
    db = support_db(_i);
    clock_set(1770000000000);
    AUTO(mem_free) char *id = created(NULL, NULL, "a@example.com");
    AUTO(mem_free) char *other = created(NULL, NULL, "b@example.com");
    insert_token("t1", id);
    insert_token("t2", id);
    insert_token("t3", other);
    clock_set(1770000005000);
    ck_ok(user_set_password(db, "", "A@example.com", "another horse", 4, why));

    AUTO(user_free) struct user *user = NULL;
    ck_ok(user_get(db, "", id, &user));
    ck_ok(password_check("another horse", user->password_hash));
    ck_err(password_check(GOOD_PASSWORD, user->password_hash), ERR_UNAUTHORIZED);
    ck_assert_int_eq(user->created_ms, 1770000000000);
    ck_assert_int_eq(user->updated_ms, 1770000005000);
    ck_assert_int_eq(tokens_of(id), 0);
    ck_assert_int_eq(tokens_of(other), 1);
}
END_TEST

START_TEST(refuses_passwords_that_are_a_part_of_the_address)
{
    db = support_db(_i);
    AUTO(mem_free) char *id = created(NULL, NULL, "jane.doe@example.com");
    static const char *const similar[] = {"jane.doe", "JANE.DOE", "example.com", "jane.doe@example.com"};
    insert_token("t1", id);
    for (size_t i = 0; i < sizeof similar / sizeof *similar; i++) {
        ck_err(user_set_password(db, "", "Jane.Doe@example.com", similar[i], 4, why), ERR_PASSWORD_SIMILAR);
        ck_assert_str_eq(why, "password is too similar to the email");
    }
    ck_err(user_set_password(db, "", "jane.doe@example.com", "short", 4, why), ERR_PASSWORD_SHORT);
    ck_err(user_set_password(db, "", "jane.doe@example.com", "", 4, why), ERR_INVALID);
    ck_assert_str_eq(why, "password: cannot be blank.");
    ck_assert_int_eq(tokens_of(id), 1);
    /* the address may be a part of the password */
    ck_ok(user_set_password(db, "", "jane.doe@example.com", "jane.doe@example.com!", 4, why));
}
END_TEST

START_TEST(deletes_a_user_with_its_tokens)
{
    db = support_db(_i);
    AUTO(mem_free) char *id = created(NULL, NULL, "a@example.com");
    AUTO(mem_free) char *other = created(NULL, NULL, "b@example.com");
    insert_token("t1", id);
    insert_token("t2", other);
    ck_ok(user_delete(db, "", id));
    struct user *none = NULL;
    ck_err(user_get(db, "", id, &none), ERR_USER_NOT_FOUND);
    ck_assert_int_eq(tokens_of(id), 0);
    ck_assert_int_eq(tokens_of(other), 1);
    ck_err(user_delete(db, "", id), ERR_USER_NOT_FOUND);
}
END_TEST

#define RACERS 8

static void *race_to_create(void *arg)
{
    int *wins = arg;
    char *id = NULL;
    char text[USER_WHY_SIZE];
    struct user_new user = {.email = "a@example.com", .password = GOOD_PASSWORD, .cost = 4};
    enum err e = user_create(db, &user, text, &id);
    *wins = e == ERR_OK ? 1 : e == ERR_EMAIL_TAKEN ? 0 : 100;
    mem_free(&id);
    return NULL;
}

START_TEST(one_of_many_wins_an_address)
{
    db = support_db(_i);
    pthread_t threads[RACERS];
    int wins[RACERS] = {0}, sum = 0;
    for (int i = 0; i < RACERS; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, race_to_create, &wins[i]), 0);
    for (int i = 0; i < RACERS; i++) {
        pthread_join(threads[i], NULL);
        sum += wins[i];
    }
    ck_assert_int_eq(sum, 1);
}
END_TEST

START_TEST(shows_a_user_without_its_password)
{
    struct user user = {.id = (char[]){"1"},
                        .tenant_id = (char[]){""},
                        .email = (char[]){"a@example.com"},
                        .password_hash = (char[]){"secret"},
                        .created_ms = 1770000000120,
                        .updated_ms = 1770000001000};
    AUTO(json_release) json_t *json = user_json(&user);
    AUTO(mem_free) char *text = json_wire(json);
    ck_assert_str_eq(text, "{\"id\":\"1\",\"email\":\"a@example.com\",\"created_ts\":\"2026-02-02T02:40:00.12Z\","
                           "\"updated_ts\":\"2026-02-02T02:40:01Z\"}");
    user.login_ms = 1770000002003;
    AUTO(json_release) json_t *seen = user_json(&user);
    ck_assert_str_eq(json_string_value(json_object_get(seen, "login_ts")), "2026-02-02T02:40:02.003Z");
}
END_TEST

#define LENGTH(table) (int)(sizeof(table) / sizeof *(table))

static Suite *suite(void)
{
    Suite *s = suite_create("user");
    TCase *tc = tcase_create("user");
    suite_add_tcase(s, tc);
    tcase_add_checked_fixture(tc, NULL, no_database);
    tcase_add_loop_test(tc, checks_fields_with_the_texts_of_the_contract, 0, LENGTH(checks));
    tcase_add_test(tc, checks_lengths_in_bytes);
    tcase_add_loop_test(tc, takes_addresses, 0, LENGTH(addresses));
    tcase_add_loop_test(tc, refuses_what_is_no_address, 0, LENGTH(no_addresses));
    tcase_add_loop_test(tc, creates_and_gets_a_user, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, keeps_a_chosen_id, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_a_second_user_of_one_address, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_ids_that_claims_have_no_room_for, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, applies_the_rules_when_creating, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, hostile_text_finds_nobody, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_user_is_seen_in_its_tenant_only, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, lists_the_users_of_a_tenant_by_address, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, sets_a_password_and_ends_all_sessions, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_passwords_that_are_a_part_of_the_address, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, deletes_a_user_with_its_tokens, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, one_of_many_wins_an_address, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, shows_a_user_without_its_password);
    return s;
}

int main(void)
{
    return support_main(suite());
}
