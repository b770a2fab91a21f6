/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/mux.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/auto.h"
#include "lib/mem.h"

/* Segments of a request that are kept: more than a pattern can have. */
#define PATH_SEGMENTS (MUX_SEGMENTS_MAX * 2)

enum segment_kind { LITERAL, ONE, REST, END };

struct segment {
    enum segment_kind kind;
    char *text; /* LITERAL: decoded; ONE, REST: the name, "" when it has none */
};

struct pattern {
    char *source;
    char *method; /* "": any */
    char *host;   /* "": any */
    struct segment segment[MUX_SEGMENTS_MAX];
    size_t segments;
    size_t number;
};

/* Sorted: a pattern stands before those that are more general. */
struct mux {
    struct pattern **pattern;
    size_t n;
};

/* How what one pattern takes lies to what another one takes. */
enum relation { SAME, NARROWER, WIDER, APART, CROSSED };

struct part {
    const char *start;
    size_t len;
};

struct path {
    struct part part[PATH_SEGMENTS];
    size_t n; /* all of them, also those that are not kept */
    bool has_slash;
};

static enum err refuse(char why[MUX_WHY_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum err refuse(char why[MUX_WHY_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, MUX_WHY_SIZE, format, args);
    va_end(args);
    return ERR_PATTERN;
}

static void pattern_free(struct pattern **p)
{
    if (*p == NULL)
        return;
    mem_free(&(*p)->source);
    mem_free(&(*p)->method);
    mem_free(&(*p)->host);
    for (size_t i = 0; i < (*p)->segments; i++)
        mem_free(&(*p)->segment[i].text);
    free(*p);
    *p = NULL;
}

/* The value of a digit; c is one. */
static unsigned hex(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0') : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

/* The next character of an escaped text, which is moved on; an escape that is none stands for itself. */
static unsigned char next_char(const char **p, const char *end)
{
    const char *at = *p;
    bool is_escape = *at == '%' && end - at >= 3 && isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2]);
    *p += is_escape ? 3 : 1;
    return is_escape ? (unsigned char)(hex(at[1]) << 4 | hex(at[2])) : (unsigned char)*at;
}

static char *decode(const char *text, size_t len)
{
    char *out = mem_calloc(len + 1, 1);
    size_t n = 0;
    for (const char *p = text; p < text + len;)
        out[n++] = (char)next_char(&p, text + len);
    return out;
}

static bool equals_decoded(const char *literal, const struct part *part)
{
    const char *end = part->start + part->len;
    for (const char *p = part->start; p < end; literal++)
        if (*literal == '\0' || (unsigned char)*literal != next_char(&p, end))
            return false;
    return *literal == '\0';
}

/* parsing: "position" is that of a byte in the pattern, from 1 */

static enum err parse_method(struct pattern *p, const char **at, char *why)
{
    size_t len = strcspn(*at, " \t");
    if ((*at)[len] == '\0') {
        p->method = mem_strdup("");
        return ERR_OK;
    }
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)(*at)[i]) && strchr("!#$%&'*+-.^_`|~", (*at)[i]) == NULL)
            return refuse(why, "position %zu: not a method", i + 1);
    if (len == 0)
        return refuse(why, "position 1: a space where a method is expected");
    p->method = mem_strndup(*at, len);
    *at += len + strspn(*at + len, " \t");
    return ERR_OK;
}

static bool is_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalpha((unsigned char)text[i]) && text[i] != '_' && (i == 0 || !isdigit((unsigned char)text[i])))
            return false;
    return len > 0;
}

static bool has_name(const struct pattern *p, const char *name)
{
    for (size_t i = 0; i < p->segments; i++)
        if (p->segment[i].kind != LITERAL && p->segment[i].kind != END && strcmp(p->segment[i].text, name) == 0)
            return true;
    return false;
}

