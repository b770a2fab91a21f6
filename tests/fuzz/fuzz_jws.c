/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"

/*
 * A token that verifies has two dots, a payload that encodes back to the same characters, and a header that names the
 * algorithm of the key that verified it; and it verifies against that key alone. Signatures by these keys are in the
 * corpus, so mutations start from tokens that pass.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char ed25519_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                  "MC4CAQAwBQYDK2VwBCIEIBOCrlueUYm/pa0okNltTcqs4IBdV5JcuxnqQmtQOUCA\n"
                                  "-----END PRIVATE KEY-----\n";
static const char es256_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgq1pkh6zwTGW++iXw\n"
                                "HKUFoFhhNfEzQ61ETmsz/Mbs4yihRANCAAS2r6tzW4XcNrbgn0CNNBgB9K1JzYm3\n"
                                "Jn5dIkKUzSsKiE/jTKlyyLhwmJCh4H7plNUp78GqoCtbMWuyaTMKADB1\n"
                                "-----END PRIVATE KEY-----\n";
static const char fallback_pem[] = "-----BEGIN PRIVATE KEY-----\n"
                                   "MC4CAQAwBQYDK2VwBCIEIIFbzuCu5wP5WM1PELsf+zwy8FMraF+LvRcqkFkF80XY\n"
                                   "-----END PRIVATE KEY-----\n";

static struct key *parse(const char *pem, int64_t kid)
{
    struct key *key = NULL;
    if (key_parse(pem, strlen(pem), kid, KEY_RS256, &key) != ERR_OK)
        abort();
    return key;
}

static const struct keyset *keys(void)
{
    static struct keyset *set;
    if (set != NULL)
        return set;
    struct keyset_entry *entries = mem_calloc(2, sizeof *entries);
    entries[0] = (struct keyset_entry){.file = mem_strdup("private.pem"), .key = parse(ed25519_pem, 0)};
    entries[1] = (struct keyset_entry){.file = mem_strdup("private.id.7.pem"), .key = parse(es256_pem, 7)};
    struct key *fallback = parse(fallback_pem, 0);
    set = keyset_new(entries, 2, entries[1].key, fallback);
    key_free(&fallback);
    return set;
}

static void check_header(const char *token, size_t len, const struct key *key)
{
    uint8_t text[BASE64_DECODED(JWS_TOKEN_MAX)];
    ptrdiff_t text_len = base64_decode(BASE64_URL, token, len, text, NULL);
    AUTO(json_release) json_t *header = NULL;
    if (text_len < 0 || json_parse_strict((const char *)text, (size_t)text_len, &header) != ERR_OK)
        abort();
    const char *alg = json_string_value(json_object_get(header, "alg"));
    if (alg == NULL || strcmp(alg, key_alg_name(key_alg(key))) != 0 || json_object_get(header, "crit") != NULL)
        abort();
}

static void check_payload(const char *encoded, size_t len, const struct jws *jws)
{
    char again[BASE64_ENCODED(JWS_TOKEN_MAX)];
    if (jws->payload_len >= sizeof jws->payload || jws->payload[jws->payload_len] != '\0' ||
        base64_encode(BASE64_URL, jws->payload, jws->payload_len, again) != len || memcmp(again, encoded, len) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct jws jws;
    struct jws again;
    const char *token = (const char *)data;
    if (jws_verify(keys(), token, size, &jws) != ERR_OK)
        return 0;
    const char *dot1 = memchr(token, '.', size);
    const char *dot2 = memrchr(token, '.', size);
    if (size > JWS_TOKEN_MAX || dot1 == NULL || dot1 == dot2)
        abort();
    check_header(token, (size_t)(dot1 - token), jws.key);
    check_payload(dot1 + 1, (size_t)(dot2 - dot1 - 1), &jws);
    if (jws_verify_key(jws.key, token, size, &again) != ERR_OK)
        abort();
    return 0;
}
