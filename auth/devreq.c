/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/devreq.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/json_scan.h"
#include "lib/mem.h"

/* The members that count; all others ("tier") are ignored. */
enum field { FIELD_ID_DATA, FIELD_PUBKEY, FIELD_TENANT_TOKEN, FIELDS };
static const char *const names[FIELDS] = {"id_data", "pubkey", "tenant_token"};

/* The texts of the members; a NUL stands behind each. */
struct fields {
    char *text[FIELDS];
    size_t len[FIELDS];
};

static void fields_release(struct fields *fields)
{
    for (size_t i = 0; i < FIELDS; i++)
        mem_wipe(&fields->text[i]);
}

static enum err fail(enum err e, char why[DEVREQ_WHY_SIZE], const char *prefix, const char *detail)
{
    snprintf(why, DEVREQ_WHY_SIZE, "%s%s", prefix, detail);
    return e;
}

static enum err undecoded(char why[DEVREQ_WHY_SIZE], const char *detail)
{
    return fail(ERR_JSON, why, "failed to decode auth request: ", detail);
}

static enum err invalid(enum err e, char why[DEVREQ_WHY_SIZE], const char *detail)
{
    return fail(e, why, "invalid auth request: ", detail);
}

/* Put the value of one member to its field; null leaves it as it is. The first wrong type is noted in fault. */
static void set_field(struct fields *fields, enum field field, struct json_span value, char fault[JSON_SCAN_WHY_SIZE])
{
    if (json_scan_kind(value) == JSON_SCAN_NULL)
        return;
    if (json_scan_kind(value) == JSON_SCAN_STRING) {
        mem_wipe(&fields->text[field]);
        fields->text[field] = json_scan_string(value, &fields->len[field]);
        return;
    }
    if (*fault == '\0')
        snprintf(fault, JSON_SCAN_WHY_SIZE, "json: cannot unmarshal %s into Go struct field AuthReq.%s of type string",
                 json_scan_word(value), names[field]);
}

static enum err decode(const char *body, size_t len, char why[DEVREQ_WHY_SIZE], struct fields *fields)
{
    char fault[JSON_SCAN_WHY_SIZE] = "";
    struct json_span whole, name, value;
    if (json_scan_check(body, len, fault, &whole) != ERR_OK)
        return undecoded(why, fault);
    if (json_scan_kind(whole) == JSON_SCAN_NULL)
        return ERR_OK;
    if (json_scan_kind(whole) != JSON_SCAN_OBJECT) {
        snprintf(fault, sizeof fault, "json: cannot unmarshal %s into Go value of type model.AuthReq",
                 json_scan_word(whole));
        return undecoded(why, fault);
    }
    while (json_scan_member(&whole, &name, &value))
        for (size_t i = 0; i < FIELDS; i++)
            if (json_scan_is_field(name, names[i]))
                set_field(fields, (enum field)i, value, fault);
    return *fault == '\0' ? ERR_OK : undecoded(why, fault);
}

static bool has(const struct fields *fields, enum field field)
{
    return fields->text[field] != NULL && fields->len[field] > 0;
}

static enum err check(struct pubkey_cache *keys, const struct fields *fields, char why[DEVREQ_WHY_SIZE],
                      struct devreq *out)
{
    char key_why[PUBKEY_WHY_SIZE];
    char id_why[JSON_SCAN_WHY_SIZE];
    if (!has(fields, FIELD_ID_DATA))
        return invalid(ERR_INVALID, why, "id_data must be provided");
    if (!has(fields, FIELD_PUBKEY))
        return invalid(ERR_INVALID, why, "pubkey must be provided");
    enum err e = pubkey_cache_get(keys, fields->text[FIELD_PUBKEY], fields->len[FIELD_PUBKEY], key_why, &out->key);
    if (e != ERR_OK)
        return invalid(e, why, key_why);
    e = iddata_parse(fields->text[FIELD_ID_DATA], fields->len[FIELD_ID_DATA], id_why, &out->id);
    return e == ERR_OK ? ERR_OK : invalid(e, why, id_why);
}

static enum err verify(const struct devreq *request, const char *body, size_t len, const char *signature,
                       char why[DEVREQ_WHY_SIZE])
{
    if (signature == NULL || *signature == '\0')
        return fail(ERR_SIGNATURE_MISSING, why, "", err_text(ERR_SIGNATURE_MISSING));
    enum err e = pubkey_verify_base64(request->key, body, len, signature, strlen(signature));
    return e == ERR_OK ? ERR_OK : fail(e, why, "", err_text(e));
}

/* A token is sent on in a header, where a NUL would cut it. */
static enum err take_token(struct fields *fields, char why[DEVREQ_WHY_SIZE], struct devreq *out)
{
    if (!has(fields, FIELD_TENANT_TOKEN)) {
        out->tenant_token = mem_strdup("");
        return ERR_OK;
    }
    if (strlen(fields->text[FIELD_TENANT_TOKEN]) != fields->len[FIELD_TENANT_TOKEN])
        return invalid(ERR_INVALID, why, "tenant_token must not hold U+0000");
    out->tenant_token = MOVE(fields->text[FIELD_TENANT_TOKEN]);
    return ERR_OK;
}

enum err devreq_read(struct pubkey_cache *keys, const char *body, size_t len, const char *signature,
                     char why[DEVREQ_WHY_SIZE], struct devreq *out)
{
    AUTO(fields_release) struct fields fields = {0};
    AUTO(devreq_release) struct devreq request = {0};
    TRY(decode(body, len, why, &fields));
    TRY(check(keys, &fields, why, &request));
    TRY(verify(&request, body, len, signature, why));
    TRY(take_token(&fields, why, &request));
    *out = request;
    request = (struct devreq){0};
    return ERR_OK;
}

void devreq_release(struct devreq *request)
{
    iddata_release(&request->id);
    pubkey_free(&request->key);
    mem_wipe(&request->tenant_token);
}
