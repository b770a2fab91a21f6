/* SPDX-License-Identifier: Apache-2.0 */
#include "api/query.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "api/route.h"
#include "lib/auto.h"
#include "lib/mem.h"

static int hex(char ch)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";
    const char *at = ch != '\0' ? strchr(digits, ch) : NULL;
    return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* Decode len characters to out, which has room for them and a NUL. Returns where a wrong escape stands, or NULL. */
static const char *decode(const char *text, size_t len, bool is_form, char *out)
{
    const char *end = text + len;
    for (; text < end; text++) {
        if (*text != '%') {
            *out++ = is_form && *text == '+' ? ' ' : *text;
            continue;
        }
        int high = end - text > 2 ? hex(text[1]) : -1;
        int low = end - text > 2 ? hex(text[2]) : -1;
        if (high < 0 || low < 0 || high + low == 0)
            return text;
        *out++ = (char)(high * 16 + low);
        text += 2;
    }
    *out = '\0';
    return NULL;
}

/* What the original of each service says. */
static const char *form_text(const struct call *c)
{
    return c->route != NULL && c->route->family == DEVICES ? "malformed query" : "bad form";
}

static enum err decode_form(struct call *c, const char *text, size_t len, char **out)
{
    AUTO(mem_free) char *plain = mem_calloc(len + 1, 1);
    const char *bad = decode(text, len, true, plain);
    if (bad != NULL) {
        size_t left = (size_t)(text + len - bad);
        return call_fail(c, ERR_BAD_REQUEST, "api: %s parameters: invalid URL escape \"%.*s\"", form_text(c),
                         (int)(left < 3 ? left : 3), bad);
    }
    *out = MOVE(plain);
    return ERR_OK;
}

static enum err add_pair(struct call *c, struct query *query, const char *text, size_t len)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    const char *value = equals != NULL ? equals + 1 : text + len;
    query->pair = mem_resize(query->pair, query->n + 1, sizeof *query->pair);
    query->pair[query->n].name = NULL;
    query->pair[query->n].value = NULL;
    query->n++;
    TRY(decode_form(c, text, name_len, &query->pair[query->n - 1].name));
    return decode_form(c, value, (size_t)(text + len - value), &query->pair[query->n - 1].value);
}

enum err query_parse(struct call *c, struct query *out)
{
    AUTO(query_release) struct query query = {0};
    const char *text = c->query;
    while (*text != '\0') {
        size_t len = strcspn(text, "&");
        if (len > 0)
            TRY(add_pair(c, &query, text, len));
        text += len + (text[len] == '&');
    }
    *out = query;
    query = (struct query){0};
    return ERR_OK;
}

void query_release(struct query *query)
{
    for (size_t i = 0; i < query->n; i++) {
        mem_free(&query->pair[i].name);
        mem_free(&query->pair[i].value);
    }
    free(query->pair);
    *query = (struct query){0};
}

const char *query_value(const struct query *query, const char *name)
{
    for (size_t i = 0; i < query->n; i++)
        if (strcmp(query->pair[i].name, name) == 0)
            return query->pair[i].value;
    return NULL;
}

char *query_decode_segment(const char *text, size_t len)
{
    AUTO(mem_free) char *plain = mem_calloc(len + 1, 1);
    return decode(text, len, false, plain) == NULL ? MOVE(plain) : NULL;
}
