"""Who may speak to the processor, and how."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema

from extproc.settings.types import Model

Plaintext = Literal["listen", "admin", "gateway.admin", "gateway.keys"]


class ListenTLS(Model):
    """Mutual TLS on `listen`; PEM files, of which each side reads its own."""

    ca: Path = Field(description="what either side's certificate is verified with")
    certificate: Path = Field(
        description="the processor's chain, its own certificate first; read again when it changes"
    )
    key: Path = Field(description="its private key")
    name: str = Field(
        "extproc",
        min_length=1,
        max_length=253,
        description="a DNS name in it: Envoy takes no other",
    )
    envoy_certificate: Path = Field(
        description="the chain that Envoy shows, a path on Envoy's machine"
    )
    envoy_key: Path = Field(description="its private key, likewise")
    envoy_name: str = Field(
        "envoy",
        min_length=1,
        max_length=253,
        description="a DNS name in it: the processor takes no other",
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
