/* SPDX-License-Identifier: Apache-2.0 */
#include "auth/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/auto.h"
#include "lib/mem.h"

/* Characters of "$2a$10$" and of the whole: those, 22 of salt, 31 of hash. */
#define PREFIX_LEN 7
#define HASH_LEN 60

/* Longer passwords than any that can be set (contract/useradm 5). */
#define BYTES_EVER 256

static const char alphabet[] = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/* 32 KiB that held a password: too much for a worker's stack, and wiped behind each use. */
static struct crypt_data *data_new(void)
{
    return mem_calloc(1, sizeof(struct crypt_data));
}

static void data_free(struct crypt_data **data)
{
    OPENSSL_cleanse(*data, sizeof **data);
    free(*data);
    *data = NULL;
}

/*
 * The hash of password with the cost and salt at the start of setting; borrowed from data. NULL when setting is none.
 */
static const char *compute(const char *password, const char *setting, struct crypt_data *data)
{
    const char *hash = crypt_r(password, setting, data);
    return hash != NULL && password_is_hash(hash) ? hash : NULL;
}

enum err password_hash(const char *password, int cost, char **hash)
{
    if (strlen(password) > PASSWORD_BYTES_MAX)
        return ERR_PASSWORD_LONG;
    if (cost < PASSWORD_COST_MIN || cost > PASSWORD_COST_MAX)
        return ERR_PASSWORD_HASH;
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (crypt_gensalt_rn("$2a$", (unsigned long)cost, NULL, 0, setting, sizeof setting) == NULL)
        return ERR_PASSWORD_HASH;
    AUTO(data_free) struct crypt_data *data = data_new();
    const char *made = compute(password, setting, data);
    if (made == NULL)
        return ERR_PASSWORD_HASH;
    *hash = mem_strdup(made);
    return ERR_OK;
}

enum err password_check(const char *password, const char *hash)
{
    if (!password_is_hash(hash))
        return ERR_UNAUTHORIZED;
    if (strlen(password) > BYTES_EVER) {
        password_check_nobody(password, password_cost(hash));
        return ERR_UNAUTHORIZED;
    }
    AUTO(data_free) struct crypt_data *data = data_new();
    const char *got = compute(password, hash, data);
    return got != NULL && CRYPTO_memcmp(got, hash, HASH_LEN) == 0 ? ERR_OK : ERR_UNAUTHORIZED;
}

bool password_is_outdated(const char *hash, int cost)
{
    return strncmp(hash, "$2a$", 4) != 0 || password_cost(hash) < cost;
}

int password_cost(const char *hash)
{
    return (hash[4] - '0') * 10 + (hash[5] - '0');
}

bool password_is_hash(const char *hash)
{
    if (strlen(hash) != HASH_LEN || strncmp(hash, "$2", 2) != 0 || strchr("abxy", hash[2]) == NULL)
        return false;
    if (hash[3] != '$' || hash[6] != '$' || strspn(hash + 4, "0123456789") != 2)
        return false;
    int cost = password_cost(hash);
    return cost >= PASSWORD_COST_MIN && cost <= PASSWORD_COST_MAX &&
           strspn(hash + PREFIX_LEN, alphabet) == HASH_LEN - PREFIX_LEN;
}

void password_check_nobody(const char *password, int cost)
{
    int bounded = cost < PASSWORD_COST_MIN ? PASSWORD_COST_MIN : cost > PASSWORD_COST_MAX ? PASSWORD_COST_MAX : cost;
    char setting[PREFIX_LEN + 23];
    snprintf(setting, sizeof setting, "$2a$%02d$......................", bounded);
    /* crypt_r() returns early from what is longer than it ever hashes */
    AUTO(data_free) struct crypt_data *data = data_new();
    compute(strlen(password) > BYTES_EVER ? "" : password, setting, data);
}
