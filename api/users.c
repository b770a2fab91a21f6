/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "api/handlers.h"
#include "api/route.h"
#include "api/service.h"
#include "api/user_filter.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

#define LOCATION "/api/management/v1/useradm/users/"

static const char decoding[] = "failed to decode request body";

/* What a body of this resource may hold; "" stands for what is absent. Borrowed from the body. */
struct fields {
    const char *email;
    const char *password;
    const char *current_password;
};

static enum err read_fields(struct call *c, const json_t *body, struct fields *out)
{
    TRY(call_string(c, decoding, body, "email", &out->email));
    TRY(call_string(c, decoding, body, "password", &out->password));
    return call_string(c, decoding, body, "current_password", &out->current_password);
}

/* The validation text, where the error has no text of its own. */
static enum err explain(struct call *c, enum err e, const char *why)
{
    return e == ERR_INVALID ? call_fail(c, e, "%s", why) : e;
}

static const char *given(const char *text)
{
    return *text != '\0' ? text : NULL;
}

/* Change the user called id, and forget which tokens were alive. */
static enum err update(struct call *c, const char *id, const struct fields *fields)
{
    const struct claims *caller = &c->token.claims;
    const struct user_change change = {.tenant = caller->tenant,
                                       .id = id,
                                       .caller = caller->sub,
                                       .keep = caller->jti,
                                       .email = given(fields->email),
                                       .password = given(fields->password),
                                       .current_password = fields->current_password,
                                       .cost = c->service->password_cost};
    char why[USER_WHY_SIZE] = "";
    TRY(explain(c, user_update(c->service->db, &change, why), why));
    issuer_revoked(c->service->users);
    return call_empty(c, 204);
}

enum err users_list(struct call *c)
{
    AUTO(user_filter_release) struct user_filter filter = {0};
    TRY(user_filter_parse(c, &filter));
    const char *tenant = c->route->surface == INTERNAL ? c->param[0] : c->token.claims.tenant;
    struct user **users = NULL;
    size_t n = 0;
    TRY(user_list(c->service->db, tenant, &users, &n));
    AUTO(json_release) json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        if (user_filter_matches(&filter, users[i]))
            json_array_append_new(list, user_json(users[i]));
    user_list_free(&users, n);
    return call_json(c, 200, list);
}

enum err users_create(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, decoding, &body));
    struct fields fields;
    TRY(read_fields(c, body, &fields));
    const struct user_new user = {.tenant = c->token.claims.tenant,
                                  .email = fields.email,
                                  .password = fields.password,
                                  .refuses_similar = true,
                                  .cost = c->service->password_cost};
    char why[USER_WHY_SIZE] = "";
    AUTO(mem_free) char *id = NULL;
    TRY(explain(c, user_create(c->service->db, &user, why, &id), why));
    AUTO(mem_free) char *location = mem_printf(LOCATION "%s", id);
    call_header(c, "Location", location);
    return call_empty(c, 201);
}

enum err users_get(struct call *c)
{
    const char *id = strcmp(c->param[0], "me") == 0 ? c->token.claims.sub : c->param[0];
    AUTO(user_free) struct user *user = NULL;
    TRY(user_get(c->service->db, c->token.claims.tenant, id, &user));
    AUTO(json_release) json_t *json = user_json(user);
    return call_json(c, 200, json);
}

enum err users_update(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, decoding, &body));
    struct fields fields;
    TRY(read_fields(c, body, &fields));
    if (given(fields.email) == NULL && given(fields.password) == NULL)
        return call_fail(c, ERR_BAD_REQUEST, "no update information provided");
    return update(c, strcasecmp(c->param[0], "me") == 0 ? c->token.claims.sub : c->param[0], &fields);
}

enum err users_update_me(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, decoding, &body));
    struct fields fields = {.email = ""};
    TRY(call_string(c, decoding, body, "password", &fields.password));
    TRY(call_string(c, decoding, body, "current_password", &fields.current_password));
    return update(c, c->token.claims.sub, &fields);
}

enum err users_delete(struct call *c)
{
    enum err e = user_delete(c->service->db, c->token.claims.tenant, c->param[0]);
    if (e != ERR_USER_NOT_FOUND)
        TRY(e);
    issuer_revoked(c->service->users);
    return call_empty(c, 204);
}
