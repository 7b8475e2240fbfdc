"""Random text that parsers read differently, made of the parts on which they differ.

The text depends only on the seed.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

Pair = tuple[str, str]


def strict(lines: Sequence[str]) -> list[Pair]:
    """The cookies of Cookie headers by RFC 6265bis.

    Only `;` separates, each header is a list of its own, and a part without `=` has no name.
    """
    found = []
    for line in lines:
        for part in line.split(";"):
            name, separator, value = part.strip(" \t").partition("=")
            if separator:
                found.append((name, value.strip(" \t")))
    return found


def stored(line: str, *, secure: bool) -> str | None:
    """What a later Cookie header has of a Set-Cookie of a neighbouring host with Domain.

    RFC 6265bis 5.6 and 5.7. secure: the cookie has Secure, and its host is https. None: the browser
    keeps nothing.
    """
    if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", line):
        return None
    first, equals, rest = line.partition(";")[0].partition("=")
    name, value = (first.strip(" \t"), rest.strip(" \t")) if equals else ("", first.strip(" \t"))
    if not name + value or len((name + value).encode("latin-1")) > 4096:
        return None
    claimed = (name or value).lower()
    if claimed.startswith("__host-") or (
        claimed.startswith("__secure-") and (not name or not secure)
    ):
        return None
    return f"{name}={value}" if name else value


@dataclass(frozen=True, slots=True)
class Jar:
    """The cookies that Cookie headers are made of.

    ours: names of the product with valid values of this browser. planted: the same names with
    values of another user.
    """

    ours: tuple[Pair, ...]
    planted: tuple[Pair, ...]

    def headers(self, seed: int, count: int) -> Iterator[tuple[str, ...]]:
        """So many lists of one to three Cookie headers."""
        chance = random.Random(seed)
        for _ in range(count):
            lines = chance.choices((1, 2, 3), (8, 2, 1))[0]
            yield tuple(self._line(chance) for _ in range(lines))

    def kept(self, seed: int, count: int) -> Iterator[str]:
        """The Cookie header of a browser with all of `ours`, and cookies of a neighbour."""
        chance = random.Random(seed)
        for _ in range(count):
            lines_of_ours = [
                self._planted(chance) + chance.choice(("", "", ",x=y", "; Path=/a"))
                for _ in range(chance.randint(1, 4))
            ]
            kept = [
                one
                for line in lines_of_ours
                if (one := stored(line, secure=chance.random() < 0.5)) is not None
            ]
            cookies = [*("=".join(pair) for pair in self.ours), *kept]
            # A browser sends cookies with longer paths first, then older ones.
            chance.shuffle(cookies)
            yield "; ".join(cookies)

    def _planted(self, chance: random.Random) -> str:
        name, value = chance.choice(self.planted)
        other = name.removeprefix("__Host-")
        return chance.choice(_DISGUISES).format(
            name=name, value=value, other=other, upper=name.upper(), head=name[:-2]
        )

    def _line(self, chance: random.Random) -> str:
        line = self._cookie(chance)
        for _ in range(chance.choices((0, 1, 2, 3, 4), (1, 3, 3, 2, 1))[0]):
            line += chance.choices(_BETWEEN, _OFTEN)[0] + self._cookie(chance)
        return chance.choices(("", " ", ";", "; "), (20, 1, 1, 1))[0] + line

    def _cookie(self, chance: random.Random) -> str:
        kind = chance.random()
        if kind < 0.3:
            return "=".join(chance.choice(self.ours))
        if kind < 0.45:
            return chance.choice(_FOREIGN)
        return self._planted(chance)


_BETWEEN = ("; ", ";", " ;", ";;", "; ; ", ",", ", ", ";\t", " ", "&", "|", ";,", ",;")
_OFTEN = (20, 6, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1)
_FOREIGN = (
    "a=1",
    "prefs=dark",
    "b=",
    "c",
    "=d",
    "",
    "e=f=g",
    'q="x, y"',
    "u=\xe9\x85\xa0",
    "t=1\t2",
    "j={1:2}",
    "ab=x,y,z",
)
_DISGUISES = (
    "prefs=dark,{name}={value}", "prefs=dark, {name}={value}", "prefs={name}={value}", "prefs=x {name}={value}", 'p="{name}={value}"',
    "x{name}={value}", "{name}x={value}", "{upper}={value}", "__Host-{name}={value}", "__Secure-{other}={value}", "{other}={value}",
    "{name} ={value}", "{name}\t= {value}", "={name}={value}", "{name}", "{name}{value}", "{name}={value},x", "{name}=x,{value}",
    "{name}=", "a[{name}]={value}", "a={value}", "{head}={value}", "%5f_Host-{other}={value}", "p=%3B{name}={value}", "{name}=\"{value}\"",
    "a,{name}={value}", ",{name}={value}", "$Version=1,{name}={value}", "{name}.1={value}", "p=d,,{name}={value}", "\xa0{name}={value}",
    "p=d\x85{name}={value}", "p=d|{name}={value}",
)  # fmt: skip


def authorities(seed: int, count: int, host: str, port: int) -> Iterator[str]:
    """Values of Host: this host, in spellings that some server may accept."""
    chance = random.Random(seed)
    others = ("evil.example", "localhost", "1", "", "other.test", host)
    marks = (
        ":",
        "@",
        ".",
        "/",
        "\\",
        "#",
        "?",
        "%",
        "%2e",
        "%00",
        " ",
        "\t",
        ",",
        ";",
        "[",
        "]",
        "::",
        ":@",
        "..",
        "-",
        "_",
        "\xe9",
    )
    for _ in range(count):
        text = chance.choice(
            (host, host.upper(), host.title(), f"{host}:{port}", f"{host}:", f"{host}.")
        )
        for _ in range(chance.choices((0, 1, 2), (1, 4, 3))[0]):
            more = chance.choice(marks) + chance.choice(others)
            text = (
                text + more
                if chance.random() < 0.7
                else chance.choice(others) + chance.choice(marks) + text
            )
        yield text


def paths(seed: int, count: int, words: Sequence[str]) -> Iterator[str]:
    """Targets without a fragment, of these segments and of what servers normalise away."""
    chance = random.Random(seed)
    odd = (
        ".",
        "..",
        "%2e",
        "%2E%2e",
        "..;",
        ";",
        ";a=b",
        "%2f",
        "%5c",
        "\\",
        "",
        "a",
        "%61",
        "%",
        "%zz",
        "%00",
        "%252e%252e",
        "%20",
        "~",
        "..%3b",
        "@",
        ":",
    )
    for _ in range(count):
        parts = [
            chance.choice(words if chance.random() < 0.6 else odd)
            for _ in range(chance.randint(1, 5))
        ]
        if chance.random() < 0.2:
            parts[-1] += chance.choice(odd)
        if chance.random() < 0.1:
            parts[0] = "".join(c.upper() if chance.random() < 0.5 else c for c in parts[0])
        query = chance.choice(("", "", "?", "?a=/..", "?/oauth2/", "?a?b", "?%3f#".rstrip("#")))
        yield "/" + "/".join(parts) + query


def targets(seed: int, count: int) -> Iterator[str]:
    """Return URLs."""
    chance = random.Random(seed)
    parts = ("/", "//", "\\", "/\\", ".", "..", "/./", "/../", "%2e", "%2E.", ".%2e", ";", "@", ":", "evil.example", "https:", "http://", "javascript:", "data:", "\t", "\n", "\r", " ", "\x00", "\x85", "\xa0", "\xe9", "#", "?", "&", "a", "b/c", "%2f", "%5c", "%0a", "[", "]", "oauth2/", "oauth2/logout", "oauth2/callback?code=1", "|", '"', "<", "'", "`", "{", "^")  # fmt: skip
    for _ in range(count):
        text = "".join(chance.choice(parts) for _ in range(chance.randint(1, 6)))
        yield chance.choices(("/" + text, text, "/a" + text, "/a/" + text), (6, 2, 2, 2))[0]


def urls(seed: int, count: int, host: str) -> Iterator[str]:
    """Absolute URLs of this host, in spellings that some parser may accept."""
    chance = random.Random(seed)
    heads = (
        "https://",
        "https:/",
        "https:",
        "https:///",
        "HTTPS://",
        "http://",
        "https:\\\\",
        "//",
        "https://user@",
        "https://user:p@",
        "https://@",
        "wss://",
    )
    hosts = (host, host.upper(), f"{host}.", f"{host}..", f"a..{host}", f".{host}", f"{host}:443", f"{host}:0443", f"{host}:", f"{host}:99999", f"{host}:a", f"{host}:44 3", "127.0.0.1", "127.1", "0x7f.1", "2130706433", "999.1.1.1", "1.2.3", "1.2.3.4.5", "[::1]", "[::1", "[v1.a]", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "xn--", "xn--a", "xn--a-ecp.ru", "xn--bcher-kva.example", "a" * 64 + ".example", "a_b.example", "-a.example", f"{host}%2eevil", f"%65{host}", f"{host}\\@evil.example", f"{host}#@evil.example", f"{host}?@evil.example", f"evil.example@{host}", f"{host};evil", f"{host},evil", f"{host}'", f"{host}<", f"{host}|", f"{host}^", f"{host}*", f"{host}&", f"{host}+", "", "*", "1e3.example", "0.0.0.0", "localhost", "0177.0.0.1")  # fmt: skip
    tails = (
        "",
        "/",
        "/auth",
        "/auth?a=b",
        "/a b",
        "/\\x",
        "//x",
        "/%2e%2e/x",
        "/a#f",
        "?a",
        "\\x",
        "/;x",
        "/\xe9",
        "/a|b",
    )
    for _ in range(count):
        yield (
            chance.choices(heads, (20, *[1] * (len(heads) - 1)))[0]
            + chance.choice(hosts)
            + chance.choice(tails)
        )


def queries(seed: int, count: int, name: str) -> Iterator[str]:
    """Queries that have this parameter once, several times or never, in several spellings."""
    chance = random.Random(seed)
    names = (
        name,
        name,
        name.upper(),
        name.replace("_", "%5F"),
        name.replace("_", "+"),
        f" {name}",
        f"{name}[]",
        f"{name}%00",
        f"%72{name[1:]}",
        "a",
        "",
    )
    values = (
        "/a",
        "%2Fa",
        "/a%26b",
        "/a+b",
        "",
        "/a=b",
        "/%zz",
        "%",
        "/%c3%a9",
        "/%ff",
        "/a;b",
        "/a%00",
        "//evil.example",
        "/a?b=c",
        "/a%23",
        "\xe9",
    )
    for _ in range(count):
        pairs = []
        for _ in range(chance.choices((1, 2, 3), (4, 2, 1))[0]):
            pairs.append(
                chance.choice(names)
                + chance.choices(("=", "", "=="), (20, 1, 1))[0]
                + chance.choice(values)
            )
        yield chance.choices(("&", ";", "&&", "?"), (20, 2, 1, 1))[0].join(pairs)
