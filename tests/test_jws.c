/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jws.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/mem.h"
#include "tests/forge.h"
#include "tests/support.h"

static const char claims[] = "{\"jti\":\"0d1e\",\"sub\":\"42\"}";

/* signing */

START_TEST(verifies_what_it_signed)
{
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key((enum key_alg)_i, 7), NULL, NULL, NULL);
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(keyset_find(set, 7), claims, strlen(claims), &token));
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_ptr_eq(jws.key, keyset_find(set, 7));
    ck_assert_uint_eq(jws.payload_len, strlen(claims));
    ck_assert_str_eq(jws.payload, claims);
}
END_TEST

START_TEST(token_is_header_payload_signature)
{
    AUTO(key_free) struct key *key = forge_alg_key(KEY_EDDSA, 5);
    AUTO(mem_wipe) char *token = NULL;
    ck_ok(jws_sign(key, claims, strlen(claims), &token));
    AUTO(mem_free) char *expected = forge_token(key, "{\"alg\":\"EdDSA\",\"kid\":5,\"typ\":\"JWT\"}", claims);
    ck_assert_str_eq(token, expected);
}
END_TEST

START_TEST(carries_any_payload)
{
    static const struct {
        const char *bytes;
        size_t len;
    } payloads[] = {
        {"", 0}, {"x", 1}, {"a\0b", 3}, {"\xff\xfe\0", 3}, {"not JSON", 8},
    };
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key(KEY_ES256, 0), NULL, NULL, NULL);
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    memset(&jws, 0xff, sizeof jws);
    ck_ok(jws_sign(keyset_find(set, 0), payloads[_i].bytes, payloads[_i].len, &token));
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_uint_eq(jws.payload_len, payloads[_i].len);
    ck_assert_mem_eq(jws.payload, payloads[_i].bytes, payloads[_i].len);
    ck_assert_int_eq(jws.payload[jws.payload_len], '\0');
}
END_TEST

START_TEST(signs_up_to_the_cap_and_not_beyond)
{
    static char payload[JWS_TOKEN_MAX];
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key(KEY_EDDSA, 0), NULL, NULL, NULL);
    const struct key *key = keyset_find(set, 0);
    struct jws jws;
    memset(payload, 'x', sizeof payload);
    size_t len = 6000;
    for (enum err e = ERR_OK; e == ERR_OK; len++) {
        AUTO(mem_wipe) char *token = NULL;
        e = jws_sign(key, payload, len + 1, &token);
        ck_assert(e == ERR_OK ? strlen(token) <= JWS_TOKEN_MAX : e == ERR_TOO_LARGE && token == NULL);
    }
    AUTO(mem_wipe) char *longest = NULL;
    ck_ok(jws_sign(key, payload, len - 1, &longest));
    ck_assert_uint_ge(strlen(longest), JWS_TOKEN_MAX - 1);
    ck_ok(jws_verify(set, longest, strlen(longest), &jws));
    ck_assert_uint_eq(jws.payload_len, len - 1);
}
END_TEST

START_TEST(refuses_to_sign_an_absurd_length)
{
    AUTO(key_free) struct key *key = forge_alg_key(KEY_EDDSA, 0);
    char *token = NULL;
    ck_err(jws_sign(key, "", SIZE_MAX, &token), ERR_TOO_LARGE);
    ck_err(jws_sign(key, "", SIZE_MAX / 4 + 1, &token), ERR_TOO_LARGE); /* four times it is 0 */
    ck_assert_ptr_null(token);
}
END_TEST

/* choice of the key */

static struct keyset *three_keys(void)
{
    return forge_set(forge_key("ed25519", 0, KEY_RS256), forge_key("es256", 7, KEY_RS256),
                     forge_key("ed25519b", KEY_KID_MAX, KEY_RS256), NULL);
}

