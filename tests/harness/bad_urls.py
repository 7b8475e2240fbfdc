"""Addresses that an HTTP client, a resolver or an IDNA codec refuses or fails on."""

BAD_URLS = (
    "https://999.1.1.1/x", "https://1.2.3/x", "https://0x7f.1/x", "https://[v1.a]/x", "https://[x", "https://[::1/x", "https://[fe80::1%25eth0]/x",
    "https://xn--/x", "https://xn--a-ecp.ru/x", "https://a.xn--a-ecp.ru/x", "https://xn--xn--a/x", "https://" + "a" * 64 + "/x",
    "https://" + "a." * 127 + "example/x", "https://idp..example/x", "https://.example/x", "https:///x", "https://-a-/x", "https://a b/x",
    "https://a:99999/x", "https://a:b/x", "https://a:0/x", "https://a:-1/x", "https://user@a/x", "https://a%zz/x", "https://\u00e9/x",
    "https://a\x00/x", "https:/x", "//a/x", "/x", "", "file:///etc/passwd", "https://a/x#y", "https://a\\@b/x",
)  # fmt: skip
