"""An endpoint that dies in the middle of a run fails it: what is left to judge may all be good."""

import json
from pathlib import Path

from tests.builders.command import streamgauge
from tests.cases.programs import Mortal


def test_an_endpoint_that_dies_is_not_passed_over(tmp_path: Path) -> None:
    with Mortal() as url:
        done = streamgauge("check", url, "--json", tmp_path / "out.json")

    (target,) = json.loads((tmp_path / "out.json").read_text())["targets"]
    (down,) = [one for one in target["checks"]["results"] if one["id"] == "http.keeps-accepting"]
    assert down["verdict"] == "fail"
    assert "Connection refused, after" in down["actual"]
    assert done.returncode == 1
