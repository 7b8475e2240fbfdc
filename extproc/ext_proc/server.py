"""grpc.aio's server on one address: bind, health, drain; who may open a stream."""

import logging
from functools import partial

import grpc
from grpc_health.v1 import health_pb2_grpc

from extproc import telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import SERVICE
from extproc.ext_proc.credentials import CannotListen, Door
from extproc.ext_proc.health import Health
from extproc.ext_proc.servicer import Context, Server
from extproc.settings import Limits

PENDING = 100_000


def options(limits: Limits) -> list[tuple[str, int]]:
    """grpc sheds load above 1,000 waiting requests by dropping streams in silence; our own limits
    answer instead.
    """
    pending = max(PENDING, 2 * limits.streams)
    return [
        ("grpc.server.max_pending_requests", pending),
        ("grpc.server.max_pending_requests_hard_limit", 2 * pending),
        ("grpc.so_reuseport", 0),
        # Envoy's, with a request after a pause of 1 s (envoyconfig/clusters.py): grpc takes so many
        # for abuse, and closes
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 500),
        # more than Envoy buffers of a body: what is too large gets our 413
        ("grpc.max_receive_message_length", 4_194_304),
    ]


async def _admitted(server: Server, door: Door, request: object, context: Context) -> None:
    """A stream of somebody whose certificate is Envoy's."""
    if not door.admits(context):
        telemetry.log(logging.WARNING, "peer_refused", peer=context.peer()[:80])
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "the certificate is not Envoy's (listen_tls.envoy_name)",
        )
    await server.process(request, context)


class Listener:
    """grpc.aio's server with our servicer and grpc.health.v1 on one address."""

    def __init__(self, server: Server, door: Door) -> None:
        self._server = server
        self.health = Health()
        self._grpc = grpc.aio.server(options=options(server.admission.limits))
        handler = grpc.stream_stream_rpc_method_handler(
            server.process if door.tls is None else partial(_admitted, server, door),
            request_deserializer=wire.ProcessingRequest.FromString,
            response_serializer=wire.ProcessingResponse.SerializeToString,
        )
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Process": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._grpc)
        self._door = door
        self.port = 0

    async def start(self) -> None:
        """SERVING at once, without any provider: an identity provider behind this very Envoy would
        wait for us otherwise.

        Raises CannotListen.
        """
        try:
            self.port = self._door.bind(self._grpc)
        except CannotListen:
            await self._grpc.stop(0)
            raise
        await self.health.serving()  # before anybody can ask
        await self._grpc.start()

    async def drain(self, grace: float) -> None:
        """NOT_SERVING, GOAWAY, then what is held may finish within `grace` seconds.

        A stream that crosses the GOAWAY on its way is lost (grpc cancels it), so those who check
        our health are told before, and have left by then: no stream comes any more.
        """
        await self.health.leave(lambda: self._server.latest)
        self._server.live.leave()
        await self._grpc.stop(grace)
