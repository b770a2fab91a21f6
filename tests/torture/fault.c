/* SPDX-License-Identifier: Apache-2.0 */
#undef _FORTIFY_SOURCE /* its inline functions have the names of those defined here */
#define _GNU_SOURCE
#include "tests/torture/fault.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "tests/torture/calls.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define HAS_ASAN 1
#elif __has_feature(thread_sanitizer)
#define HAS_TSAN 1
#endif
#endif

/* malloc() is called before the sanitizers are ready. */
#ifdef __clang__
#pragma clang attribute push(__attribute__((no_sanitize("address", "thread", "undefined"))), apply_to = function)
#endif

static atomic_int armed = -1; /* the kind; -1: none */
static atomic_long calls;
static long first_bad;
static long last_bad;
static _Atomic(const char *) failed;

/* In a function of a library whose failure ends the program. */
static _Thread_local int in_own;

static bool hits(enum fault_kind kind, const char *name)
{
    if ((int)kind != atomic_load_explicit(&armed, memory_order_relaxed))
        return false;
    long n = atomic_fetch_add(&calls, 1) + 1;
    if (n < first_bad || n > last_bad)
        return false;
    const char *none = NULL;
    atomic_compare_exchange_strong(&failed, &none, name);
    return true;
}

const char *fault_kind_name(enum fault_kind kind)
{
    static const char *const names[] = {[FAULT_STORAGE] = "storage",
                                        [FAULT_OPENSSL] = "OpenSSL",
                                        [FAULT_FILE] = "file",
                                        [FAULT_MALLOC] = "malloc",
                                        [FAULT_OWN_MALLOC] = "own malloc"};
    return names[kind];
}

void fault_begin(enum fault_kind kind, long first, long run)
{
    first_bad = first > 0 ? first : 1;
    last_bad = first > 0 ? first + run - 1 : 0;
    atomic_store(&calls, 0);
    atomic_store(&failed, NULL);
    atomic_store(&armed, (int)kind);
}

long fault_end(void)
{
    atomic_store(&armed, -1);
    return atomic_load(&calls);
}

const char *fault_name(void)
{
    return atomic_load(&failed);
}

/*
 * The wrapped functions. All their arguments are integers and pointers, and at most eight: passed on as eight longs,
 * they arrive as they came, in registers or on the stack, so that no prototype needs to be repeated here.
 */
