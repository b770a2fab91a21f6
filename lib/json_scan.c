/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json_scan.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"

enum { REPLACEMENT = 0xfffd, SURROGATES = 0xd800, LOW_SURROGATES = 0xdc00, SURROGATES_END = 0xe000 };

/* What may come next. */
enum want { WANT_VALUE, WANT_FIRST_ELEMENT, WANT_NAME, WANT_FIRST_NAME, WANT_MORE };

struct scan {
    const char *p;
    const char *end;
    char *why;
    bool is_first; /* what is behind the first value does not count */
    size_t depth;
    char open[JSON_SCAN_DEPTH]; /* '{' or '[' of each level */
};

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The next character. Go feeds its scanner a space at the end of the text, which shows in its messages. */
static char peek(const struct scan *s)
{
    return s->p < s->end ? *s->p : ' ';
}

static void skip_space(struct scan *s)
{
    while (s->p < s->end && is_space(*s->p))
        s->p++;
}

/* A character between single quotes, as Go quotes it: a byte is the code point of its number. */
static void quote(char c, char out[12])
{
    static const char named[] = "\aa\bb\ff\nn\rr\tt\vv\\\\''";
    uint8_t byte = (uint8_t)c;
    for (const char *p = named; *p != '\0'; p += 2) {
        if (*p == c) {
            snprintf(out, 12, "'\\%c'", p[1]);
            return;
        }
    }
    if (byte < ' ' || byte == 0x7f)
        snprintf(out, 12, "'\\x%02x'", byte);
    else if (byte < 0x7f)
        snprintf(out, 12, "'%c'", c);
    else if (byte <= 0xa0 || byte == 0xad)
        snprintf(out, 12, "'\\u%04x'", byte);
    else
        snprintf(out, 12, "'%c%c'", (char)(0xc0 | byte >> 6), (char)(0x80 | (byte & 0x3f)));
}

static enum err cut_short(const struct scan *s)
{
    snprintf(s->why, JSON_SCAN_WHY_SIZE, "%s", s->is_first ? "unexpected EOF" : "unexpected end of JSON input");
    return ERR_JSON;
}

