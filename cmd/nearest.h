/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CMD_NEAREST_H
#define CMD_NEAREST_H

#include <stddef.h>

/* What somebody probably meant: the word of a list that is one or two slips away from the one that was typed. */
struct nearest {
    const char *typed;
    const char *best; /* NULL: nothing is near */
    size_t slips;     /* of best: letters left out, added or replaced */
};

/* Look at one word of the list; it is borrowed. Start with {.typed = word}. */
void nearest_consider(struct nearest *nearest, const char *word);

#endif
