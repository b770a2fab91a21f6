/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jws.h"

#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/forge.h"
#include "tests/support.h"

/*
 * Public test vectors. Their tokens have string kids and payloads that are not claims, so they run against one given
 * key; that jws_verify() refuses their kids is checked beside it.
 */

/* Wycheproof's cases that are not run, each for its reason. */
static const struct {
    json_int_t id;
    const char *why;
} skipped[] = {
    {353, "the key's use"},
    {354, "the key's use"},
    {355, "the key's key_ops"},
    {356, "the key's key_ops"},
    {367, "the same token as 357, which is valid"},
    {370, "the same token as 357, which is valid"},
    {372, "declared valid with a question mark in the header"},
    {373, "declared valid with a question mark in the payload"},
};

enum { SKIPPED = sizeof skipped / sizeof skipped[0] };

/* The keys of the asymmetric groups: no MACed token may pass with any of them. */
struct ring {
    struct key *keys[32];
    size_t n;
};

static bool is_skipped(json_int_t id)
{
    for (size_t i = 0; i < SKIPPED; i++) {
        if (skipped[i].id == id)
            return true;
    }
    return false;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));
    return text != NULL ? text : "";
}

static json_t *load(const char *name)
{
    AUTO(mem_free) char *text = support_data(name, NULL);
    json_t *json = json_loads(text, 0, NULL);
    ck_assert_msg(json != NULL, "%s is not JSON", name);
    return json;
}

/*
 * The alg that a group's key is pinned to. The file says PS256 for the key of RFC 7520 figure 20, whose token and text
 * say PS384; and ES521, which does not exist, for figure 27. EC keys need no name: the curve decides.
 */
static enum key_alg pinned_alg(const json_t *group, const json_t *jwk)
{
    const char *name = text_of(jwk, "alg");
    enum key_alg alg = KEY_RS256;
    if (strncmp(text_of(group, "comment"), "rfc7520", 7) == 0 && strcmp(name, "PS256") == 0)
        return KEY_PS384;
    if (strcmp(text_of(jwk, "kty"), "RSA") == 0 && *name != '\0')
        ck_ok(key_alg_parse(name, &alg));
    return alg;
}

static bool is_mac_group(const json_t *group)
{
    return strcmp(text_of(json_object_get(group, "private"), "kty"), "oct") == 0;
}

static void run_signed(const json_t *test, const struct key *key)
{
    const char *token = text_of(test, "jws");
    bool is_valid = strcmp(text_of(test, "result"), "valid") == 0;
    struct jws jws;
    enum err verdict = jws_verify_key(key, token, strlen(token), &jws);
    ck_assert_msg((verdict == ERR_OK) == is_valid, "tcId %d (%s): %s",
                  (int)json_integer_value(json_object_get(test, "tcId")), text_of(test, "comment"), err_name(verdict));
    if (!is_valid)
        return;
    AUTO(mem_free) char *payload = forge_base64(jws.payload, jws.payload_len);
    const char *encoded = strchr(token, '.') + 1;
    ck_assert_uint_eq(strlen(payload), (size_t)(strrchr(token, '.') - encoded));
    ck_assert_int_eq(strncmp(payload, encoded, strlen(payload)), 0);
}

static void run_mac(const json_t *test, const struct ring *ring)
{
    const char *token = text_of(test, "jws");
    struct jws jws;
    for (size_t i = 0; i < ring->n; i++)
        ck_err(jws_verify_key(ring->keys[i], token, strlen(token), &jws), ERR_TOKEN_INVALID);
}

/* HS256, so only the spelling of the three parts is ours to judge. */
static void run_base64(const json_t *test)
{
    const char *part = text_of(test, "jws");
    bool is_valid = strcmp(text_of(test, "result"), "valid") == 0;
    bool is_decoded = true;
    uint8_t bytes[1024];
    while (part != NULL) {
        size_t len = strcspn(part, ".");
        is_decoded = is_decoded && base64_decode(BASE64_URL, part, len, bytes, NULL) >= 0;
        part = part[len] == '.' ? part + len + 1 : NULL;
    }
    ck_assert_msg(is_decoded == is_valid, "tcId %d", (int)json_integer_value(json_object_get(test, "tcId")));
}

