/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/ratelimit.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/metrics.h"
#include "lib/mux.h"
#include "lib/template.h"
#include "lib/window.h"

METRICS_COUNTER(passed, "mintd_rate_limit_total", "result=\"passed\"", "Requests that a rate limiter saw, by result.");
METRICS_COUNTER(limited, "mintd_rate_limit_total", "result=\"limited\"",
                "Requests that a rate limiter saw, by result.");
METRICS_COUNTER(unmatched, "mintd_rate_limit_total", "result=\"unmatched\"",
                "Requests that a rate limiter saw, by result.");
METRICS_COUNTER(uncounted, "mintd_rate_limit_total", "result=\"uncounted\"",
                "Requests that a rate limiter saw, by result.");

/* Groups and patterns that one limiter has at most. */
#define ENTRIES_MAX 256

#define NO_GROUP SIZE_MAX

enum { IDENTITY, SUBJECT, TENANT, PLAN, IS_USER, IS_DEVICE, TRIAL, FIELDS };

static const struct template_field fields[] = {
    [IDENTITY] = {"Identity", TEMPLATE_RECORD},     [SUBJECT] = {"Identity.Subject", TEMPLATE_TEXT},
    [TENANT] = {"Identity.Tenant", TEMPLATE_TEXT},  [PLAN] = {"Identity.Plan", TEMPLATE_TEXT},
    [IS_USER] = {"Identity.IsUser", TEMPLATE_FLAG}, [IS_DEVICE] = {"Identity.IsDevice", TEMPLATE_FLAG},
    [TRIAL] = {"Identity.Trial", TEMPLATE_FLAG},    [FIELDS] = {0},
};

struct group {
    char *name;
    int64_t quota;
    int64_t interval_ms;
    struct template *event;
};

/* What a pattern leads to. */
struct match {
    struct template *group;
    size_t fixed; /* the group, when the expression is a mere name; otherwise NO_GROUP */
};

struct ratelimit {
    bool reject_unmatched;
    struct group *group;
    size_t groups;
    struct match *match; /* by the number of its pattern in mux */
    size_t matches;
    struct mux *mux;
    struct window *window;
};

/* The entry of a list that is being read. */
struct entry {
    struct ratelimit_fault *fault;
    size_t i;
    const json_t *object;
};

static enum err refuse(const struct entry *entry, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static enum err refuse(const struct entry *entry, const char *name, const char *format, ...)
{
    char *why = entry->fault->why;
    size_t size = sizeof entry->fault->why;
    size_t n = (size_t)snprintf(why, size, "[%zu]%s%.40s ", entry->i, *name != '\0' ? "." : "", name);
    va_list args;
    va_start(args, format);
    vsnprintf(why + n, size - n, format, args);
    va_end(args);
    return ERR_CONFIG;
}

/* A member as text; NULL when it is absent. */
static const char *member(const struct entry *entry, const char *name)
{
    return json_string_value(json_object_get(entry->object, name));
}

/* Members are those of a NULL-terminated list. */
static enum err check_members(const struct entry *entry, const char *const *known)
{
    if (entry->i == ENTRIES_MAX)
        return refuse(entry, "", "is one too many: %d are supported", ENTRIES_MAX);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)entry->object, name, value)
    {
        size_t i = 0;
        while (known[i] != NULL && strcmp(known[i], name) != 0)
            i++;
        if (known[i] == NULL)
            return refuse(entry, name, "is unknown");
    }
    for (size_t i = 0; known[i] != NULL; i++)
        if (member(entry, known[i]) == NULL)
            return refuse(entry, known[i], "is missing");
    return ERR_OK;
}

static enum err parse_expression(const struct entry *entry, const char *name, struct template **out)
{
    char why[TEMPLATE_WHY_SIZE];
    const char *source = member(entry, name);
    if (template_parse(source, fields, why, out) != ERR_OK)
        return refuse(entry, name, "is %.160s, which is not supported: %s", source, why);
    return ERR_OK;
}

