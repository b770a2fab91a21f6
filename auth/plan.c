/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/plan.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/auto.h"
#include "lib/file.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/yaml.h"

enum { FILE_MAX = 1 << 20 };

/* In the order of the wire. */
static const char *const features[PLAN_FEATURES] = {
    "rbac", "audit_logs", "dynamic_groups", "terminal", "file_transfer", "configuration", "monitoring", "reporting",
};

/* One reading of one file. */
struct reader {
    const char *text;
    size_t len;
    char *why;
};

static enum err refuse(const struct reader *r, const char *plan, const char *field, const char *key, const char *what)
{
    const char *const path[] = {"plans", plan, field, key, NULL};
    snprintf(r->why, PLAN_WHY_SIZE, "line %zu: plan \"%.60s\": %s%s%s", yaml_line(r->text, r->len, path), plan,
             key != NULL     ? key
             : field != NULL ? field
                             : "",
             field != NULL ? " " : "", what);
    return ERR_CONFIG;
}

static bool is_name(const char *text)
{
    return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-")] == '\0';
}

static bool read_bool(const char *text, bool *out)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *out = i % 2 == 1;
            return true;
        }
    return false;
}

static enum err read_feature(const struct reader *r, struct plan *plan, const char *name, const json_t *value)
{
    size_t i = 0;
    while (i < PLAN_FEATURES && strcmp(features[i], name) != 0)
        i++;
    if (i == PLAN_FEATURES) {
        log_warn("unknown feature of a plan is ignored", LOG_STR("plan", plan->name), LOG_STR("feature", name));
        return ERR_OK;
    }
    if (json_is_null(value))
        return ERR_OK;
    if (!json_is_string(value) || !read_bool(json_string_value(value), &plan->feature[i]))
        return refuse(r, plan->name, "features", name, "must be true or false");
    return ERR_OK;
}

static enum err read_plan(const struct reader *r, struct plan *plan, const json_t *object)
{
    if (!is_name(plan->name))
        return refuse(r, plan->name, NULL, NULL, "a name has letters, digits, _ and - only");
    if (!json_is_object(object))
        return refuse(r, plan->name, NULL, NULL, "must have display_name and features");
    const json_t *display = json_object_get(object, "display_name");
    const json_t *list = json_object_get(object, "features");
    if (display != NULL && !json_is_string(display) && !json_is_null(display))
        return refuse(r, plan->name, "display_name", NULL, "must be a text");
    plan->display_name = mem_strdup(json_is_string(display) ? json_string_value(display) : "");
    if (list == NULL || json_is_null(list))
        return ERR_OK;
    if (!json_is_object(list))
        return refuse(r, plan->name, "features", NULL, "must be a list of names with true or false");
    plan->has_features = true;
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)list, name, value) TRY(read_feature(r, plan, name, value));
    return ERR_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct plan *)a)->name, ((const struct plan *)b)->name);
}

static enum err read_plans(const struct reader *r, const json_t *root, struct plan_list **out)
{
    const json_t *plans = json_object_get(root, "plans");
    AUTO(plan_list_free) struct plan_list *list = mem_calloc(1, sizeof *list);
    if (plans != NULL && !json_is_object(plans) && !json_is_null(plans)) {
        const char *const path[] = {"plans", NULL};
        snprintf(r->why, PLAN_WHY_SIZE, "line %zu: plans must be a list of names with a plan each",
                 yaml_line(r->text, r->len, path));
        return ERR_CONFIG;
    }
    list->plan = mem_calloc(json_object_size(plans) + 1, sizeof *list->plan);
    const char *name;
    const json_t *value;
    json_object_foreach((json_t *)(uintptr_t)plans, name, value)
    {
        list->plan[list->n].name = mem_strdup(name);
        TRY(read_plan(r, &list->plan[list->n++], value));
    }
    qsort(list->plan, list->n, sizeof *list->plan, by_name);
    *out = MOVE(list);
    return ERR_OK;
}

static bool has_extension(const char *path, const char *extension)
{
    size_t len = strlen(path);
    size_t tail = strlen(extension);
    return len > tail && strcmp(path + len - tail, extension) == 0;
}

enum err plan_read(const char *path, char why[PLAN_WHY_SIZE], struct plan_list **out)
{
    AUTO(mem_free) char *text = NULL;
    size_t len = 0;
    const char *cause = "";
    enum err e = file_read(path, FILE_MAX, &text, &len, &cause);
    if (e != ERR_OK) {
        snprintf(why, PLAN_WHY_SIZE, "%s", cause);
        return e == ERR_NOT_FOUND ? e : ERR_CONFIG;
    }
    if (!has_extension(path, ".yaml") && !has_extension(path, ".yml") && !has_extension(path, ".json")) {
        snprintf(why, PLAN_WHY_SIZE, "the name must end in .yaml, .yml or .json");
        return ERR_CONFIG;
    }
    /* JSON is YAML */
    char problem[YAML_WHY_SIZE] = "";
    AUTO(json_release) json_t *root = NULL;
    if (yaml_parse(text, len, problem, &root) != ERR_OK || !json_is_object(root)) {
        snprintf(why, PLAN_WHY_SIZE, "%s", *problem != '\0' ? problem : "must begin with plans:");
        return ERR_CONFIG;
    }
    const struct reader r = {.text = text, .len = len, .why = why};
    return read_plans(&r, root, out);
}

struct plan_list *plan_default(void)
{
    struct plan_list *list = mem_calloc(1, sizeof *list);
    list->plan = mem_calloc(1, sizeof *list->plan);
    list->n = 1;
    list->is_default = true;
    list->plan[0] = (struct plan){.name = mem_strdup("Mender_Open_Source"),
                                  .display_name = mem_strdup("Mender"),
                                  .has_features = true,
                                  .feature = {[PLAN_CONFIGURATION] = true}};
    return list;
}

void plan_list_free(struct plan_list **list)
{
    if (*list == NULL)
        return;
    for (size_t i = 0; i < (*list)->n; i++) {
        mem_free(&(*list)->plan[i].name);
        mem_free(&(*list)->plan[i].display_name);
    }
    free((*list)->plan);
    free(*list);
    *list = NULL;
}

json_t *plan_json(const struct plan *plan)
{
    static const struct plan none = {.name = NULL};
    if (plan == NULL)
        plan = &none;
    json_t *list = plan->has_features ? json_object() : json_null();
    for (size_t i = 0; i < PLAN_FEATURES && plan->has_features; i++)
        json_object_set_new(list, features[i], json_boolean(plan->feature[i]));
    json_t *json = json_object();
    json_object_set_new(json, "name", json_string(plan->name != NULL ? plan->name : ""));
    json_object_set_new(json, "display_name", json_string(plan->display_name != NULL ? plan->display_name : ""));
    json_object_set_new(json, "features", list);
    return json;
}
