"""The conversation with Envoy: a gRPC server on asyncio, and the bridge to trio."""
