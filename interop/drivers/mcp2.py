"""PyPI mcp 2.x: `auto` or `legacy`, by work["mode"]."""

from contextlib import asynccontextmanager

import httpx2
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult
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
    async with httpx2.AsyncClient(headers=headers, timeout=httpx2.Timeout(30, read=300)) as http:
        transport = streamable_http_client(work["url"], http_client=http)
        async with Client(transport, mode=work["mode"], **callbacks) as client:

            async def list_tools():
                return (await client.list_tools()).tools

            yield client.protocol_version, list_tools, client.call_tool


run(connect)
