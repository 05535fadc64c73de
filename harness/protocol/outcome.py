"""How a stream ended, in one word."""

from enum import StrEnum


class Outcome(StrEnum):
    """How a stream ended. Only `ok` is success: a 200 with an error inside, or without its end marker, is not."""

    OK = "ok"
    HTTP_ERROR = "http_error"
    ERROR_EVENT = "error_event"
    TRUNCATED = "truncated"
    PROTOCOL_ERROR = "protocol_error"
    CONNECT_ERROR = "connect_error"
    TIMEOUT = "timeout"
    STALLED = "stalled"
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
