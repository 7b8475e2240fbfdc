"""Envoy's access log: a JSON line for each request.

It has no query string, because authorization codes and states are in queries.
"""

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog, AccessLogFilter
from envoy_data_plane.envoy.config.core.v3 import SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import (
    StderrAccessLog,
    StdoutAccessLog,
)
from envoy_data_plane.google.protobuf import Struct

from extproc.contract import APPLICATION_KEY, LANE, NAMESPACE, REASON, USER
from extproc.core.assertion import USER as CLAIM
from extproc.envoyconfig.builders import extension, regex
from extproc.envoyconfig.filters.jwt_authn import JWT_AUTHN, PAYLOAD
from extproc.envoyconfig.log_filters import metadata_is
from extproc.settings import Settings

_PROCESSOR_USER = f"%DYNAMIC_METADATA({NAMESPACE}:{USER})%"
_ASSERTION_USER = f"%DYNAMIC_METADATA({JWT_AUTHN}:{PAYLOAD}:{CLAIM})%"
_REASON = f"%DYNAMIC_METADATA({NAMESPACE}:{REASON})%"
# A field that the processor's own log has too has the same name there (docs/logs.md).
FIELDS = {
    "time": "%START_TIME%",
    "event": "access",
    "application": f"%METADATA(ROUTE:{NAMESPACE}:{APPLICATION_KEY})%",
    "method": "%REQ(:METHOD)%",
    "authority": "%REQ(:AUTHORITY)%",
    "path": "%PATH(NQ)%",
    "protocol": "%PROTOCOL%",
    "status": "%RESPONSE_CODE%",
    "details": "%RESPONSE_CODE_DETAILS%",
    "flags": "%RESPONSE_FLAGS%",
    "reason": _REASON,
    "lane": f"%DYNAMIC_METADATA({NAMESPACE}:{LANE})%",
    "route": "%ROUTE_NAME%",
    "cluster": "%UPSTREAM_CLUSTER%",
    "upstream": "%UPSTREAM_HOST%",
    "duration_ms": "%DURATION%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "trace_id": "%TRACE_ID%",
}


def access_logs(settings: Settings) -> list[AccessLog]:
    """The access log of JSON lines; if it names users, as two loggers to one file.

    A line has one source for each field, but the user's name has two: the processor's answer, and
    the assertion that Envoy verified by itself. Each logger writes the lines of one source. No
    request header is a source, because Envoy logs a request that it refuses before its filters as
    the client has sent it.
    """
    path = settings.gateway.access_log
    if settings.log.users == "none":
        return [_log(path, FIELDS)]
    return [
        _log(path, {**FIELDS, "user": _PROCESSOR_USER}, metadata_is(USER, regex(".+"))),
        _log(path, {**FIELDS, "user": _ASSERTION_USER}, metadata_is(USER, None)),
    ]


def _log(path: str, fields: dict[str, str], when: AccessLogFilter | None = None) -> AccessLog:
    """A logger of JSON lines.

    The standard streams have loggers of their own, because in a container not every user may open
    /dev/stdout.
    """
    line = SubstitutionFormatString(json_format=Struct.from_dict(fields))
    name, message = _logger(path, line)
    typed = extension(f"envoy.access_loggers.{name}", message)
    return AccessLog(name=typed.name, typed_config=typed.typed_config, filter=when)


def _logger(
    path: str, line: SubstitutionFormatString
) -> tuple[str, FileAccessLog | StdoutAccessLog | StderrAccessLog]:
    if path == "/dev/stdout":
        return "stdout", StdoutAccessLog(log_format=line)
    if path == "/dev/stderr":
        return "stderr", StderrAccessLog(log_format=line)
    return "file", FileAccessLog(path=path, log_format=line)
