/* Owns the reading of the words of commands that take hardly any. */
#include "cli/simple.h"

#include <string.h>

#include "cli/help.h"

int sl_cli_simple_options(int argc, char **argv, bool *ret_json, int *ret_code, sl_error *err)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            *ret_code = sl_cli_help_print(argv[0]);
            return 1;
        }
        if (ret_json != NULL && strcmp(argv[i], "--json") == 0) {
            *ret_json = true;
        } else if (argv[i][0] == '-') {
            return sl_error_usage(err, "unknown option '%s'; expected '--json' or '--help'",
                                  argv[i]);
        } else {
            return sl_error_usage(err, "unexpected word '%s'; 'sandlock %s' takes none", argv[i],
                                  argv[0]);
        }
    }
    return 0;
}
