/* What a test leaves on the disk, taken away. After cmocka.h. */
#ifndef SANDLOCK_TESTS_TIDY_H
#define SANDLOCK_TESTS_TIDY_H

#include <ftw.h>
#include <stdio.h>

static inline int tidy_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
    (void)st;
    (void)type;
    (void)at;
    return remove(path);
}

/* Removes a directory and all that is below it; a link in it, not what that leads to. */
static inline void tidy_tree(const char *path)
{
    assert_int_equal(nftw(path, tidy_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

#endif
