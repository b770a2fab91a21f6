/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_TORTURE_CALLS_H
#define TESTS_TORTURE_CALLS_H

/*
 * Functions of libraries that may fail, and what they return then. The Makefile passes each to the linker's --wrap, so
 * a row is one function at the beginning of one line. What SHA-256 and random bytes need is not among them: without
 * those the program ends.
 */
/* clang-format off */
#define CALLS(X)                                                                                                       \
    X(sqlite3_open_v2, FAULT_STORAGE, 14)                                                                              \
    X(sqlite3_prepare_v2, FAULT_STORAGE, 10)                                                                           \
    X(sqlite3_prepare_v3, FAULT_STORAGE, 10)                                                                           \
    X(sqlite3_bind_text, FAULT_STORAGE, 7)                                                                             \
    X(sqlite3_bind_int64, FAULT_STORAGE, 7)                                                                            \
    X(sqlite3_bind_null, FAULT_STORAGE, 7)                                                                             \
    X(sqlite3_step, FAULT_STORAGE, 10)                                                                                 \
    X(sqlite3_exec, FAULT_STORAGE, 13)                                                                                 \
    X(PQconnectdbParams, FAULT_STORAGE, 0)                                                                             \
    X(PQsetnonblocking, FAULT_STORAGE, -1)                                                                             \
    X(PQsendQuery, FAULT_STORAGE, 0)                                                                                   \
    X(PQsendPrepare, FAULT_STORAGE, 0)                                                                                 \
    X(PQsendQueryPrepared, FAULT_STORAGE, 0)                                                                           \
    X(PQflush, FAULT_STORAGE, -1)                                                                                      \
    X(PQconsumeInput, FAULT_STORAGE, 0)                                                                                \
    X(crypt_gensalt_rn, FAULT_OPENSSL, 0)                                                                              \
    X(BIO_new, FAULT_OPENSSL, 0)                                                                                       \
    X(BN_bin2bn, FAULT_OPENSSL, 0)                                                                                     \
    X(BN_bn2binpad, FAULT_OPENSSL, -1)                                                                                 \
    X(BN_CTX_get, FAULT_OPENSSL, 0)                                                                                    \
    X(BN_CTX_secure_new, FAULT_OPENSSL, 0)                                                                             \
    X(BN_mod_mul, FAULT_OPENSSL, 0)                                                                                    \
    X(BN_mul, FAULT_OPENSSL, 0)                                                                                        \
    X(BN_nnmod, FAULT_OPENSSL, 0)                                                                                      \
    X(BN_sub, FAULT_OPENSSL, 0)                                                                                        \
    X(d2i_ECDSA_SIG, FAULT_OPENSSL, 0)                                                                                 \
    X(d2i_PKCS8_PRIV_KEY_INFO, FAULT_OPENSSL, 0)                                                                       \
    X(ECDSA_SIG_new, FAULT_OPENSSL, 0)                                                                                 \
    X(ECDSA_SIG_set0, FAULT_OPENSSL, 0)                                                                                \
    X(EVP_Digest, FAULT_OPENSSL, 0)                                                                                    \
    X(EVP_DigestSign, FAULT_OPENSSL, 0)                                                                                \
    X(EVP_DigestSignInit, FAULT_OPENSSL, 0)                                                                            \
    X(EVP_DigestSignInit_ex, FAULT_OPENSSL, 0)                                                                         \
    X(EVP_DigestVerify, FAULT_OPENSSL, -1)                                                                             \
    X(EVP_DigestVerifyInit_ex, FAULT_OPENSSL, 0)                                                                       \
    X(EVP_MD_CTX_copy_ex, FAULT_OPENSSL, 0)                                                                            \
    X(EVP_MD_CTX_new, FAULT_OPENSSL, 0)                                                                                \
    X(EVP_PKEY_check, FAULT_OPENSSL, 0)                                                                                \
    X(EVP_PKEY_CTX_new_from_name, FAULT_OPENSSL, 0)                                                                    \
    X(EVP_PKEY_CTX_new_from_pkey, FAULT_OPENSSL, 0)                                                                    \
    X(EVP_PKEY_CTX_set_rsa_padding, FAULT_OPENSSL, 0)                                                                  \
    X(EVP_PKEY_CTX_set_rsa_pss_saltlen, FAULT_OPENSSL, 0)                                                              \
    X(EVP_PKEY_fromdata, FAULT_OPENSSL, 0)                                                                             \
    X(EVP_PKEY_fromdata_init, FAULT_OPENSSL, 0)                                                                        \
    X(EVP_PKEY_get_bn_param, FAULT_OPENSSL, 0)                                                                         \
    X(EVP_PKEY_get_group_name, FAULT_OPENSSL, 0)                                                                       \
    X(EVP_PKEY_get_int_param, FAULT_OPENSSL, 0)                                                                        \
    X(EVP_PKEY_get_raw_public_key, FAULT_OPENSSL, 0)                                                                   \
    X(EVP_PKEY_new_raw_public_key_ex, FAULT_OPENSSL, 0)                                                                \
    X(i2d_ECDSA_SIG, FAULT_OPENSSL, -1)                                                                                \
    X(OSSL_DECODER_CTX_new_for_pkey, FAULT_OPENSSL, 0)                                                                 \
    X(OSSL_DECODER_CTX_set_pem_password_cb, FAULT_OPENSSL, 0)                                                          \
    X(OSSL_DECODER_from_data, FAULT_OPENSSL, 0)                                                                        \
    X(OSSL_PARAM_BLD_new, FAULT_OPENSSL, 0)                                                                            \
    X(OSSL_PARAM_BLD_push_BN, FAULT_OPENSSL, 0)                                                                        \
    X(OSSL_PARAM_BLD_push_octet_string, FAULT_OPENSSL, 0)                                                              \
    X(OSSL_PARAM_BLD_push_utf8_string, FAULT_OPENSSL, 0)                                                               \
    X(OSSL_PARAM_BLD_to_param, FAULT_OPENSSL, 0)                                                                       \
    X(PEM_write_bio_PUBKEY, FAULT_OPENSSL, 0)                                                                          \
    X(PEM_write_bio_PKCS8PrivateKey, FAULT_OPENSSL, 0)
/* clang-format on */

#endif
