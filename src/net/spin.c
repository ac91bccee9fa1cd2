/* Owns the decision to sleep. Never spins for long, nor when it did not pay lately: an idle gateway
 * uses no CPU. */
#include "net/spin.h"

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/clock.h"
#include "net/conn.h"

#define SPIN_NS 50000u /* looked for so long */
#define SOON_NS                                                                                    \
    100000u /* a sleep this short would better have been a look (it includes waking)               \
             */
#define SCORE_MAX 16
#define MISS_COST 3 /* hits must be three of four, or it is not worth the CPU */

static bool has_cpus(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) >= 2;
}

/* Looks until something comes or time is up. */
static bool look(uv_loop_t *loop)
{
    uint64_t before = sl_conn_events();
    uint64_t until = sl_clock_now_ns() + SPIN_NS;
    do {
        uv_run(loop, UV_RUN_NOWAIT);
        if (sl_conn_events() != before) {
            return true;
        }
        (void)sched_yield(); /* whoever else is ready on this CPU goes first */
    } while (sl_clock_now_ns() < until);
    return false;
}

void sl_spin_run(uv_loop_t *loop)
{
    int score = 0;
    if (!has_cpus()) {
        uv_run(loop, UV_RUN_DEFAULT);
        return;
    }
    for (;;) {
        if (score > 0) {
            if (look(loop)) {
                score = score < SCORE_MAX ? score + 1 : SCORE_MAX;
                continue;
            }
            score -= MISS_COST;
        }
        uint64_t slept = sl_clock_now_ns();
        uint64_t before = sl_conn_events();
        if (uv_run(loop, UV_RUN_ONCE) == 0) {
            return;
        }
        if (sl_conn_events() != before && sl_clock_now_ns() - slept < SOON_NS) {
            score = score < 1 ? score + 1 : score;
        } else if (score < 0) {
            score = 0;
        }
    }
}
