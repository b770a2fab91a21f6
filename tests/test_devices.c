/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/board.h"
#include "tests/engine.h"

/* Devices as operators and other services see them (contract/deviceauth 1.3, 1.4, rows 2 to 7 and 20 to 25; 5.1). */

#define NOW_MS INT64_C(1790000000120)
#define NOW "2026-09-21T14:13:20.12Z"
#define NOBODY "00000000-0000-4000-8000-000000000000"
#define COUNTS BOARD_DEVICES "/count"
#define SEARCH BOARD_DEVICES "/search"
#define OURS BOARD_TENANTS "//devices" /* as other services write the default tenant */
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const char pem[] = "-----BEGIN PUBLIC KEY-----\n"
                          "MCowBQYDK2VwAyEAQxHLacKuTaBzN8xexeM1wIkqiSx6F/sORDqLQsY9CwM=\n"
                          "-----END PUBLIC KEY-----\n";

static struct fixture f;
static char *admin;

static void begin(int engine)
{
    clock_set(NOW_MS);
    fixture_init(&f, engine);
    admin = fixture_login(&f);
}

static void finish(void)
{
    mem_free(&admin);
    fixture_release(&f);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

/* Ask as the operator, on internal routes as a service; the reply as JSON. */
static json_t *get(const char *path)
{
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "GET", path, NULL);
    ck_assert_msg(c->status == 200, "%s gave %d %s", path, c->status, c->reply);
    json_t *json = json_loads(c->reply, 0, NULL);
    ck_assert_ptr_nonnull(json);
    return json;
}

/* A preauthorization of {"mac": mac}. */
static char *preauthorization(const char *mac, bool force)
{
    AUTO(json_release)
    json_t *json = json_pack("{s:{s:s}, s:s, s:b}", "identity_data", "mac", mac, "pubkey", pem, "force", (int)force);
    return json_dumps(json, JSON_COMPACT);
}

/* Preauthorize {"mac": mac}; the id that Location names, which the caller frees. */
static char *preauthorize(const char *mac, bool force)
{
    AUTO(mem_free) char *body = preauthorization(mac, force);
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "POST", BOARD_DEVICES, body);
    ck_assert_int_eq(c->status, 201);
    ck_assert_uint_eq(c->reply_len, 0);
    const char *location = fixture_header(c, "Location");
    ck_assert_msg(strncmp(location, "devices/", strlen("devices/")) == 0, "%s", location);
    return mem_strdup(location + strlen("devices/"));
}

/* Let a board with a new key ask as {"mac": mac}; its id, which the caller frees. */
static char *ask(const char *mac)
{
    AUTO(mem_free) char *id_data = mem_printf("{\"mac\":\"%s\"}", mac);
    struct board board;
    board_init(&board, &f, "ED25519", id_data);
    ck_assert_int_eq(board_ask(&board), 401);
    board_release(&board);
    AUTO(json_release) json_t *list = get(BOARD_DEVICES "?per_page=500");
    size_t i;
    json_t *device;
    json_array_foreach(list, i, device)
    {
        if (strcmp(text_of(json_object_get(device, "identity_data"), "mac"), mac) == 0)
            return mem_strdup(text_of(device, "id"));
    }
    return NULL;
}

static void change_set(const char *id, const char *method, const char *suffix, const char *body)
{
    AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", id);
    AUTO(json_release) json_t *device = get(path);
    AUTO(mem_free) char *set = board_set_path(device, 0, suffix);
    board_expect(&f, admin, method, set, body, 204, "");
}

/* A device of each status, in the alphabet's order; they were made in another. */
static const char *const statuses[] = {"accepted", "noauth", "pending", "preauthorized", "rejected"};
enum { ACCEPTED, NOAUTH, PENDING, PREAUTHORIZED, REJECTED, STATUSES };
static char *some[STATUSES];

static void begin_with_some(int engine)
{
    begin(engine);
    some[REJECTED] = ask("r");
    some[PREAUTHORIZED] = preauthorize("f", false);
    some[PENDING] = ask("p");
    some[NOAUTH] = ask("n");
    some[ACCEPTED] = ask("a");
    change_set(some[REJECTED], "PUT", "/status", "{\"status\":\"rejected\"}");
    change_set(some[ACCEPTED], "PUT", "/status", "{\"status\":\"accepted\"}");
    change_set(some[NOAUTH], "DELETE", "", NULL);
}

