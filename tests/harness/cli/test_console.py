"""Printing: foreign text on a terminal, and a reader that has gone."""

import os
import subprocess
import sys

import pytest

from streamgauge.cli.console import facts, out, safe
from streamgauge.secrets import learn
from tests.builders.command import streamgauge


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("root:x:0", "root:x:0"),
        (":smiley:", ":smiley:"),
        ("[bold]b[/bold]", "[bold]b[/bold]"),
        ("a\x1b[31mred", "a\\x1b[31mred"),
        ("a\u202eb", "a\\u202eb"),
        ("a\u200eb\u2028c\ud800", "a\\u200eb\\u2028c\\ud800"),
        ("\U0001f469\u200d\U0001f4bb", "\U0001f469\u200d\U0001f4bb"),
    ],
)
def test_foreign_text_is_shown_as_it_is(text: str, shown: str) -> None:
    with out.capture() as captured:
        out.print(safe(text))
    assert captured.get() == shown + "\n"


def test_a_reader_that_has_gone_does_not_end_the_command() -> None:
    """As `load | head -1` does: what comes after the printing, the reports and the exit code, comes all the same."""
    script = "from streamgauge.cli.console import out; [out.print('x' * 9999) for _ in range(99)]; raise SystemExit(7)"
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([sys.executable, "-c", script], stdout=writer, stderr=subprocess.PIPE, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (7, b"")


def test_what_is_printed_shows_no_secret_of_the_user_not_even_in_a_folded_cell() -> None:
    learn(["sk-CANARYKEY0123456789"])
    table = facts([("key", "x" * 60 + "sk-CANARYKEY0123456789" + "y" * 60), ("a [bold]name[/bold]", "it stays")])

    with out.capture() as captured:
        out.print("plain sk-CANARYKEY0123456789, [bold]bold[/bold]")
        out.print(safe("escaped sk-CANARYKEY0123456789 \x1b[31m"))
        out.print(table)

    shown = captured.get()
    assert "CANARY" not in "".join(shown.split())
    assert shown.count("***") == 3
    assert "bold" in shown
    assert "it stays" in shown


@pytest.mark.parametrize("header", [["Bearer", "my-own-key-1"], ["sk-CANARYKEY0123456789"]])
def test_a_header_without_quotes_is_a_mistake_whose_message_shows_no_key(header: list[str]) -> None:
    done = streamgauge("probe", "http://127.0.0.1:9/", "-H", "Authorization:", *header)
    assert done.returncode == 2
    assert "***" in done.stderr
    assert header[-1] not in done.stderr


def test_a_traceback_shows_no_secret_of_the_user() -> None:
    script = (
        "from streamgauge.cli import main; from streamgauge.cli import probe; from streamgauge.secrets import learn\n"
        "learn(['sk-CANARYKEY0123456789'])\n"
        "def mistake(*_): raise RuntimeError('it says sk-CANARYKEY0123456789')\n"
        "probe.door.probe = mistake\n"
        "main(['probe', 'http://127.0.0.1:9/'])\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "RuntimeError: it says ***" in done.stderr
    assert done.returncode == 1
