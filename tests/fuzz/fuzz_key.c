/* SPDX-License-Identifier: Apache-2.0 */
#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "keystore/key.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"

/*
 * A file that is accepted is a key that signs, verifies what it signed, and describes itself without private members.
 * Input that begins as a DER SEQUENCE is wrapped in each label, so that mutations need not get through base64.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const char *pem, size_t len)
{
    static const char *const secrets[] = {"d", "p", "q", "dp", "dq", "qi"};
    uint8_t sig[KEY_SIGNATURE_MAX];
    AUTO(key_free) struct key *key = NULL;
    if (key_parse(pem, len, 1, KEY_PS256, &key) != ERR_OK)
        return;
    if (key_sign(key, pem, len, sig) != ERR_OK || key_verify(key, pem, len, sig, key_signature_size(key)) != ERR_OK)
        abort();
    AUTO(json_release) json_t *jwk = key_jwk(key);
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++)
        if (json_object_get(jwk, secrets[i]) != NULL)
            abort();
}

static void check_der(const uint8_t *der, size_t size)
{
    static const char *const labels[] = {"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"};
    AUTO(mem_free) char *body = mem_calloc(BASE64_ENCODED(size) + 1, 1);
    base64_encode(BASE64_STD, der, size, body);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) {
        AUTO(mem_free) char *pem = mem_printf("-----BEGIN %s-----\n%s\n-----END %s-----\n", labels[i], body, labels[i]);
        check(pem, strlen(pem));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0 && data[0] == 0x30)
        check_der(data, size);
    else
        check((const char *)data, size);
    return 0;
}
