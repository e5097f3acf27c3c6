"""PyPI mcp 2.x: `auto` or `legacy`, by work["mode"]."""

from contextlib import asynccontextmanager

import httpx2
import mcp_types
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from script import callbacks, headers, run, work


@asynccontextmanager
async def connect(answers):
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http:
        transport = streamable_http_client(work["url"], http_client=http)
        async with Client(transport, mode=work["mode"], **callbacks(answers, mcp_types)) as client:

            async def list_tools():
                return (await client.list_tools()).tools

            yield client.protocol_version, list_tools, client.call_tool


run(connect)
