"""Where a decode's time goes: a model whose calls are timed."""

from __future__ import annotations

import threading
from collections import defaultdict
from time import perf_counter
from typing import Any

STAGES = {"encode": "encode", "detect_language": "language", "generate": "search", "align": "align"}
"""By the model's method; a search with a penalty on repetition is a retry."""


class Stopwatch:
    """A `ctranslate2.models.Whisper`; counts its calls by stage, on the clock, those of each thread alone."""

    def __init__(self, model: Any) -> None:
        """Takes the model; all else is passed on to it."""
        self._model = model
        self._threads = threading.local()

    @property
    def seconds(self) -> defaultdict[str, float]:
        """Of this thread's calls, by stage."""
        if not hasattr(self._threads, "seconds"):
            self._threads.seconds = defaultdict(float)
        seconds: defaultdict[str, float] = self._threads.seconds
        return seconds

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._model, name)
        if name not in STAGES:
            return method

        def timed(*args: Any, **how: Any) -> Any:
            begin = perf_counter()
            try:
                return method(*args, **how)
            finally:
                stage = "retry" if "repetition_penalty" in how else STAGES[name]
                self.seconds[stage] += perf_counter() - begin

        return timed
