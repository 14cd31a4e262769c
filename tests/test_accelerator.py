"""On an accelerator, where there is one: the same lives as on the CPU, and a run of the task."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import metahebb
from metahebb.assembly import configure
from metahebb.evolution.workers import on_accelerator
from metahebb.lifetimes.step import step
from metahebb.worlds.car_racing import CarRacing

pytestmark = pytest.mark.skipif(jax.default_backend() == "cpu", reason="JAX has no accelerator here")

CPU = jax.local_devices(backend="cpu")[0]


def drive(lives: int, steps: int, device: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same lives on a device: rewards [steps, lives], places [steps, lives, 2] and every 50th step's frames."""
    with jax.default_device(device):
        world = CarRacing()
        state, frames = jax.device_put(world.reset(np.arange(lives)), device)
        step = jax.jit(world.step)
        rng = np.random.default_rng(0)
        rewards, places, seen = [], [], [np.asarray(frames)]
        for number in range(steps):
            action = np.stack([rng.uniform(-0.3, 0.3, lives), rng.uniform(0, 0.3, lives), np.zeros(lives)], 1)
            state, frames, reward, _ = step(state, jnp.asarray(action, jnp.float32))
            rewards.append(np.asarray(reward))
            places.append(np.asarray(jax.vmap(lambda car: car.origin)(state.car)))
            if number % 50 == 0:
                seen.append(np.asarray(frames))
    return np.array(rewards), np.array(places), np.array(seen)


def test_carracing_is_the_same_world_as_on_the_cpu() -> None:
    here, there = (drive(16, 300, device) for device in (jax.local_devices()[0], CPU))
    np.testing.assert_allclose(here[1][:100], there[1][:100], atol=1e-2)
    same = (np.abs(here[0] - there[0]) < 1e-3).all(axis=0)
    assert same.mean() >= 0.9
    off = np.abs(here[2][:3].astype(int) - there[2][:3])
    assert off.mean() < 0.05
    assert (off > 20).mean() < 0.001


def test_a_networks_step_is_the_same_as_on_the_cpu() -> None:
    _, task, network = configure("car-racing")
    rng = np.random.default_rng(0)
    genomes = rng.normal(0, 0.3, (4, network.parameters)).astype(np.float32)
    images = rng.integers(0, 256, (4, 96, 96, 3)).astype(np.uint8)

    def lived(device: Any) -> list[np.ndarray]:
        with jax.default_device(device):
            parts = network.unflatten(jnp.asarray(genomes))
            plasticity, state = network.express(parts), network.init(parts, jax.random.split(jax.random.key(0), 4))
            one_step = jax.jit(functools.partial(step, network, task.readout))
            for _ in range(2):
                state, activities, *_ = one_step(plasticity, state, jnp.asarray(images))
            return [np.asarray(activities[-1]), *(np.asarray(layer.weights) for layer in state.layers)]

    for here, there in zip(lived(jax.local_devices()[0]), lived(CPU), strict=True):
        np.testing.assert_allclose(here, there, atol=1e-4 * np.abs(there).max())


def test_a_run_lives_its_lives_on_the_accelerator(tmp_path: Path) -> None:
    assert on_accelerator(configure("car-racing")[0])
    assert not on_accelerator(configure("gymnasium:CartPole-v1")[0])
    run = metahebb.train("car-racing", run=tmp_path / "run", population=8, generations=2, validation_lives=4)
    assert [line["lives"] for line in run.metrics()] == [8, 8]
