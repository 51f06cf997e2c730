"""An MCP client that calls tools of several servers one after the other, on the Python SDK.

usage: several.py SDK_FOLDER [SERVER TOOL ARGUMENTS]...

Says of each call how it ended, one JSON document a line. A server is spoken to from its first call on.
"""

import asyncio
import json
import sys
from contextlib import AsyncExitStack

_, sdk, *words = sys.argv
sys.path.insert(0, sdk)

from mcp import ClientSession, MCPError, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402


async def main() -> None:
    sessions: dict[str, ClientSession] = {}
    async with AsyncExitStack() as open_ones:
        for server, tool, arguments in zip(words[::3], words[1::3], words[2::3], strict=True):
            if server not in sessions:
                bridge = StdioServerParameters(command="chancery", args=["connect", server])
                streams = await open_ones.enter_async_context(stdio_client(bridge))
                session = await open_ones.enter_async_context(ClientSession(*streams))
                await session.initialize()
                sessions[server] = session
            said = {"server": server, "tool": tool}
            try:
                result = await sessions[server].call_tool(tool, json.loads(arguments))
                said |= {"ok": not result.is_error, "text": result.content[0].text}
            except MCPError as error:
                said |= {"ok": False, "text": error.message}
            print(json.dumps(said), flush=True)


asyncio.run(main())
