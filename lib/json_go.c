/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/json_go.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

/* Digits that always are enough, and digits that a double always gives back. */
enum { DIGITS_MAX = 17, DIGITS_SAFE = DBL_DIG };

/* Exponents of ten from which on Go writes one, and the digits of the largest number it writes without. */
enum { EXPONENT_LOW = -6, EXPONENT_HIGH = 21 };

struct load {
    struct json_span rest;
    size_t values;
    char *why;
};

struct text {
    enum json_go_order order;
    char *at;
    size_t len;
    size_t room;
};

struct member {
    const char *name;
    size_t len;
    const json_t *value;
};

/* A number as digits and the exponent of its first one. */
struct decimal {
    char digit[DIGITS_MAX + 1];
    int digits;
    int exponent;
};

static enum err load_value(struct load *l, struct json_span token, json_t **out);

static enum err load_number(struct load *l, struct json_span token, json_t **out)
{
    AUTO(mem_free) char *text = mem_strndup(token.at, token.len);
    double number = strtod(text, NULL);
    if (isinf(number)) {
        snprintf(l->why, JSON_SCAN_WHY_SIZE, "json: cannot unmarshal number %.80s into Go value of type float64", text);
        return ERR_JSON;
    }
    *out = json_real(number);
    return ERR_OK;
}

static json_t *load_string(struct json_span token)
{
    size_t len = 0;
    AUTO(mem_free) char *text = json_scan_string(token, &len);
    return json_stringn_nocheck(text, len);
}

static enum err load_array(struct load *l, json_t **out)
{
    AUTO(json_release) json_t *array = json_array();
    struct json_span token = json_scan_token(&l->rest);
    while (*token.at != ']') {
        json_t *value = NULL;
        TRY(load_value(l, token, &value));
        json_array_append_new(array, value);
        token = json_scan_token(&l->rest);
        if (*token.at == ',')
            token = json_scan_token(&l->rest);
    }
    *out = MOVE(array);
    return ERR_OK;
}

static enum err load_object(struct load *l, json_t **out)
{
    AUTO(json_release) json_t *object = json_object();
    struct json_span token = json_scan_token(&l->rest);
    while (*token.at != '}') {
        size_t len = 0;
        AUTO(mem_free) char *name = json_scan_string(token, &len);
        json_t *value = NULL;
        json_scan_token(&l->rest);
        TRY(load_value(l, json_scan_token(&l->rest), &value));
        json_object_setn_new_nocheck(object, name, len, value);
        token = json_scan_token(&l->rest);
        if (*token.at == ',')
            token = json_scan_token(&l->rest);
    }
    *out = MOVE(object);
    return ERR_OK;
}

/* Recursion: json_scan_check() has bounded the depth. */
static enum err load_value(struct load *l, struct json_span token, json_t **out)
{
    if (++l->values > JSON_GO_VALUES_MAX) {
        snprintf(l->why, JSON_SCAN_WHY_SIZE, "json: more than %d values", JSON_GO_VALUES_MAX);
        return ERR_JSON;
    }
    switch (json_scan_kind(token)) {
    case JSON_SCAN_OBJECT:
        return load_object(l, out);
    case JSON_SCAN_ARRAY:
        return load_array(l, out);
    case JSON_SCAN_NUMBER:
        return load_number(l, token, out);
    case JSON_SCAN_STRING:
        *out = load_string(token);
        break;
    case JSON_SCAN_BOOL:
        *out = json_boolean(*token.at == 't');
        break;
    case JSON_SCAN_NULL:
        *out = json_null();
        break;
    }
    return ERR_OK;
}

static void put(struct text *text, const char *bytes, size_t n)
{
    if (text->room - text->len <= n) {
        text->room = 2 * text->room + n + 512;
        text->at = mem_resize(text->at, text->room, 1);
    }
    memcpy(text->at + text->len, bytes, n);
    text->len += n;
    text->at[text->len] = '\0';
}

