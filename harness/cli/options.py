"""The options for the endpoint under test: the same for every command that takes a URL."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import msgspec
import typer

from streamgauge.conformance.targets import CheckedTarget, load_targets
from streamgauge.endpoint.target import AnyTarget, Target
from streamgauge.endpoint.target_input import load_target, ready
from streamgauge.errors import UsageError
from streamgauge.files import read_file
from streamgauge.protocol import dialects
from streamgauge.protocol.dialects.signalr import HubTable
from streamgauge.protocol.encoding import SUPPORTED
from streamgauge.protocol.outcome import Ends

_PANEL: Final = "Target"

Url = Annotated[
    str | None,
    typer.Argument(
        metavar="URL",
        help="The endpoint. Its query may hold {{prompt}}. With --dialect, a vendor's host name is enough.",
    ),
]
Urls = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="URL...",
        help="One endpoint or more. A query may hold {{prompt}}. With --dialect, a vendor's host name is enough.",
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
        # Escaped, because rich takes [target] for markup.
        help="A TOML file with a target's options, or with one [\\[target]] table for each of several targets.",
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
        help="JSON to send. The prompt replaces {{prompt}}, else the last user message or the field 'message'.",
        rich_help_panel=_PANEL,
    ),
]
Method = Annotated[
    str | None,
    typer.Option(
        "--method",
        metavar="VERB",
        help="HTTP method. Default: GET or POST, as the URL and the body suggest.",
        rich_help_panel=_PANEL,
    ),
]
DialectName = Annotated[
    str,
    typer.Option(
        "--dialect",
        metavar="NAME",
        help=f"Format of the stream: {dialects.AUTO}, {', '.join(d.name for d in dialects.DIALECTS)}.",
        rich_help_panel=_PANEL,
    ),
]
HubMethod = Annotated[
    str | None,
    typer.Option(
        "--hub-method",
        metavar="NAME",
        help="The URL is a SignalR hub: call this streaming method with the prompt. Other arguments: [\\[signalr] in a "
        "target file.",
        rich_help_panel=_PANEL,
    ),
]
ApiKeyEnv = Annotated[
    str | None,
    typer.Option(
        "--api-key-env",
        metavar="VAR",
        help="Environment variable that holds the API key. The key goes into the dialect's header; no file gets it.",
        rich_help_panel=_PANEL,
    ),
]
Model = Annotated[str | None, typer.Option("--model", metavar="NAME", help="Model to ask for.", rich_help_panel=_PANEL)]
MaxTokens = Annotated[
    int | None,
    typer.Option("--max-tokens", metavar="N", min=1, help="Longest answer, in tokens.", rich_help_panel=_PANEL),
]
Prompt = Annotated[
    str | None, typer.Option("--prompt", metavar="TEXT", help="The prompt to send.", rich_help_panel=_PANEL)
]
MockUrl = Annotated[
    str | None,
    typer.Option(
        "--mock",
        metavar="URL",
        help="The mock provider that is the endpoint's upstream. Enables checks that compare both sides. Its"
        " --control-token is read from STREAMGAUGE_MOCK_CONTROL_TOKEN.",
        rich_help_panel=_PANEL,
    ),
]
Insecure = Annotated[
    bool, typer.Option("--insecure", help="Accept any TLS certificate.", rich_help_panel=_PANEL, show_default=False)
]
Ca = Annotated[
    Path | None,
    typer.Option("--ca", metavar="FILE", help="Trust only this CA (PEM).", rich_help_panel=_PANEL),
]
Cert = Annotated[
    str | None,
    typer.Option("--cert", metavar="FILE[:KEY]", help="Client certificate (PEM).", rich_help_panel=_PANEL),
]
Http2 = Annotated[
    bool,
    typer.Option(
        "--http2",
        help="HTTP/2: by ALPN over https, by prior knowledge over http; no fallback to HTTP/1.1.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
UnixSocket = Annotated[
    Path | None,
    typer.Option(
        "--unix-socket",
        metavar="PATH",
        help="Connect to this socket; the URL still gives the Host header and path.",
        rich_help_panel=_PANEL,
    ),
]
Compressed = Annotated[
    bool,
    typer.Option(
        "--compressed",
        help=f"Accept a compressed answer: {', '.join(SUPPORTED)}.",
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]
Timeout = Annotated[
    str | None,
    typer.Option(
        "--timeout",
        metavar="DURATION",
        help="Give up a stream after this long without a byte, or without content (see --content-timeout). Default: "
        "60s.",
        rich_help_panel=_PANEL,
    ),
]
ContentTimeout = Annotated[
    str | None,
    typer.Option(
        "--content-timeout",
        metavar="DURATION",
        help="Give up a stream after this long without content, even while comments and pings come. Raise it for "
        "models that think in silence. Default: the same as --timeout.",
        rich_help_panel=_PANEL,
    ),
]
NoEndMarker = Annotated[
    bool,
    typer.Option(
        "--no-end-marker",
        help="The streams have no end marker: a body that ends properly is complete, a body that breaks off is not. "
        'The same as end = "close" in a target file.',
        rich_help_panel=_PANEL,
        show_default=False,
    ),
]


@dataclass(frozen=True, kw_only=True)
class RequestOptions:
    """How to ask an endpoint. An option that is given replaces what a target file says."""

    header: Header = None
    body: Body = None
    method: Method = None
    dialect: DialectName = dialects.AUTO
    hub_method: HubMethod = None
    api_key_env: ApiKeyEnv = None
    model: Model = None
    max_tokens: MaxTokens = None
    prompt: Prompt = None
    mock: MockUrl = None
    insecure: Insecure = False
    ca: Ca = None
    cert: Cert = None
    http2: Http2 = False
    unix_socket: UnixSocket = None
    compressed: Compressed = False
    timeout: Timeout = None
    content_timeout: ContentTimeout = None
    no_end_marker: NoEndMarker = False

    def over(self, base: AnyTarget, url: str | None = None) -> AnyTarget:
        """The target with these options over it, ready to be asked. Raises UsageError on what cannot be used."""
        return ready(
            msgspec.structs.replace(
                base,
                url=url or base.url,
                method=(self.method or base.method or "").upper() or None,
                headers={**base.headers, **dict(_header(text) for text in self.header or [])},
                body=_read(self.body) if self.body else base.body,
                dialect=self.dialect if self.dialect != dialects.AUTO else base.dialect,
                signalr=base.signalr if self.hub_method is None else HubTable(self.hub_method),
                model=self.model or base.model,
                max_tokens=self.max_tokens or base.max_tokens,
                prompt=self.prompt or base.prompt,
                api_key_env=self.api_key_env or base.api_key_env,
                mock=self.mock or base.mock,
                insecure=self.insecure or base.insecure,
                ca=str(self.ca) if self.ca else base.ca,
                cert=self.cert or base.cert,
                http2=self.http2 or base.http2,
                unix_socket=str(self.unix_socket) if self.unix_socket else base.unix_socket,
                compressed=self.compressed or base.compressed,
                timeout=self.timeout or base.timeout,
                content_timeout=self.content_timeout or base.content_timeout,
                end=Ends.CLOSE.value if self.no_end_marker else base.end,
            )
        )


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """The options for one endpoint; the command takes its URL as an argument."""

    target_file: TargetFile = None
    request: RequestOptions

    def target(self, url: str | None) -> Target:
        """The target that URL, file and options name together. Raises UsageError on what cannot be used."""
        if self.target_file is None and url is None:
            raise UsageError("no endpoint given", "pass a URL, or --target FILE that holds one")
        return self.request.over(load_target(self.target_file) if self.target_file else Target(url=""), url)


@dataclass(frozen=True, kw_only=True)
class TargetsOptions:
    """The options for any number of endpoints; they apply to each."""

    targets_file: TargetsFile = None
    request: RequestOptions

    def targets(self, urls: Sequence[str] | None) -> list[CheckedTarget]:
        """The targets of the file, then those of the URLs. Raises UsageError on what cannot be used."""
        if self.targets_file is None and not urls:
            raise UsageError("no endpoint given", "pass one URL or more, or --targets FILE that holds them")
        listed = load_targets(self.targets_file) if self.targets_file else []
        given = [self.request.over(CheckedTarget(url=""), url) for url in dict.fromkeys(urls or [])]
        return [self.request.over(target) for target in listed] + given


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or not name.isascii() or not text.isprintable():
        shown = f"{name.strip()}: ***" if colon else "***"  # a value may be a secret, and so may a text without a name
        raise UsageError(f"--header {shown!r} is not a header", "write it as 'Name: value'")
    return name.strip(), value.strip()


def _read(path: Path) -> str:
    try:
        return read_file(path).decode()
    except OSError as error:
        raise UsageError(f"--body {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"--body {path} cannot be read: {error}") from None
