"""What `gateway top` reads of a server, and what it makes of two readings: sans-I/O but for `read`."""

import http.client
import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS = 5.0

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Reading:
    """A server at one time.

    Attributes:
        at: Seconds, monotonic.
        samples: By name and labels.
        health: The answer of ``/health``.
        error: Why there is nothing else; for the reader.
    """

    url: str
    at: float
    samples: Mapping[tuple[str, Labels], float] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None

    def total(self, name: str, **labels: str) -> float:
        """The sum of what has these labels."""
        return sum(value for _, value in self._with(name, labels))

    def highest(self, name: str) -> float:
        """The highest of them."""
        return max((value for _, value in self._with(name, {})), default=0.0)

    def by(self, name: str, label: str) -> dict[str, float]:
        """The sums for each value of the label."""
        sums: dict[str, float] = {}
        for labels, value in self._with(name, {}):
            key = labels.get(label, "")
            sums[key] = sums.get(key, 0.0) + value
        return sums

    def buckets(self, name: str, **labels: str) -> dict[float, float]:
        """A histogram's, cumulative, by their upper bounds."""
        sums: dict[float, float] = {}
        for found, value in self._with(f"{name}_bucket", labels):
            bound = float(found["le"])
            sums[bound] = sums.get(bound, 0.0) + value
        return sums

    def _with(self, name: str, labels: Mapping[str, str]) -> Iterable[tuple[dict[str, str], float]]:
        for (known, pairs), value in self.samples.items():
            if known == name and labels.items() <= pairs:
                yield dict(pairs), value


def address(given: str) -> str:
    """The server's base, as people write it: with or without a scheme, or what OpenAI's clients have."""
    url = (given if "://" in given else f"http://{given}").rstrip("/")
    return url.removesuffix("/v1")


def parse(url: str, at: float, metrics: str, health: str) -> Reading:
    """What the two answers say; one that is none of ours is an error."""
    try:
        samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(metrics)
            for sample in family.samples
        }
        told = json.loads(health)
    except ValueError:
        samples, told = {}, None
    if not isinstance(told, dict) or not any(name == "gateway_info" for name, _ in samples):
        return Reading(url, at, error="what answers there is not a gateway, or an older one")
    return Reading(url, at, samples, told)


def read(given: str, key: str | None) -> Reading:
    """Asks a server, and waits for `TIMEOUT_SECONDS` at most for each answer."""
    url, at = address(given), time.monotonic()
    try:
        metrics, health = (_get(f"{url}/{path}", key) for path in ("metrics", "health"))
    except urllib.error.HTTPError as error:
        with error:
            hint = ": it asks for a key (--api-key)" if error.code in {401, 403} else ""
            return Reading(url, at, error=f"it answers {error.code}{hint}")
    except urllib.error.URLError as error:
        return Reading(url, at, error=_plainly(error.reason, url))
    except (OSError, ValueError, http.client.HTTPException) as error:
        return Reading(url, at, error=_plainly(error, url))
    return parse(url, at, metrics, health)


def _get(url: str, key: str | None) -> str:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise ValueError("an address begins with http:// or https://")
    request = urllib.request.Request(url)  # noqa: S310 - looked at just before
    if key:
        request.add_header("Authorization", f"Bearer {key}")
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the same
        body: bytes = answer.read()
    return body.decode(errors="replace")


def _plainly(reason: object, url: str) -> str:
    match reason:
        case ConnectionRefusedError():
            return "nothing listens there"
        case TimeoutError():
            return f"it does not answer within {TIMEOUT_SECONDS:g} s"
        case ssl.SSLError():
            return f"its certificate is not accepted, or it speaks no {urlsplit(url).scheme}: {reason.reason}"
        case OSError(strerror=str(text)):
            return text.lower()
    return str(reason) or type(reason).__name__


def quantile(share: float, buckets: Mapping[float, float]) -> float | None:
    """As Prometheus reckons it; infinite beyond the last bound, None where nothing was counted."""
    bounds = sorted(buckets)
    if not bounds or not (count := buckets[bounds[-1]]) > 0:
        return None
    wanted, lower, below = share * count, 0.0, 0.0
    for bound in bounds:
        if buckets[bound] >= wanted:
            inside = buckets[bound] - below
            if bound == float("inf"):
                return bound
            return lower + (bound - lower) * ((wanted - below) / inside if inside else 1.0)
        lower, below = bound, buckets[bound]
    return None


def since(now: Mapping[Any, float], before: Mapping[Any, float]) -> dict[Any, float]:
    """What counters grew by; a server that began anew has counted all of it since."""
    if any(value < before.get(key, 0.0) for key, value in now.items()):
        before = {}
    return {key: value - before.get(key, 0.0) for key, value in now.items()}
