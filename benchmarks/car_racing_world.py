"""CarRacing alone, on one core: steps and resets, beside EnvPool's and Gymnasium's.

    taskset -c 0 python benchmarks/car_racing_world.py

Prints microseconds a step of a life, best and median of interleaved rounds, and the median of the rounds'
ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

# One core, and vectors as wide as the processor has.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false --xla_cpu_prefer_vector_width=512")

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from metahebb.worlds.car_racing import CarRacing

STEPS = 50


def ours(lives: int) -> Callable[[], int]:
    """Rounds of STEPS steps of our world; each returns how many steps of lives it made."""
    world = CarRacing()
    state, frames = world.reset(np.arange(lives))
    actions = jnp.asarray(_actions(lives))

    def live(state, frames):
        def step(carry, action):
            after = world.step(carry[0], action)
            return (after.state, after.observation), after.reward

        return lax.scan(step, (state, frames), actions)

    compiled = jax.jit(live, donate_argnums=(0, 1))
    held = [(state, frames)]

    def round_() -> int:
        held[0], rewards = compiled(*held[0])
        jax.block_until_ready(rewards)
        return STEPS * lives

    return round_


def envpool(lives: int) -> Callable[[], int]:
    import envpool

    env = envpool.make_gymnasium("CarRacing-v3", num_envs=lives, num_threads=1, max_episode_steps=10**6)
    env.reset()
    actions = _actions(lives)

    def round_() -> int:
        for action in actions:
            env.step(action)
        return STEPS * lives

    return round_


def original() -> Callable[[], int]:
    env = gymnasium.make("CarRacing-v3", max_episode_steps=-1)
    env.reset(seed=0)
    actions = _actions(1)[:, 0]

    def round_() -> int:
        for action in actions:
            env.step(action)
        return STEPS

    return round_


def _actions(lives: int) -> np.ndarray:
    """Gentle driving: float32 [STEPS, lives, 3]."""
    rng = np.random.default_rng(0)
    return rng.uniform([-0.3, 0.0, 0.0], [0.3, 0.3, 0.0], (STEPS, lives, 3)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--lives", type=int, nargs="+", default=[16, 32, 64])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()

    rows = {f"this world, {lives} lives": ours(lives) for lives in arguments.lives}
    for name, make in (("EnvPool, 16 lives", lambda: envpool(16)), ("Gymnasium", original)):
        try:
            rows[name] = make()
        except ImportError as missing:
            print(f"{name}: left out ({missing})")
    times: dict[str, list[float]] = {name: [] for name in rows}
    for round_ in rows.values():
        round_()  # compiles
    for _ in range(arguments.rounds):
        for name, round_ in rows.items():
            begun = time.perf_counter()
            made = round_()
            times[name].append((time.perf_counter() - begun) / made * 1e6)
    base = times.get("EnvPool, 16 lives")
    print(f"{'':28}{'best µs':>10}{'median µs':>11}{'EnvPool ÷ it':>14}")
    for name, measured in times.items():
        ratios = [theirs / mine for theirs, mine in zip(base or [], measured, strict=bool(base))]
        ratio = statistics.median(ratios) if ratios else float("nan")
        print(f"{name:28}{min(measured):10.1f}{statistics.median(measured):11.1f}{ratio:14.1f}")

    world = CarRacing()
    for lives in (1, 4, 16):
        measured = []
        for start in range(12):
            begun = time.perf_counter()
            jax.block_until_ready(world.reset(np.arange(start * lives, (start + 1) * lives)))
            measured.append((time.perf_counter() - begun) / lives * 1e3)
        best, median = min(measured), statistics.median(measured)
        print(f"reset, {lives:2} at a time: best {best:.2f}, median {median:.2f} ms a life")


if __name__ == "__main__":
    main()
