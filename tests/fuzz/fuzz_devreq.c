/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/devreq.h"
#include "lib/auto.h"
#include "lib/mem.h"

/*
 * Input: the signature header, a line end, the body. A request passes only with its own signature, and without any it
 * gets exactly as far as that; each refusal has its text. Requests with good signatures are in the corpus, so mutations
 * start from what passes.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct pubkey_cache *keys(void)
{
    static struct pubkey_cache *cache;
    if (cache == NULL)
        cache = pubkey_cache_new(64, PUBKEY_RSA_BITS_MIN);
    return cache;
}

static enum err read_request(const char *body, size_t len, const char *signature, struct devreq *out)
{
    char why[DEVREQ_WHY_SIZE] = "";
    enum err e = devreq_read(keys(), body, len, signature, why, out);
    if ((e == ERR_OK) != (*why == '\0') || memchr(why, '\0', sizeof why) == NULL)
        abort();
    if (e != ERR_OK && (out->key != NULL || out->id.text != NULL || out->tenant_token != NULL))
        abort();
    return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *end = memchr(data, '\n', size);
    if (end == NULL)
        return 0;
    const char *body = end + 1;
    size_t len = size - (size_t)(body - (const char *)data);
    AUTO(mem_free) char *signature = mem_strndup((const char *)data, (size_t)(end - (const char *)data));
    AUTO(devreq_release) struct devreq request = {0};
    AUTO(devreq_release) struct devreq none = {0};
    enum err with = read_request(body, len, signature, &request);
    enum err without = read_request(body, len, NULL, &none);
    if (without == ERR_OK)
        abort();
    if (with == ERR_OK && without != ERR_SIGNATURE_MISSING)
        abort();
    if (with == ERR_SIGNATURE && without != ERR_SIGNATURE_MISSING)
        abort();
    if (with == ERR_OK && (request.id.text == NULL || request.key == NULL || request.tenant_token == NULL))
        abort();
    return 0;
}
