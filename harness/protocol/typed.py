"""Foreign JSON, TOML and values as our types: the only door to msgspec's typed decoding.

msgspec looks up the fields of a type when the type is used for the first time. A second thread that uses the type
during this lookup reads fields that are not there yet, and the interpreter dies of a segmentation fault (msgspec
0.22.0; `check` asks several targets in threads). So one lock guards the first use of every type.
"""

import threading
from typing import Any, Final, TypeVar, cast

import msgspec

T = TypeVar("T")

_first_use: Final = threading.Lock()
_decoders: Final[dict[Any, msgspec.json.Decoder[Any]]] = {}


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """The decoder of JSON into a type, which may be used in any thread."""
    found = _decoders.get(kind)
    if found is None:
        with _first_use:
            found = _decoders.setdefault(kind, msgspec.json.Decoder(kind))
    return cast("msgspec.json.Decoder[T]", found)


def from_json(content: bytes | str, kind: type[T]) -> T:
    """JSON as a value of the type. Raises msgspec.DecodeError, and UnicodeDecodeError."""
    return decoder(kind).decode(content)


def from_toml(content: bytes | str, kind: type[T]) -> T:
    """TOML as a value of the type. Raises msgspec.DecodeError, and UnicodeDecodeError."""
    decoder(kind)
    return msgspec.toml.decode(content, type=kind)


def from_value(value: object, kind: type[T]) -> T:
    """Plain dicts, lists and scalars as a value of the type. Raises msgspec.ValidationError."""
    decoder(kind)
    return msgspec.convert(value, kind)