static void finish_some(void)
{
    for (size_t i = 0; i < STATUSES; i++)
        mem_free(&some[i]);
    finish();
}

/* The statuses of a list's devices: "accepted pending". */
static char *statuses_of(const json_t *list)
{
    char *text = mem_strdup("");
    size_t i;
    json_t *device;
    json_array_foreach(list, i, device)
    {
        char *longer = mem_printf("%s%s%s", text, i > 0 ? " " : "", text_of(device, "status"));
        mem_free(&text);
        text = longer;
    }
    return text;
}

/* The management list and the internal one with this query hold devices of these statuses. */
static void lists(const char *query, const char *want)
{
    static const char *const paths[] = {BOARD_DEVICES, OURS};
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(mem_free) char *path = mem_printf("%s?%s", paths[i], query);
        AUTO(json_release) json_t *list = get(path);
        AUTO(mem_free) char *found = statuses_of(list);
        ck_assert_msg(strcmp(found, want) == 0, "%s has \"%s\", not \"%s\"", path, found, want);
    }
}

static void refuse_list(const char *query, const char *text)
{
    static const char *const paths[] = {BOARD_DEVICES, OURS};
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(mem_free) char *path = mem_printf("%s?%s", paths[i], query);
        board_expect(&f, admin, "GET", path, NULL, 400, text);
    }
}

/* Shown */

START_TEST(a_device_is_shown_in_the_contracts_form)
{
    begin(_i);
    AUTO(mem_free) char *id = preauthorize("<&>", false);
    AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", id);
    AUTO(json_release) json_t *json = get(path);
    const char *set = text_of(json_array_get(json_object_get(json, "auth_sets"), 0), "id");
    AUTO(mem_free)
    char *want = mem_printf("{\"id\":\"%s\",\"identity_data\":{\"mac\":\"\\u003c\\u0026\\u003e\"},"
                            "\"status\":\"preauthorized\",\"decommissioning\":false,\"created_ts\":\"" NOW "\","
                            "\"updated_ts\":\"" NOW "\",\"auth_sets\":[{\"id\":\"%s\","
                            "\"identity_data\":{\"mac\":\"\\u003c\\u0026\\u003e\"},\"pubkey\":\""
                            "-----BEGIN PUBLIC KEY-----\\nMCowBQYDK2VwAyEAQxHLacKuTaBzN8xexeM1wIkqiSx6F/sORDqLQsY9CwM="
                            "\\n-----END PUBLIC KEY-----\\n\",\"ts\":\"" NOW "\",\"status\":\"preauthorized\"}]}",
                            id, set);
    AUTO(mem_free) char *in_list = mem_printf("[%s]", want);
    AUTO(fixture_free) struct call *one = board_operator(&f, admin, "GET", path, NULL);
    AUTO(fixture_free) struct call *all = board_operator(&f, admin, "GET", BOARD_DEVICES, NULL);
    AUTO(fixture_free) struct call *service = board_operator(&f, NULL, "GET", OURS, NULL);
    ck_assert_str_eq(one->reply, want);
    ck_assert_str_eq(one->type, "application/json; charset=utf-8");
    ck_assert_str_eq(all->reply, in_list);
    ck_assert_str_eq(service->reply, in_list);
    finish();
}
END_TEST

START_TEST(an_empty_identity_is_shown_as_null)
{
    begin(_i);
    struct board board;
    board_init(&board, &f, "ED25519", "{}");
    ck_assert_int_eq(board_ask(&board), 401);
    AUTO(json_release) json_t *device = board_device(&f, "");
    ck_assert(json_is_null(json_object_get(device, "identity_data")));
    ck_assert(json_is_null(json_object_get(json_array_get(json_object_get(device, "auth_sets"), 0), "identity_data")));
    board_release(&board);
    finish();
}
END_TEST

START_TEST(an_unknown_device_is_not_found)
{
    static const char *const ids[] = {NOBODY, "x", "search", "%ff", "a%2fb"};
    begin(_i);
    for (size_t i = 0; i < COUNT(ids); i++) {
        AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", ids[i]);
        AUTO(mem_free) char *status = mem_printf(OURS "/%s/status", ids[i]);
        board_expect(&f, admin, "GET", path, NULL, 404, "device not found");
        board_expect(&f, NULL, "GET", status, NULL, 404, "device not found");
        board_expect(&f, admin, "DELETE", path, NULL, 404, "");
    }
    board_expect(&f, admin, "DELETE", COUNTS, NULL, 404, ""); /* a device may be called so */
    finish();
}
END_TEST