/* A segment in braces; is_last: nothing follows it. */
static enum err parse_wildcard(struct pattern *p, const char *text, size_t len, bool is_last, size_t position,
                               char *why)
{
    struct segment *segment = &p->segment[p->segments];
    if (text[0] != '{' || text[len - 1] != '}')
        return refuse(why, "position %zu: braces take a whole segment", position);
    text++;
    len -= 2;
    bool is_end = len == 1 && *text == '$';
    bool is_rest = len >= 3 && strncmp(text + len - 3, "...", 3) == 0;
    if ((is_end || is_rest) && !is_last)
        return refuse(why, "position %zu: %s stands at the end only", position, is_end ? "{$}" : "{name...}");
    if (is_rest)
        len -= 3;
    if (!is_end && !is_name(text, len))
        return refuse(why, "position %zu: not a name in braces", position);
    AUTO(mem_free) char *name = mem_strndup(text, is_end ? 0 : len);
    if (!is_end && has_name(p, name))
        return refuse(why, "position %zu: the name %s is there already", position, name);
    *segment = (struct segment){.kind = is_end ? END : is_rest ? REST : ONE, .text = MOVE(name)};
    p->segments++;
    return ERR_OK;
}

static enum err parse_segment(struct pattern *p, const char *text, size_t len, size_t position, char *why)
{
    bool is_last = text[len] == '\0';
    if (p->segments == MUX_SEGMENTS_MAX)
        return refuse(why, "more than %d segments", MUX_SEGMENTS_MAX);
    if (memchr(text, '{', len) != NULL || memchr(text, '}', len) != NULL)
        return parse_wildcard(p, text, len, is_last, position, why);
    if (memmem(text, len, "%00", 3) != NULL)
        return refuse(why, "position %zu: a NUL character", position);
    if (len == 0 && !is_last)
        return refuse(why, "position %zu: \"//\" can never match, as paths are cleaned first", position);
    if ((len == 1 && text[0] == '.') || (len == 2 && strncmp(text, "..", 2) == 0))
        return refuse(why, "position %zu: \".\" and \"..\" can never match, as paths are cleaned first", position);
    p->segment[p->segments++] = len == 0 ? (struct segment){.kind = REST, .text = mem_strdup("")}
                                         : (struct segment){.kind = LITERAL, .text = decode(text, len)};
    return ERR_OK;
}

/* On an error p is half filled. */
static enum err parse_pattern(struct pattern *p, const char *source, char *why)
{
    if (*source == '\0' || strlen(source) > MUX_PATTERN_MAX)
        return refuse(why, "must have 1 to %d bytes", MUX_PATTERN_MAX);
    p->source = mem_strdup(source);
    const char *at = source;
    TRY(parse_method(p, &at, why));
    const char *slash = strchr(at, '/');
    if (slash == NULL)
        return refuse(why, "there is no / in it");
    size_t host = (size_t)(slash - at);
    for (size_t i = 0; i < host; i++)
        if (strchr("{} \t", at[i]) != NULL)
            return refuse(why, "position %zu: not a host, whose path would start with /",
                          (size_t)(at - source) + i + 1);
    p->host = mem_strndup(at, host);
    while (slash != NULL) {
        const char *text = slash + 1;
        slash = strchr(text, '/');
        size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
        TRY(parse_segment(p, text, len, (size_t)(text - source) + 1, why));
    }
    return ERR_OK;
}

/* relations */

static enum relation both(enum relation a, enum relation b)
{
    if (a == SAME || b == APART)
        return b;
    if (b == SAME || a == APART)
        return a;
    return a == b ? a : CROSSED;
}

static enum relation relate_methods(const struct pattern *a, const struct pattern *b)
{
    if (strcmp(a->method, b->method) == 0)
        return SAME;
    if (*a->method == '\0' || (strcmp(a->method, "GET") == 0 && strcmp(b->method, "HEAD") == 0))
        return WIDER;
    if (*b->method == '\0' || (strcmp(b->method, "GET") == 0 && strcmp(a->method, "HEAD") == 0))
        return NARROWER;
    return APART;
}

static enum relation relate_segments(const struct segment *a, const struct segment *b)
{
    if (a->kind == b->kind)
        return a->kind != LITERAL || strcmp(a->text, b->text) == 0 ? SAME : APART;
    if (a->kind == REST)
        return WIDER;
    if (b->kind == REST)
        return NARROWER;
    if (a->kind == END || b->kind == END)
        return APART;
    return a->kind == ONE ? WIDER : NARROWER;
}

static bool is_open(const struct pattern *p)
{
    return p->segment[p->segments - 1].kind == REST;
}

