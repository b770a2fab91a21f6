/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/addon.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/base64.h"
#include "lib/json.h"

/* What begins with /api/devices/v1/ to v9/, and then so. */
static const struct {
    const char *path, *addon;
} rules[] = {
    {"deviceconfig", "configure"},
    {"deviceconnect", "troubleshoot"},
    {"devicemonitor", "monitor"},
};

/* The add-on that the path needs, or NULL. */
static const char *needed(const char *uri)
{
    static const char prefix[] = "/api/devices/v";
    const size_t len = sizeof prefix - 1;
    if (strncmp(uri, prefix, len) != 0 || uri[len] < '1' || uri[len] > '9' || uri[len + 1] != '/')
        return NULL;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strncmp(uri + len + 2, rules[i].path, strlen(rules[i].path)) == 0)
            return rules[i].addon;
    return NULL;
}

static json_t *read_payload(const char *token, size_t len)
{
    uint8_t text[BASE64_DECODED(JWS_TOKEN_MAX)];
    const char *first = memchr(token, '.', len);
    const char *second = first != NULL ? memchr(first + 1, '.', len - (size_t)(first + 1 - token)) : NULL;
    if (second == NULL || len > JWS_TOKEN_MAX)
        return NULL;
    ptrdiff_t n = base64_decode(BASE64_URL, first + 1, (size_t)(second - first - 1), text, NULL);
    return n > 0 ? json_loadb((const char *)text, (size_t)n, 0, NULL) : NULL;
}

static bool has(const json_t *claims, const char *addon)
{
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(claims, "mender.addons"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        if (name != NULL && strcmp(name, addon) == 0 && json_is_true(json_object_get(item, "enabled")))
            return true;
    }
    return false;
}

enum err addon_check(const char *token, size_t len, const char *uri, char why[ADDON_WHY_SIZE])
{
    const char *addon = uri != NULL ? needed(uri) : NULL;
    if (addon == NULL)
        return ERR_OK;
    AUTO(json_release) json_t *claims = read_payload(token, len);
    if (json_is_true(json_object_get(claims, "mender.trial")) || has(claims, addon))
        return ERR_OK;
    snprintf(why, ADDON_WHY_SIZE, "%s: %s", err_text(ERR_ADDON), addon);
    return ERR_ADDON;
}
