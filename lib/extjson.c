/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/extjson.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/clock.h"
#include "lib/json.h"
#include "lib/mem.h"

#define HEX "0123456789abcdefABCDEF"

enum { UUID_BYTES = 16, OID_DIGITS = 24 };

/* Years 1 to 9999: what RFC 3339 can say, and what a Go program's zero time is. */
#define FIRST_MS INT64_C(-62135596800000)
#define LAST_MS INT64_C(253402300799999)

/* Whole doubles up to here are exact. */
#define WHOLE_MAX 9007199254740992.0

/* What the one member called name of an object holds; NULL when the value is anything else. */
static const json_t *wrapped(const json_t *value, const char *name)
{
    return json_object_size(value) == 1 ? json_object_get(value, name) : NULL;
}

static bool parse_int(const char *text, int64_t *out)
{
    size_t sign = *text == '-';
    if (text[sign] == '\0' || strspn(text + sign, "0123456789") != strlen(text + sign))
        return false;
    errno = 0;
    long long n = strtoll(text, NULL, 10);
    if (errno != 0)
        return false;
    *out = n;
    return true;
}

/* A whole double that is exact. */
static bool to_whole(double d, int64_t *out)
{
    bool is_whole = d >= -WHOLE_MAX && d <= WHOLE_MAX && (double)(int64_t)d == d;
    if (is_whole)
        *out = (int64_t)d;
    return is_whole;
}

/* NaN and the infinities are spelled with letters, which plain JSON has no numbers for. */
static bool parse_double(const char *text, double *out)
{
    if (*text == '\0' || strspn(text, "0123456789+-.eE") != strlen(text))
        return false;
    char *end;
    *out = strtod(text, &end);
    return *end == '\0' && isfinite(*out);
}

/* Exactly n digits. */
static bool take_digits(const char **p, size_t n, int *out)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)(*p)[i]))
            return false;
        value = value * 10 + ((*p)[i] - '0');
    }
    *p += n;
    *out = value;
    return true;
}

static bool take(const char **p, char c)
{
    bool is_there = **p == c;
    *p += is_there;
    return is_there;
}

/* ".123": milliseconds, what is finer is cut. */
static bool take_fraction(const char **p, int *ms)
{
    *ms = 0;
    if (!take(p, '.'))
        return true;
    int unit = 100;
    const char *start = *p;
    for (; isdigit((unsigned char)**p); (*p)++, unit /= 10)
        *ms += (**p - '0') * unit;
    return *p > start;
}

/* "Z", "+01:00", "+0100"; in minutes. */
static bool take_offset(const char **p, int *minutes)
{
    *minutes = 0;
    if (take(p, 'Z'))
        return true;
    int sign = **p == '-' ? -1 : 1;
    if (!take(p, '-') && !take(p, '+'))
        return false;
    int hour;
    int minute;
    if (!take_digits(p, 2, &hour) || (take(p, ':'), !take_digits(p, 2, &minute)) || hour > 23 || minute > 59)
        return false;
    *minutes = sign * (hour * 60 + minute);
    return true;
}

/* A date that the calendar does not have comes back as another one. */
static bool to_seconds(const struct tm *want, int64_t *out)
{
    struct tm tm = *want;
    time_t seconds = timegm(&tm);
    if (tm.tm_mon != want->tm_mon || tm.tm_mday != want->tm_mday || tm.tm_hour != want->tm_hour ||
        tm.tm_min != want->tm_min || tm.tm_sec != want->tm_sec)
        return false;
    *out = seconds;
    return true;
}

static bool parse_rfc3339(const char *p, int64_t *ms)
{
    struct tm tm = {0};
    int fraction;
    int offset;
    int64_t seconds;
    if (!take_digits(&p, 4, &tm.tm_year) || !take(&p, '-') || !take_digits(&p, 2, &tm.tm_mon) || !take(&p, '-') ||
        !take_digits(&p, 2, &tm.tm_mday) || !take(&p, 'T') || !take_digits(&p, 2, &tm.tm_hour) || !take(&p, ':') ||
        !take_digits(&p, 2, &tm.tm_min) || !take(&p, ':') || !take_digits(&p, 2, &tm.tm_sec) ||
        !take_fraction(&p, &fraction) || !take_offset(&p, &offset) || *p != '\0')
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    if (!to_seconds(&tm, &seconds))
        return false;
    *ms = (seconds - offset * 60) * 1000 + fraction;
    return true;
}

