/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/device_filter.h"
#include "api/handlers.h"
#include "api/paging.h"
#include "api/route.h"
#include "api/service.h"
#include "auth/checkin.h"
#include "auth/device.h"
#include "auth/device_admit.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

static const char decoding[] = "failed to decode preauth request";

/* The tenant whose devices are asked for: the path's on internal routes, the caller's own otherwise. */
static const char *tenant_of(const struct call *c)
{
    return c->route->surface == INTERNAL ? c->param[0] : c->token.claims.tenant;
}

/* The device that the path names: behind the tenant on internal routes. */
static const char *device_of(const struct call *c)
{
    return c->route->surface == INTERNAL ? c->param[1] : c->param[0];
}

static enum err reply_device(struct call *c, int status, const struct device *device, bool with_sets)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = mem_open(&text, &len);
    device_write(out, device, with_sets);
    mem_close(&out);
    return call_json_text(c, status, &text);
}

static char *write_list(struct device *const *list, size_t n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = mem_open(&text, &len);
    fputc('[', out);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            fputc(',', out);
        device_write(out, list[i], true);
    }
    fputc(']', out);
    mem_close(&out);
    return text;
}

/* The page that the query asks for; one more row is asked for to know whether there is a next one. */
static enum err reply_page(struct call *c, const struct query *query, const struct device_filter *filter)
{
    struct paging paging;
    TRY(paging_parse(c, query, &paging));
    struct device **list = NULL;
    size_t n = 0;
    TRY(device_list(c->service->db, tenant_of(c), filter, paging_offset(&paging), paging.per_page + 1, &list, &n));
    for (size_t i = 0; i < n; i++)
        checkin_overlay(c->service->fleet->checkin, list[i]);
    bool has_next = (int64_t)n > paging.per_page;
    char *text = write_list(list, has_next ? (size_t)paging.per_page : n);
    device_list_free(&list, n);
    paging_link(c, query, &paging, has_next);
    return call_json_text(c, 200, &text);
}

enum err devices_list(struct call *c)
{
    AUTO(query_release) struct query query = {0};
    AUTO(device_filter_release) struct device_filter filter = {0};
    TRY(query_parse(c, &query));
    TRY(device_filter_parse(c, &query, &filter));
    return reply_page(c, &query, &filter);
}

enum err devices_search(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    AUTO(query_release) struct query query = {0};
    AUTO(device_filter_release) struct device_filter filter = {0};
    const char *type = c->header[CALL_CONTENT_TYPE];
    if (type == NULL || strcmp(type, "application/json") != 0)
        return call_fail(c, ERR_MEDIA_TYPE, "Content-Type '%s' not supported", type != NULL ? type : "");
    TRY(query_parse(c, &query));
    TRY(call_body(c, "api: malformed request body", &body));
    TRY(device_filter_parse_body(c, body, &filter));
    return reply_page(c, &query, &filter);
}

enum err devices_count(struct call *c)
{
    AUTO(query_release) struct query query = {0};
    struct device_filter filter;
    int64_t count = 0;
    TRY(query_parse(c, &query));
    TRY(device_filter_parse_count(c, &query, &filter));
    TRY(device_count(c->service->db, tenant_of(c), &filter, &count));
    AUTO(json_release) json_t *json = json_pack("{s:I}", "count", (json_int_t)count);
    return call_json(c, 200, json);
}

enum err devices_get(struct call *c)
{
    AUTO(device_free) struct device *device = NULL;
    TRY(device_get(c->service->db, tenant_of(c), device_of(c), &device));
    checkin_overlay(c->service->fleet->checkin, device);
    return reply_device(c, 200, device, true);
}

enum err devices_status(struct call *c)
{
    AUTO(device_free) struct device *device = NULL;
    TRY(device_get(c->service->db, tenant_of(c), device_of(c), &device));
    AUTO(json_release) json_t *json = json_pack("{s:s}", "status", device_status_name(device->status));
    return call_json(c, 200, json);
}

/* What a preauthorization says. */
struct preauth {
    struct json_span identity; /* a JSON object; empty when there is none */
    char *pubkey;              /* NULL when there is none */
    size_t pubkey_len;
    bool force;
};

static void preauth_release(struct preauth *preauth)
{
    mem_free(&preauth->pubkey);
}

static enum err refuse_field(struct call *c, const char *name, const char *kind)
{
    return call_fail(c, ERR_JSON, "%s: json: field \"%s\" must be %s", decoding, name, kind);
}

static enum err set_field(struct call *c, struct json_span name, struct json_span value, struct preauth *out)
{
    enum json_scan_kind kind = json_scan_kind(value);
    if (kind == JSON_SCAN_NULL)
        return ERR_OK;
    if (json_scan_is_field(name, "identity_data")) {
        if (kind != JSON_SCAN_OBJECT)
            return refuse_field(c, "identity_data", "an object");
        out->identity = value;
    }
    if (json_scan_is_field(name, "pubkey")) {
        if (kind != JSON_SCAN_STRING)
            return refuse_field(c, "pubkey", "a string");
        mem_free(&out->pubkey);
        out->pubkey = json_scan_string(value, &out->pubkey_len);
    }
    if (json_scan_is_field(name, "force")) {
        if (kind != JSON_SCAN_BOOL)
            return refuse_field(c, "force", "a boolean");
        out->force = *value.at == 't';
    }
    return ERR_OK;
}

