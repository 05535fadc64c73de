"""The exit codes are declared once: the README and docs/ci.md say the same."""

from pathlib import Path

import pytest

from streamgauge.errors import EXIT_CODES

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("page", ["README.md", "docs/ci.md"])
def test_a_page_says_what_the_exit_codes_mean(page: str) -> None:
    said = EXIT_CODES.removeprefix("Exit codes: ")
    assert said in " ".join((ROOT / page).read_text().split())
