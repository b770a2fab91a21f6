/* SPDX-License-Identifier: Apache-2.0 */
/* docs/openapi.yaml against api/routes.c and lib/err.h: nothing is missing in it, and nothing is invented. */
#define _GNU_SOURCE
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/yaml.h"
#include "tests/support.h"

static json_t *load(void)
{
    size_t len = 0;
    AUTO(mem_free) char *text = support_read("docs/openapi.yaml", &len);
    char why[YAML_WHY_SIZE] = "";
    json_t *doc = NULL;
    ck_assert_msg(yaml_parse(text, len, why, &doc) == ERR_OK, "docs/openapi.yaml: %s", why);
    return doc;
}

/* What "$ref" points at, or the object itself. */
static const json_t *resolve(const json_t *doc, const json_t *object)
{
    const char *ref = json_string_value(json_object_get(object, "$ref"));
    if (ref == NULL)
        return object;
    AUTO(mem_free) char *path = mem_strdup(ref);
    char *rest = NULL;
    ck_assert_str_eq(strtok_r(path, "/", &rest), "#");
    for (char *name = strtok_r(NULL, "/", &rest); name != NULL; name = strtok_r(NULL, "/", &rest))
        doc = json_object_get(doc, name);
    ck_assert_msg(doc != NULL, "%s leads nowhere", ref);
    return doc;
}

static bool is_method(const char *name)
{
    static const char *const methods[] = {"get", "put", "post", "delete", "options", "head", "patch", "trace"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (strcmp(methods[i], name) == 0)
            return true;
    return false;
}

static const json_t *find_operation(const json_t *doc, const struct route *r)
{
    char method[16] = "";
    for (size_t i = 0; r->method[i] != '\0'; i++)
        method[i] = (char)tolower((unsigned char)r->method[i]);
    return json_object_get(json_object_get(json_object_get(doc, "paths"), r->path), method);
}

/* Fails the test when there is none. */
static const json_t *operation(const json_t *doc, const struct route *r)
{
    const json_t *found = find_operation(doc, r);
    ck_assert_msg(found != NULL, "%s %s is not in docs/openapi.yaml", r->method, r->path);
    return found;
}

static const json_t *reply(const json_t *op, const char *status)
{
    return json_object_get(json_object_get(op, "responses"), status);
}

static bool has_route(const char *method, const char *path)
{
    for (const struct route *r = routes; r->method != NULL; r++)
        if (strcasecmp(r->method, method) == 0 && strcmp(r->path, path) == 0)
            return true;
    return false;
}

/* Whether the error begins with text, or has it behind a prefix. */
static bool is_text(const char *found, const char *text)
{
    AUTO(mem_free) char *behind = mem_printf(": %s", text);
    return strncmp(found, text, strlen(text)) == 0 || strstr(found, behind) != NULL;
}

/* Whether some {"error": text} under json has this text. */
static bool has_error(const json_t *json, const char *text)
{
    const char *found = json_string_value(json_object_get(json, "error"));
    if (found != NULL && is_text(found, text))
        return true;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)json, name, value)
    {
        if (has_error(value, text))
            return true;
    }
    return false;
}

START_TEST(describes_every_route)
{
    AUTO(json_release) json_t *doc = load();
    for (const struct route *r = routes; r->method != NULL; r++)
        operation(doc, r);
}
END_TEST

START_TEST(invents_no_route)
{
    AUTO(json_release) json_t *doc = load();
    const char *path;
    json_t *item;
    json_object_foreach(json_object_get(doc, "paths"), path, item)
    {
        const char *method;
        json_t *op;
        json_object_foreach(item, method, op)
        {
            if (is_method(method))
                ck_assert_msg(has_route(method, path), "there is no %s %s in api/routes.c", method, path);
        }
    }
}
END_TEST

START_TEST(tells_the_listener)
{
    AUTO(json_release) json_t *doc = load();
    for (const struct route *r = routes; r->method != NULL; r++) {
        const json_t *item = json_object_get(json_object_get(doc, "paths"), r->path);
        bool is_internal = json_object_get(item, "servers") != NULL;
        ck_assert_msg(is_internal == (r->surface == INTERNAL), "%s: servers", r->path);
    }
}
END_TEST

static bool wants_person(const struct route *r)
{
    return r->access != ANYONE && r->access != DEVICE;
}