/* What must be there, both at once (contract/deviceauth 1.4, row 7). */
static enum err check_blank(struct call *c, const struct preauth *preauth)
{
    struct json_span rest = preauth->identity, name, value;
    bool has_identity = rest.len > 0 && json_scan_member(&rest, &name, &value);
    bool has_key = preauth->pubkey != NULL && preauth->pubkey_len > 0;
    if (has_identity && has_key)
        return ERR_OK;
    return call_fail(c, ERR_BAD_REQUEST, "%s: %s%s%s.", decoding, has_identity ? "" : "identity_data: cannot be blank",
                     has_identity || has_key ? "" : "; ", has_key ? "" : "pubkey: cannot be blank");
}

/* The body's identity and key, checked; *id and *key are the caller's. */
static enum err read_preauth(struct call *c, struct iddata *id, struct pubkey **key, bool *force)
{
    AUTO(preauth_release) struct preauth preauth = {0};
    struct json_span body, name, value;
    char key_why[PUBKEY_WHY_SIZE] = "";
    char id_why[JSON_SCAN_WHY_SIZE] = "";
    TRY(call_object(c, decoding, "an object", &body));
    while (json_scan_member(&body, &name, &value))
        TRY(set_field(c, name, value, &preauth));
    TRY(check_blank(c, &preauth));
    enum err e = pubkey_cache_get(c->service->device_keys, preauth.pubkey, preauth.pubkey_len, key_why, key);
    if (e != ERR_OK)
        return call_fail(c, e, "%s: %s", decoding, key_why);
    e = iddata_parse(preauth.identity.at, preauth.identity.len, id_why, id);
    if (e != ERR_OK)
        return call_fail(c, e, "%s: %s", decoding, id_why);
    *force = preauth.force;
    return ERR_OK;
}

enum err devices_preauthorize(struct call *c)
{
    AUTO(iddata_release) struct iddata id = {0};
    AUTO(pubkey_free) struct pubkey *key = NULL;
    AUTO(device_free) struct device *conflict = NULL;
    AUTO(mem_free) char *new_id = NULL;
    bool force = false;
    TRY(read_preauth(c, &id, &key, &force));
    struct device_identity identity;
    device_identity_set(&identity, tenant_of(c), &id, key);
    enum err e = device_admit_preauthorize(c->service->fleet, &identity, force, call_request_id(c), &new_id, &conflict);
    if (e == ERR_DEVICE_EXISTS)
        return reply_device(c, 409, conflict, false);
    TRY(e);
    AUTO(mem_free) char *location = mem_printf("devices/%s", new_id);
    call_header(c, "Location", location);
    return call_empty(c, 201);
}

/* "Not there" has no body on routes that change something. */
static enum err bare(enum err e)
{
    return err_status(e) == 404 ? ERR_NOTHING_THERE : e;
}

enum err devices_decommission(struct call *c)
{
    TRY(bare(device_admit_decommission(c->service->fleet, tenant_of(c), device_of(c), call_request_id(c))));
    return call_empty(c, 204);
}

enum err devices_delete(struct call *c)
{
    if (*device_of(c) == '\0')
        return call_fail(c, ERR_BAD_REQUEST, "device id (did) cannot be empty");
    TRY(bare(device_admit_delete(c->service->fleet, tenant_of(c), device_of(c))));
    return call_empty(c, 204);
}

enum err devices_update(struct call *c)
{
    AUTO(json_release) json_t *body = NULL;
    TRY(call_body(c, "invalid request body", &body));
    const json_t *provisioned = json_member(body, "provisioned");
    if (provisioned != NULL && !json_is_boolean(provisioned))
        return call_fail(c, ERR_JSON, "invalid request body: json: field \"provisioned\" must be a boolean");
    TRY(bare(device_admit_set_provisioned(c->service->fleet, tenant_of(c), device_of(c), json_is_true(provisioned))));
    return call_empty(c, 204);
}

enum err devices_delete_token(struct call *c)
{
    TRY(bare(device_admit_revoke(c->service->fleet, tenant_of(c), c->param[0])));
    return call_empty(c, 204);
}

enum err devices_delete_tokens(struct call *c)
{
    AUTO(query_release) struct query query = {0};
    TRY(query_parse(c, &query));
    const char *tenant = query_value(&query, "tenant_id");
    const char *device = query_value(&query, "device_id");
    if (tenant == NULL || *tenant == '\0')
        return call_fail(c, ERR_BAD_REQUEST, "tenant_id must be provided");
    bool is_one = device != NULL && *device != '\0';
    TRY(device_admit_revoke_all(c->service->fleet, tenant, is_one ? device : NULL));
    return call_empty(c, 204);
}
