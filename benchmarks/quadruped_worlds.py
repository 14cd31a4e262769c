"""How fast the quadruped's worlds are beside AntBulletEnv-v0, on one core and without a policy.

Every contender lives the same lives: a reset, then 300 steps of random torques, with observation, progress
and end. They take turns, so that what else the machine does falls on all of them; a ratio is the median over
the rounds of a contender's speed over the original's in the same round.

    python benchmarks/quadruped_worlds.py [--rounds 5]

needs PyBullet and pybullet-envs-gymnasium (both are in the extra ``dev`` where they have wheels).
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from pybullet_envs_gymnasium.gym_locomotion_envs import AntBulletEnv

from metahebb.worlds import HostWorld
from metahebb.worlds.quadruped import BulletQuadruped, MujocoQuadruped

STEPS = 300
TARGETS = {"quadruped-bullet": 1.8, "quadruped-bullet, merged": 3.0, "quadruped": 7.5}


def original(actions: np.ndarray) -> Callable[[], int]:
    """Lives in AntBulletEnv-v0, one after another: actions [steps, lives, 8]."""
    env = AntBulletEnv()
    env.reset(seed=0)

    def live() -> int:
        for life in range(2):
            env.reset(seed=life)
            for action in actions[:, life]:
                env.step(action)
        return 2 * len(actions)

    return live


def batched(world: HostWorld, slots: int, actions: np.ndarray) -> Callable[[], int]:
    """As many lives as there are slots, side by side."""
    everyone = np.arange(slots)

    def live() -> int:
        for slot in everyone:
            world.reset(int(slot), seed=int(slot))
        for action in actions[:, :slots]:
            world.step(everyone, action)
        return len(actions) * slots

    live()  # the models are loaded once in a training
    return live


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds

    actions = np.random.default_rng(0).uniform(-1, 1, (STEPS, 32, 8)).astype(np.float32)
    contenders = {
        "AntBulletEnv-v0": original(actions),
        "quadruped-bullet": batched(BulletQuadruped(16), 16, actions),
        "quadruped-bullet, merged": batched(BulletQuadruped(16, merged=True), 16, actions),
        "quadruped": batched(MujocoQuadruped(32), 32, actions),
    }
    speeds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, live in contenders.items():
            start = time.perf_counter()
            steps = live()
            speeds[name].append(steps / (time.perf_counter() - start))

    print(f"{'':26}{'steps/s':>9}{'ratio':>8}{'lowest':>8}{'target':>8}")
    reference = speeds["AntBulletEnv-v0"]
    for name, measured in speeds.items():
        ratios = [one / other for one, other in zip(measured, reference, strict=True)]
        target = f"{TARGETS[name]:8.1f}" if name in TARGETS else ""
        print(f"{name:26}{statistics.median(measured):9,.0f}{statistics.median(ratios):8.2f}{min(ratios):8.2f}{target}")


if __name__ == "__main__":
    main()
