/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/route.h"
#include "api/service.h"
#include "auth/device.h"
#include "lib/auto.h"
#include "lib/json.h"

static const char decoding[] = "failed to decode limit request";

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

/* A whole number that fits; false otherwise. */
static bool parse(struct json_span value, int64_t *number)
{
    char text[32] = "";
    if (json_scan_kind(value) != JSON_SCAN_NUMBER || value.len >= sizeof text)
        return false;
    memcpy(text, value.at, value.len);
    errno = 0;
    char *end = NULL;
    long long parsed = strtoll(text, &end, 10);
    *number = parsed;
    return *end == '\0' && errno != ERANGE;
}

static enum err refuse(struct call *c, struct json_span value)
{
    bool is_number = json_scan_kind(value) == JSON_SCAN_NUMBER;
    return call_fail(c, ERR_JSON,
                     "%s: json: cannot unmarshal %s%s%.*s into Go struct field LimitValue.limit of type int64",
                     decoding, json_scan_word(value), is_number ? " " : "",
                     is_number ? (int)(value.len < 64 ? value.len : 64) : 0, value.at);
}

/* The body's limit, 0 when it has none. */
static enum err read_limit(struct call *c, int64_t *limit)
{
    struct json_span body, name, value;
    TRY(call_object(c, decoding, "http.LimitValue", &body));
    while (json_scan_member(&body, &name, &value)) {
        if (!json_scan_is_field(name, "limit") || json_scan_kind(value) == JSON_SCAN_NULL)
            continue;
        if (!parse(value, limit))
            return refuse(c, value);
    }
    return ERR_OK;
}

/* To operators no limit is 0: the UI of 4.1.0 takes -1 for a limit that is reached, and would not let them accept. */
enum err limits_show(struct call *c)
{
    const char *tenant = NULL;
    int64_t value = 0;
    TRY(find(c, &tenant));
    TRY(device_limit_get(c->service->db, tenant, &value));
    if (value == DEVICE_LIMIT_NONE && c->route->surface != INTERNAL)
        value = 0;
    AUTO(json_release) json_t *json = json_pack("{s:I}", "limit", (json_int_t)value);
    return call_json(c, 200, json);
}

enum err limits_replace(struct call *c)
{
    const char *tenant = NULL;
    int64_t value = 0;
    TRY(find(c, &tenant));
    TRY(read_limit(c, &value));
    TRY(device_limit_set(c->service->db, tenant, value));
    return call_empty(c, 204);
}

enum err limits_delete(struct call *c)
{
    const char *tenant = NULL;
    TRY(find(c, &tenant));
    TRY(device_limit_clear(c->service->db, tenant));
    return call_empty(c, 204);
}