START_TEST(services_ask_for_the_status_only)
{
    begin_with_some(_i);
    for (size_t i = 0; i < STATUSES; i++) {
        AUTO(mem_free) char *path = mem_printf(OURS "/%s/status", some[i]);
        AUTO(mem_free) char *want = mem_printf("{\"status\":\"%s\"}", statuses[i]);
        AUTO(fixture_free) struct call *c = board_operator(&f, NULL, "GET", path, NULL);
        ck_assert_str_eq(c->reply, want);
    }
    finish_some();
}
END_TEST

/* Listed */

START_TEST(lists_are_sorted_by_status_and_then_by_id)
{
    begin_with_some(_i);
    mem_free(&some[REJECTED]);
    some[REJECTED] = preauthorize("f2", false); /* two of one status */
    AUTO(json_release) json_t *list = get(BOARD_DEVICES);
    AUTO(mem_free) char *found = statuses_of(list);
    ck_assert_str_eq(found, "accepted noauth pending preauthorized preauthorized rejected");
    ck_assert_int_lt(strcmp(text_of(json_array_get(list, 3), "id"), text_of(json_array_get(list, 4), "id")), 0);
    AUTO(json_release) json_t *named = NULL;
    AUTO(mem_free)
    char *path = mem_printf(BOARD_DEVICES "?id=%s&id=%s&id=%s", some[REJECTED], some[ACCEPTED], some[PREAUTHORIZED]);
    named = get(path);
    AUTO(mem_free) char *order = statuses_of(named);
    ck_assert_str_eq(order, "accepted preauthorized preauthorized");
    ck_assert_int_lt(strcmp(text_of(json_array_get(named, 1), "id"), text_of(json_array_get(named, 2), "id")), 0);
    finish_some();
}
END_TEST

START_TEST(lists_are_filtered_by_statuses_and_ids)
{
    begin_with_some(_i);
    lists("", "accepted noauth pending preauthorized rejected");
    lists("status=pending", "pending");
    lists("status=rejected&status=accepted&status=rejected", "accepted rejected");
    AUTO(mem_free) char *two = mem_printf("id=%s&id=%s", some[PENDING], some[ACCEPTED]);
    AUTO(mem_free) char *both = mem_printf("%s&status=pending&status=noauth&id=" NOBODY, two);
    AUTO(mem_free) char *twice = mem_printf("%s&%s", two, two);
    lists(two, "accepted pending");
    lists(twice, "accepted pending");
    lists(both, "pending");
    lists("id=" NOBODY, "");
    lists("id=", "");
    lists("no=thing", "accepted noauth pending preauthorized rejected");
    finish_some();
}
END_TEST

START_TEST(lists_refuse_what_is_no_status)
{
    static const char text[] = "filter status must be one of: accepted, pending, rejected, preauthorized or noauth";
    begin(_i);
    refuse_list("status=", text);
    refuse_list("status=Accepted", text);
    refuse_list("status=pending&status=x", text);
    refuse_list("status=%zz", "api: malformed query parameters: invalid URL escape \"%zz\"");
    finish();
}
END_TEST

/* Pages */

START_TEST(pages_refuse_what_is_no_number)
{
    static const char *const queries[][2] = {
        {"page=abc", "invalid page query: \"abc\""},
        {"page=1.5", "invalid page query: \"1.5\""},
        {"page=0", "invalid page query: value must be a non-zero positive integer"},
        {"per_page=-1", "invalid per_page query: value must be a non-zero positive integer"},
        {"per_page=x", "invalid per_page query: \"x\""},
        {"per_page=99999999999999999999", "invalid per_page query: \"99999999999999999999\""},
        {"per_page=501", "parameter \"per_page\" above limit (max: 500)"},
    };
    begin(_i);
    for (size_t i = 0; i < COUNT(queries); i++) {
        refuse_list(queries[i][0], queries[i][1]);
        AUTO(mem_free) char *path = mem_printf(SEARCH "?%s", queries[i][0]);
        board_expect(&f, admin, "POST", path, "{}", 400, queries[i][1]);
    }
    lists("page=9223372036854775807&per_page=500", "");
    finish();
}
END_TEST

