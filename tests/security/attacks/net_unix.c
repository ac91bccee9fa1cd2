/* TYPE HOW PATH: reaches a Unix socket. TYPE stream|dgram|seqpacket; HOW connect|sendto|sendmsg|
 * sendmmsg|abstract|long (108 bytes without NUL). Sends "x". */
#include "attack.h"

#include <stddef.h>
#include <sys/un.h>

int main(int argc, char **argv)
{
    if (argc != 4) {
        return 2;
    }
    struct sockaddr_un to = {.sun_family = AF_UNIX};
    const char *how = argv[2];
    size_t len = strlen(argv[3]);
    bool abstract = strncmp(how, "abstract", 8) == 0;
    if (len + abstract > sizeof(to.sun_path)) {
        return 2;
    }
    memcpy(to.sun_path + abstract, argv[3], len);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    size = size > sizeof(to) ? (socklen_t)sizeof(to) : size;
    int type = strcmp(argv[1], "dgram") == 0       ? SOCK_DGRAM
               : strcmp(argv[1], "seqpacket") == 0 ? SOCK_SEQPACKET
                                                   : SOCK_STREAM;
    int fd = socket(AF_UNIX, type, 0);
    struct iovec iov = {"x", 1};
    struct msghdr msg = {&to, size, &iov, 1, NULL, 0, 0};
    if (fd < 0) {
        return report("socket", fd);
    }
    if (strstr(how, "sendto")) {
        return report("send", sendto(fd, "x", 1, 0, (struct sockaddr *)&to, size));
    }
    if (strstr(how, "sendmmsg")) {
        struct mmsghdr batch = {msg, 0};
        return report("send", sendmmsg(fd, &batch, 1, 0));
    }
    if (strstr(how, "sendmsg")) {
        return report("send", sendmsg(fd, &msg, 0));
    }
    return report("connect", connect(fd, (struct sockaddr *)&to, size)) ||
           report("send", send(fd, "x", 1, 0));
}
