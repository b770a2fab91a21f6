/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/template.h"

#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "tests/support.h"

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

static const struct template_field fields[] = {
    {"Who", TEMPLATE_RECORD},    {"Who.Name", TEMPLATE_TEXT}, {"Who.Plan", TEMPLATE_TEXT},    {"Who.Is", TEMPLATE_FLAG},
    {"Who.Isnt", TEMPLATE_FLAG}, {"Nobody", TEMPLATE_RECORD}, {"Nobody.Name", TEMPLATE_TEXT}, {NULL, TEMPLATE_TEXT},
};

static const struct template_value values[] = {
    {.is_set = true},  {.text = "ann"},   {.text = NULL}, {.is_set = true},
    {.is_set = false}, {.is_set = false}, {.text = ""},
};

/* What Go 1.22 makes of the same. */
static const struct {
    const char *source, *out;
} rendered[] = {
    {"", ""},
    {"plain } text { {x}", "plain } text { {x}"},
    {"{{.Who.Name}}", "ann"},
    {"a{{ .Who.Name }}b{{$.Who.Name}}c", "aannbannc"},
    {"{{\n.Who.Name\t}}", "ann"},
    {"{{.Who.Plan}}", ""},
    {"{{.Who.Is}}/{{.Who.Isnt}}", "true/false"},
    {"{{with .Who}}{{.Name}}{{end}}", "ann"},
    {"{{with .Who}}{{$.Who.Name}}{{end}}", "ann"},
    {"{{with $.Who}}{{with .Name}}<{{.}}>{{end}}{{end}}", "<ann>"},
    {"{{with .Who.Plan}}{{.}}{{else}}none{{end}}", "none"},
    {"{{with .Who}}{{with .Plan}}x{{else}}{{.Name}}{{end}}{{end}}", "ann"},
    {"{{with .Nobody}}{{.Name}}{{end}}", ""},
    {"{{with .Nobody}}{{.Name}}{{else}}{{.Who.Name}}{{end}}", "ann"},
    {"{{with .Nobody}}a{{else with .Who.Name}}{{.}}{{else}}c{{end}}", "ann"},
    {"{{if .Who.Is}}a{{else}}b{{end}}", "a"},
    {"{{if .Who.Isnt}}a{{else}}b{{end}}", "b"},
    {"{{if .Who.Isnt}}a{{end}}b", "b"},
    {"{{if .Who.Isnt}}a{{else if .Who.Is}}b{{else}}c{{end}}d", "bd"},
    {"{{if .Who.Isnt}}a{{else if .Who.Plan}}b{{else}}c{{end}}d", "cd"},
    {"{{if .Who.Isnt}}a{{else if .Who.Plan}}b{{end}}d", "d"},
    {"{{if .Who.Is}}{{if .Who.Isnt}}a{{else}}b{{end}}{{else}}c{{end}}", "b"},
    {"{{if eq .Who.Name \"ann\"}}a{{else}}b{{end}}", "a"},
    {"{{if eq .Who.Name \"bob\" `ann`}}a{{else}}b{{end}}", "a"},
    {"{{if ne .Who.Name \"ann\"}}a{{else}}b{{end}}", "b"},
    {"{{if eq .Who.Plan \"\"}}a{{end}}", "a"},
    {"{{if eq .Who.Is true}}a{{end}}{{if eq .Who.Is .Who.Isnt}}b{{end}}", "a"},
    {"{{if not .Who.Is}}a{{else}}b{{end}}", "b"},
    {"{{if not .Nobody}}a{{end}}", "a"},
    {"{{if true}}a{{end}}{{if false}}b{{end}}", "a"},
    {"{{if `{{`}}a{{end}}", "a"},
    {"{{\"}}\"}}", "}}"},
    {"{{\"a\\\"b\\\\\"}}", "a\"b\\"},
    {"{{true}}", "true"},
    {" \n {{- .Who.Name -}} \t x ", "annx "},
    {"a {{- `` }} b", "a b"},
    {"a {{ `` -}} b", "a b"},
    {"x{{if .Who.Is -}}  y  {{- end}}  z", "xy  z"},
};