static void put_word(struct text *text, const char *word)
{
    put(text, word, strlen(word));
}

/* Whether a byte stands for itself; what begins with 0xe2 may, too. */
static bool is_plain(char c)
{
    unsigned char byte = (unsigned char)c;
    return byte >= ' ' && byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&' && byte != 0xe2;
}

/* The escape for what begins at p, not with a plain byte, in *taken bytes; the empty string: it stands for itself. */
static const char *escape(const char *p, const char *end, char room[8], size_t *taken)
{
    static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    uint8_t byte = (uint8_t)*p;
    *taken = 1;
    for (const char *n = named; *n != '\0'; n += 2) {
        if (*n != *p)
            continue;
        snprintf(room, 8, "\\%c", n[1]);
        return room;
    }
    if (byte != 0xe2) {
        snprintf(room, 8, "\\u%04x", byte);
        return room;
    }
    if (end - p < 3 || p[1] != '\x80' || (p[2] != '\xa8' && p[2] != '\xa9'))
        return "";
    *taken = 3;
    return p[2] == '\xa8' ? "\\u2028" : "\\u2029";
}

static void put_string(struct text *text, const char *s, size_t len)
{
    const char *end = s + len;
    const char *plain = s;
    put(text, "\"", 1);
    while (s < end) {
        if (is_plain(*s)) {
            s++;
            continue;
        }
        char room[8];
        size_t taken = 0;
        const char *escaped = escape(s, end, room, &taken);
        if (*escaped != '\0') {
            put(text, plain, (size_t)(s - plain));
            put_word(text, escaped);
            plain = s + taken;
        }
        s += taken;
    }
    put(text, plain, (size_t)(end - plain));
    put(text, "\"", 1);
}

static int by_name(const void *a, const void *b)
{
    const struct member *x = a;
    const struct member *y = b;
    int order = memcmp(x->name, y->name, x->len < y->len ? x->len : y->len);
    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static void put_value(struct text *text, const json_t *json);

static void put_object(struct text *text, const json_t *object)
{
    size_t n = 0;
    struct member *members = mem_calloc(json_object_size(object) + 1, sizeof *members);
    json_t *borrowed = (json_t *)object;
    for (void *i = json_object_iter(borrowed); i != NULL; i = json_object_iter_next(borrowed, i))
        members[n++] = (struct member){json_object_iter_key(i), json_object_iter_key_len(i), json_object_iter_value(i)};
    if (text->order == JSON_GO_SORTED)
        qsort(members, n, sizeof *members, by_name);
    put(text, "{", 1);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            put(text, ",", 1);
        put_string(text, members[i].name, members[i].len);
        put(text, ":", 1);
        put_value(text, members[i].value);
    }
    put(text, "}", 1);
    free(members);
}

static void put_array(struct text *text, const json_t *array)
{
    put(text, "[", 1);
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (i > 0)
            put(text, ",", 1);
        put_value(text, json_array_get(array, i));
    }
    put(text, "]", 1);
}

static void put_number(struct text *text, const json_t *json)
{
    char number[JSON_GO_NUMBER_SIZE];
    if (json_is_integer(json))
        snprintf(number, sizeof number, "%" JSON_INTEGER_FORMAT, json_integer_value(json));
    else
        json_go_number(json_real_value(json), number);
    put_word(text, number);
}

static void put_value(struct text *text, const json_t *json)
{
    switch (json_typeof(json)) {
    case JSON_OBJECT:
        put_object(text, json);
        break;
    case JSON_ARRAY:
        put_array(text, json);
        break;
    case JSON_STRING:
        put_string(text, json_string_value(json), json_string_length(json));
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        put_number(text, json);
        break;
    case JSON_TRUE:
        put_word(text, "true");
        break;
    case JSON_FALSE:
        put_word(text, "false");
        break;
    case JSON_NULL:
        put_word(text, "null");
        break;
    }
}

