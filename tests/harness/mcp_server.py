"""An MCP server (PyPI `mcp`, streamable HTTP) that knows nothing of OAuth: python mcp_server.py PORT

Its one tool, `whoami`, answers with the headers of its request.
"""

import sys

from mcp.server.mcpserver import Context, MCPServer

server = MCPServer("orders")


@server.tool()
def whoami(context: Context) -> dict[str, str]:
    """The headers with which this tool was called."""
    return dict(context.headers or {})


if __name__ == "__main__":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
