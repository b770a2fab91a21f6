/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/iddata.h"

#include <stdio.h>
#include <string.h>

#include "keystore/jws.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/json_go.h"
#include "lib/mem.h"

_Static_assert(IDDATA_DIGEST_SIZE == JWS_DIGEST_SIZE, "both are SHA-256");

static enum err load(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], json_t **out)
{
    struct json_span value;
    TRY(json_scan_check(text, len, why, &value));
    enum json_scan_kind kind = json_scan_kind(value);
    if (kind != JSON_SCAN_OBJECT && kind != JSON_SCAN_NULL) {
        snprintf(why, JSON_SCAN_WHY_SIZE, "json: cannot unmarshal %s into Go value of type map[string]interface {}",
                 json_scan_word(value));
        return ERR_JSON;
    }
    return json_go_load(value, why, out);
}

enum err iddata_parse(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], struct iddata *out)
{
    AUTO(json_release) json_t *json = NULL;
    TRY(load(text, len, why, &json));
    struct iddata data = {0};
    data.text = json_go_dump(json, JSON_GO_SORTED, &data.len);
    jws_digest(data.text, data.len, data.sha256);
    *out = data;
    return ERR_OK;
}

void iddata_release(struct iddata *data)
{
    mem_free(&data->text);
}

json_t *iddata_json(const char *canonical)
{
    char why[JSON_SCAN_WHY_SIZE];
    AUTO(json_release) json_t *json = NULL;
    if (load(canonical, strlen(canonical), why, &json) != ERR_OK || json_object_size(json) == 0)
        return json_null();
    return MOVE(json);
}
