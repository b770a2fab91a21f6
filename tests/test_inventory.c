/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/inventory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/attribute.h"
#include "auth/device_admit.h"
#include "auth/device_enrol.h"
#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/fixture.h"

/* Inventory over HTTP, as the UI asks (contract/clients-and-gateways A.7, A.8). */

#define V1 "/api/management/v1/inventory"
#define V2 "/api/management/v2/inventory"
#define SEARCH V2 "/filters/search"
#define NOW_MS INT64_C(1790000000120)

static struct fixture f;
static char *bearer;

static void begin(int engine)
{
    clock_set(NOW_MS);
    fixture_init(&f, engine);
    bearer = fixture_login(&f);
}

static void finish(void)
{
    mem_free(&bearer);
    fixture_release(&f);
}

/* The texts stand for their hashes, too. */
static struct device_identity identify(const char *tenant, const char *id_data)
{
    struct device_identity identity = {.tenant = tenant, .id_data = id_data, .pubkey = id_data};
    snprintf(identity.id_hash, sizeof identity.id_hash, "%.64s", id_data);
    snprintf(identity.key_hash, sizeof identity.key_hash, "%.64s", id_data);
    return identity;
}

/* A device that has asked once, a second after the one before; its id, which the caller frees. */
static char *ask_of(const char *tenant, const char *id_data)
{
    const struct device_identity identity = identify(tenant, id_data);
    AUTO(mem_wipe) char *token = NULL;
    clock_set(clock_ms() + 1000);
    ck_err(device_enrol(&f.fleet, &identity, &f.fleet.plan, "r", true, &token), ERR_DEVICE_UNAUTHORIZED);
    AUTO(device_free) struct device *conflict = NULL;
    char *id = NULL;
    ck_err(device_admit_preauthorize(&f.fleet, &identity, false, "r", &id, &conflict), ERR_DEVICE_EXISTS);
    return mem_strdup(conflict->id);
}

static char *ask(const char *id_data)
{
    return ask_of("", id_data);
}

static void preauthorize(const char *id_data)
{
    const struct device_identity identity = identify("", id_data);
    AUTO(device_free) struct device *conflict = NULL;
    AUTO(mem_free) char *id = NULL;
    ck_ok(device_admit_preauthorize(&f.fleet, &identity, false, "r", &id, &conflict));
}

/* As an operator would, over HTTP. */
static void decide(const char *id, const char *status)
{
    AUTO(device_free) struct device *device = NULL;
    ck_ok(device_get(f.db, "", id, &device));
    AUTO(mem_free)
    char *path = mem_printf("/api/management/v2/devauth/devices/%s/auth/%s/status", id, device->set[0].id);
    AUTO(mem_free) char *body = mem_printf("{\"status\":\"%s\"}", status);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "PUT", path);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_CONTENT_TYPE] = "application/json";
    fixture_body(c, body);
    ck_assert_int_eq(fixture_run(c), 204);
}

/* Three devices, one second apart: aa pending, bb accepted, cc preauthorized. */
static char *some[3];

static void begin_with_some(int engine)
{
    begin(engine);
    some[0] = ask("{\"mac\":\"aa\",\"sn\":7}");
    some[1] = ask("{\"mac\":\"bb\",\"sn\":8}");
    decide(some[1], "accepted");
    clock_set(clock_ms() + 1000);
    preauthorize("{\"mac\":\"cc\"}");
}

static void finish_some(void)
{
    mem_free(&some[0]);
    mem_free(&some[1]);
    finish();
}

static struct call *search(const char *body, int status)
{
    struct call *c = fixture_call(&f, "POST", SEARCH);
    c->header[CALL_AUTHORIZATION] = bearer;
    c->header[CALL_CONTENT_TYPE] = "application/json";
    fixture_body(c, body);
    int got = fixture_run(c);
    ck_assert_msg(got == status, "%s gave %d, not %d: %s", body, got, status, c->reply);
    return c;
}

static const char *mac_of(const json_t *element)
{
    size_t i;
    json_t *attribute;
    json_array_foreach(json_object_get(element, "attributes"), i, attribute)
    {
        if (strcmp(json_string_value(json_object_get(attribute, "name")), "mac") == 0)
            return json_string_value(json_object_get(attribute, "value"));
    }
    return "?";
}