START_TEST(kid_selects_the_key)
{
    static const struct {
        const char *header;
        int64_t kid;
    } cases[] = {
        {"{\"alg\":\"EdDSA\"}", 0},
        {"{\"alg\":\"EdDSA\",\"kid\":0}", 0},
        {"{\"alg\":\"EdDSA\",\"kid\":\"0\"}", 0},
        {"{\"alg\":\"ES256\",\"kid\":7}", 7},
        {"{\"kid\":\"7\",\"alg\":\"ES256\"}", 7},
        {"{ \"typ\" : \"at+jwt\",\n\"kid\":7,\"alg\":\"ES256\"}", 7},
        {"{\"alg\":\"ES256\",\"kid\":7,\"typ\":\"JWT\",\"cty\":\"x\",\"x\":[{}]}", 7},
        {"{\"alg\":\"ES256\",\"kid\":7,\"CRIT\":[],\"Alg\":\"none\"}", 7},
        {"{\"alg\":\"EdDSA\",\"kid\":2147483647}", KEY_KID_MAX},
        {"{\"alg\":\"EdDSA\",\"kid\":\"2147483647\"}", KEY_KID_MAX},
    };
    AUTO(keyset_free) struct keyset *set = three_keys();
    const struct key *key = keyset_find(set, cases[_i].kid);
    AUTO(mem_free) char *token = forge_token(key, cases[_i].header, claims);
    struct jws jws;
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_ptr_eq(jws.key, key);
    ck_assert_str_eq(jws.payload, claims);
}
END_TEST

