"""Each target of `make fuzz` takes its seeds and some hundred inputs near them, the same on every run."""

from random import Random

import pytest

from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS, seeds

INPUTS = {"judgement": 120}


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds_and_what_is_near_them(name: str) -> None:
    pool, source = seeds(name), Random(5)
    near = [mutated(source, source.choice(pool), pool) for _ in range(INPUTS.get(name, 500))]

    for data in [*pool, *near]:
        TARGETS[name](data)