/* The body finds these devices by their mac, "aa bb", of so many. */
static void finds_of(const char *body, const char *macs, const char *total)
{
    AUTO(fixture_free) struct call *c = search(body, 200);
    AUTO(json_release) json_t *list = json_loads(c->reply, JSON_ALLOW_NUL, NULL);
    char found[256] = "";
    size_t i;
    json_t *element;
    json_array_foreach(list, i, element)
    {
        size_t len = strlen(found);
        snprintf(found + len, sizeof found - len, "%s%s", len > 0 ? " " : "", mac_of(element));
    }
    ck_assert_msg(strcmp(found, macs) == 0, "%s found \"%s\", not \"%s\"", body, found, macs);
    ck_assert_str_eq(fixture_header(c, "X-Total-Count"), total);
}

static void finds(const char *body, const char *macs)
{
    size_t n = strlen(macs) > 0 ? (strlen(macs) + 1) / 3 : 0;
    AUTO(mem_free) char *total = mem_printf("%zu", n);
    finds_of(body, macs, total);
}

/* {scope, attribute, type, value} as one filter of a search */
#define FILTER(scope, attribute, type, value)                                                                          \
    "{\"scope\":\"" scope "\",\"attribute\":\"" attribute "\",\"type\":\"" type "\",\"value\":" value "}"
#define ONE(scope, attribute, type, value) "{\"filters\":[" FILTER(scope, attribute, type, value) "]}"
#define SORT(scope, attribute, order)                                                                                  \
    "{\"sort\":[{\"scope\":\"" scope "\",\"attribute\":\"" attribute "\",\"order\":\"" order "\"}]}"

START_TEST(shows_a_device_as_the_ui_wants_it)
{
    begin(_i);
    AUTO(mem_free) char *id = ask("{\"mac\":\"aa\",\"sn\":7}");
    AUTO(mem_free) char *path = mem_printf(V1 "/devices/%s", id);
    AUTO(mem_free)
    char *want = mem_printf("{\"id\":\"%s\",\"updated_ts\":\"2026-09-21T14:13:21.12Z\",\"attributes\":["
                            "{\"scope\":\"identity\",\"name\":\"status\",\"value\":\"pending\"},"
                            "{\"scope\":\"identity\",\"name\":\"mac\",\"value\":\"aa\"},"
                            "{\"scope\":\"identity\",\"name\":\"sn\",\"value\":7},"
                            "{\"scope\":\"system\",\"name\":\"created_ts\",\"value\":\"2026-09-21T14:13:21.12Z\"},"
                            "{\"scope\":\"system\",\"name\":\"updated_ts\",\"value\":\"2026-09-21T14:13:21.12Z\"}]}",
                            id);
    AUTO(fixture_free) struct call *c = fixture_get(&f, path, bearer, 200);
    ck_assert_str_eq(c->reply, want);
    ck_assert_ptr_nonnull(fixture_header(c, "ETag"));
    AUTO(mem_free) char *list = mem_printf("[%s]", want);
    AUTO(fixture_free) struct call *found = search("{}", 200);
    ck_assert_str_eq(found->reply, list);
    finish();
}
END_TEST

START_TEST(shows_only_what_is_selected)
{
    begin(_i);
    AUTO(mem_free) char *id = ask("{\"mac\":\"aa\",\"sn\":7}");
    AUTO(fixture_free)
    struct call *c =
        search("{\"attributes\":[{\"scope\":\"identity\",\"attribute\":\"sn\"},"
               "{\"scope\":\"inventory\",\"attribute\":\"mac\"},{\"scope\":\"system\",\"attribute\":\"group\"}]}",
               200);
    ck_assert_ptr_nonnull(strstr(c->reply, "\"attributes\":[{\"scope\":\"identity\",\"name\":\"sn\",\"value\":7}]"));
    finish();
}
END_TEST

