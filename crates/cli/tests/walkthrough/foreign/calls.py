"""An MCP client that makes one call again and again, on the Python SDK, until it is killed.

usage: calls.py SDK_FOLDER TOOL ARGUMENTS

Says of each call how it ended, one JSON document a line.
"""

import asyncio
import json
import sys
import time

_, sdk, tool, words = sys.argv
sys.path.insert(0, sdk)

from mcp import ClientSession, MCPError, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402


async def main() -> None:
    server = StdioServerParameters(command="chancery", args=["connect", "ledger"])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        while True:
            said = {"at": time.time()}
            try:
                result = await session.call_tool(tool, json.loads(words))
                said["ok"] = not result.is_error
            except MCPError as error:
                said |= {"ok": False, "error": error.message}
            print(json.dumps(said), flush=True)
            await asyncio.sleep(0.1)


asyncio.run(main())
