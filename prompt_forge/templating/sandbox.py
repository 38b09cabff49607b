"""Where templates run: Jinja's sandbox, with loops that end."""

from collections.abc import Callable

import jinja2
from jinja2.sandbox import SandboxedEnvironment

MAX_STEPS = 10_000
"""Numbers that the ranges of one rendering may hold in all; the sandbox bounds each range, not loops within loops."""

ENVIRONMENT = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=False)


def bounded_range() -> Callable[..., range]:
    """`range` for one rendering. A loop over a list that a template makes itself is its author's own affair."""
    left = MAX_STEPS

    def bounded(*limits: int) -> range:
        nonlocal left
        numbers = range(*limits)
        left -= len(numbers)
        if left < 0:
            raise OverflowError(f"its ranges are longer than {MAX_STEPS} numbers in all")
        return numbers

    return bounded
