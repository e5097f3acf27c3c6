"""PyPI mcp 1.x: the session era only."""

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from script import drive, headers, run, work


async def main():
    async with (
        streamablehttp_client(work["url"], headers=headers) as (incoming, outgoing, _),
        ClientSession(incoming, outgoing) as session,
    ):
        opened = await session.initialize()

        async def list_tools():
            return (await session.list_tools()).tools

        return await drive(opened.protocolVersion, list_tools, session.call_tool)


run(main)
