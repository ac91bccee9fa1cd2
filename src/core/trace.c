/* Owns the trace: which topics are on, where the lines go, and that each is one safe line. Never
 * blocks out of its own will, never fails the work that it tells of. */
#include "core/trace.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/text.h"
#include "core/util.h"

#define NS_PER_US 1000u
#define US_PER_S  1000000u
#define SHOWN_MAX 160

static const struct {
    const char *name;
    enum sl_trace_topic topic;
} topics_known[] = {
    {"call", SL_TRACE_CALL}, {"flow", SL_TRACE_FLOW}, {"tls", SL_TRACE_TLS},
    {"http", SL_TRACE_HTTP}, {"all", SL_TRACE_ALL},
};

atomic_uint sl_trace_on;

/* Set before the first topic is on, by the only thread there is. */
static int trace_fd = -1;
static const char *trace_who = "";
static int trace_pid; /* asked for once: the gateway's filter need not allow it for each line */

static unsigned find_topic(const char *word, size_t len)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(topics_known); i++) {
        if (strlen(topics_known[i].name) == len && memcmp(topics_known[i].name, word, len) == 0) {
            return topics_known[i].topic;
        }
    }
    return 0;
}

static int parse_topics(const char *text, unsigned *ret_topics, sl_error *err)
{
    unsigned topics = 0;
    for (const char *word = text;;) {
        size_t len = strcspn(word, ",");
        unsigned found = find_topic(word, len);
        if (found == 0) {
            return sl_error_usage(err,
                                  SL_TRACE_ENV ": '%.*s': expected call, flow, tls, http or all",
                                  (int)SL_MIN(len, (size_t)SHOWN_MAX), word);
        }
        topics |= found;
        if (word[len] == '\0') {
            *ret_topics = topics;
            return 0;
        }
        word += len + 1;
    }
}

int sl_trace_open(const char *topics, const char *file, const char *who, sl_error *err)
{
    unsigned on = 0;
    if (topics == NULL || topics[0] == '\0') {
        return 0;
    }
    int r = parse_topics(topics, &on, err);
    if (r < 0) {
        return r;
    }
    bool to_file = file != NULL && file[0] != '\0';
    int fd = to_file ? open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0600)
                     : fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    if (fd < 0) {
        return sl_error_set(err, errno, SL_TRACE_ENV ": cannot open '%s': %s",
                            to_file ? file : "standard error", strerror(errno));
    }
    sl_trace_adopt(on, fd, who);
    return 0;
}

void sl_trace_adopt(unsigned topics, int fd, const char *who)
{
    sl_trace_close();
    topics &= SL_TRACE_ALL;
    if (topics == 0 || fd < 0) {
        sl_close(fd);
        return;
    }
    trace_fd = fd;
    sl_trace_rename(who);
    atomic_store_explicit(&sl_trace_on, topics, memory_order_release);
}

void sl_trace_rename(const char *who)
{
    trace_who = who;
    trace_pid = (int)getpid();
}

unsigned sl_trace_topics(void)
{
    return atomic_load_explicit(&sl_trace_on, memory_order_relaxed);
}

int sl_trace_fd(void)
{
    return trace_fd;
}

void sl_trace_close(void)
{
    atomic_store_explicit(&sl_trace_on, 0, memory_order_relaxed);
    sl_close(trace_fd);
    trace_fd = -1;
}

static const char *topic_name(enum sl_trace_topic topic)
{
    for (size_t i = 0; i < SL_ARRAY_LEN(topics_known); i++) {
        if (topics_known[i].topic == topic) {
            return topics_known[i].name;
        }
    }
    return "?";
}

/* How much of `line` is text, with the end of what was too long marked. */
static size_t mark_cut(char *line, size_t wanted)
{
    if (wanted < SL_TRACE_LINE_MAX) {
        return wanted;
    }
    memcpy(line + SL_TRACE_LINE_MAX - 4, "...", 4);
    return SL_TRACE_LINE_MAX - 1;
}

void sl_trace_write(enum sl_trace_topic topic, const char *fmt, ...)
{
    char line[SL_TRACE_LINE_MAX];
    int saved = errno;
    uint64_t now_us = sl_clock_now_ns() / NS_PER_US;
    int head = snprintf(line, sizeof(line),
                        "%llu.%06u %.32s[%d] %s: ", (unsigned long long)(now_us / US_PER_S),
                        (unsigned)(now_us % US_PER_S), trace_who, trace_pid, topic_name(topic));
    va_list args;
    va_start(args, fmt);
    errno = saved; /* for %m */
    int text = vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, args);
    va_end(args);
    if (text >= 0) {
        size_t len = mark_cut(line, (size_t)head + (size_t)text);
        sl_printable(line);
        line[len] = '\n'; /* where the terminator was */
        ssize_t ignored = write(trace_fd, line, len + 1);
        (void)ignored;
    }
    errno = saved;
}
