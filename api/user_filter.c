/* SPDX-License-Identifier: Apache-2.0 */
#include "api/user_filter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/sat.h"

static enum err refuse(struct call *c, const char *name, const char *value, const char *reason)
{
    AUTO(json_release) json_t *text = json_string(value);
    AUTO(mem_free) char *quoted = json_wire(text != NULL ? text : json_null());
    return call_fail(c, ERR_BAD_REQUEST,
                     "api: invalid form values: invalid form parameter \"%s\": strconv.ParseInt: parsing %s: %s", name,
                     quoted, reason);
}

/* Seconds of the first parameter of that name, as *ms; absent or empty leaves *ms alone. */
static enum err parse_bound(struct call *c, const struct query *query, const char *name, int64_t *ms)
{
    const char *value = query_value(query, name);
    if (value == NULL || *value == '\0')
        return ERR_OK;
    const char *digits = value + (*value == '-' || *value == '+');
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0')
        return refuse(c, name, value, "invalid syntax");
    errno = 0;
    long long seconds = strtoll(value, NULL, 10);
    if (errno == ERANGE)
        return refuse(c, name, value, "value out of range");
    *ms = sat_mul(seconds, 1000);
    return ERR_OK;
}

/* Whether one of the parameters of that name is value; also when there are none. */
static bool is_any(const struct query *query, const char *name, const char *value,
                   int (*compare)(const char *, const char *))
{
    bool is_asked = false;
    for (size_t i = 0; i < query->n; i++) {
        if (strcmp(query->pair[i].name, name) != 0)
            continue;
        if (compare(query->pair[i].value, value) == 0)
            return true;
        is_asked = true;
    }
    return !is_asked;
}

enum err user_filter_parse(struct call *c, struct user_filter *out)
{
    AUTO(query_release) struct query query = {0};
    struct user_filter filter = {.created_after_ms = INT64_MIN,
                                 .created_before_ms = INT64_MAX,
                                 .updated_after_ms = INT64_MIN,
                                 .updated_before_ms = INT64_MAX};
    TRY(query_parse(c, &query));
    TRY(parse_bound(c, &query, "created_after", &filter.created_after_ms));
    TRY(parse_bound(c, &query, "created_before", &filter.created_before_ms));
    TRY(parse_bound(c, &query, "updated_after", &filter.updated_after_ms));
    TRY(parse_bound(c, &query, "updated_before", &filter.updated_before_ms));
    *out = filter;
    out->query = query;
    query = (struct query){0};
    return ERR_OK;
}

void user_filter_release(struct user_filter *filter)
{
    query_release(&filter->query);
}

bool user_filter_matches(const struct user_filter *filter, const struct user *user)
{
    return user->created_ms > filter->created_after_ms && user->created_ms < filter->created_before_ms &&
           user->updated_ms > filter->updated_after_ms && user->updated_ms < filter->updated_before_ms &&
           is_any(&filter->query, "id", user->id, strcmp) && is_any(&filter->query, "email", user->email, strcasecmp);
}
