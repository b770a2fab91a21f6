/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIB_AUTO_H
#define LIB_AUTO_H

#include "lib/err.h"

/* Return the error of call to the caller, if it has one. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        enum err try_err = (call);                                                                                     \
        if (try_err != ERR_OK)                                                                                         \
            return try_err;                                                                                            \
    } while (0)

/*
 * Release a variable at the end of its scope: AUTO(user_free) struct user *user = NULL. To clang one that is for
 * nothing but this would be unused.
 */
#define AUTO(release) __attribute__((cleanup(release), unused))

/* Hand over what pointer p owns, leaving NULL behind: *out = MOVE(user); */
#define MOVE(p)                                                                                                        \
    __extension__({                                                                                                    \
        __typeof__(p) move_tmp = (p);                                                                                  \
        (p) = NULL;                                                                                                    \
        move_tmp;                                                                                                      \
    })

#endif