static enum err unexpected(const struct scan *s, const char *context)
{
    char quoted[12];
    if (s->is_first && s->p == s->end)
        return cut_short(s);
    quote(peek(s), quoted);
    snprintf(s->why, JSON_SCAN_WHY_SIZE, "invalid character %s %s", quoted, context);
    return ERR_JSON;
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static enum err scan_escape(struct scan *s)
{
    char c = peek(s);
    if (c == '\0' || strchr("\"\\/bfnrtu", c) == NULL)
        return unexpected(s, "in string escape code");
    s->p++;
    for (int i = 0; c == 'u' && i < 4; i++, s->p++)
        if (!is_hex(peek(s)))
            return unexpected(s, "in \\u hexadecimal character escape");
    return ERR_OK;
}

static enum err scan_string(struct scan *s)
{
    for (s->p++; s->p < s->end;) {
        char c = *s->p;
        if ((uint8_t)c < ' ')
            return unexpected(s, "in string literal");
        s->p++;
        if (c == '"')
            return ERR_OK;
        if (c == '\\')
            TRY(scan_escape(s));
    }
    return cut_short(s);
}

static enum err scan_digits(struct scan *s, const char *context)
{
    if (!is_digit(peek(s)))
        return unexpected(s, context);
    while (is_digit(peek(s)))
        s->p++;
    return ERR_OK;
}

static enum err scan_number(struct scan *s)
{
    if (peek(s) == '-')
        s->p++;
    if (peek(s) == '0')
        s->p++;
    else
        TRY(scan_digits(s, "in numeric literal"));
    if (peek(s) == '.') {
        s->p++;
        TRY(scan_digits(s, "after decimal point in numeric literal"));
    }
    if (peek(s) == 'e' || peek(s) == 'E') {
        s->p++;
        if (peek(s) == '+' || peek(s) == '-')
            s->p++;
        TRY(scan_digits(s, "in exponent of numeric literal"));
    }
    return ERR_OK;
}

static enum err scan_literal(struct scan *s, const char *word)
{
    for (const char *w = word; *w != '\0'; w++, s->p++) {
        if (peek(s) == *w)
            continue;
        char context[64];
        snprintf(context, sizeof context, "in literal %s (expecting '%c')", word, *w);
        return unexpected(s, context);
    }
    return ERR_OK;
}

static enum err open_level(struct scan *s, enum want *want)
{
    if (s->depth == JSON_SCAN_DEPTH)
        return unexpected(s, "exceeded max depth");
    s->open[s->depth++] = *s->p;
    *want = *s->p == '{' ? WANT_FIRST_NAME : WANT_FIRST_ELEMENT;
    s->p++;
    return ERR_OK;
}

static enum err scan_value(struct scan *s, enum want *want)
{
    char c = *s->p;
    if (c == '{' || c == '[')
        return open_level(s, want);
    *want = WANT_MORE;
    if (c == '"')
        return scan_string(s);
    if (c == '-' || is_digit(c))
        return scan_number(s);
    if (c == 't')
        return scan_literal(s, "true");
    if (c == 'f')
        return scan_literal(s, "false");
    if (c == 'n')
        return scan_literal(s, "null");
    return unexpected(s, "looking for beginning of value");
}

static enum err scan_name(struct scan *s, enum want *want)
{
    if (*s->p != '"')
        return unexpected(s, "looking for beginning of object key string");
    TRY(scan_string(s));
    skip_space(s);
    if (s->p == s->end)
        return cut_short(s);
    if (*s->p != ':')
        return unexpected(s, "after object key");
    s->p++;
    *want = WANT_VALUE;
    return ERR_OK;
}

/* What may stand behind a value. */
static enum err scan_more(struct scan *s, enum want *want)
{
    if (s->depth == 0)
        return unexpected(s, "after top-level value");
    bool is_object = s->open[s->depth - 1] == '{';
    if (*s->p == ',')
        *want = is_object ? WANT_NAME : WANT_VALUE;
    else if (*s->p == (is_object ? '}' : ']'))
        s->depth--;
    else
        return unexpected(s, is_object ? "after object key:value pair" : "after array element");
    s->p++;
    return ERR_OK;
}

static enum err step(struct scan *s, enum want *want)
{
    /* an empty one ends as one with something in it does */
    if ((*want == WANT_FIRST_NAME && *s->p == '}') || (*want == WANT_FIRST_ELEMENT && *s->p == ']'))
        *want = WANT_MORE;
    switch (*want) {
    case WANT_VALUE:
    case WANT_FIRST_ELEMENT:
        return scan_value(s, want);
    case WANT_NAME:
    case WANT_FIRST_NAME:
        return scan_name(s, want);
    case WANT_MORE:
        break;
    }
    return scan_more(s, want);
}

static enum err run(struct scan *s, struct json_span *out)
{
    enum want want = WANT_VALUE;
    skip_space(s);
    const char *begin = s->p;
    const char *last = s->p;
    for (; s->p < s->end; skip_space(s)) {
        TRY(step(s, &want));
        last = s->p;
        if (s->is_first && s->depth == 0 && want == WANT_MORE)
            break;
    }
    if (s->depth > 0 || want != WANT_MORE)
        return cut_short(s);
    *out = (struct json_span){begin, (size_t)(last - begin)};
    return ERR_OK;
}

/* Characters of the token at the start of a checked text. */
static size_t token_size(struct json_span text)
{
    size_t n = 1;
    if (text.at[0] == '"') {
        for (; text.at[n] != '"'; n++)
            if (text.at[n] == '\\')
                n++;
        return n + 1;
    }
    if (strchr("{}[],:", text.at[0]) != NULL)
        return n;
    while (n < text.len && !is_space(text.at[n]) && strchr(",]}", text.at[n]) == NULL)
        n++;
    return n;
}

static void skip(struct json_span *text, size_t n)
{
    text->at += n;
    text->len -= n;
}

/* What c opens or closes, in levels. */
static int levels(char c)
{
    return (c == '{' || c == '[') - (c == '}' || c == ']');
}

static uint32_t hex4(const char *p)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)(is_digit(p[i]) ? p[i] - '0' : (p[i] | ' ') - 'a' + 10);
    return value;
}

static char *put_utf8(uint32_t c, char *out)
{
    if (c < 0x80) {
        *out++ = (char)c;
        return out;
    }
    int more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint8_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    *out++ = (char)(lead[more] | c >> (6 * more));
    while (more-- > 0)
        *out++ = (char)(0x80 | (c >> (6 * more) & 0x3f));
    return out;
}

/* Bytes of the UTF-8 character at p (RFC 3629: the shortest form, no surrogate), 0 when it is none. */
static size_t utf8_size(const char *p, const char *end)
{
    const uint8_t *b = (const uint8_t *)p;
    size_t n = b[0] < 0x80 ? 1 : b[0] < 0xc2 ? 0 : b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : b[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > (size_t)(end - p))
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    bool is_overlong = (b[0] == 0xe0 && b[1] < 0xa0) || (b[0] == 0xf0 && b[1] < 0x90);
    bool is_outside = (b[0] == 0xed && b[1] >= 0xa0) || (b[0] == 0xf4 && b[1] >= 0x90);
    return is_overlong || is_outside ? 0 : n;
}

