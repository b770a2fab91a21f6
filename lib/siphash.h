/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_SIPHASH_H
#define LIB_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY_SIZE 16

/*
 * SipHash-2-4 with 128 bits of result (Aumasson and Bernstein, 2012, and their reference code's longer form): whoever
 * does not know the key cannot make two texts meet.
 */
void siphash(const uint8_t key[SIPHASH_KEY_SIZE], const void *data, size_t len, uint64_t out[2]);

#endif
