/* Owns the table of trust artefacts. Pure: it opens nothing. */
#include "policy/artefact.h"

#include <string.h>

#include "core/util.h"

static const struct {
    const char *name;
    const char *file;
} artefacts[SL_ARTEFACTS] = {
#define SL_ARTEFACT(id, name, file) [SL_ARTEFACT_##id] = {name, file},
#include "policy/artefact.inc"
};

static const sl_artefact_variable variables[] = {
#define SL_ARTEFACT_VARIABLE(name, id) {name, SL_ARTEFACT_##id},
#include "policy/artefact.inc"
};

struct place {
    const char *text;
    size_t len;
    enum sl_artefact artefact;
    bool is_suffix;
};

static const struct place places[] = {
#define SL_CA_BUNDLE(path) {path, sizeof(path) - 1, SL_ARTEFACT_BUNDLE, false},
#include "core/ca_bundles.inc"
#define SL_ARTEFACT_SUFFIX(end, id) {end, sizeof(end) - 1, SL_ARTEFACT_##id, true},
#include "policy/artefact.inc"
};

const char *sl_artefact_name(enum sl_artefact artefact)
{
    return artefacts[artefact].name;
}

const char *sl_artefact_file(enum sl_artefact artefact)
{
    return artefacts[artefact].file;
}

const sl_artefact_variable *sl_artefact_variables(size_t *ret_count)
{
    *ret_count = SL_ARRAY_LEN(variables);
    return variables;
}

static bool ends_with(const char *text, size_t len, const char *end, size_t end_len)
{
    return len >= end_len && memcmp(text + len - end_len, end, end_len) == 0;
}

enum sl_artefact sl_artefact_at(const char *path)
{
    size_t len = strlen(path);
    for (size_t i = 0; i < SL_ARRAY_LEN(places); i++) {
        const struct place *p = &places[i];
        if ((p->is_suffix || len == p->len) && ends_with(path, len, p->text, p->len)) {
            return p->artefact;
        }
    }
    return SL_ARTEFACTS;
}

static const char *last_part(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

/* Asked at every open: the last byte alone turns most away. */
static bool is_called(const char *name, size_t len, const char *place, size_t place_len)
{
    return len > 0 && name[len - 1] == place[place_len - 1] && strcmp(name, last_part(place)) == 0;
}

bool sl_artefact_may_be(const char *path)
{
    const char *name = last_part(path);
    size_t len = strlen(name);
    if (ends_with(name, len, ".pem", 4) || ends_with(name, len, ".crt", 4)) {
        return true;
    }
    for (size_t i = 0; i < SL_ARRAY_LEN(places); i++) {
        if (is_called(name, len, places[i].text, places[i].len)) {
            return true;
        }
    }
    for (size_t i = 0; i < SL_ARTEFACTS; i++) {
        if (is_called(name, len, artefacts[i].file, strlen(artefacts[i].file))) {
            return true;
        }
    }
    return false;
}
