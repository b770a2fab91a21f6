/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What signing and verifying a token costs beside the bare EVP call for the same bytes with a prepared context, and
 * beside libjwt. CPU time of the thread, all operations in turn in each round, medians of the rounds. A ratio is bare /
 * ours: 1.00 is no cost at all.
 *   bench_jws [--json FILE]
 */
#include <jansson.h>
#include <jwt.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "keystore/jws.h"
#include "keystore/key.h"
#include "keystore/keyset.h"
#include "lib/mem.h"

#define ROUNDS 15
#define ROUND_US 20000.0

static const char claims[] =
    "{\"aud\":\"mender\",\"exp\":1800000000,\"iat\":1700000000,\"iss\":\"mender.useradm\","
    "\"jti\":\"0d1e7c52-6a0b-4b7e-9d57-2b8a3a1f4c60\",\"mender.tenant\":\"5abcb6de7a673a0001287c71\",\"mender.user\":"
    "true,"
    "\"nbf\":1700000000,\"scp\":\"mender.*\",\"sub\":\"5a9d1f0e-7b3c-4e2a-8f61-c4d2e0b79a13\"}";

static const struct {
    const char *name;
    const char *type;
    enum key_alg alg;
    jwt_alg_t libjwt; /* JWT_ALG_NONE: it has no such algorithm */
} rows[] = {
    {"RS256-2048", "rsa2048", KEY_RS256, JWT_ALG_RS256}, {"RS256-3072", "rsa3072", KEY_RS256, JWT_ALG_RS256},
    {"ES256", "es256", KEY_ES256, JWT_ALG_ES256},        {"ES384", "es384", KEY_ES384, JWT_ALG_ES384},
    {"EdDSA", "ed25519", KEY_EDDSA, JWT_ALG_NONE},       {"PS256-2048", "rsa2048", KEY_PS256, JWT_ALG_NONE},
};

enum { ROWS = sizeof rows / sizeof rows[0] };

/* One key, and everything that the operations need of it. */
struct bench {
    struct keyset *set;
    const struct key *key;
    char *token;
    size_t token_len;
    size_t signed_len; /* of token: what the signature covers */
    struct jws jws;

    EVP_PKEY *pkey;
    EVP_MD_CTX *sign;
    EVP_MD_CTX *verify;
    EVP_MD_CTX *scratch;
    uint8_t sig[KEY_SIGNATURE_MAX];
    size_t sig_len;

    jwt_t *jwt;
    char *public_pem;
};

static void must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench_jws: %s failed\n", what);
    exit(1);
}

/* the operations */

static void raw_sign(struct bench *b)
{
    b->sig_len = sizeof b->sig;
    must(EVP_MD_CTX_copy_ex(b->scratch, b->sign) == 1 &&
             EVP_DigestSign(b->scratch, b->sig, &b->sig_len, (const uint8_t *)b->token, b->signed_len) == 1,
         "EVP_DigestSign");
}

static void our_sign(struct bench *b)
{
    char *token = NULL;
    must(jws_sign(b->key, claims, sizeof claims - 1, &token) == ERR_OK, "jws_sign");
    mem_wipe(&token);
}

static void libjwt_sign(struct bench *b)
{
    char *token = jwt_encode_str(b->jwt);
    must(token != NULL, "jwt_encode_str");
    free(token);
}

static void raw_verify(struct bench *b)
{
    must(EVP_MD_CTX_copy_ex(b->scratch, b->verify) == 1 &&
             EVP_DigestVerify(b->scratch, b->sig, b->sig_len, (const uint8_t *)b->token, b->signed_len) == 1,
         "EVP_DigestVerify");
}

static void our_verify(struct bench *b)
{
    must(jws_verify(b->set, b->token, b->token_len, &b->jws) == ERR_OK, "jws_verify");
}

static void libjwt_verify(struct bench *b)
{
    jwt_t *jwt = NULL;
    must(jwt_decode(&jwt, b->token, (const unsigned char *)b->public_pem, (int)strlen(b->public_pem)) == 0,
         "jwt_decode");
    jwt_free(jwt);
}

