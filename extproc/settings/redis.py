"""Redis or Valkey as a store of several machines: one server, Sentinel, or a cluster."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from extproc.settings.types import Duration, Listen, Model

Mode = Literal["single", "sentinel", "cluster"]


class RedisSettings(Model):
    """Redis 7 or Valkey 8 and newer, for the processes of several machines."""

    kind: Literal["redis"] = Field(description="`redis`, for Valkey too")
    mode: Mode = Field(
        "single", description="one server; a master that sentinels name; or a cluster"
    )
    servers: tuple[Listen, ...] = Field(
        description="host:port, a list: the server; the sentinels; or some of the cluster's nodes",
    )
    master: str | None = Field(
        None, min_length=1, description="mode sentinel: the name that the sentinels watch"
    )
    username: str | None = Field(
        None, min_length=1, description="the ACL user; default: Redis's own `default`"
    )
    password: SecretStr | None = Field(None, description="its password")
    password_file: Path | None = Field(None, description="a file with it, instead")
    sentinel_username: str | None = Field(
        None, min_length=1, description="the user at the sentinels, if they have one"
    )
    sentinel_password: SecretStr | None = Field(None, description="their password")
    sentinel_password_file: Path | None = Field(None, description="a file with it, instead")
    tls: bool = Field(False, description="speak TLS, to the sentinels too")
    ca_file: Path | None = Field(
        None, description="what certificates are verified with; default: the system's authorities"
    )
    db: int = Field(0, ge=0, le=65_535, description="the database's number; a cluster has 0 alone")
    key_prefix: str = Field(
        "extproc:",
        pattern=r"^[A-Za-z0-9:._-]{1,64}$",
        description="what every key begins with; gateways that share a server each have their own",
    )
    deadline: Duration = Field(
        0.25, gt=0, le=10, description="how long one operation may take; beyond it: 503"
    )
    connect: Duration = Field(
        1, gt=0, le=10, description="how long connecting may take, TLS and password included"
    )
    replicas: int | None = Field(
        None,
        ge=0,
        le=16,
        description="how many replicas a login or logout waits for, 0.1 s at most; default: 1, "
        "in mode "
        "single 0",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.servers:
            raise ValueError("servers is empty; it has one host:port or more")
        if any(address.path is not None for address in self.servers):
            raise ValueError("servers are host:port, without unix sockets")
        if self.mode == "single" and len(self.servers) > 1:
            raise ValueError(
                f"servers has {len(self.servers)} addresses, and mode single one: say mode "
                "sentinel or cluster"
            )
        if (self.mode == "sentinel") != (self.master is not None):
            raise ValueError(
                "master is the name that sentinels watch: it goes with mode sentinel, which "
                "needs it"
            )
        if self.mode == "cluster" and self.db != 0:
            raise ValueError("db is 0 in mode cluster")
        if self.mode != "sentinel" and (
            self.sentinel_username or self.sentinel_password or self.sentinel_password_file
        ):
            raise ValueError("sentinel_username and sentinel_password go with mode sentinel")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs tls: true")
        for name in ("password", "sentinel_password"):
            given = getattr(self, name) is not None, getattr(self, f"{name}_file") is not None
            user = getattr(self, name.replace("password", "username"))
            if given == (True, True):
                raise ValueError(f"{name} or {name}_file, not both")
            if user is not None and not any(given):
                raise ValueError(
                    f"{name.replace('password', 'username')} needs {name} or {name}_file"
                )
        return self

    @property
    def waits_for(self) -> int:
        """Replicas that a write waits for."""
        return self.replicas if self.replicas is not None else int(self.mode != "single")

    def secret(self) -> SecretStr | None:
        """The password, read from its file when one is named."""
        return _secret(self.password, self.password_file)

    def sentinel_secret(self) -> SecretStr | None:
        return _secret(self.sentinel_password, self.sentinel_password_file)

    def with_secrets(self) -> "RedisSettings":
        """The same, with the passwords in place of the names of their files."""
        found = {"password": self.secret(), "sentinel_password": self.sentinel_secret()}
        return self.model_copy(
            update={**found, "password_file": None, "sentinel_password_file": None}
        )

    def check_files(self, key: str) -> None:
        """Raises ValueError or OSError for a secret's file that is not there or empty, with the
        key's name below `key`.
        """
        for name, file, secret in (
            ("password", self.password_file, self.secret),
            ("sentinel_password", self.sentinel_password_file, self.sentinel_secret),
        ):
            if (found := secret()) is not None and not found.get_secret_value():
                raise ValueError(f"{key}.{name}{'_file: ' + str(file) if file else ''} is empty")


def _secret(said: SecretStr | None, file: Path | None) -> SecretStr | None:
    return SecretStr(file.read_text().strip()) if file is not None else said