static void expect_way(const struct route *r, const json_t *way)
{
    bool is_device = json_object_get(way, "device") != NULL || json_object_get(way, "device-cookie") != NULL;
    bool is_right = r->access == DEVICE ? is_device : json_object_get(way, "basic") != NULL;
    ck_assert_msg(is_right, "%s %s: security", r->method, r->path);
}

/*
 * What a route that wants a person's token says, is said once for all; the others say that they want none, or Basic,
 * or a device's.
 */
START_TEST(tells_who_may_call)
{
    AUTO(json_release) json_t *doc = load();
    ck_assert_uint_eq(json_array_size(json_object_get(doc, "security")), 2);
    for (const struct route *r = routes; r->method != NULL; r++) {
        const json_t *op = operation(doc, r);
        const json_t *security = json_object_get(op, "security");
        ck_assert_msg((security != NULL) == !wants_person(r), "%s %s: security", r->method, r->path);
        const json_t *refused = resolve(doc, reply(op, "401"));
        bool challenges = json_object_get(json_object_get(refused, "headers"), "WWW-Authenticate") != NULL;
        ck_assert_msg(challenges == (r->access != ANYONE), "%s %s: WWW-Authenticate of 401", r->method, r->path);
        ck_assert_msg((reply(op, "403") != NULL) == (r->access != ANYONE), "%s %s: 403", r->method, r->path);
        for (size_t i = 0; i < json_array_size(security); i++)
            expect_way(r, json_array_get(security, i));
        ck_assert_msg(r->access != DEVICE || json_array_size(security) == 2, "%s %s: security", r->method, r->path);
    }
}
END_TEST

START_TEST(tells_what_a_body_is)
{
    AUTO(json_release) json_t *doc = load();
    for (const struct route *r = routes; r->method != NULL; r++) {
        const json_t *op = operation(doc, r);
        const json_t *content = json_object_get(resolve(doc, json_object_get(op, "requestBody")), "content");
        bool is_json = json_object_size(content) == 1 && json_object_get(content, "application/json") != NULL;
        ck_assert_msg(is_json || (content == NULL && !route_wants_json(r)), "%s %s: requestBody", r->method, r->path);
        ck_assert_msg((reply(op, "415") != NULL) == route_wants_json(r), "%s %s: 415", r->method, r->path);
        ck_assert_msg(!route_wants_json(r) || reply(op, "400") != NULL, "%s %s: 400", r->method, r->path);
    }
}
END_TEST

START_TEST(tells_the_replies_of_the_front)
{
    AUTO(json_release) json_t *doc = load();
    for (const struct route *r = routes; r->method != NULL; r++) {
        const json_t *op = operation(doc, r);
        ck_assert_msg(reply(op, "413") != NULL && reply(op, "500") != NULL, "%s %s: 413, 500", r->method, r->path);
        ck_assert_msg(r->lane == LANE_IO || reply(op, "503") != NULL, "%s %s: 503", r->method, r->path);
    }
}
END_TEST

/* Whether a client can get the text of e: five always say more, and one has a device in its place. */
static bool is_reachable(enum err e)
{
    bool says_more =
        e == ERR_BAD_REQUEST || e == ERR_INVALID || e == ERR_PUBKEY_FORM || e == ERR_PUBKEY_SIZE || e == ERR_ADDON;
    return e != ERR_OK && !says_more && e != ERR_DEVICE_EXISTS;
}

START_TEST(shows_every_text_that_a_client_can_get)
{
    static const enum err all[] = {
#define ERR_MEMBER(name, status, text) ERR_##name,
        ERR_LIST(ERR_MEMBER)
#undef ERR_MEMBER
    };
    AUTO(json_release) json_t *doc = load();
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!is_reachable(all[i]))
            continue;
        const char *text = err_status(all[i]) == 500 ? err_text(ERR_INTERNAL) : err_text(all[i]);
        ck_assert_msg(has_error(doc, text), "no example in docs/openapi.yaml has \"%s\"", text);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("openapi");
    TCase *tc = tcase_create("openapi");
    tcase_add_test(tc, describes_every_route);
    tcase_add_test(tc, invents_no_route);
    tcase_add_test(tc, tells_the_listener);
    tcase_add_test(tc, tells_who_may_call);
    tcase_add_test(tc, tells_what_a_body_is);
    tcase_add_test(tc, tells_the_replies_of_the_front);
    tcase_add_test(tc, shows_every_text_that_a_client_can_get);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
