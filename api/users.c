/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/handlers.h"
#include "api/service.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/json.h"

/* The user that the path names; "me" is the caller. */
static const char *target(const struct call *c)
{
    return strcmp(c->param[0], "me") == 0 ? c->token.claims.sub : c->param[0];
}

enum err users_get(struct call *c)
{
    AUTO(user_free) struct user *user = NULL;
    TRY(user_get(c->service->db, c->token.claims.tenant, target(c), &user));
    AUTO(json_release) json_t *json = user_json(user);
    return call_json(c, 200, json);
}
