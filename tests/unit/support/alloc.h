/* Allocations that fail on demand, in what the test is linked with: sandlock_unit(...
 * sl_test_alloc). Libraries that are loaded keep theirs.
 *
 *     for (unsigned n = 0;; n++) {
 *         alloc_fail(n);
 *         int r = sl_thing_new(&thing);
 *         if (!alloc_failed()) {
 *             break;          ... there were only n of them: r is a success
 *         }
 *         assert_int_equal(r, -ENOMEM);
 *     }
 */
#ifndef SANDLOCK_TESTS_ALLOC_H
#define SANDLOCK_TESTS_ALLOC_H

#include <stdbool.h>

/* The allocation after the next `n` fails, that one alone. */
void alloc_fail(unsigned n);
/* Did one fail? From now on none does. */
bool alloc_failed(void);

#endif
