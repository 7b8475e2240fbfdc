"""Envoy's access log: a JSON line for each request.

It has no query string, because authorization codes and states are in queries.
"""

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.core.v3 import SubstitutionFormatString
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.stream.v3 import (
    StderrAccessLog,
    StdoutAccessLog,
)
from envoy_data_plane.google.protobuf import Struct

from extproc.contract import APPLICATION_KEY, LANE, NAMESPACE, REASON
from extproc.envoyconfig.builders import extension

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


def access_log(path: str) -> AccessLog:
    """An access log of JSON lines.

    The standard streams have loggers of their own, because in a container not every user may open
    /dev/stdout.
    """
    line = SubstitutionFormatString(json_format=Struct.from_dict(FIELDS))
    if path == "/dev/stdout":
        return _log("stdout", StdoutAccessLog(log_format=line))
    if path == "/dev/stderr":
        return _log("stderr", StderrAccessLog(log_format=line))
    return _log("file", FileAccessLog(path=path, log_format=line))


def _log(name: str, message: FileAccessLog | StdoutAccessLog | StderrAccessLog) -> AccessLog:
    typed = extension(f"envoy.access_loggers.{name}", message)
    return AccessLog(name=typed.name, typed_config=typed.typed_config)