enum op { RAW_SIGN, OUR_SIGN, LIBJWT_SIGN, RAW_VERIFY, OUR_VERIFY, LIBJWT_VERIFY, OPS };

static const struct {
    const char *json;
    void (*run)(struct bench *);
    int is_libjwt;
} ops[OPS] = {
    [RAW_SIGN] = {"raw_sign_us", raw_sign, 0},          [OUR_SIGN] = {"jws_sign_us", our_sign, 0},
    [LIBJWT_SIGN] = {"libjwt_sign_us", libjwt_sign, 1}, [RAW_VERIFY] = {"raw_verify_us", raw_verify, 0},
    [OUR_VERIFY] = {"jws_verify_us", our_verify, 0},    [LIBJWT_VERIFY] = {"libjwt_verify_us", libjwt_verify, 1},
};

/* set-up */

static char *bio_text(BIO *bio)
{
    char *text = NULL;
    long len = BIO_get_mem_data(bio, &text);
    char *copy = mem_strndup(text, (size_t)len);
    BIO_free(bio);
    return copy;
}

static EVP_MD_CTX *template(struct bench *b, enum key_alg alg, int is_sign)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    EVP_PKEY_CTX *params = NULL;
    const char *digest = alg == KEY_EDDSA ? NULL : alg == KEY_ES384 ? "SHA384" : "SHA256";
    must((is_sign ? EVP_DigestSignInit_ex : EVP_DigestVerifyInit_ex)(ctx, &params, digest, NULL, NULL, b->pkey, NULL) ==
             1,
         "EVP init");
    if (alg == KEY_PS256)
        must(EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) > 0 &&
                 EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST) > 0,
             "PSS");
    return ctx;
}

static void set_up_raw(struct bench *b, const char *pem, enum key_alg alg)
{
    BIO *in = BIO_new_mem_buf(pem, -1);
    b->pkey = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
    BIO_free(in);
    must(b->pkey != NULL, "PEM_read_bio_PrivateKey");
    BIO *out = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(out, b->pkey);
    b->public_pem = bio_text(out);
    b->sign = template(b, alg, 1);
    b->verify = template(b, alg, 0);
    b->scratch = EVP_MD_CTX_new();
    raw_sign(b);
}

static void set_up_libjwt(struct bench *b, const char *pem, jwt_alg_t alg)
{
    if (alg == JWT_ALG_NONE)
        return;
    must(jwt_new(&b->jwt) == 0 && jwt_add_grants_json(b->jwt, claims) == 0 &&
             jwt_set_alg(b->jwt, alg, (const unsigned char *)pem, (int)strlen(pem)) == 0,
         "libjwt");
}

static void set_up(struct bench *b, size_t row)
{
    char *pem = NULL;
    struct key *key = NULL;
    must(key_generate(rows[row].type, &pem) == ERR_OK, "key_generate");
    must(key_parse(pem, strlen(pem), 7, rows[row].alg, &key) == ERR_OK, "key_parse");
    struct keyset_entry *entries = mem_calloc(1, sizeof *entries);
    entries[0] = (struct keyset_entry){.file = mem_strdup("private.id.7.pem"), .key = key};
    b->set = keyset_new(entries, 1, key, NULL);
    b->key = keyset_signing(b->set);
    must(jws_sign(b->key, claims, sizeof claims - 1, &b->token) == ERR_OK, "jws_sign");
    b->token_len = strlen(b->token);
    b->signed_len = (size_t)(strrchr(b->token, '.') - b->token);
    set_up_raw(b, pem, rows[row].alg);
    set_up_libjwt(b, pem, rows[row].libjwt);
    mem_wipe(&pem);
}

static void tear_down(struct bench *b)
{
    jwt_free(b->jwt);
    EVP_MD_CTX_free(b->sign);
    EVP_MD_CTX_free(b->verify);
    EVP_MD_CTX_free(b->scratch);
    EVP_PKEY_free(b->pkey);
    mem_free(&b->public_pem);
    mem_wipe(&b->token);
    keyset_free(&b->set);
}

