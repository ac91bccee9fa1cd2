/* HOST PORT: sends standard input, prints the first bytes that come back as hex (nothing when the
 * peer closes first). */
#include "attack.h"

#include <netdb.h>
#include <signal.h>

int main(int argc, char **argv)
{
    static unsigned char data[1 << 20];
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    signal(SIGPIPE, SIG_IGN);
    alarm(20);
    if (argc != 3 || getaddrinfo(argv[1], argv[2], &hints, &list)) {
        return 1;
    }
    int fd = socket(list->ai_family, SOCK_STREAM, 0);
    if (connect(fd, list->ai_addr, list->ai_addrlen)) {
        return 1;
    }
    size_t len = fread(data, 1, sizeof(data), stdin);
    for (size_t sent = 0; sent < len;) {
        ssize_t n = send(fd, data + sent, len - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
    }
    ssize_t n = recv(fd, data, sizeof(data), 0);
    for (ssize_t i = 0; i < n; i++) {
        printf("%02x", data[i]);
    }
    printf("\n");
    return 0;
}