/* Decode the \uXXXX at *p, with a second one when they make a pair. */
static uint32_t unicode_escape(const char **p, const char *end)
{
    uint32_t c = hex4(*p + 2);
    *p += 6;
    if (c < SURROGATES || c >= SURROGATES_END)
        return c;
    if (c >= LOW_SURROGATES || end - *p < 6 || (*p)[0] != '\\' || (*p)[1] != 'u')
        return REPLACEMENT;
    uint32_t low = hex4(*p + 2);
    if (low < LOW_SURROGATES || low >= SURROGATES_END)
        return REPLACEMENT;
    *p += 6;
    return 0x10000 + ((c - SURROGATES) << 10) + (low - LOW_SURROGATES);
}

static uint32_t escape(const char **p, const char *end)
{
    static const char named[] = "b\bf\fn\nr\rt\t";
    char c = (*p)[1];
    if (c == 'u')
        return unicode_escape(p, end);
    *p += 2;
    for (const char *n = named; *n != '\0'; n += 2)
        if (*n == c)
            return (uint8_t)n[1];
    return (uint8_t)c;
}

/* Bytes at p that are the lower case letter c in some case, 0 for none. Unicode has a second K and a second small s. */
static size_t letter(const char *p, char c)
{
    if (*p == c || (*p >= 'A' && *p <= 'Z' && (*p | ' ') == c))
        return 1;
    if (c == 'k' && strncmp(p, "\xe2\x84\xaa", 3) == 0)
        return 3;
    return c == 's' && strncmp(p, "\xc5\xbf", 2) == 0 ? 2 : 0;
}

enum err json_scan_check(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], struct json_span *out)
{
    struct scan s = {.p = text, .end = text + len, .why = why};
    return run(&s, out);
}

enum err json_scan_first(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], struct json_span *out)
{
    struct scan s = {.p = text, .end = text + len, .why = why, .is_first = true};
    skip_space(&s);
    if (s.p < s.end)
        return run(&s, out);
    snprintf(why, JSON_SCAN_WHY_SIZE, "EOF");
    return ERR_JSON;
}

enum json_scan_kind json_scan_kind(struct json_span value)
{
    switch (value.at[0]) {
    case '{':
        return JSON_SCAN_OBJECT;
    case '[':
        return JSON_SCAN_ARRAY;
    case '"':
        return JSON_SCAN_STRING;
    case 't':
    case 'f':
        return JSON_SCAN_BOOL;
    case 'n':
        return JSON_SCAN_NULL;
    default:
        return JSON_SCAN_NUMBER;
    }
}

const char *json_scan_word(struct json_span value)
{
    static const char *const words[] = {
        [JSON_SCAN_NULL] = "null",     [JSON_SCAN_BOOL] = "bool",   [JSON_SCAN_NUMBER] = "number",
        [JSON_SCAN_STRING] = "string", [JSON_SCAN_ARRAY] = "array", [JSON_SCAN_OBJECT] = "object",
    };
    return words[json_scan_kind(value)];
}

struct json_span json_scan_token(struct json_span *rest)
{
    while (rest->len > 0 && is_space(*rest->at))
        skip(rest, 1);
    struct json_span token = {rest->at, rest->len > 0 ? token_size(*rest) : 0};
    skip(rest, token.len);
    return token;
}

bool json_scan_member(struct json_span *rest, struct json_span *name, struct json_span *value)
{
    json_scan_token(rest); /* the brace, or a comma */
    *name = json_scan_token(rest);
    if (name->len == 0 || *name->at == '}')
        return false;
    json_scan_token(rest);
    *value = json_scan_token(rest);
    for (int depth = levels(*value->at); depth > 0;)
        depth += levels(*json_scan_token(rest).at);
    value->len = (size_t)(rest->at - value->at);
    return true;
}

char *json_scan_string(struct json_span string, size_t *len)
{
    const char *p = string.at + 1;
    const char *end = string.at + string.len - 1;
    char *text = mem_calloc(string.len * 3 + 1, 1);
    char *out = text;
    while (p < end) {
        size_t n = *p == '\\' ? 0 : utf8_size(p, end);
        if (*p == '\\') {
            out = put_utf8(escape(&p, end), out);
        } else if (n == 0) {
            out = put_utf8(REPLACEMENT, out);
            p++;
        } else {
            memcpy(out, p, n);
            out += n;
            p += n;
        }
    }
    *out = '\0';
    *len = (size_t)(out - text);
    return text;
}

bool json_scan_is_field(struct json_span name, const char *field)
{
    size_t len = 0;
    AUTO(mem_free) char *text = json_scan_string(name, &len);
    const char *p = text;
    for (; *field != '\0'; field++) {
        size_t n = letter(p, *field);
        if (n == 0)
            return false;
        p += n;
    }
    return p == text + len;
}
