/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "cmd/config_value.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "api/listen.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/net.h"

static void *field(const struct config *config, const struct config_key *key)
{
    return (char *)(uintptr_t)config + key->offset;
}

static enum err refuse(char why[CONFIG_VALUE_WHY_SIZE], const char *format, ...) __attribute__((format(printf, 2, 3)));
static enum err refuse(char why[CONFIG_VALUE_WHY_SIZE], const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(why, CONFIG_VALUE_WHY_SIZE, format, args);
    va_end(args);
    return ERR_CONFIG;
}

static bool parse_int(const char *text, int64_t *out)
{
    char *end;
    errno = 0;
    long long num = strtoll(text, &end, 10);
    bool is_number = isdigit((unsigned char)text[0]) || (text[0] == '-' && isdigit((unsigned char)text[1]));
    if (!is_number || *end != '\0' || errno != 0)
        return false;
    *out = num;
    return true;
}

static enum err set_int(int64_t *slot, const struct config_key *key, const char *text, char *why)
{
    int64_t num = 0;
    if (!parse_int(text, &num) || num < key->min || num > key->max)
        return refuse(why, "is %.40s, must be a whole number from %" PRId64 " to %" PRId64, text, key->min, key->max);
    *slot = num;
    return ERR_OK;
}

static enum err set_bool(bool *slot, const char *text, char *why)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (strcasecmp(text, words[i]) == 0) {
            *slot = i % 2 == 1;
            return ERR_OK;
        }
    return refuse(why, "is %.40s, must be true or false", text);
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (const char *p = choices; p != NULL; p = strchr(p, '|')) {
        p += *p == '|';
        if (strncmp(p, text, len) == 0 && (p[len] == '|' || p[len] == '\0'))
            return len > 0;
    }
    return false;
}

static bool is_address(const char *text)
{
    struct listen_address parsed;
    return listen_parse(text, &parsed) == ERR_OK;
}

static enum err set_text(char **slot, const struct config_key *key, const char *text, char *why)
{
    if (key->min > 0 && *text == '\0')
        return refuse(why, "must not be empty");
    if (key->max > 0 && strlen(text) > (size_t)key->max)
        return refuse(why, "must not be longer than %" PRId64 " bytes", key->max);
    if (key->type == CONFIG_CHOICE && !is_choice(key->choices, text))
        return refuse(why, "is %.40s, must be one of %s", text, key->choices);
    if (key->type == CONFIG_ADDRESS && *text != '\0' && !is_address(text))
        return refuse(why, "is %.60s, must be host:port, :port or [IPv6 address]:port", text);
    mem_free(slot);
    *slot = mem_strdup(text);
    return ERR_OK;
}

/* The parts of "a, b,c" as a JSON list. */
static json_t *split(const char *text)
{
    json_t *list = json_array();
    while (*text != '\0') {
        text += strspn(text, " ,");
        size_t len = strcspn(text, ",");
        size_t kept = len;
        while (kept > 0 && text[kept - 1] == ' ')
            kept--;
        if (kept > 0)
            json_array_append_new(list, json_stringn(text, kept));
        text += len;
    }
    return list;
}

static void list_release(struct config_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        mem_free(&list->item[i]);
    free(list->item);
    *list = (struct config_list){0};
}

static void objects_release(struct config_objects *objects)
{
    json_release(&objects->list);
    mem_free(&objects->source);
    mem_free(&objects->key);
}

static enum err check_item(const struct config_key *key, const json_t *item, char *why)
{
    const char *text = json_string_value(item);
    struct net net;
    if (text == NULL)
        return refuse(why, "must be a list of texts");
    if (key->type == CONFIG_NETS && !net_parse(text, &net))
        return refuse(why, "has %.60s, must be networks such as 10.0.0.0/8 or 2001:db8::/32, or addresses", text);
    return ERR_OK;
}

