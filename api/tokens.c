/* SPDX-License-Identifier: Apache-2.0 */
#include "api/handlers.h"
#include "api/service.h"
#include "auth/pat.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

static enum err refuse_body(struct call *c)
{
    return call_fail(c, ERR_JSON, "cannot parse request body as json");
}

/* *name is borrowed from body. */
static enum err parse_request(struct call *c, const json_t *body, const char **name, int64_t *lifetime_s)
{
    const json_t *text = json_member(body, "name");
    const json_t *number = json_member(body, "expires_in");
    if ((text != NULL && !json_is_string(text)) || (number != NULL && !json_is_integer(number)))
        return refuse_body(c);
    *name = text != NULL ? json_string_value(text) : "";
    *lifetime_s = json_integer_value(number);
    return ERR_OK;
}

enum err tokens_create(struct call *c)
{
    struct issuer *issuer = c->service->users;
    AUTO(json_release) json_t *body = NULL;
    if (call_body(c, NULL, &body) != ERR_OK)
        return refuse_body(c);
    const char *name = NULL;
    int64_t lifetime_s = 0;
    TRY(parse_request(c, body, &name, &lifetime_s));
    char why[PAT_WHY_SIZE] = "";
    if (pat_check(name, lifetime_s, issuer_config(issuer)->pat_lifetime_max_s, why) != ERR_OK)
        return call_fail(c, ERR_INVALID, "%s", why);
    AUTO(mem_wipe) char *token = NULL;
    TRY(pat_create(issuer, &c->token.claims, !c->service->trust_gateway, name, lifetime_s, &token));
    return call_text(c, 200, "application/jwt", &token);
}

enum err tokens_list(struct call *c)
{
    struct pat *list = NULL;
    size_t n = 0;
    TRY(pat_list(c->service->users, &c->token.claims, &list, &n));
    AUTO(json_release) json_t *array = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(array, pat_json(&list[i]));
    pat_list_free(&list, n);
    return call_json(c, 200, array);
}

enum err tokens_delete(struct call *c)
{
    TRY(pat_delete(c->service->users, &c->token.claims, c->param[0]));
    return call_empty(c, 204);
}
