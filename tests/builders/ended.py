"""How a load ended, for tests of something other than its verdict."""


def ended_well(code: int, output: str) -> bool:
    """Whether a load passed, or only this client was too slow: a busy machine makes the figures of a good run INVALID.

    `load` then ends with exit code 3, and the records are complete all the same.
    """
    return code == 0 or (code == 3 and "the figures are INVALID" in output and "this was not the load" not in output)
