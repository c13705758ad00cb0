"""Looks at servers again and again, and shows what is seen."""

import json
import math
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.live import Live

from gateway.cli.top_reading import Reading, read
from gateway.cli.top_screen import picture
from gateway.cli.top_view import View, view


class Looks:
    """What was read of each server within the window.

    Args:
        window: Seconds.
    """

    def __init__(self, servers: Sequence[str], key: str | None, *, window: float) -> None:
        self._servers = servers
        self._key = key
        self._window = window
        self._read = [deque[Reading]() for _ in servers]

    def look(self) -> list[View]:
        """Asks all of them at the same time."""
        with ThreadPoolExecutor(max_workers=min(16, len(self._servers))) as threads:
            readings = threads.map(lambda server: read(server, self._key), self._servers)
            return [self._add(known, now) for known, now in zip(self._read, readings, strict=True)]

    def _add(self, known: deque[Reading], now: Reading) -> View:
        if now.error is not None:
            known.clear()
            return view(now)
        while len(known) > 1 and now.at - known[1].at >= self._window:
            known.popleft()
        seen = view(now, known[0] if known else None)
        known.append(now)
        return seen


def watch(looks: Looks, *, interval: float | None, as_json: bool) -> list[str]:
    """Shows them until Ctrl-C; without an interval once.

    Returns:
        Of a single look, which servers could not be asked, and why.
    """
    if interval is None:
        views = looks.look()
        if as_json:
            _print_json(views)
        else:
            Console(highlight=False).print(picture(views))
        return [f"{seen.url}: {seen.error}" for seen in views if seen.error is not None]
    with suppress(KeyboardInterrupt):
        if as_json:
            while True:
                _print_json(looks.look())
                time.sleep(interval)
        with Live(
            picture(looks.look()), console=Console(highlight=False), screen=True, auto_refresh=False
        ) as live:
            while True:
                time.sleep(interval)
                live.update(picture(looks.look()), refresh=True)
    return []


def _print_json(views: Sequence[View]) -> None:
    typer.echo(json.dumps({"servers": [_finite(asdict(each)) for each in views]}))


def _finite(value: Any) -> Any:
    """JSON has no infinity: what is beyond the last bucket is null, though its count is not 0."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
