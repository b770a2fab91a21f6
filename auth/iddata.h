/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_IDDATA_H
#define AUTH_IDDATA_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/json_scan.h"

/*
 * The identity data of a device in the one form that is stored, compared and hashed (contract/deviceauth 2.5): the
 * original's, to the byte, so that a device that moves here is the same device.
 */
#define IDDATA_DIGEST_SIZE 32

struct iddata {
    char *text; /* canonical; "null" is possible, see below */
    size_t len;
    uint8_t sha256[IDDATA_DIGEST_SIZE]; /* of text */
};

/*
 * Make the canonical form of text, a JSON object, or null, which stays null.
 *   why  the client's text when it fails, without "invalid auth request: "
 * ERR_JSON
 */
enum err iddata_parse(const char *text, size_t len, char why[JSON_SCAN_WHY_SIZE], struct iddata *out);
void iddata_release(struct iddata *data);

/*
 * What a canonical text says: an object with its members in the order of their names, which json_wire() writes as the
 * same text; JSON null when it is {} or null (contract/deviceauth 1.4, Device JSON) or no canonical text. New
 * reference. Names and strings may hold U+0000: ask for their lengths where that matters.
 */
json_t *iddata_json(const char *canonical);

#endif
