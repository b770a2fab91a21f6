/* SPDX-License-Identifier: Apache-2.0 */
#include "api/paging.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"
#include "lib/sat.h"

/* An absent or empty parameter leaves *value alone. */
static enum err parse(struct call *c, const struct query *query, const char *name, int64_t *value)
{
    const char *text = query_value(query, name);
    if (text == NULL || *text == '\0')
        return ERR_OK;
    const char *digits = text + (*text == '-' || *text == '+');
    errno = 0;
    long long number = strtoll(text, NULL, 10);
    if (*digits == '\0' || digits[strspn(digits, "0123456789")] != '\0' || errno == ERANGE)
        return call_fail(c, ERR_BAD_REQUEST, "invalid %s query: \"%s\"", name, text);
    if (number < 1)
        return call_fail(c, ERR_BAD_REQUEST, "invalid %s query: value must be a non-zero positive integer", name);
    *value = number;
    return ERR_OK;
}

enum err paging_parse(struct call *c, const struct query *query, struct paging *out)
{
    struct paging paging = {.page = 1, .per_page = PAGING_DEFAULT};
    TRY(parse(c, query, "page", &paging.page));
    TRY(parse(c, query, "per_page", &paging.per_page));
    if (paging.per_page > PAGING_MAX)
        return call_fail(c, ERR_BAD_REQUEST, "parameter \"per_page\" above limit (max: %d)", PAGING_MAX);
    *out = paging;
    return ERR_OK;
}

int64_t paging_offset(const struct paging *paging)
{
    return sat_mul(paging->page - 1, paging->per_page);
}

static bool is_unreserved(char ch)
{
    return strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~", ch) != NULL;
}

static void put_form(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (is_unreserved(*text))
            fputc(*text, out);
        else if (*text == ' ')
            fputc('+', out);
        else
            fprintf(out, "%%%02X", (unsigned char)*text);
    }
}

struct parameter {
    const char *name;
    const char *value;
    size_t place; /* where it came */
};

static int compare(const void *a, const void *b)
{
    const struct parameter *x = a;
    const struct parameter *y = b;
    int by_name = strcmp(x->name, y->name);
    return by_name != 0 ? by_name : (x->place > y->place) - (x->place < y->place);
}

/* The query's parameters by name, with this page in place of its own. */
static struct parameter *sorted(const struct query *query, const char *page, const char *per_page, size_t *n)
{
    struct parameter *list = mem_calloc(query->n + 2, sizeof *list);
    size_t count = 0;
    list[count++] = (struct parameter){"page", page, 0};
    list[count++] = (struct parameter){"per_page", per_page, 0};
    for (size_t i = 0; i < query->n; i++) {
        const char *name = query->pair[i].name;
        if (strcmp(name, "page") != 0 && strcmp(name, "per_page") != 0)
            list[count++] = (struct parameter){name, query->pair[i].value, i};
    }
    qsort(list, count, sizeof *list, compare);
    *n = count;
    return list;
}

static void add_link(struct call *c, const struct query *query, const struct paging *paging, int64_t page,
                     const char *relation)
{
    AUTO(mem_free) char *number = mem_printf("%" PRId64, page);
    AUTO(mem_free) char *per_page = mem_printf("%" PRId64, paging->per_page);
    AUTO(mem_free) char *text = NULL;
    size_t len = 0;
    size_t n = 0;
    struct parameter *list = sorted(query, number, per_page, &n);
    FILE *out = mem_open(&text, &len);
    fprintf(out, "<%s", c->path);
    for (size_t i = 0; i < n; i++) {
        fputc(i == 0 ? '?' : '&', out);
        put_form(out, list[i].name);
        fputc('=', out);
        put_form(out, list[i].value);
    }
    fprintf(out, ">; rel=\"%s\"", relation);
    mem_close(&out);
    free(list);
    call_header(c, "Link", text);
}

void paging_link(struct call *c, const struct query *query, const struct paging *paging, bool has_next)
{
    add_link(c, query, paging, 1, "first");
    if (paging->page > 1)
        add_link(c, query, paging, paging->page - 1, "prev");
    if (has_next)
        add_link(c, query, paging, paging->page + 1, "next");
}
