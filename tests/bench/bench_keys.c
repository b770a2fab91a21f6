/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory full of P-256 keys:
 *   bench_keys DIR FIRST LAST
 * writes private.id.N.pem for each N from FIRST to LAST.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "keystore/key.h"
#include "lib/auto.h"
#include "lib/mem.h"

static int write_key(const char *dir, long kid)
{
    AUTO(mem_wipe) char *pem = NULL;
    if (key_generate("es256", &pem) != ERR_OK)
        return 0;
    AUTO(mem_free) char *path = mem_printf("%s/private.id.%ld.pem", dir, kid);
    FILE *file = fopen(path, "w");
    return file != NULL && fwrite(pem, strlen(pem), 1, file) == 1 && fclose(file) == 0;
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: bench_keys DIR FIRST LAST\n");
        return 2;
    }
    umask(077);
    mkdir(argv[1], 0700);
    long last = strtol(argv[3], NULL, 10);
    for (long kid = strtol(argv[2], NULL, 10); kid <= last; kid++)
        if (!write_key(argv[1], kid)) {
            perror("bench_keys");
            return 1;
        }
    return 0;
}
