/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <string.h>
#include <strings.h>

#include "api/client.h"
#include "api/handlers.h"
#include "api/identity.h"
#include "api/limit.h"
#include "api/service.h"
#include "auth/session.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Longest base64 text of Basic credentials that is looked at: both fields at most 256 bytes, and then some. */
#define BASIC_MAX 1024

/* "/a/b/c" has four pieces for the original; fewer are an error of the gateway's set-up. */
#define FORWARDED_SLASHES_MIN 3

/*
 * The user and password of a Basic Authorization header, split at the first colon (RFC 7617). *user owns the buffer
 * that *password points into.
 */
static enum err parse_basic(const char *header, char **user, char **password)
{
    static const char scheme[] = "Basic ";
    if (header == NULL || strncasecmp(header, scheme, sizeof scheme - 1) != 0)
        return ERR_BASIC_AUTH;
    const char *text = header + sizeof scheme - 1;
    size_t len = strlen(text);
    if (len > BASIC_MAX)
        return ERR_BASIC_AUTH;
    AUTO(mem_wipe) char *plain = mem_calloc(BASE64_DECODED(len) + 1, 1);
    ptrdiff_t n = base64_decode(BASE64_STD, text, len, (uint8_t *)plain, NULL);
    if (n < 0 || memchr(plain, '\0', (size_t)n) != NULL)
        return ERR_BASIC_AUTH;
    plain[n] = '\0';
    char *colon = strchr(plain, ':');
    if (colon == NULL)
        return ERR_BASIC_AUTH;
    *colon = '\0';
    *password = colon + 1;
    *user = MOVE(plain);
    return ERR_OK;
}

/* The body is optional, and so is everything in it. */
static enum err parse_login_options(struct call *c, bool *no_expiry)
{
    *no_expiry = false;
    if (c->body_len == 0)
        return ERR_OK;
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, NULL, &body));
    const json_t *value = json_member(body, "no_expiry");
    if (value != NULL && !json_is_boolean(value))
        return call_fail(c, ERR_JSON, "json: field \"no_expiry\" must be a boolean");
    *no_expiry = json_is_true(value);
    return ERR_OK;
}

static bool is_forwarded(const struct call *c)
{
    const char *method = c->header[CALL_FORWARDED_METHOD];
    const char *uri = c->header[CALL_FORWARDED_URI];
    if (method == NULL || *method == '\0' || uri == NULL)
        return false;
    int slashes = 0;
    for (const char *p = strchr(uri, '/'); p != NULL; p = strchr(p + 1, '/'))
        slashes++;
    return slashes >= FORWARDED_SLASHES_MIN;
}

/* The original's tokens of people have neither plan nor trial, and so have ours. */
static enum err count_user(struct call *c)
{
    if (c->service->user_limits == NULL)
        return ERR_OK;
    const struct claims *claims = &c->token.claims;
    const struct ratelimit_identity identity = {.subject = claims->sub,
                                                .tenant = claims->tenant,
                                                .is_user = claims->is_user,
                                                .is_device = claims->is_device};
    return limit_call(c, c->service->user_limits, &identity);
}

enum err sessions_create(struct call *c)
{
    AUTO(mem_free) char *user = NULL;
    char *password = NULL;
    TRY(parse_basic(c->header[CALL_AUTHORIZATION], &user, &password));
    bool no_expiry = false;
    enum err e = parse_login_options(c, &no_expiry);
    AUTO(mem_wipe) char *token = NULL;
    if (e == ERR_OK)
        e = session_login(c->service->users,
                          &(struct session_request){.email = user,
                                                    .password = password,
                                                    .client = client_address(c),
                                                    .cost = c->service->password_cost,
                                                    .no_expiry = no_expiry},
                          &token);
    explicit_bzero(password, strlen(password));
    TRY(e);
    return call_text(c, 200, "application/jwt", &token);
}

enum err sessions_delete(struct call *c)
{
    TRY(session_logout(c->service->users, &c->token.claims));
    return call_empty(c, 202);
}

enum err sessions_verify(struct call *c)
{
    if (!is_forwarded(c))
        return ERR_FORWARDED;
    TRY(identity_authorize(&c->token.claims));
    TRY(issuer_alive(c->service->users, &c->token, c->may_block));
    TRY(count_user(c));
    return call_empty(c, 200);
}