static enum err set_list(struct config_list *slot, const struct config_key *key, const json_t *value, char *why)
{
    AUTO(json_release) json_t *list = json_is_array(value) ? json_incref((json_t *)value) : NULL;
    if (json_is_string(value))
        list = split(json_string_value(value));
    for (size_t i = 0; list != NULL && i < json_array_size(list); i++)
        TRY(check_item(key, json_array_get(list, i), why));
    if (list == NULL)
        return refuse(why, "must be a list of texts");
    list_release(slot);
    slot->n = json_array_size(list);
    slot->item = mem_calloc(slot->n + 1, sizeof *slot->item);
    for (size_t i = 0; i < slot->n; i++)
        slot->item[i] = mem_strdup(json_string_value(json_array_get(list, i)));
    return ERR_OK;
}

/* "7=PS256,8=RS512" as a JSON object; NULL when it is not of that form. */
static json_t *split_pairs(const char *text)
{
    AUTO(json_release) json_t *pairs = json_object();
    AUTO(json_release) json_t *list = split(text);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *pair = json_string_value(json_array_get(list, i));
        const char *equals = strchr(pair, '=');
        if (equals == NULL)
            return NULL;
        AUTO(mem_free) char *name = mem_strndup(pair, (size_t)(equals - pair));
        if (json_object_get(pairs, name) != NULL)
            return NULL;
        json_object_set_new(pairs, name, json_string(equals + 1));
    }
    return MOVE(pairs);
}

static void algs_release(struct config_algs *slot)
{
    free(slot->alg);
    *slot = (struct config_algs){0};
}

static enum err set_alg(struct keyring_alg *slot, const char *kid, const json_t *alg, char *why)
{
    int64_t num = 0;
    if (!parse_int(kid, &num) || num < 0 || num > KEY_KID_MAX || (kid[0] == '0' && kid[1] != '\0'))
        return refuse(why, "has the key id %.40s, must be from 0 to %" PRId64, kid, KEY_KID_MAX);
    const char *name = json_string_value(alg);
    if (name == NULL || key_alg_parse(name, &slot->alg) != ERR_OK || slot->alg > KEY_PS512)
        return refuse(why, "has %.20s for key %.40s, must be RS256, RS384, RS512, PS256, PS384 or PS512",
                      name != NULL ? name : "no text", kid);
    slot->kid = num;
    return ERR_OK;
}

static enum err set_algs(struct config_algs *slot, const json_t *value, char *why)
{
    AUTO(json_release) json_t *pairs = json_is_object(value) ? json_incref((json_t *)value) : NULL;
    if (json_is_string(value))
        pairs = split_pairs(json_string_value(value));
    if (pairs == NULL)
        return refuse(why, "must be of the form {7: PS256, 8: RS512}, or 7=PS256,8=RS512 in the environment");
    struct keyring_alg *algs = mem_calloc(json_object_size(pairs) + 1, sizeof *algs);
    size_t n = 0;
    const char *kid;
    json_t *alg;
    json_object_foreach(pairs, kid, alg)
    {
        if (set_alg(&algs[n++], kid, alg, why) != ERR_OK) {
            free(algs);
            return ERR_CONFIG;
        }
    }
    free(slot->alg);
    *slot = (struct config_algs){.alg = algs, .n = n};
    return ERR_OK;
}

/* One JSON object after another, or lists of them, as a list; NULL when it is something else. */
static json_t *split_objects(const char *text)
{
    AUTO(json_release) json_t *list = json_array();
    for (text += strspn(text, " \t\r\n"); *text != '\0'; text += strspn(text, " \t\r\n")) {
        json_error_t error;
        json_t *part = json_loads(text, JSON_DISABLE_EOF_CHECK | JSON_REJECT_DUPLICATES, &error);
        if (part == NULL)
            return NULL;
        text += error.position;
        if (json_is_array(part))
            json_array_extend(list, part);
        else
            json_array_append(list, part);
        json_decref(part);
    }
    return MOVE(list);
}

