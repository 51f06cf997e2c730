#!/bin/bash
# An MCP client that knows nothing of Chancery, in bash alone: one call for each pair of arguments, TOOL and JSON.
coproc MCP { exec chancery connect ledger; }
ask() { echo "$1" >&"${MCP[1]}" && read -r answer <&"${MCP[0]}" && echo "$answer"; }
ask '{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"agent.sh","version":"1"}}}' >/dev/null || exit
echo '{"jsonrpc":"2.0","method":"notifications/initialized"}' >&"${MCP[1]}"
while [ $# -ge 2 ]; do
  ask '{"jsonrpc":"2.0","id":'$#',"method":"tools/call","params":{"name":"'"$1"'","arguments":'"$2"'}}'
  shift 2
done
