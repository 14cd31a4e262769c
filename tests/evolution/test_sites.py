"""How work is shared out among workers of several machines: acted ones, so that who is late is no matter of chance."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from metahebb.assembly import configure
from metahebb.configuration import Configuration
from metahebb.evolution import workers
from metahebb.evolution.messages import Message
from metahebb.evolution.protocol import lived_message, read_live, read_sum, ready_message, summed_message
from metahebb.evolution.sites import JOINED, Channel, Hear, Site
from metahebb.evolution.training import lives_of
from metahebb.evolution.workers import Workers
from metahebb.lifetimes.lives import Life, Outcome
from support import ENVIRONMENTS


def outcome_of(life: Life) -> Outcome:
    return Outcome(life.member, life.number, float(life.world), 1, 0.0)


class Actor(Channel):
    """Answers at once; who is ``late`` answers when nobody waits for it any more, or when it is told to."""

    def __init__(self, hear: Hear, node: str, late: bool = False) -> None:
        super().__init__()
        self.node, self.late = node, late
        self.told: list[Message] = []
        self.done: list[Message] = []
        self._hear = hear

    def send(self, message: Message) -> bool:
        self.told.append(message)
        if message.kind == "start":
            self._hear(self, ready_message(2, {}))
        elif message.kind == "drop":
            # What it had just done is on its way when it is told to drop it.
            self.answer_late()
            self._hear(self, Message("dropped"))
        elif not self.late:
            self.answer(message)
        return True

    def answer(self, message: Message) -> None:
        if message.kind == "live":
            for life, _ in read_live(message):
                self._hear(self, lived_message([outcome_of(life)]))
        elif message.kind == "sum":
            wanted = read_sum(message)
            self._hear(self, summed_message(wanted.unit, np.full(3, wanted.weights.sum(), np.float32)))

    def answer_late(self) -> None:
        """Give all answers that are due."""
        while self.told:
            self.done.append(self.told.pop(0))
            self.answer(self.done[-1])

    def end(self, lost: bool) -> None:
        self.lost = lost
        self._hear(self, None)

    pid, alive, ended = 1, True, "was lost"  # type: ignore[assignment]

    def kill(self) -> None: ...

    def begin_to_close(self) -> None: ...

    def close(self) -> None: ...


class Stage(Site):
    """Actors on machines."""

    accelerated = False

    def __init__(self, *cast: tuple[str, bool]) -> None:
        self._cast = cast
        self.actors: list[Actor] = []

    def open(self, hear: Hear, log_output: Callable[[str], None]) -> Sequence[Channel]:
        self.hear = hear
        self.actors = [Actor(hear, node, late) for node, late in self._cast]
        return self.actors

    def replacement(self, lost: Channel) -> Channel | None:
        return None

    def close(self) -> None: ...


@pytest.fixture(scope="module")
def target() -> Configuration:
    return configure("gymnasium:Target-v0", imports=(str(ENVIRONMENTS),), hidden=(4,), population=40)[0]


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch, target: Configuration) -> Callable[..., tuple[Workers, Stage]]:
    """``on((node, late), …)``: a pool of actors on these machines."""

    def pool(*cast: tuple[str, bool]) -> tuple[Workers, Stage]:
        stage = Stage(*cast)
        monkeypatch.setattr(workers, "site_of", lambda *_: stage)
        monkeypatch.setattr(workers, "LOOK", 0.01)
        return Workers(target), stage

    return pool


def expected(c: Configuration, generation: int) -> list[Outcome]:
    return sorted(outcome_of(life) for group in lives_of(c, generation) for life in group)


def kinds(actor: Actor) -> collections.Counter[str]:
    return collections.Counter(message.kind for message in actor.told + actor.done)


def test_what_a_late_machine_has_is_lived_on_another_and_counted_once(target: Configuration, on: Any) -> None:
    pool, stage = on(("fast", False), ("late", True))
    _, late = stage.actors
    for generation in range(3):
        assert sorted(pool.live(lives_of(target, generation))) == expected(target, generation)
        assert kinds(late)["drop"] == generation + 1
    weights = np.linspace(-1, 1, 20)
    sums = [weights[first : first + 8].astype(np.float32).sum() for first in (0, 8, 16)]
    assert pool.weighted_noise(weights).tolist() == [sums[0] + sums[1] + sums[2]] * 3
    assert pool.restarts == 0


def test_nothing_is_lived_twice_on_one_machine(target: Configuration, on: Any) -> None:
    pool, stage = on(("one", False), ("one", True))
    fast, late = stage.actors
    lived = pool.live(lives_of(target, 0))
    # All but those that the late one has for its two slots, and to go on with.
    outcomes = [next(lived) for _ in range(target.population - 2 - workers.SPARE)]
    late.answer_late()
    outcomes += lived
    assert sorted(outcomes) == expected(target, 0)
    assert kinds(late)["drop"] == kinds(fast)["drop"] == 0
    assert sum(kinds(actor)["live"] for actor in stage.actors) == target.population // 2


def test_a_machine_that_leaves_and_one_that_joins(target: Configuration, on: Any) -> None:
    pool, stage = on(("first", True))
    (first,) = stage.actors
    lived = pool.live(lives_of(target, 0))
    second = Actor(stage.hear, "second")
    first.end(lost=True)
    stage.hear(second, Message(JOINED))
    assert sorted(lived) == expected(target, 0)
    assert pool.staff == (1, 1, 1)
    # Whatever the first may still have to say is nobody's.
    first.answer_late()
    assert sorted(pool.live(lives_of(target, 1))) == expected(target, 1)


def test_machines_may_be_lost_any_number_of_times(target: Configuration, on: Any) -> None:
    """Unlike workers that die by themselves: the lives that they had are not to blame."""
    pool, stage = on(("first", True))
    lived = pool.live(lives_of(target, 0))
    (actor,) = stage.actors
    for number in range(5):
        actor.end(lost=True)
        actor = Actor(stage.hear, f"node-{number}", late=number < 4)
        stage.hear(actor, Message(JOINED))
    assert sorted(lived) == expected(target, 0)
    assert pool.restarts == 5
