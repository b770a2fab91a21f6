/* SPDX-License-Identifier: Apache-2.0 */
#include "cmd/nearest.h"

#include <string.h>

enum { MAX_SLIPS = 2, MAX_LEN = 63 };

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Levenshtein's distance, one row of the matrix at a time. */
static size_t distance(const char *a, const char *b)
{
    size_t row[MAX_LEN + 1];
    size_t len = strlen(b);
    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i + 1;
        for (size_t j = 1; j <= len; j++) {
            size_t above = row[j];
            row[j] = smallest(above + 1, row[j - 1] + 1, diagonal + (a[i] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[len];
}

void nearest_consider(struct nearest *nearest, const char *word)
{
    size_t len = strlen(nearest->typed);
    if (len > MAX_LEN || strlen(word) > MAX_LEN)
        return;
    size_t slips = distance(nearest->typed, word);
    if (slips > MAX_SLIPS || slips >= len || (nearest->best != NULL && slips >= nearest->slips))
        return;
    nearest->best = word;
    nearest->slips = slips;
}
