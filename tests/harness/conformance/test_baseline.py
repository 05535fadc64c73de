"""The baseline as a file."""

from pathlib import Path

import pytest

from streamgauge.conformance.baseline import read_baseline, read_expected_failures, write_baseline
from streamgauge.conformance.gate import Accepted
from streamgauge.errors import UsageError

KNOWN = {"framing.no-bom", "text.utf8-valid"}
ENTRIES = [
    Accepted(check="text.utf8-valid"),
    Accepted(check="framing.no-bom", target='http://a/?q="x"\\', verdict="warn", reason="until v2 \x7f\n☂"),
]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "accepted.toml"

    write_baseline(path, reversed(ENTRIES))

    assert read_baseline(path, KNOWN) == ENTRIES
    assert [one.name for one in tmp_path.iterdir()] == ["accepted.toml"]


def test_the_plain_form(tmp_path: Path) -> None:
    path = tmp_path / "expected.txt"
    path.write_text("# known\nframing.no-bom  # legacy relay\n\n")

    assert read_expected_failures(path, KNOWN) == [Accepted(check="framing.no-bom")]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[[accepted]]\ncheck = "framing.no-bomb"', "names an unknown check: 'framing.no-bomb'"),
        ("[[accepted]]\ntarget = 'x'", "is not usable: .*check"),
        ("[[accepted]]\ncheck = 'framing.no-bom'\nverdict = 'pass'", "is not usable"),
        ("[[acepted]]\ncheck = 'framing.no-bom'", "is not usable"),
        ("not toml", "is not usable"),
    ],
)
def test_a_baseline_that_says_nothing_is_refused(tmp_path: Path, text: str, told: str) -> None:
    """A misspelt entry would accept nothing, silently."""
    path = tmp_path / "accepted.toml"
    path.write_text(text)

    with pytest.raises(UsageError, match=told):
        read_baseline(path, KNOWN)


def test_a_baseline_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_baseline(tmp_path / "none.toml", KNOWN)
    with pytest.raises(UsageError, match="cannot be read"):
        read_expected_failures(tmp_path / "none.txt", KNOWN)
