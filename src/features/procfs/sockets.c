/* Owns /proc/net/tcp and its kin under port_remap and isolate_pids: the tree's own sockets, by the
 * names of its own port space. A view: never refuses, never shows what the real file does not hold.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "core/num.h"
#include "core/util.h"
#include "features/features.h"
#include "features/net/port_names.h"
#include "features/procfs/sockets_int.h"
#include "supervisor/vfile.h"

#define WORD_DIGITS 8 /* an address is one such word, or four (proc_pid_net(5)) */

/* True if this list has ports; their protocol. */
static bool find_proto(const char *list, enum sl_proto *ret)
{
    static const char *const names[] = {"tcp", "tcp6", "udp", "udp6"};
    static const enum sl_proto protos[] = {SL_PROTO_TCP, SL_PROTO_TCP, SL_PROTO_UDP, SL_PROTO_UDP};
    for (size_t i = 0; i < SL_ARRAY_LEN(names); i++) {
        if (strcmp(list, names[i]) == 0) {
            *ret = protos[i];
            return true;
        }
    }
    return false;
}

/* "0100007F:18EB" at `text`. The length of the socket address, 0 when it is none. */
static socklen_t parse_address(const char *text, struct sockaddr_storage *ret)
{
    size_t digits = strspn(text, "0123456789ABCDEF");
    uint32_t words[4];
    memset(ret, 0, sizeof(*ret));
    if ((digits != WORD_DIGITS && digits != 4 * WORD_DIGITS) || text[digits] != ':' ||
        strspn(text + digits + 1, "0123456789ABCDEF") != 4) {
        return 0;
    }
    for (size_t i = 0; i < digits / WORD_DIGITS; i++) {
        uint64_t word = 0;
        (void)sl_num_parse_hex(text + i * WORD_DIGITS, WORD_DIGITS, UINT32_MAX, &word);
        words[i] = (uint32_t)word;
    }
    uint64_t port = 0;
    (void)sl_num_parse_hex(text + digits + 1, 4, UINT16_MAX, &port);
    sl_sock_set_port(ret, (uint16_t)port);
    if (digits == WORD_DIGITS) {
        ret->ss_family = AF_INET;
        memcpy(&((struct sockaddr_in *)ret)->sin_addr, words, sizeof(words[0]));
        return sizeof(struct sockaddr_in);
    }
    ret->ss_family = AF_INET6;
    memcpy(&((struct sockaddr_in6 *)ret)->sin6_addr, words, sizeof(words));
    return sizeof(struct sockaddr_in6);
}

static void write_port(char *text, uint16_t port)
{
    char digits[8];
    snprintf(digits, sizeof(digits), "%04X", port);
    memcpy(strchr(text, ':') + 1, digits, 4);
}

void sl_sockets_rename_line(sl_supervisor *sv, const char *list, char *line)
{
    enum sl_proto proto;
    struct sockaddr_storage sa;
    sl_addr own;
    uint16_t port;
    char *text = strchr(line, ':'); /* behind the number of the line */
    if (sv->port_names == NULL || text == NULL || !find_proto(list, &proto)) {
        return;
    }
    text += 1 + strspn(text + 1, " ");
    socklen_t len = parse_address(text, &sa);
    if (len == 0 || sl_addr_from_sockaddr(&sa, len, &own, &port) < 0) {
        return; /* the line that names the columns */
    }
    if (sl_port_rename(sv, proto, &sa, len, &own)) {
        write_port(text, sl_sock_port(&sa));
    }
    text = strchr(text, ' ');
    len = text == NULL ? 0 : parse_address(++text, &sa);
    if (len > 0 && sl_port_rename(sv, proto, &sa, len, &own)) {
        write_port(text, sl_sock_port(&sa));
    }
}

/* Under isolate_pids the handler of that has been here before, and has answered. */
static sl_answer handle_open(sl_call *call)
{
    enum sl_proto proto;
    const sl_vfile_open *open = call->sv->port_names == NULL ? NULL : sl_vfile_asked(call);
    const char *slash = open == NULL ? NULL : strrchr(open->given, '/');
    if (open == NULL || !find_proto(slash == NULL ? open->given : slash + 1, &proto)) {
        return SL_ANSWER_PASS;
    }
    bool cloexec = (open->flags & O_CLOEXEC) != 0;
    const char *meaning = sl_vfile_meaning(call);
    if (meaning == NULL || sl_fsview_denied(call->sv->view, meaning)) {
        return SL_ANSWER_PASS;
    }
    return sl_sockets_give(call, meaning, cloexec);
}

static bool wanted(const sl_policy *policy)
{
    return policy->port_remap || policy->isolate_pids;
}

static const sl_syscall_row rows[] = {SL_VFILE_ROWS(handle_open)};

const sl_feature sl_feature_sockets = {
    .name = "sockets",
    .wanted = wanted,
    .promised = sl_feature_promises_nothing, /* ports and pids do */
    .rows = rows,
    .row_count = SL_ARRAY_LEN(rows),
    .state_size = sizeof(struct sl_sockets_state),
};
