"""A request with a gap for the prompt: what every stream of a load has in common is made once.

To fill the gap costs a tenth of making the request anew, which matters when a thousand streams start at once.
"""

import json
from typing import Final, NamedTuple, Self

from streamgauge.transport.request import PreparedRequest

MARK: Final = "0ne-pr0mpt-g0es-here"
"""Stands for the prompt while the stencil is cut; JSON does not escape any character of it."""

_LENGTH: Final = b"content-length"


class Stencil(NamedTuple):
    """A request whose body has the prompt in exactly one place. `before` and `after` are the rest of the body."""

    request: PreparedRequest
    before: bytes
    after: bytes
    length_at: int  # the index of Content-Length in the request's fields

    @classmethod
    def of(cls, request: PreparedRequest) -> Self | None:
        """Cut the stencil from a request whose prompt is MARK.

        None when the prompt is not once in the body and nowhere else, as in a GET request, or when the body's length is
        not among the header fields.
        """
        mark = MARK.encode()
        lengths = [index for index, (name, _) in enumerate(request.fields) if name.lower() == _LENGTH]
        elsewhere = any(mark in value for _, value in request.fields) or mark in request.to.target
        if request.body.count(mark) != 1 or elsewhere or len(lengths) != 1:
            return None
        before, after = request.body.split(mark)
        return cls(request, before, after, lengths[0])

    def filled(self, prompt: str) -> PreparedRequest:
        """The request with this prompt. Law: it is the one that `Target.request` makes (test_stencil.py)."""
        body = self.before + json.dumps(prompt, ensure_ascii=False)[1:-1].encode() + self.after
        fields = list(self.request.fields)
        fields[self.length_at] = fields[self.length_at][0], b"%d" % len(body)
        return self.request._replace(fields=fields, body=body)
