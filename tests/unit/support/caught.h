/* What is written to a standard descriptor meanwhile. After cmocka.h. */
#ifndef SANDLOCK_TESTS_CAUGHT_H
#define SANDLOCK_TESTS_CAUGHT_H

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define CAUGHT_MAX 65536

struct caught {
    int fd;    /* STDOUT_FILENO or STDERR_FILENO */
    int saved; /* what it was */
    char text[CAUGHT_MAX];
};

static inline void caught_begin(struct caught *c, int fd)
{
    int file = memfd_create("caught", MFD_CLOEXEC);
    fflush(NULL);
    c->fd = fd;
    c->saved = fcntl(fd, F_DUPFD_CLOEXEC, 10);
    assert_true(file >= 0 && c->saved >= 0);
    assert_int_equal(dup2(file, fd), fd);
    close(file);
}

/* The text, which stays in `c`. */
static inline const char *caught_end(struct caught *c)
{
    fflush(NULL);
    ssize_t n = pread(c->fd, c->text, sizeof(c->text) - 1, 0);
    assert_int_equal(dup2(c->saved, c->fd), c->fd);
    close(c->saved);
    assert_true(n >= 0);
    c->text[n] = '\0';
    return c->text;
}

#endif
