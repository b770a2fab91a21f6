/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include <stdbool.h>

#include "auth/claims.h"
#include "auth/issuer.h"
#include "lib/err.h"

/*
 * Log a person in (tenant ""): check the password, sign, then in one transaction note the login, insert the token row
 * and delete the oldest sessions over the limit. A user that is deleted, or whose password changes, while this runs
 * gets no live token. An unknown user costs the time of a known one.
 *   cost       of the dummy work for unknown users: the configured one
 *   no_expiry  the token never expires
 * The caller frees *token (mem_wipe). ERR_UNAUTHORIZED; ERR_SIGN; storage errors
 */
enum err session_login(struct issuer *issuer, const char *email, const char *password, int cost, bool no_expiry,
                       char **token);

/* Delete the row of claims' jti and sub: that token is dead. ERR_OK also when it was gone already. */
enum err session_logout(struct issuer *issuer, const struct claims *claims);

#endif