static char *print_uuid(const char digits[UUID_BYTES * 2])
{
    char *uuid = mem_printf("%.8s-%.4s-%.4s-%.4s-%.12s", digits, digits + 8, digits + 12, digits + 16, digits + 20);
    for (char *p = uuid; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return uuid;
}

static char *uuid_of_bytes(const uint8_t *bytes)
{
    char digits[UUID_BYTES * 2 + 1];
    for (size_t i = 0; i < UUID_BYTES; i++)
        snprintf(digits + i * 2, 3, "%02x", bytes[i]);
    return print_uuid(digits);
}

/* The subtype of binary data is written as one or two hexadecimal digits. 3 and 4 are UUIDs, 0 is anything. */
static bool is_uuid_subtype(const char *subtype)
{
    subtype += *subtype == '0' && subtype[1] != '\0';
    return strlen(subtype) == 1 && strchr("034", *subtype) != NULL;
}

/* {"$binary": {"base64": TEXT, "subType": HEX}}, or of v1 {"$binary": TEXT, "$type": HEX}. */
static const char *binary_of(const json_t *value, const char **subtype)
{
    const json_t *binary = json_object_get(value, "$binary");
    bool is_v1 = json_is_string(binary) && json_object_size(value) == 2;
    bool is_v2 = json_object_size(binary) == 2 && json_object_size(value) == 1;
    *subtype = extjson_text(is_v1 ? json_object_get(value, "$type") : json_object_get(binary, "subType"));
    const char *base64 = extjson_text(is_v1 ? binary : json_object_get(binary, "base64"));
    return (is_v1 || is_v2) && *subtype != NULL ? base64 : NULL;
}

static char *uuid_of_binary(const json_t *value)
{
    const char *subtype;
    const char *base64 = binary_of(value, &subtype);
    uint8_t bytes[BASE64_DECODED(BASE64_ENCODED(UUID_BYTES))];
    if (base64 == NULL || !is_uuid_subtype(subtype) || strlen(base64) != BASE64_ENCODED(UUID_BYTES))
        return NULL;
    if (base64_decode(BASE64_STD, base64, strlen(base64), bytes, NULL) != UUID_BYTES)
        return NULL;
    return uuid_of_bytes(bytes);
}

static char *oid_of(const json_t *value)
{
    const char *text = extjson_text(wrapped(value, "$oid"));
    if (text == NULL || strlen(text) != OID_DIGITS || strspn(text, HEX) != OID_DIGITS)
        return NULL;
    char *oid = mem_strdup(text);
    for (char *p = oid; *p != '\0'; p++)
        *p = (char)tolower((unsigned char)*p);
    return oid;
}

static char *uuid_of(const json_t *value)
{
    const char *text = extjson_text(wrapped(value, "$uuid"));
    return text != NULL ? extjson_uuid(text) : uuid_of_binary(value);
}

static bool double_of(const json_t *value, double *out)
{
    const char *text = extjson_text(wrapped(value, "$numberDouble"));
    if (json_is_real(value))
        *out = json_real_value(value);
    return json_is_real(value) || (text != NULL && parse_double(text, out));
}

/* The forms of a type, each read into plain JSON; NULL: the content is wrong. */

static json_t *plain_text(char *text)
{
    json_t *json = text != NULL ? json_string(text) : NULL;
    mem_free(&text);
    return json;
}

static json_t *plain_oid(const json_t *value)
{
    return plain_text(oid_of(value));
}

static json_t *plain_uuid(const json_t *value)
{
    return plain_text(uuid_of(value));
}

static json_t *plain_binary(const json_t *value)
{
    const char *subtype;
    const char *base64 = binary_of(value, &subtype);
    char *uuid = uuid_of_binary(value);
    return uuid != NULL || base64 == NULL ? plain_text(uuid) : json_string(base64);
}

static json_t *plain_int(const json_t *value)
{
    int64_t n;
    return extjson_int(value, &n) ? json_integer(n) : NULL;
}

static json_t *plain_double(const json_t *value)
{
    double d;
    int64_t n;
    if (!double_of(value, &d))
        return NULL;
    return to_whole(d, &n) ? json_integer(n) : json_real(d);
}

static json_t *plain_date(const json_t *value)
{
    int64_t ms;
    char text[CLOCK_RFC3339_SIZE];
    if (!extjson_time(value, &ms))
        return NULL;
    clock_rfc3339(ms, text);
    return json_string(text);
}

static json_t *plain_none(const json_t *value)
{
    (void)value;
    return NULL;
}

/* A document that has one of these members is a form; every other one is a document. */
static const struct {
    const char *name;
    json_t *(*plain)(const json_t *value);
} forms[] = {
    {"$oid", plain_oid},
    {"$uuid", plain_uuid},
    {"$binary", plain_binary},
    {"$date", plain_date},
    {"$numberInt", plain_int},
    {"$numberLong", plain_int},
    {"$numberDouble", plain_double},
    {"$numberDecimal", plain_none},
    {"$timestamp", plain_none},
    {"$regularExpression", plain_none},
    {"$regex", plain_none},
    {"$symbol", plain_none},
    {"$code", plain_none},
    {"$dbPointer", plain_none},
    {"$minKey", plain_none},
    {"$maxKey", plain_none},
    {"$undefined", plain_none},
};

static enum err plain_object(const json_t *value, json_t **out)
{
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++)
        if (json_object_get(value, forms[i].name) != NULL) {
            *out = forms[i].plain(value);
            return *out != NULL ? ERR_OK : ERR_JSON;
        }
    AUTO(json_release) json_t *object = json_object();
    const char *name;
    json_t *member;
    json_object_foreach((json_t *)value, name, member)
    {
        json_t *plain;
        TRY(extjson_plain(member, &plain));
        json_object_set_new(object, name, plain);
    }
    *out = MOVE(object);
    return ERR_OK;
}

