/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/router.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "api/client.h"
#include "api/identity.h"
#include "api/query.h"
#include "api/service.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"

METRICS_COUNTER(replies_2xx, "mintd_http_replies_total", "class=\"2xx\"", "HTTP replies by class.");
METRICS_COUNTER(replies_3xx, "mintd_http_replies_total", "class=\"3xx\"", "HTTP replies by class.");
METRICS_COUNTER(replies_4xx, "mintd_http_replies_total", "class=\"4xx\"", "HTTP replies by class.");
METRICS_COUNTER(replies_5xx, "mintd_http_replies_total", "class=\"5xx\"", "HTTP replies by class.");

static struct metric
    *durations; /* one histogram a row of the table, and one behind them for requests that match none */
static size_t routes_count;

/* What a path matched. */
struct match_result {
    const struct route *route;   /* path and method */
    const struct route *sibling; /* path, but another method: the first such row */
};

static bool has_family(const struct service *service, enum family family)
{
    switch (family) {
    case PEOPLE:
        return !service->devices_only;
    case DEVICES:
        return service->fleet != NULL;
    case VIEW:
        return service->fleet != NULL && service->inventory_view;
    case BOTH:
        return true;
    }
    return false;
}

static bool is_served(const struct call *c, const struct route *r)
{
    if (!has_family(c->service, r->family))
        return false;
    if (r->surface != INTERNAL)
        return !c->is_internal;
    return c->is_internal || c->service->trust_gateway;
}

/*
 * The tenant of the open-source product has an empty name, which gateways and engines leave out of paths; who removes
 * a device without a name is told so.
 */
static bool may_be_empty(const char *pattern)
{
    return strncmp(pattern, "{tid}", 5) == 0 || strncmp(pattern, "{did}", 5) == 0;
}

/* Whether len characters of path are of the form of pattern, segment by segment; {name} takes any that is not empty. */
static bool matches(const char *pattern, const char *path, size_t len)
{
    const char *end = path + len;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '{') {
            if (path == end || *path++ != *pattern)
                return false;
            continue;
        }
        const char *start = path;
        while (path < end && *path != '/')
            path++;
        if (path == start && !may_be_empty(pattern))
            return false;
        pattern = strchr(pattern, '}');
    }
    return path == end;
}

/* Decode the segments that {names} stand for. ERR_NOT_FOUND: an escape is wrong, so that nothing can be called so */
static enum err take_params(struct call *c, const char *pattern)
{
    const char *path = c->path;
    size_t n = 0;
    for (; *pattern != '\0'; pattern++) {
        if (*pattern != '{') {
            path++;
            continue;
        }
        size_t len = strcspn(path, "/");
        c->param[n] = query_decode_segment(path, len);
        if (c->param[n++] == NULL)
            return ERR_NOT_FOUND;
        path += len;
        pattern = strchr(pattern, '}');
    }
    return ERR_OK;
}

static struct match_result find_route(const struct call *c, size_t len)
{
    struct match_result found = {0};
    for (const struct route *r = routes; r->method != NULL && found.route == NULL; r++) {
        if (!is_served(c, r) || !matches(r->path, c->path, len))
            continue;
        if (strcmp(r->method, c->method) == 0)
            found.route = r;
        else if (found.sibling == NULL)
            found.sibling = r;
    }
    return found;
}

/* Call each() for every method that the path of sibling has, in table order. */
static void each_method(const struct call *c, const struct route *sibling, void (*each)(const char *, void *),
                        void *arg)
{
    for (const struct route *r = routes; r->method != NULL; r++)
        if (is_served(c, r) && strcmp(r->path, sibling->path) == 0)
            each(r->method, arg);
}

static void append_method(const char *method, void *arg)
{
    char *list = arg;
    size_t len = strlen(list);
    snprintf(list + len, 64 - len, "%s%s", len > 0 ? ", " : "", method);
}

static void add_allow(const char *method, void *arg)
{
    call_header_as_is(arg, "Allow", method);
}

static enum err refuse_method(struct call *c, const struct route *sibling)
{
    if (sibling->surface == MANAGEMENT && strcmp(c->method, "OPTIONS") == 0) {
        each_method(c, sibling, add_allow, c);
        return call_empty(c, 200);
    }
    char list[64] = "";
    each_method(c, sibling, append_method, list);
    call_header(c, "Allow", list);
    return ERR_METHOD;
}

/* "/x/" where "/x" is served: the original's redirect, 301 for GET and 307 for everything else. */
static enum err redirect_slash(struct call *c)
{
    size_t len = strlen(c->path);
    if (len < 2 || c->path[len - 1] != '/')
        return ERR_NOT_FOUND;
    struct match_result without = find_route(c, len - 1);
    if (without.route == NULL && without.sibling == NULL)
        return ERR_NOT_FOUND;
    bool has_query = c->query[0] != '\0';
    AUTO(mem_free) char *to = mem_printf("%.*s%s%s", (int)len - 1, c->path, has_query ? "?" : "", c->query);
    call_header(c, "Location", to);
    return call_empty(c, strcmp(c->method, "GET") == 0 ? 301 : 307);
}

