/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_JWKS_H
#define KEYSTORE_JWKS_H

#include <stddef.h>

#include "keystore/key.h"

/* Bytes of a quoted entity tag, NUL included. */
#define JWKS_ETAG_SIZE 48

/*
 * Write n public keys as a JWK Set (RFC 7517 section 5), in the order given, and its strong entity tag (RFC 9110
 * section 8.8.3). Never a private member. The caller frees *json.
 */
void jwks_write(const struct key *const *keys, size_t n, char **json, char etag[JWKS_ETAG_SIZE]);

#endif
