/* SPDX-License-Identifier: Apache-2.0 */
#ifndef API_IDENTITY_H
#define API_IDENTITY_H

#include "api/call.h"
#include "api/route.h"
#include "lib/err.h"

/*
 * Find out who calls, as access demands, and put the token into the call (contract/useradm 1.1). The credential is the
 * Authorization header or, only when that is absent or empty, the cookie JWT.
 * ERR_NO_AUTHORIZATION ... ERR_TOKEN_SUBJECT with the contract's texts; ERR_TOKEN_INVALID, ERR_FORBIDDEN,
 * ERR_UNAUTHORIZED; ERR_WOULD_BLOCK; storage errors
 */
enum err identity_resolve(struct call *c, enum access access);

/* Whether the token may do what a person may: scope (ERR_FORBIDDEN) and kind (ERR_UNAUTHORIZED); contract/useradm 4. */
enum err identity_authorize(const struct claims *claims);

#endif
