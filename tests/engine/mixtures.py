"""Which settings a case runs with: a few mixtures that cover what the full product would try.

A product of cases, instruction sets, numbers of threads, policies and schedules is thousands of runs that differ in
nothing new. Here every case meets every value of every setting, and the cases of a cell together meet every
combination of values. NMT_TESTS=exhaustive runs the product.
"""

import os
from itertools import product

EXHAUSTIVE = os.environ.get("NMT_TESTS") == "exhaustive"


def mixtures(number, settings, exhaustive=EXHAUSTIVE):
    """Settings for case `number`, a value of each: as many mixtures as the longest of the `settings`, by name, has
    values. From case to case the others turn against it and each other, as the wheels of a counter do."""
    if exhaustive:
        return [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]
    longest = max(settings, key=lambda name: len(settings[name]))
    turns, left = {longest: 0}, number
    for name in (name for name in settings if name != longest):
        left, turns[name] = divmod(left, len(settings[name]))
    return [
        {name: values[(row + turns[name]) % len(values)] for name, values in settings.items()}
        for row in range(len(settings[longest]))
    ]
