/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/settings.h"
#include "api/handlers.h"
#include "api/service.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

/* The tenant's settings have no user. */
#define NOBODY ""

static const char *if_match(const struct call *c)
{
    const char *etag = c->header[CALL_IF_MATCH];
    return etag != NULL && *etag != '\0' ? etag : NULL;
}

static enum err reply(struct call *c, const char *user_id)
{
    AUTO(settings_release) struct settings settings = {0};
    TRY(settings_load(c->service->db, c->token.claims.tenant, user_id, &settings));
    if (settings.etag[0] != '\0')
        call_header(c, "ETag", settings.etag);
    char *text = json_escape(settings.body);
    return call_text(c, 200, "application/json; charset=utf-8", &text);
}

static enum err save(struct call *c, const char *user_id)
{
    AUTO(mem_free) char *text = NULL;
    char why[SETTINGS_WHY_SIZE] = "";
    enum err e = c->is_body_cut ? ERR_JSON : settings_parse(c->body, c->body_len, why, &text);
    if (e == ERR_JSON)
        return call_fail(c, e, "cannot parse request body as json");
    if (e == ERR_INVALID)
        return call_fail(c, e, "%s", why);
    TRY(e);
    TRY(settings_save(c->service->db, c->token.claims.tenant, user_id, if_match(c), text));
    return call_empty(c, 201);
}

enum err settings_show(struct call *c)
{
    return reply(c, NOBODY);
}

enum err settings_replace(struct call *c)
{
    return save(c, NOBODY);
}

enum err settings_show_own(struct call *c)
{
    return reply(c, c->token.claims.sub);
}

enum err settings_replace_own(struct call *c)
{
    return save(c, c->token.claims.sub);
}
