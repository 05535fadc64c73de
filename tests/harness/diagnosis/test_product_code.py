"""The code that products are given parses: by their own program where it is installed."""

from functools import cache
from pathlib import Path

import pytest

from streamgauge.diagnosis.product import products
from tests.builders.brackets import imbalance
from tests.builders.code_parsers import error_in, node_errors


def code_in(language: str) -> dict[str, str]:
    """The code of all products in a language, by the product and the first of its checks."""
    return {
        f"{product_id} {fix.checks[0] if fix.checks else 'buffering'}": fix.content
        for product_id, product in products().items()
        for fix in product.all_fixes
        if product.language_of(fix) == language
    }


LANGUAGES = sorted({
    language for product in products().values() for fix in product.all_fixes if (language := product.language_of(fix))
})  # fmt: skip
EVERY = [pytest.param(language, code, id=name) for language in LANGUAGES for name, code in code_in(language).items()]


@cache
def js_errors() -> dict[str, str | None]:
    """What node says about each piece of code for it. A start of node takes longer than all the parsing."""
    codes = list(code_in("js").values())
    return dict(zip(codes, node_errors(codes), strict=True))


@pytest.mark.parametrize(("language", "code"), EVERY)
def test_code_parses(language: str, code: str, tmp_path: Path) -> None:
    assert (js_errors()[code] if language == "js" else error_in(language, code, tmp_path)) is None


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("python", "if a"),
        ("js", "if ("),
        ("csharp", 'Write($"data: {json}\\n\\n);'),
        ("csharp", "f(new { a = 1 );"),
        ("csharp", "}"),
        ("go", 'fmt.Print("a)'),
        ("go", "if err != nil { return"),
        ("xml", "<add>"),
        ("yaml", "a: [1"),
        ("yaml", "a"),
        ("sh", "A=$("),
        ("nginx", "proxy_buffering of;"),
        ("haproxy", "option http-no-delays"),
        ("apache", "ProxyPas / http://upstream/"),
        ("caddyfile", "encod gzip"),
        ("vcl", "set beresp.do_stream = (true;"),
    ],
)
def test_code_that_is_wrong_is_found(language: str, code: str, tmp_path: Path) -> None:
    assert error_in(language, code, tmp_path) is not None


@pytest.mark.parametrize(
    "code", ['$"{(int)t.TotalSeconds}" + $"{{literal}}"', "f('\"'); // it's (", 'g("\\"", `"raw\n`)', '"\\n"u8', "[1]"]
)
def test_brackets_in_strings_and_comments_do_not_count(code: str) -> None:
    assert imbalance(code) is None