#define WRAP(name, kind, bad)                                                                                          \
    long __real_##name(long a, long b, long c, long d, long e, long f, long g, long h);                                \
    long __wrap_##name(long a, long b, long c, long d, long e, long f, long g, long h);                                \
    long __wrap_##name(long a, long b, long c, long d, long e, long f, long g, long h)                                 \
    {                                                                                                                  \
        return hits(kind, #name) ? (long)(bad) : __real_##name(a, b, c, d, e, f, g, h);                                \
    }
CALLS(WRAP)

/* Whoever calls these ends the program when they fail: what they allocate is ours. */
#define OWN(type, name, params, args)                                                                                  \
    type __real_##name params;                                                                                         \
    type __wrap_##name params;                                                                                         \
    type __wrap_##name params                                                                                          \
    {                                                                                                                  \
        in_own++;                                                                                                      \
        type result = __real_##name args;                                                                              \
        in_own--;                                                                                                      \
        return result;                                                                                                 \
    }
OWN(void *, pcre2_match_data_create_from_pattern_8, (const void *code, void *context), (code, context))
OWN(int, pcre2_match_8,
    (const void *code, const char *text, size_t len, size_t at, unsigned options, void *data, void *context),
    (code, text, len, at, options, data, context))
OWN(const unsigned char *, sqlite3_column_text, (void *st, int col), (st, col))
OWN(void *, EVP_MD_fetch, (void *ctx, const char *name, const char *properties), (ctx, name, properties))
OWN(int, EVP_DigestInit_ex2, (void *ctx, const void *type, const void *params), (ctx, type, params))
OWN(int, EVP_Q_digest,
    (void *lib, const char *name, const char *propq, const void *data, size_t len, unsigned char *md, size_t *md_len),
    (lib, name, propq, data, len, md, md_len))

#ifdef HAS_ASAN
#define REAL_MALLOC(name) __interceptor_##name
#else
#define REAL_MALLOC(name) __libc_##name
#endif

#ifndef HAS_TSAN
void *REAL_MALLOC(malloc)(size_t size);
void *REAL_MALLOC(calloc)(size_t n, size_t size);
void *REAL_MALLOC(realloc)(void *p, size_t size);

static const void *object_of(const void *address)
{
    Dl_info info = {0};
    dladdr(address, &info);
    return info.dli_fbase;
}

/* Whether who allocates is the program itself or, as a rule for it, the C library. */
static bool is_own(const void *caller)
{
    static _Atomic(const void *) program;
    static _Atomic(const void *) libc;
    if (program == NULL)
        program = object_of(__extension__(const void *) object_of);
    if (libc == NULL)
        libc = object_of(dlsym(RTLD_NEXT, "abort"));
    const void *object = object_of(caller);
    return in_own > 0 || object == program || object == libc;
}

static bool is_out_of_memory(const char *name, const void *caller)
{
    if (armed < 0 || !hits(is_own(caller) ? FAULT_OWN_MALLOC : FAULT_MALLOC, name))
        return false;
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size)
{
    return is_out_of_memory("malloc", __builtin_return_address(0)) ? NULL : REAL_MALLOC(malloc)(size);
}

void *calloc(size_t n, size_t size)
{
    return is_out_of_memory("calloc", __builtin_return_address(0)) ? NULL : REAL_MALLOC(calloc)(n, size);
}

void *realloc(void *p, size_t size)
{
    return is_out_of_memory("realloc", __builtin_return_address(0)) ? NULL : REAL_MALLOC(realloc)(p, size);
}
#endif

bool fault_has_malloc(void)
{
    fault_begin(FAULT_OWN_MALLOC, 0, 0);
    void *(*volatile allocate)(size_t) = malloc; /* not inlined, so that valgrind can have its own */
    void *volatile p = allocate(1);
    free(p);
    return fault_end() > 0;
}

static bool is_forgiven;

/* Asked by the leak checker, where there is one. */
int __lsan_is_turned_off(void);

int __lsan_is_turned_off(void)
{
    return is_forgiven;
}

void fault_forgive_leaks(void)
{
    is_forgiven = true;
}

/* System calls: error is what they fail with. */
#define SYSTEM(type, name, bad, error, params, args)                                                                   \
    type name params                                                                                                   \
    {                                                                                                                  \
        static type(*_Atomic real) params;                                                                             \
        if (real == NULL)                                                                                              \
            real = __extension__(type(*) params) dlsym(RTLD_NEXT, #name);                                              \
        if (hits(FAULT_FILE, #name)) {                                                                                 \
            errno = (error);                                                                                           \
            return bad;                                                                                                \
        }                                                                                                              \
        return real args;                                                                                              \
    }

/* The mode is passed on whether there is one or not. */
#define SYSTEM_OPEN(name, params, args)                                                                                \
    int name params                                                                                                    \
    {                                                                                                                  \
        static int(*_Atomic real) params;                                                                              \
        if (real == NULL)                                                                                              \
            real = __extension__(int(*) params) dlsym(RTLD_NEXT, #name);                                               \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        long last = va_arg(list, long);                                                                                \
        va_end(list);                                                                                                  \
        if (hits(FAULT_FILE, #name)) {                                                                                 \
            errno = EMFILE;                                                                                            \
            return -1;                                                                                                 \
        }                                                                                                              \
        return real args;                                                                                              \
    }

SYSTEM_OPEN(open, (const char *path, int flags, ...), (path, flags, last))
SYSTEM_OPEN(open64, (const char *path, int flags, ...), (path, flags, last))
SYSTEM_OPEN(openat, (int dir, const char *path, int flags, ...), (dir, path, flags, last))
SYSTEM_OPEN(openat64, (int dir, const char *path, int flags, ...), (dir, path, flags, last))
SYSTEM(ssize_t, read, -1, EIO, (int fd, void *data, size_t len), (fd, data, len))
SYSTEM(ssize_t, pread64, -1, EIO, (int fd, void *data, size_t len, off64_t at), (fd, data, len, at))
SYSTEM(ssize_t, write, -1, ENOSPC, (int fd, const void *data, size_t len), (fd, data, len))
SYSTEM(ssize_t, pwrite64, -1, ENOSPC, (int fd, const void *data, size_t len, off64_t at), (fd, data, len, at))
SYSTEM(int, fsync, -1, EIO, (int fd), (fd))
SYSTEM(int, fdatasync, -1, EIO, (int fd), (fd))
SYSTEM(int, ftruncate64, -1, ENOSPC, (int fd, off64_t len), (fd, len))
SYSTEM(int, fstat, -1, EIO, (int fd, struct stat *out), (fd, out))
SYSTEM(int, fstat64, -1, EIO, (int fd, struct stat64 *out), (fd, out))
SYSTEM(int, stat64, -1, EIO, (const char *path, struct stat64 *out), (path, out))
SYSTEM(int, fstatat, -1, EIO, (int dir, const char *path, struct stat *out, int flags), (dir, path, out, flags))
SYSTEM(int, dup, -1, EMFILE, (int fd), (fd))
SYSTEM(DIR *, fdopendir, NULL, ENOMEM, (int fd), (fd))
SYSTEM(struct dirent *, readdir, NULL, EIO, (DIR * dir), (dir))
SYSTEM(int, socket, -1, EMFILE, (int family, int type, int protocol), (family, type, protocol))
SYSTEM(int, connect, -1, ECONNREFUSED, (int fd, __CONST_SOCKADDR_ARG to, socklen_t len), (fd, to, len))
SYSTEM(ssize_t, send, -1, EPIPE, (int fd, const void *data, size_t len, int flags), (fd, data, len, flags))
SYSTEM(ssize_t, recv, -1, ECONNRESET, (int fd, void *data, size_t len, int flags), (fd, data, len, flags))

#ifdef __clang__
#pragma clang attribute pop
#endif
