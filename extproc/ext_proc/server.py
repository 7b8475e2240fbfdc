"""grpc.aio's server on one address: options, health, access, drain."""

import logging
from functools import partial

import grpc
from grpc_health.v1 import health_pb2_grpc

from extproc import telemetry
from extproc._wire import ext_proc_pb2 as wire
from extproc.contract import SERVICE
from extproc.ext_proc.context import Context
from extproc.ext_proc.credentials import CannotListen, ListenAddress
from extproc.ext_proc.health import Health
from extproc.ext_proc.servicer import Servicer
from extproc.settings import Limits

# the bound of requests that wait in grpc is never lower than this
PENDING = 100_000


def options(limits: Limits) -> list[tuple[str, int]]:
    """The options of grpc.aio's server.

    Above 1,000 waiting requests grpc sheds load by dropping streams in silence. Its bounds are
    raised above limits.streams, so that the processor answers with 503 instead.
    """
    pending = max(PENDING, 2 * limits.streams)
    return [
        ("grpc.server.max_pending_requests", pending),
        ("grpc.server.max_pending_requests_hard_limit", 2 * pending),
        ("grpc.so_reuseport", 0),
        # Envoy pings, and with a request after a pause of 1 s (envoyconfig/clusters.py): grpc takes
        # so many pings for abuse, and closes
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 500),
        # more than Envoy buffers of a body, so that a body that is too large gets a 413
        ("grpc.max_receive_message_length", 4_194_304),
    ]


async def _admitted(
    servicer: Servicer, address: ListenAddress, request: object, context: Context
) -> None:
    """Serve a stream if its client has Envoy's certificate; otherwise abort it."""
    if not address.admits(context):
        telemetry.log(logging.WARNING, "peer_refused", peer=context.peer()[:80])
        await context.abort(
            grpc.StatusCode.UNAUTHENTICATED,
            "the certificate is not Envoy's (listen_tls.envoy_name)",
        )
    await servicer.process(request, context)


class Listener:
    """grpc.aio's server on one address, with the ext_proc servicer and grpc.health.v1."""

    def __init__(self, servicer: Servicer, address: ListenAddress) -> None:
        self.health = Health()
        # 0 until `start`, and for a unix socket
        self.port = 0
        self._servicer = servicer
        self._address = address
        self._grpc = grpc.aio.server(options=options(servicer.admission.limits))
        handler = grpc.stream_stream_rpc_method_handler(
            servicer.process if address.tls is None else partial(_admitted, servicer, address),
            request_deserializer=wire.ProcessingRequest.FromString,
            response_serializer=wire.ProcessingResponse.SerializeToString,
        )
        self._grpc.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, {"Process": handler}),)
        )
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self._grpc)

    async def start(self) -> None:
        """Bind the address and report SERVING, without waiting for any provider.

        An identity provider behind the Envoy that asks this processor could otherwise never be
        reached.

        Raises: CannotListen when the address cannot be bound.
        """
        try:
            self.port = self._address.bind(self._grpc)
        except CannotListen:
            await self._grpc.stop(0)
            raise
        # before any client can check
        await self.health.serving()
        await self._grpc.start()

    async def drain(self, grace: float) -> None:
        """Report NOT_SERVING, end the live streams, send GOAWAY, and let held streams finish within
        `grace` seconds.

        grpc cancels a stream that crosses the GOAWAY on its way. Therefore clients that check the
        health leave first (`Health.leave`): after that no stream comes.
        """
        await self.health.leave(lambda: self._servicer.latest)
        self._servicer.live_streams.leave()
        await self._grpc.stop(grace)
