"""Looked at again and again, replicas become as many as wanted, of the newest revision, and never too few."""

from dataclasses import dataclass, field, replace

import pytest

from gateway.engine.ray.rollout import ROOM_SECONDS, Stage, Standing, plan


@dataclass
class World:
    """Replicas on nodes with room for so many; what starts is loaded at the next step, if it is placed."""

    room: int
    replicas: dict[str, Standing] = field(default_factory=dict)
    revision: int = 0
    now: float = 0.0
    revisions: dict[str, int] = field(default_factory=dict)

    def step(self, wanted: int) -> None:
        """Ten seconds."""
        self.now += 10
        for name, each in list(self.replicas.items()):
            if each.stage is Stage.LEAVING:
                del self.replicas[name]
            elif each.stage is Stage.STARTING and each.placed:
                self.replicas[name] = replace(each, stage=Stage.SERVING)
        for name, each in list(self.replicas.items()):
            if not each.placed and sum(other.placed for other in self.replicas.values()) < self.room:
                self.replicas[name] = replace(each, placed=True)
        current = {
            name: replace(each, current=self.revisions[name] == self.revision)
            for name, each in self.replicas.items()
        }
        steps = plan(list(current.values()), wanted, self.now)
        for _ in range(steps.start):
            name = f"{self.revision}-{self.now:g}-{len(self.replicas)}"
            self.revisions[name] = self.revision
            self.replicas[name] = Standing(name, Stage.STARTING, current=True, placed=False, since=self.now)
        for name in steps.retire:
            self.replicas[name] = replace(self.replicas[name], stage=Stage.LEAVING)

    @property
    def serving(self) -> list[int]:
        """Revisions of those that take rows."""
        return sorted(
            self.revisions[name] for name, each in self.replicas.items() if each.stage is Stage.SERVING
        )


def test_replicas_start_and_end() -> None:
    """All at once, up and down."""
    world = World(room=10)
    for wanted in (3, 1, 4):
        for _ in range(3):
            world.step(wanted)

        assert world.serving == [0] * wanted


@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_a_new_revision_takes_over_one_by_one(wanted: int) -> None:
    """With room for one more there are never fewer than wanted, and one more at most."""
    world = World(room=wanted + 1)
    for _ in range(3):
        world.step(wanted)
    world.revision = 1
    for _ in range(4 * wanted):
        world.step(wanted)

        assert len(world.serving) >= wanted
        assert len(world.replicas) <= wanted + 1
    assert world.serving == [1] * wanted


@pytest.mark.parametrize("wanted", [1, 2, 4])
def test_old_ones_make_room_where_there_is_none(wanted: int) -> None:
    """One at a time, when the new one has waited for a place."""
    world = World(room=wanted)
    for _ in range(3):
        world.step(wanted)
    world.revision = 1
    for _ in range(round(wanted * (ROOM_SECONDS / 10 + 5))):
        world.step(wanted)

        assert len(world.serving) >= wanted - 1
    assert world.serving == [1] * wanted


def test_what_only_starts_goes_first() -> None:
    """Where fewer are wanted."""
    world = World(room=10)
    for _ in range(3):
        world.step(2)
    world.step(4)
    world.step(2)

    assert world.serving == [0, 0]
    assert [each.stage for each in world.replicas.values()].count(Stage.LEAVING) == 2
