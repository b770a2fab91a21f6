/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "tests/bench/parts.h"

#include <crypt.h>
#include <jansson.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "keystore/pubkey.h"
#include "lib/mem.h"

#define COMMIT_ROWS 32
#define SIGNATURE_MAX 512

/* About what is signed: a token's header and claims, or a device's request. */
static const char message[] =
    "{\"aud\":\"mender\",\"exp\":1800000000,\"iat\":1700000000,\"iss\":\"mender.useradm\","
    "\"jti\":\"0d1e7c52-6a0b-4b7e-9d57-2b8a3a1f4c60\",\"mender.tenant\":\"5abcb6de7a673a0001287c71\",\"mender.user\":"
    "true,"
    "\"nbf\":1700000000,\"scp\":\"mender.*\",\"sub\":\"5a9d1f0e-7b3c-4e2a-8f61-c4d2e0b79a13\"}";

enum kind { RSA2048, RSA3072, P256, ED25519, KINDS };

/* One key, and all that its operations need. */
struct signer {
    EVP_PKEY *key;
    EVP_MD_CTX *sign; /* prepared; copied for each operation */
    EVP_MD_CTX *verify;
    char *pem; /* of the public key */
    uint8_t sig[SIGNATURE_MAX];
    size_t sig_len;
};

static struct signer signers[KINDS];
static char directory[] = "/tmp/mintd-bench-XXXXXX";
static sqlite3 *db;
static sqlite3_stmt *put;
static long long next_row;

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s failed\n", what);
    exit(1);
}

/* The operations; any thread may run them but for commit(). */

static EVP_MD_CTX *context(void)
{
    static _Thread_local EVP_MD_CTX *ctx;
    if (ctx == NULL)
        ctx = EVP_MD_CTX_new();
    return ctx;
}

static size_t make_signature(const struct signer *s, uint8_t sig[SIGNATURE_MAX])
{
    EVP_MD_CTX *ctx = context();
    size_t len = SIGNATURE_MAX;
    must(EVP_MD_CTX_copy_ex(ctx, s->sign) == 1 &&
             EVP_DigestSign(ctx, sig, &len, (const uint8_t *)message, sizeof message - 1) == 1,
         "EVP_DigestSign");
    return len;
}

static void sign(const struct signer *s)
{
    uint8_t sig[SIGNATURE_MAX];
    make_signature(s, sig);
}

static void verify(const struct signer *s)
{
    EVP_MD_CTX *ctx = context();
    must(EVP_MD_CTX_copy_ex(ctx, s->verify) == 1 &&
             EVP_DigestVerify(ctx, s->sig, s->sig_len, (const uint8_t *)message, sizeof message - 1) == 1,
         "EVP_DigestVerify");
}

static void parse_key(const struct signer *s)
{
    char why[PUBKEY_WHY_SIZE];
    struct pubkey *key = NULL;
    must(pubkey_parse(s->pem, strlen(s->pem), PUBKEY_RSA_BITS_MIN, why, &key) == ERR_OK, "pubkey_parse");
    pubkey_free(&key);
}

static void parse_json(const struct signer *s)
{
    (void)s;
    json_t *claims = json_loadb(message, sizeof message - 1, 0, NULL);
    must(claims != NULL, "json_loadb");
    json_decref(claims);
}

static void hash_password(const struct signer *s)
{
    (void)s;
    static _Thread_local struct crypt_data data;
    must(crypt_r("bench password", "$2a$10$abcdefghijklmnopqrstuu", &data) != NULL, "crypt_r");
}

static void commit(const struct signer *s)
{
    (void)s;
    must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "BEGIN");
    for (int i = 0; i < COMMIT_ROWS; i++) {
        char id[40];
        snprintf(id, sizeof id, "%036lld", next_row++ % 1000);
        sqlite3_bind_text(put, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(put, 2, next_row);
        must(sqlite3_step(put) == SQLITE_DONE, "INSERT");
        sqlite3_reset(put);
    }
    must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "COMMIT");
}

