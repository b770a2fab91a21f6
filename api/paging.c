/* SPDX-License-Identifier: Apache-2.0 */
#include "api/paging.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/sat.h"

enum { PER_PAGE = 20, PER_PAGE_MAX = 500 };

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
    struct paging paging = {.page = 1, .per_page = PER_PAGE};
    TRY(parse(c, query, "page", &paging.page));
    TRY(parse(c, query, "per_page", &paging.per_page));
    if (paging.per_page > PER_PAGE_MAX)
        return call_fail(c, ERR_BAD_REQUEST, "parameter \"per_page\" above limit (max: %d)", PER_PAGE_MAX);
    *out = paging;
    return ERR_OK;
}

int64_t paging_offset(const struct paging *paging)
{
    return sat_mul(paging->page - 1, paging->per_page);
}
