"""Settings of a store in Redis or Valkey: one server, Sentinel, or a cluster."""

from pathlib import Path
from typing import Literal, Self

from pydantic import Field, SecretStr, model_validator

from extproc.settings.secret_files import named, read_secret
from extproc.settings.types import Duration, Listen, Model

Mode = Literal["single", "sentinel", "cluster"]


class RedisSettings(Model):
    """A store in Redis 7 or Valkey 8 and newer, shared by the processes of several machines."""

    kind: Literal["redis"] = Field(description="`redis`, for Valkey too")
    mode: Mode = Field(
        "single",
        description="single: one server; sentinel: a master that sentinels watch; cluster: a "
        "Redis cluster",
    )
    servers: tuple[Listen, ...] = Field(
        description="list of host:port: the server, the sentinels, or some nodes of the cluster",
    )
    master: str | None = Field(
        None,
        min_length=1,
        description="name of the master that the sentinels watch; for mode sentinel",
    )
    username: str | None = Field(
        None, min_length=1, description="ACL user; default: Redis's own user `default`"
    )
    password: SecretStr | None = Field(None, description="password of the user")
    password_file: Path | None = Field(
        None, description="file with the password, instead of password"
    )
    sentinel_username: str | None = Field(
        None, min_length=1, description="ACL user at the sentinels, if they have one"
    )
    sentinel_password: SecretStr | None = Field(None, description="password at the sentinels")
    sentinel_password_file: Path | None = Field(
        None, description="file with the password at the sentinels, instead of sentinel_password"
    )
    tls: bool = Field(False, description="use TLS, to the sentinels too")
    ca_file: Path | None = Field(
        None,
        description="PEM file of the authorities that certificates are verified with; default: "
        "the system's authorities",
    )
    db: int = Field(
        0, ge=0, le=65_535, description="number of the database; a cluster has only database 0"
    )
    key_prefix: str = Field(
        "extproc:",
        pattern=r"^[A-Za-z0-9:._-]{1,64}$",
        description="prefix of every key; gateways that share a server need one each",
    )
    deadline: Duration = Field(
        0.25,
        gt=0,
        le=10,
        description="maximum duration of one operation; a request beyond it is answered 503",
    )
    connect: Duration = Field(
        1,
        gt=0,
        le=10,
        description="maximum duration of connecting, TLS and authentication included",
    )
    replicas: int | None = Field(
        None,
        ge=0,
        le=16,
        description="number of replicas that each write of a login or logout waits for, for 0.1 s "
        "at most each, so that several writes add up; default: 1, in mode single 0",
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_servers()
        if self.mode == "cluster" and self.db != 0:
            raise ValueError("db is 0 in mode cluster")
        if self.mode != "sentinel" and (
            self.sentinel_username or self.sentinel_password or self.sentinel_password_file
        ):
            raise ValueError("sentinel_username and sentinel_password go with mode sentinel")
        if self.ca_file is not None and not self.tls:
            raise ValueError("ca_file needs tls: true")
        _check_credentials("", self.username, self.password, self.password_file)
        _check_credentials(
            "sentinel_",
            self.sentinel_username,
            self.sentinel_password,
            self.sentinel_password_file,
        )
        return self

    def _check_servers(self) -> None:
        if not self.servers:
            raise ValueError("servers is empty; it has one host:port or more")
        if any(address.path is not None for address in self.servers):
            raise ValueError("servers are host:port, without unix sockets")
        if self.mode == "single" and len(self.servers) > 1:
            raise ValueError(
                f"servers has {len(self.servers)} addresses, but mode single uses one: set mode to "
                "sentinel or cluster"
            )
        if (self.mode == "sentinel") != (self.master is not None):
            raise ValueError(
                "master is the name that sentinels watch: it goes with mode sentinel, which "
                "needs it"
            )

    @property
    def waits_for(self) -> int:
        """Number of replicas that a write waits for."""
        if self.replicas is not None:
            return self.replicas
        return 0 if self.mode == "single" else 1

    def secret(self) -> SecretStr | None:
        """The password, read from its file if there is one. Raises OSError."""
        return _secret(self.password, self.password_file)

    def sentinel_secret(self) -> SecretStr | None:
        """The password at the sentinels, read from its file if there is one. Raises OSError."""
        return _secret(self.sentinel_password, self.sentinel_password_file)

    def with_secrets(self) -> "RedisSettings":
        """These settings with the passwords themselves in place of the names of their files.

        Raises OSError when a file cannot be read.
        """
        return self.model_copy(
            update={
                "password": self.secret(),
                "password_file": None,
                "sentinel_password": self.sentinel_secret(),
                "sentinel_password_file": None,
            }
        )

    def check_files(self, key: str) -> None:
        """Check that each password can be read and is not empty.

        Args:
            key: Path of these settings in the file, for the text of the error.

        Raises:
            ValueError: A file cannot be read, or a password is empty.
        """
        for name, file, read in (
            ("password", self.password_file, self.secret),
            ("sentinel_password", self.sentinel_password_file, self.sentinel_secret),
        ):
            with named(f"{key}.{name}_file"):
                secret = read()
            if secret is not None and not secret.get_secret_value():
                raise ValueError(f"{key}.{name}{f'_file: {file}' if file else ''} is empty")


def _check_credentials(
    prefix: str, username: str | None, password: SecretStr | None, file: Path | None
) -> None:
    name = f"{prefix}password"
    if password is not None and file is not None:
        raise ValueError(f"{name} or {name}_file, not both")
    if username is not None and password is None and file is None:
        raise ValueError(f"{prefix}username needs {name} or {name}_file")


def _secret(value: SecretStr | None, file: Path | None) -> SecretStr | None:
    return SecretStr(read_secret(file).strip()) if file is not None else value
