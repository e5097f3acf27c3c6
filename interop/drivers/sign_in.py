"""A Python client that signs in by itself: challenge, metadata, registration, code and tokens are its SDK's, and a page of
its own on loopback takes the code. work["sdk"] is 1 (mcp 1.x) or 2 (mcp 2.x)."""

import asyncio
import json
import sys
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

work = json.loads(sys.argv[1])


def say(word):
    print(json.dumps(word), flush=True)


class Kept:
    """What the client keeps of tokens and of itself: here, in memory."""

    tokens = None
    client = None
    saved = 0

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens
        self.saved += 1

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


async def main():
    answer = asyncio.get_running_loop().create_future()

    async def page(reader, writer):
        target = (await reader.readline()).decode().split(" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()
        if urlsplit(target).path == "/callback" and not answer.done():
            answer.set_result({name: values[0] for name, values in parse_qs(urlsplit(target).query).items()})

    server = await asyncio.start_server(page, "127.0.0.1", 0)
    redirect = f"http://{work['host']}:{server.sockets[0].getsockname()[1]}/callback"

    async def open_page(url):
        say({"open": url})

    async def came_back():
        got = await answer
        if work["sdk"] == 1:
            return got["code"], got.get("state")
        from mcp.shared.auth import AuthorizationCodeResult

        return AuthorizationCodeResult(code=got["code"], state=got.get("state"), iss=got.get("iss"))

    kept = Kept()
    metadata = OAuthClientMetadata(
        client_name=work["name"],
        redirect_uris=[redirect],
        grant_types=["authorization_code", "refresh_token"],
        response_types=["code"],
        token_endpoint_auth_method="none",
    )
    provider = OAuthClientProvider(work["url"], metadata, kept, open_page, came_back)
    async with connect(provider) as (list_tools, call):
        tools = [tool.name for tool in (await list_tools()).tools]
        called = await call(work["call"]["name"], work["call"]["arguments"])
        # What a client does when its token has run out: it takes a fresh one and asks again.
        provider.context.token_expiry_time = 1
        again = await call(work["call"]["name"], work["call"]["arguments"])
    server.close()
    say(
        {
            "tools": tools,
            "called": called.model_dump(mode="json", by_alias=True),
            "again": again.model_dump(mode="json", by_alias=True),
            "clientId": kept.client.client_id,
            "iss": (await answer).get("iss"),
            "saved": kept.saved,
        }
    )


@asynccontextmanager
async def connect(provider):
    if work["sdk"] == 1:
        from mcp import ClientSession
        from mcp.client.streamable_http import streamablehttp_client

        async with (
            streamablehttp_client(work["url"], auth=provider) as (incoming, outgoing, _),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            yield session.list_tools, session.call_tool
        return
    import httpx2
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async with httpx2.AsyncClient(auth=provider, timeout=httpx2.Timeout(30, read=300)) as http:
        async with Client(streamable_http_client(work["url"], http_client=http)) as client:
            yield client.list_tools, client.call_tool


asyncio.run(main())
