"""The options that say what is under test, the same for every command that takes a URL."""

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import typer

from streamgauge.conformance.targets import CheckedTarget, load_targets
from streamgauge.endpoint.target import AnyTarget, Target
from streamgauge.endpoint.target_input import load_target, ready
from streamgauge.errors import UsageError
from streamgauge.files import read_file
from streamgauge.protocol import dialects
from streamgauge.protocol.encoding import SUPPORTED

_PANEL: Final = "Target"

Url = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        help="The endpoint. May hold {{prompt}} in its query; with --dialect a vendor's host alone will do.",
    ),
]
Urls = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="URL...",
        help="The endpoints, side by side. May hold {{prompt}} in their query; with --dialect a vendor's host will do.",
    ),
]
TargetFile = Annotated[
    Path | None,
    typer.Option("--target", metavar="FILE", help="A TOML file with the target's options.", rich_help_panel=_PANEL),
]
TargetsFile = Annotated[
    Path | None,
    typer.Option(
        "--targets",
        "--target",
        metavar="FILE",
        help="A TOML file with a target's options, or with a table called target for each of several.",
        rich_help_panel=_PANEL,
    ),
]
Header = Annotated[
    list[str] | None,
    typer.Option("--header", "-H", metavar="'NAME: VALUE'", help="Add a header; repeatable.", rich_help_panel=_PANEL),
]
Body = Annotated[
    Path | None,
    typer.Option(
        "--body",
        metavar="FILE",
        help="JSON to send; the prompt goes where it says {{prompt}}, else into the last user message or 'message'.",
        rich_help_panel=_PANEL,
    ),
]
Method = Annotated[
    str | None,
    typer.Option("--method", metavar="VERB", help="HTTP method; by shape if not given.", rich_help_panel=_PANEL),
]
DialectName = Annotated[
    str,
    typer.Option(
        "--dialect",
        metavar="NAME",
        help=f"How text is wrapped: {dialects.AUTO}, {', '.join(d.name for d in dialects.DIALECTS)}.",
        rich_help_panel=_PANEL,
    ),
]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(
        "--api-key-env",
        metavar="VAR",
        help="Environment variable that holds the key; sent in the header the dialect has for it, never written down.",
        rich_help_panel=_PANEL,
    ),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Model to ask for.", rich_help_panel=_PANEL)]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="N", min=1, help="Cap on the answer's length.", rich_help_panel=_PANEL),
]
Prompt = Annotated[str | None, typer.Option("--prompt", metavar="TEXT", help="What to ask.", rich_help_panel=_PANEL)]
MockUrl = Annotated[
    str | None,
    typer.Option(
        "--mock",
        metavar="URL",
        help="The mock provider that the endpoint has as its upstream: turns on what needs truth on both sides.",
        rich_help_panel=_PANEL,
    ),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Accept any TLS certificate.", rich_help_panel=_PANEL, show_default=False)
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Believe this authority only (PEM).", rich_help_panel=_PANEL),
]
Cert = Annotated[
    str | None,
    typer.Option("--cert", metavar="FILE[:KEY]", help="Certificate to show the server (PEM).", rich_help_panel=_PANEL),
]
Http2 = Annotated[
    bool,
    typer.Option(
        "--http2",
        help="HTTP/2: by ALPN over https, by prior knowledge over http. No falling back.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
UnixSocket = Annotated[
    Path | None,
    typer.Option(
        "--unix-socket", metavar="PATH", help="Connect here; the URL still says what for.", rich_help_panel=_PANEL
    ),
]
Compressed = Annotated[
    bool,
    typer.Option(
        "--compressed",
        help=f"Ask for {', '.join(SUPPORTED)}; without it, for none.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option("--timeout", metavar="DURATION", help="Silence to wait through; 60s.", rich_help_panel=_PANEL),
]

_OPTIONS: Final[dict[str, tuple[Any, Any]]] = {
    "url": (Url, None),
    "target_file": (TargetFile, None),
    "header": (Header, None),
    "body": (Body, None),
    "method": (Method, None),
    "dialect": (DialectName, dialects.AUTO),
    "api_key_env": (ApiKeyEnv, None),
    "model": (Model, None),
    "max_tokens": (MaxTokens, None),
    "prompt": (Prompt, None),
    "mock": (MockUrl, None),
    "insecure": (Insecure, False),
    "ca": (Ca, None),
    "cert": (Cert, None),
    "http2": (Http2, False),
    "unix_socket": (UnixSocket, None),
    "compressed": (Compressed, False),
    "timeout": (Timeout, None),
}


_SUBJECT_OPTIONS: Final = {
    "urls": (Urls, None),
    "targets_file": (TargetsFile, None),
    **{name: option for name, option in _OPTIONS.items() if name not in ("url", "target_file")},
}


def with_target(command: Callable[..., None], url: Any = Url) -> Callable[..., None]:
    """Give a command the target options; it gets them as one `target`, its first parameter.

    `url` is how the command takes the address: the first argument, unless it has its own name for it.
    """
    return _with_options(command, {**_OPTIONS, "url": (url, None)}, target_from)


def with_optional_target(command: Callable[..., None]) -> Callable[..., None]:
    """As `with_target`, for a command that can do without an endpoint: its target then has a dialect and no URL."""

    def gather(**chosen: Any) -> Target:
        if chosen["url"] is None and chosen["target_file"] is None:
            return Target(url="", dialect=chosen["dialect"])
        return target_from(**chosen)

    return _with_options(command, _OPTIONS, gather)


def with_subjects(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the target options for any number of targets; it gets a list of subjects, its first parameter."""
    return _with_options(command, _SUBJECT_OPTIONS, subjects_from)


def _with_options(
    command: Callable[..., None], options: dict[str, tuple[Any, Any]], gather: Callable[..., Any]
) -> Callable[..., None]:
    """The command with these options as well; what `gather` makes of them is its first argument."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        chosen = {name: given.pop(name) for name in options}
        command(gather(**chosen), **given)

    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for parameter in list(inspect.signature(command).parameters.values())[1:]
    ]
    shared = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
        for name, (annotation, default) in options.items()
    ]
    run.__signature__ = inspect.Signature([shared[0], *own, *shared[1:]])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*shared, *own]}
    return run


