/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jws.h"

#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/forge.h"
#include "tests/support.h"

/*
 * Tokens that are formed otherwise than RFC 7515 section 3.1 wants them, most of them with a genuine signature over
 * exactly these characters.
 */

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const char claims[] = "{\"sub\":\"admin\",\"jti\":\"1\"}";
static const char plain[] = "{\"alg\":\"EdDSA\"}";

static struct keyset *ed25519_set(void)
{
    return forge_set(forge_key("ed25519", 0, KEY_RS256), NULL, NULL, NULL);
}

static void refuse(const struct keyset *set, char *token)
{
    ck_err(forge_verdict(set, token), ERR_TOKEN_INVALID);
}

/* header */

static const char *const bad_headers[] = {
    /* duplicate members */
    "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"}",
    "{\"alg\":\"none\",\"alg\":\"EdDSA\"}",
    "{\"alg\":\"EdDSA\",\"al\\u0067\":\"EdDSA\"}",
    "{\"kid\":0,\"alg\":\"EdDSA\",\"\\u006bid\":0}",
    "{\"alg\":\"EdDSA\",\"x\":{\"a\":1,\"a\":2}}",
    /* extensions, encryption, compression, unencoded payload */
    "{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}",
    "{\"alg\":\"EdDSA\",\"crit\":[]}",
    "{\"alg\":\"EdDSA\",\"crit\":null}",
    "{\"alg\":\"EdDSA\",\"crit\":\"b64\"}",
    "{\"alg\":\"EdDSA\",\"crit\":[\"alg\"]}",
    "{\"alg\":\"EdDSA\",\"cr\\u0069t\":[\"x\"],\"x\":1}",
    "{\"alg\":\"EdDSA\",\"b64\":false,\"crit\":[\"b64\"]}",
    "{\"alg\":\"EdDSA\",\"b64\":false}",
    "{\"alg\":\"EdDSA\",\"b64\":true}",
    "{\"alg\":\"EdDSA\",\"enc\":\"A128GCM\"}",
    "{\"alg\":\"EdDSA\",\"zip\":\"DEF\"}",
    "{\"alg\":\"EdDSA\",\"epk\":{}}",
    "{\"alg\":\"EdDSA\",\"p2c\":2147483647}",
    /* members of a wrong type */
    "{\"alg\":\"EdDSA\",\"typ\":1}",
    "{\"alg\":\"EdDSA\",\"typ\":null}",
    "{\"alg\":\"EdDSA\",\"typ\":[\"JWT\"]}",
    "{\"alg\":[\"EdDSA\"]}",
    /* not one JSON object */
    "",
    " ",
    "EdDSA",
    "\"EdDSA\"",
    "null",
    "[]",
    "[{\"alg\":\"EdDSA\"}]",
    "{\"alg\":\"EdDSA\"",
    "{\"alg\":\"EdDSA\"}}",
    "{\"alg\":\"EdDSA\"}{}",
    "{\"alg\":\"EdDSA\"} x",
    "{\"alg\":\"EdDSA\",}",
    "{'alg':'EdDSA'}",
    "{alg:\"EdDSA\"}",
    "{\"alg\":\"EdDSA\"/**/}",
    "\xef\xbb\xbf{\"alg\":\"EdDSA\"}",
    "{\"alg\":\"EdDSA\",\"x\":\"\xff\"}",
    "{\"alg\":\"EdDSA\",\"x\":\"\xc0\xaf\"}",
    "{\"alg\":\"EdDSA\",\"x\":\"\\ud800\"}",
    "{\"alg\":\"EdDSA\",\"x\":\"\\u0000\"}",
    "{\"alg\":\"EdDSA\",\"x\\u0000\":1}",
    "{\"alg\":\"EdDSA\",\"x\":\"\n\"}",
    "{\"alg\":\"EdDSA\",\"x\":1e400}",
    "{\"alg\":\"EdDSA\",\"x\":99999999999999999999}",
};

START_TEST(refuses_bad_header)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    refuse(set, forge_token(keyset_find(set, 0), bad_headers[_i], claims));
    ck_ok(forge_verdict(set, forge_token(keyset_find(set, 0), plain, claims)));
}
END_TEST

START_TEST(refuses_nul_in_header)
{
    static const char nul_inside[] = "{\"alg\":\"EdDSA\"}\0x";
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    AUTO(mem_free) char *header = forge_base64(nul_inside, sizeof nul_inside - 1);
    AUTO(mem_free) char *payload = forge_text(claims);
    AUTO(mem_free) char *input = mem_printf("%s.%s", header, payload);
    refuse(set, forge_signed(keyset_find(set, 0), input));
}
END_TEST

static char *nested(const char *open, const char *close, int depth)
{
    size_t unit = strlen(open);
    char *text = mem_calloc((size_t)depth * (unit + strlen(close)) + 1, 1);
    for (int i = 0; i < depth; i++)
        memcpy(text + (size_t)i * unit, open, unit);
    for (int i = 0; i < depth; i++)
        memcpy(text + (size_t)depth * unit + (size_t)i * strlen(close), close, strlen(close));
    return text;
}

