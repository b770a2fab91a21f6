/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_DEVREQ_H
#define AUTH_DEVREQ_H

#include <stddef.h>

#include "auth/iddata.h"
#include "keystore/pubkey.h"
#include "keystore/pubkey_cache.h"
#include "lib/err.h"

/* The request of a device for a token: reading and checking it, with no storage (contract/deviceauth 2.1 to 2.6). */
struct devreq {
    struct iddata id;
    struct pubkey *key;
    char *tenant_token; /* "" when there is none */
};

/* Room for the client's text of an error. */
#define DEVREQ_WHY_SIZE 256

/*
 * Read a request and verify its signature. What is wrong first is what is said, in this order: JSON, id_data, key,
 * canonical form of id_data, signature (contract/deviceauth 2.2, steps 3 to 9).
 *   body       exactly as received: these bytes are signed
 *   signature  the header's value; NULL or "" when it is not there
 *   why        the client's text when it fails
 * ERR_JSON, ERR_INVALID, ERR_PUBKEY_*, ERR_SIGNATURE_MISSING, ERR_SIGNATURE; on any error *out is as it was
 */
enum err devreq_read(struct pubkey_cache *keys, const char *body, size_t len, const char *signature,
                     char why[DEVREQ_WHY_SIZE], struct devreq *out);
void devreq_release(struct devreq *request);

#endif
