/* Listens on a port of loopback that others may share, waits for a line, and connects to it. A
 * stranger there speaks first; the tree's own listener never speaks. */
#include "attack.h"

#define ROUNDS 200

int main(int argc, char **argv)
{
    place p = place_of("127.0.0.1", argc > 1 ? argv[1] : "0");
    struct timeval brief = {.tv_usec = 20000};
    int one = 1;
    int strangers = 0;
    int connected = 0;
    char c;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (report("bind", bind(listener, place_sa(&p), p.len)) || listen(listener, ROUNDS) < 0) {
        return 1;
    }
    if (read(STDIN_FILENO, &c, 1) != 1) {
        return 1;
    }
    for (int i = 0; i < ROUNDS && strangers == 0; i++) {
        int s = socket(AF_INET, SOCK_STREAM, 0);
        setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
        if (connect(s, place_sa(&p), p.len) == 0) {
            connected++;
            strangers += recv(s, &c, 1, 0) == 1;
        }
        close(s);
    }
    printf("connected %d\nstrangers %d\n", connected > 0, strangers);
    return 0;
}
