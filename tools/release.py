"""Builds what is released, from the last commit, into build/release: `make release`.

- The wheel. It is built twice, in two folders; the bytes must be the same. So anyone can build the same wheel from the
  same commit on the same platform and compare its hash (https://reproducible-builds.org/docs/source-date-epoch/).
- The bill of materials (CycloneDX): every package that requirements/base.txt pins, with its hashes.
- SHA256SUMS of both.
"""

# ruff: noqa: T201 (a script: printing is what it does)
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from streamgauge.version import __version__

ROOT: Final = Path(__file__).resolve().parent.parent
OUT: Final = ROOT / "build/release"
_BUILD: Final = "import sys; from setuptools import build_meta; print(build_meta.build_wheel(sys.argv[1]))"


def tracked(root: Path = ROOT) -> list[Path]:
    """The files of the repository, relative to it: what lies beside them in a working folder is not released."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    return [Path(name) for name in listed.split("\0") if name and (root / name).is_file()]


def committed_at(root: Path = ROOT) -> int:
    """The time of the last commit (epoch seconds). Two builds of one commit then carry the same time."""
    return int(subprocess.check_output(["git", "log", "-1", "--format=%ct"], cwd=root, text=True))


def copy_sources(files: Iterable[Path], folder: Path, root: Path = ROOT) -> None:
    """Copy the files with modes that do not depend on the umask of whoever checked them out: a wheel keeps modes."""
    for file in files:
        target = folder / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / file, target)
        target.chmod(0o755 if os.access(root / file, os.X_OK) else 0o644)


def build_wheel(sources: Path, out: Path, epoch_s: int) -> Path:
    """Build the wheel of these sources with the setuptools of this environment. Raises CalledProcessError."""
    out.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s)}
    done = subprocess.run(
        [sys.executable, "-c", _BUILD, str(out.resolve())],
        cwd=sources, env=environment, capture_output=True, text=True, check=True, umask=0o022,
    )  # fmt: skip
    return out / done.stdout.split()[-1]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def bill_of_materials(epoch_s: int) -> dict[str, Any]:
    """The packages that the lock pins, as CycloneDX JSON. Raises CalledProcessError."""
    done = subprocess.run(
        [
            sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", "--pyproject", "pyproject.toml",
            "--output-reproducible", "--spec-version", "1.6", "--output-format", "JSON", "requirements/base.txt",
        ],
        cwd=ROOT, env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch_s)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return rooted(json.loads(done.stdout))


def rooted(bill: dict[str, Any]) -> dict[str, Any]:
    """The bill with what the tool cannot know: our version, which is dynamic, and that we depend on every package."""
    own = bill["metadata"]["component"]
    own["version"], own["purl"] = __version__, f"pkg:pypi/{own['name']}@{__version__}"
    everything = [component["bom-ref"] for component in bill["components"]]
    others = [entry for entry in bill["dependencies"] if entry["ref"] != own["bom-ref"]]
    bill["dependencies"] = [{"ref": own["bom-ref"], "dependsOn": everything}, *others]
    return bill


def main() -> None:
    changed = subprocess.check_output(["git", "status", "--porcelain"], cwd=ROOT, text=True)
    if changed:
        sys.exit(f"a release is built from a commit, but these files are not committed:\n{changed}")
    epoch_s = committed_at()
    shutil.rmtree(OUT, ignore_errors=True)
    with tempfile.TemporaryDirectory() as name:
        wheels = []
        for build in ("first", "a-second-folder"):
            copy_sources(tracked(), Path(name, build))
            wheels.append(build_wheel(Path(name, build), Path(name, f"{build}-out"), epoch_s))
        if len({sha256(wheel) for wheel in wheels}) != 1:
            sys.exit(f"two builds of {wheels[0].name} differ: compare the wheels of two clones with diffoscope")
        OUT.mkdir(parents=True)
        wheel = Path(shutil.copy(wheels[0], OUT))
    bill = OUT / f"streamgauge-{__version__}.cdx.json"
    bill.write_text(json.dumps(bill_of_materials(epoch_s), indent=1) + "\n", encoding="utf-8")
    sums = "".join(f"{sha256(file)}  {file.name}\n" for file in (wheel, bill))
    (OUT / "SHA256SUMS").write_text(sums, encoding="ascii")
    print(sums, end="")


if __name__ == "__main__":
    main()
