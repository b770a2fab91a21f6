/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_FILE_H
#define LIB_FILE_H

#include <stddef.h>

#include "lib/err.h"

/*
 * Read a whole regular file into a new string that the caller frees; a FIFO or a device is refused without waiting.
 *   max  bytes; of a longer file the first max + 1 are given, so that the caller sees that it is one
 *   why  on an error what the system says, "No such file or directory"; never freed
 * ERR_NOT_FOUND: there is none of that name; ERR_IO
 */
enum err file_read(const char *path, size_t max, char **out, size_t *len, const char **why);

#endif
