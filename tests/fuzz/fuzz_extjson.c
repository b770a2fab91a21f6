/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/extjson.h"
#include "lib/json.h"
#include "lib/mem.h"

/*
 * Plain JSON is plain: made plain again it is the same, and it can be written and read. What is read as a time, an id
 * or a UUID is one.
 */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_good)
{
    if (!is_good)
        abort();
}

static void check_plain(const json_t *value)
{
    AUTO(json_release) json_t *plain = NULL;
    AUTO(json_release) json_t *again = NULL;
    if (extjson_plain(value, &plain) != ERR_OK)
        return;
    check(extjson_plain(plain, &again) == ERR_OK && json_equal(plain, again));
    AUTO(mem_free) char *text = json_dumps(plain, JSON_COMPACT | JSON_ENCODE_ANY);
    check(text != NULL);
    AUTO(json_release) json_t *read = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    check(read != NULL && json_equal(plain, read));
}

static void check_member(const json_t *value)
{
    int64_t n = 0;
    check(!extjson_time(value, &n) || (n >= INT64_C(-62135596800000) && n <= INT64_C(253402300799999)));
    (void)!extjson_int(value, &n);
    AUTO(mem_free) char *id = extjson_id(value);
    AUTO(mem_free) char *uuid = id != NULL ? extjson_uuid(id) : NULL;
    AUTO(mem_free) char *same = uuid != NULL ? extjson_uuid(uuid) : NULL;
    check(uuid == NULL || (strlen(uuid) == 36 && strcmp(uuid, same) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    AUTO(json_release) json_t *document = NULL;
    if (extjson_parse((const char *)data, size, &document) != ERR_OK)
        return 0;
    check_plain(document);
    const char *name;
    json_t *value;
    json_object_foreach(document, name, value) check_member(value);
    return 0;
}
