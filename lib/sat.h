/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_SAT_H
#define LIB_SAT_H

#include <stdint.h>

/*
 * Sums and products that stop at the largest integer: times that a stranger chose must not wrap round. The second
 * operand is not negative.
 */

static inline int64_t sat_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

static inline int64_t sat_mul(int64_t a, int64_t b)
{
    int64_t product;
    return !__builtin_mul_overflow(a, b, &product) ? product : a < 0 ? INT64_MIN : INT64_MAX;
}

#endif
