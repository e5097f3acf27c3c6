"""PyPI mcp 2.x as a server, of both eras: over HTTP on a port, or over stdio.

Its tools ask their client through the SDK's resolvers, which end the request with `input_required` or ask in the
middle of it, as the client's era has it, and say what it answered.
"""

import sys
from typing import Annotated

from mcp.server.elicitation import ElicitationResult
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.resolve import Elicit, ListRoots, Resolve, Sample
from mcp_types import (
    CreateMessageResult,
    ElicitRequest,
    ElicitRequestURLParams,
    InputRequiredResult,
    ListRootsResult,
    SamplingMessage,
    TextContent,
)
from pydantic import BaseModel

where = sys.argv[1]
server = MCPServer("asking-mcp2", log_level="ERROR")


class Name(BaseModel):
    name: str


def asks_name() -> Elicit[Name]:
    return Elicit("What is your name?", Name)


def asks_model() -> Sample:
    prompt = SamplingMessage(role="user", content=TextContent(type="text", text="Say something."))
    return Sample([prompt], max_tokens=20)


def asks_roots() -> ListRoots:
    return ListRoots()


@server.tool()
def form(answer: Annotated[ElicitationResult[Name], Resolve(asks_name)]) -> str:
    return f"form: {answer.action} {answer.data.name}" if answer.action == "accept" else f"form: {answer.action}"


@server.tool()
async def page(ctx: Context) -> str | InputRequiredResult:
    """The resolvers have no pages, so each era is spoken by hand."""
    message, url = "Please look at this page.", "https://example.com/look"
    if ctx.protocol_version != "2026-07-28":
        return f"page: {(await ctx.elicit_url(message, url, 'page-1')).action}"
    if answers := ctx.input_responses:
        return f"page: {answers['page'].action}"
    return InputRequiredResult(
        input_requests={"page": ElicitRequest(params=ElicitRequestURLParams(message=message, url=url))}
    )


@server.tool()
def sample(answer: Annotated[CreateMessageResult, Resolve(asks_model)]) -> str:
    return f"sample: {answer.content.text}"


@server.tool()
def roots(answer: Annotated[ListRootsResult, Resolve(asks_roots)]) -> str:
    return f"roots: {' '.join(str(root.uri) for root in answer.roots)}"


if where == "stdio":
    server.run("stdio")
else:
    server.run("streamable-http", port=int(where))
