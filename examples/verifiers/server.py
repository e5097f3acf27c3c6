"""An MCP server that trusts Portunus: it logs the person who calls, not a bot. On a port, with PyPI mcp 2 and
python.py beside it.

    python server.py PORT ISSUER
"""

import json
import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from python import Verifier

port, issuer = int(sys.argv[1]), sys.argv[2]
verifier = Verifier(issuer, f"http://127.0.0.1:{port}/mcp")
server = MCPServer("ledger", log_level="ERROR")


@server.tool()
def book(amount: float, note: str = "") -> str:
    """Books an amount."""
    return f"booked {amount} {note}"


class WhoCalls:
    """Refuses what no caller vouches for, before the SDK sees it (ASGI)."""

    def __init__(self, app) -> None:
        self.app = app

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        parts, more = [], scope["method"] == "POST"
        while more:
            event = await receive()
            parts.append(event.get("body", b""))
            more = event.get("more_body", False)
        body, given = b"".join(parts), False

        async def again():
            nonlocal given
            if scope["method"] == "POST" and not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await receive()

        headers = {name.decode().lower(): value.decode() for name, value in scope["headers"]}
        try:
            message = json.loads(body) if body else None
            claims = verifier.verify(headers.get("authorization"), message)
        except Exception as error:
            print(f"refused: {error!r}", file=sys.stderr, flush=True)
            await send({"type": "http.response.start", "status": 401, "headers": [(b"www-authenticate", b"Bearer")]})
            return await send({"type": "http.response.body"})
        said = (message or {}).get("method", scope["method"])
        print(json.dumps({**claims, "request": said}), flush=True)
        await self.app(scope, again, send)


uvicorn.run(WhoCalls(server.streamable_http_app()), host="127.0.0.1", port=port, log_level="error")
