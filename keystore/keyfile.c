/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include "keystore/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "keystore/key.h"
#include "lib/auto.h"
#include "lib/mem.h"

#define OPEN_TRIES 64
#define OPEN_FLAGS (O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY)

static enum err error_of(int number)
{
    switch (number) {
    case ENOENT:
    case ENOTDIR:
        return ERR_KEY_MISSING;
    case ELOOP:
    case EXDEV:
        return ERR_KEY_OUTSIDE;
    case ENXIO:
    case ENODEV:
        return ERR_KEY_NOT_FILE;
    default:
        return ERR_KEY_UNREADABLE;
    }
}

static void fd_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
}

/* Hand the descriptor over to the caller. */
static int release(int *fd)
{
    int open_fd = *fd;
    *fd = -1;
    return open_fd;
}

static struct keyfile_stamp stamp_of(const struct stat *st)
{
    return (struct keyfile_stamp){
        .dev = st->st_dev,
        .ino = st->st_ino,
        .size = st->st_size,
        .mtime = st->st_mtim,
        .ctime = st->st_ctim,
        .mode = st->st_mode,
        .uid = st->st_uid,
    };
}

static enum err check(const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return ERR_KEY_NOT_FILE;
    return st->st_size > KEY_FILE_MAX ? ERR_KEY_FILE_SIZE : ERR_OK;
}

static bool is_inside(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return strncmp(path, dir, len) == 0 && (path[len] == '/' || strcmp(dir, "/") == 0);
}

/* Open a path beneath a directory, none of whose pieces may be a link; it is cut at its slashes. */
static int open_without_links(int dir_fd, char *path)
{
    AUTO(fd_close) int at = -1;
    for (char *slash = strchr(path, '/'); slash != NULL; slash = strchr(path, '/')) {
        *slash = '\0';
        int next = openat(at >= 0 ? at : dir_fd, path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        fd_close(&at);
        at = next;
        if (at < 0)
            return -1;
        path = slash + 1;
    }
    return openat(at >= 0 ? at : dir_fd, path, OPEN_FLAGS | O_NOFOLLOW);
}

/* For kernels before 5.6 and sandboxes without openat2: resolve, compare, open without links, compare again. */
static int open_resolved(const struct keyfile_dir *dir, const char *name)
{
    AUTO(mem_free) char *path = mem_printf("%s/%s", dir->path, name);
    AUTO(mem_free) char *real_dir = realpath(dir->path, NULL);
    AUTO(mem_free) char *real = realpath(path, NULL);
    if (real_dir == NULL || real == NULL)
        return -1;
    if (!is_inside(real, real_dir)) {
        errno = EXDEV;
        return -1;
    }
    char *beneath = real + strlen(real_dir);
    AUTO(fd_close) int fd = open_without_links(dir->fd, beneath + strspn(beneath, "/"));
    if (fd < 0 && (errno == ELOOP || errno == ENOTDIR || errno == ENOENT))
        errno = EAGAIN; /* it was there, and had no links, a moment ago */
    struct stat opened, named;
    if (fd < 0 || fstat(fd, &opened) != 0 || fstatat(dir->fd, name, &named, 0) != 0)
        return -1;
    if (opened.st_dev != named.st_dev || opened.st_ino != named.st_ino) {
        errno = EAGAIN;
        return -1;
    }
    return release(&fd);
}

static int open_beneath(const struct keyfile_dir *dir, const char *name)
{
    struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int fd = -1;
    /* EAGAIN: something was renamed while a link was being followed */
    for (int tries = 0; tries < OPEN_TRIES; tries++) {
        fd = (int)syscall(SYS_openat2, dir->fd, name, &how, sizeof how);
        if (fd < 0 && (errno == ENOSYS || errno == EPERM))
            fd = open_resolved(dir, name);
        if (fd >= 0 || errno != EAGAIN)
            return fd;
    }
    return fd;
}

static enum err read_all(int fd, struct keyfile *file)
{
    while (file->len <= KEY_FILE_MAX) {
        ssize_t n = read(fd, file->data + file->len, KEY_FILE_MAX + 1 - file->len);
        if (n == 0)
            return ERR_OK;
        if (n < 0 && errno != EINTR)
            return ERR_KEY_UNREADABLE;
        if (n > 0)
            file->len += (size_t)n;
    }
    return ERR_KEY_FILE_SIZE;
}

static int64_t ms_of(const struct timespec *t)
{
    return (int64_t)t->tv_sec * 1000 + t->tv_nsec / 1000000;
}

static bool is_same_time(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

enum err keyfile_dir_open(const char *path, struct keyfile_dir *out)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return ERR_KEY_DIR;
    *out = (struct keyfile_dir){.fd = fd, .path = mem_strdup(path)};
    return ERR_OK;
}

void keyfile_dir_close(struct keyfile_dir *dir)
{
    fd_close(&dir->fd);
    dir->fd = -1;
    mem_free(&dir->path);
}

bool keyfile_dir_is_loose(const struct keyfile_dir *dir)
{
    struct stat st;
    struct statvfs fs;
    if (fstat(dir->fd, &st) != 0 || (st.st_mode & S_IWOTH) == 0)
        return false;
    return fstatvfs(dir->fd, &fs) != 0 || (fs.f_flag & ST_RDONLY) == 0;
}

enum err keyfile_stat(const struct keyfile_dir *dir, const char *name, struct keyfile_stamp *out)
{
    struct stat st;
    if (fstatat(dir->fd, name, &st, 0) != 0)
        return error_of(errno);
    TRY(check(&st));
    *out = stamp_of(&st);
    return ERR_OK;
}

bool keyfile_exists(const struct keyfile_dir *dir, const char *name)
{
    struct stat st;
    return fstatat(dir->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

bool keyfile_is_same(const struct keyfile_stamp *a, const struct keyfile_stamp *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && is_same_time(&a->mtime, &b->mtime) &&
           is_same_time(&a->ctime, &b->ctime);
}

bool keyfile_is_loose(const struct keyfile_stamp *stamp)
{
    bool is_wide = (stamp->mode & (S_IRWXO | S_IWGRP | S_IXGRP)) != 0;
    return is_wide || (stamp->uid != 0 && stamp->uid != geteuid());
}

int64_t keyfile_age_ms(const struct keyfile_stamp *stamp, int64_t now_ms)
{
    return now_ms - ms_of(&stamp->mtime);
}

int64_t keyfile_change_age_ms(const struct keyfile_stamp *stamp, int64_t now_ms)
{
    int64_t written = keyfile_age_ms(stamp, now_ms);
    int64_t changed = now_ms - ms_of(&stamp->ctime);
    return written < changed ? written : changed;
}

enum err keyfile_read(const struct keyfile_dir *dir, const char *name, struct keyfile *out)
{
    AUTO(fd_close) int fd = open_beneath(dir, name);
    if (fd < 0)
        return error_of(errno);
    struct stat st;
    if (fstat(fd, &st) != 0)
        return ERR_KEY_UNREADABLE;
    TRY(check(&st));
    AUTO(keyfile_release) struct keyfile file = {.stamp = stamp_of(&st), .data = mem_calloc(KEY_FILE_MAX + 1, 1)};
    TRY(read_all(fd, &file));
    if (EVP_Digest(file.data, file.len, file.digest, NULL, EVP_sha256(), NULL) != 1)
        return ERR_INTERNAL;
    *out = file;
    file.data = NULL;
    return ERR_OK;
}

void keyfile_release(struct keyfile *file)
{
    if (file->data != NULL)
        explicit_bzero(file->data, KEY_FILE_MAX + 1);
    mem_free(&file->data);
    file->len = 0;
}
