/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* Feed each file of a corpus directory to a fuzz target, without libFuzzer: the corpus as a test of every build. */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *read_all(FILE *file, size_t *len)
{
    uint8_t *data = NULL;
    size_t size = 0;
    size_t got = 1;
    for (*len = 0; got > 0; *len += got) {
        if (size - *len < 4096) {
            size += 65536;
            data = mem_resize(data, size, 1);
        }
        got = fread(data + *len, 1, size - *len, file);
    }
    /* exactly as large as the input, so that a sanitizer sees a read beyond it */
    return mem_resize(data, *len, 1);
}

static int replay(const char *dir, const char *name)
{
    char *path = mem_printf("%s/%s", dir, name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        mem_free(&path);
        return -1;
    }
    size_t len = 0;
    uint8_t *data = read_all(file, &len);
    fclose(file);
    mem_free(&path);
    LLVMFuzzerTestOneInput(data, len);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s DIRECTORY\n", argv[0]);
        return 2;
    }
    struct dirent **names = NULL;
    int n = scandir(argv[1], &names, NULL, alphasort);
    if (n < 0) {
        perror(argv[1]);
        return 1;
    }
    int inputs = 0;
    int bad = 0;
    for (int i = 0; i < n; i++) {
        if (names[i]->d_name[0] != '.') {
            inputs++;
            bad |= replay(argv[1], names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    printf("%d inputs\n", inputs);
    return bad == 0 && inputs > 0 ? 0 : 1;
}
