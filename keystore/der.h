/* SPDX-License-Identifier: Apache-2.0 */
#ifndef KEYSTORE_DER_H
#define KEYSTORE_DER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Reading DER (ITU-T X.690 section 10) in its only encoding: definite lengths in as few bytes as they take, numbers
 * without padding. Everything is borrowed from what is read. Each call cuts off the front of *in; when it returns
 * false, *in is as it was.
 */
struct der {
    const uint8_t *at;
    size_t len;
};

enum der_tag {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_NULL = 0x05,
    DER_OID = 0x06,
    DER_SEQUENCE = 0x30,
};

/* Cut off one element of this tag; what it holds is *out. */
bool der_cut(struct der *in, enum der_tag tag, struct der *out);

/* Cut off an INTEGER that is positive or zero; *out is its bytes without leading zeros, none for zero. */
bool der_cut_number(struct der *in, struct der *out);

/* Cut off a BIT STRING of whole bytes; *out is the bytes. */
bool der_cut_bytes(struct der *in, struct der *out);

/* Whether it is exactly these bytes. */
bool der_is(struct der der, const void *bytes, size_t len);

#endif
