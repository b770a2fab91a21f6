/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/key_impl.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <string.h>

#include "lib/auto.h"

enum { RSA_BITS_MIN = 2048, RSA_BITS_MAX = 8192, RSA_E_MIN = 65537, RSA_E_BITS_MAX = 64 };

/* The numbers of an RSA private key (RFC 8017 section 3.2). */
enum { N, E, D, P, Q, DP, DQ, QINV, PARTS };
struct rsa {
    BIGNUM *part[PARTS];
};

static void context_free(EVP_PKEY_CTX **context)
{
    EVP_PKEY_CTX_free(*context);
    *context = NULL;
}

static void work_free(BN_CTX **work)
{
    BN_CTX_free(*work);
    *work = NULL;
}

static void rsa_release(struct rsa *rsa)
{
    for (size_t i = 0; i < PARTS; i++)
        BN_clear_free(rsa->part[i]);
}

static bool rsa_read(const EVP_PKEY *pkey, struct rsa *rsa)
{
    static const char *const names[PARTS] = {
        [N] = OSSL_PKEY_PARAM_RSA_N,          [E] = OSSL_PKEY_PARAM_RSA_E,
        [D] = OSSL_PKEY_PARAM_RSA_D,          [P] = OSSL_PKEY_PARAM_RSA_FACTOR1,
        [Q] = OSSL_PKEY_PARAM_RSA_FACTOR2,    [DP] = OSSL_PKEY_PARAM_RSA_EXPONENT1,
        [DQ] = OSSL_PKEY_PARAM_RSA_EXPONENT2, [QINV] = OSSL_PKEY_PARAM_RSA_COEFFICIENT1,
    };
    for (size_t i = 0; i < PARTS; i++)
        if (EVP_PKEY_get_bn_param(pkey, names[i], &rsa->part[i]) != 1)
            return false;
    return true;
}

static bool has_third_prime(const EVP_PKEY *pkey)
{
    AUTO(rsa_release) struct rsa rsa = {0};
    return EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_FACTOR3, &rsa.part[P]) == 1;
}

/* d and the exponent of one prime belong to e and that prime: e * dp = 1 and d = dp, modulo prime - 1. */
static bool exponent_fits(const struct rsa *rsa, int prime, int exponent, BN_CTX *work)
{
    BN_CTX_start(work);
    BIGNUM *order = BN_CTX_get(work);
    BIGNUM *product = BN_CTX_get(work);
    BIGNUM *reduced = BN_CTX_get(work);
    bool fits = reduced != NULL && BN_sub(order, rsa->part[prime], BN_value_one()) == 1 &&
                BN_mod_mul(product, rsa->part[E], rsa->part[exponent], order, work) == 1 && BN_is_one(product) &&
                BN_nnmod(reduced, rsa->part[D], order, work) == 1 && BN_cmp(reduced, rsa->part[exponent]) == 0;
    BN_CTX_end(work);
    return fits;
}

/*
 * Everything that must hold between the numbers, short of proving the primes prime, which takes seconds for RSA-8192.
 */
static bool rsa_fits(const struct rsa *rsa)
{
    AUTO(work_free) BN_CTX *work = BN_CTX_secure_new();
    if (work == NULL || BN_cmp(rsa->part[D], rsa->part[N]) >= 0)
        return false;
    BN_CTX_start(work);
    BIGNUM *product = BN_CTX_get(work);
    bool fits = product != NULL && BN_mul(product, rsa->part[P], rsa->part[Q], work) == 1 &&
                BN_cmp(product, rsa->part[N]) == 0 && exponent_fits(rsa, P, DP, work) &&
                exponent_fits(rsa, Q, DQ, work) &&
                BN_mod_mul(product, rsa->part[Q], rsa->part[QINV], rsa->part[P], work) == 1 && BN_is_one(product);
    BN_CTX_end(work);
    return fits;
}

static enum err check_rsa(const EVP_PKEY *pkey, enum key_alg rsa_alg, enum key_alg *alg)
{
    int bits = EVP_PKEY_get_bits(pkey);
    if (bits < RSA_BITS_MIN || bits > RSA_BITS_MAX)
        return ERR_KEY_WEAK;
    if (has_third_prime(pkey))
        return ERR_KEY_TYPE;
    AUTO(rsa_release) struct rsa rsa = {0};
    if (!rsa_read(pkey, &rsa))
        return ERR_KEY_INCONSISTENT;
    const BIGNUM *e = rsa.part[E];
    if (!BN_is_odd(e) || BN_num_bits(e) > RSA_E_BITS_MAX || BN_get_word(e) < RSA_E_MIN ||
        key_check_is_roca(rsa.part[N]))
        return ERR_KEY_WEAK;
    if (!rsa_fits(&rsa))
        return ERR_KEY_INCONSISTENT;
    if (strcmp(key_traits(rsa_alg)->kty, "RSA") != 0)
        return ERR_KEY_ALG;
    *alg = rsa_alg;
    return ERR_OK;
}

static enum err check_ec(EVP_PKEY *pkey, enum key_alg *alg)
{
    char group[32];
    int is_explicit = 0;
    if (EVP_PKEY_get_group_name(pkey, group, sizeof group, NULL) != 1 ||
        EVP_PKEY_get_int_param(pkey, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS, &is_explicit) != 1 || is_explicit)
        return ERR_KEY_TYPE;
    TRY(key_alg_of_group(group, alg));
    AUTO(context_free) EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_pkey(NULL, pkey, NULL);
    return context != NULL && EVP_PKEY_check(context) == 1 ? ERR_OK : ERR_KEY_INCONSISTENT;
}

enum err key_check(EVP_PKEY *pkey, enum key_alg rsa_alg, enum key_alg *alg)
{
    if (EVP_PKEY_is_a(pkey, "EC"))
        return check_ec(pkey, alg);
    if (EVP_PKEY_is_a(pkey, "RSA"))
        return check_rsa(pkey, rsa_alg, alg);
    if (!EVP_PKEY_is_a(pkey, "ED25519"))
        return ERR_KEY_TYPE;
    *alg = KEY_EDDSA;
    return ERR_OK;
}

bool key_check_is_roca(const BIGNUM *n)
{
    static const uint8_t primes[] = {3,   5,   7,   11,  13,  17,  19,  23,  29,  31,  37,  41,  43,
                                     47,  53,  59,  61,  67,  71,  73,  79,  83,  89,  97,  101, 103,
                                     107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167};
    for (size_t i = 0; i < sizeof primes; i++) {
        BN_ULONG rest = BN_mod_word(n, primes[i]);
        BN_ULONG power = 1;
        do
            power = power * 65537 % primes[i];
        while (power != rest && power != 1);
        if (power != rest)
            return false;
    }
    return true;
}
