/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/import_deviceauth.h"

#include <string.h>

#include "auth/device.h"
#include "auth/device_enrol.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/fixture.h"
#include "tests/importing.h"

#define NOW_MS INT64_C(1763715905120)
#define DEVICE "9cfa9a52-6a26-4d4c-8d5e-0f1c2b3a4d5e"
#define OTHER "1c6a5d2f-7a1b-4d6a-8b66-3a7b5a2e2b02"
#define SET "0b5f4c1e-6f0a-4c59-9a55-2f6a4f1d1a01"
#define SET_2 "2d7b6e3a-8b2c-4e7b-9c77-4b8c6b3f3c03"
#define OID "63ff0a5200000000000000aa"
#define MAC(n) "{\\'mac\\':\\'02:00:00:00:00:0" n "\\'}"
#define SHA256_1 "jJpoQ03O6Cufc6JvoO+0yMgLe0n3UEoakLHds1xPono="
#define ED25519                                                                                                        \
    "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAgiuzZSOHselLeAgf/FbUo64bhlRMMb+Z+MKqBZsdcmc=\\n"                     \
    "-----END PUBLIC KEY-----"
#define P256                                                                                                           \
    "-----BEGIN PUBLIC KEY-----\\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzeZBnHa1WPmB0wpuBWO1RVow8ZgT\\n"                 \
    "nODIhyDoeTyjY9OU6SysSW4J8UKH81ZzCcrRG1qdIc1f05A1BCu/akSXsQ==\\n-----END PUBLIC KEY-----\\n"

enum { BOARDS, SETS, TOKENS, LIMITS };

static struct db *db;

static void begin(int engine)
{
    clock_set(NOW_MS);
    db = support_db(engine);
}

static void becomes(int collection, const char *text, enum import_fate want)
{
    importing_becomes(&import_deviceauth[collection], db, text, want);
}

static void skips(int collection, const char *text, const char *why)
{
    importing_skips(&import_deviceauth[collection], db, text, why);
}

static void take_device(void)
{
    becomes(BOARDS, "{'_id':'" DEVICE "','id_data':'" MAC("1") "','status':'accepted'}", IMPORT_TAKEN);
}

static void take_set(void)
{
    take_device();
    becomes(SETS, "{'_id':'" SET "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted'}", IMPORT_TAKEN);
}

#define DEVICE_ROW                                                                                                     \
    "SELECT id || '|' || tenant_id || '|' || id_data || '|' || status || '|' || decommissioning || '|' || "            \
    "provisioned || '|' || revision || '|' || created_ms || '|' || updated_ms FROM devices"
#define SET_ROW "SELECT id || '|' || tenant_id || '|' || device_id || '|' || status || '|' || created_ms FROM auth_sets"
#define TOKEN_ROW                                                                                                      \
    "SELECT id || '|' || tenant_id || '|' || device_id || '|' || issued_ms || '|' || expires_ms FROM device_tokens"

START_TEST(a_device_with_everything)
{
    begin(_i);
    becomes(BOARDS,
            "{'_id':'" DEVICE "','tenant_id':'acme','id_data':'" MAC(
                "1") "','id_data_struct':{'mac':"
                     "'02:00:00:00:00:01'},'id_data_sha256':{'$binary':{'base64':'" SHA256_1 "','subType':'00'}},"
                     "'status':'accepted','decommissioning':true,'provisioned':true,'revision':{'$numberLong':'7'},"
                     "'created_ts':{'$date':'2023-03-01T08:15:30.125Z'},'updated_ts':{'$date':{'$numberLong':'"
                     "1677658530999'}},"
                     "'check_in_time':{'$date':1677658531000},'api_limits':null,'unknown':[]}",
            IMPORT_TAKEN);
    importing_holds(db, DEVICE_ROW,
                    DEVICE "|acme|{\"mac\":\"02:00:00:00:00:01\"}|accepted|1|1|7|1677658530125|1677658530999");
    importing_holds(db, "SELECT device_id || '|' || seen_ms || '|' || told_ms FROM device_check_ins",
                    DEVICE "|1677658531000|1677658531000");
    importing_holds(db, "SELECT tenant_id || '|' || device_id || '|' || name || '|' || value FROM device_attributes",
                    "acme|" DEVICE "|mac|02:00:00:00:00:01");
    db_free(&db);
}
END_TEST

