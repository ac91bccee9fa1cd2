/* Owns the one use of toml++, and all C++ of the program: text in, plain C values out. Knows no
 * policy. Nothing is thrown: the parser answers errors, and what is out of bounds is refused.
 *
 * toml++ reads floats with a stringstream unless it is told that from_chars can do it. The streams
 * would bring the locales, and those would cost every start that uses no profile. */
#define TOML_HEADER_ONLY           1
#define TOML_EXCEPTIONS            0
#define TOML_ENABLE_FORMATTERS     0
#define TOML_ENABLE_WINDOWS_COMPAT 0
#define TOML_FLOAT_CHARCONV        1
#define TOML_INT_CHARCONV          1
#define TOML_MAX_NESTED_VALUES     16
#include <toml++/toml.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

extern "C" {
#include "policy/toml.h"
}

#define DOTS_MAX 1024u

static_assert(TOML_MAX_NESTED_VALUES == SL_TOML_DEPTH_MAX);

namespace
{

struct reading {
    size_t values;
    sl_error *err;
};

int fail(const reading &r, const toml::source_region &at, const char *message)
{
    return sl_error_usage(r.err, "line %u, column %u: %s", at.begin.line, at.begin.column, message);
}

/* A copy for C; NULL when there is no memory or a NUL would cut it short. */
char *copy(std::string_view text)
{
    return text.find('\0') == text.npos ? strndup(text.data(), text.size()) : nullptr;
}

int convert(reading &r, const toml::node &node, unsigned depth, sl_toml *to);

/* Room for `count` items of a table or an array. */
int reserve(reading &r, const toml::node &node, size_t count, sl_toml *to)
{
    r.values += count;
    if (r.values > SL_TOML_VALUES_MAX) {
        return fail(r, node.source(), "too many values");
    }
    to->items = static_cast<sl_toml *>(calloc(count == 0 ? 1 : count, sizeof(sl_toml)));
    return to->items == nullptr ? sl_error_set(r.err, ENOMEM, "not enough memory") : 0;
}

int by_place(const void *a, const void *b)
{
    const sl_toml *x = static_cast<const sl_toml *>(a);
    const sl_toml *y = static_cast<const sl_toml *>(b);
    if (x->key_line != y->key_line) {
        return x->key_line < y->key_line ? -1 : 1;
    }
    return x->key_column < y->key_column ? -1 : x->key_column > y->key_column;
}

int convert_table(reading &r, const toml::table &table, unsigned depth, sl_toml *to)
{
    to->type = SL_TOML_TABLE;
    int e = reserve(r, table, table.size(), to);
    if (e < 0) {
        return e;
    }
    for (auto &&[key, value] : table) {
        sl_toml *item = &to->items[to->count++];
        item->key_line = key.source().begin.line;
        item->key_column = key.source().begin.column;
        item->key = copy(key.str());
        e = item->key == nullptr ? fail(r, key.source(), "a key has a NUL character")
                                 : convert(r, value, depth + 1, item);
        if (e < 0) {
            return e;
        }
    }
    qsort(to->items, to->count, sizeof(sl_toml), by_place);
    return 0;
}

int convert_array(reading &r, const toml::array &array, unsigned depth, sl_toml *to)
{
    to->type = SL_TOML_ARRAY;
    int e = reserve(r, array, array.size(), to);
    for (size_t i = 0; e == 0 && i < array.size(); i++) {
        e = convert(r, array[i], depth + 1, &to->items[to->count++]);
    }
    return e;
}

int convert(reading &r, const toml::node &node, unsigned depth, sl_toml *to)
{
    to->line = node.source().begin.line;
    to->column = node.source().begin.column;
    if (depth > SL_TOML_DEPTH_MAX) {
        return fail(r, node.source(), "tables and arrays too deep inside each other");
    }
    switch (node.type()) {
    case toml::node_type::table:
        return convert_table(r, *node.as_table(), depth, to);
    case toml::node_type::array:
        return convert_array(r, *node.as_array(), depth, to);
    case toml::node_type::string:
        to->type = SL_TOML_STRING;
        to->string = copy(node.as_string()->get());
        return to->string == nullptr ? fail(r, node.source(), "a string has a NUL character") : 0;
    case toml::node_type::integer:
        to->type = SL_TOML_INTEGER;
        to->integer = node.as_integer()->get();
        return 0;
    case toml::node_type::floating_point:
        to->type = SL_TOML_FLOAT;
        to->number = node.as_floating_point()->get();
        return 0;
    case toml::node_type::boolean:
        to->type = SL_TOML_BOOLEAN;
        to->integer = node.as_boolean()->get();
        return 0;
    default:
        to->type = SL_TOML_TIME;
        return 0;
    }
}

/* Dotted keys nest as deep as a line is long, and the parser's destructors recurse. What is between
 * two commas of a line holds one key. 0, or the line with too many dots in it. */
size_t too_deep(const char *text, size_t len)
{
    size_t line = 1;
    size_t dots = 0;
    for (size_t i = 0; i < len; i++) {
        line += text[i] == '\n';
        dots = text[i] == '\n' || text[i] == ',' ? 0 : dots + (text[i] == '.');
        if (dots > DOTS_MAX) {
            return line;
        }
    }
    return 0;
}

} // namespace

extern "C" int sl_toml_parse(const char *text, size_t len, sl_toml *ret_table, sl_error *err)
{
    if (len > SL_TOML_LEN_MAX) {
        return sl_error_usage(err, "longer than %u bytes", SL_TOML_LEN_MAX);
    }
    size_t deep = too_deep(text, len);
    if (deep > 0) {
        return sl_error_usage(err, "line %zu: more than %u dots in one value or key", deep,
                              DOTS_MAX);
    }
    reading r = {0, err};
    toml::parse_result parsed = toml::parse(std::string_view(text, len));
    if (!parsed) {
        std::string message(parsed.error().description());
        return fail(r, parsed.error().source(), message.c_str());
    }
    sl_toml table = {};
    int e = convert(r, parsed.table(), 0, &table);
    if (e < 0) {
        sl_toml_done(&table);
        return e;
    }
    *ret_table = table;
    return 0;
}

extern "C" void sl_toml_done(sl_toml *value)
{
    for (size_t i = 0; i < value->count; i++) {
        sl_toml_done(&value->items[i]);
    }
    free(value->items);
    free(value->string);
    free(value->key);
    *value = sl_toml{};
}

extern "C" const char *sl_toml_type_name(enum sl_toml_type type)
{
    static const char *const names[] = {"a string",         "an integer", "a float", "a boolean",
                                        "a date or a time", "an array",   "a table"};
    return names[type];
}
