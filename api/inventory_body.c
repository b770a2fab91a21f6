/* SPDX-License-Identifier: Apache-2.0 */
#include "api/inventory_body.h"

#include <inttypes.h>
#include <string.h>

#include "auth/attribute.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

#define ATTRIBUTES_MAX 500

/* Where in the body something is, for texts: "filters[2]". */
struct place {
    struct call *c;
    const char *list;
    size_t index;
};

static enum err refuse(const struct place *at, const char *why)
{
    return call_fail(at->c, ERR_BAD_REQUEST, "%s[%zu]: %s", at->list, at->index, why);
}

static enum err read_text(const struct place *at, const json_t *object, const char *name, const char **out)
{
    const json_t *value = json_member(object, name);
    if (json_is_string(value) && json_string_length(value) > 0) {
        *out = json_string_value(value);
        return ERR_OK;
    }
    AUTO(mem_free) char *why = mem_printf("%s must be a text that is not empty", name);
    return refuse(at, why);
}

/* Scope and attribute, which filters, sorts and attributes have. */
static enum err read_attribute(const struct place *at, const json_t *object, enum inventory_scope *scope, char **name)
{
    const char *text = "";
    if (!json_is_object(object))
        return refuse(at, "must be an object");
    TRY(read_text(at, object, "scope", &text));
    *scope = strcmp(text, "identity") == 0 ? INVENTORY_IDENTITY
             : strcmp(text, "system") == 0 ? INVENTORY_SYSTEM
                                           : INVENTORY_ELSEWHERE;
    TRY(read_text(at, object, "attribute", &text));
    *name = attribute_key(text, strlen(text));
    return ERR_OK;
}

static enum err add_value(const struct place *at, const json_t *value, struct inventory_filter *filter)
{
    if (!json_is_string(value) && !json_is_number(value) && !json_is_boolean(value))
        return refuse(at, "value must be a string, a number or a boolean; for $in and $nin an array of them");
    filter->value = mem_resize(filter->value, filter->values + 1, sizeof *filter->value);
    filter->value[filter->values++] = attribute_value(value);
    return ERR_OK;
}

static enum err add_values(const struct place *at, const json_t *list, struct inventory_filter *filter)
{
    size_t i;
    json_t *value;
    if (!json_is_array(list))
        return refuse(at, "value must be an array");
    if (json_array_size(list) > INVENTORY_VALUES_MAX)
        return refuse(at, "value has too many members (max: 500)");
    json_array_foreach(list, i, value)
    {
        TRY(add_value(at, value, filter));
    }
    return ERR_OK;
}

static enum err read_exists(const struct place *at, const json_t *value, struct inventory_filter *filter)
{
    if (!json_is_boolean(value))
        return refuse(at, "value of $exists must be a boolean");
    filter->test = json_is_true(value) ? INVENTORY_EXISTS : INVENTORY_ABSENT;
    return ERR_OK;
}

static enum err read_test(const struct place *at, const json_t *object, struct inventory_filter *filter)
{
    static const struct {
        const char *type;
        enum inventory_test test;
        enum err (*read)(const struct place *at, const json_t *value, struct inventory_filter *filter);
    } tests[] = {
        {"$eq", INVENTORY_IN, add_value},           {"$in", INVENTORY_IN, add_values},
        {"$ne", INVENTORY_NOT_IN, add_value},       {"$nin", INVENTORY_NOT_IN, add_values},
        {"$exists", INVENTORY_EXISTS, read_exists},
    };
    const char *type = "";
    TRY(read_text(at, object, "type", &type));
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
        if (strcmp(tests[i].type, type) != 0)
            continue;
        filter->test = tests[i].test;
        return tests[i].read(at, json_object_get(object, "value"), filter);
    }
    return refuse(at, "type must be one of $eq, $ne, $in, $nin, $exists");
}

static enum err read_filter(const struct place *at, const json_t *item, struct inventory_body *body)
{
    struct inventory_filter *filter = &body->search.filter[body->search.filters++];
    TRY(read_attribute(at, item, &filter->scope, &filter->name));
    return read_test(at, item, filter);
}

