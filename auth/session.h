/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_SESSION_H
#define AUTH_SESSION_H

#include <stdbool.h>

#include "auth/claims.h"
#include "auth/issuer.h"
#include "lib/err.h"

struct session_request {
    const char *email;
    const char *password;
    const char *client; /* the client's address */
    int cost;           /* of password hashes, as configured */
    bool no_expiry;     /* the token never expires */
};

/*
 * Log a person in (tenant ""): check the password, ask the guard (auth/guard.h), sign, then in one transaction note the
 * login, insert the token row and delete the oldest sessions over the limit. A user that is deleted, or whose password
 * changes, while this runs gets no live token. A refusal takes the same time whether the user is unknown, the password
 * wrong or the account locked. A hash of a lower cost or another prefix is replaced on the way, which nobody notices
 * but by the time that this one login takes.
 * The caller frees *token (mem_wipe). ERR_UNAUTHORIZED; ERR_SIGN; storage errors
 */
enum err session_login(struct issuer *issuer, const struct session_request *request, char **token);

/* Delete the row of claims' jti and sub: that token is dead. ERR_OK also when it was gone already. */
enum err session_logout(struct issuer *issuer, const struct claims *claims);

#endif
