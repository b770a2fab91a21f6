/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/tenant.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/claims.h"
#include "auth/peers.h"
#include "lib/auto.h"
#include "lib/http.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"

enum { TOKEN_MAX = 8192, REPLY_MAX = 64 * 1024, REQUEST_ID_MAX = 200 };

struct tenant_service {
    char *url;
    char *default_token;
    int64_t timeout_ms;
    pthread_mutex_t lock; /* for all below */
    bool is_down;         /* as it is in the log */
    bool is_silent;       /* it let a question wait until its time-out */
    int calls;            /* under way */
};

/* What is known of the service */

/* While it lets questions wait, one thread at most waits with them. */
static bool enter(struct tenant_service *service)
{
    pthread_mutex_lock(&service->lock);
    bool may = !service->is_silent || service->calls == 0;
    service->calls += may;
    pthread_mutex_unlock(&service->lock);
    return may;
}

static void leave(struct tenant_service *service, bool is_down, bool is_silent, const char *cause)
{
    pthread_mutex_lock(&service->lock);
    bool changed = service->is_down != is_down;
    service->is_down = is_down;
    service->is_silent = is_silent;
    service->calls--;
    pthread_mutex_unlock(&service->lock);
    if (changed && is_down)
        log_error("the tenant service does not answer as it should; devices get no tokens", LOG_STR("cause", cause));
    else if (changed)
        log_info("the tenant service answers again");
}

/* Its answers */

/* The other members of an add-on are nobody's business. */
static enum err read_addons(const json_t *list, json_t **out)
{
    AUTO(json_release) json_t *addons = json_array();
    size_t i;
    json_t *item;
    if (list != NULL && !json_is_array(list) && !json_is_null(list))
        return ERR_JSON;
    json_array_foreach(list, i, item)
    {
        json_t *name = json_object_get(item, "name");
        const json_t *enabled = json_object_get(item, "enabled");
        if (!json_is_string(name) || (enabled != NULL && !json_is_boolean(enabled)))
            return ERR_JSON;
        json_array_append_new(addons, json_pack("{s:O, s:b}", "name", name, "enabled", json_is_true(enabled)));
    }
    *out = MOVE(addons);
    return ERR_OK;
}

/* A text that fits into a claim; NULL when it is something else. */
static const char *claim_text(const json_t *value)
{
    if (value == NULL || json_is_null(value))
        return "";
    return json_string_length(value) < CLAIMS_TEXT_SIZE ? json_string_value(value) : NULL;
}

static enum err read_tenant(const struct http_reply *reply, struct tenant *out)
{
    AUTO(json_release) json_t *json = json_loadb(reply->body, reply->len, 0, NULL);
    AUTO(json_release) json_t *addons = NULL;
    const char *id = claim_text(json_object_get(json, "id"));
    const char *plan = claim_text(json_object_get(json, "plan"));
    if (id == NULL || *id == '\0' || plan == NULL)
        return ERR_JSON;
    TRY(read_addons(json_object_get(json, "addons"), &addons));
    *out = (struct tenant){.id = mem_strdup(id),
                           .plan = mem_strdup(plan),
                           .addons = MOVE(addons),
                           .is_trial = json_is_true(json_object_get(json, "trial"))};
    return ERR_OK;
}

/* Its own words for the device (contract/deviceauth 2.6). */
static enum err read_refusal(const struct http_reply *reply, char why[TENANT_WHY_SIZE])
{
    AUTO(json_release) json_t *json = json_loadb(reply->body, reply->len, 0, NULL);
    const char *text = json_string_value(json_object_get(json, "error"));
    if (text == NULL || *text == '\0')
        return ERR_JSON;
    snprintf(why, TENANT_WHY_SIZE, "%s", text);
    return ERR_TENANT;
}

