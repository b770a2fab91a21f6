/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/session.h"

#include <stdint.h>

#include "auth/password.h"
#include "auth/session_db.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/sat.h"

METRICS_COUNTER(logins_ok, "mintd_logins_total", "result=\"ok\"", "Logins, by result.");
METRICS_COUNTER(logins_refused, "mintd_logins_total", "result=\"refused\"", "Logins, by result.");
METRICS_COUNTER(issued, "mintd_tokens_issued_total", "kind=\"session\"", "Tokens issued, by kind.");

/* What one transaction writes. */
struct login {
    const struct user *user;
    struct session_row row;
    int64_t sessions_max;
    int64_t trimmed;
};

/* Take the time of a password check, which nobody passes. */
static enum err refuse(const char *password, int cost)
{
    password_check_nobody(password, cost);
    return ERR_UNAUTHORIZED;
}

/* The user with this e-mail and password; whatever is wrong takes the time of a check. */
static enum err authenticate(struct db *db, const char *email, const char *password, int cost, struct user **out)
{
    if (email[0] == '\0' || password[0] == '\0')
        return refuse(password, cost);
    AUTO(user_free) struct user *user = NULL;
    enum err e = user_get_by_email(db, "", email, &user);
    if (e == ERR_USER_NOT_FOUND)
        return refuse(password, cost);
    TRY(e);
    if (!password_is_hash(user->password_hash)) {
        log_warn("a user cannot log in: the stored password hash is unusable", LOG_STR("user", user->id));
        return refuse(password, cost);
    }
    TRY(password_check(password, user->password_hash));
    *out = MOVE(user);
    return ERR_OK;
}

/* The user's row goes first: it holds off those who delete it, change its password or log in to it meanwhile. */
static enum err record(struct db *tx, void *arg)
{
    struct login *login = arg;
    enum err e = session_db_touch_user(tx, login->user->id, login->user->password_hash, login->row.issued_ms);
    if (e == ERR_USER_NOT_FOUND)
        return ERR_UNAUTHORIZED;
    TRY(e);
    TRY(session_db_insert(tx, &login->row));
    if (login->sessions_max <= 0)
        return ERR_OK;
    return session_db_trim(tx, login->user->id, login->row.id, login->sessions_max, &login->trimmed);
}

/* Signing goes before the row: a key that is out of order leaves nothing behind. */
static enum err start(struct issuer *issuer, const struct user *user, bool no_expiry, char **token)
{
    const struct issuer_config *config = issuer_config(issuer);
    struct claims claims;
    int64_t kid = 0;
    AUTO(mem_wipe) char *signed_token = NULL;
    TRY(issuer_sign(issuer, user->id, user->tenant_id, no_expiry ? 0 : config->lifetime_s, &claims, &kid,
                    &signed_token));
    struct login login = {
        .user = user,
        .row = {.id = claims.jti,
                .tenant = claims.tenant,
                .user_id = claims.sub,
                .kid = kid,
                .issued_ms = clock_ms(),
                .expires_ms = sat_mul(claims.exp, 1000)},
        .sessions_max = config->sessions_max,
    };
    TRY(db_tx(issuer_db(issuer), record, &login));
    if (login.trimmed > 0)
        issuer_revoked(issuer);
    *token = MOVE(signed_token);
    return ERR_OK;
}

enum err session_login(struct issuer *issuer, const char *email, const char *password, int cost, bool no_expiry,
                       char **token)
{
    AUTO(user_free) struct user *user = NULL;
    enum err e = authenticate(issuer_db(issuer), email, password, cost, &user);
    if (e == ERR_OK)
        e = start(issuer, user, no_expiry, token);
    if (e == ERR_OK) {
        metrics_add(&logins_ok, 1);
        metrics_add(&issued, 1);
    } else if (e == ERR_UNAUTHORIZED) {
        metrics_add(&logins_refused, 1);
    }
    return e;
}

enum err session_logout(struct issuer *issuer, const struct claims *claims)
{
    TRY(session_db_delete(issuer_db(issuer), claims->jti, claims->sub));
    /* also when another process was faster: here it may have been believed alive */
    issuer_revoked(issuer);
    return ERR_OK;
}
