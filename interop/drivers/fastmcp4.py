"""PyPI fastmcp 4.x: chooses the era itself."""

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from script import drive, headers, run, work


async def main():
    async with Client(StreamableHttpTransport(work["url"], headers=headers)) as client:

        async def call_tool(name, arguments):
            return await client.call_tool(name, arguments, raise_on_error=False)

        return await drive(client.protocol_version, client.list_tools, call_tool)


run(main)
