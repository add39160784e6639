"""The official client of the Model Context Protocol, unchanged, against the real server.

    python mcp_client.py EXPECTED

Prints one line of JSON for each thing that it checked.
"""

import asyncio
import json
import sys
from pathlib import Path

import httpx2
from mcp import MCPError
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client

expected = json.loads(Path(sys.argv[1]).read_text())
values = expected["values"]


def check(name, ok, said=""):
    print(json.dumps({"check": name, "ok": bool(ok), "said": "" if ok else str(said)[:2000]}), flush=True)


def client(server, mode, key=None, **more):
    headers = {"authorization": f"Bearer {key or expected['key']}"}
    http = httpx2.AsyncClient(headers=headers, timeout=30)
    url = f"{expected['base']}/mcp/{server}"
    return Client(streamable_http_client(url, http_client=http), mode=mode, **more)


async def refused(name, code, coroutine):
    try:
        said = await coroutine
        check(name, False, said)
    except MCPError as error:
        data = error.error.data or {}
        repeated = [value for value in values if value in str(error)]
        check(name, data.get("code") == code and not repeated, error.error)


async def talk(server, mode, version):
    what = f"{server} in {mode}"
    async with client(server, mode) as mcp:
        check(f"{what}: version", mcp.protocol_version == version, mcp.protocol_version)
        check(f"{what}: only tools", mcp.server_capabilities.tools is not None
              and mcp.server_capabilities.prompts is None
              and mcp.server_capabilities.resources is None)
        listed = await mcp.list_tools()
        names = sorted(tool.name for tool in listed.tools)
        check(f"{what}: tools", names == ["draw", "fail", "find_chart", "keep_note", "slow"], names)
        keep = next(tool for tool in listed.tools if tool.name == "keep_note")
        check(f"{what}: definition", keep.description == "Keeps a note and says it again."
              and keep.input_schema["properties"]["note"]["type"] == "string", keep)
        check(f"{what}: hash", len(keep.meta["bulla/sha256"]) == 64)

        kept = await mcp.call_tool("keep_note", {"note": expected["note"]})
        check(f"{what}: restored", kept.content[0].text == f"Kept: {expected['note']}", kept)

        found = await mcp.call_tool("find_chart", {"name": 'Maria "Mia" Gonzalez', "mrn": "MRN 4471920"})
        text = json.loads(found.content[0].text)
        check(f"{what}: JSON in a text", text["mrn"] == "MRN 4471920"
              and text["name"] == 'Maria "Mia" Gonzalez', found)
        check(f"{what}: structured", found.structured_content == text, found)

        drawn = await mcp.call_tool("draw", {"name": "Maria Gonzalez"})
        kinds = [piece.type for piece in drawn.content]
        check(f"{what}: kinds", kinds == ["text", "text", "text", "resource", "text"], kinds)
        check(f"{what}: a picture is left out", drawn.content[1].text ==
              "[an image was left out here, because Bulla reads text only]", drawn.content[1])
        check(f"{what}: a file is left out", "a file was left out" in drawn.content[4].text)
        check(f"{what}: a resource", drawn.content[3].resource.text == "Chart of Maria Gonzalez", drawn)

        failed = await mcp.call_tool("fail", {"note": "Maria Gonzalez"})
        check(f"{what}: a tool's own error", failed.is_error and "Maria Gonzalez" in failed.content[0].text, failed)

        await refused(f"{what}: no such tool", "tool_not_allowed", mcp.call_tool("everything", {}))
        await refused(f"{what}: prompts", "unsupported_content", mcp.list_prompts())
        await refused(f"{what}: a resource by its name", "unsupported_content",
                      mcp.read_resource("chart://1"))

        try:
            await mcp.call_tool("slow", {"note": "Maria Gonzalez"}, read_timeout_seconds=1)
            check(f"{what}: a call is taken back", False)
        except MCPError as error:
            check(f"{what}: a call is taken back", "imed out" in str(error), error)


async def main():
    await talk("charts", "legacy", "2025-11-25")
    await talk("charts", "auto", "2025-11-25")
    await talk("charts-new", "auto", "2026-07-28")
    await talk("charts-new", "legacy", "2025-11-25")
    try:
        async with client("charts", "legacy", key="bulla_wrong"):
            check("a wrong key", False)
    except Exception as error:
        check("a wrong key", True, error)


asyncio.run(main())