static enum relation relate_paths(const struct pattern *a, const struct pattern *b)
{
    enum relation all = SAME;
    for (size_t i = 0; i < a->segments && i < b->segments; i++)
        all = both(all, relate_segments(&a->segment[i], &b->segment[i]));
    if (a->segments == b->segments)
        return all;
    const struct pattern *shorter = a->segments < b->segments ? a : b;
    if (!is_open(shorter))
        return APART;
    return both(all, shorter == a ? WIDER : NARROWER);
}

/* A host goes before no host; hosts that differ never meet. */
static enum relation relate(const struct pattern *a, const struct pattern *b)
{
    if (strcasecmp(a->host, b->host) != 0)
        return *a->host == '\0' ? WIDER : *b->host == '\0' ? NARROWER : APART;
    return both(relate_methods(a, b), relate_paths(a, b));
}

/* requests */

static struct path split(const char *uri)
{
    struct path path;
    path.n = 0;
    size_t len = strcspn(uri, "?#");
    const char *end = uri + len;
    for (const char *p = uri; p < end;) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        struct part part = {p, (size_t)((slash != NULL ? slash : end) - p)};
        p += part.len + 1;
        bool is_up = part.len == 2 && strncmp(part.start, "..", 2) == 0;
        if (is_up && path.n > 0)
            path.n--;
        if (is_up || part.len == 0 || (part.len == 1 && *part.start == '.'))
            continue;
        if (path.n < PATH_SEGMENTS)
            path.part[path.n] = part;
        path.n++;
    }
    path.has_slash = path.n == 0 || uri[len - 1] == '/';
    return path;
}

static bool takes_path(const struct pattern *p, const struct path *path)
{
    for (size_t i = 0; i < p->segments; i++) {
        const struct segment *segment = &p->segment[i];
        if (segment->kind == REST)
            return i < path->n || path->has_slash;
        if (segment->kind == END)
            return i == path->n && path->has_slash;
        if (i >= path->n || (segment->kind == LITERAL && !equals_decoded(segment->text, &path->part[i])))
            return false;
    }
    return p->segments == path->n && !path->has_slash;
}

static bool takes_method(const struct pattern *p, const char *method)
{
    return *p->method == '\0' || strcmp(p->method, method) == 0 ||
           (strcmp(p->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* A port does not count; what is in brackets is an IPv6 address. */
static bool takes_host(const struct pattern *p, const char *host)
{
    if (*p->host == '\0')
        return true;
    if (host == NULL)
        return false;
    const char *colon = strrchr(host, ':');
    bool has_port = colon != NULL && strchr(colon, ']') == NULL;
    size_t len = has_port ? (size_t)(colon - host) : strlen(host);
    return strlen(p->host) == len && strncasecmp(p->host, host, len) == 0;
}

struct mux *mux_new(void)
{
    return mem_calloc(1, sizeof(struct mux));
}

void mux_free(struct mux **mux)
{
    if (*mux == NULL)
        return;
    for (size_t i = 0; i < (*mux)->n; i++)
        pattern_free(&(*mux)->pattern[i]);
    free((*mux)->pattern);
    free(*mux);
    *mux = NULL;
}

enum err mux_add(struct mux *mux, const char *pattern, char why[MUX_WHY_SIZE])
{
    AUTO(pattern_free) struct pattern *p = mem_calloc(1, sizeof *p);
    TRY(parse_pattern(p, pattern, why));
    size_t place = mux->n;
    for (size_t i = mux->n; i-- > 0;) {
        enum relation relation = relate(p, mux->pattern[i]);
        if (relation == SAME || relation == CROSSED)
            return refuse(why, "%s \"%.60s\", and neither is the more specific one",
                          relation == SAME ? "takes the same requests as" : "takes some of the requests of",
                          mux->pattern[i]->source);
        if (relation == NARROWER)
            place = i;
    }
    p->number = mux->n;
    mux->pattern = mem_resize(mux->pattern, mux->n + 1, sizeof(struct pattern *));
    memmove(&mux->pattern[place + 1], &mux->pattern[place], (mux->n - place) * sizeof(struct pattern *));
    mux->pattern[place] = MOVE(p);
    mux->n++;
    return ERR_OK;
}

size_t mux_match(const struct mux *mux, const char *method, const char *host, const char *uri)
{
    const struct path path = split(uri);
    for (size_t i = 0; i < mux->n; i++) {
        const struct pattern *p = mux->pattern[i];
        if (takes_method(p, method) && takes_host(p, host) && takes_path(p, &path))
            return p->number;
    }
    return MUX_NONE;
}