START_TEST(a_device_with_little)
{
    begin(_i);
    becomes(BOARDS, "{'_id':'" OID "','id_data':'{ \\'b\\' : 1.0, \\'a\\' : [] }','status':'noauth'}", IMPORT_TAKEN);
    importing_holds(db, DEVICE_ROW, OID "||{\"a\":[],\"b\":1}|noauth|0|0|1|0|0");
    importing_holds_count(db, "SELECT COUNT(*) FROM device_check_ins", 0);
    db_free(&db);
}
END_TEST

START_TEST(devices_that_are_none_are_skipped)
{
    begin(_i);
    static const struct {
        const char *document;
        const char *why;
    } cases[] = {
        {"{}", "_id is missing"},
        {"{'_id':7,'id_data':'{}','status':'pending'}", "_id is missing"},
        {"{'_id':'','id_data':'{}','status':'pending'}", "_id is empty"},
        {"{'_id':'1','status':'pending'}", "id_data is missing"},
        {"{'_id':'1','id_data':{'mac':'1'},'status':'pending'}", "id_data is missing"},
        {"{'_id':'1','id_data':'[]','status':'pending'}", "id_data is no JSON object"},
        {"{'_id':'1','id_data':'{','status':'pending'}", "id_data is no JSON object"},
        {"{'_id':'1','id_data':'{}'}", "status is missing"},
        {"{'_id':'1','id_data':'{}','status':'Accepted'}", "status is none"},
        {"{'_id':'1','id_data':'{}','status':'pending','tenant_id':7}", "tenant_id"},
        {"{'_id':'1','id_data':'{}','status':'pending','decommissioning':'no'}", "decommissioning"},
        {"{'_id':'1','id_data':'{}','status':'pending','provisioned':1}", "provisioned"},
        {"{'_id':'1','id_data':'{}','status':'pending','revision':'7'}", "revision"},
        {"{'_id':'1','id_data':'{}','status':'pending','created_ts':'2023-03-01T08:15:30Z'}", "created_ts"},
        {"{'_id':'1','id_data':'{}','status':'pending','updated_ts':7}", "updated_ts"},
        {"{'_id':'1','id_data':'{}','status':'pending','check_in_time':{'$date':'x'}}", "check_in_time"},
        {"{'_id':'1','id_data':'{}','status':'pending','id_data_sha256':'" SHA256_1 "'}", "no binary data"},
        {"{'_id':'1','id_data':'{}','status':'pending',"
         "'id_data_sha256':{'$binary':{'base64':'" SHA256_1 "','subType':'00'}}}",
         "not that of id_data"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        skips(BOARDS, cases[i].document, cases[i].why);
    importing_holds_count(db, "SELECT COUNT(*) FROM devices", 0);
    db_free(&db);
}
END_TEST

START_TEST(a_device_that_is_here_is_left_alone)
{
    begin(_i);
    static const char same[] = "{'_id':'1','id_data':'" MAC("1") "','status':'pending'}";
    becomes(BOARDS, same, IMPORT_TAKEN);
    becomes(BOARDS, same, IMPORT_THERE);
    ck_ok(db_exec(db, "UPDATE devices SET revision = 5, updated_ms = 6", DB_ARGS(), NULL));
    becomes(BOARDS, same, IMPORT_THERE);
    skips(BOARDS, "{'_id':'1','id_data':'" MAC("1") "','status':'accepted'}", "other content");
    skips(BOARDS, "{'_id':'1','id_data':'" MAC("2") "','status':'pending'}", "other content");
    skips(BOARDS, "{'_id':'1','id_data':'" MAC("1") "','status':'pending','tenant_id':'t'}", "other content");
    skips(BOARDS, "{'_id':'2','id_data':'" MAC("1") "','status':'pending'}", "another device has this identity");
    becomes(BOARDS, "{'_id':'3','id_data':'" MAC("1") "','status':'pending','tenant_id':'t'}", IMPORT_TAKEN);
    importing_holds(db, DEVICE_ROW " WHERE id = '1'", "1||{\"mac\":\"02:00:00:00:00:01\"}|pending|0|0|5|0|6");
    db_free(&db);
}
END_TEST

START_TEST(a_set_has_its_key_in_the_one_form)
{
    begin(_i);
    take_device();
    becomes(SETS,
            "{'_id':'" SET "','device_id':'" DEVICE "','tenant_id':'','id_data':'" MAC(
                "1") "','pubkey':'" ED25519 "',"
                     "'ts':{'$date':{'$numberLong':'1677658530999'}},'status':'accepted'}",
            IMPORT_TAKEN);
    importing_holds(db, SET_ROW, SET "||" DEVICE "|accepted|1677658530999");
    AUTO(device_free) struct device *device = NULL;
    ck_ok(device_get(db, "", DEVICE, &device));
    ck_assert_uint_eq(device->sets, 1);
    ck_assert_str_eq(device->set[0].pubkey, "-----BEGIN PUBLIC KEY-----\n"
                                            "MCowBQYDK2VwAyEAgiuzZSOHselLeAgf/FbUo64bhlRMMb+Z+MKqBZsdcmc=\n"
                                            "-----END PUBLIC KEY-----\n");
    db_free(&db);
}
END_TEST

START_TEST(sets_that_are_none_are_skipped)
{
    begin(_i);
    take_device();
    static const struct {
        const char *members;
        const char *why;
    } cases[] = {
        {"'device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted'", "_id is missing"},
        {"'_id':'1','pubkey':'" P256 "','status':'accepted'", "device_id is missing"},
        {"'_id':'1','device_id':'" DEVICE "','status':'accepted'", "pubkey is missing"},
        {"'_id':'1','device_id':'" DEVICE "','pubkey':'x','status':'accepted'", "pubkey cannot be used"},
        {"'_id':'1','device_id':'" DEVICE "','pubkey':'" P256 "'", "status is missing"},
        {"'_id':'1','device_id':'" DEVICE "','pubkey':'" P256 "','status':'noauth'", "status is none"},
        {"'_id':'1','device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted','ts':7", "ts is no date"},
        {"'_id':'1','device_id':'" OTHER "','pubkey':'" P256 "','status':'accepted'", "device is not here"},
        {"'_id':'1','device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted','tenant_id':'t'",
         "device is not here"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(mem_free) char *document = mem_printf("{%s}", cases[i].members);
        skips(SETS, document, cases[i].why);
    }
    importing_holds_count(db, "SELECT COUNT(*) FROM auth_sets", 0);
    db_free(&db);
}
END_TEST

START_TEST(a_set_that_is_here_is_left_alone)
{
    begin(_i);
    take_set();
    becomes(SETS, "{'_id':'" SET "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted'}", IMPORT_THERE);
    skips(SETS, "{'_id':'" SET "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'rejected'}", "other content");
    skips(SETS, "{'_id':'" SET "','device_id':'" DEVICE "','pubkey':'" ED25519 "','status':'accepted'}",
          "other content");
    skips(SETS, "{'_id':'" SET_2 "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'pending'}",
          "another set of this key");
    becomes(SETS, "{'_id':'" SET_2 "','device_id':'" DEVICE "','pubkey':'" ED25519 "','status':'pending'}",
            IMPORT_TAKEN);
    importing_holds(db, SET_ROW " WHERE id = '" SET "'", SET "||" DEVICE "|accepted|0");
    db_free(&db);
}
END_TEST

START_TEST(tokens_live_on_while_their_set_is_accepted)
{
    begin(_i);
    take_set();
    static const char token[] =
        "{'_id':{'$binary':{'base64':'C19MHm8KTFmaVS9qTx0aAQ==','subType':'04'}},'sub':{'$uuid':'" DEVICE "'},"
        "'iss':'Mender','exp':{'time':{'$date':'2099-01-01T00:00:00Z'}},'mender.device':true,'mender.tenant':''}";
    becomes(TOKENS, token, IMPORT_TAKEN);
    becomes(TOKENS, token, IMPORT_THERE);
    importing_holds(db, TOKEN_ROW, SET "||" DEVICE "|0|4070908800000");
    db_free(&db);
}
END_TEST

START_TEST(tokens_that_are_none_are_skipped)
{
    begin(_i);
    take_set();
    becomes(SETS, "{'_id':'" SET_2 "','device_id':'" DEVICE "','pubkey':'" ED25519 "','status':'rejected'}",
            IMPORT_TAKEN);
    static const struct {
        const char *members;
        const char *why;
    } cases[] = {
        {"'sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}", "_id is missing"},
        {"'_id':'" SET "','exp':{'time':{'$date':4070908800000}}", "sub is missing"},
        {"'_id':'" SET "','sub':'" DEVICE "'", "exp is missing"},
        {"'_id':'" SET "','sub':'" DEVICE "','exp':{'$date':4070908800000}", "exp is missing"},
        {"'_id':'" OTHER "','sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}", "set is not here"},
        {"'_id':'" SET "','sub':'" OTHER "','exp':{'time':{'$date':4070908800000}}", "of another device"},
        {"'_id':'" SET_2 "','sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}", "not accepted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(mem_free) char *document = mem_printf("{%s}", cases[i].members);
        skips(TOKENS, document, cases[i].why);
    }
    AUTO(mem_free)
    char *now = mem_printf("{'_id':'" SET "','sub':'" DEVICE "','exp':{'time':{'$date':{'$numberLong':'%lld'}}}}",
                           (long long)NOW_MS);
    becomes(TOKENS, now, IMPORT_EXPIRED);
    importing_holds_count(db, "SELECT COUNT(*) FROM device_tokens", 0);
    db_free(&db);
}
END_TEST

START_TEST(limits_of_tenants)
{
    begin(_i);
    becomes(LIMITS, "{'_id':{'$oid':'" OID "'},'tenant_id':'t','name':'max_devices','value':{'$numberLong':'500'}}",
            IMPORT_TAKEN);
    becomes(LIMITS, "{'name':'max_devices','value':-1}", IMPORT_TAKEN);
    becomes(LIMITS, "{'tenant_id':'t','name':'max_devices','value':500.0}", IMPORT_THERE);
    skips(LIMITS, "{'tenant_id':'t','name':'max_devices','value':501}", "another limit");
    skips(LIMITS, "{'name':'max_users','value':1}", "not max_devices");
    skips(LIMITS, "{'value':1}", "name is missing");
    skips(LIMITS, "{'name':'max_devices'}", "value is missing");
    skips(LIMITS, "{'name':'max_devices','value':1.5}", "value is missing");
    int64_t limit = 0;
    ck_ok(device_limit_get(db, "t", &limit));
    ck_assert_int_eq(limit, 500);
    ck_ok(device_limit_get(db, "", &limit));
    ck_assert_int_eq(limit, DEVICE_LIMIT_NONE);
    db_free(&db);
}
END_TEST

/* What an accepted device of the original then gets: its token works on, and it gets another when it asks. */
START_TEST(a_fleet_moves_without_being_admitted_again)
{
    struct fixture f;
    fixture_init(&f, _i);
    db = f.db;
    take_set();
    becomes(TOKENS, "{'_id':'" SET "','sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}}", IMPORT_TAKEN);
    struct issuer_token old = {.claims = {.jti = SET, .sub = DEVICE, .iss = "Mender", .iat = 5, .is_device = true}};
    ck_ok(issuer_alive(f.fleet.tokens, &old, true));
    AUTO(device_free) struct device *device = NULL;
    ck_ok(device_get(f.db, "", DEVICE, &device));
    char why[PUBKEY_WHY_SIZE];
    char json_why[JSON_SCAN_WHY_SIZE];
    AUTO(pubkey_free) struct pubkey *key = NULL;
    AUTO(iddata_release) struct iddata id = {0};
    struct device_identity identity;
    ck_ok(pubkey_parse(device->set[0].pubkey, strlen(device->set[0].pubkey), 1024, why, &key));
    ck_ok(iddata_parse(device->id_data, strlen(device->id_data), json_why, &id));
    device_identity_set(&identity, "", &id, key);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(device_enrol(&f.fleet, &identity, &f.fleet.plan, "r", true, &token));
    struct issuer_token fresh;
    ck_ok(issuer_check(f.fleet.tokens, token, strlen(token), &fresh));
    ck_assert_str_eq(fresh.claims.jti, SET);
    ck_assert_str_eq(fresh.claims.sub, DEVICE);
    ck_ok(issuer_alive(f.fleet.tokens, &fresh, true));
    issuer_revoked(f.fleet.tokens);
    ck_ok(issuer_alive(f.fleet.tokens, &old, true));
    fixture_release(&f);
}
END_TEST

/* The same verdicts in a database that holds only what was copied, and nothing new in the first one. */
START_TEST(a_copy_stands_in_for_a_dry_run)
{
    begin(_i);
    take_set();
    becomes(TOKENS, "{'_id':'" SET "','sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}}", IMPORT_TAKEN);
    becomes(LIMITS, "{'name':'max_devices','value':5}", IMPORT_TAKEN);
    static const struct {
        int collection;
        const char *document;
    } asked[] = {
        {BOARDS, "{'_id':'" DEVICE "','id_data':'" MAC("1") "','status':'accepted'}"},
        {BOARDS, "{'_id':'" DEVICE "','id_data':'" MAC("1") "','status':'pending'}"},
        {BOARDS, "{'_id':'" OTHER "','id_data':'" MAC("1") "','status':'pending'}"},
        {BOARDS, "{'_id':'" OTHER "','id_data':'" MAC("2") "','status':'pending'}"},
        {SETS, "{'_id':'" SET "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted'}"},
        {SETS, "{'_id':'" SET "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'rejected'}"},
        {SETS, "{'_id':'" SET_2 "','device_id':'" DEVICE "','pubkey':'" P256 "','status':'accepted'}"},
        {SETS, "{'_id':'" SET_2 "','device_id':'nobody','pubkey':'" P256 "','status':'accepted'}"},
        {SETS, "{'_id':'" SET_2 "','device_id':'" DEVICE "','pubkey':'" ED25519 "','status':'rejected'}"},
        {TOKENS, "{'_id':'" SET "','sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}}"},
        {TOKENS, "{'_id':'" SET_2 "','sub':'" DEVICE "','exp':{'time':{'$date':4070908800000}}}"},
        {LIMITS, "{'name':'max_devices','value':5}"},
        {LIMITS, "{'name':'max_devices','value':6}"},
        {LIMITS, "{'name':'max_devices','value':6,'tenant_id':'t'}"},
    };
    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        struct db *scratch = support_db(0);
        const struct import_collection *collection = &import_deviceauth[asked[i].collection];
        static const char sum[] = "SELECT (SELECT COUNT(*) FROM devices) + (SELECT COUNT(*) FROM auth_sets) + "
                                  "(SELECT COUNT(*) FROM device_tokens) + (SELECT COUNT(*) FROM limits)";
        int64_t before = 4 + (i > 3) + (i > 8);
        struct import_verdict foreseen = importing(collection, scratch, db, asked[i].document);
        importing_holds_count(db, sum, before);
        struct import_verdict got = importing(collection, db, NULL, asked[i].document);
        importing_holds_count(db, sum, before + (got.fate == IMPORT_TAKEN));
        ck_assert_int_eq(foreseen.fate, got.fate);
        if (got.fate == IMPORT_SKIPPED)
            ck_assert_str_eq(foreseen.why, got.why);
        db_free(&scratch);
    }
    db_free(&db);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("import_deviceauth");
    TCase *tc = tcase_create("import_deviceauth");
    tcase_add_loop_test(tc, a_device_with_everything, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_device_with_little, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, devices_that_are_none_are_skipped, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_device_that_is_here_is_left_alone, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_set_has_its_key_in_the_one_form, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, sets_that_are_none_are_skipped, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_set_that_is_here_is_left_alone, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, tokens_live_on_while_their_set_is_accepted, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, tokens_that_are_none_are_skipped, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, limits_of_tenants, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_fleet_moves_without_being_admitted_again, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_copy_stands_in_for_a_dry_run, 0, SUPPORT_ENGINES);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