/* clang-format off */
const struct part parts[] = {
    {"sign_rsa2048",   sign,          &signers[RSA2048], 1, CLOCK_THREAD_CPUTIME_ID},
    {"sign_rsa3072",   sign,          &signers[RSA3072], 1, CLOCK_THREAD_CPUTIME_ID},
    {"sign_es256",     sign,          &signers[P256], 1, CLOCK_THREAD_CPUTIME_ID},
    {"sign_ed25519",   sign,          &signers[ED25519], 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_rsa2048", verify,        &signers[RSA2048], 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_rsa3072", verify,        &signers[RSA3072], 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_es256",   verify,        &signers[P256], 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_ed25519", verify,        &signers[ED25519], 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_rsa2048",  parse_key,     &signers[RSA2048], 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_rsa3072",  parse_key,     &signers[RSA3072], 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_es256",    parse_key,     &signers[P256], 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_ed25519",  parse_key,     &signers[ED25519], 1, CLOCK_THREAD_CPUTIME_ID},
    {"json",           parse_json,    &signers[P256], 1, CLOCK_THREAD_CPUTIME_ID},
    {"commit",         commit,        &signers[P256], COMMIT_ROWS, CLOCK_THREAD_CPUTIME_ID},
    {"commit_wall",    commit,        &signers[P256], COMMIT_ROWS, CLOCK_MONOTONIC},
    {"bcrypt10",       hash_password, &signers[P256], 1, CLOCK_THREAD_CPUTIME_ID},
    {0},
};
/* clang-format on */

/* Set-up */

static EVP_PKEY *make_key(enum kind kind)
{
    switch (kind) {
    case RSA2048:
        return EVP_RSA_gen(2048);
    case RSA3072:
        return EVP_RSA_gen(3072);
    case P256:
        return EVP_EC_gen("P-256");
    case ED25519:
    case KINDS:
        break;
    }
    return EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
}

static char *public_pem(EVP_PKEY *key)
{
    BIO *out = BIO_new(BIO_s_mem());
    char *text = NULL;
    must(PEM_write_bio_PUBKEY(out, key) == 1, "PEM_write_bio_PUBKEY");
    long len = BIO_get_mem_data(out, &text);
    char *pem = mem_strndup(text, (size_t)len);
    BIO_free(out);
    return pem;
}

static void prepare(struct signer *s)
{
    enum kind kind = (enum kind)(s - signers);
    if (s->key != NULL)
        return;
    const char *digest = kind == ED25519 ? NULL : "SHA256";
    s->key = make_key(kind);
    must(s->key != NULL, "making a key");
    s->pem = public_pem(s->key);
    s->sign = EVP_MD_CTX_new();
    s->verify = EVP_MD_CTX_new();
    must(EVP_DigestSignInit_ex(s->sign, NULL, digest, NULL, NULL, s->key, NULL) == 1 &&
             EVP_DigestVerifyInit_ex(s->verify, NULL, digest, NULL, NULL, s->key, NULL) == 1,
         "EVP init");
    s->sig_len = make_signature(s, s->sig);
}

static void open_database(void)
{
    if (db != NULL)
        return;
    must(mkdtemp(directory) != NULL, directory);
    char *path = mem_printf("%s/commit.db", directory);
    must(sqlite3_open(path, &db) == SQLITE_OK, path);
    mem_free(&path);
    must(sqlite3_exec(db,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
                      "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)",
                      NULL, NULL, NULL) == SQLITE_OK,
         "CREATE");
    must(sqlite3_prepare_v2(db, "INSERT INTO t VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET n = excluded.n", -1, &put,
                            NULL) == SQLITE_OK,
         "INSERT");
}

const struct part *parts_get(const char *name)
{
    const struct part *part = parts;
    while (part->name != NULL && strcmp(part->name, name) != 0)
        part++;
    must(part->name != NULL, name);
    if (part->run == commit)
        open_database();
    prepare(part->signer);
    return part;
}

void parts_done(void)
{
    if (db == NULL)
        return;
    sqlite3_finalize(put);
    sqlite3_close(db);
    char *path = mem_printf("%s/commit.db", directory);
    unlink(path);
    rmdir(directory);
    mem_free(&path);
}
