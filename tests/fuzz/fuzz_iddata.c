/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "auth/iddata.h"
#include "lib/auto.h"
#include "lib/json.h"
#include "lib/mem.h"

/*
 * The canonical form is its own canonical form, is what jansson calls JSON unless it has U+0000, and is what
 * json_wire() writes of what it says. What is refused is refused for a reason.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_refusal(const char *why)
{
    if (*why == '\0' || memchr(why, '\0', JSON_SCAN_WHY_SIZE) == NULL)
        abort();
}

static void check_json(const struct iddata *id)
{
    AUTO(json_release) json_t *json = iddata_json(id->text);
    AUTO(mem_free) char *wire = json_wire(json);
    bool is_empty = strcmp(id->text, "{}") == 0;
    if (strcmp(wire, is_empty ? "null" : id->text) != 0)
        abort();
    if (strstr(id->text, "\\u0000") != NULL || *id->text != '{')
        return;
    AUTO(json_release) json_t *other = json_loads(id->text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    if (other == NULL || json_object_size(other) != json_object_size(json))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[JSON_SCAN_WHY_SIZE] = "";
    AUTO(iddata_release) struct iddata once = {0};
    AUTO(iddata_release) struct iddata twice = {0};
    if (iddata_parse((const char *)data, size, why, &once) != ERR_OK) {
        check_refusal(why);
        return 0;
    }
    if (strlen(once.text) != once.len || iddata_parse(once.text, once.len, why, &twice) != ERR_OK ||
        strcmp(once.text, twice.text) != 0 || memcmp(once.sha256, twice.sha256, IDDATA_DIGEST_SIZE) != 0)
        abort();
    check_json(&once);
    return 0;
}
