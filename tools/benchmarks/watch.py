"""Requests one address again and again in a process of its own, and prints each answer's time.

python -m benchmarks.watch HOST:PORT STATUS EVERY [NAME:VALUE...]

Each line: seconds since the start, seconds of the answer, ok or lost.
"""

import http.client
import sys
import time


def main(address: str, status: int, every: float, *headers: str) -> None:
    connection = http.client.HTTPConnection(address, timeout=30)
    sent = dict(header.split(":", 1) for header in headers)
    while True:
        started = time.perf_counter()
        try:
            connection.request("GET", "/watched", headers=sent)
            answer = connection.getresponse()
            answer.read()
            word = "ok" if answer.status == status else "lost"
        except (OSError, http.client.HTTPException):
            connection.close()
            word = "lost"
        took = time.perf_counter() - started
        print(time.time(), took, word, flush=True)
        time.sleep(max(0.0, every - took))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
