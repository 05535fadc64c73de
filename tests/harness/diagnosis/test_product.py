"""A product is one file of data, which is whole and leads to checks that exist."""

import subprocess
import sys
from pathlib import Path

import pytest

from streamgauge.conformance.checks import CHECKS
from streamgauge.diagnosis.product import (
    FOLDER,
    Kind,
    Product,
    applications,
    fixes_for,
    marked_headers,
    products,
    products_in,
    read_product,
    snippets,
)
from streamgauge.wire import Head

ROOT = Path(__file__).resolve().parents[3]
SMALL = 'name = "Traefik"\nkind = "proxy"\n'
FIX = '[[fix]]\nchecks = ["flush.lockstep"]\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "traefik.toml"
    file.write_text(text, encoding="utf-8")
    return file


def checks_of(product: Product) -> list[str]:
    return [check_id for fix in product.all_fixes for check_id in fix.checks]


def test_every_file_is_a_product() -> None:
    assert products().keys() == {file.stem for file in FOLDER.glob("*.toml")}
    assert {"nginx", "aspnet"} <= products().keys()


def test_applications_come_first() -> None:
    kinds = [product.kind for product in products().values()]
    assert kinds == sorted(kinds)
    assert applications() == {"aspnet", "node", "python", "go"}


def test_what_is_installed_has_every_file(tmp_path: Path) -> None:
    pytest.importorskip("setuptools")
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, capture_output=True, timeout=60, check=True)

    installed = tmp_path / "streamgauge" / "diagnosis" / "products"
    assert {file.stem for file in installed.glob("*.toml")} == products().keys()


@pytest.mark.parametrize("product_id", products())
def test_fixes_are_for_checks_that_exist(product_id: str) -> None:
    causes = {f"{check.id}:{cause}" for check in CHECKS.values() for cause in check.requirement.causes}
    assert [check_id for check_id in checks_of(products()[product_id]) if check_id not in {*CHECKS, *causes}] == []


@pytest.mark.parametrize("product_id", products())
def test_a_snippet_is_written_once_in_a_file(product_id: str) -> None:
    """Checks that share a fix stand in one `checks` list."""
    texts = [fix.content for fix in products()[product_id].all_fixes]
    assert sorted(texts) == sorted(set(texts))


@pytest.mark.parametrize("product_id", products())
def test_code_has_a_language_and_text_is_sentences(product_id: str) -> None:
    product = products()[product_id]
    for fix in product.all_fixes:
        if fix.text is None:
            assert product.language_of(fix), fix
        else:
            assert product.language_of(fix) is None
            assert fix.content.endswith("."), fix


@pytest.mark.parametrize("product_id", products())
def test_a_file_is_printable_and_as_wide_as_the_rest_of_the_house(product_id: str) -> None:
    lines = (FOLDER / f"{product_id}.toml").read_text(encoding="utf-8").split("\n")
    assert [line for line in lines if not line.isprintable() or line != line.rstrip() or len(line) > 120] == []


def test_no_check_lost_its_fixes() -> None:
    """As many as there were when they became files; more are welcome."""
    assert sum(len(fixes_for(check_id)) for check_id in CHECKS) >= 340


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("name = \n", "traefik.toml: .*line 1"),
        ('kind = "proxy"\n', "traefik.toml: .*`name`"),
        ('name = "Traefik"\nkind = "hop"\n', r"traefik.toml: .*hop.* - at `\$.kind`"),
        (SMALL + 'colour = "blue"\n', "traefik.toml: .*`colour`"),
        (SMALL + '[marks]\nserver = "traefik"\n', r"traefik.toml: .* - at `\$.marks"),
        (SMALL + '[marks]\nServer = ["traefik"]\n', "traefik.toml: .*lower case"),
        (SMALL + FIX, r"traefik.toml: expected either `code` or `text` - at `\$.fix\[0\]`"),
        (SMALL + FIX + "code = 'a'\ntext = 'b'\n", r"traefik.toml: expected either .* - at `\$.fix\[0\]`"),
        (SMALL + FIX + "code = ''\n", r"traefik.toml: .*empty - at `\$.fix\[0\]`"),
        (SMALL + "[[fix]]\nchecks = []\ncode = 'a'\n", r"traefik.toml: `checks` names no check - at `\$.fix\[0\]`"),
        (SMALL + (FIX + "code = 'a'\n") * 2, "traefik.toml: two fixes for flush.lockstep"),
        (SMALL + "[buffering]\nwhere = 'x'\ncode = 'a'\n", "traefik.toml: the `buffering` of a proxy needs `why`"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_its_key(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_product(written(tmp_path, text))


def test_code_keeps_its_lines(tmp_path: Path) -> None:
    product = read_product(written(tmp_path, SMALL + FIX + "code = '''\nif a:\n    b('\\n')\n'''\n"))

    fix = product.fix_for("flush.lockstep")
    assert fix is not None
    assert product.language_of(fix) == ""
    assert fix.content == "if a:\n    b('\\n')"
    assert product.kind is Kind.PROXY
    assert product.fix_for("flush.incremental") is None


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (("Server", "nginx/1.24.0"), {"nginx"}),
        (("SERVER", "OpenResty"), {"nginx"}),
        (("X-Powered-By", "ASP.NET"), {"aspnet"}),
        (("Via", "1.1 Caddy"), {"caddy"}),
        (("Via", "nginx"), set()),
    ],
)
def test_headers_give_products_away(header: tuple[str, str], known: set[str]) -> None:
    assert products_in([None, Head(200, "OK", "1.1", (header,))]) == known


def test_every_header_that_can_be_a_mark_is_known() -> None:
    assert {"server", "via", "x-powered-by"} <= set(marked_headers())


def test_a_snippet_has_what_a_report_needs() -> None:
    fixes = fixes_for("flush.lockstep") | {"of-another-version": "Do it."}
    by_product = {snippet.product: snippet for snippet in snippets("flush.lockstep", fixes)}

    assert by_product["nginx"].language == "nginx"
    assert by_product["nginx"].plain.startswith("nginx:\n    proxy_buffering off;\n    proxy_http_version 1.1;\n")
    assert by_product["HAProxy"].plain == "HAProxy: option http-no-delay"
    assert by_product["Python"].language is None
    assert by_product["of-another-version"] == ("of-another-version", "Do it.", None)


def test_a_paragraph_of_text_is_one_line(tmp_path: Path) -> None:
    product = read_product(written(tmp_path, SMALL + FIX + "text = '''\nTake it\nout.\n'''\n"))

    assert product.fix[0].content == "Take it out."