/* ERR_JSON: not what such a service says, and cause tells what it is. */
static enum err judge(const struct http_reply *reply, char why[TENANT_WHY_SIZE], char cause[HTTP_WHY_SIZE],
                      struct tenant *out)
{
    enum err e = ERR_JSON;
    if (reply->status == 200)
        e = read_tenant(reply, out);
    else if (reply->status == 401)
        e = read_refusal(reply, why);
    if (e == ERR_JSON)
        snprintf(cause, HTTP_WHY_SIZE, "the answer is %d%s", reply->status,
                 reply->status == 200 || reply->status == 401 ? " in another form" : "");
    return e;
}

/* Asking */

static enum err post(const struct tenant_service *service, const char *token, const char *request_id,
                     char cause[HTTP_WHY_SIZE], struct http_reply *out)
{
    AUTO(mem_wipe) char *bearer = mem_printf("Authorization: Bearer %s", token);
    AUTO(mem_free) char *id = mem_printf("X-MEN-RequestID: %s", request_id);
    bool has_id = *request_id != '\0' && peers_is_header(request_id, REQUEST_ID_MAX);
    /* an empty body has no type */
    const char *const headers[] = {bearer, "Content-Type:", "Accept: application/json", has_id ? id : NULL, NULL};
    const struct http_request request = {
        .method = "POST",
        .url = service->url,
        .headers = headers,
        .body = "",
        .timeout_ms = service->timeout_ms,
        .reply_max = REPLY_MAX,
    };
    return http_request(&request, cause, out);
}

static enum err ask(struct tenant_service *service, const char *token, const char *request_id,
                    char why[TENANT_WHY_SIZE], struct tenant *out)
{
    if (!enter(service))
        return ERR_TENANT_SERVICE;
    char cause[HTTP_WHY_SIZE] = "";
    AUTO(http_release) struct http_reply reply = {0};
    enum err e = post(service, token, request_id, cause, &reply);
    bool is_silent = e == ERR_HTTP_TIMEOUT;
    if (e == ERR_OK)
        e = judge(&reply, why, cause, out);
    bool is_down = e != ERR_OK && e != ERR_TENANT;
    leave(service, is_down, is_silent, cause);
    return is_down ? ERR_TENANT_SERVICE : e;
}

/* Public */

struct tenant_service *tenant_service_new(const struct tenant_config *config)
{
    struct tenant_service *service = mem_calloc(1, sizeof *service);
    service->url = peers_url(config->addr, "/api/internal/v1/tenantadm/tenants/verify");
    service->default_token = mem_strdup(config->default_token);
    service->timeout_ms = config->timeout_ms;
    pthread_mutex_init(&service->lock, NULL);
    return service;
}

void tenant_service_free(struct tenant_service **service)
{
    if (*service == NULL)
        return;
    pthread_mutex_destroy(&(*service)->lock);
    mem_free(&(*service)->url);
    mem_wipe(&(*service)->default_token);
    free(*service);
    *service = NULL;
}

void tenant_release(struct tenant *tenant)
{
    mem_free(&tenant->id);
    mem_free(&tenant->plan);
    json_release(&tenant->addons);
}

/* A default stands in for a token that is refused, not for one that nobody could ask about: whose is that? */
enum err tenant_find(struct tenant_service *service, const char *token, const char *request_id,
                     char why[TENANT_WHY_SIZE], struct tenant *out)
{
    const bool has_default = *service->default_token != '\0';
    enum err e = ERR_TENANT;
    if (!peers_is_header(token, TOKEN_MAX)) {
        snprintf(why, TENANT_WHY_SIZE, "invalid auth request: tenant_token is malformed");
        return ERR_INVALID;
    }
    if (*token != '\0')
        e = ask(service, token, request_id, why, out);
    else
        snprintf(why, TENANT_WHY_SIZE, "%s", err_text(ERR_TENANT));
    if (e != ERR_TENANT || !has_default)
        return e;
    return ask(service, service->default_token, request_id, why, out);
}
