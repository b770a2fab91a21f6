/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/match.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"

/* Generous for file names, and over in milliseconds when a pattern backtracks without end. */
#define SUBJECT_MAX 4096
#define PATTERN_MAX 4096
#define MATCH_LIMIT 100000
#define DEPTH_LIMIT 10000
#define HEAP_LIMIT_KIB 2048

struct match {
    pcre2_code *code;
    pcre2_match_context *limits;
};

static void data_free(pcre2_match_data **data)
{
    pcre2_match_data_free(*data);
}

static void compile_context_free(pcre2_compile_context **context)
{
    pcre2_compile_context_free(*context);
}

static void explain(int code, size_t at, char *why, size_t why_size)
{
    char text[128];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof text);
    snprintf(why, why_size, "%s at offset %zu", text, at);
}

/* Bytes, not UTF-8: a file name may hold anything. $ means the very end, as in the RE2 patterns of installations. */
static pcre2_code *compile(const char *pattern, bool whole, char *why, size_t why_size)
{
    uint32_t options = PCRE2_NEVER_BACKSLASH_C | PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_DOLLAR_ENDONLY;
    if (whole)
        options |= PCRE2_ANCHORED | PCRE2_ENDANCHORED;
    AUTO(compile_context_free) pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    if (context == NULL)
        mem_none();
    pcre2_set_max_pattern_length(context, PATTERN_MAX);
    int code = 0;
    size_t at = 0;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &code, &at, context);
    if (compiled == NULL)
        explain(code, at, why, why_size);
    return compiled;
}

enum err match_new(const char *pattern, bool whole, char *why, size_t why_size, struct match **out)
{
    AUTO(match_free) struct match *m = mem_calloc(1, sizeof *m);
    m->code = compile(pattern, whole, why, why_size);
    if (m->code == NULL)
        return ERR_PATTERN;
    uint32_t groups = 0;
    pcre2_pattern_info(m->code, PCRE2_INFO_CAPTURECOUNT, &groups);
    if (groups == 0)
        return ERR_PATTERN_GROUP;
    m->limits = pcre2_match_context_create(NULL);
    if (m->limits == NULL)
        mem_none();
    pcre2_set_match_limit(m->limits, MATCH_LIMIT);
    pcre2_set_depth_limit(m->limits, DEPTH_LIMIT);
    pcre2_set_heap_limit(m->limits, HEAP_LIMIT_KIB);
    *out = MOVE(m);
    return ERR_OK;
}

void match_free(struct match **m)
{
    if (*m == NULL)
        return;
    pcre2_match_context_free((*m)->limits);
    pcre2_code_free((*m)->code);
    free(*m);
    *m = NULL;
}

enum err match_first_group(const struct match *m, const char *subject, const char **group, size_t *len)
{
    size_t size = strlen(subject);
    if (size > SUBJECT_MAX)
        return ERR_PATTERN_LIMIT;
    AUTO(data_free) pcre2_match_data *data = pcre2_match_data_create_from_pattern(m->code, NULL);
    int count =
        data == NULL ? PCRE2_ERROR_NOMEMORY : pcre2_match(m->code, (PCRE2_SPTR)subject, size, 0, 0, data, m->limits);
    if (count == PCRE2_ERROR_NOMEMORY)
        mem_none(); /* no answer would mean that the file is no key */
    if (count == PCRE2_ERROR_NOMATCH)
        return ERR_NOT_FOUND;
    if (count < 0)
        return ERR_PATTERN_LIMIT;
    const size_t *bounds = pcre2_get_ovector_pointer(data);
    bool took_part = count >= 2 && bounds[2] != PCRE2_UNSET && bounds[3] >= bounds[2];
    *group = subject + (took_part ? bounds[2] : 0);
    *len = took_part ? bounds[3] - bounds[2] : 0;
    return ERR_OK;
}
