/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "lib/mux.h"
#include "lib/template.h"

/*
 * Input: lines. The first is a template, the second a host, the third a path, the others patterns.
 * A template that is accepted renders, within its room, to the same text each time, and to that of template_constant().
 * Patterns that are accepted together choose the same one in whatever order they were added.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LINES = 12 };

static const struct template_field fields[] = {{"Who", TEMPLATE_RECORD},
                                               {"Who.Name", TEMPLATE_TEXT},
                                               {"Who.Is", TEMPLATE_FLAG},
                                               {NULL, TEMPLATE_TEXT}};

static void render(const struct template *t, const char *name, bool is_set)
{
    const struct template_value values[] = {{.is_set = is_set}, {.text = name}, {.is_set = is_set}};
    char *out[2];
    for (int i = 0; i < 2; i++) {
        out[i] = mem_calloc(TEMPLATE_OUT_SIZE, 1);
        if (template_render(t, values, out[i]) != strlen(out[i]))
            abort();
    }
    const char *constant = template_constant(t);
    if (strcmp(out[0], out[1]) != 0 || (constant != NULL && strcmp(constant, out[0]) != 0))
        abort();
    mem_free(&out[0]);
    mem_free(&out[1]);
}

static void try_template(const char *source)
{
    char why[TEMPLATE_WHY_SIZE] = "";
    AUTO(template_free) struct template *t = NULL;
    if (template_parse(source, fields, why, &t) != ERR_OK) {
        if (strncmp(why, "position ", 9) != 0)
            abort();
        return;
    }
    AUTO(mem_free) char *huge = mem_calloc(1000, 1);
    memset(huge, 'x', 999);
    render(t, "ann", true);
    render(t, huge, true);
    render(t, NULL, false);
}

/* The text of the pattern that counts; NULL: none. */
static const char *choose(const struct mux *mux, const char *const *added, const char *method, const char *host,
                          const char *uri)
{
    size_t number = mux_match(mux, method, host, uri);
    return number == MUX_NONE ? NULL : added[number];
}

static void try_patterns(char *const *line, size_t n, const char *host, const char *uri)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    char why[MUX_WHY_SIZE];
    AUTO(mux_free) struct mux *mux = mux_new();
    AUTO(mux_free) struct mux *reversed = mux_new();
    const char *added[LINES] = {NULL}, *backwards[LINES] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        if (mux_add(mux, line[i], why) == ERR_OK)
            added[count++] = line[i];
    for (size_t i = 0; i < count; i++) {
        backwards[i] = added[count - 1 - i];
        if (mux_add(reversed, backwards[i], why) != ERR_OK)
            abort();
    }
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        if (choose(mux, added, methods[i], host, uri) != choose(reversed, backwards, methods[i], host, uri))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(mem_free) char *text = mem_strndup((const char *)data, size);
    char *line[LINES];
    size_t n = 0;
    for (char *rest = text; rest != NULL && n < LINES;)
        line[n++] = strsep(&rest, "\n");
    try_template(line[0]);
    if (n > 3)
        try_patterns(line + 3, n - 3, line[1], line[2]);
    return 0;
}
