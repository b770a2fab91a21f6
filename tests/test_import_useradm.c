/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/import_useradm.h"
#include "auth/settings.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/importing.h"
#include "tests/support.h"

#define NOW_MS INT64_C(1763715905120)
#define HASH "$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e"
#define ALICE "9cfa9a52-6a26-4d4c-8d5e-0f1c2b3a4d5e"
#define TOKEN "0b5f4c1e-6f0a-4c59-9a55-2f6a4f1d1a01"
#define OTHER "1c6a5d2f-7a1b-4d6a-8b66-3a7b5a2e2b02"
#define ETAG "5f0c1d2e-3b4a-4c5d-8e6f-7a8b9c0d1e2f"

enum { USERS, TOKENS, SETTINGS, USER_SETTINGS };

static struct db *db;

static void begin(int engine)
{
    clock_set(NOW_MS);
    db = support_db(engine);
}

static void becomes(int collection, const char *text, enum import_fate want)
{
    importing_becomes(&import_useradm[collection], db, text, want);
}

static void skips(int collection, const char *text, const char *why)
{
    importing_skips(&import_useradm[collection], db, text, why);
}

static void take_alice(void)
{
    becomes(USERS, "{'_id':'" ALICE "','email':'alice@example.com','password':'" HASH "'}", IMPORT_TAKEN);
}

#define USER_ROW                                                                                                       \
    "SELECT id || '|' || tenant_id || '|' || email || '|' || password_hash || '|' || created_ms || '|' || "            \
    "updated_ms || '|' || COALESCE(login_ms, -1) FROM users"
#define TOKEN_ROW                                                                                                      \
    "SELECT id || '|' || tenant_id || '|' || user_id || '|' || COALESCE(name, '-') || '|' || kid || '|' || "           \
    "issued_ms || '|' || COALESCE(expires_ms, -1) || '|' || COALESCE(last_used_ms, -1) FROM tokens"

START_TEST(a_user_with_everything)
{
    begin(_i);
    becomes(USERS,
            "{'_id':'Some Id','email':'Alice@Example.COM','password':'" HASH "','tenant_id':'acme','etag':{'$oid':'x'},"
            "'created_ts':{'$date':'2023-03-01T08:15:30.125Z'},'updated_ts':{'$date':{'$numberLong':'1677658530999'}},"
            "'login_ts':{'$date':1677658531000},'unknown':[]}",
            IMPORT_TAKEN);
    importing_holds(db, USER_ROW, "Some Id|acme|alice@example.com|" HASH "|1677658530125|1677658530999|1677658531000");
    db_free(&db);
}
END_TEST

START_TEST(a_user_with_little)
{
    begin(_i);
    becomes(USERS,
            "{'_id':'1','email':'a@localhost','password':'" HASH "','login_ts':null,"
            "'created_ts':{'$date':{'$numberLong':'-62135596800000'}}}",
            IMPORT_TAKEN);
    importing_holds(db, USER_ROW, "1||a@localhost|" HASH "|0|0|-1");
    db_free(&db);
}
END_TEST

