"""What every Python driver does with its client. Either a list, a call, two denied calls and one cancelled call; or
calls of tools whose server asks the client, which answers as the work says.

The work comes as JSON in the first argument; the last line printed is the result as JSON. Before the call
that will be cancelled the driver prints {"phase":"cancel"} and waits for a line, so that the runner can make
the server slow first; with the next line the runner says that the call is under way.
"""

import asyncio
import json
import os
import sys

work = json.loads(sys.argv[1])
headers = {"authorization": f"Bearer {work['token']}"} if work.get("token") else {}


class Answers:
    """What one connection declares, and answers to each question."""

    def __init__(self, declares):
        self.declares = declares
        self.answer = None
        self.asked = []

    def give(self, method, params=None):
        """Notes a question and gives the answer of the journey, as JSON."""
        question = {key: getattr(params, key, None) for key in ("message", "mode", "url")}
        self.asked.append({"method": method} | {key: value and str(value) for key, value in question.items()})
        return self.answer


def callbacks(answers, types):
    """What the clients of the SDK are given for questions: nothing for what is not declared. `types`: the SDK's own."""

    async def elicit(_, params):
        return types.ElicitResult.model_validate(answers.give("elicitation/create", params))

    async def sample(_, params):
        return types.CreateMessageResult.model_validate(answers.give("sampling/createMessage", params))

    async def roots(_):
        return types.ListRootsResult.model_validate(answers.give("roots/list"))

    return {
        "elicitation_callback": elicit if "elicitation" in answers.declares else None,
        "sampling_callback": sample if "sampling" in answers.declares else None,
        "list_roots_callback": roots if "roots" in answers.declares else None,
    }


def run(connect):
    """Does the work and prints what was seen. `connect` is an asynchronous context: it takes `Answers` and gives the
    agreed version and two coroutines, to list tools and to call one."""
    print(json.dumps(asyncio.run(converse(connect) if "connections" in work else drive(connect))), flush=True)
    # Not waiting for a thread that still waits for the runner's word.
    os._exit(0)


async def drive(connect):
    async with connect(Answers({})) as (version, list_tools, call_tool):
        seen = {"version": version, "tools": [tool.name for tool in await list_tools()]}
        seen["call"] = await outcome(call_tool, work["call"])
        seen["deniedTool"] = await outcome(call_tool, work["deniedTool"])
        seen["deniedArgument"] = await outcome(call_tool, work["deniedArgument"])
        print(json.dumps({"phase": "cancel"}), flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        slow = asyncio.create_task(outcome(call_tool, work["slow"]))
        # A call that fails at once needs no word.
        word = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        await asyncio.wait([slow, word], return_when=asyncio.FIRST_COMPLETED)
        slow.cancel()
        try:
            seen["cancelled"] = await slow
        except asyncio.CancelledError:
            seen["cancelled"] = {"code": None, "error": "cancelled"}
        # The connection survives; and what was sent last has left before it closes.
        seen["after"] = [tool.name for tool in await list_tools()]
        return seen


async def converse(connect):
    """Each journey of each connection: how its call ended, and what the client was asked."""
    seen = []
    for connection in work["connections"]:
        answers = Answers(connection["declares"])
        async with connect(answers) as (version, _, call_tool):
            ended = {}
            for journey in connection["journeys"]:
                answers.answer, answers.asked = journey.get("answer"), []
                try:
                    async with asyncio.timeout(work["patience"] / 1000):
                        end = await outcome(call_tool, journey["call"])
                except TimeoutError:
                    end = {"code": None, "error": "it did not end"}
                ended[journey["name"]] = end | {"asked": answers.asked}
            seen.append({"version": version, "journeys": ended})
    return seen


async def outcome(call_tool, call):
    """A result as text, or an error as code and message."""
    try:
        result = await call_tool(call["name"], call["arguments"])
    except Exception as error:  # every client has its own
        inner = getattr(error, "error", error)
        return {"code": getattr(inner, "code", None), "error": str(error)}
    failed = getattr(result, "isError", None) or getattr(result, "is_error", None) or False
    return {"isError": failed, "text": "".join(getattr(part, "text", "") for part in result.content)}
