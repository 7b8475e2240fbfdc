"""What the docs name is in the repository, their lines fit, and the glossary stays short."""

import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
GENERATED = {"docs/settings.md", "docs/reasons.md", "docs/metrics.md", "docs/threats.md"}
COLUMNS = 100
TERMS = 25
# What a reader makes or a command leaves behind.
MADE = {
    "access.test.yaml",
    "build/sbom.cdx.json",
    "envoy.yaml",
    "extproc.sqlite3",
    "extproc.yaml",
    "extproc/_wire",
    "over.sqlite3",
}
SUFFIXES = (
    ".py",
    ".md",
    ".toml",
    ".yaml",
    ".yml",
    ".json",
    ".txt",
    ".sqlite3",
    ".sql",
    ".lua",
    ".sh",
)
# Folders of former layouts: a document that names one means a file that is gone.
GONE = {"lab", "dataplane", "oidc", "checking", "explaining"}


@cache
def files(root: Path = ROOT) -> frozenset[str]:
    """Every file of the repository that is not ignored, new ones included, relative to its root."""
    asked = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(asked, cwd=root, capture_output=True, text=True, check=True)
    return frozenset(name for name in listed.stdout.splitlines() if (root / name).exists())


@cache
def places(root: Path = ROOT) -> frozenset[str]:
    """The files, and every folder that has one."""
    folders = {str(parent) for name in files(root) for parent in Path(name).parents}
    return files(root) | folders


def docs(root: Path = ROOT) -> list[str]:
    """The Markdown files that people write and read."""
    names = (name for name in files(root) if name.endswith(".md"))
    return sorted(name for name in names if name.startswith("docs/") or "/" not in name)


def named(text: str) -> Iterator[str]:
    """The words of a document that look like a file, in backticks and in code."""
    fenced = re.findall(r"^```.*?^```", text, flags=re.M | re.S)
    indented = re.findall(r"^    .*$", text, flags=re.M)
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    for code in (*re.findall(r"`([^`]+)`", prose), *fenced, *indented):
        for word in code.split():
            plain = word.strip("\"'`,;:()[]").partition("::")[0]
            if is_path(plain):
                yield plain


def is_path(word: str) -> bool:
    """True when a word names a file or folder of this repository, or one that it once had."""
    if not re.fullmatch(r"\.?[\w.-]+(/[\w.*-]+)*/?", word) or word.startswith("-"):
        return False
    first = word.partition("/")[0]
    if "/" in word and (first in GONE or first in tops()):
        return True
    return word.endswith(SUFFIXES)


@cache
def tops() -> frozenset[str]:
    """The first parts of paths: the folders at the root, and the packages of extproc."""
    at_the_root = {name.partition("/")[0] for name in files() if "/" in name}
    in_the_package = (name.split("/") for name in files() if name.startswith("extproc/"))
    packages = {parts[1] for parts in in_the_package if len(parts) > 2}
    return frozenset(at_the_root | packages)


def is_there(word: str, document: str, root: Path = ROOT) -> bool:
    """True when a path is in the repository: from its root, extproc, tests or the document."""
    word = word.rstrip("/")
    if word in MADE or Path(word).name in MADE:
        return True
    beside = Path(document).parent
    candidates = {word, str(beside / word), f"extproc/{word}", f"tests/{word}"}
    if candidates & places(root):
        return True
    if "*" in word:
        return any(Path(name).match(candidate) for candidate in candidates for name in files(root))
    return "/" not in word and any(name.endswith(f"/{word}") for name in files(root))


def links(text: str) -> Iterator[str]:
    """The targets of links and pictures within the repository, without their anchors."""
    for target in (*re.findall(r"\]\(([^)\s]+)\)", text), *re.findall(r'src="([^"]+)"', text)):
        if not re.match(r"[a-z]+:|#", target):
            yield target.partition("#")[0]