/* Find the row. When the table alone gives the reply, c->status is set. */
static enum err route_call(struct call *c)
{
    struct match_result found = find_route(c, strlen(c->path));
    if (found.route == NULL) {
        enum err e = redirect_slash(c);
        return e == ERR_NOT_FOUND && found.sibling != NULL ? refuse_method(c, found.sibling) : e;
    }
    c->route = found.route;
    return take_params(c, found.route->path);
}

static bool is_token_char(char ch)
{
    return ch > ' ' && ch < 0x7f && strchr("()<>@,;:\\\"/[]?=", ch) == NULL;
}

/* A media type is token "/" token; parameters and letter case do not count (contract/useradm 1.1). */
static enum err check_content_type(const struct call *c)
{
    if (!route_wants_json(c->route) || c->content_length <= 0)
        return ERR_OK;
    const char *type = c->header[CALL_CONTENT_TYPE];
    if (type == NULL)
        return ERR_NO_MEDIA_TYPE;
    size_t len = 0;
    for (; is_token_char(type[len]) || type[len] == '/'; len++)
        continue;
    const char *rest = type + len + strspn(type + len, " \t");
    if (len == 0 || (*rest != '\0' && *rest != ';'))
        return ERR_NO_MEDIA_TYPE;
    static const char json[] = "application/json";
    return len == sizeof json - 1 && strncasecmp(type, json, len) == 0 ? ERR_OK : ERR_MEDIA_TYPE;
}

static enum err run(struct call *c)
{
    TRY(identity_resolve(c, c->route->access));
    TRY(check_content_type(c));
    return c->route->handler(c);
}

/* Turn the outcome into the reply. */
static void settle(struct call *c, enum err e)
{
    if (e != ERR_OK) {
        call_error(c, e);
        if (err_status(e) >= 500 && e != ERR_BUSY)
            log_error("request failed", LOG_STR("method", c->method), LOG_STR("path", c->path),
                      LOG_STR("error", err_name(e)), LOG_STR("text", c->why != NULL ? c->why : err_text(e)),
                      LOG_STR("request_id", call_request_id(c)));
    }
    if (c->status == 401 && c->route != NULL && c->route->access != ANYONE)
        call_header_as_is(c, "WWW-Authenticate", "Bearer realm=\"ManagementJWT\"");
    if (c->status != 301 && c->status != 307)
        call_header_as_is(c, "X-Men-Requestid", call_request_id(c));
}

/*
 * The high-frequency calls of machines are worth a line only when they fail or when somebody debugs. Who is over a rate
 * limit is not to fill the log: the limiter has said so once.
 */
static enum log_level access_level(const struct call *c)
{
    bool is_machine = c->route != NULL && c->route->lane == LANE_IO;
    return is_machine && (c->status < 400 || c->status == 429) ? LOG_DEBUG : LOG_INFO;
}

static struct metric *duration_of(const struct call *c)
{
    return &durations[c->route != NULL ? (size_t)(c->route - routes) : routes_count];
}

__attribute__((constructor)) static void register_durations(void)
{
    while (routes[routes_count].method != NULL)
        routes_count++;
    durations = mem_calloc(routes_count + 1, sizeof *durations);
    for (size_t i = 0; i <= routes_count; i++) {
        bool is_row = i < routes_count;
        durations[i].name = "mintd_http_request_seconds";
        durations[i].help = "Time from the end of the request's headers to its reply.";
        durations[i].type = METRICS_TYPE_HISTOGRAM;
        durations[i].labels = is_row ? mem_printf("method=\"%s\",route=\"%s\"", routes[i].method, routes[i].path)
                                     : "method=\"\",route=\"\"";
        metrics_register(&durations[i]);
    }
}

bool router_start(struct call *c, enum lane_id *lane)
{
    c->may_block = false;
    enum err e = route_call(c);
    if (e != ERR_OK || c->status != 0) {
        settle(c, e);
        return true;
    }
    *lane = c->route->lane;
    if (*lane != LANE_IO)
        return false;
    e = run(c);
    if (e == ERR_WOULD_BLOCK) {
        *lane = LANE_DB;
        return false;
    }
    settle(c, e);
    return true;
}

void router_finish(struct call *c)
{
    c->may_block = true;
    settle(c, run(c));
}

void router_refuse(struct call *c)
{
    settle(c, ERR_BUSY);
}

bool router_refuses_size(struct call *c)
{
    if (c->content_length <= c->service->body_max)
        return false;
    settle(c, ERR_TOO_LARGE);
    c->close = true;
    return true;
}

void router_log(struct call *c)
{
    static struct metric *const classes[] = {&replies_2xx, &replies_3xx, &replies_4xx, &replies_5xx};
    int64_t ns = clock_mono_ns() - c->start_ns;
    if (c->status >= 200 && c->status < 600)
        metrics_add(classes[c->status / 100 - 2], 1);
    metrics_observe(duration_of(c), ns);
    enum log_level level = access_level(c);
    if (log_enabled(level))
        log_line(level, "request",
                 LOG_FIELDS(LOG_STR("method", c->method), LOG_STR("path", c->path), LOG_INT("status", c->status),
                            LOG_INT("us", ns / 1000), LOG_STR("client", client_address(c)),
                            LOG_STR("user_id", c->token.claims.sub), LOG_STR("request_id", call_request_id(c))));
}