START_TEST(the_etag_changes_with_the_device)
{
    begin(_i);
    AUTO(mem_free) char *id = ask("{\"mac\":\"aa\"}");
    AUTO(mem_free) char *path = mem_printf(V1 "/devices/%s", id);
    AUTO(fixture_free) struct call *before = fixture_get(&f, path, bearer, 200);
    decide(id, "accepted");
    AUTO(fixture_free) struct call *after = fixture_get(&f, path, bearer, 200);
    ck_assert_str_ne(fixture_header(before, "ETag"), fixture_header(after, "ETag"));
    finish();
}
END_TEST

START_TEST(an_unknown_device_is_not_found)
{
    begin(_i);
    fixture_expect(&f, V1 "/devices/00000000-0000-4000-8000-000000000000", bearer, 404);
    finish();
}
END_TEST

START_TEST(filters_by_status)
{
    begin_with_some(_i);
    finds("{}", "bb aa cc");
    finds(ONE("identity", "status", "$eq", "\"pending\""), "aa");
    finds(ONE("identity", "status", "$in", "[\"pending\",\"accepted\",\"other\"]"), "bb aa");
    finds(ONE("identity", "status", "$ne", "\"pending\""), "bb cc");
    finds(ONE("identity", "status", "$nin", "[\"pending\",\"accepted\"]"), "cc");
    finds(ONE("identity", "status", "$exists", "true"), "bb aa cc");
    finds(ONE("identity", "status", "$exists", "false"), "");
    finds(ONE("identity", "status", "$eq", "\"rejected\""), "");
    finish_some();
}
END_TEST

START_TEST(a_decision_shows_at_once)
{
    begin_with_some(_i);
    finds(ONE("identity", "status", "$eq", "\"pending\""), "aa");
    decide(some[0], "rejected");
    finds(ONE("identity", "status", "$eq", "\"pending\""), "");
    finds(ONE("identity", "status", "$eq", "\"rejected\""), "aa");
    finish_some();
}
END_TEST

START_TEST(filters_by_identity)
{
    begin_with_some(_i);
    finds(ONE("identity", "mac", "$eq", "\"bb\""), "bb");
    finds(ONE("identity", "mac", "$in", "[\"cc\",\"aa\",\"cc\",\"dd\"]"), "aa cc");
    finds(ONE("identity", "mac", "$ne", "\"bb\""), "aa cc");
    finds(ONE("identity", "mac", "$nin", "[\"bb\",\"cc\"]"), "aa");
    finds(ONE("identity", "sn", "$exists", "true"), "bb aa");
    finds(ONE("identity", "sn", "$exists", "false"), "cc");
    finds(ONE("identity", "sn", "$eq", "7"), "aa");
    finds(ONE("identity", "sn", "$eq", "\"7\""), "aa");
    finds(ONE("identity", "sn", "$ne", "7"), "bb cc");
    finds(ONE("identity", "mac", "$in", "[]"), "");
    finds(ONE("identity", "other", "$eq", "\"bb\""), "");
    finish_some();
}
END_TEST

START_TEST(filters_by_id)
{
    begin_with_some(_i);
    AUTO(mem_free)
    char *one =
        mem_printf("{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"id\",\"type\":\"$eq\",\"value\":\"%s\"}]}",
                   some[0]);
    AUTO(mem_free)
    char *rest =
        mem_printf("{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"id\",\"type\":\"$nin\",\"value\":[\"%s\"]}]}",
                   some[0]);
    AUTO(mem_free)
    char *both = mem_printf("{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"id\",\"type\":\"$in\","
                            "\"value\":[\"%s\",\"%s\",\"x\",\"%s\"]}," FILTER("identity", "mac", "$eq", "\"aa\"") "]}",
                            some[0], some[1], some[0]);
    finds(one, "aa");
    finds(rest, "bb cc");
    finds(both, "aa");
    finish_some();
}
END_TEST

