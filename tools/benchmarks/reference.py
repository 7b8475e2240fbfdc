"""The reference of the processed rows: a stock grpc.aio ext_proc server that parses and answers.

python -m benchmarks.reference HOST:PORT

A path that begins with /continue continues, everything else is redirected.
"""

import asyncio
import sys

import grpc

from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import CONTINUE, DECISION, NAMESPACE, SERVICE


def answer(request: wire.ProcessingRequest) -> wire.ProcessingResponse:
    headers = {
        header.key: header.raw_value.decode("latin-1")
        for header in request.request_headers.headers.headers
    }
    response = wire.ProcessingResponse()
    if headers[":path"].startswith("/continue"):
        header = response.request_headers.response.header_mutation.set_headers.add().header
        header.key, header.raw_value = "x-auth-sub", b"alice"
        response.dynamic_metadata.fields[NAMESPACE].struct_value.fields[
            DECISION
        ].string_value = CONTINUE
        return response
    response.immediate_response.status.code = 303
    for name, value in (
        ("location", b"https://idp.example/auth?x=" + b"y" * 300),
        ("set-cookie", b"login=" + b"z" * 250),
        ("cache-control", b"no-store"),
    ):
        header = response.immediate_response.headers.set_headers.add().header
        header.key, header.raw_value = name, value
    return response


async def process(_: object, context: grpc.aio.ServicerContext) -> None:
    await context.write(answer(await context.read()))


async def main(address: str) -> None:
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(
        process, wire.ProcessingRequest.FromString, wire.ProcessingResponse.SerializeToString
    )
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, {"Process": handler}),)
    )
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
