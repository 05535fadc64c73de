"""The JSON Schema of `check --json`, made from the structs that write it; `make docs` publishes it."""

import json
from pathlib import Path
from typing import Any

import msgspec

from streamgauge.conformance.report import SCHEMA, ChecksReport

PUBLISHED = Path(__file__).resolve().parent.parent / "docs" / "schema" / f"checks-{SCHEMA}.json"


def schema() -> dict[str, Any]:
    """The schema. A reader must let fields be that it does not know: a later version may add some."""
    made = msgspec.json.schema(ChecksReport)
    report = made["$defs"]["ChecksReport"]
    report["properties"]["schema"] = {"const": SCHEMA}
    report["required"].insert(0, "schema")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"streamgauge check --json, version {SCHEMA}",
        **made,
    }


def text() -> str:
    """The published file."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"
