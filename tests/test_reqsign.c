/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/reqsign.h"

#include <string.h>

#include "keystore/pubkey.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

static const struct {
    const char *type, *kind;
} types[] = {
    {"rsa2048", "RSA 2048"}, {"es256", "P-256"}, {"es384", "P-384"}, {"es512", "P-521"}, {"ed25519", "Ed25519"}};

static const char body[] = "{\"id_data\":\"{}\"}\n";

START_TEST(signs_as_devices_do)
{
    AUTO(mem_wipe) char *pem = NULL;
    AUTO(mem_free) char *pubkey = NULL;
    AUTO(mem_free) char *sig = NULL;
    AUTO(key_free) struct key *key = NULL;
    AUTO(pubkey_free) struct pubkey *half = NULL;
    char why[PUBKEY_WHY_SIZE];
    ck_ok(key_generate(types[_i].type, &pem));
    ck_ok(key_parse(pem, strlen(pem), 0, KEY_RS256, &key));
    ck_ok(reqsign_pubkey(key, &pubkey));
    ck_ok(reqsign_sign(key, body, strlen(body), &sig));
    ck_ok(pubkey_parse(pubkey, strlen(pubkey), PUBKEY_RSA_BITS_MIN, why, &half));
    ck_assert_str_eq(pubkey_pem(half), pubkey);
    ck_assert_str_eq(pubkey_kind(half), types[_i].kind);
    ck_ok(pubkey_verify_base64(half, body, strlen(body), sig, strlen(sig)));
    ck_err(pubkey_verify_base64(half, body, strlen(body) - 1, sig, strlen(sig)), ERR_SIGNATURE);
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("reqsign");
    TCase *tc = tcase_create("reqsign");
    tcase_add_loop_test(tc, signs_as_devices_do, 0, sizeof types / sizeof *types);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
