"""An HTTP server with fixed answers by path, for tests of what reads another program's endpoint."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(frozen=True)
class Answer:
    """A status, headers and a body."""

    status: int = 200
    body: str = ""
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def json(cls, value: object, status: int = 200) -> Self:
        return cls(status, json.dumps(value), (("content-type", "application/json"),))

    @classmethod
    def html(cls, body: str, status: int = 200) -> Self:
        return cls(status, body, (("content-type", "text/html"),))

    @classmethod
    def redirect(cls, location: str, *cookies: str) -> Self:
        return cls(303, "", (("location", location), *(("set-cookie", each) for each in cookies)))


@dataclass(frozen=True)
class Received:
    """A request as the server got it; the names of the headers are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


class StaticServer:
    """Answers each path, its query left out, as `answers` has it; others with 404."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.received: list[Received] = []
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner._answer(self)

            def do_POST(self) -> None:
                owner._answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self.url = f"http://{self.address}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: Any) -> None:
        length = int(handler.headers.get("content-length") or 0)
        body = handler.rfile.read(length).decode()
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.received.append(Received(handler.command, handler.path, headers, body))
        answer = self.answers.get(handler.path.partition("?")[0], Answer(404))
        handler.send_response_only(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(answer.body.encode())))
        handler.end_headers()
        handler.wfile.write(answer.body.encode())
