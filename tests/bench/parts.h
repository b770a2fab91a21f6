/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TESTS_BENCH_PARTS_H
#define TESTS_BENCH_PARTS_H

#include <time.h>

/*
 * What requests are made of, each part by itself, as bare as it gets: signatures with a prepared context, the claims'
 * JSON, one row's share of a durable commit of 32 rows, a password's hash. For the programs of make bench.
 */
struct signer;

struct part {
    const char *name; /* "verify_es256"; NULL ends the table */
    void (*run)(const struct signer *signer);
    struct signer *signer;
    int operations; /* that one run makes */
    clockid_t clock;
};

extern const struct part parts[];

/* The part of a name, ready to be run; exits when there is none. Of several threads, only one may run commits. */
const struct part *parts_get(const char *name);

/* Remove what the parts have made in /tmp. */
void parts_done(void);

#endif
