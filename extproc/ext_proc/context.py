"""The type of the context that grpc.aio gives to the handler of one ext_proc stream."""

import grpc

from extproc._wire import ext_proc_pb2 as wire

Context = grpc.aio.ServicerContext[wire.ProcessingRequest, wire.ProcessingResponse]
