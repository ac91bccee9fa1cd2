/* The states of an exchange: the legal steps, all the others, and that an end only gets worse. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/util.h"
#include "http/h1/exchange_int.h"

static uv_loop_t loop;
static sl_gateway gw;
static sl_flow flow;
static sl_exchange x;

static int set_up(void **state)
{
    (void)state;
    memset(&flow, 0, sizeof(flow));
    memset(&x, 0, sizeof(x));
    gw.loop = &loop;
    x.gw = flow.gw = &gw;
    x.flow = &flow;
    x.upstream_end = SL_UPSTREAM_CLOSE;
    return uv_loop_init(&loop);
}

static int tear_down(void **state)
{
    (void)state;
    return uv_loop_close(&loop);
}

/* A mistake of ours: the assertion, or, without assertions, the end of the flow. */
static void expect_illegal(void (*step)(int to), int to)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(2);
        }
        step(to);
        _exit(x.state == SL_EXCHANGE_ENDED && x.client_end == SL_CLIENT_BREAK ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
#ifdef NDEBUG
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
#else
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
#endif
}

static void go(int to)
{
    sl_exchange_go(&x, (enum sl_exchange_state)to);
}

static void go_up(int to)
{
    sl_exchange_up(&x, (enum sl_h1_up)to);
}

static void go_down(int to)
{
    sl_exchange_down(&x, (enum sl_h1_down)to);
}

static void the_life_of_a_connection(void **state)
{
    (void)state;
    static const enum sl_exchange_state life[] = {
        SL_EXCHANGE_OPENING, SL_EXCHANGE_RELAY, SL_EXCHANGE_OPENING, SL_EXCHANGE_RELAY,
        SL_EXCHANGE_IDLE,    SL_EXCHANGE_DRAIN, SL_EXCHANGE_IDLE,    SL_EXCHANGE_RELAY,
        SL_EXCHANGE_DRAIN,   SL_EXCHANGE_FLUSH, SL_EXCHANGE_LINGER,
    };
    for (size_t i = 0; i < SL_ARRAY_LEN(life); i++) {
        sl_exchange_go(&x, life[i]);
        assert_int_equal(x.state, life[i]);
    }
}

static void what_is_over_does_not_begin_again(void **state)
{
    (void)state;
    static const enum sl_exchange_state over[] = {SL_EXCHANGE_FLUSH, SL_EXCHANGE_LINGER,
                                                  SL_EXCHANGE_TUNNEL, SL_EXCHANGE_ENDED};
    for (size_t i = 0; i < SL_ARRAY_LEN(over); i++) {
        x.state = over[i];
        expect_illegal(go, SL_EXCHANGE_IDLE);
        expect_illegal(go, SL_EXCHANGE_OPENING);
        expect_illegal(go, SL_EXCHANGE_RELAY);
    }
    x.state = SL_EXCHANGE_IDLE;
    expect_illegal(go, SL_EXCHANGE_TUNNEL); /* only behind a 101 */
    expect_illegal(go, SL_EXCHANGE_LINGER); /* only behind the last word */
}

static void everything_may_end(void **state)
{
    (void)state;
    for (int s = SL_EXCHANGE_IDLE; s <= SL_EXCHANGE_ENDED; s++) {
        x.state = (enum sl_exchange_state)s;
        sl_exchange_go(&x, SL_EXCHANGE_ENDED);
        assert_int_equal(x.state, SL_EXCHANGE_ENDED);
    }
}

static void each_state_has_its_time(void **state)
{
    (void)state;
    uint64_t now = uv_now(&loop);
    x.state = SL_EXCHANGE_RELAY;
    flow.deadline_ms = 1;
    sl_exchange_go(&x, SL_EXCHANGE_IDLE);
    assert_int_equal(flow.deadline_ms, 0); /* it may be kept as long as the client likes */
    sl_exchange_go(&x, SL_EXCHANGE_OPENING);
    assert_int_equal(flow.deadline_ms, 0); /* the opening has its own */
    x.client.eof = true;
    sl_exchange_go(&x, SL_EXCHANGE_RELAY);
    assert_int_equal(flow.deadline_ms, now + SL_TIMEOUT_GONE_MS);
    sl_exchange_go(&x, SL_EXCHANGE_DRAIN);
    assert_int_equal(flow.deadline_ms, now + SL_TIMEOUT_DRAIN_MS);
    sl_exchange_go(&x, SL_EXCHANGE_FLUSH);
    assert_int_equal(flow.deadline_ms, now + SL_TIMEOUT_GONE_MS);
}

