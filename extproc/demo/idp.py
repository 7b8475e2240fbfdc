"""The demo's provider: nanoidp without its management, and with pages that load nothing from other
sites.

    python -m extproc.demo.idp FOLDER PORT TRACES

FOLDER has nanoidp's settings.yaml and users.yaml. Only its OAuth endpoints answer, because its
management, a user interface and an API without a login, would be reached through the gateway too.
"""

import logging
import signal
import sys
from pathlib import Path

from flask import Flask, Response, abort, request
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader
from nanoidp.app import create_app
from werkzeug.serving import make_server

from extproc.demo.spans import TracedWSGI, tracer

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


def application(folder: Path) -> Flask:
    """nanoidp with the demo's two pages in place of its own, which load style and script from
    another site.
    """
    app: Flask = create_app(str(folder))
    loaders: list[BaseLoader] = [FileSystemLoader(Path(__file__).parent / "templates")]
    if app.jinja_env.loader is not None:
        loaders.append(app.jinja_env.loader)
    app.jinja_env.loader = ChoiceLoader(loaders)

    @app.before_request
    def only_the_protocol() -> None:
        if request.blueprint != "oauth":
            abort(404)

    @app.after_request
    def with_policy(response: Response) -> Response:
        response.headers["content-security-policy"] = POLICY
        response.headers.setdefault("cache-control", "no-store")
        return response

    return app


def run(folder: Path, port: int, traces: str) -> None:
    """Serves until SIGTERM, with threads, because nanoidp is a WSGI application that keeps its
    state in the process.
    """
    app = application(folder)
    for name in ("nanoidp", "werkzeug"):
        logging.getLogger(name).setLevel(logging.WARNING)
    traced = TracedWSGI(app.wsgi_app, tracer("provider", traces))
    app.wsgi_app = traced  # type: ignore[method-assign]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    make_server("127.0.0.1", port, app, threaded=True).serve_forever()


if __name__ == "__main__":
    run(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
