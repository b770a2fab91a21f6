/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "api/handlers.h"
#include "api/route.h"
#include "api/service.h"
#include "auth/device.h"
#include "lib/auto.h"
#include "lib/json.h"

/* On internal routes the path names the tenant and then the limit, on others the limit only. */
static enum err find(struct call *c, const char **tenant)
{
    bool is_internal = c->route->surface == INTERNAL;
    const char *name = is_internal ? c->param[1] : c->param[0];
    if (strcmp(name, DEVICE_LIMIT_MAX) != 0)
        return call_fail(c, ERR_BAD_REQUEST, "unsupported limit %s", name);
    *tenant = is_internal ? c->param[0] : c->token.claims.tenant;
    return ERR_OK;
}

enum err limits_show(struct call *c)
{
    const char *tenant = NULL;
    int64_t value = 0;
    TRY(find(c, &tenant));
    TRY(device_limit_get(c->service->db, tenant, &value));
    AUTO(json_release) json_t *json = json_pack("{s:I}", "limit", (json_int_t)value);
    return call_json(c, 200, json);
}

enum err limits_replace(struct call *c)
{
    static const char decoding[] = "failed to decode limit request";
    const char *tenant = NULL;
    AUTO(json_release) json_t *body = NULL;
    TRY(find(c, &tenant));
    TRY(call_body(c, decoding, &body));
    const json_t *limit = json_member(body, "limit");
    if (limit != NULL && !json_is_integer(limit))
        return call_fail(c, ERR_JSON, "%s: json: field \"limit\" must be an integer", decoding);
    TRY(device_limit_set(c->service->db, tenant, json_integer_value(limit)));
    return call_empty(c, 204);
}

enum err limits_delete(struct call *c)
{
    const char *tenant = NULL;
    TRY(find(c, &tenant));
    TRY(device_limit_clear(c->service->db, tenant));
    return call_empty(c, 204);
}