/* The number that begins at *p, in microseconds of a unit that has unit_us of them. */
static bool add_part(const char **p, int64_t *total_us)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {{"ms", 1000}, {"us", 1}, {"s", 1000000}, {"m", 60000000}, {"h", 3600000000}};
    int64_t whole = 0, part = 0, scale = 1;
    const char *start = *p;
    for (; isdigit((unsigned char)**p); ++*p)
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_add_overflow(whole, **p - '0', &whole))
            return false;
    size_t digits = (size_t)(*p - start);
    if (**p == '.')
        for (++*p; isdigit((unsigned char)**p) && digits++ < 40; ++*p)
            if (scale < 1000000) {
                part = part * 10 + (**p - '0');
                scale *= 10;
            }
    for (size_t i = 0; digits > 0 && i < sizeof units / sizeof *units; i++) {
        size_t len = strlen(units[i].name);
        if (strncmp(*p, units[i].name, len) != 0)
            continue;
        *p += len;
        int64_t us = 0;
        return !__builtin_mul_overflow(whole, units[i].us, &us) &&
               !__builtin_add_overflow(us, part * units[i].us / scale, &us) &&
               !__builtin_add_overflow(*total_us, us, total_us);
    }
    return false;
}

/* "1h30m", "1m", "1.5s" (the units of Go's durations down to us) */
static bool parse_interval(const char *text, int64_t *out_ms)
{
    int64_t us = 0;
    const char *p = text;
    do {
        if (!add_part(&p, &us))
            return false;
    } while (*p != '\0');
    *out_ms = us / 1000;
    return us >= 1000;
}

static bool parse_quota(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long num = strtoll(text, &end, 10);
    *out = num;
    return isdigit((unsigned char)*text) && *end == '\0' && errno == 0;
}

static size_t find_group(const struct ratelimit *limit, const char *name)
{
    for (size_t i = 0; i < limit->groups; i++)
        if (strcmp(limit->group[i].name, name) == 0)
            return i;
    return NO_GROUP;
}

static enum err add_group(struct ratelimit *limit, const struct entry *entry)
{
    static const char *const known[] = {"name", "quota", "interval", "event_expression", NULL};
    TRY(check_members(entry, known));
    const char *name = member(entry, "name");
    if (*name == '\0')
        return refuse(entry, "name", "must not be empty");
    if (find_group(limit, name) != NO_GROUP)
        return refuse(entry, "name", "is %.60s, which is there already", name);
    struct group group = {0};
    if (!parse_quota(member(entry, "quota"), &group.quota))
        return refuse(entry, "quota", "is %.40s, must be a whole number from 0 to %" PRId64, member(entry, "quota"),
                      INT64_MAX);
    if (!parse_interval(member(entry, "interval"), &group.interval_ms))
        return refuse(entry, "interval", "is %.40s, must be a duration such as 30s, 1m or 1h30m",
                      member(entry, "interval"));
    TRY(parse_expression(entry, "event_expression", &group.event));
    group.name = mem_strdup(name);
    limit->group[limit->groups++] = group;
    return ERR_OK;
}

static enum err add_match(struct ratelimit *limit, const struct entry *entry)
{
    static const char *const known[] = {"api_pattern", "group_expression", NULL};
    TRY(check_members(entry, known));
    const char *pattern = member(entry, "api_pattern");
    AUTO(template_free) struct template *group = NULL;
    TRY(parse_expression(entry, "group_expression", &group));
    const char *name = template_constant(group);
    size_t fixed = name != NULL ? find_group(limit, name) : NO_GROUP;
    if (name != NULL && fixed == NO_GROUP)
        return refuse(entry, "group_expression", "is \"%.60s\", and there is no such group", name);
    char why[MUX_WHY_SIZE];
    if (mux_add(limit->mux, pattern, why) != ERR_OK)
        return refuse(entry, "api_pattern", "is %.160s: %s", pattern, why);
    limit->match[limit->matches++] = (struct match){.group = MOVE(group), .fixed = fixed};
    return ERR_OK;
}

static enum err read_list(struct ratelimit *limit, const json_t *list, struct ratelimit_fault *fault,
                          enum err (*add)(struct ratelimit *, const struct entry *))
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const struct entry entry = {fault, i, json_array_get(list, i)};
        TRY(add(limit, &entry));
    }
    return ERR_OK;
}

/* The group that a pattern leads this request to. */
static size_t group_of(const struct ratelimit *limit, const struct match *match, const struct template_value *values)
{
    if (match->fixed != NO_GROUP)
        return match->fixed;
    char name[TEMPLATE_OUT_SIZE];
    template_render(match->group, values, name);
    return find_group(limit, name);
}

