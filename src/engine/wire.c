/* Owns what guardian and engine tell each other: single bytes. The guardian never waits for the
 * engine here. */
#include "engine/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include "core/util.h"

void sl_wire_init(sl_wire *wire)
{
    *wire = (sl_wire){.signals = {-1, -1}, .news = {-1, -1}};
}

int sl_wire_open(sl_wire *wire, bool with_news)
{
    bool good = pipe2(wire->signals, O_CLOEXEC | O_NONBLOCK) == 0 &&
                (!with_news || pipe2(wire->news, O_CLOEXEC) == 0);
    return good ? 0 : -errno;
}

void sl_wire_done(sl_wire *wire)
{
    for (int i = 0; i < 2; i++) {
        sl_close(sl_steal_fd(&wire->signals[i]));
        sl_close(sl_steal_fd(&wire->news[i]));
    }
}

void sl_wire_keep_engine(sl_wire *wire)
{
    sl_close(sl_steal_fd(&wire->signals[1]));
    sl_close(sl_steal_fd(&wire->news[0]));
}

void sl_wire_keep_guardian(sl_wire *wire)
{
    sl_close(sl_steal_fd(&wire->news[1]));
}

void sl_wire_pass_on(const sl_wire *wire, int sig)
{
    unsigned char byte = (unsigned char)sig;
    ssize_t n = write(wire->signals[1], &byte, 1);
    (void)n; /* a full pipe: the engine is not keeping up with signals, one more tells it nothing */
}

int sl_wire_read_news(const sl_wire *wire)
{
    char news;
    ssize_t n = read(wire->news[0], &news, 1);
    if (n == 1 && news == SL_NEWS_STARTED) {
        return SL_NEWS_STARTED;
    }
    return n >= 0 || errno != EINTR ? SL_NEWS_ENDED : 0;
}

void sl_wire_close_news(sl_wire *wire)
{
    sl_close(sl_steal_fd(&wire->news[0]));
}

void sl_wire_tell(const sl_wire *wire, enum sl_news news)
{
    char byte = (char)news;
    if (wire->news[1] >= 0) {
        ssize_t n = write(wire->news[1], &byte, 1);
        (void)n; /* it is dead: we see that elsewhere */
    }
}

bool sl_wire_await_restored(const sl_wire *wire, int timeout_ms)
{
    unsigned char sig = 1;
    struct pollfd p = {.fd = wire->signals[0], .events = POLLIN};
    while (sig != SL_WIRE_RESTORED && poll(&p, 1, timeout_ms) > 0) {
        if (read(p.fd, &sig, 1) == 0) {
            return false;
        }
    }
    return true;
}
