/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/key_cell.h"

#include <openssl/rsa.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "lib/auto.h"
#include "lib/mem.h"

/*
 * To set up an EVP context costs more than to copy one, and fetches under a lock that all threads share. So each key
 * has some cells with contexts made at first use, and a thread mostly comes back to the same one.
 */
enum { CELLS = 16 };

/* What one thread at a time works with. */
struct key_cell {
    atomic_flag is_taken;
    EVP_MD_CTX *sign;                       /* ready to sign, never used itself */
    EVP_MD_CTX *verify;                     /* ready to verify, never used itself */
    EVP_MD_CTX *scratch;                    /* the copy that works */
    char padding[128 - 4 * sizeof(void *)]; /* two cells share no cache line, wherever the array begins */
};

struct key_cells {
    EVP_PKEY *pkey;
    const char *digest;
    bool is_pss;
    struct key_cell cell[CELLS];
};

/* EVP_DigestSignInit_ex() or EVP_DigestVerifyInit_ex() */
typedef int init_fn(EVP_MD_CTX *, EVP_PKEY_CTX **, const char *, OSSL_LIB_CTX *, const char *, EVP_PKEY *,
                    const OSSL_PARAM *);

static void context_free(EVP_MD_CTX **context)
{
    EVP_MD_CTX_free(*context);
    *context = NULL;
}

static void cell_clear(struct key_cell *cell)
{
    context_free(&cell->sign);
    context_free(&cell->verify);
    context_free(&cell->scratch);
}

/* Each thread starts its search for a free cell where it is likely to find the one it had. */
static size_t first_choice(void)
{
    static atomic_size_t threads;
    static _Thread_local size_t mine;
    if (mine == 0)
        mine = atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed) + 1;
    return mine;
}

/* A cell for the calling thread alone: one of the key's, or spare when all are taken. */
static struct key_cell *cell_take(struct key_cells *cells, struct key_cell *spare)
{
    size_t first = first_choice();
    for (size_t i = 0; i < CELLS; i++) {
        struct key_cell *cell = &cells->cell[(first + i) % CELLS];
        if (!atomic_flag_test_and_set_explicit(&cell->is_taken, memory_order_acquire))
            return cell;
    }
    return spare;
}

static void cell_give(struct key_cell *cell, const struct key_cell *spare)
{
    if (cell == spare)
        cell_clear(cell);
    else
        atomic_flag_clear_explicit(&cell->is_taken, memory_order_release);
}

/* RFC 7518 section 3.5. Said outright on both sides: left alone, a verifier takes any salt length. */
static bool use_pss(EVP_PKEY_CTX *params)
{
    return EVP_PKEY_CTX_set_rsa_padding(params, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(params, RSA_PSS_SALTLEN_DIGEST) > 0;
}

/* Make *context ready for the key's algorithm, if it is not yet. Untold, MGF1 takes the same hash. */
static bool prepare(const struct key_cells *cells, init_fn *init, EVP_MD_CTX **context)
{
    if (*context != NULL)
        return true;
    EVP_PKEY_CTX *params = NULL;
    AUTO(context_free) EVP_MD_CTX *fresh = EVP_MD_CTX_new();
    if (fresh == NULL || init(fresh, &params, cells->digest, NULL, NULL, cells->pkey, NULL) != 1)
        return false;
    if (cells->is_pss && !use_pss(params))
        return false;
    *context = MOVE(fresh);
    return true;
}

static bool copy_to_scratch(struct key_cell *cell, const EVP_MD_CTX *ready)
{
    if (cell->scratch == NULL)
        cell->scratch = EVP_MD_CTX_new();
    return cell->scratch != NULL && EVP_MD_CTX_copy_ex(cell->scratch, ready) == 1;
}

struct key_cells *key_cell_new(EVP_PKEY *pkey, const char *digest, bool is_pss)
{
    struct key_cells *cells = mem_calloc(1, sizeof *cells);
    cells->pkey = pkey;
    cells->digest = digest;
    cells->is_pss = is_pss;
    for (size_t i = 0; i < CELLS; i++)
        atomic_flag_clear_explicit(&cells->cell[i].is_taken, memory_order_relaxed);
    return cells;
}

void key_cell_free(struct key_cells **cells)
{
    for (size_t i = 0; *cells != NULL && i < CELLS; i++)
        cell_clear(&(*cells)->cell[i]);
    free(*cells);
    *cells = NULL;
}

bool key_cell_sign(struct key_cells *cells, const void *msg, size_t len, uint8_t *sig, size_t *sig_len)
{
    struct key_cell spare = {.is_taken = ATOMIC_FLAG_INIT};
    struct key_cell *cell = cell_take(cells, &spare);
    bool ok = prepare(cells, EVP_DigestSignInit_ex, &cell->sign) && copy_to_scratch(cell, cell->sign) &&
              EVP_DigestSign(cell->scratch, sig, sig_len, msg, len) == 1;
    cell_give(cell, &spare);
    return ok;
}

bool key_cell_verify(struct key_cells *cells, const void *msg, size_t len, const uint8_t *sig, size_t sig_len)
{
    struct key_cell spare = {.is_taken = ATOMIC_FLAG_INIT};
    struct key_cell *cell = cell_take(cells, &spare);
    bool ok = prepare(cells, EVP_DigestVerifyInit_ex, &cell->verify) && copy_to_scratch(cell, cell->verify) &&
              EVP_DigestVerify(cell->scratch, sig, sig_len, msg, len) == 1;
    cell_give(cell, &spare);
    return ok;
}
