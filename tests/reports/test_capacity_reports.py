"""The reports of a search for the capacity: page, Markdown and JUnit from capacity.json."""

import re
import xml.etree.ElementTree as ET
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgauge.capacity.client import Trouble
from streamgauge.capacity.file import FILE, CapacityFile
from streamgauge.capacity.probe import Probe
from streamgauge.errors import UsageError
from streamgauge.reports.capacity_html import capacity_html
from streamgauge.reports.capacity_markdown import capacity_markdown
from streamgauge.reports.junit import capacity_junit
from streamgauge.reports.render import render
from streamgauge.rundir import runs
from tests.harness.capacity.files import simulated

found_in = cache(simulated)
HOSTILE = "<script>alert(1)</script>"


def starved(probe: Probe) -> dict[str, Any]:
    if probe.load < 6:
        return {}
    return {"client": "SUSPECT", "client_reasons": [HOSTILE], "core_used": 0.99, "troubles": [Trouble.CPU]}


def test_a_directory_with_a_search_gives_its_reports_again(tmp_path: Path) -> None:
    runs.write(tmp_path / FILE, found_in("429"))

    first = {path.name: path.read_text() for path in render(tmp_path)}
    again = {path.name: path.read_text() for path in render(tmp_path)}

    assert set(first) == {"report.html", "report.md", "junit.xml"}
    assert again == first
    assert first["report.md"] == capacity_markdown(found_in("429"))


def test_a_search_that_cannot_be_read_is_one_message(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text('{"schema": 1, "points": 3}')

    with pytest.raises(UsageError, match=FILE):
        render(tmp_path)


def test_the_page_has_the_answer_its_pictures_and_no_script() -> None:
    page = capacity_html(found_in("queue"))

    assert found_in("queue").answer.headline in page
    for title in ("Throughput over the load", "ttft p95 over the load", "tpot p95 over the load"):
        assert title in page
    assert "limit 500 ms" in page
    assert "Shaded: the interval of the capacity." in page
    assert "scalability law" in page or "No law is drawn" in page
    assert not re.search(r"<script|https?://(?!127\.0\.0\.1:9000/)", page)
    ids = re.findall(r'\bid="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_the_share_of_failures_is_drawn_where_it_ends_the_capacity() -> None:
    assert "error_rate over the load" in capacity_html(found_in("429"))
    assert "error_rate over the load" not in capacity_html(found_in("queue"))


def test_the_limit_of_the_client_is_a_wall_and_its_text_is_no_markup() -> None:
    found = simulated("queue", client=starved)
    page = capacity_html(found)

    assert "limit of this client" in page
    assert "the client, not the server, ended the search" in page
    assert HOSTILE not in page
    assert HOSTILE not in capacity_markdown(found).replace("\\", "")
    assert 'run it again with <span class="option">--processes</span> 2' in page
    assert "<code>streamgauge calibrate --users N --out DIR</code>" not in page, "an option inside of code is one too"
    assert re.search(r"<code>streamgauge calibrate <span[^>]*>--users</span> N", page)
    assert "Shaded: the interval of the capacity" not in page
    assert "Shaded: loads at which this client was the limit." in page


@pytest.mark.parametrize(
    ("at_least", "kind", "name"),
    [(None, None, "the capacity is known"), (9, None, "holds 9 users"), (10, "failure", "holds 10 users")],
)
def test_junit_says_whether_the_load_is_held(at_least: float | None, kind: str | None, name: str) -> None:
    root = ET.fromstring(capacity_junit(msgspec.structs.replace(found_in("429"), at_least=at_least)))
    (case,) = root.iter("testcase")

    assert case.get("name") == name
    assert [child.tag for child in case if child.tag != "system-out"] == ([kind] if kind else [])
    assert "binding SLO: error_rate < 5%" in (case.findtext("system-out") or "")


def test_junit_has_an_error_where_the_answer_is_not_known() -> None:
    found: CapacityFile = simulated("queue", client=starved, at_least=20)
    root = ET.fromstring(capacity_junit(found))

    assert (root.get("failures"), root.get("errors")) == ("0", "1")


def test_markdown_has_every_load_and_every_point() -> None:
    found = found_in("429")
    text = capacity_markdown(found)

    assert f"capacity: {found.answer.headline}" in text
    assert text.count("| double |") == sum(point.probe.purpose.value == "double" for point in found.points)
    assert all(f"| {load:.0f} users |" in text for load in (2, 4, 8, 9, 10))


def test_what_the_streams_ask_for_is_among_the_settings_as_it_was_given() -> None:
    base = found_in("queue")
    asked = {"prompt_tokens": "480", "prefix_tokens": "200*4"}
    more = {**base.settings, "prompts": asked, "think_time": "2s", "abandon": None, "trace": {"time_scale": HOSTILE}}
    text = capacity_markdown(msgspec.structs.replace(base, settings=more))

    for row in ("| prompt tokens | 480 |", "| prefix tokens | 200\\*4 |", "| think time | 2s |"):
        assert row in text
    assert "abandon" not in text
    assert HOSTILE not in text
    assert "prompts | each" in capacity_markdown(msgspec.structs.replace(base, settings={"nonce": True, "prompts": 3}))


def test_the_share_from_the_cache_is_shown_where_the_server_says_it() -> None:
    base = found_in("queue")
    points = [
        msgspec.structs.replace(point, observation=msgspec.structs.replace(point.observation, cached_share=0.25))
        for point in base.points
    ]

    assert "from cache" not in capacity_markdown(base)
    text = capacity_markdown(msgspec.structs.replace(base, points=points))
    assert "from cache" in text
    assert "| 25.0 % |" in text
