/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "lib/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/auto.h"
#include "lib/mem.h"

static enum err failed(int cause, const char **why)
{
    *why = strerrordesc_np(cause);
    return cause == ENOENT || cause == ENOTDIR ? ERR_NOT_FOUND : ERR_IO;
}

enum err file_read(const char *path, size_t max, char **out, size_t *len, const char **why)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return failed(errno, why);
    struct stat st;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
        close(fd);
        *why = "not a regular file";
        return ERR_IO;
    }
    AUTO(mem_wipe) char *text = mem_calloc(max + 2, 1);
    size_t filled = 0;
    ssize_t n = 1;
    while (n > 0 && filled <= max) {
        n = read(fd, text + filled, max + 1 - filled);
        filled += n > 0 ? (size_t)n : 0;
    }
    int cause = errno;
    close(fd);
    if (n < 0)
        return failed(cause, why);
    *out = MOVE(text);
    *len = filled;
    return ERR_OK;
}
