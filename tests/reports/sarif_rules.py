"""What SARIF 2.1.0 demands of the part that is written here, as a JSON Schema of our own: no more than section by
section what the standard says, and nothing that it does not know (sections 3.13 to 3.52).
"""

from typing import Any

TEXT: dict[str, Any] = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0}
BAG = {"type": "object", "properties": {"tags": {"type": "array", "items": TEXT, "uniqueItems": True}}}


def closed(required: tuple[str, ...], **properties: Any) -> dict[str, Any]:
    """An object of just these properties."""
    return {"type": "object", "additionalProperties": False, "required": list(required), "properties": properties}


MESSAGE = closed(("text",), text=TEXT)
LEVEL = {"enum": ["none", "note", "warning", "error"]}
ARTIFACT = closed(("uri",), uri={"type": "string", "format": "uri-reference", "minLength": 1})
REGION = closed(("startLine",), startLine={"type": "integer", "minimum": 1})
LOCATION = closed(
    (),
    physicalLocation=closed(("artifactLocation",), artifactLocation=ARTIFACT, region=REGION),
    logicalLocations={
        "type": "array",
        "items": closed((), name=TEXT, fullyQualifiedName=TEXT, kind=TEXT),
        "uniqueItems": True,
    },
)
RULE = closed(
    ("id",),
    id=TEXT,
    shortDescription=MESSAGE,
    fullDescription=MESSAGE,
    help=MESSAGE,
    helpUri={"type": "string", "format": "uri"},
    defaultConfiguration=closed((), level=LEVEL),
    properties=BAG,
)
RESULT = closed(
    ("message", "ruleId", "ruleIndex"),
    ruleId=TEXT,
    ruleIndex=COUNT,
    level=LEVEL,
    message=MESSAGE,
    locations={"type": "array", "items": LOCATION},
    partialFingerprints={"type": "object", "additionalProperties": TEXT},
    suppressions={
        "type": "array",
        "items": closed(("kind",), kind={"enum": ["inSource", "external"]}, justification=TEXT),
    },
    properties=BAG,
)
INVOCATION = closed(
    ("executionSuccessful",),
    executionSuccessful={"type": "boolean"},
    startTimeUtc={"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"},
    toolExecutionNotifications={"type": "array", "items": closed(("message",), level=LEVEL, message=MESSAGE)},
)
RUN = closed(
    ("tool",),
    tool=closed(
        ("driver",),
        driver=closed(("name",), name=TEXT, version=TEXT, rules={"type": "array", "items": RULE, "uniqueItems": True}),
    ),
    columnKind={"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
    invocations={"type": "array", "items": INVOCATION},
    results={"type": "array", "items": RESULT},
)
SARIF = closed(
    ("version", "runs"),
    **{"$schema": {"type": "string", "format": "uri"}, "version": {"const": "2.1.0"}},
    runs={"type": "array", "items": RUN},
)
