/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_HASH_H
#define LIB_HASH_H

#include "lib/mem.h"

/* uthash's hash tables, with memory that is always there. */
#define uthash_malloc(size) mem_calloc(1, size)

#include <uthash.h>

#endif
