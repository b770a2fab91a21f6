/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/jwks.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Bytes of the digest that go into a tag: enough that no two sets ever share one. */
enum { TAG_BYTES = 16 };

static void write_etag(const char *text, char etag[JWKS_ETAG_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    if (EVP_Q_digest(NULL, "SHA256", NULL, text, strlen(text), digest, NULL) != 1)
        abort(); /* without SHA-256 nothing here works, and a wrong tag would freeze old keys in caches */
    *etag++ = '"';
    for (size_t i = 0; i < TAG_BYTES; i++) {
        *etag++ = hex[digest[i] >> 4];
        *etag++ = hex[digest[i] & 15];
    }
    *etag++ = '"';
    *etag = '\0';
}

void jwks_write(const struct key *const *keys, size_t n, char **json, char etag[JWKS_ETAG_SIZE])
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, key_jwk(keys[i]));
    AUTO(json_release) json_t *set = json_pack("{s:o}", "keys", list);
    *json = json_wire(set);
    write_etag(*json, etag);
}
