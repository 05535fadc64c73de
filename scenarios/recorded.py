"""The user that sends requests as a schedule or a trace has them: their lengths, content, session, and later turns."""

import gevent

from streamgauge.endpoint.client import StreamClient
from streamgauge.loadgen.schedule import Arrival, Follower
from streamgauge.loadgen.traces.request import Request
from streamgauge.scenarios.run import WORKLOAD, is_over
from streamgauge.scenarios.streaming import About, Prepared, StreamingUser
from streamgauge.steady import now_ns
from streamgauge.units import SECOND

WORKLOAD.prepare()  # while this file is imported, before Locust starts any user


class RecordedUser(StreamingUser):
    """`arrive` prepares the request of an arrival; `play` sends it, and then the turns that wait for it."""

    abstract = True

    def arrive(self, arrival: Arrival, intended_ns: int | None = None) -> Prepared:
        """The request of this arrival, or the first one of this session; in an open loop called ahead of its time."""
        recorded = arrival.recorded
        prompt = self.prompts.take(
            arrival.number,
            prompt_tokens=arrival.prompt_tokens,
            output_tokens=arrival.output_tokens,
            recorded=recorded,
        )
        about = _about(recorded, arrival.turn) if recorded is not None else {}
        return self.prepare(prompt, name=str(arrival.number), intended_ns=intended_ns, **about)

    def play(self, client: StreamClient, prepared: Prepared, arrival: Arrival) -> bool:
        """Send the request, and the later turns after their pauses; whether the endpoint refused the last one."""
        begun_ns = now_ns()
        refused = self.ask_and_go_on(client, prepared)
        for follower in arrival.followers:
            gevent.sleep(max(follower.wait_ns(begun_ns, now_ns()), 0) / SECOND)
            if is_over():
                break
            begun_ns = now_ns()
            refused = self.ask_and_go_on(client, self._follow(arrival, follower))
        return refused

    def _follow(self, arrival: Arrival, follower: Follower) -> Prepared:
        """The request of a later turn. It has no intended start: the turn before it decides when it can start."""
        request = follower.request
        name = f"{arrival.number}/{follower.turn}"
        prompt = self.prompts.take(
            arrival.number,
            prompt_tokens=request.prompt_tokens,
            output_tokens=request.output_tokens,
            recorded=request,
        )
        return self.prepare(prompt, name=name, **_about(request, follower.turn))


def _about(request: Request, turn: int) -> About:
    return About(leave=request.leave, session=request.session, turn=turn + 1 if request.session is not None else None)