START_TEST(renders_as_go_does)
{
    AUTO(template_free) struct template *t = NULL;
    char why[TEMPLATE_WHY_SIZE] = "";
    enum err e = template_parse(rendered[_i].source, fields, why, &t);
    ck_assert_msg(e == ERR_OK, "%s: %s", rendered[_i].source, why);
    char out[TEMPLATE_OUT_SIZE];
    size_t len = template_render(t, values, out);
    ck_assert_str_eq(out, rendered[_i].out);
    ck_assert_uint_eq(len, strlen(out));
}
END_TEST

static const struct {
    const char *source, *why;
} refused[] = {
    {"{{", "position 3: }} is missing"},
    {"a{{.Who.Name", "position 13: }} is missing"},
    {"{{.Who.Name}", "position 12: \"}\" is not supported here"},
    {"{{}}", "position 3: a value is missing"},
    {"{{ -}}", "position 4: a value is missing"},
    {"{{-}}", "position 3: \"-\" is not supported"},
    {"{{.}}", "position 3: a record is not a text"},
    {"{{.Who}}", "position 3: a record is not a text"},
    {"{{with .Who}}{{.}}{{end}}", "position 16: a record is not a text"},
    {"{{.Name}}", "position 3: there is no .Name"},
    {"{{.Who.name}}", "position 3: there is no .Who.name"},
    {"{{.Who.Name.X}}", "position 3: there is no .Who.Name.X"},
    {"{{with .Who}}{{.Nope}}{{end}}", "position 16: there is no .Who.Nope"},
    {"{{with .Who}}{{.Who.Name}}{{end}}", "position 16: there is no .Who.Who.Name"},
    {"{{with .Who.Name}}{{.Name}}{{end}}", "there is no .Who.Name.Name"},
    {"{{.Who.}}", "position 7: a name must follow the dot"},
    {"{{..Who}}", "position 3: a record is not a text"},
    {"{{$x}}", "position 3: variables are not supported"},
    {"{{$x := .Who}}", "position 3: variables"},
    {"{{.Who.Name | printf}}", "position 13: \"|\" is not supported"},
    {"{{printf \"%s\" .Who.Name}}", "position 3: printf is not supported"},
    {"{{eq .Who.Name \"a\"}}", "position 3: eq is not supported here"},
    {"{{range .Who}}{{end}}", "position 3: range is not supported"},
    {"{{/* comment */}}", "position 3: \"/\" is not supported"},
    {"{{(.Who.Name)}}", "position 3: \"(\" is not supported"},
    {"{{1}}", "position 3: \"1\" is not supported"},
    {"{{.Who.Name .Who.Name}}", "position 13: }} is expected"},
    {"{{\"a}}", "position 3: the text is not closed"},
    {"{{\"a\n\"}}", "position 3: the text is not closed"},
    {"{{`a}}", "position 3: the text is not closed"},
    {"{{\"\\n\"}}", "position 4: of the escapes"},
    {"{{\"\\", "position 4: of the escapes"},
    {"{{if}}a{{end}}", "position 5: a value is missing"},
    {"{{if .Who.Is}}a", "position 16: an end is missing"},
    {"{{if .Who.Is}}a{{else}}", "an end is missing"},
    {"{{end}}", "position 3: an end without an if"},
    {"{{else}}", "position 3: an else without an if"},
    {"{{if .Who.Is}}{{else}}{{else}}{{end}}", "position 25: an else without an if"},
    {"{{if .Who.Is}}{{else}}{{else if .Who.Is}}{{end}}", "position 25: an else without an if"},
    {"{{if .Who.Is}}{{end .Who}}", "}} is expected here"},
    {"{{if eq .Who.Name}}{{end}}", "position 6: eq compares two values"},
    {"{{if eq}}{{end}}", "position 6: eq compares two values"},
    {"{{if ne .Who.Name \"a\" \"b\"}}{{end}}", "position 6: ne compares two values"},
    {"{{if eq .Who.Name true}}{{end}}", "position 19: a text and a flag cannot be compared"},
    {"{{if eq .Who .Who}}{{end}}", "position 9: a record cannot be compared"},
    {"{{if eq true true true true true true true true true}}{{end}}", "more than 8 values"},
    {"{{if not}}{{end}}", "a value is missing"},
    {"{{with \"x\"}}{{end}}", "position 3: with takes a field"},
    {"{{with eq .Who.Name \"x\"}}{{end}}", "position 3: with takes a field"},
    {"{{with not .Who}}{{end}}", "position 3: with takes a field"},
    {"{{and .Who.Is .Who.Is}}", "position 3: and is not supported"},
};

