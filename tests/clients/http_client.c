/* METHOD URL: one request over clear HTTP with nothing but the C library (musl or glibc). Prints
 * "status N", or "error". */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    char host[256], path[1024] = "/", head[2048], answer[65536];
    if (argc != 3 || sscanf(argv[2], "http://%255[^/]%1023s", host, path) < 1) {
        return 2;
    }
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list;
    if (getaddrinfo(host, "80", &hints, &list)) {
        puts("error name");
        return 1;
    }
    int fd = -1;
    for (struct addrinfo *a = list; a; a = a->ai_next) {
        fd = socket(a->ai_family, SOCK_STREAM, 0);
        if (connect(fd, a->ai_addr, a->ai_addrlen) == 0) {
            break;
        }
        close(fd);
        fd = -1;
    }
    if (fd < 0) {
        puts("error connect");
        return 1;
    }
    int len =
        snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                 argv[1], path, host);
    write(fd, head, (size_t)len);
    size_t got = 0;
    for (ssize_t n;
         got < sizeof(answer) - 1 && (n = read(fd, answer + got, sizeof(answer) - 1 - got)) > 0;) {
        got += (size_t)n;
    }
    answer[got] = '\0';
    int status = 0;
    if (sscanf(answer, "HTTP/1.1 %d", &status) != 1) {
        puts("error answer");
        return 1;
    }
    char *body = strstr(answer, "\r\n\r\n");
    printf("status %d\n%s\n", status, body ? body + 4 : "");
    return 0;
}
