/* SPDX-License-Identifier: Apache-2.0 */
#include "api/device_filter.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

static const struct device_filter every = {.status = {true, true, true, true, true}};

static void add_id(struct device_filter *filter, const char *id)
{
    const char **ids = mem_resize((void *)(uintptr_t)filter->id, filter->ids + 1, sizeof *ids);
    ids[filter->ids++] = id;
    filter->id = ids;
}

enum err device_filter_parse(struct call *c, const struct query *query, struct device_filter *out)
{
    AUTO(device_filter_release) struct device_filter filter = every;
    bool wanted[DEVICE_STATUSES] = {false};
    bool has_status = false;
    for (size_t i = 0; i < query->n; i++) {
        enum device_status status = DEVICE_NOAUTH;
        if (strcmp(query->pair[i].name, "id") == 0) {
            filter.has_ids = true;
            add_id(&filter, query->pair[i].value);
        }
        if (strcmp(query->pair[i].name, "status") != 0)
            continue;
        if (!device_status_parse(query->pair[i].value, &status))
            return call_fail(c, ERR_BAD_REQUEST,
                             "filter status must be one of: accepted, pending, rejected, "
                             "preauthorized or noauth");
        has_status = wanted[status] = true;
    }
    if (has_status)
        memcpy(filter.status, wanted, sizeof wanted);
    *out = filter;
    filter = (struct device_filter){0};
    return ERR_OK;
}

static enum err refuse(struct call *c, const char *name)
{
    return call_fail(c, ERR_BAD_REQUEST,
                     "api: malformed request body: invalid JSON type for '%s': must be string or []string", name);
}

/* Call each() for a member that is a string or an array of strings. */
static enum err each_text(struct call *c, const json_t *body, const char *name,
                          void (*each)(struct device_filter *, const char *), struct device_filter *filter)
{
    const json_t *value = json_member(body, name);
    if (json_is_string(value)) {
        each(filter, json_string_value(value));
        return ERR_OK;
    }
    if (!json_is_array(value))
        return refuse(c, name);
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return refuse(c, name);
        each(filter, json_string_value(item));
    }
    return ERR_OK;
}

static void add_status(struct device_filter *filter, const char *name)
{
    enum device_status status = DEVICE_NOAUTH;
    if (device_status_parse(name, &status))
        filter->status[status] = true;
}

/* An empty array asks for nothing in particular. */
static bool names_some(const json_t *body, const char *name)
{
    const json_t *value = json_member(body, name);
    return value != NULL && !(json_is_array(value) && json_array_size(value) == 0);
}

enum err device_filter_parse_body(struct call *c, const json_t *body, struct device_filter *out)
{
    AUTO(device_filter_release) struct device_filter filter = every;
    if (names_some(body, "status")) {
        memset(filter.status, 0, sizeof filter.status);
        TRY(each_text(c, body, "status", add_status, &filter));
    }
    if (names_some(body, "id")) {
        filter.has_ids = true;
        TRY(each_text(c, body, "id", add_id, &filter));
    }
    *out = filter;
    filter = (struct device_filter){0};
    return ERR_OK;
}

enum err device_filter_parse_count(struct call *c, const struct query *query, struct device_filter *out)
{
    struct device_filter filter = every;
    const char *name = query_value(query, "status");
    if (name != NULL && *name != '\0') {
        enum device_status status = DEVICE_NOAUTH;
        if (!device_status_parse(name, &status))
            return call_fail(c, ERR_BAD_REQUEST,
                             "status must be one of: pending, accepted, rejected, preauthorized, noauth");
        filter = (struct device_filter){0};
        filter.status[status] = true;
    }
    *out = filter;
    return ERR_OK;
}

void device_filter_release(struct device_filter *filter)
{
    free((void *)(uintptr_t)filter->id);
    *filter = (struct device_filter){0};
}
