/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/service.h"
#include "auth/device.h"
#include "auth/device_admit.h"
#include "lib/auto.h"
#include "lib/json.h"

static enum err read_status(struct call *c, enum device_status *status)
{
    static const char decoding[] = "failed to decode status data";
    AUTO(json_release) json_t *body = NULL;
    const char *name = "";
    TRY(call_body(c, decoding, &body));
    TRY(call_string(c, decoding, body, "status", &name));
    bool is_known = device_status_parse(name, status);
    if (!is_known || (*status != DEVICE_ACCEPTED && *status != DEVICE_REJECTED && *status != DEVICE_PENDING))
        return call_fail(c, ERR_BAD_REQUEST, "incorrect device status");
    return ERR_OK;
}

enum err auth_sets_set_status(struct call *c)
{
    enum device_status status = DEVICE_PENDING;
    TRY(read_status(c, &status));
    TRY(device_admit_set_status(c->service->fleet, c->token.claims.tenant, c->param[0], c->param[1], status,
                                call_request_id(c)));
    return call_empty(c, 204);
}

enum err auth_sets_status(struct call *c)
{
    AUTO(device_free) struct device *device = NULL;
    enum err e = device_get(c->service->db, c->token.claims.tenant, c->param[0], &device);
    if (e == ERR_DEVICE_NOT_FOUND)
        return ERR_AUTH_SET_NOT_FOUND;
    TRY(e);
    const struct auth_set *set = device_set(device, c->param[1]);
    if (set == NULL)
        return ERR_AUTH_SET_NOT_FOUND;
    AUTO(json_release) json_t *json = json_pack("{s:s}", "status", device_status_name(set->status));
    return call_json(c, 200, json);
}

enum err auth_sets_delete(struct call *c)
{
    enum err e = device_admit_delete_set(c->service->fleet, c->token.claims.tenant, c->param[0], c->param[1],
                                         call_request_id(c));
    if (e == ERR_AUTH_SET_NOT_FOUND)
        return ERR_NOTHING_THERE;
    TRY(e);
    return call_empty(c, 204);
}
