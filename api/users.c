/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/service.h"
#include "auth/user.h"
#include "lib/auto.h"
#include "lib/json.h"

enum err users_get_me(struct call *c)
{
    AUTO(user_free) struct user *user = NULL;
    TRY(user_get(c->service->db, c->token.claims.tenant, c->token.claims.sub, &user));
    AUTO(json_release) json_t *json = user_json(user);
    return call_json(c, 200, json);
}