START_TEST(users_that_are_none_are_skipped)
{
    begin(_i);
    static const struct {
        const char *document;
        const char *why;
    } cases[] = {
        {"{}", "_id is missing"},
        {"{'_id':1,'email':'a@b.c','password':'" HASH "'}", "_id is missing"},
        {"{'_id':'','email':'a@b.c','password':'" HASH "'}", "_id is empty"},
        {"{'_id':'a\\u0000b','email':'a@b.c','password':'" HASH "'}", "_id is missing"},
        {"{'_id':'0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"
         "0123456789012345678901234567','email':'a@b.c','password':'" HASH "'}",
         "_id is empty or longer"},
        {"{'_id':'1','password':'" HASH "'}", "email is missing"},
        {"{'_id':'1','email':null,'password':'" HASH "'}", "email is missing"},
        {"{'_id':'1','email':['a@b.c'],'password':'" HASH "'}", "email is missing"},
        {"{'_id':'1','email':'','password':'" HASH "'}", "email is empty"},
        {"{'_id':'1','email':'a b@b.c','password':'" HASH "'}", "email is empty"},
        {"{'_id':'1','email':'\u00e4@b.c','password':'" HASH "'}", "email is empty"},
        {"{'_id':'1','email':'a@b.c'}", "password is missing"},
        {"{'_id':'1','email':'a@b.c','password':'correct horse'}", "no bcrypt hash"},
        {"{'_id':'1','email':'a@b.c','password':'$2a$31$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJLQc6e'}",
         "no bcrypt hash"},
        {"{'_id':'1','email':'a@b.c','password':'" HASH "','created_ts':'2023-03-01T08:15:30Z'}", "created_ts"},
        {"{'_id':'1','email':'a@b.c','password':'" HASH "','updated_ts':{'$date':'x'}}", "updated_ts"},
        {"{'_id':'1','email':'a@b.c','password':'" HASH "','login_ts':0}", "login_ts"},
        {"{'_id':'1','email':'a@b.c','password':'" HASH "','tenant_id':7}", "tenant_id"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        skips(USERS, cases[i].document, cases[i].why);
    importing_holds_count(db, "SELECT COUNT(*) FROM users", 0);
    db_free(&db);
}
END_TEST

START_TEST(a_user_that_is_here_is_left_alone)
{
    begin(_i);
    static const char same[] = "{'_id':'1','email':'a@b.c','password':'" HASH "','tenant_id':''}";
    becomes(USERS, same, IMPORT_TAKEN);
    becomes(USERS, same, IMPORT_THERE);
    ck_ok(db_exec(db, "UPDATE users SET login_ms = 5, updated_ms = 6", DB_ARGS(), NULL));
    becomes(USERS, same, IMPORT_THERE);
    skips(USERS, "{'_id':'1','email':'x@b.c','password':'" HASH "'}", "other content");
    skips(USERS, "{'_id':'1','email':'a@b.c','password':'" HASH "','tenant_id':'t'}", "other content");
    skips(USERS, "{'_id':'1','email':'a@b.c','password':'" HASH "','created_ts':{'$date':5}}", "other content");
    skips(USERS, "{'_id':'2','email':'A@b.c','password':'" HASH "','tenant_id':'t'}", "e-mail");
    importing_holds(db, USER_ROW, "1||a@b.c|" HASH "|0|6|5");
    db_free(&db);
}
END_TEST

START_TEST(tokens_in_both_dialects)
{
    begin(_i);
    take_alice();
    becomes(TOKENS,
            "{'_id':{'$binary':{'base64':'C19MHm8KTFmaVS9qTx0aAQ==','subType':'04'}},'sub':{'$uuid':'" ALICE "'},"
            "'iat':{'time':{'$date':'2024-11-20T07:30:00.25Z'}},'exp':{'time':{'$date':'2099-01-01T00:00:00Z'}},"
            "'name':'ci','last_used':{'$date':{'$numberLong':'1763690000000'}},'key_id':{'$numberInt':'5539'},"
            "'scp':'mender.*','iss':'mender.useradm','user':true,'tenant_id':''}",
            IMPORT_TAKEN);
    importing_holds(db, TOKEN_ROW, TOKEN "||" ALICE "|ci|5539|1732087800250|4070908800000|1763690000000");
    db_free(&db);
}
END_TEST

START_TEST(a_token_with_little_never_expires)
{
    begin(_i);
    take_alice();
    becomes(TOKENS,
            "{'_id':'0B5F4C1E6F0A4C599A552F6A4F1D1A01','sub':'" ALICE "','iat':{'time':{'$date':5}},'exp':null}",
            IMPORT_TAKEN);
    importing_holds(db, TOKEN_ROW, TOKEN "||" ALICE "|-|0|5|-1|-1");
    db_free(&db);
}
END_TEST

/* User ids are kept as they are, and what names them in tokens is not. */
START_TEST(ids_in_tokens_are_normalised)
{
    begin(_i);
    becomes(USERS, "{'_id':'63ff0a5200000000000000aa','email':'a@b.c','password':'" HASH "'}", IMPORT_TAKEN);
    becomes(USERS, "{'_id':'9CFA9A52-6a26-4d4c-8d5e-0f1c2b3a4d5e','email':'b@b.c','password':'" HASH "'}",
            IMPORT_TAKEN);
    becomes(TOKENS, "{'_id':'" TOKEN "','sub':{'$oid':'63FF0a5200000000000000aa'},'iat':{'time':{'$date':5}}}",
            IMPORT_TAKEN);
    becomes(TOKENS, "{'_id':'urn:uuid:" TOKEN "','sub':'63FF0a5200000000000000aa','iat':{'time':{'$date':5}}}",
            IMPORT_THERE);
    skips(TOKENS, "{'_id':'" OTHER "','sub':'9CFA9A52-6a26-4d4c-8d5e-0f1c2b3a4d5e','iat':{'time':{'$date':5}}}",
          "user is not here");
    db_free(&db);
}
END_TEST

START_TEST(tokens_that_are_none_are_skipped)
{
    begin(_i);
    take_alice();
    static const struct {
        const char *members;
        const char *why;
    } cases[] = {
        {"'sub':'" ALICE "','iat':{'time':{'$date':5}}", "_id is missing"},
        {"'_id':'x','sub':'" ALICE "','iat':{'time':{'$date':5}}", "_id is no UUID"},
        {"'_id':{'$oid':'63ff0a5200000000000000aa'},'sub':'" ALICE "','iat':{'time':{'$date':5}}", "_id is no UUID"},
        {"'_id':'" TOKEN "','iat':{'time':{'$date':5}}", "sub is missing"},
        {"'_id':'" TOKEN "','sub':'','iat':{'time':{'$date':5}}", "sub is empty"},
        {"'_id':'" TOKEN "','sub':'" ALICE "'", "iat is missing"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'$date':5}", "iat is missing"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':5}", "iat is missing"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'exp':5", "exp is no date"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'exp':{}", "exp is no date"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'exp':{'time':null}", "exp is no date"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'key_id':'7'", "key_id is no"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'key_id':-1", "out of range"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'key_id':2147483648", "out of range"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'name':''", "name is empty"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'name':7", "name is no text"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'last_used':'x'", "last_used"},
        {"'_id':'" TOKEN "','sub':'nobody','iat':{'time':{'$date':5}}", "user is not here"},
        {"'_id':'" TOKEN "','sub':'" ALICE "','tenant_id':'t','iat':{'time':{'$date':5}}", "user is not here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(mem_free) char *document = mem_printf("{%s}", cases[i].members);
        skips(TOKENS, document, cases[i].why);
    }
    importing_holds_count(db, "SELECT COUNT(*) FROM tokens", 0);
    db_free(&db);
}
END_TEST

START_TEST(expired_tokens_are_counted_for_themselves)
{
    begin(_i);
    take_alice();
    static const char format[] = "{'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},"
                                 "'exp':{'time':{'$date':{'$numberLong':'%lld'}}}}";
    AUTO(mem_free) char *now = mem_printf(format, (long long)NOW_MS);
    AUTO(mem_free) char *early = mem_printf(format, -62135596800000LL);
    AUTO(mem_free) char *later = mem_printf(format, (long long)NOW_MS + 1);
    becomes(TOKENS, now, IMPORT_EXPIRED);
    becomes(TOKENS, early, IMPORT_EXPIRED);
    becomes(TOKENS, later, IMPORT_TAKEN);
    db_free(&db);
}
END_TEST

START_TEST(a_token_that_is_here_is_left_alone)
{
    begin(_i);
    take_alice();
    static const char same[] =
        "{'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'name':'ci','key_id':7}";
    becomes(TOKENS, same, IMPORT_TAKEN);
    becomes(TOKENS, same, IMPORT_THERE);
    ck_ok(db_exec(db, "UPDATE tokens SET last_used_ms = 5", DB_ARGS(), NULL));
    becomes(TOKENS, same, IMPORT_THERE);
    skips(TOKENS, "{'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':5}},'key_id':7}", "other content");
    skips(TOKENS, "{'_id':'" TOKEN "','sub':'" ALICE "','iat':{'time':{'$date':6}},'name':'ci','key_id':7}",
          "other content");
    skips(TOKENS, "{'_id':'" OTHER "','sub':'" ALICE "','iat':{'time':{'$date':5}},'name':'ci'}", "this name");
    importing_holds(db, TOKEN_ROW, TOKEN "||" ALICE "|ci|7|5|-1|5");
    db_free(&db);
}
END_TEST

START_TEST(settings_become_plain_json)
{
    begin(_i);
    becomes(
        SETTINGS,
        "{'_id':{'$oid':'63ff0a5200000000000000aa'},'z':[{'$numberDouble':'1.0'},1.5],'a':{'_id':'kept','n':\n 2.0},"
        "'etag':'" ETAG "','tenant_id':''}",
        IMPORT_TAKEN);
    becomes(USER_SETTINGS, "{'_id':1,'user_id':'nobody','t':'<\\u0000\u00e4>'}", IMPORT_TAKEN);
    AUTO(settings_release) struct settings common = {0};
    AUTO(settings_release) struct settings own = {0};
    ck_ok(settings_load(db, "", "", &common));
    ck_assert_str_eq(common.etag, ETAG);
    ck_assert_str_eq(common.body, "{\"z\":[1,1.5],\"a\":{\"_id\":\"kept\",\"n\":2}}");
    ck_ok(settings_load(db, "", "nobody", &own));
    ck_assert(rand_is_uuid(own.etag));
    ck_assert_str_eq(own.body, "{\"t\":\"<\\u0000\u00e4>\"}");
    db_free(&db);
}
END_TEST

START_TEST(settings_that_are_here_stay)
{
    begin(_i);
    becomes(SETTINGS, "{'a':1}", IMPORT_TAKEN);
    becomes(SETTINGS, "{'a':1.0}", IMPORT_THERE);
    becomes(SETTINGS, "{'a':1,'tenant_id':'t','etag':'" ETAG "'}", IMPORT_TAKEN);
    becomes(SETTINGS, "{'a':1,'tenant_id':'t','etag':'" ETAG "'}", IMPORT_THERE);
    skips(SETTINGS, "{'a':2}", "other settings");
    skips(SETTINGS, "{'a':1,'tenant_id':'t','etag':'" OTHER "'}", "other settings");
    db_free(&db);
}
END_TEST

START_TEST(settings_that_are_none_are_skipped)
{
    begin(_i);
    skips(SETTINGS, "{'a':{'$numberDouble':'NaN'}}", "plain JSON cannot");
    skips(SETTINGS, "{'a':{'$minKey':1}}", "plain JSON cannot");
    skips(SETTINGS, "{'tenant_id':{}}", "tenant_id is no text");
    skips(SETTINGS, "{'etag':7}", "etag is no text");
    skips(USER_SETTINGS, "{'a':1}", "user_id is missing");
    skips(USER_SETTINGS, "{'a':1,'user_id':''}", "user_id is empty");
    AUTO(mem_free) char *name = mem_calloc(4098, 1);
    memset(name, 'x', 4097);
    AUTO(mem_free) char *text = mem_printf("{'a':'%s'}", name);
    skips(SETTINGS, text, "over 4096");
    name[129] = '\0';
    AUTO(mem_free) char *member = mem_printf("{'%s':1}", name);
    skips(SETTINGS, member, "over 128");
    importing_holds_count(db, "SELECT COUNT(*) FROM settings", 0);
    db_free(&db);
}
END_TEST

/* The same verdicts in a database that holds only what was copied, and nothing new in the first one. */
START_TEST(a_copy_stands_in_for_a_dry_run)
{
    begin(_i);
    static const struct {
        int collection;
        const char *document;
    } stored[] =
        {
            {USERS, "{'_id':'1','email':'a@b.c','password':'" HASH "'}"},
            {USERS, "{'_id':'2','email':'b@b.c','password':'" HASH "'}"},
            {TOKENS, "{'_id':'" TOKEN "','sub':'1','iat':{'time':{'$date':5}},'name':'ci'}"},
            {SETTINGS, "{'a':1}"},
        },
      asked[] = {
          {USERS, "{'_id':'1','email':'a@b.c','password':'" HASH "'}"},
          {USERS, "{'_id':'2','email':'x@b.c','password':'" HASH "'}"},
          {USERS, "{'_id':'3','email':'b@b.c','password':'" HASH "'}"},
          {TOKENS, "{'_id':'" TOKEN "','sub':'1','iat':{'time':{'$date':5}},'name':'ci'}"},
          {TOKENS, "{'_id':'" TOKEN "','sub':'2','iat':{'time':{'$date':5}},'name':'ci'}"},
          {TOKENS, "{'_id':'" OTHER "','sub':'1','iat':{'time':{'$date':5}},'name':'ci'}"},
          {TOKENS, "{'_id':'" OTHER "','sub':'9','iat':{'time':{'$date':5}}}"},
          {SETTINGS, "{'a':1}"},
          {SETTINGS, "{'a':2}"},
          {USERS, "{'_id':'4','email':'d@b.c','password':'" HASH "'}"},
          {TOKENS, "{'_id':'" OTHER "','sub':'2','iat':{'time':{'$date':5}},'name':'ci'}"},
          {SETTINGS, "{'a':2,'tenant_id':'t'}"},
      };
    for (size_t i = 0; i < sizeof stored / sizeof *stored; i++)
        becomes(stored[i].collection, stored[i].document, IMPORT_TAKEN);
    struct db *scratch = support_db(0);
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct import_verdict foreseen =
            importing(&import_useradm[asked[i].collection], scratch, db, asked[i].document);
        importing_holds_count(db,
                              "SELECT (SELECT COUNT(*) FROM users) + (SELECT COUNT(*) FROM tokens) + "
                              "(SELECT COUNT(*) FROM settings)",
                              4);
        ck_assert_msg((foreseen.fate == IMPORT_TAKEN) == (i >= 9), "%s", asked[i].document);
    }
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        db_free(&scratch);
        scratch = support_db(0);
        struct import_verdict foreseen =
            importing(&import_useradm[asked[i].collection], scratch, db, asked[i].document);
        struct import_verdict got = importing(&import_useradm[asked[i].collection], db, NULL, asked[i].document);
        ck_assert_int_eq(foreseen.fate, got.fate);
        if (got.fate == IMPORT_SKIPPED)
            ck_assert_str_eq(foreseen.why, got.why);
    }
    db_free(&scratch);
    db_free(&db);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("import_useradm");
    TCase *tc = tcase_create("import_useradm");
    tcase_add_loop_test(tc, a_user_with_everything, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_user_with_little, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, users_that_are_none_are_skipped, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_user_that_is_here_is_left_alone, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, tokens_in_both_dialects, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_token_with_little_never_expires, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, ids_in_tokens_are_normalised, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, tokens_that_are_none_are_skipped, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, expired_tokens_are_counted_for_themselves, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_token_that_is_here_is_left_alone, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, settings_become_plain_json, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, settings_that_are_here_stay, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, settings_that_are_none_are_skipped, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_copy_stands_in_for_a_dry_run, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
