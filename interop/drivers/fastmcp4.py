"""PyPI fastmcp 4.x: chooses the era itself, or as work["mode"] says."""

from contextlib import asynccontextmanager

from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from mcp_types import CreateMessageResult, ElicitResult, ListRootsResult
from script import headers, run, work


@asynccontextmanager
async def connect(answers):
    async def elicit(message, response_type, params, context):
        return ElicitResult.model_validate(answers.give("elicitation/create", params))

    async def sample(messages, params, context):
        return CreateMessageResult.model_validate(answers.give("sampling/createMessage", params))

    async def roots(context):
        return ListRootsResult.model_validate(answers.give("roots/list")).roots

    callbacks = {
        "elicitation_handler": elicit if "elicitation" in answers.declares else None,
        "sampling_handler": sample if "sampling" in answers.declares else None,
        "roots": roots if "roots" in answers.declares else None,
    }
    transport = StreamableHttpTransport(work["url"], headers=headers)
    async with Client(transport, mode=work["mode"], **callbacks) as client:

        async def call_tool(name, arguments):
            return await client.call_tool(name, arguments, raise_on_error=False)

        yield client.protocol_version, client.list_tools, call_tool


run(connect)