/* A copy of the i-th object, its numbers as texts, as in a file. NULL: why says what it must be */
static json_t *copy_object(const json_t *object, size_t i, char *why)
{
    AUTO(json_release) json_t *copy = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)object, name, value)
    {
        AUTO(mem_free) char *text = mem_strdup(json_string_value(value));
        if (json_is_integer(value))
            text = mem_printf("%" PRId64, (int64_t)json_integer_value(value));
        if (text == NULL && refuse(why, "[%zu].%.60s must be a single value", i, name) != ERR_OK)
            return NULL;
        json_object_set_new(copy, name, json_string(text));
    }
    if (!json_is_object(object) && refuse(why, "[%zu] must be a map", i) != ERR_OK)
        return NULL;
    return MOVE(copy);
}

static enum err set_objects(struct config_objects *slot, const json_t *value, char *why)
{
    AUTO(json_release) json_t *list = json_is_array(value) ? json_incref((json_t *)value) : NULL;
    if (json_is_string(value))
        list = split_objects(json_string_value(value));
    if (list == NULL)
        return refuse(why, "must be a list of maps, in the environment JSON objects one after another");
    AUTO(json_release) json_t *copy = json_array();
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *object = copy_object(json_array_get(list, i), i, why);
        if (object == NULL)
            return ERR_CONFIG;
        json_array_append_new(copy, object);
    }
    json_release(&slot->list);
    slot->list = MOVE(copy);
    return ERR_OK;
}

enum err config_value_set(struct config *config, const struct config_key *key, const json_t *value,
                          char why[CONFIG_VALUE_WHY_SIZE])
{
    if (key->type == CONFIG_LIST || key->type == CONFIG_NETS)
        return set_list(field(config, key), key, value, why);
    if (key->type == CONFIG_ALGS)
        return set_algs(field(config, key), value, why);
    if (key->type == CONFIG_OBJECTS)
        return set_objects(field(config, key), value, why);
    const char *text = json_string_value(value);
    if (text == NULL)
        return refuse(why, "must be a single value");
    if (key->type == CONFIG_INT)
        return set_int(field(config, key), key, text, why);
    if (key->type == CONFIG_BOOL)
        return set_bool(field(config, key), text, why);
    return set_text(field(config, key), key, text, why);
}

void config_value_note(struct config *config, const struct config_key *key, const char *source, const char *shown)
{
    struct config_objects *objects = field(config, key);
    mem_free(&objects->source);
    mem_free(&objects->key);
    objects->source = mem_strdup(source);
    objects->key = mem_strdup(shown);
}

void config_value_release(struct config *config, const struct config_key *key)
{
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_CHOICE:
    case CONFIG_ADDRESS:
        mem_wipe(field(config, key));
        break;
    case CONFIG_LIST:
    case CONFIG_NETS:
        list_release(field(config, key));
        break;
    case CONFIG_ALGS:
        algs_release(field(config, key));
        break;
    case CONFIG_OBJECTS:
        objects_release(field(config, key));
        break;
    case CONFIG_BOOL:
    case CONFIG_INT:
    case CONFIG_LATER:
    case CONFIG_STORE:
        break;
    }
}

/* Characters that YAML takes for line ends, or for none at all. */
static bool is_special(unsigned code)
{
    return (code >= 0x7f && code < 0xa0) || code == 0x2028 || code == 0x2029 || code == 0xfeff || code >= 0xfffe;
}

/* Write the character, of three bytes at most, that is at p as an escape if it is a special one; returns its bytes. */
static size_t print_special(const unsigned char *p, FILE *out)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : 3;
    unsigned code = len == 1   ? p[0]
                    : len == 2 ? (p[0] & 0x1fU) << 6 | (p[1] & 0x3fU)
                               : (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
    if (p[0] >= 0xf0 || !is_special(code))
        return 0;
    fprintf(out, "\\u%04x", code);
    return len;
}

/* A JSON string is a YAML one, once some characters are escaped. */
static void print_text(const char *text, FILE *out)
{
    AUTO(json_release) json_t *string = json_string(text);
    AUTO(mem_wipe) char *json = json_dumps(string, JSON_ENCODE_ANY);
    for (const unsigned char *p = (const unsigned char *)json; *p != '\0';) {
        size_t len = (*p & 0xc0) != 0x80 ? print_special(p, out) : 0;
        if (len == 0)
            fputc(*p, out);
        p += len > 0 ? len : 1;
    }
}

