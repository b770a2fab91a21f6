/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/identity.h"

#include <string.h>
#include <strings.h>

#include "api/service.h"
#include "lib/auto.h"
#include "lib/base64.h"

static const char *find_cookie(const char *cookies, size_t *len)
{
    static const char name[] = "JWT=";
    while (cookies != NULL) {
        cookies += strspn(cookies, " ;");
        if (strncmp(cookies, name, sizeof name - 1) == 0) {
            cookies += sizeof name - 1;
            *len = strcspn(cookies, "; ");
            return cookies;
        }
        cookies = strchr(cookies, ';');
    }
    return NULL;
}

/* Exactly two parts with one space between them, the first of them "Bearer" in any case. */
static enum err parse_authorization(struct call *c, const char *header)
{
    const char *space = strchr(header, ' ');
    if (space == NULL || strchr(space + 1, ' ') != NULL)
        return ERR_AUTHORIZATION_FORM;
    size_t len = (size_t)(space - header);
    if (len != 6 || strncasecmp(header, "Bearer", len) != 0)
        return call_fail(c, ERR_AUTHORIZATION_SCHEME, "%s %.*s", err_text(ERR_AUTHORIZATION_SCHEME), (int)len, header);
    c->bearer = space + 1;
    c->bearer_len = strlen(c->bearer);
    return ERR_OK;
}

static enum err find_credential(struct call *c)
{
    const char *header = c->header[CALL_AUTHORIZATION];
    if (header != NULL && *header != '\0')
        return parse_authorization(c, header);
    c->bearer = find_cookie(c->header[CALL_COOKIE], &c->bearer_len);
    return c->bearer != NULL ? ERR_OK : ERR_NO_AUTHORIZATION;
}

/* The middle one of exactly three parts. */
static enum err find_payload(const struct call *c, const char **payload, size_t *len)
{
    const char *end = c->bearer + c->bearer_len;
    const char *first = memchr(c->bearer, '.', c->bearer_len);
    const char *second = first != NULL ? memchr(first + 1, '.', (size_t)(end - first - 1)) : NULL;
    if (second == NULL || memchr(second + 1, '.', (size_t)(end - second - 1)) != NULL)
        return ERR_TOKEN_FORM;
    *payload = first + 1;
    *len = (size_t)(second - first - 1);
    return ERR_OK;
}

/* Read the claims as the original's identity middleware does: nothing is verified. */
static enum err decode_unverified(struct call *c, struct claims *out)
{
    const char *payload = NULL;
    size_t len = 0;
    if (c->bearer_len > JWS_TOKEN_MAX)
        return ERR_TOKEN_FORM;
    TRY(find_payload(c, &payload, &len));
    uint8_t json[BASE64_DECODED(JWS_TOKEN_MAX)];
    size_t bad = 0;
    ptrdiff_t n = base64_decode(BASE64_URL, payload, len, json, &bad);
    if (n < 0)
        return call_fail(c, ERR_TOKEN_BASE64, "%s at input byte %zu", err_text(ERR_TOKEN_BASE64), bad);
    char why[CLAIMS_WHY_SIZE] = "";
    struct claims claims;
    if (claims_parse((const char *)json, (size_t)n, why, &claims) != ERR_OK)
        return call_fail(c, ERR_TOKEN_JSON, "%s: %s", err_text(ERR_TOKEN_JSON), why);
    if (claims.sub[0] == '\0')
        return ERR_TOKEN_SUBJECT;
    *out = claims;
    return ERR_OK;
}

/*
 * A token that does not verify is looked at again for the text that says what is wrong with its form, if that is it;
 * else it is refused with e.
 */
static enum err check_token(struct call *c, struct issuer *issuer, enum err e)
{
    if (issuer_check(issuer, c->bearer, c->bearer_len, &c->token) == ERR_OK)
        return ERR_OK;
    struct claims unverified;
    TRY(decode_unverified(c, &unverified));
    return e;
}

enum err identity_resolve(struct call *c, enum access access)
{
    if (access == ANYONE)
        return ERR_OK;
    TRY(find_credential(c));
    if (access == BEARER && c->service->trust_gateway) {
        memset(&c->token, 0, sizeof c->token);
        TRY(decode_unverified(c, &c->token.claims));
        return c->token.claims.is_device ? ERR_UNAUTHORIZED : ERR_OK;
    }
    if (access == DEVICE)
        return check_token(c, c->service->fleet->tokens, ERR_NO_DEVICE);
    TRY(check_token(c, c->service->users, ERR_TOKEN_INVALID));
    if (access == CHECKED)
        return ERR_OK;
    TRY(identity_authorize(&c->token.claims));
    if (c->service->trust_gateway)
        return ERR_OK;
    return issuer_alive(c->service->users, &c->token, c->may_block);
}

enum err identity_authorize(const struct claims *claims)
{
    if (strcmp(claims->scp, CLAIMS_SCOPE_USER) != 0)
        return ERR_FORBIDDEN;
    return claims->is_user && !claims->is_device ? ERR_OK : ERR_UNAUTHORIZED;
}
