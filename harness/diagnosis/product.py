"""Products on the path of a stream, for `check`, `diagnose` and `explain`: one TOML file each in `products/`.

The name of the file is the product's id; the keys in it are the fields of `Product`, `Buffering` and `Fix`.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Final, NamedTuple

import msgspec

from streamgauge.diagnosis.patterns import ConfigFix
from streamgauge.protocol.typed import from_toml
from streamgauge.wire import Head

FOLDER: Final = Path(__file__).parent / "products"


class Kind(StrEnum):
    """Where a product stands: it makes the stream, or passes it on."""

    APPLICATION = "application"
    PROXY = "proxy"


class Advice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A change: `code` to paste, or `text` for a change that is not code. Exactly one of the two is given.

    `language` is given where the code is not in the product's own language.
    """

    code: str | None = None
    text: str | None = None
    language: str | None = None

    def __post_init__(self) -> None:
        if (self.code is None) is (self.text is None):
            raise ValueError("expected either `code` or `text`")
        if not self.content:
            raise ValueError("`code` or `text` is empty")

    @property
    def content(self) -> str:
        """The code without the line breaks around it, or the text as one paragraph."""
        return " ".join(self.text.split()) if self.text is not None else (self.code or "").strip("\n")


class Fix(Advice, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fix for a product that fails one of `checks`, ids of checks; `id:cause` is one cause of a finding."""

    checks: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.checks:
            raise ValueError("`checks` names no check")


class Place(Advice, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fix together with `where` it goes: the file, section or program to change."""

    where: str

    @property
    def config_fix(self) -> ConfigFix:
        """The fix as `diagnosis.json` has it."""
        return ConfigFix(self.where, self.content.split("\n"))


class Buffering(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a product holds streams back, and the fix. The same fix answers `checks`, a list of check ids.

    `why` describes the default of a proxy. `window_ms`, the least and the greatest time between two bursts, identifies
    a proxy that no header names. `suspected` marks the proxy to suspect when neither a header nor a time names one.
    `alternatives` are other places that stop the buffering.
    """

    why: str | None = None
    checks: tuple[str, ...] = ()
    window_ms: tuple[float, float] | None = None
    suspected: bool = False
    alternatives: tuple[Place, ...] = ()

    @property
    def config_fixes(self) -> list[ConfigFix]:
        """Every fix, the best one first."""
        return [self.config_fix, *(place.config_fix for place in self.alternatives)]


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A product: how to recognise it and how to fix it.

    `marks` maps the name of a response header to lower-case texts: a value that contains one of them identifies the
    product. `language` is the word after a Markdown code fence for the product's code.
    """

    name: str
    kind: Kind
    language: str = ""
    marks: dict[str, tuple[str, ...]] = {}
    buffering: Buffering | None = None
    fix: tuple[Fix, ...] = ()

    def __post_init__(self) -> None:
        for header, texts in self.marks.items():
            if header != header.lower() or any(text != text.lower() for text in texts):
                raise ValueError(f"the marks in `{header}` are not in lower case")
        if self.buffering and self.kind is Kind.PROXY and not self.buffering.why:
            raise ValueError("the `buffering` of a proxy needs `why`: what it does by default")
        ids = [check_id for fix in self.all_fixes for check_id in fix.checks]
        if twice := {check_id for check_id in ids if ids.count(check_id) > 1}:
            raise ValueError(f"two fixes for {', '.join(sorted(twice))}")

    @property
    def all_fixes(self) -> list[Buffering | Fix]:
        """The fix for buffering, then the others."""
        return [*([self.buffering] if self.buffering else []), *self.fix]

    def fix_for(self, check_id: str) -> Advice | None:
        """The fix for this product when it fails that check."""
        return next((fix for fix in self.all_fixes if check_id in fix.checks), None)

    def language_of(self, advice: Advice) -> str | None:
        """The language of a fix's code; None where the fix is text."""
        return None if advice.code is None else advice.language or self.language

    def is_marked_in(self, head: Head | None) -> bool:
        """Whether a header of the response identifies the product."""
        return head is not None and any(
            text in value.lower()
            for header, texts in self.marks.items()
            for value in head.all(header)
            for text in texts
        )


class Snippet(NamedTuple):
    """A fix for one product as a report shows it. `language` is None where `content` is text and not code."""

    product: str
    content: str
    language: str | None

    @property
    def plain(self) -> str:
        """As plain text: on one line, or the code indented below the product's name."""
        if "\n" not in self.content:
            return f"{self.product}: {self.content}"
        return f"{self.product}:\n{indent(self.content, '    ')}"


def read_product(file: Path) -> Product:
    """The product in a file. Raises ValueError that names the file and the key which is wrong."""
    try:
        return from_toml(file.read_bytes(), Product)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name}: {error}") from error


@cache
def products() -> Mapping[str, Product]:
    """All products by id: applications first, then proxies, each kind in the order of the ids."""
    found = {file.stem: read_product(file) for file in FOLDER.glob("*.toml")}
    return dict(sorted(found.items(), key=lambda item: (item[1].kind, item[0])))


@cache
def applications() -> frozenset[str]:
    """The ids of the products that make streams."""
    return frozenset(product_id for product_id, product in products().items() if product.kind is Kind.APPLICATION)


@cache
def fixes_for(check_id: str) -> Mapping[str, str]:
    """The change to make in each product when it fails this check, by the product's id."""
    fixes = {product_id: product.fix_for(check_id) for product_id, product in products().items()}
    return {product_id: fix.content for product_id, fix in fixes.items() if fix is not None}


def with_cause(check_id: str, cause: str | None) -> str:
    """The name under which a product's file has the fix for one cause of a finding: `group.name:cause`."""
    return check_id if cause is None else f"{check_id}:{cause}"


def snippets(check_id: str, fixes: Mapping[str, str]) -> list[Snippet]:
    """The fixes of a result, which may come from a file of another version, with what a report needs to show them."""
    return [_snippet(check_id, product_id, content) for product_id, content in fixes.items()]


def _snippet(check_id: str, product_id: str, content: str) -> Snippet:
    product = products().get(product_id)
    if product is None:
        return Snippet(product_id, content, None)
    fix = product.fix_for(check_id)
    return Snippet(product.name, content, None if fix is None else product.language_of(fix))


def products_in(heads: Iterable[Head | None]) -> frozenset[str]:
    """The ids of the products that the headers of these responses identify; empty when none is known."""
    known = [head for head in heads if head is not None]
    return frozenset(
        product_id for product_id, product in products().items() if any(product.is_marked_in(head) for head in known)
    )


@cache
def marked_headers() -> tuple[str, ...]:
    """The names of the headers that can identify a product, in lower case."""
    return tuple(sorted({header for product in products().values() for header in product.marks}))
