/* Owns the one test of what the network room takes for a host name. Never guesses or repairs. */
#include "net/hostname_int.h"

#include <errno.h>

#define LABEL_MAX 63

/* The lower-case form of a byte that a label may have, or 0. */
static char label_char(uint8_t c)
{
    if (c >= 'A' && c <= 'Z') {
        return (char)(c - 'A' + 'a');
    }
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_') {
        return (char)c;
    }
    return 0;
}

int sl_hostname_copy(const uint8_t *data, size_t len, char out[SL_HOSTNAME_MAX])
{
    char name[SL_HOSTNAME_MAX];
    size_t label = 0;
    if (len == 0 || len >= SL_HOSTNAME_MAX) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        name[i] = data[i] == '.' ? '.' : label_char(data[i]);
        label = name[i] == '.' ? 0 : label + 1;
        if (name[i] == 0 || label > LABEL_MAX ||
            (name[i] == '.' && (i == 0 || name[i - 1] == '.'))) {
            return -EINVAL;
        }
    }
    if (label == 0) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        out[i] = name[i];
    }
    out[len] = '\0';
    return 0;
}
