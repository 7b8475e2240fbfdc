"""Settings of the gRPC listener: who may reach the processor, and how."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

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


def _mode(value: object) -> int:
    if isinstance(value, str) and len(value) in (3, 4) and set(value) <= set("01234567"):
        return int(value, 8) & 0o777
    raise ValueError('access rights are octal digits in quotes, such as "0660"')


Mode = Annotated[
    int,
    PlainValidator(_mode),
    PlainSerializer(lambda mode: f"{mode:04o}", return_type=str),
    WithJsonSchema({"type": "string", "pattern": "^0?[0-7]{3}$", "examples": ["0660"]}),
]
