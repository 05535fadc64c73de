"""A probe as a load, and a finished load as the observation of a point."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from streamgauge.capacity.axis import Axis
from streamgauge.capacity.client import Trouble
from streamgauge.capacity.measure import Conditions, hopeless, load_plan, observed, sizes_of, was_interrupted
from streamgauge.capacity.objective import objectives
from streamgauge.capacity.point import Verdict, judge
from streamgauge.capacity.probe import Probe, Purpose
from streamgauge.endpoint.target import Target
from streamgauge.loadgen.model import workload_from
from streamgauge.loadgen.result import Ended, LoadResult
from streamgauge.metrics.summary import Totals, Window
from streamgauge.metrics.validity import ClientEvidence, Validity, disturbed, validity
from streamgauge.protocol.outcome import Outcome
from streamgauge.protocol.record import StreamRecord
from streamgauge.units import MS, SECOND
from tests.builders.made import made
from tests.builders.tapes import START_NS
from tests.reports.report_builders import manifest, write_streams

SLOS = objectives(["ttft p95 < 500ms", "itl p95 < 50ms"])
CONDITIONS = Conditions(
    target=Target(url="http://127.0.0.1:9/v1/chat/completions"),
    objectives=SLOS,
    confidence=0.95,
    prompts={"output_tokens": "20"},
    nonce=True,
    processes=4,
    replica_header="x-replica",
)
PROBE = Probe(axis=Axis.USERS, load=3, seconds=10, warmup_s=1.5, seed=7, purpose=Purpose.DOUBLE)


class TestLoad:
    def test_users_are_a_closed_loop_of_no_more_processes_than_users(self, tmp_path: Path) -> None:
        workload = load_plan(PROBE, CONDITIONS, tmp_path).workload

        assert (workload.users, workload.rate, workload.processes, workload.seed) == (3, None, 3, 7)
        assert (workload.length_ns, workload.warmup_ns) == (round(11.5 * SECOND), round(1.5 * SECOND))
        assert (workload.replica_header, workload.replica_address) == ("x-replica", False)
        assert load_plan(PROBE, CONDITIONS._replace(replica_address=True), tmp_path).workload.replica_address

    def test_a_rate_is_an_open_loop(self, tmp_path: Path) -> None:
        probe = msgspec.structs.replace(PROBE, axis=Axis.RATE, load=12.5)
        workload = load_plan(probe, CONDITIONS._replace(processes=1), tmp_path).workload

        assert workload.rate is not None
        assert workload.rate.per_s == 12.5

    def test_sessions_are_users_who_each_play_one_conversation_after_the_other(self, tmp_path: Path) -> None:
        trace = tmp_path / "chats.jsonl"
        rows = ((session, turn) for session in "ab" for turn in range(3))
        trace.write_text(
            "".join(
                f'{{"timestamp": {turn}, "session_id": "{session}", "prompt_tokens": {100 * turn + 50}, '
                '"output_tokens": 20}\n'
                for session, turn in rows
            )
        )
        conditions = CONDITIONS._replace(trace={"replay": trace})
        probe = msgspec.structs.replace(PROBE, axis=Axis.SESSIONS)
        plan = load_plan(probe, conditions, tmp_path)

        assert (plan.workload.users, plan.workload.by_users, plan.workload.is_open) == (3, True, False)
        assert plan.locustfiles[0].stem == "sessions"
        played = workload_from(users=1, replay=trace)
        sizes = sizes_of(CONDITIONS.target, {}, played, unique=True)
        assert (sizes.prompt, sizes.output, sizes.understood) == (150, 20, played.understood)

    def test_what_a_stream_asks_for_is_known_before_the_first_one(self) -> None:
        prompts = {"prompt_tokens": "480", "output_tokens": "U(100,200)"}
        sizes = sizes_of(CONDITIONS.target, prompts, None, unique=False)
        assert sizes.prompt == 480
        assert sizes.output == pytest.approx(150, abs=10)
        limited = msgspec.structs.replace(CONDITIONS.target, max_tokens=64)
        assert sizes_of(limited, {}, None, unique=False).output == 64

    def test_two_probes_with_one_seed_have_the_same_lengths_and_different_words(self, tmp_path: Path) -> None:
        """Common random numbers, although no cache may answer the second of them."""
        first, second = (load_plan(PROBE, CONDITIONS, tmp_path).prompts for _ in range(2))

        assert [first.take(n).output_tokens for n in range(5)] == [second.take(n).output_tokens for n in range(5)]
        assert first.take(0).text != second.take(0).text

    def test_a_load_that_is_far_too_large_ends_early(self) -> None:
        assert [str(rule) for rule in hopeless(SLOS)] == [
            "error_rate > 50% for 5s", "ttft p95 > 2500ms for 5s", "itl p95 > 250ms for 5s",
        ]  # fmt: skip


def result(
    directory: Path,
    records: list[StreamRecord],
    ended: Ended | None = None,
    conditions: Conditions = CONDITIONS,
    client: Validity | None = None,
    **changes: Any,
) -> LoadResult:
    slos = [objective.condition for objective in conditions.objectives]
    totals = Totals(slos, window=Window(START_NS, START_NS + 100 * SECOND))
    for record in records:
        totals.add(record)
    write_streams(directory, records)
    summary = msgspec.structs.replace(totals.summary(), validity=client or Validity("VALID", "the rule", ["no limit"]))
    return LoadResult(directory, manifest(summary, **changes), totals, ended or Ended())


def streams(count: int, *token_ms: float, **more: Any) -> list[StreamRecord]:
    return [made(*token_ms, start_ms=1_000 * n, **more) for n in range(count)]


class TestObservation:
    def test_streams_are_counted_by_how_they_ended(self, tmp_path: Path) -> None:
        records = [
            *streams(80, 100, 120, 140),
            msgspec.structs.replace(made(outcome=Outcome.HTTP_ERROR, start_ms=1), status=429),
            msgspec.structs.replace(made(outcome=Outcome.HTTP_ERROR, start_ms=2), status=500),
            made(100, 120, outcome=Outcome.TRUNCATED, start_ms=3),
            made(100, outcome=Outcome.INCOMPLETE, start_ms=4),
        ]
        seen = observed(PROBE, CONDITIONS, result(tmp_path, records))

        assert (seen.ok, seen.refused, seen.broken, seen.cut) == (80, 1, 2, 1)
        assert seen.streams_per_s == pytest.approx(0.8)
        assert seen.output_tokens == 80 * 3 + 3
        assert [(figure.misses, figure.total) for figure in seen.figures] == [(0, 82), (0, 161), (3, 83)]

    def test_a_stream_that_was_cut_while_it_waited_beyond_the_limit_has_missed_it(self, tmp_path: Path) -> None:
        records = [
            *streams(60, 100, 120),
            *(made(outcome=Outcome.INCOMPLETE, start_ms=1_000 * n, closed_ms=600) for n in range(5)),
            *(made(outcome=Outcome.INCOMPLETE, start_ms=1_000 * n, closed_ms=400) for n in range(5)),
        ]
        figure = observed(PROBE, CONDITIONS, result(tmp_path, records)).figures[0]

        assert (figure.misses, figure.total) == (5, 65)

    def test_gaps_above_the_limit_are_counted_stream_by_stream(self, tmp_path: Path) -> None:
        records = [*streams(60, 100, 120, 140), *streams(20, 100, 200, 300)]
        seen = observed(PROBE, CONDITIONS, result(tmp_path, records))
        figure = seen.figures[1]

        assert (figure.misses, figure.total) == (40, 160)
        assert figure.value == pytest.approx(100 * MS, rel=0.01)
        assert seen.figures[1].slo in judge(PROBE, seen).missed

    def test_an_objective_for_a_class_is_decided_by_the_streams_of_the_class(self, tmp_path: Path) -> None:
        slos = [
            "ttft p95 < 500ms where prompt <= 1k",
            "error_rate < 5% where prompt > 1k",
            "itl p95 < 50ms where turn > 1",
        ]
        records = [
            *(msgspec.structs.replace(record, asked_prompt_tokens=100) for record in streams(60, 100, 120, 140)),
            *(msgspec.structs.replace(record, asked_prompt_tokens=9_000) for record in streams(40, 900, 920, 940)),
        ]
        conditions = CONDITIONS._replace(objectives=objectives(slos))
        seen = observed(PROBE, conditions, result(tmp_path, records, conditions=conditions))

        assert [(figure.misses, figure.total) for figure in seen.figures] == [(0, 60), (0, 40), (0, 0)]
        assert seen.figures[0].value == 100 * MS

    @pytest.mark.parametrize(
        ("ended", "faults", "says"),
        [
            (Ended(interrupted=True), [], "interrupted by the user"),
            (Ended(), ["Locust was killed"], "the load was not the planned one: Locust was killed"),
        ],
    )
    def test_a_load_that_was_not_the_planned_one_decides_nothing(
        self, tmp_path: Path, ended: Ended, faults: list[str], says: str
    ) -> None:
        seen = observed(PROBE, CONDITIONS, result(tmp_path, streams(80, 900, 920), ended, faults=faults))

        assert seen.unusable == says
        assert was_interrupted(seen) is ended.interrupted
        assert judge(PROBE, seen).verdict is Verdict.UNDECIDED

    def test_a_client_decides_nothing_only_where_an_objective_rests_on_what_it_may_have_distorted(
        self, tmp_path: Path
    ) -> None:
        late = validity(ClientEvidence(itl_bound_p99=60.0), tokens=True)
        loaded = result(tmp_path, streams(80, 100, 120), client=late)
        on_ttft = CONDITIONS._replace(objectives=objectives(["ttft p95 < 500ms"]))

        point = judge(PROBE, observed(PROBE, on_ttft, loaded))
        assert (point.verdict, point.observation.client, point.observation.troubles) == (Verdict.PASS, "VALID", [])
        point = judge(PROBE, observed(PROBE, CONDITIONS, loaded))
        assert (point.verdict, point.client_limited) == (Verdict.UNDECIDED, True)
        assert "doubtful for itl p95 < 50ms: INVALID, ITL error bound p99 is 60.00 ms" in point.reason
        assert point.observation.troubles == [Trouble.IDLE]
        busy = validity(ClientEvidence(busiest_core=0.95), tokens=True)
        point = judge(PROBE, observed(PROBE, on_ttft, result(tmp_path, streams(80, 100, 120), client=busy)))
        assert (point.verdict, point.client_limited) == (Verdict.UNDECIDED, True)

    def test_an_error_bound_that_every_stream_was_weighed_with_is_no_further_doubt(self, tmp_path: Path) -> None:
        bound = validity(ClientEvidence(ttft_bound_p99=8.0), tokens=True)
        on_ttft = CONDITIONS._replace(objectives=objectives(["ttft p95 < 500ms"]))
        on_share = CONDITIONS._replace(objectives=objectives(["ttft p95 < 500ms", "goodput > 90%"]))
        loaded = result(tmp_path, streams(80, 100, 120), client=bound)

        assert bound.verdict == "SUSPECT"
        assert judge(PROBE, observed(PROBE, on_ttft, loaded)).verdict is Verdict.PASS
        assert "doubtful for goodput" in judge(PROBE, observed(PROBE, on_share, loaded)).reason
        far = validity(ClientEvidence(ttft_bound_p99=80.0), tokens=True)
        point = judge(PROBE, observed(PROBE, on_ttft, result(tmp_path, streams(80, 100, 120), client=far)))
        assert point.client_limited

    @pytest.mark.parametrize("ttft_ms", [100, 900])
    def test_users_who_began_late_make_a_load_smaller_so_a_failure_stands(self, tmp_path: Path, ttft_ms: int) -> None:
        late = validity(ClientEvidence(loop_late_p99=200.0), tokens=True)
        on_ttft = CONDITIONS._replace(objectives=objectives(["ttft p95 < 500ms"]))
        loaded = result(tmp_path, streams(80, ttft_ms, ttft_ms + 20), client=late)
        seen = observed(PROBE, on_ttft, loaded)
        assert seen.in_flight is not None
        few = msgspec.structs.replace(PROBE, load=2 * seen.in_flight)
        whole = msgspec.structs.replace(PROBE, load=seen.in_flight)

        passes = ttft_ms < 500
        assert judge(whole, seen).verdict is (Verdict.PASS if passes else Verdict.FAIL)
        assert judge(few, seen).verdict is (Verdict.UNDECIDED if passes else Verdict.FAIL)
        assert judge(few, seen).client_limited is passes
        by_rate = msgspec.structs.replace(PROBE, axis=Axis.RATE)
        assert judge(by_rate, observed(by_rate, on_ttft, loaded)).client_limited

    def test_streams_for_which_this_machine_had_no_means_are_a_limit_of_the_client(self, tmp_path: Path) -> None:
        unmade = msgspec.structs.replace(made(outcome=Outcome.CLIENT_LIMIT), detail="Too many open files")
        records = [*streams(80, 100, 120), unmade]
        fault = "1 stream of the load could not be asked for: Too many open files"
        loaded = result(tmp_path, records, client=disturbed(Validity("VALID", "rule", []), [fault]), faults=[fault])
        point = judge(PROBE, observed(PROBE, CONDITIONS, loaded))

        assert (point.client_limited, point.observation.unusable) == (True, None)
        assert point.observation.troubles == [Trouble.MEANS]

    def test_the_replicas_that_answered_are_counted(self, tmp_path: Path) -> None:
        records = [
            msgspec.structs.replace(one, replica="ab"[n % 4 == 0]) for n, one in enumerate(streams(80, 100, 120))
        ]
        assert observed(PROBE, CONDITIONS, result(tmp_path, records)).replicas == {"a": 60, "b": 20}
