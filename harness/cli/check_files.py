"""The files that `check` writes on request: each replaced at once, so that nobody reads half of one."""

from pathlib import Path

from harness import runs
from harness.conformance.result import ChecksFile
from harness.errors import UsageError


def write_files(checks: ChecksFile, junit: Path | None, json_file: Path | None, out_dir: Path | None) -> None:
    """Write what was asked for. Raises UsageError on what cannot be written."""
    try:
        if out_dir is not None:
            out_dir.mkdir(parents=True, exist_ok=True)
            runs.write(out_dir / runs.CHECKS, checks)
        if json_file is not None:
            runs.write(json_file, checks)
        if junit is not None:
            from reports.junit import junit_xml  # reports are loaded only where they are asked for

            junit.write_text(junit_xml(checks), encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {error.filename}: {error.strerror}") from None
