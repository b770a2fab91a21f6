/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "auth/plan.h"

#include <string.h>
#include <sys/stat.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "tests/support.h"

#define SHIPPED                                                                                                        \
    "{\"name\":\"Mender_Open_Source\",\"display_name\":\"Mender\",\"features\":{\"rbac\":false,\"audit_logs\":false,"  \
    "\"dynamic_groups\":false,\"terminal\":false,\"file_transfer\":false,\"configuration\":true,\"monitoring\":false," \
    "\"reporting\":false}}"

static enum err read_as(const char *name, const char *text, char *why, struct plan_list **out)
{
    AUTO(mem_free) char *path = support_path(support_dir(), name);
    support_write(path, text, strlen(text), 0600);
    return plan_read(path, why, out);
}

static char *wire(const struct plan *plan)
{
    AUTO(json_release) json_t *json = plan_json(plan);
    return json_wire(json);
}

START_TEST(built_in_plan_is_the_shipped_one)
{
    AUTO(plan_list_free) struct plan_list *list = plan_default();
    ck_assert_uint_eq(list->n, 1);
    AUTO(mem_free) char *text = wire(&list->plan[0]);
    ck_assert_str_eq(text, SHIPPED);
}
END_TEST

START_TEST(nobodys_plan_is_empty)
{
    AUTO(mem_free) char *text = wire(NULL);
    ck_assert_str_eq(text, "{\"name\":\"\",\"display_name\":\"\",\"features\":null}");
}
END_TEST

/* Its misspelt feature is named in the log, and stays false. */
START_TEST(shipped_file_gives_the_shipped_plan)
{
    static const char text[] = "plans:\n  Mender_Open_Source:\n    display_name: Mender\n    features:\n"
                               "      rbac: false\n      configuration: true\n      file_tranfer: true\n";
    support_log_capture();
    char why[PLAN_WHY_SIZE] = "";
    AUTO(plan_list_free) struct plan_list *list = NULL;
    ck_ok(read_as("plans.yaml", text, why, &list));
    ck_assert_uint_eq(list->n, 1);
    AUTO(mem_free) char *got = wire(&list->plan[0]);
    ck_assert_str_eq(got, SHIPPED);
    AUTO(mem_free) char *log = support_log();
    ck_assert_ptr_nonnull(strstr(log, "plan=Mender_Open_Source feature=file_tranfer"));
}
END_TEST

START_TEST(plans_are_sorted_by_name)
{
    char why[PLAN_WHY_SIZE] = "";
    AUTO(plan_list_free) struct plan_list *list = NULL;
    ck_ok(read_as("plans.yml", "plans: {os: {}, Zeta-1: {display_name: Z}, alpha_2: {features: }, 7: {}}", why, &list));
    static const char *const names[] = {"7", "Zeta-1", "alpha_2", "os"};
    ck_assert_uint_eq(list->n, 4);
    for (size_t i = 0; i < 4; i++)
        ck_assert_str_eq(list->plan[i].name, names[i]);
    ck_assert_str_eq(list->plan[1].display_name, "Z");
    ck_assert_str_eq(list->plan[0].display_name, "");
    ck_assert(!list->plan[2].has_features);
}
END_TEST

START_TEST(json_is_read_as_well)
{
    static const char text[] = "{\n\t\"plans\": {\n\t\t\"a\": {\"display_name\": \"\\u00c4\\\"\", \"features\":"
                               " {\"rbac\": true, \"terminal\": false, \"reporting\": null}}\n\t}\n}\n";
    char why[PLAN_WHY_SIZE] = "";
    AUTO(plan_list_free) struct plan_list *list = NULL;
    ck_assert_msg(read_as("plans.json", text, why, &list) == ERR_OK, "%s", why);
    ck_assert_str_eq(list->plan[0].display_name, "\xc3\x84\"");
    ck_assert(list->plan[0].feature[PLAN_RBAC] && !list->plan[0].feature[PLAN_TERMINAL]);
}
END_TEST

