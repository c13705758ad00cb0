"""The recipe of an engine whose replicas are a Ray cluster's, as the batcher knows it."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.engine.api import DecodeOptions, Device, Engine, EngineSpec, ReplicaOptions
from gateway.engine.ray.messages import Offer, Placement, Recipe
from gateway.engine.ray.pool import Pool
from gateway.engine.ray.replica import RayReplica


@dataclass(eq=False)
class RaySpec:
    """An engine on the cluster that this process has joined.

    Attributes:
        engine: What it is, as if it were here.
        load: Called on a node: finds the weights there and loads them.
        revision: Where gateways disagree about the model, the highest one's is served by all.
        silence: Seconds after which a replica that answers nothing is left for others.
    """

    engine: EngineSpec
    load: Callable[[], Engine]
    placement: Placement = field(default_factory=Placement)
    environment: Mapping[str, str] = field(default_factory=dict)
    namespace: str = "gateway"
    revision: int = 0
    version: str = ""
    silence: float = 5.0
    _pool: Pool | None = field(default=None, init=False, repr=False)

    @property
    def name(self) -> str:
        """The model's name, as users know it."""
        return self.engine.name

    @property
    def max_batch(self) -> int:
        """The most rows of one call."""
        return self.engine.max_batch

    @property
    def lanes(self) -> int:
        """So many calls a replica takes at the same time."""
        return self.engine.lanes

    @property
    def memory_bytes(self) -> int:
        """Nothing on this machine."""
        return 0

    @property
    def express(self) -> bool:
        """Replicas are as many as the cluster has; none gives way."""
        return False

    @property
    def device(self) -> Device:
        """What its replicas run on."""
        return self.engine.device

    @property
    def places(self) -> Sequence[Mapping[str, str]]:
        """One for each replica that there may be; those that there are not rest."""
        return [{}] * self.placement.most

    def batch_key(self, options: DecodeOptions) -> Hashable:
        """Rows of equal keys may share a call."""
        return self.engine.batch_key(options)

    def replica(self, environment: Mapping[str, str], options: ReplicaOptions) -> RayReplica:
        """One of the cluster's; what places it is not ours to say, so ``environment`` is ignored."""
        del environment
        if self._pool is None:
            # Not the function that counts this gateway's rows: it is for here.
            recipe = Recipe(self.load, self.environment, self.lanes, self.max_batch, options.elsewhere)
            offer = Offer(self.name, recipe, self.placement, self.revision, self.version)
            self._pool = Pool(offer, self.namespace)
        return RayReplica(self._pool, options, self.batch_key, self.silence)
