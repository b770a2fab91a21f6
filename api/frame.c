/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "api/frame.h"

#include <string.h>
#include <strings.h>

/* Bytes that are looked at together: so many that one vector instruction can. */
#define STRIDE 16

/* Headers that frame the message or say who calls: at most one of each. */
enum framing { FRAMING_NONE, FRAMING_LENGTH, FRAMING_ENCODING, FRAMING_HOST };

static void fault(struct frame *f, const char *why)
{
    if (f->why == NULL)
        f->why = why;
}

/* A byte of a field name (RFC 9110 section 5.6.2); those that names are made of first. */
static bool is_token_byte(unsigned char byte)
{
    unsigned char lower = byte | 0x20;
    if ((lower >= 'a' && lower <= 'z') || byte == '-' || (byte >= '0' && byte <= '9'))
        return true;
    return byte != '\0' && strchr("!#$%&'*+.^_`|~", byte) != NULL;
}

static bool is_token(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!is_token_byte((unsigned char)s[i]))
            return false;
    return len > 0;
}

static bool is_name(const char *name, const char *want)
{
    return strcasecmp(name, want) == 0;
}

/*
 * The enum call_header of a name; CALL_HEADERS when nobody looks at it. The length comes first, since most names
 * are settled by it.
 */
static enum call_header wanted(const char *name, size_t len)
{
    switch (len) {
    case 6:
        return is_name(name, "Cookie") ? CALL_COOKIE : CALL_HEADERS;
    case 8:
        return is_name(name, "If-Match") ? CALL_IF_MATCH : CALL_HEADERS;
    case 10:
        return is_name(name, "User-Agent") ? CALL_USER_AGENT : CALL_HEADERS;
    case 12:
        return is_name(name, "Content-Type") ? CALL_CONTENT_TYPE : CALL_HEADERS;
    case 13:
        if (is_name(name, "Authorization"))
            return CALL_AUTHORIZATION;
        return is_name(name, "If-None-Match") ? CALL_IF_NONE_MATCH : CALL_HEADERS;
    case 15:
        if (is_name(name, "X-MEN-RequestID"))
            return CALL_REQUEST_ID;
        if (is_name(name, "X-Forwarded-Uri"))
            return CALL_FORWARDED_URI;
        if (is_name(name, "X-MEN-Signature"))
            return CALL_SIGNATURE;
        return is_name(name, "X-Forwarded-For") ? CALL_FORWARDED_FOR : CALL_HEADERS;
    case 16:
        return is_name(name, "X-Forwarded-Host") ? CALL_FORWARDED_HOST : CALL_HEADERS;
    case 18:
        return is_name(name, "X-Forwarded-Method") ? CALL_FORWARDED_METHOD : CALL_HEADERS;
    default:
        return CALL_HEADERS;
    }
}

static enum framing framing(const char *name, size_t len)
{
    switch (len) {
    case 4:
        return is_name(name, "Host") ? FRAMING_HOST : FRAMING_NONE;
    case 14:
        return is_name(name, "Content-Length") ? FRAMING_LENGTH : FRAMING_NONE;
    case 17:
        return is_name(name, "Transfer-Encoding") ? FRAMING_ENCODING : FRAMING_NONE;
    default:
        return FRAMING_NONE;
    }
}

/* Without a branch. */
static unsigned char is_control(unsigned char byte)
{
    return (unsigned char)(((byte < ' ') & (byte != '\t')) | (byte == 0x7f));
}

/* A field's value and the target have none but tabs (RFC 9110 section 5.5): to some a bare CR ends a line. */
static bool has_control(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    unsigned char found = 0;
    for (; len >= STRIDE; p += STRIDE, len -= STRIDE)
        for (size_t i = 0; i < STRIDE; i++)
            found |= is_control(p[i]);
    for (; len > 0; p++, len--)
        found |= is_control(*p);
    return found != 0;
}

static void once(struct frame *f, bool *has, const char *why)
{
    if (*has)
        fault(f, why);
    *has = true;
}

static void take_length(struct frame *f, struct call *c, const char *value, size_t len)
{
    once(f, &f->has_length, "more than one Content-Length header");
    if (len == 0 || len > 18 || strspn(value, "0123456789") != len) {
        fault(f, "malformed Content-Length header");
        return;
    }
    c->content_length = 0;
    for (size_t i = 0; i < len; i++)
        c->content_length = c->content_length * 10 + (value[i] - '0');
}

static void take_framing(struct frame *f, struct call *c, enum framing kind, const char *value, size_t len)
{
    switch (kind) {
    case FRAMING_NONE:
        return;
    case FRAMING_LENGTH:
        take_length(f, c, value, len);
        return;
    case FRAMING_HOST:
        once(f, &f->has_host, "more than one Host header");
        return;
    case FRAMING_ENCODING:
        once(f, &f->has_encoding, "more than one Transfer-Encoding header");
        if (strcasecmp(value, "chunked") != 0)
            fault(f, "unsupported Transfer-Encoding");
        return;
    }
}

/*
 * That this header stands where the line before it ended, and that only a colon and blanks are between its name
 * and value.
 */
static void check_place(struct frame *f, const char *name, size_t name_len, const char *value, size_t value_len)
{
    const char *head_end = f->start + f->size;
    if (name != f->next || value <= name + name_len || value + value_len >= head_end) {
        fault(f, "malformed header line");
        return;
    }
    for (const char *p = name + name_len + 1; p < value; p++)
        if (*p != ' ' && *p != '\t')
            fault(f, "malformed header line");
    f->next = value + value_len + 2;
}

void frame_target(struct frame *f, const char *target)
{
    if (strstr(target, "%00") != NULL)
        fault(f, "NUL in the request target");
    if (has_control(target, strlen(target)))
        fault(f, "control character in the request target");
}

void frame_begin(struct frame *f, const struct frame_line *line)
{
    f->is_1_0 = strcmp(line->version, "HTTP/1.0") == 0;
    f->is_in_place = line->size > 0;
    if (!f->is_in_place)
        return;
    f->start = line->method;
    f->size = line->size;
    f->next = line->version + strlen(line->version) + 2;
    if (line->target != line->method + strlen(line->method) + 1 || line->version != line->target + line->target_len + 1)
        fault(f, "malformed request line");
}

void frame_header(struct frame *f, struct call *c, const char *name, size_t name_len, const char *value,
                  size_t value_len)
{
    if (!is_token(name, name_len)) {
        fault(f, "malformed header name");
        return;
    }
    if (has_control(value, value_len))
        fault(f, "control character in a header");
    if (f->is_in_place && f->why == NULL)
        check_place(f, name, name_len, value, value_len);
    take_framing(f, c, framing(name, name_len), value, value_len);
    enum call_header which = wanted(name, name_len);
    if (which == CALL_AUTHORIZATION)
        once(f, &f->has_authorization, "more than one Authorization header");
    /* a proxy may add its X-Forwarded-For in a line of its own, behind one that the client sent */
    bool is_last = which == CALL_FORWARDED_FOR;
    if (which != CALL_HEADERS && (c->header[which] == NULL || is_last))
        c->header[which] = value;
}

void frame_end(struct frame *f)
{
    if (f->has_length && f->has_encoding)
        fault(f, "both Content-Length and Transfer-Encoding");
    if (f->is_1_0 && f->has_encoding)
        fault(f, "Transfer-Encoding in HTTP/1.0");
    if (f->is_in_place && f->why == NULL && f->next + 2 != f->start + f->size)
        fault(f, "malformed header line");
}
