"""PyPI mcp 1.x: the session era only."""

from contextlib import asynccontextmanager

from mcp import ClientSession
from mcp.client.streamable_http import streamablehttp_client
from mcp.types import CreateMessageResult, ElicitResult, ListRootsResult
from script import headers, run, work


@asynccontextmanager
async def connect(answers):
    async def elicit(_, params):
        return ElicitResult.model_validate(answers.give("elicitation/create", params))

    async def sample(_, params):
        return CreateMessageResult.model_validate(answers.give("sampling/createMessage", params))

    async def roots(_):
        return ListRootsResult.model_validate(answers.give("roots/list"))

    callbacks = {
        "elicitation_callback": elicit if "elicitation" in answers.declares else None,
        "sampling_callback": sample if "sampling" in answers.declares else None,
        "list_roots_callback": roots if "roots" in answers.declares else None,
    }
    async with (
        streamablehttp_client(work["url"], headers=headers) as (incoming, outgoing, _),
        ClientSession(incoming, outgoing, **callbacks) as session,
    ):
        opened = await session.initialize()

        async def list_tools():
            return (await session.list_tools()).tools

        yield opened.protocolVersion, list_tools, session.call_tool


run(connect)
