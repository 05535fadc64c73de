"""The wheel of a commit has the same bytes wherever and whenever it is built; the bill of materials is complete."""

import json
import os
import zipfile
from pathlib import Path

import pytest

from streamgauge.version import __version__
from tests.builders.locks import LOCKS, ROOT, read_lock
from tools.release import build_wheel, committed_at, copy_sources, rooted, sha256, tracked

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="the files of a release are those that git tracks")
EPOCH_S = 1_700_000_000


def test_two_builds_of_the_same_sources_are_the_same_bytes(tmp_path: Path) -> None:
    """Their folders differ, their umasks, and the times of their files."""
    wheels = []
    for name, umask in (("a", 0o022), ("another-and-longer-folder", 0o077)):
        sources = tmp_path / name / "sources"
        before = os.umask(umask)
        try:
            copy_sources(tracked(), sources)
            wheels.append(build_wheel(sources, tmp_path / name / "out", EPOCH_S))
        finally:
            os.umask(before)

    first, second = (wheel.read_bytes() for wheel in wheels)
    assert wheels[0].name == wheels[1].name
    assert first == second, "compare the two with diffoscope"
    with zipfile.ZipFile(wheels[0]) as wheel:
        assert {name.split("/")[0].split("-")[0] for name in wheel.namelist()} == {"streamgauge"}
        assert all(info.date_time[:3] == (2023, 11, 14) for info in wheel.infolist())
    other = build_wheel(tmp_path / "a" / "sources", tmp_path / "later", EPOCH_S + 86_400)
    assert sha256(other) != sha256(wheels[0]), "the time of the commit is in the wheel"


def test_a_release_has_the_tracked_files_and_the_time_of_the_commit() -> None:
    assert Path("harness/version.py") in tracked()
    assert not [file for file in tracked() if file.suffix == ".so"]
    assert committed_at() > 1_700_000_000


def test_the_bill_of_materials_names_our_version_and_depends_on_every_package() -> None:
    bill = {
        "metadata": {"component": {"bom-ref": "root-component", "name": "streamgauge"}},
        "components": [{"bom-ref": f"line-{n}", "name": pin.name} for n, pin in enumerate(read_lock(LOCKS["base"]))],
        "dependencies": [{"ref": "root-component"}, {"ref": "line-0"}],
    }

    done = json.loads(json.dumps(rooted(bill)))

    assert done["metadata"]["component"]["version"] == __version__
    assert done["metadata"]["component"]["purl"] == f"pkg:pypi/streamgauge@{__version__}"
    root, *others = done["dependencies"]
    assert root["ref"] == "root-component"
    assert root["dependsOn"] == [component["bom-ref"] for component in done["components"]]
    assert others == [{"ref": "line-0"}]