/* The links of a reply, one to a line. */
static char *links_of(const struct call *c)
{
    char *text = mem_strdup("");
    for (size_t i = 0; i < c->reply_headers; i++) {
        if (strcmp(c->reply_header[i].name, "Link") != 0)
            continue;
        char *longer = mem_printf("%s%s\n", text, c->reply_header[i].value);
        mem_free(&text);
        text = longer;
    }
    return text;
}

static void expect_page(const char *method, const char *path, const char *want, const char *want_links)
{
    const char *body = *method == 'P' ? "{}" : NULL;
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, method, path, body);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    AUTO(mem_free) char *found = statuses_of(list);
    AUTO(mem_free) char *links = links_of(c);
    ck_assert_msg(strcmp(found, want) == 0, "%s has \"%s\", not \"%s\"", path, found, want);
    ck_assert_str_eq(links, want_links);
    ck_assert_ptr_null(fixture_header(c, "X-Total-Count"));
}

#define LINK(path, query, rel) "<" path "?" query ">; rel=\"" rel "\"\n"

START_TEST(pages_name_their_neighbours)
{
    begin_with_some(_i);
    expect_page("GET", BOARD_DEVICES "?per_page=2", "accepted noauth",
                LINK(BOARD_DEVICES, "page=1&per_page=2", "first") LINK(BOARD_DEVICES, "page=2&per_page=2", "next"));
    expect_page("GET", OURS "?page=2&per_page=2", "pending preauthorized",
                LINK(OURS, "page=1&per_page=2", "first") LINK(OURS, "page=1&per_page=2", "prev")
                    LINK(OURS, "page=3&per_page=2", "next"));
    expect_page("POST", SEARCH "?per_page=2&page=3", "rejected",
                LINK(SEARCH, "page=1&per_page=2", "first") LINK(SEARCH, "page=2&per_page=2", "prev"));
    expect_page("GET", BOARD_DEVICES "?z=a%20b%26&status=rejected&status=accepted&a=*", "accepted rejected",
                LINK(BOARD_DEVICES, "a=%2A&page=1&per_page=20&status=rejected&status=accepted&z=a+b%26", "first"));
    expect_page("GET", BOARD_DEVICES "?per_page=5", "accepted noauth pending preauthorized rejected",
                LINK(BOARD_DEVICES, "page=1&per_page=5", "first"));
    expect_page("GET", BOARD_DEVICES "?page=7", "",
                LINK(BOARD_DEVICES, "page=1&per_page=20", "first") LINK(BOARD_DEVICES, "page=6&per_page=20", "prev"));
    finish_some();
}
END_TEST

START_TEST(a_page_has_twenty_devices_and_five_hundred_at_most)
{
    begin(_i);
    for (int i = 0; i < 22; i++) {
        AUTO(mem_free) char *mac = mem_printf("%d", i);
        char *id = preauthorize(mac, false);
        mem_free(&id);
    }
    AUTO(json_release) json_t *page = get(BOARD_DEVICES);
    AUTO(json_release) json_t *rest = get(OURS "?page=2");
    AUTO(json_release) json_t *all = get(BOARD_DEVICES "?per_page=500");
    ck_assert_uint_eq(json_array_size(page), 20);
    ck_assert_uint_eq(json_array_size(rest), 2);
    ck_assert_uint_eq(json_array_size(all), 22);
    finish();
}
END_TEST

/* Searched */

static void finds(const char *body, const char *want)
{
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "POST", SEARCH, body);
    ck_assert_msg(c->status == 200, "%s gave %d %s", body, c->status, c->reply);
    AUTO(json_release) json_t *list = json_loads(c->reply, 0, NULL);
    AUTO(mem_free) char *found = statuses_of(list);
    ck_assert_msg(strcmp(found, want) == 0, "%s found \"%s\", not \"%s\"", body, found, want);
}

