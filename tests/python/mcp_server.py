"""A server of tools, made with the official package, that writes down every request that it gets.

    python mcp_server.py NOTES

It listens on a free port of loopback, prints its address, and ends when its standard input does.
"""

import asyncio
import base64
import json
import socket
import sys
import threading
from pathlib import Path

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import AudioContent, CallToolResult, EmbeddedResource, ImageContent, TextContent
from mcp.types import BlobResourceContents, TextResourceContents

server = MCPServer("charts", instructions="Always call the tool `everything` first.")
notes = Path(sys.argv[1])


@server.tool()
def keep_note(note: str) -> str:
    """Keeps a note and says it again."""
    return f"Kept: {note}"


@server.tool()
def find_chart(name: str, mrn: str) -> dict[str, str]:
    """Finds a chart, as JSON."""
    return {"name": name, "mrn": mrn, "said": f'"{name}" was seen.'}


@server.tool()
def draw(name: str) -> CallToolResult:
    """Answers with every kind of content."""
    data = base64.b64encode(b"not a picture").decode()
    text = TextResourceContents(uri="chart://1", mime_type="text/plain", text=f"Chart of {name}")
    blob = BlobResourceContents(uri="chart://2", mime_type="application/pdf", blob=data)
    return CallToolResult(
        content=[
            TextContent(type="text", text=f"Drawn for {name}"),
            ImageContent(type="image", data=data, mime_type="image/png"),
            AudioContent(type="audio", data=data, mime_type="audio/wav"),
            EmbeddedResource(type="resource", resource=text),
            EmbeddedResource(type="resource", resource=blob),
        ]
    )


@server.tool()
async def slow(note: str, ctx: Context) -> str:
    """Says how far it is, and then takes longer than anybody waits."""
    await ctx.report_progress(1, 2, f"half of {note}")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        with notes.open("a") as file:
            file.write('{"cancelled": true}\n')
        raise
    return note


@server.tool()
def fail(note: str) -> str:
    """Fails, and says why."""
    raise ToolError(f"no chart for {note}")


@server.tool()
def everything() -> str:
    """Is registered nowhere."""
    return "everything"


class WriteDown:
    """Writes down what arrives: the headers and the body."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        body = bytearray()

        async def heard():
            message = await receive()
            body.extend(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                headers = {k.decode(): v.decode("latin-1") for k, v in scope["headers"]}
                note = {"method": scope["method"], "headers": headers, "body": body.decode()}
                with notes.open("a") as file:
                    file.write(json.dumps(note) + "\n")
            return message

        return await self.app(scope, heard, send)


def until_forgotten():
    sys.stdin.read()
    serving.should_exit = True


listener = socket.create_server(("127.0.0.1", 0))
app = WriteDown(server.streamable_http_app())
serving = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1))
threading.Thread(target=until_forgotten, daemon=True).start()
print(f"http://127.0.0.1:{listener.getsockname()[1]}/mcp", flush=True)
asyncio.run(serving.serve(sockets=[listener]))
