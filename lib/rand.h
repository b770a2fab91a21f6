/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_RAND_H
#define LIB_RAND_H

#include <stdbool.h>
#include <stddef.h>

/* Fill out with len unpredictable bytes; aborts when the system cannot give any. */
void rand_bytes(void *out, size_t len);

/* 36 characters and a NUL. */
#define RAND_UUID_SIZE 37

/* Write a random UUID in lower case (RFC 9562 section 5.4, version 4). */
void rand_uuid(char out[RAND_UUID_SIZE]);

/*
 * Write a UUID that sorts behind those this process made before, by its first 48 bits, the milliseconds of the wall
 * clock, and 12 more that count within one (RFC 9562 section 5.7, version 7); the other 62 are random. Rows with such
 * ids stay at one end of an index.
 */
void rand_uuid_ordered(char out[RAND_UUID_SIZE]);

/* Whether text has the form that rand_uuid() writes. */
bool rand_is_uuid(const char *text);

#endif
