"""PyPI mcp 1.x: the session era only."""

from contextlib import asynccontextmanager

from mcp import ClientSession, types
from mcp.client.streamable_http import streamablehttp_client
from script import callbacks, headers, run, work


@asynccontextmanager
async def connect(answers):
    async with (
        streamablehttp_client(work["url"], headers=headers) as (incoming, outgoing, _),
        ClientSession(incoming, outgoing, **callbacks(answers, types)) as session,
    ):
        opened = await session.initialize()

        async def list_tools():
            return (await session.list_tools()).tools

        yield opened.protocolVersion, list_tools, session.call_tool


run(connect)