START_TEST(refuses_unknown_kid)
{
    AUTO(keyset_free) struct keyset *set = three_keys();
    const struct key *key = keyset_find(set, 0);
    ck_err(forge_verdict(set, forge_token(key, "{\"alg\":\"EdDSA\",\"kid\":8}", claims)), ERR_TOKEN_INVALID);
    ck_err(forge_verdict(set, forge_token(key, "{\"alg\":\"EdDSA\",\"kid\":1}", claims)), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(refuses_token_without_kid_when_there_is_no_default_key)
{
    AUTO(keyset_free) struct keyset *set = forge_set(forge_key("ed25519", 3, KEY_RS256), NULL, NULL, NULL);
    const struct key *key = keyset_find(set, 3);
    ck_err(forge_verdict(set, forge_token(key, "{\"alg\":\"EdDSA\"}", claims)), ERR_TOKEN_INVALID);
    ck_ok(forge_verdict(set, forge_token(key, "{\"alg\":\"EdDSA\",\"kid\":3}", claims)));
}
END_TEST

START_TEST(refuses_the_signature_of_another_key)
{
    AUTO(keyset_free) struct keyset *set = three_keys();
    AUTO(key_free) struct key *stranger = forge_key("ed25519b", 0, KEY_RS256);
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(stranger, claims, strlen(claims), &token));
    ck_err(jws_verify(set, token, strlen(token), &jws), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(empty_set_verifies_nothing)
{
    AUTO(keyset_free) struct keyset *set = forge_set(NULL, NULL, NULL, NULL);
    AUTO(key_free) struct key *key = forge_alg_key(KEY_EDDSA, 0);
    ck_err(forge_verdict(set, forge_token(key, "{\"alg\":\"EdDSA\"}", claims)), ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(one_given_key_verifies_whatever_the_kid_says)
{
    AUTO(key_free) struct key *key = forge_alg_key(KEY_EDDSA, 5);
    AUTO(mem_free) char *token = forge_token(key, "{\"alg\":\"EdDSA\",\"kid\":\"of another world\"}", claims);
    AUTO(mem_free) char *header = forge_text("{\"alg\":\"EdDSA\"}");
    AUTO(mem_free) char *input = mem_printf("%s.e31", header); /* unused bits are set */
    AUTO(mem_free) char *lax = forge_signed(key, input);
    AUTO(mem_free) char *critical = forge_token(key, "{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}", claims);
    AUTO(key_free) struct key *other = forge_key("ed25519b", 5, KEY_RS256);
    struct jws jws;
    ck_ok(jws_verify_key(key, token, strlen(token), &jws));
    ck_assert_ptr_eq(jws.key, key);
    ck_assert_str_eq(jws.payload, claims);
    ck_err(jws_verify_key(other, token, strlen(token), &jws), ERR_TOKEN_INVALID);
    ck_err(jws_verify_key(key, critical, strlen(critical), &jws), ERR_TOKEN_INVALID);
    ck_err(jws_verify_key(key, lax, strlen(lax), &jws), ERR_TOKEN_INVALID);
}
END_TEST

/* the fallback key */

START_TEST(fallback_key_helps_when_the_kid_is_known)
{
    AUTO(keyset_free)
    struct keyset *set = forge_set(forge_key("es256b", 0, KEY_RS256), NULL, NULL, forge_key("es256", 0, KEY_RS256));
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(keyset_fallback(set), claims, strlen(claims), &token));
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_ptr_eq(jws.key, keyset_fallback(set));
    ck_ok(forge_verdict(set, forge_token(keyset_fallback(set), "{\"alg\":\"ES256\"}", claims)));
    ck_ok(forge_verdict(set, forge_token(keyset_find(set, 0), "{\"alg\":\"ES256\"}", claims)));
}
END_TEST

START_TEST(fallback_key_of_another_type_helps_too)
{
    AUTO(keyset_free)
    struct keyset *set = forge_set(forge_key("ed25519", 0, KEY_RS256), NULL, NULL, forge_key("rsa2048", 0, KEY_RS256));
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(keyset_fallback(set), claims, strlen(claims), &token));
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_ptr_eq(jws.key, keyset_fallback(set));
}
END_TEST

START_TEST(fallback_key_is_no_help_for_unknown_kid_or_other_alg)
{
    AUTO(keyset_free)
    struct keyset *set = forge_set(forge_key("ed25519", 0, KEY_RS256), NULL, NULL, forge_key("rsa2048", 9, KEY_RS256));
    AUTO(key_free) struct key *pss = forge_key("rsa2048", 0, KEY_PS256);
    const struct key *fallback = keyset_fallback(set);
    ck_ok(forge_verdict(set, forge_token(fallback, "{\"alg\":\"RS256\"}", claims)));
    ck_err(forge_verdict(set, forge_token(fallback, "{\"alg\":\"RS256\",\"kid\":9}", claims)), ERR_TOKEN_INVALID);
    ck_err(forge_verdict(set, forge_token(fallback, "{\"alg\":\"RS384\"}", claims)), ERR_TOKEN_INVALID);
    ck_err(forge_verdict(set, forge_token(fallback, "{\"alg\":\"EdDSA\"}", claims)), ERR_TOKEN_INVALID);
    ck_err(forge_verdict(set, forge_token(pss, "{\"alg\":\"PS256\"}", claims)), ERR_TOKEN_INVALID);
}
END_TEST

/* the usual token is not parsed: jansson must not be asked for memory */

static size_t json_allocations;

static void *counted_malloc(size_t size)
{
    json_allocations++;
    return malloc(size);
}

START_TEST(own_header_is_not_parsed)
{
    AUTO(keyset_free) struct keyset *set = three_keys();
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(keyset_find(set, 7), claims, strlen(claims), &token));
    json_set_alloc_funcs(counted_malloc, free);
    ck_ok(jws_verify(set, token, strlen(token), &jws));
    ck_assert_uint_eq(json_allocations, 0);
    ck_ok(forge_verdict(set, forge_token(keyset_find(set, 7), "{\"kid\":7,\"alg\":\"ES256\"}", claims)));
    ck_assert_uint_gt(json_allocations, 0);
    json_set_alloc_funcs(malloc, free);
}
END_TEST

/* any other token is no token */

#define SEED 20240607u

START_TEST(one_changed_byte_never_verifies)
{
    enum key_alg alg = (enum key_alg)_i;
    int rounds = support_times(alg == KEY_ES384 || alg == KEY_ES512 ? 400 : 2500, 60);
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key(alg, 7), NULL, NULL, NULL);
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(keyset_find(set, 7), claims, strlen(claims), &token));
    size_t len = strlen(token);
    unsigned state = SEED;
    for (int i = 0; i < rounds; i++) {
        size_t at = (size_t)rand_r(&state) % len;
        char byte = (char)(rand_r(&state) >> 4);
        if (i % 2 == 0) /* half of them within the alphabet, to get past the decoder */
            byte = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[byte & 63];
        char old = token[at];
        token[at] = byte;
        enum err verdict = jws_verify(set, token, len, &jws);
        ck_assert_msg((verdict == ERR_OK) == (byte == old), "position %zu: %02x for %02x gave %s (seed %u)", at,
                      (unsigned)(unsigned char)byte, (unsigned)(unsigned char)old, err_name(verdict), SEED);
        token[at] = old;
    }
    ck_ok(jws_verify(set, token, len, &jws));
}
END_TEST

