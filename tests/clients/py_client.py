"""LIBRARY METHOD URL: one request with an unmodified client; prints "status N" and the body."""

import asyncio
import sys


def use_urllib(method, url):
    import urllib.error
    import urllib.request
    try:
        answer = urllib.request.urlopen(urllib.request.Request(url, method=method))
    except urllib.error.HTTPError as error:
        answer = error
    return answer.status, answer.read().decode()


def use_requests(method, url):
    import requests
    answer = requests.request(method, url)
    return answer.status_code, answer.text


def use_httpx(method, url):
    import httpx
    answer = httpx.request(method, url)
    return answer.status_code, answer.text


def use_httpx_async(method, url):
    import httpx

    async def go():
        async with httpx.AsyncClient() as client:
            answer = await client.request(method, url)
            return answer.status_code, answer.text
    return asyncio.run(go())


def use_aiohttp(method, url):
    import aiohttp

    async def go():
        async with aiohttp.ClientSession() as session:
            async with session.request(method, url) as answer:
                return answer.status, await answer.text()
    return asyncio.run(go())


try:
    status, body = globals()["use_" + sys.argv[1]](*sys.argv[2:4])
except Exception as error:  # whatever the library raises is the outcome
    print("error", type(error).__name__, error)
    sys.exit(1)
print("status", status)
print(body)
