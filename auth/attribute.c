/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/attribute.h"

#include <stdint.h>
#include <string.h>

#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/json_go.h"
#include "lib/mem.h"

/* How much of text to keep before its hash, without a torn character at the end. */
static size_t keep(const char *text, size_t len)
{
    size_t n = strnlen(text, len);
    if (n <= ATTRIBUTE_PLAIN_MAX)
        return n;
    n = ATTRIBUTE_PLAIN_MAX;
    while (n > 0 && ((uint8_t)text[n] & 0xc0) == 0x80)
        n--;
    return n;
}

char *attribute_key(const char *text, size_t len)
{
    static const char hex[] = "0123456789abcdef";
    if (len <= ATTRIBUTE_PLAIN_MAX && strnlen(text, len) == len)
        return mem_strndup(text, len);
    uint8_t digest[JWS_DIGEST_SIZE];
    char hash[2 * JWS_DIGEST_SIZE + 1] = "";
    jws_digest(text, len, digest);
    for (size_t i = 0; i < JWS_DIGEST_SIZE; i++) {
        hash[2 * i] = hex[digest[i] >> 4];
        hash[2 * i + 1] = hex[digest[i] & 15];
    }
    return mem_printf("%.*s#%s", (int)keep(text, len), text, hash);
}

char *attribute_value(const json_t *value)
{
    if (json_is_string(value))
        return attribute_key(json_string_value(value), json_string_length(value));
    size_t len = 0;
    AUTO(mem_free) char *text = json_go_dump(value, JSON_GO_SORTED, &len);
    return attribute_key(text, len);
}
