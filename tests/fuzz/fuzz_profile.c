/* Profiles. What is taken must come back from --print-policy as the same policy; what is not must
 * have said so in one line with the name of the profile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/util.h"
#include "policy/text/profile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static bool apply(const char *text, size_t len, sl_policy *policy)
{
    sl_error err = {.message = ""};
    int r = sl_profile_apply(text, len, "it", policy, &err);
    if (r < 0) {
        check(strncmp(err.message, "cannot read profile 'it': ", 26) == 0, "an error has its head");
        return false;
    }
    return sl_policy_freeze(policy, &err) == 0;
}

static void print(const sl_policy *policy, sl_buf *out)
{
    sl_error err;
    sl_buf_init(out, SL_PROFILE_LEN_MAX * 8);
    check(sl_policy_to_toml(policy, out, &err) == 0, "TOML in, TOML out");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    SL_AUTO(sl_policy) policy = sl_policy_new();
    SL_AUTO(sl_policy) back = sl_policy_new();
    sl_autofree char *text = malloc(size == 0 ? 1 : size); /* a read past the end is seen */
    if (policy == NULL || back == NULL || text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    if (apply(text, size, policy)) {
        sl_buf one;
        sl_buf two;
        print(policy, &one);
        check(apply((const char *)sl_buf_head(&one), one.len, back), "a printed policy is taken");
        print(back, &two);
        check(one.len == two.len &&
                  (one.len == 0 || memcmp(sl_buf_head(&one), sl_buf_head(&two), one.len) == 0),
              "a printed policy is the same policy");
        sl_buf_done(&one);
        sl_buf_done(&two);
    }
    return 0;
}
