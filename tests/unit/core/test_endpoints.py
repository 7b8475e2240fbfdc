"""Where the processor's own endpoints are."""

from harness.tokens import application

from extproc.core.endpoints import CALLBACK, url_of


def test_an_endpoint_is_below_the_path_prefix_of_its_application():
    wiki = application(url="https://app.example/wiki/")
    assert url_of(wiki.url, CALLBACK) == "https://app.example/wiki/oauth2/callback"
    assert url_of(wiki.url, CALLBACK) == wiki.origin + wiki.endpoints + CALLBACK
