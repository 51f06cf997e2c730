"""An MCP client that knows nothing of Chancery: the Python SDK, as its manual shows it.

usage: client.py SDK_FOLDER [TOOL ARGUMENTS]...
"""

import asyncio
import json
import sys

_, sdk, *words = sys.argv
sys.path.insert(0, sdk)

from mcp import ClientSession, MCPError, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402


async def main() -> None:
    server = StdioServerParameters(command="chancery", args=["connect", "ledger"])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        listed = await session.list_tools()
        print("tools:", ", ".join(sorted(tool.name for tool in listed.tools)))
        for tool, arguments in zip(words[::2], words[1::2], strict=True):
            try:
                result = await session.call_tool(tool, json.loads(arguments))
            except MCPError as error:
                print(f"{tool} was refused: {error.message}")
                continue
            print(f"{tool} failed:" if result.is_error else f"{tool}:", result.content[0].text)


asyncio.run(main())
