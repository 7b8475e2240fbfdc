"""The application of compose.yaml: says what it received, as JSON."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Said(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        text = json.dumps({"target": self.path, "headers": headers}, indent=2).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None: ...


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8000), Said).serve_forever()