START_TEST(survives_deep_nesting)
{
    static const struct {
        const char *open;
        const char *close;
        int depth;
    } forms[] = {
        {"[", "]", 2000},      {"[", "]", 3000},   {"[", "", 5000},
        {"{\"a\":", "", 1000}, {"[", "]", 100000}, {"{\"a\":", "}", 100000},
    };
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    AUTO(mem_free) char *inner = nested(forms[_i].open, forms[_i].close, forms[_i].depth);
    AUTO(mem_free) char *header = mem_printf("{\"alg\":\"EdDSA\",\"kid\":%s}", inner);
    refuse(set, forge_token(keyset_find(set, 0), inner, claims));
    refuse(set, forge_token(keyset_find(set, 0), header, claims));
}
END_TEST

/* length and dots */

static char *repeated(char c, size_t n)
{
    char *text = mem_calloc(n + 1, 1);
    memset(text, c, n);
    return text;
}

START_TEST(refuses_what_is_longer_than_the_cap)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    const struct key *key = keyset_find(set, 0);
    AUTO(mem_free) char *header = forge_text(plain);
    /* one whole base64 group more than fits; then as much as fits, which must pass */
    size_t most = (JWS_TOKEN_MAX - strlen(header) - 2 - 86) / 4 * 4;
    for (size_t n = most; n <= most + 4; n += 4) {
        AUTO(mem_free) char *payload = repeated('A', n);
        AUTO(mem_free) char *input = mem_printf("%s.%s", header, payload);
        ck_err(forge_verdict(set, forge_signed(key, input)), n == most ? ERR_OK : ERR_TOKEN_INVALID);
    }
    AUTO(mem_free) char *mebibyte = repeated('A', 1 << 20);
    refuse(set, mem_printf("%s.%s.%s", header, mebibyte, mebibyte));
    refuse(set, mem_printf("%s.e30.%s", header, mebibyte));
    refuse(set, mem_printf("%s.e30.e30", mebibyte));
}
END_TEST

START_TEST(refuses_any_number_of_dots_but_two)
{
    static const size_t counts[] = {0, 1, 2, 3, 4, 100, 8191, 8192, 8193, 1000000};
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    refuse(set, repeated('.', counts[_i]));
    AUTO(mem_wipe) char *token = forge_token(keyset_find(set, 0), plain, claims);
    AUTO(mem_free) char *dots = repeated('.', counts[_i]);
    ck_err(forge_verdict(set, mem_printf("%s%s", token, dots)), counts[_i] == 0 ? ERR_OK : ERR_TOKEN_INVALID);
    ck_err(forge_verdict(set, mem_printf("%s%s", dots, token)), counts[_i] == 0 ? ERR_OK : ERR_TOKEN_INVALID);
}
END_TEST

START_TEST(refuses_missing_parts)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    AUTO(mem_free) char *token = forge_token(keyset_find(set, 0), plain, claims);
    AUTO(mem_free) char *h = mem_strndup(token, (size_t)(strchr(token, '.') - token));
    AUTO(mem_free)
    char *p = mem_strndup(strchr(token, '.') + 1, (size_t)(strrchr(token, '.') - strchr(token, '.') - 1));
    const char *s = strrchr(token, '.') + 1;
    refuse(set, mem_strdup(""));
    refuse(set, mem_strdup(h));
    refuse(set, mem_printf("%s.%s", h, p));
    refuse(set, mem_printf("%s.%s.", h, p));
    refuse(set, mem_printf("%s..%s", h, s));
    refuse(set, mem_printf(".%s.%s", p, s));
    refuse(set, mem_printf("%s.%s", p, s));
    refuse(set, mem_printf("%s.%s.%s.%s", h, p, s, s));
    refuse(set, mem_printf("Bearer %s.%s.%s", h, p, s));
}
END_TEST

/* base64: one spelling only, in each of the three parts */

static const char *const tails[] = {"=",   "==", "===", "\n",  "\r\n", " ",  "!",
                                    "!!!", ".",  "\t",  "%3D", "A",    "AA", "AAA"};

START_TEST(refuses_anything_behind_a_part)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    const struct key *key = keyset_find(set, 0);
    AUTO(mem_free) char *h = forge_text(plain);
    AUTO(mem_free) char *p = forge_text(claims);
    AUTO(mem_free) char *h_input = mem_printf("%s%s.%s", h, tails[_i], p);
    AUTO(mem_free) char *space_input = mem_printf(" %s.%s", h, p);
    AUTO(mem_free) char *token = forge_token(key, plain, claims);
    refuse(set, mem_printf("%s%s", token, tails[_i]));
    refuse(set, mem_printf("%s%s", tails[_i], token));
    refuse(set, forge_signed(key, h_input));
    refuse(set, forge_signed(key, space_input));
    if (tails[_i][0] != 'A') { /* more characters of the alphabet are just another payload */
        AUTO(mem_free) char *p_input = mem_printf("%s.%s%s", h, p, tails[_i]);
        refuse(set, forge_signed(key, p_input));
    }
}
END_TEST

