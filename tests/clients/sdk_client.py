"""LIBRARY BASE: an unmodified SDK against a mock of its API. One JSON line for each step: what came
of it, or the error and what the error says.

    LIBRARY   openai openai-async anthropic anthropic-async websockets websockets-sync"""

import asyncio
import json
import sys

QUESTION = [{"role": "user", "content": "hello"}]
WORDS = dict(model="test-1", messages=QUESTION)


def say(step, **what):
    print(json.dumps({"step": step, **what}), flush=True)


async def settle(value):
    return await value if hasattr(value, "__await__") else value


async def each(stream):
    if hasattr(stream, "__aiter__"):
        async for item in stream:
            yield item
    else:
        for item in stream:
            yield item


async def attempt(step, action):
    try:
        say(step, answer=await action())
    except Exception as error:  # whatever the library raises is the outcome
        response = getattr(error, "response", None)
        body = getattr(response, "text", None) or getattr(response, "body", b"")
        say(step, error=type(error).__name__, status=getattr(response, "status_code", None),
            body=body if isinstance(body, str) else body.decode())


async def use_openai(kind, base):
    def client(where):
        return kind(base_url=f"{where}/v1", api_key="test", max_retries=0)
    api = client(base)

    async def whole():
        return (await settle(api.chat.completions.create(**WORDS))).choices[0].message.content

    async def stream():
        pieces = await settle(api.chat.completions.create(**WORDS, stream=True))
        texts = [p.choices[0].delta.content async for p in each(pieces)]
        return [text for text in texts if text]

    async def method():
        return str(await settle(api.models.delete("test-1")))

    async def path():
        return str(await settle(api.models.retrieve("secret")))

    async def host():
        other = client(base.replace("api.test", "denied.test"))
        return str(await settle(other.chat.completions.create(**WORDS)))

    for step in (whole, stream, method, path, host):
        await attempt(step.__name__, step)


async def use_anthropic(kind, base):
    def client(where):
        return kind(base_url=where, api_key="test", max_retries=0)
    api = client(base)

    async def whole():
        answer = await settle(api.messages.create(**WORDS, max_tokens=9))
        return answer.content[0].text

    async def stream():
        events = await settle(api.messages.create(**WORDS, max_tokens=9, stream=True))
        return [e.delta.text async for e in each(events) if e.type == "content_block_delta"]

    async def method():
        return str(await settle(api.delete("/v1/messages", cast_to=object)))

    async def path():
        return str(await settle(api.models.retrieve("secret")))

    async def host():
        other = client(base.replace("api.test", "denied.test"))
        return str(await settle(other.messages.create(**WORDS, max_tokens=9)))

    for step in (whole, stream, method, path, host):
        await attempt(step.__name__, step)


def use_websockets_sync(base):
    from websockets.sync.client import connect

    def echo(url):
        with connect(url) as ws:
            return [talk(ws, text) for text in ("one", "two" * 30000, b"\0\1")]

    def talk(ws, text):
        ws.send(text)
        return ws.recv() == text

    async def run():
        for step, url in ws_steps(base):
            async def one(url=url):
                return echo(url)
            await attempt(step, one)
    return run()


async def use_websockets(base):
    from websockets.asyncio.client import connect

    async def echo(url):
        async with connect(url) as ws:
            found = []
            for text in ("one", "two" * 30000, b"\0\1"):
                await ws.send(text)
                found.append(await ws.recv() == text)
            await (await ws.ping())
            return found

    for step, url in ws_steps(base):
        await attempt(step, lambda url=url: echo(url))


def ws_steps(base):
    return (("echo", f"{base}/ws"), ("path", f"{base}/secret/ws"),
            ("host", f"{base.replace('api.test', 'denied.test')}/ws"))


def main(library, base):
    name, _, how = library.partition("-")
    if name == "websockets":
        asyncio.run((use_websockets_sync if how else use_websockets)(base))
    elif name == "openai":
        import openai
        asyncio.run(use_openai(openai.AsyncOpenAI if how else openai.OpenAI, base))
    else:
        import anthropic
        asyncio.run(use_anthropic(anthropic.AsyncAnthropic if how else anthropic.Anthropic, base))


main(*sys.argv[1:3])
