"""PyPI mcp 1.x as a server, of the session era only: on a port over streamable HTTP or HTTP+SSE, or over stdio.

Its tools ask their client by `elicitation/create`, `sampling/createMessage` and `roots/list` and say what it
answered. `roots` and `sample_aside` use the SDK's plain calls, which over HTTP ask beside the call, on the GET stream.
"""

import asyncio
import sys

from mcp.server.fastmcp import Context, FastMCP
from mcp.types import SamplingMessage, TextContent
from pydantic import BaseModel

where = sys.argv[1]
server = FastMCP("asking-mcp1", port=int(where) if where != "stdio" else 0, log_level="ERROR")


class Name(BaseModel):
    name: str


@server.tool()
async def form(ctx: Context) -> str:
    answer = await ctx.elicit("What is your name?", Name)
    return f"form: {answer.action} {answer.data.name}" if answer.action == "accept" else f"form: {answer.action}"


@server.tool()
async def page(ctx: Context) -> str:
    answer = await ctx.elicit_url("Please look at this page.", "https://example.com/look", "page-1")
    return f"page: {answer.action}"


@server.tool()
async def sample(ctx: Context) -> str:
    answer = await ctx.session.create_message(prompt(), max_tokens=20, related_request_id=ctx.request_id)
    return f"sample: {answer.content.text}"


@server.tool()
async def sample_aside(ctx: Context) -> str:
    answer = await ctx.session.create_message(prompt(), max_tokens=20)
    return f"sample: {answer.content.text}"


@server.tool()
async def roots(ctx: Context) -> str:
    answer = await ctx.session.list_roots()
    return f"roots: {' '.join(str(root.uri) for root in answer.roots)}"


@server.tool()
def echo(message: str) -> str:
    return f"echo: {message}"


@server.tool()
def secret() -> str:
    return "nobody may call this"


@server.tool()
async def wait(seconds: int) -> str:
    await asyncio.sleep(seconds)
    return "waited"


def prompt():
    return [SamplingMessage(role="user", content=TextContent(type="text", text="Say something."))]


server.run("stdio" if where == "stdio" else sys.argv[2] if len(sys.argv) > 2 else "streamable-http")
