/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>

#include "auth/plan.h"
#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/fixture.h"

#define M "/api/management/v1/useradm"
#define SHIPPED                                                                                                        \
    "{\"name\":\"Mender_Open_Source\",\"display_name\":\"Mender\",\"features\":{\"rbac\":false,\"audit_logs\":false,"  \
    "\"dynamic_groups\":false,\"terminal\":false,\"file_transfer\":false,\"configuration\":true,\"monitoring\":false," \
    "\"reporting\":false}}"

static struct fixture f;
static char *bearer;
static struct plan_list *many;

static void set_up(void)
{
    fixture_init(&f, 0);
    bearer = fixture_login(&f);
}

static void tear_down(void)
{
    plan_list_free(&many);
    mem_free(&bearer);
    fixture_release(&f);
}

/* Serve n plans p000, p001 ... */
static void serve_plans(int n)
{
    char *text = NULL;
    size_t len = 0;
    FILE *out = open_memstream(&text, &len);
    fputs("plans: {", out);
    for (int i = 0; i < n; i++)
        fprintf(out, "p%03d: {}, ", i);
    fputs("}", out);
    fclose(out);
    AUTO(mem_free) char *path = support_path(support_dir(), "plans.yaml");
    support_write(path, text, len, 0600);
    mem_free(&text);
    char why[PLAN_WHY_SIZE] = "";
    plan_list_free(&many);
    ck_ok(plan_read(path, why, &many));
    f.service.plans = many;
}

static struct call *get(const char *path, const char *query, int status)
{
    struct call *c = fixture_call(&f, "GET", path);
    c->query = query;
    c->header[CALL_AUTHORIZATION] = bearer;
    ck_assert_msg(fixture_run(c) == status, "%s?%s: %d %s", path, query, c->status, c->reply);
    return c;
}

START_TEST(shipped_plan_is_listed_and_bound)
{
    AUTO(fixture_free) struct call *list = get(M "/plans", "", 200);
    ck_assert_str_eq(list->type, "application/json; charset=utf-8");
    ck_assert_str_eq(list->reply, "[" SHIPPED "]");
    ck_assert_ptr_null(fixture_header(list, "Link"));
    AUTO(fixture_free) struct call *bound = get(M "/plan_binding", "", 200);
    ck_assert_str_eq(bound->reply, "{\"plan\":" SHIPPED "}");
}
END_TEST

START_TEST(of_several_plans_none_is_bound)
{
    static const char none[] = "{\"plan\":{\"name\":\"\",\"display_name\":\"\",\"features\":null}}";
    serve_plans(2);
    AUTO(fixture_free) struct call *two = get(M "/plan_binding", "", 200);
    ck_assert_str_eq(two->reply, none);
    serve_plans(0);
    AUTO(fixture_free) struct call *zero = get(M "/plan_binding", "", 200);
    ck_assert_str_eq(zero->reply, none);
    AUTO(fixture_free) struct call *list = get(M "/plans", "", 200);
    ck_assert_str_eq(list->reply, "[]");
}
END_TEST

static const struct {
    const char *query;
    int first, n;
} pages[] = {
    {"", 0, 20},
    {"page=", 0, 20},
    {"page=2", 20, 20},
    {"page=%2B3&per_page=10", 20, 10},
    {"page=2&per_page=500", 500, 20},
    {"per_page=500", 0, 500},
    {"page=521&per_page=1", 0, 0},
    {"page=520&per_page=1", 519, 1},
    {"page=9223372036854775807&per_page=500", 0, 0},
    {"page=1&page=x&other=y", 0, 20},
};

START_TEST(pages_are_cut_from_the_sorted_list)
{
    serve_plans(520);
    AUTO(fixture_free) struct call *c = get(M "/plans", pages[_i].query, 200);
    int n = 0;
    for (const char *at = c->reply; (at = strstr(at, "\"name\":\"p")) != NULL; at++) {
        int number = -1;
        ck_assert_int_eq(sscanf(at, "\"name\":\"p%d", &number), 1);
        ck_assert_int_eq(number, pages[_i].first + n++);
    }
    ck_assert_int_eq(n, pages[_i].n);
}
END_TEST

#define NOT_POSITIVE "value must be a non-zero positive integer"

static const struct {
    const char *query, *error;
} refusals[] = {
    {"page=abc", "invalid page query: \\\"abc\\\""},
    {"page=1.0", "invalid page query: \\\"1.0\\\""},
    {"page=%2b", "invalid page query: \\\"+\\\""},
    {"page=9223372036854775808", "invalid page query: \\\"9223372036854775808\\\""},
    {"page=0", "invalid page query: " NOT_POSITIVE},
    {"page=-1", "invalid page query: " NOT_POSITIVE},
    {"per_page=abc", "invalid per_page query: \\\"abc\\\""},
    {"per_page=0", "invalid per_page query: " NOT_POSITIVE},
    {"per_page=501", "parameter \\\"per_page\\\" above limit (max: 500)"},
    {"page=x&per_page=501", "invalid page query: \\\"x\\\""},
};

START_TEST(other_pages_are_refused)
{
    AUTO(fixture_free) struct call *c = get(M "/plans", refusals[_i].query, 400);
    AUTO(mem_free)
    char *want = mem_printf("{\"error\":\"%s\",\"request_id\":\"%s\"}", refusals[_i].error, c->request_id);
    ck_assert_str_eq(c->reply, want);
}
END_TEST

START_TEST(plans_are_for_people_who_are_known)
{
    mem_free(&bearer);
    AUTO(fixture_free) struct call *list = get(M "/plans", "", 401);
    AUTO(fixture_free) struct call *bound = get(M "/plan_binding", "", 401);
    ck_assert_str_eq(fixture_header(bound, "WWW-Authenticate"), "Bearer realm=\"ManagementJWT\"");
    ck_assert_ptr_nonnull(strstr(list->reply, "Authorization not present in header"));
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("plans");
    TCase *tc = tcase_create("plans");
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, shipped_plan_is_listed_and_bound);
    tcase_add_test(tc, of_several_plans_none_is_bound);
    tcase_add_loop_test(tc, pages_are_cut_from_the_sorted_list, 0, (int)(sizeof pages / sizeof *pages));
    tcase_add_loop_test(tc, other_pages_are_refused, 0, (int)(sizeof refusals / sizeof *refusals));
    tcase_add_test(tc, plans_are_for_people_who_are_known);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