def anchors(text: str) -> set[str]:
    """The anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", text, flags=re.M)
    bare = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in bare}


def missing(document: str, text: str, root: Path = ROOT) -> list[str]:
    """What a document names and the repository does not have."""
    folder = (root / document).parent
    lost = [word for word in named(text) if not is_there(word, document, root)]
    lost += [target for target in links(text) if not (folder / target).exists()]
    return sorted(set(lost))


def long_lines(text: str) -> list[str]:
    """Lines beyond the limit, without tables, code, pictures, and the targets of links."""
    fenced, found = False, []
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        shown = re.sub(r"\]\([^)]*\)", "]()", line)
        if not fenced and not line.startswith(("|", "    ", "<img")) and len(shown) > COLUMNS:
            found.append(line)
    return found


def glossary(text: str) -> list[str]:
    """The terms of the glossary, in its order."""
    section = text.partition("\n## Glossary\n")[2].partition("\n## ")[0]
    return [row.split("|")[1].strip() for row in section.splitlines() if row.startswith("|")][2:]


@pytest.mark.parametrize("document", docs())
def test_no_document_names_a_file_that_is_not_there(document: str) -> None:
    assert missing(document, (ROOT / document).read_text()) == []


@pytest.mark.parametrize("document", docs())
def test_every_link_to_a_heading_has_its_heading(document: str) -> None:
    text = (ROOT / document).read_text()
    lost = []
    for target in re.findall(r"\]\(([^)\s]*#[^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", name):
            continue
        there = (ROOT / document).parent / name if name else ROOT / document
        if there.exists() and anchor not in anchors(there.read_text()):
            lost.append(target)
    assert lost == []


@pytest.mark.parametrize("document", [name for name in docs() if name not in GENERATED])
def test_lines_have_100_columns_at_most(document: str) -> None:
    assert long_lines((ROOT / document).read_text()) == []


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("docs/providers.md", ["Entra", "`common`", "TENANT-ID"]),
        ("docs/providers.md", ["Nextcloud", "metadata_url"]),
        ("docs/providers.md", ["Apple", "response_mode=form_post", "LinkedIn", "id_token_nonce"]),
        ("docs/topologies.md", ["web manifest", "public_paths"]),
        ("docs/topologies.md", ["A form that is sent after its session has ended"]),
    ],
)
def test_what_users_of_other_gateways_stumbled_over_is_in_the_docs(document, words) -> None:
    text = " ".join((ROOT / document).read_text().split())
    assert [word for word in words if word not in text] == []


def test_the_glossary_is_sorted_and_has_25_terms_at_most() -> None:
    terms = glossary((ROOT / "docs/architecture.md").read_text())
    assert 10 <= len(terms) <= TERMS
    assert terms == sorted(terms, key=str.lower)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("run `lab/bridge.py`", ["lab/bridge.py"]),
        ("read `dataplane/` first", ["dataplane/"]),
        ("`tests/no_such_suite` has it", ["tests/no_such_suite"]),
        ("```\ntests/run docs/gone.md\n```", ["docs/gone.md"]),
        ("    tests/gone ARGS\n", ["tests/gone"]),
        ("[here](gone.md#part)", ["gone.md"]),
        ("`core/no_such_module.py::test_a`", ["core/no_such_module.py"]),
        ("`no_such_module.py`", ["no_such_module.py"]),
    ],
)
def test_a_document_that_names_a_missing_file_fails(text: str, lost: list[str]) -> None:
    assert missing("docs/architecture.md", text) == lost


@pytest.mark.parametrize(
    "text",
    [
        "`extproc/core/decide.py`, `core/decide.py`, `decide.py`, `filters/`, `extproc/core`",
        "`tests/run ARGS...` and [the rules](../CONTRIBUTING.md#rules-that-do-not-bend)",
        "`application/grpc`, `text/html`, `oauth2/logout`, `/static/%2e%2e;/private`",
        "`--json FILE`, `extproc.yaml`",
        "    extproc check --config extproc.yaml\n",
        "[elsewhere](https://example.com/gone.md)",
    ],
)
def test_what_is_there_or_is_no_file_passes(text: str) -> None:
    assert missing("docs/architecture.md", text) == []


def test_a_long_line_of_prose_is_found_and_a_table_is_not() -> None:
    prose, table = "word " * 30, "| cell " * 30
    link = f"[short]({'x' * 120})"
    assert long_lines("\n".join([prose, table, link, "```", prose, "```"])) == [prose]
