/* Feeds the files of the given directories to a fuzz target, once each and again cut short.
 * Owns: reading the corpus. Never: judges; the target aborts on what must not be. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT_MAX (1u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The target gets a block of exactly its size, so that a sanitizer sees a read past the end. */
static int feed(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    if (!copy) {
        perror("malloc");
        return -1;
    }
    memcpy(copy, data, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
    return 0;
}

static int replay_file(const char *path)
{
    static uint8_t data[INPUT_MAX];
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return -1;
    }
    size_t size = fread(data, 1, sizeof(data), file);
    int failed = ferror(file);
    fclose(file);
    if (failed) {
        fprintf(stderr, "%s: cannot be read\n", path);
        return -1;
    }
    /* every shorter start of a small input, a few of a large one */
    size_t step = size <= 512 ? 1 : size / 64;
    for (size_t cut = 0; cut < size; cut += step) {
        if (feed(data, cut)) {
            return -1;
        }
    }
    return feed(data, size);
}

static long replay_directory(const char *folder)
{
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return -1;
    }
    long done = 0;
    struct dirent *entry;
    while (done >= 0 && (entry = readdir(dir)) != NULL) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        int len = snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        if (len < 0 || (size_t)len >= sizeof(path) || replay_file(path)) {
            done = -1;
        } else {
            done++;
        }
    }
    closedir(dir);
    return done;
}

int main(int argc, char **argv)
{
    long total = 0;
    for (int i = 1; i < argc; i++) {
        long done = replay_directory(argv[i]);
        if (done <= 0) {
            fprintf(stderr, "%s: %s\n", argv[i], done ? "failed" : "the corpus is empty");
            return 1;
        }
        total += done;
    }
    printf("%ld inputs replayed\n", total);
    return total ? 0 : 1;
}
