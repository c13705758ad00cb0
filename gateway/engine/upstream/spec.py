"""The recipe for a model that somebody else serves."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.engine.api import DecodeOptions, Device, ReplicaOptions

if TYPE_CHECKING:
    from gateway.engine.upstream.replica import UpstreamReplica

LANES = 16
"""Rows that one upstream has at the same time, where nobody says how many."""

URL = "UPSTREAM_URL"
"""Places a replica at one of the URLs."""


@dataclass(frozen=True, slots=True)
class UpstreamSpec:
    """A model behind an OpenAI-compatible endpoint; each URL has a replica, and all share the queue.

    Attributes:
        urls: As ``https://host/v1``.
        model: Its name there; None: the only one that the upstream has.
        key: Sent as bearer token; empty for none.
        timeout: Seconds for a row, all tries together.
    """

    name: str
    urls: tuple[str, ...]
    model: str | None = None
    key: str = field(default="", repr=False)
    timeout: float = 60.0
    lanes: int = LANES
    max_batch: int = 1
    memory_bytes: int = 0
    express: bool = False
    device: Device = "cpu"

    @property
    def places(self) -> Sequence[Mapping[str, str]]:
        """A replica for each URL."""
        return [{URL: url} for url in self.urls]

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """Whatever it is: a call has one row."""
        del options
        return None

    def replica(self, environment: Mapping[str, str], options: ReplicaOptions) -> "UpstreamReplica":
        """One that is not asked yet, at the URL that the environment names."""
        del options
        from gateway.engine.upstream.client import Client  # noqa: PLC0415 - an HTTP library, if wanted
        from gateway.engine.upstream.replica import UpstreamReplica  # noqa: PLC0415

        url = environment[URL]
        # One connection more: rows do not keep it from being asked whether it is there.
        client = Client(url, self.key, timeout=self.timeout, connections=self.lanes + 1)
        return UpstreamReplica(client, url, self.model)