/* measuring */

static double cpu_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static double time_us(struct bench *b, enum op op, int n)
{
    double start = cpu_us();
    for (int i = 0; i < n; i++)
        ops[op].run(b);
    return (cpu_us() - start) / n;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *values)
{
    double sorted[ROUNDS];
    memcpy(sorted, values, sizeof sorted);
    qsort(sorted, ROUNDS, sizeof sorted[0], compare);
    return sorted[ROUNDS / 2];
}

/* Of the rounds' own ratios, so that a machine whose speed drifts does not matter. */
static double ratio(double us[OPS][ROUNDS], enum op bare, enum op ours)
{
    double ratios[ROUNDS];
    for (int i = 0; i < ROUNDS; i++)
        ratios[i] = us[bare][i] / us[ours][i];
    return median(ratios);
}

static void measure(struct bench *b, double us[OPS][ROUNDS])
{
    int n[OPS];
    for (enum op op = 0; op < OPS; op++) {
        n[op] = ops[op].is_libjwt && b->jwt == NULL ? 0 : 1;
        if (n[op] > 0) {
            time_us(b, op, 3);
            n[op] = 1 + (int)(ROUND_US / time_us(b, op, 3));
        }
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (enum op op = 0; op < OPS; op++)
            us[op][round] = n[op] > 0 ? time_us(b, op, n[op]) : 0;
    }
}

static json_t *report(const char *name, size_t token_len, double us[OPS][ROUNDS])
{
    json_t *row = json_pack("{s:s, s:i}", "alg", name, "token_bytes", (int)token_len);
    for (enum op op = 0; op < OPS; op++) {
        double value = median(us[op]);
        json_object_set_new(row, ops[op].json, value > 0 ? json_real(value) : json_null());
    }
    double sign = ratio(us, RAW_SIGN, OUR_SIGN);
    double verify = ratio(us, RAW_VERIFY, OUR_VERIFY);
    json_object_set_new(row, "sign_ratio", json_real(sign));
    json_object_set_new(row, "verify_ratio", json_real(verify));
    printf("%-10s %5zu %11.1f %11.1f %8.0f %6.3f ", name, token_len, median(us[RAW_SIGN]), median(us[OUR_SIGN]),
           1e6 / median(us[OUR_SIGN]), sign);
    printf("%12.1f %11.1f %8.0f %6.3f ", median(us[RAW_VERIFY]), median(us[OUR_VERIFY]), 1e6 / median(us[OUR_VERIFY]),
           verify);
    if (median(us[LIBJWT_SIGN]) > 0)
        printf("%12.1f %11.1f\n", median(us[LIBJWT_SIGN]), median(us[LIBJWT_VERIFY]));
    else
        printf("%12s %11s\n", "-", "-");
    fflush(stdout);
    return row;
}

int main(int argc, char **argv)
{
    if (argc != 1 && (argc != 3 || strcmp(argv[1], "--json") != 0)) {
        fprintf(stderr, "usage: %s [--json FILE]\n", argv[0]);
        return 2;
    }
    json_t *list = json_array();
    printf("%-10s %5s %11s %11s %8s %6s %12s %11s %8s %6s %12s %11s\n", "", "bytes", "sign: EVP", "jws_sign", "per s",
           "ratio", "verify: EVP", "jws_verify", "per s", "ratio", "libjwt: enc", "decode");
    for (size_t row = 0; row < ROWS; row++) {
        static double us[OPS][ROUNDS];
        static struct bench b;
        b = (struct bench){0};
        set_up(&b, row);
        measure(&b, us);
        json_array_append_new(list, report(rows[row].name, b.token_len, us));
        tear_down(&b);
    }
    int rc = 0;
    json_t *all = json_pack("{s:s, s:o}", "unit", "microseconds of CPU per operation, median", "rows", list);
    if (argc == 3 && json_dump_file(all, argv[2], JSON_INDENT(1) | JSON_REAL_PRECISION(6)) != 0) {
        perror(argv[2]);
        rc = 1;
    }
    json_decref(all);
    return rc;
}