/* Bit `to` of legal[from]; staying is always legal. */
static void expect_table(void (*step)(int to), unsigned count, const unsigned *legal,
                         void (*put)(unsigned from), unsigned (*get)(void))
{
    for (unsigned from = 0; from < count; from++) {
        for (unsigned to = 0; to < count; to++) {
            put(from);
            if (from == to || (legal[from] >> to & 1) != 0) {
                step((int)to);
                assert_int_equal(get(), to);
            } else {
                expect_illegal(step, (int)to);
            }
        }
    }
}

static void put_up(unsigned s)
{
    x.up = s;
}

static unsigned get_up(void)
{
    return x.up;
}

static void put_down(unsigned s)
{
    x.down = s;
}

static unsigned get_down(void)
{
    return x.down;
}

static void a_request_has_these_steps_and_no_others(void **state)
{
    (void)state;
    static const unsigned legal[] = {
        [SL_H1_UP_NONE] = 1 << SL_H1_UP_BODY | 1 << SL_H1_UP_DONE,
        [SL_H1_UP_BODY] = 1 << SL_H1_UP_DROPPED | 1 << SL_H1_UP_DRAIN | 1 << SL_H1_UP_DONE,
        [SL_H1_UP_DROPPED] = 1 << SL_H1_UP_DRAIN,
        [SL_H1_UP_DRAIN] = 1 << SL_H1_UP_DONE,
        [SL_H1_UP_DONE] = 1 << SL_H1_UP_NONE,
    };
    expect_table(go_up, SL_ARRAY_LEN(legal), legal, put_up, get_up);
}

static void a_response_has_these_steps_and_no_others(void **state)
{
    (void)state;
    static const unsigned legal[] = {
        [SL_H1_DOWN_NONE] = 1 << SL_H1_DOWN_HEAD | 1 << SL_H1_DOWN_DONE,
        [SL_H1_DOWN_HEAD] = 1 << SL_H1_DOWN_BODY | 1 << SL_H1_DOWN_SWITCH | 1 << SL_H1_DOWN_DONE,
        [SL_H1_DOWN_BODY] = 1 << SL_H1_DOWN_DONE,
        [SL_H1_DOWN_SWITCH] = 0,
        [SL_H1_DOWN_DONE] = 1 << SL_H1_DOWN_NONE,
    };
    expect_table(go_down, SL_ARRAY_LEN(legal), legal, put_down, get_down);
}

static void the_clients_end_only_gets_worse(void **state)
{
    (void)state;
    for (int from = SL_CLIENT_KEEP; from <= SL_CLIENT_BREAK; from++) {
        for (int to = SL_CLIENT_KEEP; to <= SL_CLIENT_BREAK; to++) {
            x.client_end = (enum sl_h1_client_end)from;
            sl_exchange_end_client(&x, (enum sl_h1_client_end)to);
            assert_int_equal(x.client_end, SL_MAX(from, to));
        }
    }
}

static void the_upstreams_end_is_open_again_with_the_next_request(void **state)
{
    (void)state;
    sl_exchange_end_upstream(&x, SL_UPSTREAM_POOL);
    assert_int_equal(x.upstream_end, SL_UPSTREAM_CLOSE);
    sl_exchange_use_upstream(&x);
    assert_int_equal(x.upstream_end, SL_UPSTREAM_POOL);
    sl_exchange_end_upstream(&x, SL_UPSTREAM_OWN);
    sl_exchange_end_upstream(&x, SL_UPSTREAM_POOL);
    assert_int_equal(x.upstream_end, SL_UPSTREAM_OWN);
    sl_exchange_end_upstream(&x, SL_UPSTREAM_CLOSE);
    x.bound = true; /* authenticated once, it is never anybody else's */
    sl_exchange_use_upstream(&x);
    assert_int_equal(x.upstream_end, SL_UPSTREAM_OWN);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_life_of_a_connection),
        TEST(what_is_over_does_not_begin_again),
        TEST(everything_may_end),
        TEST(each_state_has_its_time),
        TEST(a_request_has_these_steps_and_no_others),
        TEST(a_response_has_these_steps_and_no_others),
        TEST(the_clients_end_only_gets_worse),
        TEST(the_upstreams_end_is_open_again_with_the_next_request),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
