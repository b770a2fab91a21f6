/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/session.h"

#include <stdint.h>

#include "auth/guard.h"
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

/* How often a login is begun again because the password hash changed on the way. */
enum { ATTEMPTS_MAX = 3 };

/* What one transaction writes. */
struct login {
    const struct user *user;
    const char *new_hash; /* NULL: the user's stays */
    struct session_row row;
    int64_t sessions_max;
    int64_t trimmed;
};

/* A check at cost c and then one at each of c, c + 1 ... below cost take 2^cost, what one at cost does. */
static enum err check_slowly(const char *password, const char *hash, int cost)
{
    enum err e = password_check(password, hash);
    for (int c = password_cost(hash); c < cost; c++)
        password_check_nobody(password, c);
    return e;
}

/* Whose e-mail it is, and whether the password is right; both take the time of a check whatever is wrong. */
static enum err compare(struct db *db, const struct session_request *request, struct user **out, bool *is_right)
{
    AUTO(user_free) struct user *user = NULL;
    enum err e = user_get_by_email(db, "", request->email, &user);
    if (e != ERR_USER_NOT_FOUND)
        TRY(e);
    bool is_usable = user != NULL && password_is_hash(user->password_hash);
    if (user != NULL && !is_usable)
        log_warn("a user cannot log in: the stored password hash is unusable", LOG_STR("user", user->id));
    *is_right = is_usable && check_slowly(request->password, user->password_hash, request->cost) == ERR_OK;
    if (!is_usable)
        password_check_nobody(request->password, request->cost);
    user_free(out);
    *out = MOVE(user);
    return ERR_OK;
}

static enum err authenticate(struct issuer *issuer, const struct session_request *request, struct user **user)
{
    bool is_right = false;
    TRY(compare(issuer_db(issuer), request, user, &is_right));
    return guard_judge(issuer_db(issuer), &issuer_config(issuer)->guard,
                       &(struct guard_attempt){.email = request->email,
                                               .client = request->client,
                                               .user_id = *user != NULL ? (*user)->id : NULL,
                                               .is_right = is_right});
}

/* The user's row goes first: it holds off those who delete it, change its password or log in to it meanwhile. */
static enum err record(struct db *tx, void *arg)
{
    struct login *login = arg;
    enum err e =
        session_db_touch_user(tx, login->user->id, login->user->password_hash, login->new_hash, login->row.issued_ms);
    if (e == ERR_USER_NOT_FOUND)
        return ERR_USER_CHANGED;
    TRY(e);
    TRY(session_db_insert(tx, &login->row));
    if (login->sessions_max <= 0)
        return ERR_OK;
    return session_db_trim(tx, login->user->id, login->row.id, login->sessions_max, &login->trimmed);
}

/* The hash that is to replace hash; NULL when it is as it should be, or cannot be made of this password. */
static char *upgrade(const char *password, const char *hash, int cost)
{
    char *made = NULL;
    if (!password_is_outdated(hash, cost) || password_hash(password, cost, &made) != ERR_OK)
        return NULL;
    return made;
}

/* Signing goes before the row: a key that is out of order leaves nothing behind. ERR_USER_CHANGED: see record() */
static enum err start(struct issuer *issuer, const struct session_request *request, const struct user *user,
                      char **token)
{
    const struct issuer_config *config = issuer_config(issuer);
    struct claims claims;
    int64_t kid = 0;
    AUTO(mem_wipe) char *signed_token = NULL;
    TRY(issuer_sign(issuer, user->id, user->tenant_id, request->no_expiry ? 0 : config->lifetime_s, &claims, &kid,
                    &signed_token));
    AUTO(mem_wipe) char *new_hash = upgrade(request->password, user->password_hash, request->cost);
    struct login login = {
        .user = user,
        .new_hash = new_hash,
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

/* Another login may have replaced the hash that was compared by a better one; the password is then right still. */
static enum err log_in(struct issuer *issuer, const struct session_request *request, char **token)
{
    AUTO(user_free) struct user *user = NULL;
    TRY(authenticate(issuer, request, &user));
    for (int i = 0; i < ATTEMPTS_MAX; i++) {
        enum err e = start(issuer, request, user, token);
        if (e != ERR_USER_CHANGED)
            return e;
        bool is_right = false;
        TRY(compare(issuer_db(issuer), request, &user, &is_right));
        if (!is_right)
            return ERR_UNAUTHORIZED;
    }
    return ERR_UNAUTHORIZED;
}

/* Nobody's e-mail or password is empty: these are no guesses. */
static enum err refuse_empty(const struct session_request *request)
{
    password_check_nobody(request->password, request->cost);
    return ERR_UNAUTHORIZED;
}

enum err session_login(struct issuer *issuer, const struct session_request *request, char **token)
{
    bool is_empty = request->email[0] == '\0' || request->password[0] == '\0';
    enum err e = is_empty ? refuse_empty(request) : log_in(issuer, request, token);
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
