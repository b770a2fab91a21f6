/* SPDX-License-Identifier: Apache-2.0 */
#ifndef AUTH_CLAIMS_H
#define AUTH_CLAIMS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

/* Room for a claim's text, NUL included; longer ones are refused, in tokens as well as where ids are made. */
#define CLAIMS_TEXT_SIZE 128

/* An expiry that never comes. */
#define CLAIMS_NO_EXPIRY INT64_MAX

/* The registered scope of people's tokens, the only one ever issued (contract/useradm 2). */
#define CLAIMS_SCOPE_USER "mender.*"

/* The claims of a token that this program reads or writes (contract/useradm 2); times in seconds since the epoch. */
struct claims {
    char jti[CLAIMS_TEXT_SIZE];
    char sub[CLAIMS_TEXT_SIZE];
    char tenant[CLAIMS_TEXT_SIZE];
    char scp[CLAIMS_TEXT_SIZE];
    char iss[CLAIMS_TEXT_SIZE * 2];
    int64_t exp; /* CLAIMS_NO_EXPIRY when absent */
    int64_t iat; /* INT64_MIN when absent */
    int64_t nbf; /* INT64_MIN when absent */
    bool is_user;
    bool is_device;
};

/* Room for a message of claims_parse(). */
#define CLAIMS_WHY_SIZE 160

/*
 * Parse a payload: one JSON object without duplicate members; members of known names have their types (times exact
 * integers), others are ignored. Nothing is compared or required here. why names the member.
 * ERR_TOKEN_JSON
 */
enum err claims_parse(const char *payload, size_t len, char why[CLAIMS_WHY_SIZE], struct claims *out);

/*
 * Whether the claims make a token good at time now_s: jti, sub and iss there; exp after now, nbf and iat not after it.
 * What else a token of its kind must say is the issuer's business.
 *   leeway_s  seconds of clock difference that are forgiven
 * ERR_TOKEN_INVALID
 */
enum err claims_check(const struct claims *claims, int64_t now_s, int64_t leeway_s);

/* What a device's token says of its tenant (contract/deviceauth 3.1); borrowed. */
struct claims_plan {
    const char *plan;
    const json_t *addons; /* an array of {"name", "enabled"} */
    bool is_trial;
};

/*
 * The payload in emission order, empty and absent members left out; plan NULL: a person's token. The caller frees it.
 */
char *claims_write(const struct claims *claims, const struct claims_plan *plan);

#endif
