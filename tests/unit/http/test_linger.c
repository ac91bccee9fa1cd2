/* Behind our last word: what still comes is read and thrown away, for a moment and up to a bound,
 * so that no reset overtakes the word. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/flow.h"
#include "http/gateway.h"
#include "rig.h"

static rig r;

static int set_up(void **state)
{
    (void)state;
    rig_init(&r);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    rig_done(&r);
    return 0;
}

static sl_flow *lingering(void)
{
    rig_flow(&r);
    sl_flow *flow = r.gw.flows;
    struct iovec word = {"bye", 3};
    assert_int_equal(sl_conn_send(flow->client, &word, 1), 3);
    sl_flow_become(flow, &sl_protocol_linger);
    rig_settle(&r);
    return flow;
}

static void the_last_word_arrives_and_then_the_end(void **state)
{
    (void)state;
    (void)lingering();
    assert_int_equal(r.from_gateway.len, 3);
    assert_true(r.client_ended);
    assert_int_equal(r.gw.flow_count, 1); /* it reads on */
    rig_client_says(&r, "late", 4);
    rig_settle(&r);
    assert_int_equal(r.gw.flow_count, 1);
    (void)shutdown(r.client, SHUT_WR);
    rig_settle(&r);
    assert_int_equal(r.gw.flow_count, 0);
}

static void it_takes_no_more_than_its_bound(void **state)
{
    (void)state;
    static char much[64u << 10];
    size_t sent = 0;
    (void)lingering();
    while (r.gw.flow_count > 0 && sent < 4 * SL_DRAIN_MAX) {
        ssize_t n = send(r.client, much, sizeof(much), MSG_DONTWAIT | MSG_NOSIGNAL);
        sent += n > 0 ? (size_t)n : 0;
        (void)rig_turn(&r);
    }
    assert_int_equal(r.gw.flow_count, 0);
    assert_true(sent >= SL_DRAIN_MAX);
    assert_true(sent < 2 * SL_DRAIN_MAX);
}

static void it_takes_no_longer_than_its_moment(void **state)
{
    (void)state;
    (void)lingering();
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + SL_TIMEOUT_LINGER_MS - 1000);
    assert_int_equal(r.gw.flow_count, 1);
    rig_client_says(&r, "late", 4); /* does not prolong it */
    rig_settle(&r);
    sl_flow_expire_all(&r.gw, uv_now(&r.loop) + SL_TIMEOUT_LINGER_MS);
    assert_int_equal(r.gw.flow_count, 0);
}

static void it_needs_no_upstream(void **state)
{
    (void)state;
    int fds[2];
    char c;
    rig_flow(&r);
    sl_flow *flow = r.gw.flows;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(sl_conn_new(&r.loop, fds[0], &flow->upstream), 0);
    sl_flow_become(flow, &sl_protocol_linger);
    assert_null(flow->upstream);
    assert_int_equal(recv(fds[1], &c, 1, 0), 0);
    close(fds[1]);
}

static void a_client_that_is_gone_ends_it_at_once(void **state)
{
    (void)state;
    rig_flow(&r);
    sl_flow *flow = r.gw.flows;
    close(r.client);
    r.client = -1;
    sl_flow_become(flow, &sl_protocol_linger);
    rig_settle(&r);
    assert_int_equal(r.gw.flow_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_last_word_arrives_and_then_the_end), TEST(it_takes_no_more_than_its_bound),
        TEST(it_takes_no_longer_than_its_moment),     TEST(it_needs_no_upstream),
        TEST(a_client_that_is_gone_ends_it_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
