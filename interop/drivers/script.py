"""What every Python driver does with its client: list, call, two denied calls, one cancelled call.

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


async def drive(version, list_tools, call_tool):
    """Drives one connected client through the two coroutines it offers."""
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


async def outcome(call_tool, call):
    """A result as text, or an error as code and message."""
    try:
        result = await call_tool(call["name"], call["arguments"])
    except Exception as error:  # every client has its own
        inner = getattr(error, "error", error)
        return {"code": getattr(inner, "code", None), "error": str(error)}
    failed = getattr(result, "isError", None) or getattr(result, "is_error", None) or False
    return {"isError": failed, "text": "".join(getattr(part, "text", "") for part in result.content)}


def run(main):
    """Runs the driver and prints what it saw."""
    print(json.dumps(asyncio.run(main())), flush=True)
    # Not waiting for a thread that still waits for the runner's word.
    os._exit(0)