START_TEST(all_filters_must_hold)
{
    begin_with_some(_i);
    finds("{\"filters\":[" FILTER("identity", "status", "$eq", "\"accepted\"") "," FILTER("identity", "mac", "$in",
                                                                                          "[\"aa\",\"bb\"]") "]}",
          "bb");
    finds("{\"filters\":[" FILTER("identity", "status", "$eq", "\"accepted\"") "," FILTER("identity", "status", "$eq",
                                                                                          "\"pending\"") "]}",
          "");
    finds("{\"filters\":[" FILTER("identity", "mac", "$ne", "\"aa\"") "," FILTER("identity", "mac", "$ne",
                                                                                 "\"bb\"") "]}",
          "cc");
    finish_some();
}
END_TEST

START_TEST(what_no_device_has_is_absent)
{
    begin_with_some(_i);
    finds(ONE("system", "group", "$nin", "[\"production\"]"), "bb aa cc");
    finds(ONE("system", "group", "$exists", "false"), "bb aa cc");
    finds(ONE("system", "group", "$eq", "\"production\""), "");
    finds(ONE("inventory", "device_type", "$eq", "\"x\""), "");
    finds(ONE("inventory", "mac", "$exists", "true"), "");
    finds(ONE("tags", "name", "$ne", "\"x\""), "bb aa cc");
    finds(ONE("system", "check_in_time", "$exists", "true"), "");
    finds(ONE("system", "created_ts", "$exists", "true"), "bb aa cc");
    finish_some();
}
END_TEST

START_TEST(sorts)
{
    begin_with_some(_i);
    finds(SORT("system", "created_ts", "asc"), "aa bb cc");
    finds(SORT("system", "created_ts", "desc"), "cc bb aa");
    finds(SORT("system", "updated_ts", "desc"), "cc bb aa");
    finds(SORT("identity", "mac", "desc"), "cc bb aa");
    finds(SORT("identity", "sn", "asc"), "cc aa bb");
    finds(SORT("identity", "status", "desc"), "cc aa bb");
    finds(SORT("inventory", "device_type", "asc"), "bb aa cc");
    finds("{\"sort\":[{\"scope\":\"identity\",\"attribute\":\"x\"},{\"scope\":\"identity\",\"attribute\":\"mac\"}]}",
          "aa bb cc");
    finish_some();
}
END_TEST

START_TEST(pages)
{
    begin_with_some(_i);
    finds_of("{\"page\":1,\"per_page\":2}", "bb aa", "3");
    finds_of("{\"page\":2,\"per_page\":2}", "cc", "3");
    finds_of("{\"page\":3,\"per_page\":2}", "", "3");
    finds_of("{\"page\":0,\"per_page\":0}", "bb aa cc", "3");
    finds_of("{\"page\":9223372036854775807,\"per_page\":500}", "", "3");
    finds_of("{\"page\":2,\"per_page\":1,\"sort\":[{\"scope\":\"identity\",\"attribute\":\"mac\"}]}", "bb", "3");
    finds_of("{\"page\":2,\"per_page\":1,\"filters\":[" FILTER("identity", "mac", "$ne", "\"bb\"") "]}", "cc", "2");
    AUTO(fixture_free) struct call *c = search("{\"page\":2,\"per_page\":1}", 200);
    static const char *const links[] = {"<" SEARCH "?page=1&per_page=1>; rel=\"first\"",
                                        "<" SEARCH "?page=1&per_page=1>; rel=\"prev\"",
                                        "<" SEARCH "?page=3&per_page=1>; rel=\"next\""};
    size_t n = 0;
    for (size_t i = 0; i < c->reply_headers; i++)
        if (strcmp(c->reply_header[i].name, "Link") == 0)
            ck_assert_str_eq(c->reply_header[i].value, links[n++]);
    ck_assert_uint_eq(n, 3);
    finish_some();
}
END_TEST

START_TEST(lists_pages_by_query)
{
    begin_with_some(_i);
    AUTO(fixture_free) struct call *c = fixture_call(&f, "GET", V1 "/devices");
    c->header[CALL_AUTHORIZATION] = bearer;
    c->query = "page=3&per_page=1";
    ck_assert_int_eq(fixture_run(c), 200);
    ck_assert_str_eq(fixture_header(c, "X-Total-Count"), "3");
    AUTO(json_release) json_t *list = json_loads(c->reply, JSON_ALLOW_NUL, NULL);
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(mac_of(json_array_get(list, 0)), "cc");
    AUTO(fixture_free) struct call *bad = fixture_call(&f, "GET", V1 "/devices");
    bad->header[CALL_AUTHORIZATION] = bearer;
    bad->query = "page=x";
    ck_assert_int_eq(fixture_run(bad), 400);
    finish_some();
}
END_TEST