static size_t run_group(const json_t *group, const struct key *key, const struct ring *ring)
{
    size_t ran = 0;
    size_t i;
    json_t *test;
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        if (is_skipped(json_integer_value(json_object_get(test, "tcId"))))
            continue;
        if (key != NULL)
            run_signed(test, key);
        else
            run_mac(test, ring);
        if (strcmp(text_of(group, "comment"), "base64") == 0)
            run_base64(test);
        ran++;
    }
    return ran;
}

START_TEST(agrees_with_wycheproof)
{
    AUTO(json_release) json_t *file = load("wycheproof/json_web_signature_test.json");
    const json_t *groups = json_object_get(file, "testGroups");
    struct ring ring = {0};
    struct key *key_of[32] = {0};
    size_t ran = 0;
    size_t i;
    json_t *group;
    ck_assert_uint_le(json_array_size(groups), 32);
    json_array_foreach(groups, i, group)
    {
        const json_t *jwk = json_object_get(group, "private");
        if (!is_mac_group(group))
            ring.keys[ring.n++] = key_of[i] = forge_jwk_key(jwk, 0, pinned_alg(group, jwk));
    }
    json_array_foreach(groups, i, group) ran += run_group(group, key_of[i], &ring);
    ck_assert_uint_eq(ring.n, 19);
    ck_assert_int_eq((json_int_t)ran, json_integer_value(json_object_get(file, "numberOfTests")) - SKIPPED);
    ck_assert_uint_eq(ran, 393);
    while (ring.n > 0)
        key_free(&ring.keys[--ring.n]);
}
END_TEST

START_TEST(refuses_string_kids_of_wycheproof)
{
    AUTO(json_release) json_t *file = load("wycheproof/json_web_signature_test.json");
    size_t i;
    json_t *group;
    json_array_foreach(json_object_get(file, "testGroups"), i, group)
    {
        size_t j;
        json_t *test;
        const json_t *jwk = json_object_get(group, "private");
        AUTO(keyset_free)
        struct keyset *set =
            forge_set(is_mac_group(group) ? NULL : forge_jwk_key(jwk, 0, pinned_alg(group, jwk)), NULL, NULL, NULL);
        json_array_foreach(json_object_get(group, "tests"), j, test)
            ck_err(forge_verdict(set, mem_strdup(text_of(test, "jws"))), ERR_TOKEN_INVALID);
    }
}
END_TEST

/* The examples of RFC 7520 section 4 and RFC 8037 appendix A.4 */

static const struct {
    const char *file;
    enum key_alg alg;
    bool is_deterministic;
    enum err whole; /* the verdict of jws_verify(): a kid that is no number is refused */
} examples[] = {
    {"cookbook/jws/4_1.rsa_v15_signature.json", KEY_RS256, true, ERR_TOKEN_INVALID},
    {"cookbook/jws/4_2.rsa-pss_signature.json", KEY_PS384, false, ERR_TOKEN_INVALID},
    {"cookbook/jws/4_3.ecdsa_signature.json", KEY_ES512, false, ERR_TOKEN_INVALID},
    {"cookbook/curve25519/jws.json", KEY_EDDSA, true, ERR_OK},
};

enum { EXAMPLES = sizeof examples / sizeof examples[0] };

START_TEST(verifies_rfc_example)
{
    AUTO(json_release) json_t *file = load(examples[_i].file);
    const json_t *input = json_object_get(file, "input");
    const char *token = text_of(json_object_get(file, "output"), "compact");
    AUTO(keyset_free)
    struct keyset *set = forge_set(forge_jwk_key(json_object_get(input, "key"), 0, examples[_i].alg), NULL, NULL, NULL);
    const struct key *key = keyset_find(set, 0);
    struct jws jws;
    ck_assert_int_eq(key_alg(key), examples[_i].alg);
    ck_ok(jws_verify_key(key, token, strlen(token), &jws));
    ck_assert_str_eq(jws.payload, text_of(input, "payload"));
    ck_err(forge_verdict(set, mem_strdup(token)), examples[_i].whole);
}
END_TEST