START_TEST(no_part_of_a_token_verifies)
{
    AUTO(keyset_free) struct keyset *set = forge_set(forge_alg_key((enum key_alg)_i, 7), NULL, NULL, NULL);
    AUTO(mem_wipe) char *token = NULL;
    struct jws jws;
    ck_ok(jws_sign(keyset_find(set, 7), claims, strlen(claims), &token));
    size_t len = strlen(token);
    for (size_t n = 0; n < len; n++) {
        ck_err(jws_verify(set, token, n, &jws), ERR_TOKEN_INVALID);
        ck_err(jws_verify(set, token + len - n, n, &jws), ERR_TOKEN_INVALID);
    }
    ck_err(jws_verify(set, token, len + 1, &jws), ERR_TOKEN_INVALID); /* with its NUL */
}
END_TEST

/* digest */

static void hex(const uint8_t *bytes, size_t len, char *out)
{
    for (size_t i = 0; i < len; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

START_TEST(digest_is_sha256)
{
    uint8_t digest[JWS_DIGEST_SIZE];
    char text[2 * JWS_DIGEST_SIZE + 1];
    jws_digest("abc", 3, digest);
    hex(digest, sizeof digest, text);
    ck_assert_str_eq(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    jws_digest("", 0, digest);
    hex(digest, sizeof digest, text);
    ck_assert_str_eq(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

static void *digest_often(void *arg)
{
    (void)arg;
    static const char text[] = "one text for all threads";
    uint8_t first[JWS_DIGEST_SIZE];
    uint8_t again[JWS_DIGEST_SIZE];
    jws_digest(text, strlen(text), first);
    for (int i = 0; i < 1000; i++) {
        jws_digest(text, strlen(text), again);
        if (memcmp(first, again, sizeof first) != 0)
            return NULL;
    }
    return mem_strndup((const char *)first, sizeof first);
}

START_TEST(digest_is_the_same_in_every_thread)
{
    pthread_t threads[4];
    void *digests[4];
    for (size_t i = 0; i < 4; i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, digest_often, NULL), 0);
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(pthread_join(threads[i], &digests[i]), 0);
        ck_assert_ptr_nonnull(digests[i]);
        ck_assert_mem_eq(digests[i], digests[0], JWS_DIGEST_SIZE);
    }
    for (size_t i = 0; i < 4; i++)
        free(digests[i]);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("jws");
    TCase *tc = tcase_create("jws");
    tcase_add_loop_test(tc, verifies_what_it_signed, 0, FORGE_ALGS);
    tcase_add_test(tc, token_is_header_payload_signature);
    tcase_add_loop_test(tc, carries_any_payload, 0, 5);
    tcase_add_test(tc, signs_up_to_the_cap_and_not_beyond);
    tcase_add_test(tc, refuses_to_sign_an_absurd_length);
    tcase_add_loop_test(tc, kid_selects_the_key, 0, 10);
    tcase_add_test(tc, refuses_unknown_kid);
    tcase_add_test(tc, refuses_token_without_kid_when_there_is_no_default_key);
    tcase_add_test(tc, refuses_the_signature_of_another_key);
    tcase_add_test(tc, empty_set_verifies_nothing);
    tcase_add_test(tc, one_given_key_verifies_whatever_the_kid_says);
    tcase_add_test(tc, fallback_key_helps_when_the_kid_is_known);
    tcase_add_test(tc, fallback_key_of_another_type_helps_too);
    tcase_add_test(tc, fallback_key_is_no_help_for_unknown_kid_or_other_alg);
    tcase_add_test(tc, own_header_is_not_parsed);
    tcase_add_loop_test(tc, one_changed_byte_never_verifies, 0, FORGE_ALGS);
    tcase_add_loop_test(tc, no_part_of_a_token_verifies, 0, FORGE_ALGS);
    tcase_add_test(tc, digest_is_sha256);
    tcase_add_test(tc, digest_is_the_same_in_every_thread);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