START_TEST(a_search_takes_a_text_or_a_list_of_them)
{
    static const char all[] = "accepted noauth pending preauthorized rejected";
    begin_with_some(_i);
    finds("{}", all);
    finds("null", all);
    finds("{\"status\":null,\"id\":null,\"x\":[1]} and more", all);
    finds("{\"status\":\"pending\"}", "pending");
    finds("{\"STATUS\":[\"rejected\",\"accepted\"]}", "accepted rejected");
    finds("{\"status\":\"unheard of\"}", "");
    finds("{\"status\":[\"pending\",\"unheard of\"]}", "pending");
    AUTO(mem_free) char *one = mem_printf("{\"id\":\"%s\"}", some[NOAUTH]);
    AUTO(mem_free) char *two = mem_printf("{\"id\":[\"%s\",\"%s\",\"x\"]}", some[NOAUTH], some[ACCEPTED]);
    AUTO(mem_free)
    char *both = mem_printf("{\"status\":\"noauth\",\"id\":[\"%s\",\"%s\"]}", some[NOAUTH], some[ACCEPTED]);
    finds(one, "noauth");
    finds(two, "accepted noauth");
    finds(both, "noauth");
    finds("{\"id\":\"" NOBODY "\"}", "");
    finish_some();
}
END_TEST

START_TEST(a_search_is_refused_with_the_contracts_texts)
{
    static const char *const bad[][2] = {
        {"", "api: malformed request body: EOF"},
        {"{", "api: malformed request body: "},
        {"[]", "api: malformed request body: json: cannot unmarshal array into"},
        {"{\"status\":1}", "api: malformed request body: invalid JSON type for 'status': must be string or []string"},
        {"{\"status\":[\"accepted\",2]}",
         "api: malformed request body: invalid JSON type for 'status': must be string or []string"},
        {"{\"id\":{}}", "api: malformed request body: invalid JSON type for 'id': must be string or []string"},
    };
    begin(_i);
    for (size_t i = 0; i < COUNT(bad); i++)
        board_expect(&f, admin, "POST", SEARCH, bad[i][0], 400, bad[i][1]);
    finish();
}
END_TEST

/* Of all routes this one insists on the letter. */
START_TEST(a_search_wants_exactly_application_json)
{
    static const char *const types[][2] = {
        {"application/json; charset=utf-8", "Content-Type 'application/json; charset=utf-8' not supported"},
        {"Application/JSON", "Content-Type 'Application/JSON' not supported"},
        {"text/plain", "Bad Content-Type, expected 'application/json'"},
    };
    begin(_i);
    for (size_t i = 0; i < COUNT(types); i++) {
        AUTO(fixture_free) struct call *c = fixture_call(&f, "POST", SEARCH);
        c->header[CALL_AUTHORIZATION] = admin;
        c->header[CALL_CONTENT_TYPE] = types[i][0];
        fixture_body(c, "{}");
        ck_assert_int_eq(fixture_run(c), 415);
        ck_assert_ptr_nonnull(strstr(c->reply, types[i][1]));
    }
    AUTO(fixture_free) struct call *chunked = fixture_call(&f, "POST", SEARCH);
    chunked->header[CALL_AUTHORIZATION] = admin;
    ck_assert_int_eq(fixture_run(chunked), 415);
    ck_assert_ptr_nonnull(strstr(chunked->reply, "Content-Type '' not supported"));
    finish();
}
END_TEST

/* Counted */

static void counts(const char *query, const char *want)
{
    static const char *const paths[] = {COUNTS, OURS "/count"};
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO(mem_free) char *path = mem_printf("%s%s", paths[i], query);
        AUTO(fixture_free) struct call *c = board_operator(&f, admin, "GET", path, NULL);
        AUTO(mem_free) char *reply = mem_printf("{\"count\":%s}", want);
        ck_assert_int_eq(c->status, 200);
        ck_assert_str_eq(c->reply, reply);
    }
}

START_TEST(counts_all_or_those_of_one_status)
{
    begin_with_some(_i);
    char *second = ask("p2");
    mem_free(&second);
    counts("", "6");
    counts("?status=", "6");
    counts("?status=pending", "2");
    for (size_t i = 0; i < STATUSES; i++) {
        AUTO(mem_free) char *query = mem_printf("?status=%s", statuses[i]);
        counts(query, i == PENDING ? "2" : "1");
    }
    static const char text[] = "status must be one of: pending, accepted, rejected, preauthorized, noauth";
    board_expect(&f, admin, "GET", COUNTS "?status=x", NULL, 400, text);
    board_expect(&f, NULL, "GET", OURS "/count?status=x", NULL, 400, text);
    finish_some();
}
END_TEST

