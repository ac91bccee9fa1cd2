/* Owns: mocks of two well-known language-model APIs, whole and streamed, enough for their
 * unmodified client packages. Never: keeps state. */
#include <stdio.h>
#include <string.h>

#include "server.h"

#define STREAM_HEAD                                                                                \
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: "                        \
    "no-cache\r\nTransfer-Encoding: chunked\r\n\r\n"

static const char *const words[] = {"Hello", " from", " the", " test", " server"};
#define WORDS (sizeof(words) / sizeof(words[0]))

static bool wants_stream(const request *r)
{
    return memmem(r->body.data, r->body.len, "\"stream\":true", 13) ||
           memmem(r->body.data, r->body.len, "\"stream\": true", 14);
}

static bool finish(conn *c, const request *r)
{
    return conn_text(c, "0\r\n\r\n") == 0 && r->keep_alive;
}

static bool chat_stream(conn *c, const request *r)
{
    char text[512];
    conn_text(c, STREAM_HEAD);
    for (size_t i = 0; i < WORDS; i++) {
        int len = snprintf(text, sizeof(text),
                           "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\","
                           "\"created\":1,\"model\":\"test-1\",\"choices\":[{\"index\":0,\"delta\":"
                           "{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":null}]}"
                           "\n\n",
                           words[i]);
        chunk(c, text, (size_t)len);
    }
    static const char done[] =
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,"
        "\"model\":\"test-1\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}"
        "\n\ndata: [DONE]\n\n";
    chunk(c, done, sizeof(done) - 1);
    return finish(c, r);
}

static bool chat_whole(conn *c, const request *r)
{
    static const char body[] =
        "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion\",\"created\":1,\"model\":\"test-1\","
        "\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":"
        "\"Hello from the test server\"},\"finish_reason\":\"stop\"}],\"usage\":"
        "{\"prompt_tokens\":1,\"completion_tokens\":5,\"total_tokens\":6}}\n";
    return answer(c, r, 200, "application/json", NULL, body, sizeof(body) - 1);
}

static void event(conn *c, const char *name, const char *data)
{
    char text[768];
    int len = snprintf(text, sizeof(text), "event: %s\ndata: %s\n\n", name, data);
    chunk(c, text, (size_t)len);
}

static bool messages_stream(conn *c, const request *r)
{
    char text[512];
    conn_text(c, STREAM_HEAD);
    event(c, "message_start",
          "{\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":"
          "\"assistant\",\"content\":[],\"model\":\"test-1\",\"stop_reason\":null,"
          "\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,\"output_tokens\":1}}}");
    event(c, "content_block_start",
          "{\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"text\","
          "\"text\":\"\"}}");
    for (size_t i = 0; i < WORDS; i++) {
        snprintf(text, sizeof(text),
                 "{\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\","
                 "\"text\":\"%s\"}}",
                 words[i]);
        event(c, "content_block_delta", text);
    }
    event(c, "content_block_stop", "{\"type\":\"content_block_stop\",\"index\":0}");
    event(c, "message_delta",
          "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":"
          "null},\"usage\":{\"output_tokens\":5}}");
    event(c, "message_stop", "{\"type\":\"message_stop\"}");
    return finish(c, r);
}

static bool messages_whole(conn *c, const request *r)
{
    static const char body[] =
        "{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"test-1\","
        "\"content\":[{\"type\":\"text\",\"text\":\"Hello from the test server\"}],"
        "\"stop_reason\":\"end_turn\",\"stop_sequence\":null,\"usage\":{\"input_tokens\":1,"
        "\"output_tokens\":5}}\n";
    return answer(c, r, 200, "application/json", NULL, body, sizeof(body) - 1);
}

bool route_completion(conn *c, const request *r)
{
    static const char models[] = "{\"object\":\"list\",\"data\":[{\"id\":\"test-1\",\"object\":"
                                 "\"model\",\"created\":1,\"owned_by\":\"test\"}]}\n";
    if (strcmp(r->target, "/v1/chat/completions") == 0 && strcmp(r->method, "POST") == 0) {
        return wants_stream(r) ? chat_stream(c, r) : chat_whole(c, r);
    }
    if (strncmp(r->target, "/v1/messages", 12) == 0 && strcmp(r->method, "POST") == 0) {
        return wants_stream(r) ? messages_stream(c, r) : messages_whole(c, r);
    }
    if (strcmp(r->target, "/v1/models") == 0) {
        return answer(c, r, 200, "application/json", NULL, models, sizeof(models) - 1);
    }
    return answer(c, r, 200, "application/json", NULL, "{\"ok\":true}\n", 12);
}