static enum err plain_array(const json_t *value, json_t **out)
{
    AUTO(json_release) json_t *array = json_array();
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item)
    {
        json_t *plain;
        TRY(extjson_plain(item, &plain));
        json_array_append_new(array, plain);
    }
    *out = MOVE(array);
    return ERR_OK;
}

enum err extjson_parse(const char *text, size_t len, json_t **out)
{
    AUTO(json_release) json_t *json = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    if (!json_is_object(json))
        return ERR_JSON;
    *out = MOVE(json);
    return ERR_OK;
}

enum err extjson_plain(const json_t *value, json_t **out)
{
    if (json_is_object(value))
        return plain_object(value, out);
    if (json_is_array(value))
        return plain_array(value, out);
    *out = json_is_real(value) ? plain_double(value) : json_incref((json_t *)value);
    return ERR_OK;
}

const char *extjson_text(const json_t *value)
{
    const char *text = json_string_value(value);
    return text != NULL && strlen(text) == json_string_length(value) ? text : NULL;
}

char *extjson_id(const json_t *value)
{
    const char *text = extjson_text(value);
    if (text != NULL)
        return mem_strdup(text);
    char *oid = oid_of(value);
    return oid != NULL ? oid : uuid_of(value);
}

char *extjson_uuid(const char *text)
{
    static const char urn[] = "urn:uuid:";
    size_t len = strlen(text);
    if (len == 45 && strncasecmp(text, urn, strlen(urn)) == 0) {
        text += strlen(urn);
        len -= strlen(urn);
    } else if (len == 38 && text[0] == '{' && text[37] == '}') {
        text++;
        len -= 2;
    }
    if (len != 32 && len != 36)
        return NULL;
    char digits[UUID_BYTES * 2];
    size_t n = 0;
    for (size_t i = 0; i < len; i++) {
        bool is_dash = len == 36 && (i == 8 || i == 13 || i == 18 || i == 23);
        if (is_dash ? text[i] != '-' : strchr(HEX, text[i]) == NULL)
            return NULL;
        if (!is_dash)
            digits[n++] = text[i];
    }
    return print_uuid(digits);
}

bool extjson_int(const json_t *value, int64_t *out)
{
    double d;
    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (double_of(value, &d))
        return to_whole(d, out);
    const json_t *inner = wrapped(value, "$numberInt");
    const char *text = extjson_text(inner != NULL ? inner : wrapped(value, "$numberLong"));
    return text != NULL && parse_int(text, out);
}

bool extjson_time(const json_t *value, int64_t *ms)
{
    const json_t *date = wrapped(value, "$date");
    const char *text = extjson_text(date);
    int64_t found;
    if (text != NULL ? !parse_rfc3339(text, &found) : !extjson_int(date, &found))
        return false;
    if (found < FIRST_MS || found > LAST_MS)
        return false;
    *ms = found;
    return true;
}