/* Preauthorized */

#define PREAUTH "failed to decode preauth request: "

static const struct {
    const char *body; /* @ stands for a key */
    const char *text;
} bad_preauth[] = {
    {"", PREAUTH "EOF"},
    {"{", PREAUTH "unexpected EOF"},
    {"x", PREAUTH "invalid character 'x' looking for beginning of value"},
    {"[]", PREAUTH "json: cannot unmarshal array into Go value of type "},
    {"{\"identity_data\":\"{}\",\"pubkey\":\"@\"}", PREAUTH "json: "},
    {"{\"identity_data\":{\"mac\":\"1\"},\"pubkey\":1}", PREAUTH "json: "},
    {"{\"identity_data\":{\"mac\":\"1\"},\"pubkey\":\"@\",\"force\":\"yes\"}", PREAUTH "json: "},
    {"{}", PREAUTH "identity_data: cannot be blank; pubkey: cannot be blank."},
    {"null", PREAUTH "identity_data: cannot be blank; pubkey: cannot be blank."},
    {"{\"pubkey\":\"@\"}", PREAUTH "identity_data: cannot be blank."},
    {"{\"identity_data\":null,\"pubkey\":\"@\"}", PREAUTH "identity_data: cannot be blank."},
    {"{\"identity_data\":{},\"pubkey\":\"@\"}", PREAUTH "identity_data: cannot be blank."},
    {"{\"identity_data\":{\"mac\":\"1\"}}", PREAUTH "pubkey: cannot be blank."},
    {"{\"identity_data\":{\"mac\":\"1\"},\"pubkey\":\"\"}", PREAUTH "pubkey: cannot be blank."},
    {"{\"identity_data\":{\"mac\":\"1\"},\"pubkey\":\"x\"}", PREAUTH "cannot decode public key"},
    {"{\"identity_data\":{\"mac\":\"1\"},\"pubkey\":\"-----BEGIN PUBLIC KEY-----\\nMAA=\\n-----END PUBLIC "
     "KEY-----\\n\"}",
     PREAUTH "cannot decode public key: "},
    {"{\"identity_data\":{\"mac\":\"1\"},\"pubkey\":\"-----BEGIN PUBLIC "
     "KEY-----\\nMCowBQYDK2VuAyEAAAAAAAAAAAAAAAAAAAAAAAAA"
     "AAAAAAAAAAAAAAAAAAk=\\n-----END PUBLIC KEY-----\\n\"}",
     PREAUTH "unrecognized public key type"}, /* X25519 */
};

START_TEST(a_preauthorization_is_refused_with_the_contracts_texts)
{
    begin(_i);
    AUTO(json_release) json_t *quoted = json_string(pem);
    AUTO(mem_free) char *key = json_dumps(quoted, JSON_ENCODE_ANY);
    for (size_t i = 0; i < COUNT(bad_preauth); i++) {
        const char *given = bad_preauth[i].body;
        const char *at = strstr(given, "\"@\"");
        AUTO(mem_free)
        char *body = at == NULL ? mem_strdup(given) : mem_printf("%.*s%s%s", (int)(at - given), given, key, at + 3);
        board_expect(&f, admin, "POST", BOARD_DEVICES, body, 400, bad_preauth[i].text);
    }
    counts("", "0");
    finish();
}
END_TEST

START_TEST(a_known_identity_is_a_409_that_shows_the_device)
{
    begin(_i);
    AUTO(mem_free) char *id = preauthorize("1", false);
    AUTO(json_release) json_t *quoted = json_string(pem);
    AUTO(mem_free) char *key = json_dumps(quoted, JSON_ENCODE_ANY);
    AUTO(mem_free)
    char *same = mem_printf("{\"PUBKEY\":%s,\"Identity_Data\":{ \"m\\u0061c\" : \"1\" },\"x\":1} more", key);
    AUTO(fixture_free) struct call *c = board_operator(&f, admin, "POST", BOARD_DEVICES, same);
    ck_assert_int_eq(c->status, 409);
    AUTO(mem_free)
    char *want = mem_printf("{\"id\":\"%s\",\"identity_data\":{\"mac\":\"1\"},\"status\":\"preauthorized\","
                            "\"decommissioning\":false,\"created_ts\":\"" NOW "\",\"updated_ts\":\"" NOW "\","
                            "\"auth_sets\":null}",
                            id);
    ck_assert_str_eq(c->reply, want);
    ck_assert_ptr_null(fixture_header(c, "Location"));
    counts("", "1");
    finish();
}
END_TEST

