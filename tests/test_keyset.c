/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/jwks.h"
#include "keystore/key.h"
#include "keystore/keyset.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

static struct key *make_key(const char *type, int64_t kid)
{
    AUTO(mem_wipe) char *pem = NULL;
    struct key *key = NULL;
    ck_ok(key_generate(type, &pem));
    ck_ok(key_parse(pem, strlen(pem), kid, KEY_RS256, &key));
    return key;
}

static struct keyset_entry entry(const char *file, struct key *key, enum err reason)
{
    return (struct keyset_entry){.file = mem_strdup(file), .key = key, .reason = reason};
}

/* Three keys whose names are in another order than their ids, and a file that never gave one; 7 signs. */
static struct keyset *make_set(void)
{
    struct keyset_entry *entries = mem_calloc(4, sizeof *entries);
    struct key *signing = make_key("ed25519", 7);
    entries[0] = entry("private.id.7.pem", key_ref(signing), ERR_OK);
    entries[1] = entry("private.id.12.pem", make_key("es256", 12), ERR_OK);
    entries[2] = entry("private.id.9.pem", NULL, ERR_KEY_ENCRYPTED);
    entries[3] = entry("default.pem", make_key("ed25519", 0), ERR_OK);
    struct keyset *set = keyset_new(entries, 4, signing, NULL);
    key_free(&signing);
    return set;
}

START_TEST(finds_keys_by_id)
{
    AUTO(keyset_free) struct keyset *set = make_set();
    static const int64_t present[] = {0, 7, 12};
    static const int64_t absent[] = {
        -1, 1, 9, 13, KEY_KID_MAX, INT64_MIN, INT64_MAX, INT64_C(1) << 32, (INT64_C(1) << 32) + 7};
    for (size_t i = 0; i < sizeof present / sizeof *present; i++) {
        const struct key *key = keyset_find(set, present[i]);
        ck_assert_ptr_nonnull(key);
        ck_assert_int_eq(key_kid(key), present[i]);
    }
    for (size_t i = 0; i < sizeof absent / sizeof *absent; i++)
        ck_assert_ptr_null(keyset_find(set, absent[i]));
}
END_TEST

START_TEST(finds_keys_by_exact_header)
{
    AUTO(keyset_free) struct keyset *set = make_set();
    static const int64_t kids[] = {0, 7, 12};
    for (size_t i = 0; i < sizeof kids / sizeof *kids; i++) {
        const struct key *key = keyset_find(set, kids[i]);
        const char *header = key_header(key);
        size_t len = strlen(header);
        ck_assert_ptr_eq(keyset_find_header(set, header, len), key);
        ck_assert_ptr_null(keyset_find_header(set, header, len - 1));
        AUTO(mem_free) char *longer = mem_printf("%sA", header);
        ck_assert_ptr_eq(keyset_find_header(set, longer, len), key);
        ck_assert_ptr_null(keyset_find_header(set, longer, len + 1));
        longer[len - 1] ^= 1;
        ck_assert_ptr_null(keyset_find_header(set, longer, len));
    }
    ck_assert_ptr_null(keyset_find_header(set, "", 0));
}
END_TEST

START_TEST(knows_who_signs_and_who_falls_back)
{
    struct key *signing = make_key("ed25519", 5);
    struct key *fallback = make_key("ed25519", 6);
    AUTO(keyset_free) struct keyset *set = keyset_new(NULL, 0, signing, fallback);
    ck_assert_ptr_eq(keyset_signing(set), signing);
    ck_assert_ptr_eq(keyset_fallback(set), fallback);
    key_free(&signing);
    key_free(&fallback);
    ck_assert_int_eq(key_kid(keyset_signing(set)), 5);
    ck_assert_ptr_eq(keyset_find(set, 5), keyset_signing(set));
    ck_assert_ptr_null(keyset_find(set, 6));
}
END_TEST

START_TEST(empty_set_has_nothing)
{
    AUTO(keyset_free) struct keyset *set = keyset_new(NULL, 0, NULL, NULL);
    ck_assert_ptr_null(keyset_signing(set));
    ck_assert_ptr_null(keyset_fallback(set));
    ck_assert_ptr_null(keyset_find(set, 0));
    ck_assert_ptr_null(keyset_find_header(set, "e30", 3));
    ck_assert_uint_eq(keyset_count(set), 0);
    ck_assert(keyset_is_clean(set));
    ck_assert_str_eq(keyset_jwks(set), "{\"keys\":[]}");
}
END_TEST

