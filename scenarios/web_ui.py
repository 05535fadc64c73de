"""Locust's web UI beside a scenario: it listens on loopback unless told otherwise, and answers its own page only.

Locust listens on all interfaces by default, and takes every option from the form of its page: `html` or `logfile` would
make it write any file. A page of another site could send that form from the browser of the user.
"""

from typing import Any, Final
from urllib.parse import urlsplit

import flask
from locust import argument_parser, events

_LOOPBACK: Final = "127.0.0.1"
_THIS_MACHINE: Final = frozenset({_LOOPBACK, "localhost", "::1"})
_FIELDS: Final = frozenset({"user_count", "spawn_rate", "host", "run_time", "user_classes", "shape_class", "profile"})
"""The fields of Locust's own form; the scenario's options that its page shows come on top."""
_OWN_PAGE: Final = (None, "same-origin", "none")


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _listen_here(parser: Any) -> None:
    parser.set_defaults(web_host=_LOOPBACK, master_bind_host=_LOOPBACK)


def guard(environment: Any) -> None:
    """Make the web UI refuse requests of other sites, and options that are none of its page."""
    fields = _FIELDS | argument_parser.ui_extra_args_dict().keys()
    is_local = environment.parsed_options.web_host in _THIS_MACHINE

    @environment.web_ui.app.before_request  # type: ignore[untyped-decorator]
    def _refuse() -> None:
        request = flask.request
        if is_local and _name(request.host) not in _THIS_MACHINE:
            flask.abort(403, "this web UI is for programs on its own machine: use http://127.0.0.1")
        if request.method != "GET" and _is_of_another_site(request):
            flask.abort(403, "this request comes from the page of another site")
        if foreign := sorted(request.form.keys() - fields):
            flask.abort(400, f"the option {foreign[0]} can be set on the command line only")


def _is_of_another_site(request: flask.Request) -> bool:
    origin = request.headers.get("Origin")
    is_elsewhere = origin is not None and urlsplit(origin).netloc != request.host
    return is_elsewhere or request.headers.get("Sec-Fetch-Site") not in _OWN_PAGE


def _name(host: str) -> str | None:
    """The host of a Host header, without its port."""
    return urlsplit(f"//{host}").hostname
