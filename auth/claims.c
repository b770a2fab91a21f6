/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/claims.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/sat.h"

/* How a member of a known name has to look. */
enum form { FORM_TEXT, FORM_TIME, FORM_FLAG, FORM_AUDIENCE, FORM_ADDONS };

/*
 * Where a member's value goes; members that are only checked, as other readers of these tokens rely on them, go
 * nowhere.
 */
#define KEEP(member) offsetof(struct claims, member), sizeof(((struct claims *)NULL)->member)
#define DROP 0, 0

static const struct member {
    const char *name;
    enum form form;
    size_t offset;
    size_t size;
} members[] = {
    {"jti", FORM_TEXT, KEEP(jti)},
    {"sub", FORM_TEXT, KEEP(sub)},
    {"exp", FORM_TIME, KEEP(exp)},
    {"iat", FORM_TIME, KEEP(iat)},
    {"nbf", FORM_TIME, KEEP(nbf)},
    {"mender.tenant", FORM_TEXT, KEEP(tenant)},
    {"mender.user", FORM_FLAG, KEEP(is_user)},
    {"mender.device", FORM_FLAG, KEEP(is_device)},
    {"iss", FORM_TEXT, KEEP(iss)},
    {"scp", FORM_TEXT, KEEP(scp)},
    {"aud", FORM_AUDIENCE, DROP},
    {"mender.plan", FORM_TEXT, DROP},
    {"mender.trial", FORM_FLAG, DROP},
    {"mender.addons", FORM_ADDONS, DROP},
};

static bool is_text_list(const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        if (!json_is_string(item))
            return false;
    }
    return json_is_array(value);
}

static bool is_addon(const json_t *value)
{
    const json_t *name = json_object_get(value, "name");
    const json_t *enabled = json_object_get(value, "enabled");
    return json_is_object(value) && (name == NULL || json_is_string(name)) &&
           (enabled == NULL || json_is_boolean(enabled));
}

static bool is_addon_list(const json_t *value)
{
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        if (!is_addon(item))
            return false;
    }
    return json_is_array(value);
}

/* What is wrong with value, or NULL. */
static const char *find_fault(const struct member *m, const json_t *value)
{
    switch (m->form) {
    case FORM_TEXT:
        if (!json_is_string(value))
            return "is not a string";
        return m->size > 0 && json_string_length(value) >= m->size ? "is too long" : NULL;
    case FORM_TIME:
        return json_is_integer(value) ? NULL : "is not an integer";
    case FORM_FLAG:
        return json_is_boolean(value) ? NULL : "is not a boolean";
    case FORM_AUDIENCE:
        return json_is_string(value) || is_text_list(value) ? NULL : "is neither a string nor an array of strings";
    case FORM_ADDONS:
        return is_addon_list(value) ? NULL : "is not an array of add-ons";
    }
    return NULL;
}

static void keep(const struct member *m, const json_t *value, struct claims *claims)
{
    if (m->size == 0)
        return;
    void *place = (char *)claims + m->offset;
    if (m->form == FORM_TEXT)
        memcpy(place, json_string_value(value), json_string_length(value) + 1);
    else if (m->form == FORM_TIME)
        *(int64_t *)place = json_integer_value(value);
    else
        *(bool *)place = json_is_true(value);
}

enum err claims_parse(const char *payload, size_t len, char why[CLAIMS_WHY_SIZE], struct claims *out)
{
    AUTO(json_release) json_t *object = NULL;
    if (json_parse_strict(payload, len, &object) != ERR_OK) {
        snprintf(why, CLAIMS_WHY_SIZE, "not a JSON object with members of different names and exact numbers");
        return ERR_TOKEN_JSON;
    }
    struct claims claims = {.exp = CLAIMS_NO_EXPIRY, .iat = INT64_MIN, .nbf = INT64_MIN};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
        const json_t *value = json_object_get(object, members[i].name);
        if (value == NULL)
            continue;
        const char *fault = find_fault(&members[i], value);
        if (fault != NULL) {
            snprintf(why, CLAIMS_WHY_SIZE, "claim \"%s\" %s", members[i].name, fault);
            return ERR_TOKEN_JSON;
        }
        keep(&members[i], value, &claims);
    }
    *out = claims;
    return ERR_OK;
}

enum err claims_check(const struct claims *claims, int64_t now_s, int64_t leeway_s)
{
    if (claims->jti[0] == '\0' || claims->sub[0] == '\0' || claims->iss[0] == '\0')
        return ERR_TOKEN_INVALID;
    if (claims->exp != CLAIMS_NO_EXPIRY && now_s >= sat_add(claims->exp, leeway_s))
        return ERR_TOKEN_INVALID;
    int64_t latest = sat_add(now_s, leeway_s);
    return claims->nbf > latest || claims->iat > latest ? ERR_TOKEN_INVALID : ERR_OK;
}

static void put_text(json_t *object, const char *name, const char *text)
{
    if (text[0] != '\0')
        json_object_set_new(object, name, json_string(text));
}

static void put_time(json_t *object, const char *name, int64_t seconds, int64_t absent)
{
    if (seconds != absent)
        json_object_set_new(object, name, json_integer(seconds));
}

static void put_flag(json_t *object, const char *name, bool flag)
{
    if (flag)
        json_object_set_new(object, name, json_true());
}

char *claims_write(const struct claims *claims, const struct claims_plan *plan)
{
    AUTO(json_release) json_t *object = json_object();
    put_text(object, "jti", claims->jti);
    put_text(object, "sub", claims->sub);
    put_time(object, "exp", claims->exp, CLAIMS_NO_EXPIRY);
    put_time(object, "iat", claims->iat, INT64_MIN);
    put_text(object, "mender.tenant", claims->tenant);
    put_flag(object, "mender.user", claims->is_user);
    put_flag(object, "mender.device", claims->is_device);
    if (plan != NULL) {
        put_text(object, "mender.plan", plan->plan);
        json_object_set_new(object, "mender.addons", json_deep_copy(plan->addons));
        json_object_set_new(object, "mender.trial", json_boolean(plan->is_trial));
    }
    put_text(object, "iss", claims->iss);
    put_text(object, "scp", claims->scp);
    put_time(object, "nbf", claims->nbf, INT64_MIN);
    return json_wire(object);
}