static enum err refuse_unmatched(const struct ratelimit *limit, int64_t *retry_s)
{
    metrics_add(&unmatched, 1);
    if (!limit->reject_unmatched)
        return ERR_OK;
    *retry_s = RATELIMIT_NEVER_S;
    return ERR_RATE_LIMIT;
}

/* One line for each that goes over its quota in a window, none for what follows. */
static void log_limited(const struct group *group, const char *event, int64_t count, int64_t retry_s)
{
    if (count - 1 == group->quota)
        log_info("rate limit reached", LOG_STR("group", group->name), LOG_STR("event", event),
                 LOG_INT("quota", group->quota), LOG_INT("retry_after_s", retry_s));
}

static enum err count_in(struct ratelimit *limit, size_t number, const struct template_value *values, int64_t *retry_s)
{
    const struct group *group = &limit->group[number];
    char key[sizeof number + TEMPLATE_OUT_SIZE];
    memcpy(key, &number, sizeof number);
    char *event = key + sizeof number;
    size_t len = sizeof number + template_render(group->event, values, event);
    int64_t count = 0;
    int64_t left_ms = 0;
    if (!window_count(limit->window, key, len, group->interval_ms, &count, &left_ms)) {
        metrics_add(&uncounted, 1);
        return ERR_OK;
    }
    bool is_over = count > group->quota;
    metrics_add(is_over ? &limited : &passed, 1);
    if (!is_over)
        return ERR_OK;
    *retry_s = left_ms / 1000 + (left_ms % 1000 != 0);
    log_limited(group, event, count, *retry_s);
    return ERR_RATE_LIMIT;
}

enum err ratelimit_new(const struct ratelimit_config *config, struct ratelimit_fault *fault, struct ratelimit **out)
{
    AUTO(ratelimit_free) struct ratelimit *limit = mem_calloc(1, sizeof *limit);
    limit->reject_unmatched = config->reject_unmatched;
    limit->group = mem_calloc(json_array_size(config->groups) + 1, sizeof *limit->group);
    limit->match = mem_calloc(json_array_size(config->match) + 1, sizeof *limit->match);
    limit->mux = mux_new();
    fault->list = "groups";
    TRY(read_list(limit, config->groups, fault, add_group));
    fault->list = "match";
    TRY(read_list(limit, config->match, fault, add_match));
    limit->window = window_new(config->keys_max > 0 ? config->keys_max : RATELIMIT_KEYS_MAX);
    *out = MOVE(limit);
    return ERR_OK;
}

void ratelimit_free(struct ratelimit **limit)
{
    if (*limit == NULL)
        return;
    for (size_t i = 0; i < (*limit)->groups; i++) {
        mem_free(&(*limit)->group[i].name);
        template_free(&(*limit)->group[i].event);
    }
    for (size_t i = 0; i < (*limit)->matches; i++)
        template_free(&(*limit)->match[i].group);
    free((*limit)->group);
    free((*limit)->match);
    mux_free(&(*limit)->mux);
    window_free(&(*limit)->window);
    free(*limit);
    *limit = NULL;
}

enum err ratelimit_count(struct ratelimit *limit, const struct ratelimit_request *request, int64_t *retry_s)
{
    if (limit == NULL)
        return ERR_OK;
    static const struct ratelimit_identity nobody;
    const struct ratelimit_identity *who = request->identity != NULL ? request->identity : &nobody;
    const struct template_value values[FIELDS] = {
        [IDENTITY] = {.is_set = request->identity != NULL},
        [SUBJECT] = {.text = who->subject},
        [TENANT] = {.text = who->tenant},
        [PLAN] = {.text = who->plan},
        [IS_USER] = {.is_set = who->is_user},
        [IS_DEVICE] = {.is_set = who->is_device},
        [TRIAL] = {.is_set = who->is_trial},
    };
    size_t pattern = mux_match(limit->mux, request->method, request->host, request->uri);
    size_t group = pattern != MUX_NONE ? group_of(limit, &limit->match[pattern], values) : NO_GROUP;
    return group != NO_GROUP ? count_in(limit, group, values, retry_s) : refuse_unmatched(limit, retry_s);
}
