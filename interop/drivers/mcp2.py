"""PyPI mcp 2.x: `auto` or `legacy`, by work["mode"]."""

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from script import drive, headers, run, work


async def main():
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http:
        transport = streamable_http_client(work["url"], http_client=http)
        async with Client(transport, mode=work["mode"]) as client:

            async def list_tools():
                return (await client.list_tools()).tools

            return await drive(client.protocol_version, list_tools, client.call_tool)


run(main)
