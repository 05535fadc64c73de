"""Gives workers on other machines their job, over Locust's own messages. Both ends are here.

A job is settings, by a list of names (loadgen/job.py), and the contents of the files that the settings name. A worker
never opens a path of its master: it would read its own machine's file and send it to the master's endpoint.
"""

import os
import socket
import tempfile
from pathlib import Path
from typing import Any, Final, TypeVar
from uuid import uuid4

import gevent
import msgspec
from locust.exception import RPCError
from locust.rpc.protocol import Message
from locust.runners import MasterRunner

from streamgauge.errors import CannotMeasure, UsageError
from streamgauge.loadgen.job import files_of, for_workers
from streamgauge.loadgen.peer_token import TOKEN_ENV
from streamgauge.protocol.typed import from_value
from streamgauge.scenarios.peer_sockets import WorkerSocket
from streamgauge.version import __version__

MAX_FILE_BYTES: Final = 1024 * 1024 * 1024
"""Largest file that a worker takes from its master."""

_JOB: Final = "streamgauge_job"
_FILE: Final = "streamgauge_file"
_PIECE_BYTES: Final = 256 * 1024
_WAIT_S: Final = 120.0
_JOB_AGAIN_S: Final = 1.0  # a master that has just opened its port drops messages that it cannot handle yet
_FILE_AGAIN_S: Final = 30.0  # a piece may be under way on a slow line


class Job(msgspec.Struct):
    """The settings of a worker, and the version of the master that sent them."""

    version: str
    settings: dict[str, str]


class _Place(msgspec.Struct):
    """A place in a file: the file's role in the job, and an offset in bytes."""

    role: str
    offset: int


class _Piece(msgspec.Struct):
    """The bytes of a file from a place on; none at its end."""

    role: str
    offset: int
    data: bytes


Answer = TypeVar("Answer", Job, _Piece)


class JobGiver:
    """The master's end."""

    def __init__(self, runner: MasterRunner) -> None:
        self._runner = runner
        self._files = files_of(os.environ)
        runner.register_message(_JOB, self._give_job)
        runner.register_message(_FILE, self._give_piece)

    def _give_job(self, msg: Any, **_: Any) -> None:
        self._answer(msg.node_id, _JOB, Job(__version__, for_workers(os.environ)))

    def _give_piece(self, msg: Any, **_: Any) -> None:
        place = from_value(msg.data, _Place)
        with self._files[place.role].open("rb") as file:
            file.seek(place.offset)
            self._answer(msg.node_id, _FILE, _Piece(place.role, place.offset, file.read(_PIECE_BYTES)))

    def _answer(self, worker: str, kind: str, answer: Job | _Piece) -> None:
        self._runner.send_message(kind, msgspec.to_builtins(answer, builtin_types=(bytes,)), client_id=worker)
        # Locust gives every sender a worker index, also to one that only asks for its job. Take the index back: load is
        # split by index, so a gap would lose a share of it.
        if self._runner.worker_indexes.pop(worker, None) is not None:
            self._runner.worker_index_max -= 1


class JobTaker:
    """The worker's end, before it starts Locust."""

    def __init__(self, host: str, port: int) -> None:
        """Raises UsageError when the address cannot be used."""
        self._place = f"{host}:{port}"
        self._name = f"{socket.gethostname()}_{uuid4().hex}"
        try:
            socket.getaddrinfo(host, port)  # zmq would retry an unknown name without end
        except OSError as error:
            raise UsageError(f"--worker: the host name {host!r} cannot be resolved: {error.strerror}") from None
        try:
            self._socket = WorkerSocket(host, port, self._name, watched=True)
        except (RPCError, OSError) as error:
            raise UsageError(f"cannot connect to {self._place}: {error}", "write --worker HOST or HOST:PORT") from None

    def job(self) -> Job:
        """The master's job. Raises CannotMeasure when no master answers, and UsageError when it has another token."""
        return self._ask(_JOB, None, Job, again_s=_JOB_AGAIN_S)

    def copy(self, role: str) -> Path:
        """A copy of a file of the job. It has no name on disk, and goes when the processes that read it have ended.

        Raises as `job` does, and UsageError when the file is too large.
        """
        with tempfile.TemporaryFile() as file:
            while data := self._piece(role, file.tell()):
                file.write(data)
                if file.tell() > MAX_FILE_BYTES:
                    raise UsageError(f"the master's {role} file is larger than {MAX_FILE_BYTES:,} bytes", "cut it")
            file.flush()
            kept = os.dup(file.fileno())
        os.set_inheritable(kept, True)  # for the Locust that takes the place of this process
        return Path(f"/dev/fd/{kept}")

    def close(self) -> None:
        self._socket.close(linger=0)  # type: ignore[no-untyped-call]

    def _piece(self, role: str, offset: int) -> bytes:
        while True:
            place = msgspec.to_builtins(_Place(role, offset))
            piece = self._ask(_FILE, place, _Piece, again_s=_FILE_AGAIN_S)
            if (piece.role, piece.offset) == (role, offset):  # else it answers an earlier question again
                return piece.data

    def _ask(self, kind: str, question: Any, answer: type[Answer], *, again_s: float) -> Answer:
        with gevent.Timeout(_WAIT_S, False):
            while True:
                if self._socket.was_refused():
                    raise UsageError(
                        f"{self._place} refuses the connection: no master with this worker's token listens there",
                        f"set {TOKEN_ENV} to the token of that master; the same version must be installed on both",
                    )
                self._socket.send(Message(kind, question, self._name))  # type: ignore[no-untyped-call]
                with gevent.Timeout(again_s, False):
                    return self._receive(kind, answer)
        raise CannotMeasure(
            f"no master answered at {self._place} within {_WAIT_S:.0f} s",
            "start `streamgauge load URL --master --bind 0.0.0.0` there, and see that the port is open",
        )

    def _receive(self, kind: str, answer: type[Answer]) -> Answer:
        while True:
            message = self._socket.recv()  # type: ignore[no-untyped-call]
            if message.type == kind:
                try:
                    return from_value(message.data, answer)
                except msgspec.ValidationError as error:
                    raise UsageError(
                        f"the master's answer cannot be read: {error}", "is it a streamgauge master?"
                    ) from None