/* What lies between user: and the last @, so that a password with an @ of its own is covered whole. */
static char *mask_user(const char *url)
{
    const char *start = strstr(url, "://");
    const char *at = start != NULL ? strrchr(start, '@') : NULL;
    const char *colon = at != NULL ? memchr(start + 3, ':', (size_t)(at - start - 3)) : NULL;
    return colon != NULL ? mem_printf("%.*s***%s", (int)(colon + 1 - url), url, at) : mem_strdup(url);
}

/* postgresql://user:PASSWORD@host/name?password=PASSWORD&sslpassword=PASSWORD */
static char *mask(const char *url)
{
    static const char param[] = "password=";
    char *masked = mask_user(url);
    size_t done = 0;
    for (char *p; (p = strstr(masked + done, param)) != NULL;) {
        done = (size_t)(p - masked) + strlen(param);
        p += strlen(param);
        char *next = mem_printf("%.*s***%s", (int)done, masked, p + strcspn(p, "&"));
        mem_wipe(&masked);
        masked = next;
    }
    return masked;
}

static void print_field_text(const struct config *config, const struct config_key *key, FILE *out)
{
    char *text = *(char *const *)field(config, key);
    AUTO(mem_wipe) char *shown = key->offset == offsetof(struct config, db) ? mask(text) : mem_strdup(text);
    if (key->offset == offsetof(struct config, default_tenant_token) && *text != '\0') {
        mem_wipe(&shown);
        shown = mem_strdup("***");
    }
    print_text(shown, out);
}

static void print_list(const struct config_list *list, FILE *out)
{
    for (size_t i = 0; i < list->n; i++) {
        fputs(i > 0 ? ", " : "[", out);
        print_text(list->item[i], out);
    }
    fputs(list->n > 0 ? "]" : "[]", out);
}

static void print_algs(const struct config_algs *algs, FILE *out)
{
    for (size_t i = 0; i < algs->n; i++)
        fprintf(out, "%s%" PRId64 ": %s", i > 0 ? ", " : "{", algs->alg[i].kid, key_alg_name(algs->alg[i].alg));
    fputs(algs->n > 0 ? "}" : "{}", out);
}

/* A number is written without quotes, which are no part of it when it is read. */
static void print_member(const char *name, const char *value, bool is_first, FILE *out)
{
    int64_t num = 0;
    char digits[24] = "";
    if (parse_int(value, &num))
        snprintf(digits, sizeof digits, "%" PRId64, num);
    fputs(is_first ? "{" : ", ", out);
    print_text(name, out);
    fputs(": ", out);
    if (*digits != '\0' && strcmp(digits, value) == 0)
        fputs(value, out);
    else
        print_text(value, out);
}

static void print_objects(const json_t *list, FILE *out)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        fputs(i > 0 ? ", " : "[", out);
        const char *name;
        json_t *value;
        bool is_first = true;
        json_object_foreach(json_array_get(list, i), name, value)
        {
            print_member(name, json_string_value(value), is_first, out);
            is_first = false;
        }
        fputs(is_first ? "{}" : "}", out);
    }
    fputs(json_array_size(list) > 0 ? "]" : "[]", out);
}

void config_value_print(const struct config *config, const struct config_key *key, FILE *out)
{
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_CHOICE:
    case CONFIG_ADDRESS:
        print_field_text(config, key, out);
        break;
    case CONFIG_BOOL:
        fputs(*(const bool *)field(config, key) ? "true" : "false", out);
        break;
    case CONFIG_INT:
        fprintf(out, "%" PRId64, *(const int64_t *)field(config, key));
        break;
    case CONFIG_LIST:
    case CONFIG_NETS:
        print_list(field(config, key), out);
        break;
    case CONFIG_ALGS:
        print_algs(field(config, key), out);
        break;
    case CONFIG_OBJECTS:
        print_objects(((const struct config_objects *)field(config, key))->list, out);
        break;
    case CONFIG_LATER:
    case CONFIG_STORE:
        break;
    }
}