START_TEST(counts_by_status)
{
    begin_with_some(_i);
    AUTO(fixture_free) struct call *c = fixture_get(&f, V2 "/statistics", bearer, 200);
    ck_assert_str_eq(c->reply, "{\"devices_by_status\":{\"accepted\":{\"standard\":1,\"micro\":0,\"system\":0},"
                               "\"pending\":{\"standard\":1,\"micro\":0,\"system\":0},"
                               "\"preauthorized\":{\"standard\":1,\"micro\":0,\"system\":0},"
                               "\"rejected\":{\"standard\":0,\"micro\":0,\"system\":0}}}");
    finish_some();
}
END_TEST

START_TEST(names_the_attributes)
{
    begin_with_some(_i);
    AUTO(fixture_free) struct call *c = fixture_get(&f, V2 "/filters/attributes", bearer, 200);
    ck_assert_str_eq(c->reply, "[{\"name\":\"mac\",\"scope\":\"identity\",\"count\":3},"
                               "{\"name\":\"sn\",\"scope\":\"identity\",\"count\":2}]");
    finish_some();
}
END_TEST

START_TEST(there_are_no_groups_and_no_saved_filters)
{
    begin(_i);
    static const char *const paths[] = {V1 "/groups", V2 "/filters", V2 "/filters/attributes", V1 "/devices"};
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        AUTO(fixture_free) struct call *c = fixture_get(&f, paths[i], bearer, 200);
        ck_assert_str_eq(c->reply, "[]");
    }
    finish();
}
END_TEST

START_TEST(other_tenants_devices_are_not_there)
{
    begin_with_some(_i);
    AUTO(mem_free) char *id = ask_of("acme", "{\"mac\":\"zz\",\"secret\":\"x\"}");
    AUTO(mem_free)
    char *by_id =
        mem_printf("{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"id\",\"type\":\"$eq\",\"value\":\"%s\"}]}",
                   id);
    AUTO(mem_free) char *path = mem_printf(V1 "/devices/%s", id);
    finds(by_id, "");
    finds(ONE("identity", "mac", "$eq", "\"zz\""), "");
    finds(ONE("identity", "secret", "$exists", "true"), "");
    finds(SORT("system", "created_ts", "asc"), "aa bb cc");
    finds("{}", "bb aa cc");
    fixture_expect(&f, path, bearer, 404);
    AUTO(fixture_free) struct call *names = fixture_get(&f, V2 "/filters/attributes", bearer, 200);
    ck_assert_ptr_null(strstr(names->reply, "secret"));
    finish_some();
}
END_TEST

START_TEST(a_device_that_is_gone_is_not_found)
{
    begin_with_some(_i);
    ck_ok(device_admit_delete(&f.fleet, "", some[0]));
    finds(ONE("identity", "mac", "$eq", "\"aa\""), "");
    finds("{}", "bb cc");
    finish_some();
}
END_TEST

START_TEST(long_and_strange_values_are_told_apart)
{
    begin(_i);
    char id_data[8192];
    char same[4097];
    memset(same, 'x', sizeof same - 1);
    same[sizeof same - 1] = '\0';
    for (int i = 0; i < 2; i++) {
        snprintf(id_data, sizeof id_data, "{\"mac\":\"m%d\",\"serial\":\"%s%d\"}", i, same, i);
        const struct device_identity identity = {.tenant = "", .id_data = id_data, .pubkey = id_data};
        struct device_identity own = identity;
        snprintf(own.id_hash, sizeof own.id_hash, "%d", i);
        snprintf(own.key_hash, sizeof own.key_hash, "%d", i);
        AUTO(mem_wipe) char *token = NULL;
        ck_err(device_enrol(&f.fleet, &own, &f.fleet.plan, "r", true, &token), ERR_DEVICE_UNAUTHORIZED);
    }
    AUTO(mem_free)
    char *body = mem_printf(
        "{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"serial\",\"type\":\"$eq\",\"value\":\"%s1\"}]}", same);
    finds(body, "m1");
    AUTO(mem_free) char *id = ask("{\"a\\u0000b\":\"c\\u0000d\",\"list\":[1,\"x\"],\"mac\":\"m2\",\"none\":null}");
    finds(ONE("identity", "none", "$eq", "\"null\""), "m2");
    finds(ONE("identity", "list", "$exists", "true"), "m2");
    finish();
}
END_TEST

