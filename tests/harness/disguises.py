"""Paths in disguise, for hypothesis: other spellings of a path that a client may send."""

from hypothesis import strategies as st

_CUT = (
    "",
    ";",
    ";a=b",
    "%3b",
    "%3Bx",
    "%253b",
    ";a%2f",
    "%3f",
    "%2523x",
    "%2500",
    "%2500x",
    "::$DATA",
)
_BEHIND = (
    "",
    ".",
    "..",
    "%20",
    "%20.",
    "%2520",
    "%09",
    "%250a",
    "%252e",
    ".%20",
    "%c2%a0",
    "%25c2%25a0",
)
_SLASH = (
    "/",
    "/",
    "/",
    "//",
    "\\",
    "%2f",
    "%252f",
    "%5c",
    "%255c",
    "%25252F",
    "%c0%af",
    "%ef%bc%8f",
    "%u2215",
    "/;/",
    "/;a/",
    "/%20/",
    "/./",
)
_DOT = (
    ".",
    "%2e",
    "%252e",
    "%25252E",
    "%u002e",
    "%c0%ae",
    "%25c0%25ae",
    "%e0%80%ae",
    "%ef%bc%8e",
    "%25%2532%2565",
)


def encoded(char: str, times: int) -> str:
    code = f"%{ord(char):02x}"
    for _ in range(times - 1):
        code = code.replace("%", "%25")
    return code


@st.composite
def character(draw: st.DrawFn, char: str) -> str:
    match draw(st.sampled_from("pppppcuetwok")):
        case "c":
            return char.swapcase()
        case "u":
            return encoded(char.upper(), draw(st.integers(1, 3)))
        case "e":
            return encoded(char, draw(st.integers(1, 4)))
        case "t":  # The characters of the encoding are encoded in turn.
            return "%25" + "".join(
                encoded(each, draw(st.integers(1, 3))) for each in f"{ord(char):02x}"
            )
        case "w":
            return "".join(f"%{byte:02x}" for byte in chr(ord(char) + 0xFEE0).encode())
        case "k":
            other = {"k": "\u212a", "s": "\u017f", "i": "\u0131"}.get(char, char)
            return "".join(encoded(chr(byte), draw(st.integers(1, 2))) for byte in other.encode())
        case "o":
            return f"%{0xC0 | ord(char) >> 6:02x}%{0x80 | ord(char) & 0x3F:02x}"
        case _:
            return char


@st.composite
def disguised(draw: st.DrawFn, name: str) -> str:
    letters = "".join(draw(character(char)) for char in name)
    return letters + draw(st.sampled_from(_BEHIND)) + draw(st.sampled_from(_CUT))


@st.composite
def up(draw: st.DrawFn) -> str:
    dots = (
        draw(st.sampled_from(_DOT))
        + draw(st.sampled_from(("", "", "%2509")))
        + draw(st.sampled_from(_DOT))
    )
    blank = draw(st.sampled_from(("", "", "", "%20", "%2520")))
    return blank + dots + draw(st.sampled_from(_BEHIND)) + draw(st.sampled_from(_CUT))


@st.composite
def paths(draw: st.DrawFn, *names: str, below: str = "") -> str:
    """A spelling of these names below a prefix that is written plainly."""
    parts = (
        ["/" + below]
        if below
        else [draw(st.sampled_from(("/", "/", "/a/", "//", "/;/", "/%2f", "/%252f", "/.%2f")))]
    )
    for _ in range(draw(st.integers(1 if below else 0, 2))):
        if draw(st.booleans()):
            parts += [draw(st.sampled_from(("a", "a;b", "x%20"))), draw(st.sampled_from(_SLASH))]
        parts += [draw(up()), draw(st.sampled_from(_SLASH))]
    for name in names:
        parts += [draw(disguised(name)), draw(st.sampled_from(_SLASH))]
    return "".join(parts) + draw(st.sampled_from(("", "x", "x?a=/../b")))


JUNK = st.text(alphabet="/.;%25eEcCfF0\\aAuU #?&=:+", max_size=24).map(
    lambda text: "/" + text.replace(" ", "%20").replace("#", "")
)
