/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/handlers.h"
#include "api/service.h"
#include "auth/device_enrol.h"
#include "auth/devreq.h"
#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define HASH_SIZE (2 * JWS_DIGEST_SIZE + 1)

static void write_hex(const uint8_t digest[JWS_DIGEST_SIZE], char out[HASH_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < JWS_DIGEST_SIZE; i++) {
        *out++ = hex[digest[i] >> 4];
        *out++ = hex[digest[i] & 15];
    }
    *out = '\0';
}

static enum err enrol(struct call *c, const struct devreq *request, char **token)
{
    const struct fleet *fleet = c->service->fleet;
    const char *pem = pubkey_pem(request->key);
    uint8_t key_digest[JWS_DIGEST_SIZE];
    char id_hash[HASH_SIZE];
    char key_hash[HASH_SIZE];
    jws_digest(pem, strlen(pem), key_digest);
    write_hex(request->id.sha256, id_hash);
    write_hex(key_digest, key_hash);
    const struct device_request device = {.tenant = "",
                                          .id_data = request->id.text,
                                          .id_hash = id_hash,
                                          .pubkey = pem,
                                          .key_hash = key_hash,
                                          .request_id = call_request_id(c)};
    return device_enrol(fleet, &device, &fleet->plan, token);
}

enum err enrolments_create(struct call *c)
{
    char why[DEVREQ_WHY_SIZE] = "";
    AUTO(devreq_release) struct devreq request = {0};
    if (c->is_body_cut)
        return call_fail(c, ERR_JSON, "failed to decode auth request: %s", err_text(ERR_TOO_LARGE));
    enum err e = devreq_read(c->service->device_keys, c->body, c->body_len, c->header[CALL_SIGNATURE], why, &request);
    if (e != ERR_OK)
        return call_fail(c, e, "%s", why);
    AUTO(mem_wipe) char *token = NULL;
    TRY(enrol(c, &request, &token));
    return call_text(c, 200, "application/jwt", &token);
}

enum err enrolments_verify(struct call *c)
{
    enum err e = issuer_alive(c->service->fleet->tokens, &c->token, c->may_block);
    if (e == ERR_UNAUTHORIZED)
        return ERR_NO_DEVICE;
    TRY(e);
    return call_empty(c, 200);
}
