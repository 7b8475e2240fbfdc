"""Signs in and out through a running gateway as a browser would, and says whether all was right:
python login.py URL
"""

import sys
import time

import httpx
from harness.browser import WebUser

TARGET = "/private?a=1&b=%2F"


def sign_in_and_out(gateway: str) -> None:
    """AssertionError when anything is not as it should be."""
    with WebUser("alice", "secret") as user:
        page = user.go(gateway + TARGET)
        assert page.status_code == 200, user.journey()
        said = page.json()
        headers = {name: value for name, value in said["headers"] if name.startswith("x-auth-")}
        assert said["target"] == TARGET, said
        assert headers["x-auth-email"] == "alice@example.test", headers
        assert set(headers["x-auth-groups"].split(",")) == {"admins", "dev"}, headers
        spoofed = user.navigate(
            gateway + "/second", headers={"x-auth-email": "root@example.test"}
        ).json()
        again = {name: value for name, value in spoofed["headers"] if name.startswith("x-auth-")}
        assert again == headers, again
        answer = user.fetch(gateway + "/oauth2/userinfo", page=page)
        assert (answer.status_code, answer.json()["email"]) == (200, "alice@example.test"), (
            answer.text
        )
        out = user.navigate(gateway + "/oauth2/logout", "POST", page=page)
        signed_out = user.go(out.headers["location"], page=page)
        assert str(signed_out.url).startswith(gateway + "/oauth2/signed-out"), user.journey()
        assert user.fetch(gateway + "/oauth2/userinfo", page=page).status_code == 401


def wait_for(gateway: str, seconds: float = 60) -> None:
    """Until a login can begin. Envoy has no health check of its own, and the processor looks for
    its provider anew after a pause; a person would see a page that says so, and reload it.
    """
    end = time.monotonic() + seconds
    with WebUser() as user:
        while True:
            try:
                if (answer := user.navigate(gateway + "/")).status_code == 303:
                    return
                assert answer.status_code == 503, answer.text
                said = answer.headers.get("retry-after", "0")
            except httpx.TransportError as error:
                said = repr(error)
            assert time.monotonic() < end, f"{gateway} is not ready after {seconds:g} s: {said}"
            time.sleep(0.5)


if __name__ == "__main__":
    wait_for(sys.argv[1])
    started = time.monotonic()
    sign_in_and_out(sys.argv[1])
    print(f"signed in and out at {sys.argv[1]} in {time.monotonic() - started:.2f} s")
