/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base64.h"

/*
 * What decodes, encodes back to the same characters; what does not, has its fault inside. And every byte string
 * survives the way there and back.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_and_encode(enum base64_kind kind, const char *text, size_t len)
{
    uint8_t *bytes = malloc(BASE64_DECODED(len));
    char *again = malloc(BASE64_ENCODED(BASE64_DECODED(len)));
    size_t bad = SIZE_MAX;
    ptrdiff_t n = base64_decode(kind, text, len, bytes, &bad);
    if (n < 0 && bad > len)
        abort();
    if (n >= 0 && (base64_encode(kind, bytes, (size_t)n, again) != len || memcmp(again, text, len) != 0))
        abort();
    free(again);
    free(bytes);
}

static void encode_and_decode(enum base64_kind kind, const uint8_t *bytes, size_t size)
{
    char *text = malloc(BASE64_ENCODED(size) + 1);
    size_t len = base64_encode(kind, bytes, size, text);
    uint8_t *again = malloc(BASE64_DECODED(len));
    if (base64_decode(kind, text, len, again, NULL) != (ptrdiff_t)size || memcmp(again, bytes, size) != 0)
        abort();
    free(again);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    for (int kind = BASE64_URL; kind <= BASE64_STD; kind++) {
        decode_and_encode((enum base64_kind)kind, (const char *)data, size);
        encode_and_decode((enum base64_kind)kind, data, size);
    }
    return 0;
}
