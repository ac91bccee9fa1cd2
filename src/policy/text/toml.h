/* TOML 1.0, read whole: a tree of plain values with the places where they stand. */
#ifndef SANDLOCK_POLICY_TEXT_TOML_H
#define SANDLOCK_POLICY_TEXT_TOML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/err.h"

#define SL_TOML_LEN_MAX    (1u << 20) /* bytes of text */
#define SL_TOML_DEPTH_MAX  16         /* tables and arrays inside each other */
#define SL_TOML_VALUES_MAX 65536      /* values of all kinds */

enum sl_toml_type {
    SL_TOML_STRING,
    SL_TOML_INTEGER,
    SL_TOML_FLOAT,
    SL_TOML_BOOLEAN,
    SL_TOML_TIME, /* a date, a time, or both */
    SL_TOML_ARRAY,
    SL_TOML_TABLE,
};

typedef struct sl_toml {
    enum sl_toml_type type;
    uint32_t line; /* of the value; from 1, columns in characters */
    uint32_t column;
    char *key; /* in a table; NULL in an array */
    uint32_t key_line;
    uint32_t key_column;
    char *string;          /* STRING: UTF-8 without NUL. TIME: as RFC 3339 writes it, without a zone
                              where none was given */
    int64_t integer;       /* INTEGER, BOOLEAN */
    double number;         /* FLOAT */
    struct sl_toml *items; /* ARRAY, TABLE: in the order of the text */
    size_t count;
} sl_toml;

/* Reads a document into a TABLE that the caller gives back with sl_toml_done. 0 or -errno, with an
 * `err` that begins with the place: "line 3, column 9: ...". */
int sl_toml_parse(const char *text, size_t len, sl_toml *ret_table, sl_error *err);
void sl_toml_done(sl_toml *value);

/* "a string", "an integer": how errors call the type. */
const char *sl_toml_type_name(enum sl_toml_type type);

#endif