START_TEST(signs_rfc_example_to_the_same_bytes)
{
    if (!examples[_i].is_deterministic)
        return;
    AUTO(json_release) json_t *file = load(examples[_i].file);
    const json_t *jwk = json_object_get(json_object_get(file, "input"), "key");
    AUTO(key_free) struct key *key = forge_jwk_key(jwk, 0, examples[_i].alg);
    AUTO(mem_free) char *token = forge_signed(key, text_of(json_object_get(file, "signing"), "sig-input"));
    ck_assert_str_eq(token, text_of(json_object_get(file, "output"), "compact"));
}
END_TEST

/* MACs, detached and unencoded payloads, JSON serialisations: no key of any type lets them in. */

static const char *const foreign[] = {
    "cookbook/jws/4_4.hmac-sha2_integrity_protection.json",
    "cookbook/jws/4_5.signature_with_detached_content.json",
    "cookbook/jws/4_6.protecting_specific_header_fields.json",
    "cookbook/jws/4_7.protecting_content_only.json",
    "cookbook/jws/4_8.multiple_signatures.json",
    "cookbook/rfc7797/4.2.hmac-sha2_b64_false.json",
    "cookbook/rfc7797/hmac-sha2_b64_false.json",
};

enum { FOREIGN = sizeof foreign / sizeof foreign[0] };

/* RFC 7520's own key for section 4.8, so that its first signature would be good */
static struct keyset *frodo_set(void)
{
    AUTO(json_release) json_t *file = load("cookbook/jws/4_1.rsa_v15_signature.json");
    const json_t *jwk = json_object_get(json_object_get(file, "input"), "key");
    return forge_set(forge_jwk_key(jwk, 0, KEY_RS256), NULL, NULL, NULL);
}

START_TEST(refuses_foreign_form)
{
    AUTO(json_release) json_t *file = load(foreign[_i]);
    AUTO(keyset_free) struct keyset *set = frodo_set();
    const char *form;
    json_t *output;
    size_t forms = 0;
    json_object_foreach(json_object_get(file, "output"), form, output)
    {
        AUTO(mem_free)
        char *token = json_is_string(output) ? mem_strdup(json_string_value(output)) : json_dumps(output, JSON_COMPACT);
        struct jws jws;
        ck_err(jws_verify(set, token, strlen(token), &jws), ERR_TOKEN_INVALID);
        ck_err(jws_verify_key(keyset_find(set, 0), token, strlen(token), &jws), ERR_TOKEN_INVALID);
        forms++;
    }
    ck_assert_uint_gt(forms, 0);
}
END_TEST

/* b64 and crit are refused by themselves, not because the examples are MACed. */
START_TEST(refuses_unencoded_payload_with_our_signature)
{
    AUTO(keyset_free) struct keyset *set = frodo_set();
    const struct key *key = keyset_find(set, 0);
    AUTO(mem_free) char *header = forge_text("{\"alg\":\"RS256\",\"b64\":false,\"crit\":[\"b64\"]}");
    AUTO(mem_free) char *input = mem_printf("%s.$02", header);
    ck_err(forge_verdict(set, forge_signed(key, input)), ERR_TOKEN_INVALID);
    ck_err(forge_verdict(set, forge_token(key, "{\"alg\":\"RS256\",\"b64\":false,\"crit\":[\"b64\"]}", "x")),
           ERR_TOKEN_INVALID);
    ck_ok(forge_verdict(set, forge_token(key, "{\"alg\":\"RS256\"}", "x")));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("jws vectors");
    TCase *tc = tcase_create("vectors");
    tcase_add_test(tc, agrees_with_wycheproof);
    tcase_add_test(tc, refuses_string_kids_of_wycheproof);
    tcase_add_loop_test(tc, verifies_rfc_example, 0, EXAMPLES);
    tcase_add_loop_test(tc, signs_rfc_example_to_the_same_bytes, 0, EXAMPLES);
    tcase_add_loop_test(tc, refuses_foreign_form, 0, FOREIGN);
    tcase_add_test(tc, refuses_unencoded_payload_with_our_signature);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
