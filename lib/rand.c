/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/rand.h"

#include <openssl/rand.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"

#define UUID_BYTES 16
#define POOL_UUIDS 64

void rand_bytes(void *out, size_t len)
{
    if (RAND_bytes_ex(NULL, out, len, 0) != 1) {
        fputs("mintd: no random bytes from the system\n", stderr);
        abort();
    }
}

/*
 * A request may need an id, and 16 bytes cost the generator as much as 1024: each thread draws from a stock of its own.
 */
static void draw(uint8_t out[UUID_BYTES])
{
    static _Thread_local uint8_t pool[POOL_UUIDS * UUID_BYTES];
    static _Thread_local size_t left;
    if (left == 0) {
        rand_bytes(pool, sizeof pool);
        left = POOL_UUIDS;
    }
    left--;
    memcpy(out, pool + left * UUID_BYTES, UUID_BYTES);
    memset(pool + left * UUID_BYTES, 0, UUID_BYTES);
}

static void write_uuid(uint8_t b[UUID_BYTES], int version, char out[RAND_UUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    b[6] = (uint8_t)((b[6] & 0x0f) | version << 4);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    char *p = out;
    for (size_t i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *p++ = '-';
        *p++ = hex[b[i] >> 4];
        *p++ = hex[b[i] & 15];
    }
    *p = '\0';
}

void rand_uuid(char out[RAND_UUID_SIZE])
{
    uint8_t b[UUID_BYTES];
    draw(b);
    write_uuid(b, 4, out);
}

/* The time in milliseconds times 4096, or one more than the last when that is not more. */
static uint64_t next_stamp(void)
{
    static _Atomic uint64_t last;
    uint64_t before = atomic_load(&last);
    uint64_t stamp;
    do {
        stamp = (uint64_t)clock_ms() << 12;
        if (stamp <= before)
            stamp = before + 1;
    } while (!atomic_compare_exchange_weak(&last, &before, stamp));
    return stamp;
}

void rand_uuid_ordered(char out[RAND_UUID_SIZE])
{
    uint8_t b[UUID_BYTES];
    draw(b);
    uint64_t stamp = next_stamp();
    for (int i = 0; i < 6; i++)
        b[i] = (uint8_t)(stamp >> (52 - 8 * i));
    b[6] = (uint8_t)(stamp >> 8 & 0x0f);
    b[7] = (uint8_t)stamp;
    write_uuid(b, 7, out);
}

bool rand_is_uuid(const char *text)
{
    for (size_t i = 0; i < RAND_UUID_SIZE - 1; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (text[i] == '\0' || strchr(is_dash ? "-" : "0123456789abcdef", text[i]) == NULL)
            return false;
    }
    return text[RAND_UUID_SIZE - 1] == '\0';
}
