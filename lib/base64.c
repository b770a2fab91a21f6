/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/base64.h"

#include <stdbool.h>

#include "lib/mem.h"

static const char alphabets[][65] = {
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    [BASE64_STD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
};

/* Each character's six bits, marked with GOOD; every other byte is 0, so that one AND over a group finds a stranger. */
enum { GOOD = 64, BITS = 63 };

/* clang-format off */
static const uint8_t values[][256] = {
    [BASE64_URL] = {
        ['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
        ['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
                113, 114, 115,
        ['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
        ['-'] = 126, ['_'] = 127,
    },
    [BASE64_STD] = {
        ['A'] = 64, 65, 66, 67, 68, 69, 70, 71, 72, 73, 74, 75, 76, 77, 78, 79, 80, 81, 82, 83, 84, 85, 86, 87, 88, 89,
        ['a'] = 90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112,
                113, 114, 115,
        ['0'] = 116, 117, 118, 119, 120, 121, 122, 123, 124, 125,
        ['+'] = 126, ['/'] = 127,
    },
};
/* clang-format on */

/* Tell where the fault is. The decoder only learns that there is one, which keeps its loop free of branches. */
static ptrdiff_t illegal(const uint8_t *value, const uint8_t *in, size_t len, size_t *bad)
{
    size_t i = 0;
    while (i < len && value[in[i]] != 0)
        i++;
    if (bad != NULL)
        *bad = i < len ? i : len - 1;
    return -1;
}

/* The characters without their padding, which only then can be too much or misplaced when the alphabet refuses it. */
static size_t unpadded(const uint8_t *in, size_t len)
{
    for (int i = 0; i < 2 && len > 0 && in[len - 1] == '='; i++)
        len--;
    return len;
}

/* Decode the last two or three characters to one or two bytes; false when they carry bits that belong to no byte. */
static bool decode_tail(const uint8_t *value, const uint8_t *in, size_t len, uint8_t *out)
{
    uint8_t third = len == 3 ? value[in[2]] : GOOD;
    uint32_t group = (uint32_t)(value[in[0]] & BITS) << 12 | (uint32_t)(value[in[1]] & BITS) << 6 | (third & BITS);
    out[0] = (uint8_t)(group >> 10);
    if (len == 3)
        out[1] = (uint8_t)(group >> 2);
    uint32_t unused = len == 3 ? group & 0x3 : group & 0x3ff;
    return (value[in[0]] & value[in[1]] & third & GOOD) != 0 && unused == 0;
}

/* Clear the bits of the last digit that belong to no byte. */
static void clear_unused(char *text, size_t len)
{
    size_t left = unpadded((const uint8_t *)text, len);
    size_t padding = len - left;
    uint8_t value = left > 0 ? values[BASE64_STD][(uint8_t)text[left - 1]] : 0;
    if (padding > 0 && value != 0)
        text[left - 1] = alphabets[BASE64_STD][value & (padding == 1 ? 0x3c : 0x30)];
}

size_t base64_encode(enum base64_kind kind, const void *in, size_t len, char *out)
{
    const char *digit = alphabets[kind];
    const uint8_t *p = in;
    char *q = out;
    for (; len >= 3; len -= 3, p += 3, q += 4) {
        q[0] = digit[p[0] >> 2];
        q[1] = digit[(p[0] << 4 | p[1] >> 4) & BITS];
        q[2] = digit[(p[1] << 2 | p[2] >> 6) & BITS];
        q[3] = digit[p[2] & BITS];
    }
    if (len == 0)
        return (size_t)(q - out);
    uint8_t second = len == 2 ? p[1] : 0;
    *q++ = digit[p[0] >> 2];
    *q++ = digit[(p[0] << 4 | second >> 4) & BITS];
    if (len == 2)
        *q++ = digit[(second << 2) & BITS];
    while (kind == BASE64_STD && (q - out) % 4 != 0)
        *q++ = '=';
    return (size_t)(q - out);
}

ptrdiff_t base64_decode(enum base64_kind kind, const char *in, size_t len, uint8_t *out, size_t *bad)
{
    const uint8_t *p = (const uint8_t *)in;
    const uint8_t *value = values[kind];
    if (kind == BASE64_STD && len % 4 != 0) {
        if (bad != NULL)
            *bad = len;
        return -1;
    }
    size_t left = kind == BASE64_STD ? unpadded(p, len) : len;
    size_t chars = left;
    uint8_t seen = GOOD;
    uint8_t *q = out;
    for (; left >= 4; left -= 4, p += 4, q += 3) {
        uint8_t a = value[p[0]], b = value[p[1]], c = value[p[2]], d = value[p[3]];
        uint32_t group =
            (uint32_t)(a & BITS) << 18 | (uint32_t)(b & BITS) << 12 | (uint32_t)(c & BITS) << 6 | (d & BITS);
        seen &= a & b & c & d;
        q[0] = (uint8_t)(group >> 16);
        q[1] = (uint8_t)(group >> 8);
        q[2] = (uint8_t)group;
    }
    if ((seen & GOOD) == 0 || left == 1 || (left > 0 && !decode_tail(value, p, left, q)))
        return illegal(value, (const uint8_t *)in, chars, bad);
    return q - out + (left > 0 ? (ptrdiff_t)left - 1 : 0);
}

ptrdiff_t base64_decode_lax(const char *in, size_t len, uint8_t *out)
{
    char *text = mem_calloc(len + 1, 1);
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (in[i] != '\r' && in[i] != '\n')
            text[n++] = in[i];
    clear_unused(text, n);
    ptrdiff_t decoded = base64_decode(BASE64_STD, text, n, out, NULL);
    mem_free(&text);
    return decoded;
}