START_TEST(refuses_with_a_text_that_says_where)
{
    static const struct {
        const char *body;
        const char *text;
    } cases[] = {
        {"[]", "json: cannot unmarshal array into an object"},
        {"{\"page\":\"1\"}", "page must be an integer"},
        {"{\"per_page\":1.5}", "per_page must be an integer"},
        {"{\"per_page\":501}", "parameter \\\"per_page\\\" above limit (max: 500)"},
        {"{\"filters\":{}}", "filters must be an array"},
        {"{\"sort\":1}", "sort must be an array"},
        {"{\"attributes\":\"x\"}", "attributes must be an array"},
        {"{\"filters\":[1]}", "filters[0]: must be an object"},
        {"{\"filters\":[{}]}", "filters[0]: scope must be a text that is not empty"},
        {"{\"filters\":[{\"scope\":\"identity\"}]}", "filters[0]: attribute must be a text that is not empty"},
        {"{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"mac\"}]}",
         "filters[0]: type must be a text that is not empty"},
        {ONE("identity", "mac", "$regex", "\"x\""), "filters[0]: type must be one of $eq, $ne, $in, $nin, $exists"},
        {ONE("identity", "mac", "$eq", "null"), "filters[0]: value must be a string, a number or a boolean"},
        {ONE("identity", "mac", "$ne", "[\"x\"]"), "filters[0]: value must be a string, a number or a boolean"},
        {ONE("identity", "mac", "$in", "\"x\""), "filters[0]: value must be an array"},
        {ONE("identity", "mac", "$nin", "[{}]"), "filters[0]: value must be a string, a number or a boolean"},
        {ONE("identity", "mac", "$exists", "\"true\""), "filters[0]: value of $exists must be a boolean"},
        {"{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"mac\",\"type\":\"$eq\"}]}",
         "filters[0]: value must be a string, a number or a boolean"},
        {SORT("identity", "mac", "up"), "sort[0]: order must be asc or desc"},
        {"{\"attributes\":[{\"scope\":\"identity\"}]}", "attributes[0]: attribute must be a text that is not empty"},
    };
    begin(_i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(fixture_free) struct call *c = search(cases[i].body, 400);
        AUTO(mem_free) char *start = mem_printf("{\"error\":\"%s", cases[i].text);
        ck_assert_msg(strncmp(c->reply, start, strlen(start)) == 0, "%s: %s", cases[i].body, c->reply);
    }
    finish();
}
END_TEST

/* {"<list>": [item, item, ...]} with n items; the caller frees it. */
static char *many(const char *list, const char *item, size_t n)
{
    size_t room = strlen(list) + n * (strlen(item) + 1) + 16;
    char *text = mem_calloc(room, 1);
    size_t len = (size_t)snprintf(text, room, "{\"%s\":[", list);
    for (size_t i = 0; i < n; i++)
        len += (size_t)snprintf(text + len, room - len, "%s%s", i > 0 ? "," : "", item);
    snprintf(text + len, room - len, "]}");
    return text;
}

