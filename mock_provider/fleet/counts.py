"""What a replica counts: its requests, its tokens, and how long they took."""

from collections.abc import Iterable, Iterator

# Upper bounds of histograms, in seconds: those of vLLM's `request_queue_time_seconds`.
BOUNDS_S = (0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0)


class Histogram:
    """Durations by BOUNDS_S."""

    def __init__(self) -> None:
        self.sum_ns = self.count = 0
        self._counts = [0] * len(BOUNDS_S)  # without those above the last bound

    def add(self, duration_ns: int) -> None:
        """Count a duration."""
        self.sum_ns += duration_ns
        self.count += 1
        for index, bound_s in enumerate(BOUNDS_S):
            if duration_ns <= bound_s * 1e9:
                self._counts[index] += 1
                return

    def cumulated(self) -> Iterator[tuple[str, int]]:
        """Each upper bound and the number of durations up to it."""
        total = 0
        for bound_s, count in zip(BOUNDS_S, self._counts, strict=True):
            total += count
            yield str(bound_s), total
        yield "+Inf", self.count

    def copy(self) -> "Histogram":
        """The same durations."""
        return Histogram.sum((self,))

    @staticmethod
    def sum(parts: "Iterable[Histogram]") -> "Histogram":
        """The durations of all parts."""
        whole = Histogram()
        for part in parts:
            whole.sum_ns += part.sum_ns
            whole.count += part.count
            whole._counts = [sum(pair) for pair in zip(whole._counts, part._counts, strict=True)]
        return whole


class Counts:
    """What a replica has done since its start."""

    def __init__(self) -> None:
        self.streams = 0  # that were admitted
        self.refused = 0
        self.timed_out = 0  # in the queue
        self.completed = 0
        self.aborted = 0  # by the client, or by a fault
        self.cold_starts = 0  # streams that began later because the replica was cold
        self.prompt_tokens = 0
        self.cached_tokens = 0
        self.tokens = 0  # of streams that have ended
        self.completed_tokens = 0  # of those that were completed
