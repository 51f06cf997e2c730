"""An MCP client that knows nothing of Chancery: the Python SDK, as its manual shows it.

usage: client.py SDK_FOLDER BOOK [CENTS]
"""

import asyncio
import sys

SDK, BOOK, *REST = sys.argv[1:]
sys.path.insert(0, SDK)

from mcp import ClientSession, StdioServerParameters  # noqa: E402
from mcp.client.stdio import stdio_client  # noqa: E402


async def main() -> None:
    server = StdioServerParameters(command="chancery", args=["connect", "ledger"])
    async with stdio_client(server) as (read, write), ClientSession(read, write) as session:
        await session.initialize()
        tools = await session.list_tools()
        print("tools:", ", ".join(sorted(tool.name for tool in tools.tools)))
        calls = [("balance", {"book": BOOK})]
        calls += [("post", {"book": BOOK, "account": "fees", "amount_cents": int(cents)}) for cents in REST]
        for name, arguments in calls:
            result = await session.call_tool(name, arguments)
            print(f"{name}:", "failed:" if result.is_error else "", result.content[0].text)


asyncio.run(main())
