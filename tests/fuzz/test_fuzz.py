"""Each target of `make fuzz` takes its seeds, the kept inputs, and some near them: the same on every run."""

from random import Random

import pytest

from tests.fuzz.corpus import kept
from tests.fuzz.mutate import mutated
from tests.fuzz.targets import TARGETS
from tests.fuzz.targets import target as load


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_takes_its_seeds_the_kept_inputs_and_what_is_near_them(name: str) -> None:
    target = load(name)
    pool, source = [*target.seeds(), *kept(name)], Random(5)
    near = [mutated(source, source.choice(pool), pool, target.words) for _ in range(target.near)]

    for data in [*pool, *near]:
        target.run(data)
