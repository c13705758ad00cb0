"""The stages: one module each, whose ``run`` takes a `Bench` and yields what it finds (`bench.stage`)."""

from pkgutil import iter_modules

DEFAULT = (
    "throughput first_delta memory overlap fairness cancellation edge_cost scaling loop_hold live"
).split()
"""Run where none is named, in this order; the page has a place for each."""

NAMES = sorted(module.name for module in iter_modules(__path__))