START_TEST(refuses_more_than_there_is_room_for)
{
    static const struct {
        const char *list;
        const char *item;
        size_t max;
    } cases[] = {
        {"filters", FILTER("identity", "mac", "$ne", "\"x\""), INVENTORY_FILTERS_MAX},
        {"sort", "{\"scope\":\"identity\",\"attribute\":\"mac\"}", INVENTORY_SORTS_MAX},
        {"attributes", "{\"scope\":\"identity\",\"attribute\":\"mac\"}", 500},
    };
    begin(_i);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AUTO(mem_free) char *full = many(cases[i].list, cases[i].item, cases[i].max);
        AUTO(mem_free) char *over = many(cases[i].list, cases[i].item, cases[i].max + 1);
        AUTO(mem_free)
        char *want = mem_printf("{\"error\":\"%s has too many members (max: %zu)\"", cases[i].list, cases[i].max);
        AUTO(fixture_free) struct call *fine = search(full, 200);
        AUTO(fixture_free) struct call *c = search(over, 400);
        ck_assert_msg(strncmp(c->reply, want, strlen(want)) == 0, "%s", c->reply);
    }
    AUTO(mem_free) char *values = many("value", "1", INVENTORY_VALUES_MAX + 1);
    AUTO(mem_free)
    char *body =
        mem_printf("{\"filters\":[{\"scope\":\"identity\",\"attribute\":\"x\",\"type\":\"$in\",%s]}", values + 1);
    AUTO(fixture_free) struct call *c = search(body, 400);
    ck_assert_ptr_nonnull(strstr(c->reply, "filters[0]: value has too many members (max: 500)"));
    finish();
}
END_TEST

START_TEST(is_not_there_when_switched_off)
{
    begin(_i);
    static const char *const paths[] = {
        V1 "/groups", V1 "/devices", V1 "/devices/x", V2 "/filters", V2 "/filters/attributes", V2 "/statistics"};
    f.service.inventory_view = false;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        fixture_expect(&f, paths[i], bearer, 404);
    AUTO(fixture_free) struct call *c = search("{}", 404);
    f.service.inventory_view = true;
    f.service.fleet = NULL;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++)
        fixture_expect(&f, paths[i], bearer, 404);
    finish();
}
END_TEST

START_TEST(keys_are_short_and_tell_texts_apart)
{
    char text[300];
    memset(text, 'x', sizeof text);
    AUTO(mem_free) char *plain = attribute_key(text, ATTRIBUTE_PLAIN_MAX);
    AUTO(mem_free) char *long_one = attribute_key(text, ATTRIBUTE_PLAIN_MAX + 1);
    AUTO(mem_free) char *longer = attribute_key(text, sizeof text);
    ck_assert_uint_eq(strlen(plain), ATTRIBUTE_PLAIN_MAX);
    ck_assert_uint_eq(strlen(long_one), ATTRIBUTE_PLAIN_MAX + 65);
    ck_assert_str_ne(long_one, longer);
    AUTO(mem_free) char *nul = attribute_key("a\0b", 3);
    AUTO(mem_free) char *other = attribute_key("a\0c", 3);
    ck_assert_str_ne(nul, other);
    ck_assert_uint_eq(strlen(nul), 66);
    for (size_t i = 0; i + 1 < sizeof text; i += 2)
        memcpy(text + i, "\xc3\xa4", 2);
    AUTO(mem_free) char *even = attribute_key(text, sizeof text);
    AUTO(mem_free) char *odd = attribute_key(text + 1, sizeof text - 1);
    ck_assert_int_eq(even[ATTRIBUTE_PLAIN_MAX], '#');
    ck_assert_int_eq(odd[ATTRIBUTE_PLAIN_MAX - 1], '#');
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("inventory");
    TCase *tc = tcase_create("inventory");
    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, shows_a_device_as_the_ui_wants_it, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, shows_only_what_is_selected, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, the_etag_changes_with_the_device, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, an_unknown_device_is_not_found, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, filters_by_status, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_decision_shows_at_once, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, filters_by_identity, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, filters_by_id, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, all_filters_must_hold, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, what_no_device_has_is_absent, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, sorts, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, pages, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, lists_pages_by_query, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, counts_by_status, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, names_the_attributes, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, there_are_no_groups_and_no_saved_filters, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, other_tenants_devices_are_not_there, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, a_device_that_is_gone_is_not_found, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, long_and_strange_values_are_told_apart, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_with_a_text_that_says_where, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, refuses_more_than_there_is_room_for, 0, SUPPORT_ENGINES);
    tcase_add_loop_test(tc, is_not_there_when_switched_off, 0, SUPPORT_ENGINES);
    tcase_add_test(tc, keys_are_short_and_tell_texts_apart);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
