/* Owns: static files below --root (package registries of the tests). Never: leaves the root: a path
 * with ".." is 404. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server.h"

static const char *type_of(const char *path)
{
    const char *dot = strrchr(path, '.');
    if (dot && strcmp(dot, ".json") == 0) {
        return "application/json";
    }
    if (dot && strcmp(dot, ".html") == 0) {
        return "text/html";
    }
    return "application/octet-stream";
}

/* As package registries do it: an encoded slash of a scoped name is a slash. */
static void decode_slashes(char *path)
{
    char *to = path;
    for (const char *p = path; *p != '\0'; p++) {
        bool coded = strncasecmp(p, "%2f", 3) == 0;
        *to++ = coded ? '/' : *p;
        p += coded ? 2 : 0;
    }
    *to = '\0';
}

static int open_below(const char *root, const char *target, char path[4096])
{
    static const char *const suffixes[] = {"", "/index.json", "/index.html"};
    char plain[2048];
    snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(target, "?"), target);
    decode_slashes(plain);
    for (size_t i = 0; i < 3 && !strstr(plain, ".."); i++) {
        struct stat st;
        snprintf(path, 4096, "%s%s%s", root, plain, suffixes[i]);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
            return fd;
        }
        if (fd >= 0) {
            close(fd);
        }
    }
    return -1;
}

bool route_file(conn *c, const request *r, const char *root)
{
    char path[4096];
    bytes content;
    int fd = open_below(root, r->target, path);
    if (fd < 0) {
        return answer(c, r, 404, "text/plain", NULL, "not found\n", 10);
    }
    bytes_init(&content, SERVER_BODY_MAX);
    char piece[65536];
    for (ssize_t n = read(fd, piece, sizeof(piece)); n > 0; n = read(fd, piece, sizeof(piece))) {
        bytes_add(&content, piece, (size_t)n);
    }
    close(fd);
    bool on = answer(c, r, 200, type_of(path), NULL, content.data, content.len);
    bytes_done(&content);
    return on;
}
