/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What requests are made of, each part by itself, as bare as it gets: signatures with a prepared context, the claims'
 * JSON, one row's share of a durable commit of 32 rows, a password's hash.
 *   bench_parts [NAME ...]
 * prints {"NAME": us, ...} for the parts named, or for all: CPU time of the thread in microseconds, for names that end
 * in _wall the time on the wall. Medians of rounds that take the parts in turn. Commits go to a file in /tmp.
 */
#define _GNU_SOURCE
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
#include <time.h>
#include <unistd.h>

#include "keystore/pubkey.h"
#include "lib/mem.h"

#define ROUNDS 7
#define ROUND_US 4000.0
#define COMMIT_ROWS 32

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
    uint8_t sig[512];
    size_t sig_len;
};

static struct signer signers[KINDS];
static EVP_MD_CTX *scratch;
static sqlite3 *db;
static sqlite3_stmt *put;
static long long next_row;

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_parts: %s failed\n", what);
    exit(1);
}

/* the operations */

static void sign(struct signer *s)
{
    s->sig_len = sizeof s->sig;
    must(EVP_MD_CTX_copy_ex(scratch, s->sign) == 1 &&
             EVP_DigestSign(scratch, s->sig, &s->sig_len, (const uint8_t *)message, sizeof message - 1) == 1,
         "EVP_DigestSign");
}

static void verify(struct signer *s)
{
    must(EVP_MD_CTX_copy_ex(scratch, s->verify) == 1 &&
             EVP_DigestVerify(scratch, s->sig, s->sig_len, (const uint8_t *)message, sizeof message - 1) == 1,
         "EVP_DigestVerify");
}

static void parse_key(struct signer *s)
{
    char why[PUBKEY_WHY_SIZE];
    struct pubkey *key = NULL;
    must(pubkey_parse(s->pem, strlen(s->pem), PUBKEY_RSA_BITS_MIN, why, &key) == ERR_OK, "pubkey_parse");
    pubkey_free(&key);
}

static void parse_json(struct signer *s)
{
    (void)s;
    json_t *claims = json_loadb(message, sizeof message - 1, 0, NULL);
    must(claims != NULL, "json_loadb");
    json_decref(claims);
}

static void hash_password(struct signer *s)
{
    (void)s;
    static struct crypt_data data;
    must(crypt_r("bench password", "$2a$10$abcdefghijklmnopqrstuu", &data) != NULL, "crypt_r");
}

static void commit(struct signer *s)
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

struct part {
    const char *name;
    void (*run)(struct signer *);
    enum kind kind;
    int operations;
    clockid_t clock;
};

/* clang-format off */
static const struct part parts[] = {
    {"sign_rsa2048",   sign,          RSA2048, 1, CLOCK_THREAD_CPUTIME_ID},
    {"sign_rsa3072",   sign,          RSA3072, 1, CLOCK_THREAD_CPUTIME_ID},
    {"sign_es256",     sign,          P256,    1, CLOCK_THREAD_CPUTIME_ID},
    {"sign_ed25519",   sign,          ED25519, 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_rsa2048", verify,        RSA2048, 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_rsa3072", verify,        RSA3072, 1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_es256",   verify,        P256,    1, CLOCK_THREAD_CPUTIME_ID},
    {"verify_ed25519", verify,        ED25519, 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_rsa2048",  parse_key,     RSA2048, 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_rsa3072",  parse_key,     RSA3072, 1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_es256",    parse_key,     P256,    1, CLOCK_THREAD_CPUTIME_ID},
    {"parse_ed25519",  parse_key,     ED25519, 1, CLOCK_THREAD_CPUTIME_ID},
    {"json",           parse_json,    P256,    1, CLOCK_THREAD_CPUTIME_ID},
    {"commit",         commit,        P256,    COMMIT_ROWS, CLOCK_THREAD_CPUTIME_ID},
    {"commit_wall",    commit,        P256,    COMMIT_ROWS, CLOCK_MONOTONIC},
    {"bcrypt10",       hash_password, P256,    1, CLOCK_THREAD_CPUTIME_ID},
};
/* clang-format on */

enum { PARTS = sizeof parts / sizeof parts[0] };

/* set-up */

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

static struct signer *signer(enum kind kind)
{
    struct signer *s = &signers[kind];
    if (s->key != NULL)
        return s;
    const char *digest = kind == ED25519 ? NULL : "SHA256";
    s->key = make_key(kind);
    must(s->key != NULL, "making a key");
    s->pem = public_pem(s->key);
    s->sign = EVP_MD_CTX_new();
    s->verify = EVP_MD_CTX_new();
    must(EVP_DigestSignInit_ex(s->sign, NULL, digest, NULL, NULL, s->key, NULL) == 1 &&
             EVP_DigestVerifyInit_ex(s->verify, NULL, digest, NULL, NULL, s->key, NULL) == 1,
         "EVP init");
    sign(s);
    return s;
}

static void open_database(char *dir)
{
    must(mkdtemp(dir) != NULL, dir);
    char *path = mem_printf("%s/commit.db", dir);
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

static void remove_database(const char *dir)
{
    sqlite3_finalize(put);
    sqlite3_close(db);
    char *path = mem_printf("%s/commit.db", dir);
    unlink(path);
    rmdir(dir);
    mem_free(&path);
}

/* measuring */

static double now_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double time_us(const struct part *part, int n)
{
    struct signer *s = &signers[part->kind];
    double start = now_us(part->clock);
    for (int i = 0; i < n; i++)
        part->run(s);
    return (now_us(part->clock) - start) / n / part->operations;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static int is_wanted(const struct part *part, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], part->name) == 0)
            return 1;
    return argc == 1;
}

int main(int argc, char **argv)
{
    char dir[] = "/tmp/mintd-bench-XXXXXX";
    static double us[PARTS][ROUNDS];
    const struct part *wanted[PARTS];
    int times[PARTS];
    int count = 0;
    scratch = EVP_MD_CTX_new();
    open_database(dir);
    for (int i = 0; i < PARTS; i++) {
        if (!is_wanted(&parts[i], argc, argv))
            continue;
        signer(parts[i].kind);
        times[count] = 1 + (int)(ROUND_US / parts[i].operations / time_us(&parts[i], 3));
        wanted[count++] = &parts[i];
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < count; i++)
            us[i][round] = time_us(wanted[i], times[i]);
    json_t *report = json_object();
    for (int i = 0; i < count; i++) {
        qsort(us[i], ROUNDS, sizeof us[i][0], compare);
        json_object_set_new(report, wanted[i]->name, json_real(us[i][ROUNDS / 2]));
    }
    json_dumpf(report, stdout, JSON_REAL_PRECISION(6));
    remove_database(dir);
    return 0;
}
