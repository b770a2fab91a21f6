/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/handlers.h"
#include "api/inventory_body.h"
#include "api/paging.h"
#include "api/query.h"
#include "api/service.h"
#include "auth/device.h"
#include "auth/iddata.h"
#include "auth/inventory.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

static const char *tenant_of(const struct call *c)
{
    return c->token.claims.tenant;
}

/* The attributes of a device that is being shown. */
struct shown {
    json_t *list;
    const json_t *wanted; /* NULL: all */
};

/* Takes value. */
static void show(const struct shown *shown, const char *scope, const char *name, json_t *value)
{
    AUTO(json_release) json_t *held = value;
    if (inventory_body_shows(shown->wanted, scope, name))
        json_array_append_new(shown->list, json_pack("{s:s,s:s,s:O}", "scope", scope, "name", name, "value", held));
}

static void show_time(const struct shown *shown, const char *name, int64_t ms)
{
    char text[CLOCK_RFC3339_SIZE];
    clock_rfc3339(ms, text);
    show(shown, "system", name, json_string(text));
}

/* A member called "status" would be taken for the device's own. */
static void show_identity(const struct shown *shown, const struct device *device)
{
    AUTO(json_release) json_t *identity = iddata_json(device->id_data);
    const char *name;
    json_t *value;
    show(shown, "identity", "status", json_string(device_status_name(device->status)));
    json_object_foreach(identity, name, value)
    {
        if (strcmp(name, "status") != 0)
            show(shown, "identity", name, json_incref(value));
    }
}

static json_t *element(const struct device *device, const json_t *wanted)
{
    struct shown shown = {.list = json_array(), .wanted = wanted};
    show_identity(&shown, device);
    show_time(&shown, "created_ts", device->created_ms);
    show_time(&shown, "updated_ts", device->updated_ms);
    if (device->seen_ms != 0)
        show_time(&shown, "check_in_time", device->seen_ms);
    json_t *json = json_pack("{s:s}", "id", device->id);
    json_set_time(json, "updated_ts", device->updated_ms);
    json_object_set_new(json, "attributes", shown.list);
    return json;
}

static void add_total(struct call *c, int64_t total)
{
    AUTO(mem_free) char *text = mem_printf("%" PRId64, total);
    call_header(c, "X-Total-Count", text);
}

static enum err reply_page(struct call *c, const struct paging *paging, const struct inventory_search *search,
                           const json_t *wanted)
{
    AUTO(inventory_page_release) struct inventory_page page = {0};
    AUTO(query_release) struct query query = {0};
    TRY(query_parse(c, &query));
    TRY(inventory_find(c->service->db, tenant_of(c), search, &page));
    AUTO(json_release) json_t *list = json_array();
    for (size_t i = 0; i < page.n; i++)
        json_array_append_new(list, element(page.device[i], wanted));
    add_total(c, page.total);
    paging_link(c, &query, paging, search->skip < page.total - (int64_t)page.n && page.n > 0);
    return call_json(c, 200, list);
}

enum err inventory_search(struct call *c)
{
    AUTO(inventory_body_release) struct inventory_body body = {0};
    TRY(inventory_body_parse(c, &body));
    return reply_page(c, &body.paging, &body.search, body.attributes);
}

enum err inventory_list(struct call *c)
{
    AUTO(query_release) struct query query = {0};
    struct paging paging;
    TRY(query_parse(c, &query));
    TRY(paging_parse(c, &query, &paging));
    const struct inventory_search every = {.skip = paging_offset(&paging), .limit = paging.per_page};
    return reply_page(c, &paging, &every, NULL);
}

enum err inventory_get(struct call *c)
{
    AUTO(device_free) struct device *device = NULL;
    TRY(device_get(c->service->db, tenant_of(c), c->param[0], &device));
    AUTO(json_release) json_t *json = element(device, NULL);
    AUTO(mem_free) char *etag = mem_printf("\"%" PRId64 "-%" PRId64 "\"", device->revision, device->seen_ms);
    call_header(c, "ETag", etag);
    return call_json(c, 200, json);
}

enum err inventory_attributes(struct call *c)
{
    struct inventory_name *names = NULL;
    size_t n = 0;
    TRY(inventory_names(c->service->db, tenant_of(c), &names, &n));
    AUTO(json_release) json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_pack("{s:s,s:s,s:I}", "name", names[i].name, "scope", "identity", "count",
                                              (json_int_t)names[i].count));
    inventory_names_free(&names, n);
    return call_json(c, 200, list);
}

enum err inventory_statistics(struct call *c)
{
    static const enum device_status shown[] = {DEVICE_ACCEPTED, DEVICE_PENDING, DEVICE_PREAUTHORIZED, DEVICE_REJECTED};
    AUTO(json_release) json_t *by_status = json_object();
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        struct device_filter one = {0};
        int64_t count = 0;
        one.status[shown[i]] = true;
        TRY(device_count(c->service->db, tenant_of(c), &one, &count));
        json_object_set_new(by_status, device_status_name(shown[i]),
                            json_pack("{s:I,s:i,s:i}", "standard", (json_int_t)count, "micro", 0, "system", 0));
    }
    AUTO(json_release) json_t *json = json_pack("{s:O}", "devices_by_status", by_status);
    return call_json(c, 200, json);
}

enum err inventory_none(struct call *c)
{
    AUTO(json_release) json_t *list = json_array();
    return call_json(c, 200, list);
}