START_TEST(lists_files_in_name_order)
{
    static const char *const names[] = {"default.pem", "private.id.12.pem", "private.id.7.pem", "private.id.9.pem"};
    AUTO(keyset_free) struct keyset *set = make_set();
    ck_assert_uint_eq(keyset_count(set), 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(keyset_entry(set, i)->file, names[i]);
    ck_assert_int_eq(keyset_entry(set, 3)->reason, ERR_KEY_ENCRYPTED);
    ck_assert_ptr_null(keyset_entry(set, 3)->key);
}
END_TEST

START_TEST(is_clean_without_refused_files_and_held_keys)
{
    AUTO(keyset_free) struct keyset *refused = make_set();
    ck_assert(!keyset_is_clean(refused));

    struct keyset_entry *entries = mem_calloc(1, sizeof *entries);
    entries[0] = entry("a.pem", make_key("ed25519", 1), ERR_OK);
    AUTO(keyset_free) struct keyset *clean = keyset_new(entries, 1, NULL, NULL);
    ck_assert(keyset_is_clean(clean));

    struct keyset_entry *gone = mem_calloc(1, sizeof *gone);
    gone[0] = entry("a.pem", make_key("ed25519", 1), ERR_OK);
    gone[0].is_held = true;
    AUTO(keyset_free) struct keyset *held = keyset_new(gone, 1, NULL, NULL);
    ck_assert(!keyset_is_clean(held));
}
END_TEST

START_TEST(keys_outlive_the_set_that_gave_them_back)
{
    struct key *key = make_key("ed25519", 3);
    struct keyset_entry *entries = mem_calloc(1, sizeof *entries);
    entries[0] = entry("a.pem", key_ref(key), ERR_OK);
    struct keyset *set = keyset_new(entries, 1, key, key);
    keyset_free(&set);
    ck_assert_ptr_null(set);
    keyset_free(&set);
    uint8_t sig[KEY_SIGNATURE_MAX];
    ck_ok(key_sign(key, "x", 1, sig));
    ck_ok(key_verify(key, "x", 1, sig, key_signature_size(key)));
    key_free(&key);
}
END_TEST

START_TEST(jwks_is_sorted_by_id_and_has_public_members_only)
{
    static const char *const secrets[] = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"};
    static const char *const kids[] = {"0", "7", "12", "900"};
    struct keyset_entry *entries = mem_calloc(4, sizeof *entries);
    entries[0] = entry("a", make_key("es384", 900), ERR_OK);
    entries[1] = entry("b", make_key("rsa2048", 12), ERR_OK);
    entries[2] = entry("c", make_key("ed25519", 0), ERR_OK);
    entries[3] = entry("d", make_key("es512", 7), ERR_OK);
    AUTO(keyset_free) struct keyset *set = keyset_new(entries, 4, NULL, NULL);
    AUTO(json_release) json_t *jwks = NULL;
    ck_ok(json_parse_strict(keyset_jwks(set), strlen(keyset_jwks(set)), &jwks));
    json_t *keys = json_object_get(jwks, "keys");
    ck_assert_uint_eq(json_object_size(jwks), 1);
    ck_assert_uint_eq(json_array_size(keys), 4);
    for (size_t i = 0; i < 4; i++) {
        json_t *jwk = json_array_get(keys, i);
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "kid")), kids[i]);
        ck_assert_str_eq(json_string_value(json_object_get(jwk, "use")), "sig");
        for (size_t s = 0; s < sizeof secrets / sizeof *secrets; s++)
            ck_assert_ptr_null(json_object_get(jwk, secrets[s]));
    }
}
END_TEST

START_TEST(jwks_has_each_id_once)
{
    struct key *key = make_key("ed25519", 3);
    struct keyset_entry *entries = mem_calloc(2, sizeof *entries);
    entries[0] = entry("a", key_ref(key), ERR_OK);
    entries[1] = entry("b", key_ref(key), ERR_KEY_DUPLICATE);
    AUTO(keyset_free) struct keyset *set = keyset_new(entries, 2, key, NULL);
    AUTO(json_release) json_t *jwk = key_jwk(key);
    AUTO(mem_free) char *one = json_dumps(jwk, JSON_COMPACT);
    AUTO(mem_free) char *want = mem_printf("{\"keys\":[%s]}", one);
    ck_assert_str_eq(keyset_jwks(set), want);

    const struct key *const alone[] = {key};
    AUTO(mem_free) char *text = NULL;
    char tag[JWKS_ETAG_SIZE];
    jwks_write(alone, 1, &text, tag);
    ck_assert_str_eq(keyset_jwks(set), text);
    ck_assert_str_eq(keyset_etag(set), tag);
    key_free(&key);
}
END_TEST

START_TEST(etag_is_strong_and_follows_the_text)
{
    struct key *a = make_key("ed25519", 1), *b = make_key("ed25519", 2);
    const struct key *const first[] = {a, b}, *const second[] = {b, a};
    AUTO(mem_free) char *x = NULL;
    AUTO(mem_free) char *y = NULL;
    AUTO(mem_free) char *z = NULL;
    char x_tag[JWKS_ETAG_SIZE], y_tag[JWKS_ETAG_SIZE], z_tag[JWKS_ETAG_SIZE];
    jwks_write(first, 2, &x, x_tag);
    jwks_write(first, 2, &y, y_tag);
    jwks_write(second, 2, &z, z_tag);
    ck_assert_str_eq(x, y);
    ck_assert_str_eq(x_tag, y_tag);
    ck_assert_str_ne(x, z);
    ck_assert_str_ne(x_tag, z_tag);
    ck_assert_uint_eq(strlen(x_tag), 34);
    ck_assert_int_eq(x_tag[0], '"');
    ck_assert_int_eq(x_tag[33], '"');
    ck_assert_uint_eq(strspn(x_tag + 1, "0123456789abcdef"), 32);
    key_free(&a);
    key_free(&b);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("keyset");
    TCase *tc = tcase_create("keyset");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, finds_keys_by_id);
    tcase_add_test(tc, finds_keys_by_exact_header);
    tcase_add_test(tc, knows_who_signs_and_who_falls_back);
    tcase_add_test(tc, empty_set_has_nothing);
    tcase_add_test(tc, lists_files_in_name_order);
    tcase_add_test(tc, is_clean_without_refused_files_and_held_keys);
    tcase_add_test(tc, keys_outlive_the_set_that_gave_them_back);
    tcase_add_test(tc, jwks_is_sorted_by_id_and_has_public_members_only);
    tcase_add_test(tc, jwks_has_each_id_once);
    tcase_add_test(tc, etag_is_strong_and_follows_the_text);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
