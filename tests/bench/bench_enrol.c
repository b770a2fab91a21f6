/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a device's request for a token is made of, each part by itself: reading its public key, verifying its signature,
 * signing the token, and one row's share of a durable commit of 32 rows. CPU time of the thread, for the commit also
 * what the clock on the wall says; medians of rounds that take the parts in turn.
 *   bench_enrol DIR
 * writes DIR/body, DIR/signature and DIR/pubkey.pem, a request that is good as often as it is sent, and prints JSON.
 */
#include <jansson.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keystore/pubkey.h"
#include "lib/mem.h"

#define ROUNDS 15
#define ROUND_US 20000.0
#define COMMIT_ROWS 32

struct bench {
    EVP_PKEY *device;
    EVP_PKEY *server;
    EVP_MD_CTX *verify; /* prepared; copied for each operation */
    EVP_MD_CTX *sign;
    EVP_MD_CTX *scratch;
    char *pem; /* of the device's public key */
    char *body;
    uint8_t sig[256];
    size_t sig_len;
    uint8_t made[256];
    sqlite3 *db;
    sqlite3_stmt *put;
    long long next_row;
};

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_enrol: %s failed\n", what);
    exit(1);
}

/* the parts */

static void parse_key(struct bench *b)
{
    char why[PUBKEY_WHY_SIZE];
    struct pubkey *key = NULL;
    must(pubkey_parse(b->pem, strlen(b->pem), PUBKEY_RSA_BITS_MIN, why, &key) == ERR_OK, "pubkey_parse");
    pubkey_free(&key);
}

static void verify(struct bench *b)
{
    must(EVP_MD_CTX_copy_ex(b->scratch, b->verify) == 1 &&
             EVP_DigestVerify(b->scratch, b->sig, b->sig_len, (const uint8_t *)b->body, strlen(b->body)) == 1,
         "EVP_DigestVerify");
}

static void sign(struct bench *b)
{
    size_t len = sizeof b->made;
    must(EVP_MD_CTX_copy_ex(b->scratch, b->sign) == 1 &&
             EVP_DigestSign(b->scratch, b->made, &len, (const uint8_t *)b->body, strlen(b->body)) == 1,
         "EVP_DigestSign");
}

static void commit(struct bench *b)
{
    must(sqlite3_exec(b->db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, "BEGIN");
    for (int i = 0; i < COMMIT_ROWS; i++) {
        char id[40];
        snprintf(id, sizeof id, "%036lld", b->next_row++ % 1000);
        sqlite3_bind_text(b->put, 1, id, -1, SQLITE_STATIC);
        sqlite3_bind_int64(b->put, 2, b->next_row);
        must(sqlite3_step(b->put) == SQLITE_DONE, "INSERT");
        sqlite3_reset(b->put);
    }
    must(sqlite3_exec(b->db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, "COMMIT");
}

enum part { PARSE, VERIFY, SIGN, COMMIT, PARTS };

static const struct {
    const char *json;
    void (*run)(struct bench *);
    int operations;
} parts[PARTS] = {
    [PARSE] = {"parse_us", parse_key, 1},
    [VERIFY] = {"verify_us", verify, 1},
    [SIGN] = {"sign_us", sign, 1},
    [COMMIT] = {"commit_us", commit, COMMIT_ROWS},
};

/* set-up */

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

static EVP_MD_CTX *prepared(EVP_PKEY *key, int is_sign)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    must((is_sign ? EVP_DigestSignInit_ex : EVP_DigestVerifyInit_ex)(ctx, NULL, "SHA256", NULL, NULL, key, NULL) == 1,
         "EVP init");
    return ctx;
}

static void write_file(const char *dir, const char *name, const void *data, size_t len)
{
    char *path = mem_printf("%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    must(file != NULL && fwrite(data, 1, len, file) == len && fclose(file) == 0, path);
    mem_free(&path);
}

static void set_up_request(struct bench *b, const char *dir)
{
    json_t *request = json_pack("{s:s, s:s}", "id_data", "{\"mac\":\"02:00:00:00:00:01\"}", "pubkey", b->pem);
    b->body = json_dumps(request, JSON_COMPACT);
    json_decref(request);
    EVP_MD_CTX *ctx = prepared(b->device, 1);
    b->sig_len = sizeof b->sig;
    must(EVP_DigestSign(ctx, b->sig, &b->sig_len, (const uint8_t *)b->body, strlen(b->body)) == 1, "EVP_DigestSign");
    EVP_MD_CTX_free(ctx);
    unsigned char text[400];
    int len = EVP_EncodeBlock(text, b->sig, (int)b->sig_len);
    write_file(dir, "body", b->body, strlen(b->body));
    write_file(dir, "signature", text, (size_t)len);
    write_file(dir, "pubkey.pem", b->pem, strlen(b->pem));
}

static void set_up_database(struct bench *b, const char *dir)
{
    char *path = mem_printf("%s/commit.db", dir);
    must(sqlite3_open(path, &b->db) == SQLITE_OK, path);
    mem_free(&path);
    must(sqlite3_exec(b->db,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 4000;"
                      "CREATE TABLE t (id TEXT NOT NULL PRIMARY KEY, n BIGINT NOT NULL)",
                      NULL, NULL, NULL) == SQLITE_OK,
         "CREATE");
    must(sqlite3_prepare_v2(b->db, "INSERT INTO t VALUES (?1, ?2) ON CONFLICT (id) DO UPDATE SET n = excluded.n", -1,
                            &b->put, NULL) == SQLITE_OK,
         "INSERT");
}

/* measuring */

static double clock_us(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double time_us(struct bench *b, enum part part, int n, clockid_t id)
{
    double start = clock_us(id);
    for (int i = 0; i < n; i++)
        parts[part].run(b);
    return (clock_us(id) - start) / n / parts[part].operations;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

int main(int argc, char **argv)
{
    must(argc == 2, "usage: bench_enrol DIR: it");
    struct bench b = {.device = EVP_EC_gen("P-256"), .server = EVP_EC_gen("P-256"), .scratch = EVP_MD_CTX_new()};
    b.pem = public_pem(b.device);
    b.verify = prepared(b.device, 0);
    b.sign = prepared(b.server, 1);
    set_up_request(&b, argv[1]);
    set_up_database(&b, argv[1]);
    static double us[PARTS][ROUNDS];
    static double wall[ROUNDS];
    int n[PARTS];
    for (enum part part = 0; part < PARTS; part++)
        n[part] = 1 + (int)(ROUND_US / parts[part].operations / time_us(&b, part, 3, CLOCK_MONOTONIC));
    for (int round = 0; round < ROUNDS; round++) {
        for (enum part part = 0; part < PARTS; part++)
            us[part][round] = time_us(&b, part, n[part], CLOCK_THREAD_CPUTIME_ID);
        wall[round] = time_us(&b, COMMIT, n[COMMIT], CLOCK_MONOTONIC);
    }
    json_t *report = json_object();
    for (enum part part = 0; part < PARTS; part++)
        json_object_set_new(report, parts[part].json, json_real(median(us[part])));
    json_object_set_new(report, "commit_wall_us", json_real(median(wall)));
    json_dumpf(report, stdout, JSON_REAL_PRECISION(6));
    return 0;
}