def target_from(*, url: str | None = None, target_file: Path | None = None, **options: Any) -> Target:
    """The target that file and options name together; options win. Raises UsageError on what cannot be used."""
    if target_file is None and url is None:
        raise UsageError("no endpoint given", "pass a URL, or --target FILE that holds one")
    base = load_target(target_file) if target_file else Target(url="")
    return _overlaid(base, url, **options)


def subjects_from(
    *, urls: list[str] | None = None, targets_file: Path | None = None, **options: Any
) -> list[CheckedTarget]:
    """Every target that file and URLs name, with the options over each. Raises UsageError as `target_from` does."""
    if targets_file is None and not urls:
        raise UsageError("no endpoint given", "pass one URL or more, or --targets FILE that holds them")
    listed = [_overlaid(one, None, **options) for one in (load_targets(targets_file) if targets_file else [])]
    given = [_overlaid(CheckedTarget(url=""), url, **options) for url in dict.fromkeys(urls or [])]
    return listed + given


def _overlaid(
    base: AnyTarget,
    url: str | None = None,
    header: list[str] | None = None,
    body: Path | None = None,
    method: str | None = None,
    dialect: str = dialects.AUTO,
    api_key_env: str | None = None,
    model: str | None = None,
    max_tokens: int | None = None,
    prompt: str | None = None,
    mock: str | None = None,
    insecure: bool = False,
    ca: Path | None = None,
    cert: str | None = None,
    http2: bool = False,
    unix_socket: Path | None = None,
    compressed: bool = False,
    timeout: str | None = None,
) -> AnyTarget:
    """The target with options over it."""
    headers = {**base.headers, **dict(_header(text) for text in header or [])}
    # Mistakes of the caller's are said before any request.
    return ready(
        msgspec.structs.replace(
            base,
            url=url or base.url,
            method=(method or base.method or "").upper() or None,
            headers=headers,
            body=_read(body) if body else base.body,
            dialect=dialect if dialect != dialects.AUTO else base.dialect,
            model=model or base.model,
            max_tokens=max_tokens or base.max_tokens,
            prompt=prompt or base.prompt,
            api_key_env=api_key_env or base.api_key_env,
            mock=mock or base.mock,
            insecure=insecure or base.insecure,
            ca=str(ca) if ca else base.ca,
            cert=cert or base.cert,
            http2=http2 or base.http2,
            unix_socket=str(unix_socket) if unix_socket else base.unix_socket,
            compressed=compressed or base.compressed,
            timeout=timeout or base.timeout,
        )
    )


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not name.isascii() or not text.isprintable():
        shown = f"{name.strip()}: ***" if colon else text  # what follows may be a secret
        raise UsageError(f"--header {shown!r} is not a header", "write it as 'Name: value'")
    return name.strip(), value.strip()


def _read(path: Path) -> str:
    try:
        return read_file(path).decode()
    except OSError as error:
        raise UsageError(f"--body {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--body {path} cannot be read: {error}") from None
