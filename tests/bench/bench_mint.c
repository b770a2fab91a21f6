/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tokens by the thousand, signed as the server signs them but without a login each:
 *   bench_mint KEY_DIR USER_ID COUNT
 * prints a line "jti kid token" for each. They count once somebody writes their rows.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "auth/issuer.h"
#include "keystore/keyring.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define LIFETIME_S 86400

static enum err mint(struct issuer *issuer, const char *user_id)
{
    struct claims claims;
    int64_t kid = 0;
    AUTO(mem_free) char *token = NULL;
    TRY(issuer_sign(issuer, user_id, "", LIFETIME_S, &claims, &kid, &token));
    printf("%s %" PRId64 " %s\n", claims.jti, kid, token);
    return ERR_OK;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench_mint KEY_DIR USER_ID COUNT\n");
        return 2;
    }
    const struct keyring_config keys = {.name = "bench", .dir = argv[1], .pattern = "private\\.id\\.([0-9]*)\\.pem"};
    const struct issuer_config config = {.kind = ISSUER_PEOPLE, .iss = "mender.useradm", .lifetime_s = LIFETIME_S};
    AUTO(keyring_free) struct keyring *ring = NULL;
    if (keyring_open(&keys, &ring) != ERR_OK)
        return 1;
    AUTO(issuer_free) struct issuer *issuer = issuer_new(&config, NULL, ring);
    for (long left = strtol(argv[3], NULL, 10); left > 0; left--)
        if (mint(issuer, argv[2]) != ERR_OK)
            return 1;
    return 0;
}
