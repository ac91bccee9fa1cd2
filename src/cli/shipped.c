/* Owns the profiles that came with the program: the files of conf/profiles, compiled in, so that a
 * copied program has them wherever it stands. */
#include <string.h>

#include "cli/profiles.h"
#include "core/util.h"

/* clang-format off */
#define SHIP(symbol, file)                                                                         \
    __asm__(".section .rodata,\"a\"\n"                                                             \
            ".local " #symbol "\n"                                                                 \
            ".local " #symbol "_end\n"                                                             \
            #symbol ":\n"                                                                          \
            ".incbin \"" SANDLOCK_CONF_DIR "/profiles/" file ".toml\"\n"                           \
            #symbol "_end:\n"                                                                      \
            ".byte 0\n"                                                                            \
            ".previous\n");                                                                        \
    extern const char symbol[] __attribute__((visibility("hidden")));                              \
    extern const char symbol##_end[] __attribute__((visibility("hidden")))
/* clang-format on */

SHIP(shipped_agent, "agent");
SHIP(shipped_build, "build");
SHIP(shipped_ci, "ci");
SHIP(shipped_offline, "offline");
SHIP(shipped_read_only, "read-only");

const sl_cli_shipped *sl_cli_shipped_profiles(size_t *ret_count)
{
    static sl_cli_shipped shipped[] = {
        {"agent", shipped_agent, 0},     {"build", shipped_build, 0},         {"ci", shipped_ci, 0},
        {"offline", shipped_offline, 0}, {"read-only", shipped_read_only, 0},
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(shipped); i++) {
        shipped[i].len = strlen(shipped[i].text);
    }
    *ret_count = SL_ARRAY_LEN(shipped);
    return shipped;
}

const sl_cli_shipped *sl_cli_shipped_profile(const char *name)
{
    size_t count;
    const sl_cli_shipped *shipped = sl_cli_shipped_profiles(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(shipped[i].name, name) == 0) {
            return &shipped[i];
        }
    }
    return NULL;
}