START_TEST(refuses_unused_bits_in_the_last_character)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    const struct key *key = keyset_find(set, 0);
    AUTO(mem_free) char *h = forge_text("{\"alg\":\"EdDSA\" }"); /* 16 bytes: the last character has 4 unused bits */
    AUTO(mem_free) char *bad_h = mem_strdup(h);
    bad_h[strlen(bad_h) - 1]++;
    AUTO(mem_free) char *good = mem_printf("%s.e30", h);
    AUTO(mem_free) char *bad_header = mem_printf("%s.e30", bad_h);
    AUTO(mem_free) char *bad_payload = mem_printf("%s.e31", h);
    AUTO(mem_free) char *short_payload = mem_printf("%s.e", h);
    ck_ok(forge_verdict(set, forge_signed(key, good)));
    refuse(set, forge_signed(key, bad_header));
    refuse(set, forge_signed(key, bad_payload));
    refuse(set, forge_signed(key, short_payload));
    AUTO(mem_free) char *token = forge_signed(key, good);
    token[strlen(token) - 1]++; /* 64 bytes: 4 unused bits */
    refuse(set, mem_strdup(token));
}
END_TEST

START_TEST(refuses_the_standard_alphabet)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    const struct key *key = keyset_find(set, 0);
    AUTO(mem_free) char *h = forge_text(plain);
    AUTO(mem_free) char *url = mem_printf("%s._-_-", h);
    AUTO(mem_free) char *standard = mem_printf("%s./+/+", h);
    ck_ok(forge_verdict(set, forge_signed(key, url)));
    refuse(set, forge_signed(key, standard));
    /* a signature that uses the two characters in which the alphabets differ */
    for (int i = 0;; i++) {
        AUTO(mem_free) char *payload = mem_printf("%d", i);
        AUTO(mem_free) char *token = forge_token(key, plain, payload);
        char *at = strpbrk(strrchr(token, '.'), "-_");
        if (at == NULL)
            continue;
        *at = *at == '-' ? '+' : '/';
        refuse(set, mem_strdup(token));
        break;
    }
}
END_TEST

/* JSON serialisations (RFC 7515 section 7.2), JWE, and mixtures */

START_TEST(refuses_json_serialisations)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    AUTO(mem_free) char *t = forge_token(keyset_find(set, 0), plain, claims);
    AUTO(mem_free) char *h = mem_strndup(t, (size_t)(strchr(t, '.') - t));
    AUTO(mem_free) char *p = mem_strndup(strchr(t, '.') + 1, (size_t)(strrchr(t, '.') - strchr(t, '.') - 1));
    const char *s = strrchr(t, '.') + 1;
    refuse(set, mem_printf("{\"payload\":\"%s\",\"protected\":\"%s\",\"signature\":\"%s\"}", p, h, s));
    refuse(set,
           mem_printf("{\"payload\":\"%s\",\"signatures\":[{\"protected\":\"%s\",\"signature\":\"%s\"}]}", p, h, s));
    refuse(set, mem_printf("{\"payload\":\"%s\",\"signatures\":[]}", p));
    refuse(set, mem_printf("{\"a\":\"%s\"}", t));
    refuse(set, mem_printf("\"%s\"", t));
    refuse(set, mem_printf("{\"payload\":\"x.%s\",\"protected\":\".%s\"}", t, s));
}
END_TEST

START_TEST(refuses_jwe)
{
    AUTO(keyset_free) struct keyset *set = ed25519_set();
    AUTO(mem_free) char *t = forge_token(keyset_find(set, 0), plain, claims);
    AUTO(mem_free) char *header = forge_text("{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"}");
    refuse(set, mem_printf("%s.AAAA.AAAA.AAAA.AAAA", header));
    refuse(set, mem_printf("%s..AAAA.AAAA.AAAA", header));
    refuse(set, mem_printf("%s.AAAA.AAAA", header));
    refuse(set, mem_printf("%s.AAAA.AAAA", t));
    refuse(set, mem_printf("%s..", t));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("jws forms");
    TCase *tc = tcase_create("header, length, base64, serialisation");
    tcase_add_loop_test(tc, refuses_bad_header, 0, COUNT(bad_headers));
    tcase_add_test(tc, refuses_nul_in_header);
    tcase_add_loop_test(tc, survives_deep_nesting, 0, 6);
    tcase_add_test(tc, refuses_what_is_longer_than_the_cap);
    tcase_add_loop_test(tc, refuses_any_number_of_dots_but_two, 0, 10);
    tcase_add_test(tc, refuses_missing_parts);
    tcase_add_loop_test(tc, refuses_anything_behind_a_part, 0, COUNT(tails));
    tcase_add_test(tc, refuses_unused_bits_in_the_last_character);
    tcase_add_test(tc, refuses_the_standard_alphabet);
    tcase_add_test(tc, refuses_json_serialisations);
    tcase_add_test(tc, refuses_jwe);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
