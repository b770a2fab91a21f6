/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "api/handlers.h"
#include "api/limit.h"
#include "api/service.h"
#include "auth/addon.h"
#include "auth/checkin.h"
#include "auth/device_enrol.h"
#include "auth/devreq.h"
#include "auth/tenant.h"
#include "lib/auto.h"
#include "lib/mem.h"

/* What a device sends has some hundred bytes; what somebody else sends may take long to read. */
#define BODY_IN_PLACE 4096

/* Where a tenant service is, it says whose the device is, and what its token says of that. */
static enum err enrol(struct call *c, const struct devreq *request, char **token)
{
    const struct fleet *fleet = c->service->fleet;
    struct device_identity identity;
    AUTO(tenant_release) struct tenant tenant = {0};
    if (fleet->tenants == NULL) {
        device_identity_set(&identity, "", &request->id, request->key);
        return device_enrol(fleet, &identity, &fleet->plan, call_request_id(c), c->may_block, token);
    }
    char why[TENANT_WHY_SIZE] = "";
    enum err e = tenant_find(fleet->tenants, request->tenant_token, call_request_id(c), why, &tenant);
    if (e != ERR_OK)
        return call_fail(c, e, "%s", why);
    const struct claims_plan plan = {.plan = tenant.plan, .addons = tenant.addons, .is_trial = tenant.is_trial};
    device_identity_set(&identity, tenant.id, &request->id, request->key);
    return device_enrol(fleet, &identity, &plan, call_request_id(c), c->may_block, token);
}

static void free_request(void *kept)
{
    struct devreq *request = kept;
    devreq_release(request);
    free(request);
}

/* Read and verified once, though the handler may be run twice. */
static enum err read_request(struct call *c, char why[DEVREQ_WHY_SIZE], const struct devreq **out)
{
    if (c->kept == NULL) {
        struct devreq *request = mem_calloc(1, sizeof *request);
        call_keep(c, request, free_request);
        TRY(devreq_read(c->service->device_keys, c->body, c->body_len, c->header[CALL_SIGNATURE], why, request));
    }
    *out = c->kept;
    return ERR_OK;
}

/* Whether it takes too long for an I/O thread. Where there are tenants, somebody else is asked. */
static bool is_long(const struct call *c)
{
    return c->is_pressed || c->body_len > BODY_IN_PLACE || c->service->fleet->tenants != NULL;
}

enum err enrolments_create(struct call *c)
{
    if (c->is_body_cut)
        return call_fail(c, ERR_JSON, "failed to decode auth request: %s", err_text(ERR_TOO_LARGE));
    if (!c->may_block && is_long(c))
        return ERR_WOULD_BLOCK;
    char why[DEVREQ_WHY_SIZE] = "";
    const struct devreq *request = NULL;
    enum err e = read_request(c, why, &request);
    if (e != ERR_OK)
        return call_fail(c, e, "%s", why);
    AUTO(mem_wipe) char *token = NULL;
    TRY(enrol(c, request, &token));
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

static enum err check_addon(struct call *c)
{
    char why[ADDON_WHY_SIZE] = "";
    if (!c->service->fleet->have_addons || c->service->fleet->tenants == NULL)
        return ERR_OK;
    enum err e = addon_check(c->bearer, c->bearer_len, c->header[CALL_FORWARDED_URI], why);
    return e == ERR_OK ? ERR_OK : call_fail(c, e, "%s", why);
}

/* Where there are tenants, whoever has none is nobody (contract/deviceauth 2.8). */
static enum err check_alive(struct call *c)
{
    const struct fleet *fleet = c->service->fleet;
    if (fleet->tenants != NULL && c->token.claims.tenant[0] == '\0')
        return ERR_UNAUTHORIZED;
    return issuer_alive(fleet->tokens, &c->token, c->may_block);
}

/* Calls are counted whether the token counts still or not (contract/deviceauth 3.3). */
enum err enrolments_verify(struct call *c)
{
    enum err e = check_alive(c);
    if (e != ERR_OK && e != ERR_UNAUTHORIZED)
        return e;
    TRY(count_device(c));
    if (e != ERR_OK)
        return ERR_NO_DEVICE;
    TRY(check_addon(c));
    checkin_note(c->service->fleet->checkin, c->token.claims.sub);
    return call_empty(c, 200);
}