/* Different on purpose: Location names the device; the original makes an id up. */
START_TEST(a_forced_preauthorization_adds_a_key_and_leaves_the_status)
{
    begin_with_some(_i);
    static const char *const macs[STATUSES] = {"a", "n", "p", "f", "r"};
    for (size_t i = 0; i < STATUSES; i++) {
        AUTO(mem_free) char *id = preauthorize(macs[i], true);
        AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", id);
        ck_assert_str_eq(id, some[i]);
        AUTO(json_release) json_t *device = get(path);
        const json_t *sets = json_object_get(device, "auth_sets");
        bool has_another = i != NOAUTH && i != PREAUTHORIZED;
        ck_assert_uint_eq(json_array_size(sets), has_another ? 2 : 1);
        ck_assert_str_eq(text_of(device, "status"), statuses[i]);
        ck_assert_str_eq(text_of(json_array_get(sets, has_another), "status"), "preauthorized");
    }
    finish_some();
}
END_TEST

/* Decommissioned */

/* Without a workflow engine there is nobody to wait for. */
START_TEST(a_decommissioned_device_is_gone)
{
    begin(_i);
    AUTO(mem_free) char *id = preauthorize("1", false);
    AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", id);
    board_expect(&f, admin, "DELETE", path, NULL, 204, "");
    board_expect(&f, admin, "GET", path, NULL, 404, "device not found");
    board_expect(&f, admin, "DELETE", path, NULL, 404, "");
    finish();
}
END_TEST

static void expect_call(struct engine *engine, size_t i, const char *workflow)
{
    AUTO(mem_free) char *line = mem_printf("POST /api/v1/workflow/%s HTTP/1.1", workflow);
    const char *request = engine_request(engine, i);
    ck_assert_msg(strncmp(request, line, strlen(line)) == 0, "%s", request);
}

START_TEST(with_an_engine_it_waits_until_the_engine_has_removed_it)
{
    begin(_i);
    struct engine *engine = engine_new();
    engine_listen(engine);
    const struct outbox_config config = {.orchestrator_addr = engine_url(engine), .timeout_ms = 10000};
    ck_ok(outbox_start(&config, f.db, &f.fleet.outbox));
    AUTO(mem_free) char *id = preauthorize("1", false);
    AUTO(mem_free) char *path = mem_printf(BOARD_DEVICES "/%s", id);
    AUTO(mem_free) char *callback = mem_printf(OURS "/%s", id);
    board_expect(&f, admin, "DELETE", path, NULL, 204, "");
    AUTO(json_release) json_t *device = get(path);
    ck_assert(json_is_true(json_object_get(device, "decommissioning")));
    board_expect(&f, admin, "DELETE", path, NULL, 204, "");
    expect_call(engine, 2, "decommission_device"); /* behind the two of the preauthorization */
    expect_call(engine, 3, "decommission_device");
    engine_be(engine, ENGINE_FAILS);
    board_expect(&f, admin, "DELETE", path, NULL, 500, "internal error");
    board_expect(&f, NULL, "DELETE", callback, NULL, 204, "");
    board_expect(&f, NULL, "DELETE", callback, NULL, 404, "");
    board_expect(&f, admin, "GET", path, NULL, 404, "device not found");
    outbox_stop(&f.fleet.outbox);
    engine_free(&engine);
    finish();
}
END_TEST

/* What other services change */

