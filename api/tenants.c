/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/query.h"
#include "api/service.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

static const char decoding[] = "failed to decode request body";

static const char *given(const char *text)
{
    return *text != '\0' ? text : NULL;
}

static enum err read_user(struct call *c, const json_t *body, struct user_new *out)
{
    const char *password = "";
    const char *hash = "";
    TRY(call_string(c, decoding, body, "id", &out->id));
    TRY(call_string(c, decoding, body, "email", &out->email));
    TRY(call_string(c, decoding, body, "password", &password));
    TRY(call_string(c, decoding, body, "password_hash", &hash));
    out->password = given(password);
    out->password_hash = given(hash);
    if ((out->password == NULL) == (out->password_hash == NULL))
        return call_fail(c, ERR_BAD_REQUEST, "password *or* password_hash must be provided");
    return ERR_OK;
}

/* A tenant is but a string on the rows: nothing is stored. */
enum err tenants_create(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, NULL, &body));
    const char *tenant = "";
    TRY(call_string(c, NULL, body, "tenant_id", &tenant));
    if (given(tenant) == NULL)
        return call_fail(c, ERR_BAD_REQUEST, "tenant_id: cannot be blank.");
    return call_empty(c, 201);
}

enum err tenants_accept(struct call *c)
{
    return call_empty(c, 201);
}

enum err tenants_create_user(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, decoding, &body));
    struct user_new user = {.tenant = c->param[0], .cost = c->service->password_cost};
    TRY(read_user(c, body, &user));
    char why[USER_WHY_SIZE] = "";
    AUTO(mem_free) char *id = NULL;
    enum err e = user_create(c->service->db, &user, why, &id);
    if (e == ERR_INVALID)
        return call_fail(c, e, "%s", why);
    if (e == ERR_PASSWORD_SHORT)
        return call_fail(c, ERR_INVALID, "User: %s.", why);
    TRY(e);
    return call_empty(c, 201);
}

enum err tenants_delete_user(struct call *c)
{
    enum err e = user_delete(c->service->db, c->param[0], c->param[1]);
    if (e != ERR_USER_NOT_FOUND)
        TRY(e);
    issuer_revoked(c->service->users);
    return call_empty(c, 204);
}

/* An empty user_id is none, as the original has it. */
enum err tenants_delete_tokens(struct call *c)
{
    AUTO(query_release) struct query query = {0};
    TRY(query_parse(c, &query));
    const char *tenant = query_value(&query, "tenant_id");
    const char *user = query_value(&query, "user_id");
    if (tenant == NULL || *tenant == '\0')
        return call_fail(c, ERR_BAD_REQUEST, "tenant_id must be provided");
    TRY(user_revoke(c->service->db, tenant, user != NULL ? given(user) : NULL));
    issuer_revoked(c->service->users);
    return call_empty(c, 204);
}
