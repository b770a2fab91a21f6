/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/limit.h"
#include "api/service.h"
#include "auth/checkin.h"
#include "auth/device_enrol.h"
#include "auth/devreq.h"
#include "lib/auto.h"
#include "lib/mem.h"

enum err enrolments_create(struct call *c)
{
    const struct fleet *fleet = c->service->fleet;
    char why[DEVREQ_WHY_SIZE] = "";
    AUTO(devreq_release) struct devreq request = {0};
    if (c->is_body_cut)
        return call_fail(c, ERR_JSON, "failed to decode auth request: %s", err_text(ERR_TOO_LARGE));
    enum err e = devreq_read(c->service->device_keys, c->body, c->body_len, c->header[CALL_SIGNATURE], why, &request);
    if (e != ERR_OK)
        return call_fail(c, e, "%s", why);
    AUTO(mem_wipe) char *token = NULL;
    struct device_identity identity;
    device_identity_set(&identity, "", &request.id, request.key);
    TRY(device_enrol(fleet, &identity, &fleet->plan, call_request_id(c), &token));
    return call_text(c, 200, "application/jwt", &token);
}

static enum err count_device(struct call *c)
{
    if (c->service->device_limits == NULL)
        return ERR_OK;
    const struct claims *claims = &c->token.claims;
    const struct ratelimit_identity identity = {.subject = claims->sub,
                                                .tenant = claims->tenant,
                                                .is_device = claims->is_device};
    return limit_call(c, c->service->device_limits, &identity);
}

/* Calls are counted whether the token counts still or not (contract/deviceauth 3.3). */
enum err enrolments_verify(struct call *c)
{
    enum err e = issuer_alive(c->service->fleet->tokens, &c->token, c->may_block);
    if (e != ERR_OK && e != ERR_UNAUTHORIZED)
        return e;
    TRY(count_device(c));
    if (e != ERR_OK)
        return ERR_NO_DEVICE;
    checkin_note(c->service->fleet->checkin, c->token.claims.sub);
    return call_empty(c, 200);
}
