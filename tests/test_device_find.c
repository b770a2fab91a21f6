/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/device_find.h"

#include <stdlib.h>
#include <string.h>

#include "auth/device_admit.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

static struct fleet fleet;
static char *pem; /* a public key */

static const char ed25519[] = "-----BEGIN PUBLIC KEY-----\n"
                              "MCowBQYDK2VwAyEAQxHLacKuTaBzN8xexeM1wIkqiSx6F/sORDqLQsY9CwM=\n"
                              "-----END PUBLIC KEY-----\n";
static const char ed25519_hash[] = "ae93a9e95442e26d0ff7396af8fd6538224e7b45e81399b2487cf9acd160d1b1";

static void begin(int engine)
{
    const struct issuer_config config = {.kind = ISSUER_DEVICES, .iss = "x"};
    fleet = (struct fleet){.db = support_db(engine)};
    fleet.tokens = issuer_new(&config, fleet.db, NULL);
    pem = mem_strdup(ed25519);
}

static void finish(void)
{
    mem_free(&pem);
    issuer_free(&fleet.tokens);
    db_free(&fleet.db);
}

/* A device with this identity; its id goes to *id, which may be NULL. */
static void add(const char *tenant, const char *id_data, char **id)
{
    char why[JSON_SCAN_WHY_SIZE], key_why[PUBKEY_WHY_SIZE];
    struct device_identity identity;
    AUTO(iddata_release) struct iddata data = {0};
    AUTO(pubkey_free) struct pubkey *key = NULL;
    AUTO(mem_free) char *new_id = NULL;
    AUTO(device_free) struct device *known = NULL;
    ck_ok(iddata_parse(id_data, strlen(id_data), why, &data));
    ck_ok(pubkey_parse(pem, strlen(pem), PUBKEY_RSA_BITS_MIN, key_why, &key));
    device_identity_set(&identity, tenant, &data, key);
    ck_ok(device_admit_preauthorize(&fleet, &identity, false, "r", &new_id, &known));
    if (id != NULL)
        *id = MOVE(new_id);
}

/* The identities that text finds, one behind the other by "|"; "-" when there are none. */
static const char *found(const char *text)
{
    static char out[512];
    struct device **list = NULL;
    size_t n = 0;
    out[0] = '\0';
    enum err e = device_find(fleet.db, "", text, &list, &n);
    if (e == ERR_DEVICE_NOT_FOUND)
        return "-";
    ck_ok(e);
    for (size_t i = 0; i < n; i++)
        snprintf(out + strlen(out), sizeof out - strlen(out), "%s%s", i > 0 ? "|" : "", list[i]->id_data);
    device_list_free(&list, n);
    return out;
}

START_TEST(finds_by_id)
{
    AUTO(mem_free) char *id = NULL;
    begin(_i);
    add("", "{\"mac\":\"a\"}", &id);
    ck_assert_str_eq(found(id), "{\"mac\":\"a\"}");
    ck_assert_str_eq(found("00000000-0000-4000-8000-000000000000"), "-");
    finish();
}
END_TEST

START_TEST(finds_by_an_attribute)
{
    begin(_i);
    add("", "{\"mac\":\"a\",\"sn\":\"1\"}", NULL);
    add("", "{\"mac\":[\"b\",\"c\"],\"n\":7}", NULL);
    add("other", "{\"mac\":\"d\"}", NULL);
    ck_assert_str_eq(found("mac=a"), "{\"mac\":\"a\",\"sn\":\"1\"}");
    ck_assert_str_eq(found("sn=1"), "{\"mac\":\"a\",\"sn\":\"1\"}");
    ck_assert_str_eq(found("mac=c"), "{\"mac\":[\"b\",\"c\"],\"n\":7}");
    ck_assert_str_eq(found("n=7"), "{\"mac\":[\"b\",\"c\"],\"n\":7}");
    ck_assert_str_eq(found("mac=A"), "-");
    ck_assert_str_eq(found("mac=1"), "-");
    ck_assert_str_eq(found("mac="), "-");
    ck_assert_str_eq(found("mac=%"), "-");
    ck_assert_str_eq(found("m_c=a"), "-");
    ck_assert_str_eq(found("mac=d"), "-");
    finish();
}
END_TEST