START_TEST(a_file_may_have_no_plans)
{
    static const char *const texts[] = {"", "plans:\n", "plans: {}\n", "other: 1\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        char why[PLAN_WHY_SIZE] = "";
        AUTO(plan_list_free) struct plan_list *list = NULL;
        ck_ok(read_as("plans.yaml", texts[i], why, &list));
        ck_assert_uint_eq(list->n, 0);
    }
}
END_TEST

static const struct {
    const char *name, *text, *why;
} broken[] = {
    {"p.yaml", "plans:\n  a b:\n    features:\n", "line 2: plan \"a b\": a name has letters, digits, _ and - only"},
    {"p.yaml", "plans:\n  ok: {}\n  none:\n", "line 3: plan \"none\": must have display_name and features"},
    {"p.yaml", "plans:\n  a: 1\n", "line 2: plan \"a\": must have"},
    {"p.yaml", "plans:\n  a:\n    display_name: [x]\n", "line 3: plan \"a\": display_name must be a text"},
    {"p.yaml", "plans:\n  a:\n    features: all\n", "line 3: plan \"a\": features must be a list"},
    {"p.yaml", "x: {rbac: 1}\nplans:\n  b:\n    features: {rbac: no}\n  a:\n    features:\n      rbac: maybe\n",
     "line 7: plan \"a\": rbac must be true or false"},
    {"p.json", "{\"plans\":{\"a\":{\"features\":\n{\"rbac\": 1}}}}", "line 2: plan \"a\": rbac must be true or false"},
    {"p.yaml", "x: 1\nplans: [a]\n", "line 2: plans must be"},
    {"p.yaml", "plans: {a: {}, a: {}}\n", "line 1, column 16: a key that is there already"},
    {"p.yaml", "plans:\n  - [\n", "line 3"},
    {"p.yaml", "[]", "must begin with plans:"},
    {"p.toml", "plans: {}", "must end in .yaml, .yml or .json"},
    {"yaml", "plans: {}", "must end in .yaml, .yml or .json"},
};

START_TEST(says_what_is_wrong_and_where)
{
    char why[PLAN_WHY_SIZE] = "";
    struct plan_list *list = NULL;
    ck_err(read_as(broken[_i].name, broken[_i].text, why, &list), ERR_CONFIG);
    ck_assert_ptr_null(list);
    ck_assert_msg(strstr(why, broken[_i].why) != NULL, "\"%s\" is not in \"%s\"", broken[_i].why, why);
}
END_TEST

START_TEST(missing_file_is_told_from_a_bad_one)
{
    char why[PLAN_WHY_SIZE] = "";
    struct plan_list *list = NULL;
    ck_err(plan_read("/nonexistent/plans.yaml", why, &list), ERR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(why, "No such file"));
    AUTO(mem_free) char *path = support_path(support_dir(), "fifo.yaml");
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_err(plan_read(path, why, &list), ERR_CONFIG);
    ck_assert_str_eq(why, "not a regular file");
    AUTO(mem_free) char *huge = mem_calloc((1 << 20) + 3, 1);
    memset(huge, '#', (1 << 20) + 1);
    ck_err(read_as("huge.yaml", huge, why, &list), ERR_CONFIG);
    ck_assert_str_eq(why, "larger than 1 MiB");
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("plan");
    TCase *tc = tcase_create("plan");
    tcase_add_test(tc, built_in_plan_is_the_shipped_one);
    tcase_add_test(tc, nobodys_plan_is_empty);
    tcase_add_test(tc, shipped_file_gives_the_shipped_plan);
    tcase_add_test(tc, plans_are_sorted_by_name);
    tcase_add_test(tc, json_is_read_as_well);
    tcase_add_test(tc, a_file_may_have_no_plans);
    tcase_add_loop_test(tc, says_what_is_wrong_and_where, 0, (int)(sizeof broken / sizeof *broken));
    tcase_add_test(tc, missing_file_is_told_from_a_bad_one);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
