"""Locust's sockets between master and workers, encrypted and closed to every process that does not know the token.

CurveZMQ (https://rfc.zeromq.org/spec/26/) does the work below Locust, so it covers Locust's own messages as well as
ours. The master's key pair is derived from the token, and its public half is never published. A peer needs this half
for its first command, and the master needs the secret half to answer. So each end proves that it knows the token. A
peer without the token is disconnected before Locust or this program reads a byte of it.
"""

import os
from functools import cache
from typing import Any, Final, NamedTuple

import zmq.green as zmq
from locust.exception import RPCError, RPCReceiveError
from locust.rpc import zmqrpc
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from streamgauge.errors import UsageError
from streamgauge.loadgen.job import SHIP_ENV
from streamgauge.loadgen.peer_token import TOKEN_ENV, check_token, master_key
from streamgauge.scenarios.worker_messages import needed

MAX_PEERS: Final = 4096
"""The most peers of one master. A worker counts as two, because it asks for its job under a name of its own."""
MAX_MESSAGE_BYTES: Final = 512 * 1024
"""The largest message. A peer that has not proven the token can make this process hold so many bytes."""

_HANDSHAKE_MS: Final = 2_000  # a connection that has not proven the token by then is closed
_REFUSALS: Final = (
    3  # after so many failed handshakes the master refuses us; one that breaks the protocol counts as all
)
_FAILED: Final = (
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
)


class _Keys(NamedTuple):
    """The master's key pair, in the text form of ZeroMQ (Z85)."""

    secret: bytes
    public: bytes


@cache
def _master_keys() -> _Keys:
    secret = z85.encode(master_key(os.environ[TOKEN_ENV]))
    return _Keys(secret, zmq.curve_public(secret))


class MasterSocket(zmqrpc.Server):
    """The master's end."""

    def __init__(self, host: str, port: int) -> None:
        zmqrpc.BaseSocket.__init__(self, zmq.ROUTER, self.ipv4_only(host, port))  # type: ignore[no-untyped-call]
        _bound(self.socket)
        self.socket.curve_server = True
        self.socket.curve_secretkey = _master_keys().secret
        self._peers: set[str] = set()
        self._take = needed if os.environ.get(SHIP_ENV) else lambda message: message
        self.port = port
        try:
            self.socket.bind(f"tcp://{host}:{port}")
        except zmq.ZMQError as error:
            raise RPCError(f"Socket bind failure: {error}") from error

    def recv_from_client(self) -> tuple[str, Any]:
        """The next message that Locust needs, of a worker that speaks for itself.

        Raises RPCReceiveError on bytes that are not a message.
        """
        while True:
            try:
                address, message = super().recv_from_client()  # type: ignore[no-untyped-call]
            except RPCError:
                raise
            except Exception as error:  # msgpack's many: any of them would end the greenlet that listens
                raise RPCReceiveError(f"not a message of Locust: {type(error).__name__}") from error
            # Locust believes the name inside a message: a peer could speak in the name of another.
            is_genuine = isinstance(message.type, str) and message.node_id == address
            if is_genuine and self._has_room_for(address) and (taken := self._take(message)):
                return address, taken

    def _has_room_for(self, address: str) -> bool:
        if len(self._peers) < MAX_PEERS:
            self._peers.add(address)
        return address in self._peers


class WorkerSocket(zmqrpc.Client):
    """A worker's end. One that is `watched` can tell whether the master refuses it."""

    def __init__(self, host: str, port: int, identity: str, *, watched: bool = False) -> None:
        zmqrpc.BaseSocket.__init__(self, zmq.DEALER, self.ipv4_only(host, port))  # type: ignore[no-untyped-call]
        _bound(self.socket)
        self.socket.curve_publickey, self.socket.curve_secretkey = zmq.curve_keypair()
        self.socket.curve_serverkey = _master_keys().public
        self.socket.identity = identity.encode()
        self._failures = self.socket.get_monitor_socket(_FAILED) if watched else None
        self._refusals = 0
        self.socket.connect(f"tcp://{host}:{port}")

    def was_refused(self) -> bool:
        """Whether the other end listens, but does not know the token or does not speak this protocol."""
        while self._failures is not None and self._failures.poll(0):
            event = recv_monitor_message(self._failures)["event"]
            self._refusals += _REFUSALS if event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL else 1
        return self._refusals >= _REFUSALS


def _bound(socket: Any) -> None:
    socket.handshake_ivl = _HANDSHAKE_MS
    socket.maxmsgsize = MAX_MESSAGE_BYTES


def secure() -> None:
    """Make Locust use these sockets when this process has a token. Plain Locust without a token stays as it is."""
    token = os.environ.get(TOKEN_ENV)
    if not token:
        return
    try:
        check_token(token)
    except UsageError as error:
        raise SystemExit(f"{TOKEN_ENV}: {error}") from None
    # Locust has no option for its socket classes, so their names in its module are replaced.
    zmqrpc.Server = MasterSocket  # type: ignore[misc]
    zmqrpc.Client = WorkerSocket  # type: ignore[misc]