START_TEST(the_whole_identity_goes_before_a_part_of_one)
{
    begin(_i);
    add("", "{\"mac\":\"a\",\"sn\":\"1\"}", NULL);
    add("", "{\"mac\":\"a\",\"sn\":\"2\"}", NULL);
    ck_assert_ptr_nonnull(strchr(found("mac=a"), '|'));
    add("", "{\"mac\":\"a\"}", NULL);
    ck_assert_str_eq(found("mac=a"), "{\"mac\":\"a\"}");
    ck_assert_str_eq(found("{ \"sn\":\"2\", \"mac\":\"a\" }"), "{\"mac\":\"a\",\"sn\":\"2\"}");
    ck_assert_str_eq(found("{\"sn\":\"2\"}"), "-");
    finish();
}
END_TEST

START_TEST(values_are_compared_as_they_are)
{
    begin(_i);
    add("", "{\"name\":\"50%_!\\\"<\\u00e9\",\"x\":\"1\"}", NULL);
    ck_assert_str_ne(found("name=50%_!\"<\xc3\xa9"), "-");
    ck_assert_str_eq(found("name=50%_!\"<"), "-");
    ck_assert_str_eq(found("name=\xff"), "-");
    finish();
}
END_TEST

START_TEST(finds_by_a_key)
{
    begin(_i);
    add("", "{\"mac\":\"a\"}", NULL);
    add("", "{\"mac\":\"b\"}", NULL);
    add("other", "{\"mac\":\"c\"}", NULL);
    ck_assert_ptr_nonnull(strstr(found(ed25519_hash), "\"a\""));
    ck_assert_ptr_nonnull(strstr(found(ed25519_hash), "\"b\""));
    ck_assert_ptr_null(strstr(found(ed25519_hash), "\"c\""));
    ck_assert_str_eq(found("0000000000000000000000000000000000000000000000000000000000000000"), "-");
    finish();
}
END_TEST

START_TEST(refuses_what_is_no_identity)
{
    struct device **list = NULL;
    size_t n = 0;
    begin(_i);
    ck_err(device_find(fleet.db, "", "{\"mac\"", &list, &n), ERR_JSON);
    finish();
}
END_TEST

START_TEST(names_keys_as_openssl_would)
{
    struct device_key_name name;
    device_find_key_name(ed25519, &name);
    ck_assert_str_eq(name.hash, ed25519_hash);
    ck_assert_str_eq(name.kind, "Ed25519");
    device_find_key_name("none", &name);
    ck_assert_str_eq(name.kind, "");
}
END_TEST

START_TEST(lists_tenants)
{
    char **tenants = NULL;
    size_t n = 0;
    begin(_i);
    ck_ok(device_find_tenants(fleet.db, &tenants, &n));
    ck_assert_uint_eq(n, 0);
    free(tenants);
    add("t2", "{\"mac\":\"a\"}", NULL);
    add("", "{\"mac\":\"a\"}", NULL);
    add("t2", "{\"mac\":\"b\"}", NULL);
    ck_ok(device_find_tenants(fleet.db, &tenants, &n));
    ck_assert_uint_eq(n, 2);
    ck_assert_str_eq(tenants[0], "");
    ck_assert_str_eq(tenants[1], "t2");
    for (size_t i = 0; i < n; i++)
        mem_free(&tenants[i]);
    free(tenants);
    finish();
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("device_find");
    TCase *tc = tcase_create("device_find");
    tcase_add_loop_test(tc, finds_by_id, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, finds_by_an_attribute, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_whole_identity_goes_before_a_part_of_one, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, values_are_compared_as_they_are, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, finds_by_a_key, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_what_is_no_identity, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, lists_tenants, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, names_keys_as_openssl_would);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
