"""The grammar of lengths, and what is drawn by it."""

from random import Random
from statistics import fmean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streamgauge.errors import UsageError
from streamgauge.loadgen.prompts.lengths import MOST_TOKENS, Length, Prefixes, parse_length, parse_prefixes


@pytest.mark.parametrize(
    ("text", "length", "shown"),
    [
        ("480", Length("fixed", 480), "480"),
        (" 7 ", Length("fixed", 7), "7"),
        ("N(480,240)", Length("normal", 480, 240), "N(480,240)"),
        ("normal( 480 , 24.5 )", Length("normal", 480, 24.5), "N(480,24.5)"),
        ("u(100,900)", Length("uniform", 100, 900), "U(100,900)"),
        ("lognormal(480,0.5)", Length("lognormal", 480, 0.5), "lognormal(480,0.5)"),
    ],
)
def test_what_is_written_is_read_and_shown_again(text: str, length: Length, shown: str) -> None:
    assert parse_length(text, "--prompt-tokens") == length
    assert str(length) == shown
    assert parse_length(shown, "--prompt-tokens") == length


@pytest.mark.parametrize(
    "text",
    [
        "", "0", "-3", "4.5", "1000001", "٤", "ten", "N(480)", "N(480,0)", "N(480,-1)", "N(,)", "N(480,240", "X(1,2)",
        "U(9,3)", "U(0,3)", "U(1,3,5)", "lognormal(480,11)", "lognormal(480,nan)", "N(480,1e9)", "480*2",
    ],
)  # fmt: skip
def test_what_is_no_length_says_which_option_and_what_to_write(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_length(text, "--output-tokens")
    assert caught.value.message.startswith(f"--output-tokens {text!r}")
    assert "N(480,240)" in (caught.value.hint or "")


@given(st.text(max_size=30))
def test_any_text_is_a_length_or_a_usage_error(text: str) -> None:
    try:
        length = parse_length(text, "--prompt-tokens")
    except UsageError:
        return
    assert 1 <= length.at(0.5) <= MOST_TOKENS


LENGTHS = st.one_of(
    st.builds(Length, st.just("fixed"), st.integers(1, MOST_TOKENS)),
    st.builds(Length, st.just("normal"), st.integers(1, MOST_TOKENS), st.floats(1e-6, MOST_TOKENS)),
    st.builds(Length, st.just("lognormal"), st.integers(1, MOST_TOKENS), st.floats(1e-6, 10)),
    st.tuples(st.integers(1, MOST_TOKENS), st.integers(1, MOST_TOKENS)).map(
        lambda bounds: Length("uniform", min(bounds), max(bounds))
    ),
)


@given(LENGTHS, st.floats(0, 1), st.floats(0, 1))
def test_a_length_is_within_bounds_and_rises_with_its_share(length: Length, one: float, other: float) -> None:
    low, high = length.at(min(one, other)), length.at(max(one, other))
    assert 1 <= low <= high <= MOST_TOKENS
    if length.model == "uniform":
        assert length.first <= low <= high <= length.second


def test_the_distributions_are_those_that_their_names_say() -> None:
    rng = Random(5)
    shares = [rng.random() for _ in range(20_000)]

    normal = [Length("normal", 480, 100).at(u) for u in shares]
    uniform = [Length("uniform", 100, 900).at(u) for u in shares]
    lognormal = [Length("lognormal", 480, 0.5).at(u) for u in shares]
    cut = [Length("normal", 10, 20).at(u) for u in shares]

    assert fmean(normal) == pytest.approx(480, rel=0.01)
    assert sum(380 <= value <= 580 for value in normal) / len(normal) == pytest.approx(0.683, abs=0.015)
    assert (min(uniform), max(uniform)) == (100, 900)
    assert fmean(uniform) == pytest.approx(500, rel=0.02)
    assert median(lognormal) == pytest.approx(480, rel=0.02)
    assert fmean(lognormal) == pytest.approx(480 * 1.1331, rel=0.02)
    assert cut.count(1) < 2 * cut.count(10)  # no pile at the cut


def test_prefixes_are_a_length_and_how_many() -> None:
    assert parse_prefixes("200*4") == Prefixes(200, 4)
    assert parse_prefixes("200") == Prefixes(200, 1)
    for text in ("", "*4", "200*", "200*0", "200*x", "200*4*2", "0*4", "U(1,2)*3"):
        with pytest.raises(UsageError, match="--prefix-tokens"):
            parse_prefixes(text)
