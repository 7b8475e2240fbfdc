"""Settings of the gRPC listener: who may reach the processor, and how."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

from extproc.addresses import host_fault
from extproc.settings.types import Model

Plaintext = Literal["listen", "admin", "gateway.admin", "gateway.keys"]


class ListenTLS(Model):
    """Mutual TLS on `listen`, as PEM files; the processor and Envoy each read their own."""

    ca: Path = Field(
        description="file with the authorities by which either side verifies the other"
    )
    certificate: Path = Field(
        description="file with the processor's certificate chain, the leaf first; read again when "
        "it changes"
    )
    key: Path = Field(description="file with the processor's private key")
    name: str = Field(
        "extproc",
        min_length=1,
        max_length=253,
        description="DNS name in the processor's certificate; Envoy accepts no other",
    )
    envoy_certificate: Path = Field(
        description="file with Envoy's certificate chain, a path on Envoy's machine"
    )
    envoy_key: Path = Field(description="file with Envoy's private key, a path on Envoy's machine")
    envoy_name: str = Field(
        "envoy",
        min_length=1,
        max_length=253,
        description="DNS name in Envoy's certificate; the processor accepts no other",
    )


def _host_name(value: str) -> str:
    if "[" in value or host_fault(value) is not None:
        raise ValueError(
            "a host name in lower case, without scheme and port, such as extproc.monitoring.svc"
        )
    return value


# A name that an HTTP client sends as Host, without its port.
HostName = Annotated[str, AfterValidator(_host_name)]


def _mode(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        raise ValueError(
            "access rights are octal digits in quotes, and without quotes YAML reads them as a "
            f"number; {_RIGHT_MODE}"
        )
    if not isinstance(value, str) or not _OCTAL.fullmatch(value):
        raise ValueError(
            "access rights are three octal digits, or four that begin with 0, in quotes; "
            f"{_RIGHT_MODE}"
        )
    mode = int(value, 8)
    if mode & _OF_OTHERS:
        raise ValueError(
            f"{value} lets every user of the machine open the socket; access rights end with 0, "
            f"for owner and group alone; {_RIGHT_MODE}"
        )
    return mode


# Neither setuid, setgid nor sticky, which mean nothing for a socket.
_OCTAL = re.compile(r"0?[0-7]{3}")
_OF_OTHERS = 0o007
_RIGHT_MODE = 'write "0660" for owner and group, or "0600" for the owner alone'

Mode = Annotated[
    int,
    PlainValidator(_mode),
    PlainSerializer(lambda mode: f"{mode:04o}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{2}0$", "examples": ["0660", "0600"]}),
]