START_TEST(refuses_what_it_does_not_know)
{
    AUTO(template_free) struct template *t = NULL;
    char why[TEMPLATE_WHY_SIZE] = "";
    ck_err(template_parse(refused[_i].source, fields, why, &t), ERR_PATTERN);
    ck_assert_ptr_null(t);
    ck_assert_msg(strstr(why, refused[_i].why) != NULL, "%s: %s", refused[_i].source, why);
}
END_TEST

static char *repeat(const char *part, size_t n)
{
    char *text = mem_calloc(strlen(part) * n + 1, 1);
    for (size_t i = 0; i < n; i++)
        memcpy(text + i * strlen(part), part, strlen(part));
    return text;
}

START_TEST(is_bounded_in_length_depth_and_output)
{
    static const struct {
        const char *part;
        size_t most;
    } cases[] = {{"x", TEMPLATE_SOURCE_MAX}, {"{{.Who.Name}}", 8}};
    char why[TEMPLATE_WHY_SIZE] = "";
    for (int i = 0; i < COUNT(cases); i++) {
        AUTO(template_free) struct template *t = NULL;
        AUTO(mem_free) char *fits = repeat(cases[i].part, cases[i].most);
        ck_ok(template_parse(fits, fields, why, &t));
        struct template *none = NULL;
        AUTO(mem_free) char *over = repeat(cases[i].part, cases[i].most + 1);
        ck_err(template_parse(over, fields, why, &none), ERR_PATTERN);
    }
    struct template *none = NULL;
    AUTO(mem_free) char *deep = repeat("{{if true}}", 17);
    ck_err(template_parse(deep, fields, why, &none), ERR_PATTERN);
    ck_assert_ptr_nonnull(strstr(why, "more than 16 levels"));
}
END_TEST

START_TEST(cuts_a_value_that_is_too_long)
{
    AUTO(mem_free) char *huge = repeat("x", 5000);
    const struct template_value given[COUNT(fields)] = {{.is_set = true}, {.text = huge}};
    AUTO(template_free) struct template *t = NULL;
    char why[TEMPLATE_WHY_SIZE] = "";
    AUTO(mem_free) char *source = repeat("{{.Who.Name}}", 8);
    ck_ok(template_parse(source, fields, why, &t));
    char out[TEMPLATE_OUT_SIZE];
    ck_assert_uint_eq(template_render(t, given, out), 8 * TEMPLATE_VALUE_MAX);
}
END_TEST

START_TEST(knows_when_it_is_constant)
{
    static const struct {
        const char *source, *text;
    } cases[] = {{"", ""}, {"default", "default"}, {"{{\"x\"}}", "x"}, {"{{.Who.Name}}", NULL}, {"a{{`b`}}", NULL}};
    for (int i = 0; i < COUNT(cases); i++) {
        AUTO(template_free) struct template *t = NULL;
        char why[TEMPLATE_WHY_SIZE];
        ck_ok(template_parse(cases[i].source, fields, why, &t));
        ck_assert_pstr_eq(template_constant(t), cases[i].text);
    }
}
END_TEST

static Suite *suite(void)
{
    Suite *s = suite_create("template");
    TCase *tc = tcase_create("template");
    tcase_add_loop_test(tc, renders_as_go_does, 0, COUNT(rendered));
    tcase_add_loop_test(tc, refuses_what_it_does_not_know, 0, COUNT(refused));
    tcase_add_test(tc, is_bounded_in_length_depth_and_output);
    tcase_add_test(tc, cuts_a_value_that_is_too_long);
    tcase_add_test(tc, knows_when_it_is_constant);
    suite_add_tcase(s, tc);
    return s;
}

int main(void)
{
    return support_main(suite());
}