/* number > 0 rounded to n digits. */
static struct decimal rounded(double number, int n)
{
    char text[JSON_GO_NUMBER_SIZE];
    struct decimal d = {.digits = n};
    snprintf(text, sizeof text, "%.*e", n - 1, number);
    d.digit[0] = text[0];
    if (n > 1)
        memcpy(d.digit + 1, text + 2, (size_t)n - 1);
    d.exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    return d;
}

static bool reads_back(const struct decimal *d, double number)
{
    char text[JSON_GO_NUMBER_SIZE];
    snprintf(text, sizeof text, "%se%d", d->digit, d->exponent - (d->digits - 1));
    return strtod(text, NULL) == number;
}

/* The next larger number of as many digits. */
static struct decimal above(struct decimal d)
{
    int i = d.digits - 1;
    while (i >= 0 && d.digit[i] == '9')
        d.digit[i--] = '0';
    if (i >= 0) {
        d.digit[i]++;
        return d;
    }
    d.digit[0] = '1';
    d.exponent++;
    return d;
}

/*
 * With fewer digits than this no text reads back as number. Numbers that are not tiny have at least DBL_DIG digits
 * of precision: what has no more than that many is found by rounding to so many. A shorter text of a tiny one is
 * looked for; as the numbers beside it are equally far on both sides, more digits never read back worse.
 */
static struct decimal shortest_tiny(double number)
{
    int few = 1;
    int enough = DIGITS_MAX;
    while (few < enough) {
        int n = (few + enough) / 2;
        struct decimal d = rounded(number, n);
        if (reads_back(&d, number))
            enough = n;
        else
            few = n + 1;
    }
    return rounded(number, enough);
}

static struct decimal shortest(double number)
{
    if (number < DBL_MIN)
        return shortest_tiny(number);
    for (int n = DIGITS_SAFE; n < DIGITS_MAX; n++) {
        struct decimal d = rounded(number, n);
        if (reads_back(&d, number))
            return d;
        /* below a power of two the next double is half as far as above it: the second nearest text may read back */
        struct decimal up = above(d);
        int exponent = 0;
        if (frexp(number, &exponent) == 0.5 && reads_back(&up, number))
            return up;
    }
    return rounded(number, DIGITS_MAX);
}

static char *put_zeros(char *p, int n)
{
    for (; n > 0; n--)
        *p++ = '0';
    return p;
}

/* Digits with the point before the one at `whole`, or none when there are no more. */
static char *put_digits(char *p, const struct decimal *d, int whole)
{
    for (int i = 0; i < d->digits; i++) {
        if (i == whole)
            *p++ = '.';
        *p++ = d->digit[i];
    }
    return p;
}

enum err json_go_load(struct json_span text, char why[JSON_SCAN_WHY_SIZE], json_t **out)
{
    struct load l = {.rest = text, .why = why};
    return load_value(&l, json_scan_token(&l.rest), out);
}

char *json_go_dump(const json_t *json, enum json_go_order order, size_t *len)
{
    struct text text = {.order = order};
    put_value(&text, json);
    if (len != NULL)
        *len = text.len;
    return text.at;
}

size_t json_go_number(double number, char out[JSON_GO_NUMBER_SIZE])
{
    char *p = out;
    if (signbit(number))
        *p++ = '-';
    struct decimal d = {.digit = "0", .digits = 1};
    if (number != 0)
        d = shortest(fabs(number));
    while (d.digits > 1 && d.digit[d.digits - 1] == '0')
        d.digits--;
    d.digit[d.digits] = '\0';
    if (d.exponent < EXPONENT_LOW || d.exponent >= EXPONENT_HIGH) {
        p = put_digits(p, &d, 1);
        p += snprintf(p, 8, "e%+d", d.exponent);
    } else if (d.exponent < 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_digits(put_zeros(p, -d.exponent - 1), &d, d.digits);
    } else {
        p = put_zeros(put_digits(p, &d, d.exponent + 1), d.exponent + 1 - d.digits);
    }
    *p = '\0';
    return (size_t)(p - out);
}