static enum err read_sort(const struct place *at, const json_t *item, struct inventory_body *body)
{
    struct inventory_sort *sort = &body->search.sort[body->search.sorts++];
    const char *order = "asc";
    TRY(read_attribute(at, item, &sort->scope, &sort->name));
    if (json_member(item, "order") != NULL)
        TRY(read_text(at, item, "order", &order));
    sort->is_descending = strcmp(order, "desc") == 0;
    return sort->is_descending || strcmp(order, "asc") == 0 ? ERR_OK : refuse(at, "order must be asc or desc");
}

static enum err read_shown(const struct place *at, const json_t *item, struct inventory_body *body)
{
    (void)body;
    enum inventory_scope scope;
    AUTO(mem_free) char *name = NULL;
    return read_attribute(at, item, &scope, &name);
}

static enum err read_list(struct call *c, struct inventory_body *body, const char *name, size_t max,
                          enum err (*read)(const struct place *at, const json_t *item, struct inventory_body *body))
{
    const json_t *list = json_member(body->json, name);
    size_t i;
    json_t *item;
    if (list == NULL)
        return ERR_OK;
    if (!json_is_array(list))
        return call_fail(c, ERR_BAD_REQUEST, "%s must be an array", name);
    if (json_array_size(list) > max)
        return call_fail(c, ERR_BAD_REQUEST, "%s has too many members (max: %zu)", name, max);
    json_array_foreach(list, i, item)
    {
        const struct place at = {.c = c, .list = name, .index = i};
        TRY(read(&at, item, body));
    }
    return ERR_OK;
}

/* Below 1 it is as if it were absent. */
static enum err read_number(struct call *c, const json_t *json, const char *name, int64_t *value)
{
    const json_t *number = json_member(json, name);
    if (number == NULL)
        return ERR_OK;
    if (!json_is_integer(number))
        return call_fail(c, ERR_BAD_REQUEST, "%s must be an integer", name);
    if (json_integer_value(number) >= 1)
        *value = json_integer_value(number);
    return ERR_OK;
}

static enum err read_paging(struct call *c, struct inventory_body *body)
{
    struct paging *paging = &body->paging;
    *paging = (struct paging){.page = 1, .per_page = PAGING_DEFAULT};
    TRY(read_number(c, body->json, "page", &paging->page));
    TRY(read_number(c, body->json, "per_page", &paging->per_page));
    if (paging->per_page > PAGING_MAX)
        return call_fail(c, ERR_BAD_REQUEST, "parameter \"per_page\" above limit (max: %d)", PAGING_MAX);
    body->search.skip = paging_offset(paging);
    body->search.limit = paging->per_page;
    return ERR_OK;
}

static enum err parse(struct call *c, struct inventory_body *body)
{
    TRY(call_body(c, NULL, &body->json));
    TRY(read_paging(c, body));
    TRY(read_list(c, body, "filters", INVENTORY_FILTERS_MAX, read_filter));
    TRY(read_list(c, body, "sort", INVENTORY_SORTS_MAX, read_sort));
    TRY(read_list(c, body, "attributes", ATTRIBUTES_MAX, read_shown));
    const json_t *shown = json_member(body->json, "attributes");
    body->attributes = json_array_size(shown) > 0 ? shown : NULL;
    return ERR_OK;
}

enum err inventory_body_parse(struct call *c, struct inventory_body *out)
{
    *out = (struct inventory_body){0};
    enum err e = parse(c, out);
    if (e != ERR_OK)
        inventory_body_release(out);
    return e;
}

void inventory_body_release(struct inventory_body *body)
{
    inventory_search_release(&body->search);
    json_release(&body->json);
    body->attributes = NULL;
}

static bool is_text(const json_t *object, const char *name, const char *text)
{
    const char *value = json_string_value(json_member(object, name));
    return value != NULL && strcmp(value, text) == 0;
}

bool inventory_body_shows(const json_t *attributes, const char *scope, const char *name)
{
    size_t i;
    json_t *item;
    if (attributes == NULL)
        return true;
    json_array_foreach(attributes, i, item)
    {
        if (is_text(item, "scope", scope) && is_text(item, "attribute", name))
            return true;
    }
    return false;
}
