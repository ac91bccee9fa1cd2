/* Owns the reading of hosts(5) files. Takes an address only in its strict form. */
#include "net/dns/hosts_int.h"

#include <string.h>
#include <strings.h>

#include "core/fd.h"
#include "core/util.h"

#define BLANKS " \t\r\v\f"

/* Cuts the next word off `*text`; NULL at the end of the line. */
static char *next_word(char **text)
{
    char *word = *text + strspn(*text, BLANKS);
    char *end = word + strcspn(word, BLANKS);
    *text = *end == '\0' ? end : end + 1;
    *end = '\0';
    return *word == '\0' ? NULL : word;
}

static bool line_has(char *line, const char *name, sl_addr *ret_addr)
{
    line[strcspn(line, "#")] = '\0';
    char *addr = next_word(&line);
    for (char *word = next_word(&line); addr != NULL && word != NULL; word = next_word(&line)) {
        if (strcasecmp(word, name) == 0) {
            return sl_addr_parse(addr, ret_addr) == 0;
        }
    }
    return false;
}

size_t sl_hosts_lookup(const char *path, const char *name, sl_addr *ret_addrs, size_t max)
{
    sl_autofree char *text = NULL;
    size_t len = 0;
    size_t count = 0;
    if (sl_fd_read_file(path, SL_HOSTS_MAX, &text, &len) < 0) {
        return 0;
    }
    for (char *line = text; line != NULL && count < max;) {
        char *end = strchr(line, '\n');
        if (end != NULL) {
            *end++ = '\0';
        }
        count += line_has(line, name, &ret_addrs[count]) ? 1 : 0;
        line = end;
    }
    return count;
}
