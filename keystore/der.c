/* SPDX-License-Identifier: Apache-2.0 */
#include "keystore/der.h"

#include <string.h>

/* Long form lengths that are looked at: 24 bits hold more than any input here. */
enum { LONG_FORM = 0x80, LENGTH_BYTES = 3 };

static void skip(struct der *in, size_t n)
{
    in->at += n;
    in->len -= n;
}

/* Cut off a length; false when it could be written shorter. */
static bool cut_length(struct der *in, size_t *out)
{
    if (in->len == 0)
        return false;
    size_t first = in->at[0];
    skip(in, 1);
    if (first < LONG_FORM) {
        *out = first;
        return true;
    }
    size_t n = first & (LONG_FORM - 1);
    if (n == 0 || n > LENGTH_BYTES || n > in->len || in->at[0] == 0)
        return false;
    size_t len = 0;
    for (size_t i = 0; i < n; i++)
        len = len << 8 | in->at[i];
    skip(in, n);
    *out = len;
    return len >= LONG_FORM;
}

bool der_cut(struct der *in, enum der_tag tag, struct der *out)
{
    struct der rest = *in;
    size_t len = 0;
    if (rest.len == 0 || rest.at[0] != tag)
        return false;
    skip(&rest, 1);
    if (!cut_length(&rest, &len) || len > rest.len)
        return false;
    *out = (struct der){rest.at, len};
    skip(&rest, len);
    *in = rest;
    return true;
}

bool der_cut_number(struct der *in, struct der *out)
{
    struct der rest = *in;
    struct der number;
    if (!der_cut(&rest, DER_INTEGER, &number) || number.len == 0 || number.at[0] >= 0x80)
        return false;
    if (number.at[0] == 0) {
        if (number.len > 1 && number.at[1] < 0x80)
            return false;
        skip(&number, 1);
    }
    *in = rest;
    *out = number;
    return true;
}

bool der_cut_bytes(struct der *in, struct der *out)
{
    struct der rest = *in;
    struct der bits;
    if (!der_cut(&rest, DER_BIT_STRING, &bits) || bits.len == 0 || bits.at[0] != 0)
        return false;
    skip(&bits, 1);
    *in = rest;
    *out = bits;
    return true;
}

bool der_is(struct der der, const void *bytes, size_t len)
{
    return der.len == len && memcmp(der.at, bytes, len) == 0;
}
