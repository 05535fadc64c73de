"""Products on the path of a stream: one TOML file each in `products/`, read by `check`, `diagnose` and `explain`.

The name of the file is the product's id. The keys of a file are the fields of `Product`, `Buffering` and `Fix`.
"""

import tomllib
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import msgspec

from streamgauge.wire import Head

FOLDER: Final = files("streamgauge.diagnosis") / "products"


class Kind(StrEnum):
    """Where a product stands: it makes the stream, or passes it on."""

    APPLICATION = "application"
    PROXY = "proxy"


class Advice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What to change: `code` to paste, or `text` where no code says it. Exactly one of the two is given."""

    code: str | None = None
    text: str | None = None

    def __post_init__(self) -> None:
        if (self.code is None) is (self.text is None):
            raise ValueError("expected either `code` or `text`")
        if not self.content:
            raise ValueError("`code` or `text` is empty")

    @property
    def content(self) -> str:
        """The code or the text, without the line break that a TOML literal ends with."""
        return (self.code or self.text or "").strip("\n")

    @property
    def is_code(self) -> bool:
        return self.code is not None


class Fix(Advice, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The fix for a product that fails one of `checks`, a list of check ids."""

    checks: tuple[str, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.checks:
            raise ValueError("`checks` names no check")


class Place(Advice, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fix together with the file or setting that it belongs to."""

    where: str


class Buffering(Place, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How a product holds a stream back, and what stops it. This is the fix for `checks`, too.

    `why` is what the product does by default. `window_ms` is the range of intervals between bursts that gives away
    a product which names itself in no header. `suspected` marks the product to suspect where nothing names one.
    """

    why: str | None = None
    checks: tuple[str, ...] = ()
    window_ms: tuple[float, float] | None = None
    suspected: bool = False
    alternatives: tuple[Place, ...] = ()


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A product: how to recognise it and how to fix it.

    `marks` maps the name of a response header to lower-case texts; a value that contains one gives the product away.
    `language` is the name of the code's language, as Markdown writes it after a code fence.
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
                raise ValueError("`marks` are in lower case")
        ids = [check_id for fix in (self.buffering, *self.fix) if fix for check_id in fix.checks]
        if twice := {check_id for check_id in ids if ids.count(check_id) > 1}:
            raise ValueError(f"two fixes for {', '.join(sorted(twice))}")

    def fix_for(self, check_id: str) -> Advice | None:
        """The fix for this product when it fails that check."""
        for fix in (self.buffering, *self.fix):
            if fix is not None and check_id in fix.checks:
                return fix
        return None

    def is_marked_in(self, head: Head | None) -> bool:
        """Whether a header of the response gives the product away."""
        return head is not None and any(
            text in value.lower()
            for header, texts in self.marks.items()
            for value in head.all(header)
            for text in texts
        )


def read_product(file: Traversable) -> Product:
    """The product in a file. Raises ValueError that names the file and the key which is wrong."""
    try:
        return msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Product)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name}: {error}") from error


@cache
def products() -> Mapping[str, Product]:
    """All products by id: applications first, then proxies, each in the order of their ids."""
    found = {
        file.name.removesuffix(".toml"): read_product(file) for file in FOLDER.iterdir() if file.name.endswith(".toml")
    }
    return dict(sorted(found.items(), key=lambda item: (item[1].kind, item[0])))


@cache
def fixes_for(check_id: str) -> Mapping[str, str]:
    """What to change in each product that fails a check, by the product's id."""
    fixes = {product_id: product.fix_for(check_id) for product_id, product in products().items()}
    return {product_id: fix.content for product_id, fix in fixes.items() if fix is not None}


def products_in(heads: Iterable[Head | None]) -> frozenset[str]:
    """The ids of the products that some response heads give away; empty when none is known."""
    known = [head for head in heads if head is not None]
    return frozenset(
        product_id for product_id, product in products().items() if any(product.is_marked_in(head) for head in known)
    )


def name_of(product_id: str) -> str:
    """A product's name for people; the id itself where no such product is known, as in a file of another version."""
    product = products().get(product_id)
    return product.name if product else product_id


@cache
def applications() -> frozenset[str]:
    """The ids of the products that make streams."""
    return frozenset(product_id for product_id, product in products().items() if product.kind is Kind.APPLICATION)
