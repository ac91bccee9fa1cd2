/* Knocks at a control socket with every request there is: control PATH. Prints what each got. */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct request {
    uint32_t magic;
    uint32_t what;
    uint32_t signal;
    uint32_t zero;
};

static int knock(const char *path, uint32_t what)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    struct request request = {.magic = 0x314b4c53u, .what = what, .signal = 9};
    char answer[64];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
    if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0) {
        return -errno;
    }
    ssize_t n = send(fd, &request, sizeof(request), MSG_NOSIGNAL);
    n = n < 0 ? n : recv(fd, answer, sizeof(answer), 0);
    int r = n < 0 ? -errno : (int)n;
    close(fd);
    return r;
}

int main(int argc, char **argv)
{
    for (uint32_t what = 1; argc > 1 && what <= 3; what++) {
        int r = knock(argv[1], what);
        printf("%u %s\n", what, r > 0 ? "answered" : r == 0 ? "nothing" : strerror(-r));
    }
    return 0;
}