START_TEST(services_note_and_remove_devices)
{
    begin(_i);
    AUTO(mem_free) char *id = preauthorize("1", false);
    AUTO(mem_free) char *path = mem_printf(OURS "/%s", id);
    AUTO(mem_free) char *stranger = mem_printf(BOARD_TENANTS "/acme/devices/%s", id);
    board_expect(&f, NULL, "PATCH", path, "{\"provisioned\":true}", 204, "");
    board_expect(&f, NULL, "PATCH", path, "{\"Provisioned\":false} more", 204, "");
    board_expect(&f, NULL, "PATCH", path, "{}", 204, "");
    board_expect(&f, NULL, "PATCH", path, "", 400, "invalid request body: EOF");
    board_expect(&f, NULL, "PATCH", path, "{\"provisioned\":1}", 400, "invalid request body: json: ");
    board_expect(&f, NULL, "PATCH", stranger, "{\"provisioned\":true}", 404, "");
    board_expect(&f, NULL, "DELETE", stranger, NULL, 404, "");
    board_expect(&f, NULL, "DELETE", OURS "/", NULL, 400, "device id (did) cannot be empty");
    board_expect(&f, NULL, "DELETE", path, NULL, 204, "");
    board_expect(&f, NULL, "DELETE", path, NULL, 404, "");
    board_expect(&f, NULL, "PATCH", path, "{\"provisioned\":true}", 404, "");
    counts("", "0");
    finish();
}
END_TEST

START_TEST(tenants_are_taken_note_of_by_storing_nothing)
{
    begin(_i);
    board_expect(&f, NULL, "POST", BOARD_TENANTS, NULL, 201, "");
    board_expect(&f, NULL, "POST", BOARD_TENANTS, "{ no json", 201, "");
    finish();
}
END_TEST

/* The original describes it and does not serve it. */
START_TEST(devices_of_others_clouds_are_not_served)
{
    begin(_i);
    board_expect(&f, NULL, "PUT", OURS "/" NOBODY "/external", "{}", 404, "not found");
    board_expect(&f, admin, "GET", "/api/management/v1/devauth/devices", NULL, 404, "not found");
    board_expect(&f, NULL, "GET", "/api/internal/v2/devauth/alive", NULL, 404, "not found");
    finish();
}
END_TEST

START_TEST(tokens_are_deleted_by_tenant)
{
    static const char all[] = "/api/internal/v1/devauth/tokens";
    begin(_i);
    board_expect(&f, NULL, "DELETE", all, NULL, 400, "tenant_id must be provided");
    board_expect(&f, NULL, "DELETE", "/api/internal/v1/devauth/tokens?tenant_id=&device_id=x", NULL, 400,
                 "tenant_id must be provided");
    board_expect(&f, NULL, "DELETE", "/api/internal/v1/devauth/tokens?tenant_id=acme", NULL, 204, "");
    board_expect(&f, NULL, "DELETE", "/api/internal/v1/devauth/tokens?tenant_id=acme&device_id=x", NULL, 204, "");
    finish();
}
END_TEST

static Suite *suite(void)
{
    const TTest *const on_both[] = {
        a_device_is_shown_in_the_contracts_form,
        an_empty_identity_is_shown_as_null,
        an_unknown_device_is_not_found,
        services_ask_for_the_status_only,
        lists_are_sorted_by_status_and_then_by_id,
        lists_are_filtered_by_statuses_and_ids,
        pages_name_their_neighbours,
        a_page_has_twenty_devices_and_five_hundred_at_most,
        a_search_takes_a_text_or_a_list_of_them,
        counts_all_or_those_of_one_status,
        a_known_identity_is_a_409_that_shows_the_device,
        a_forced_preauthorization_adds_a_key_and_leaves_the_status,
        a_decommissioned_device_is_gone,
        with_an_engine_it_waits_until_the_engine_has_removed_it,
        services_note_and_remove_devices,
    };
    const TTest *const of_no_engine[] = {
        lists_refuse_what_is_no_status,
        pages_refuse_what_is_no_number,
        a_search_is_refused_with_the_contracts_texts,
        a_search_wants_exactly_application_json,
        a_preauthorization_is_refused_with_the_contracts_texts,
        tenants_are_taken_note_of_by_storing_nothing,
        devices_of_others_clouds_are_not_served,
        tokens_are_deleted_by_tenant,
    };
    Suite *s = suite_create("devices");
    TCase *tc = tcase_create("devices");
    tcase_add_checked_fixture(tc, support_log_capture, NULL);
    for (size_t i = 0; i < COUNT(on_both); i++)
        tcase_add_loop_test(tc, on_both[i], 0, support_times(SUPPORT_ENGINES, 1));
    for (size_t i = 0; i < COUNT(of_no_engine); i++)
        tcase_add_loop_test(tc, of_no_engine[i], 0, 1);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
