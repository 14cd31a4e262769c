"""The quadruped in MJX, held to the one in MuJoCo's C library."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import mujoco
import numpy as np
import pytest

from metahebb.errors import UsageError
from metahebb.tasks import Options, make_task
from metahebb.worlds.quadruped import MORPHOLOGIES, MujocoQuadruped, parse_morphology
from metahebb.worlds.quadruped.kinematics import mean_place, sole_heights
from metahebb.worlds.quadruped.mujoco_model import mujoco_model

mjx = pytest.importorskip("mujoco.mjx", reason="the extra mjx is not installed")

from metahebb.worlds.quadruped import mjx as module  # noqa: E402
from metahebb.worlds.quadruped.mjx import BODY_FIELDS, MjxQuadruped, MjxState  # noqa: E402

pytestmark = [
    pytest.mark.xdist_group("mjx"),
    pytest.mark.skipif(jax.default_backend() != "cpu", reason="on a GPU it is Warp"),
]

OWN = "front-left=1.2,0.5 back-left=0.4,0.6 back-right=0.8,1.3 front-right=1.5,0.9"
BODIES = (*MORPHOLOGIES, OWN)
LIVES = len(BODIES)
EVERYONE = np.arange(LIVES)
VISUAL = {"light_poscom0"}


@pytest.fixture(scope="module")
def world() -> MjxQuadruped:
    return MjxQuadruped()


@pytest.fixture(scope="module")
def step(world: MjxQuadruped) -> Any:
    return jax.jit(world.step)


def begun_in_c() -> MujocoQuadruped:
    library = MujocoQuadruped(LIVES)
    for slot, body in enumerate(BODIES):
        library.reset(slot, slot, parse_morphology(body))
    library.settle(*EVERYONE)
    return library


def moved(world: MjxQuadruped, library: MujocoQuadruped) -> MjxState:
    """The state of the lives in C."""
    state, _ = world.reset(EVERYONE, BODIES)
    positions, velocities, feet = library.placed(EVERYONE)
    state = state._replace(
        positions=jnp.asarray(positions, jnp.float32),
        velocities=jnp.asarray(velocities, jnp.float32),
        feet=jnp.asarray(feet),
    )
    return state._replace(centre=mean_place(module._pose(state.positions, state.lengths)))


def test_a_life_begins_as_in_c(world: MjxQuadruped) -> None:
    library = MujocoQuadruped(LIVES)
    first = [library.reset(slot, slot, parse_morphology(body)) for slot, body in enumerate(BODIES)]
    library.settle(*EVERYONE)
    state, observations = world.reset(EVERYONE, BODIES)
    assert np.array_equal(observations, first)
    for here, there in zip((state.positions, state.velocities, state.feet), library.placed(EVERYONE), strict=True):
        assert np.array_equal(here, np.asarray(there, here.dtype))


def test_in_the_air_it_moves_as_in_c(world: MjxQuadruped, step: Any) -> None:
    """A fall from three metres, all joints at work: their limits, but no contact."""
    library = begun_in_c()
    library._states[:, 3] = 3.0
    library._sense(EVERYONE)
    state = moved(world, library)
    random = np.random.default_rng(0)
    steps = 0
    while sole_heights(module._pose(library.placed(EVERYONE)[0], library._lengths)).min() > 0.15:
        actions = random.uniform(-1.2, 1.2, (LIVES, 8)).astype(np.float32)
        state, observations, progress, fallen = step(state, actions)
        expected = library.step(EVERYONE, actions)
        assert np.allclose(observations, expected[0], atol=5e-4)
        assert np.allclose(progress, expected[1], atol=5e-3)
        assert np.array_equal(fallen, expected[2])
        steps += 1
    assert steps >= 35
    positions, velocities, _ = library.placed(EVERYONE)
    assert np.allclose(state.positions, positions, atol=1e-4)
    assert np.allclose(state.velocities, velocities, atol=1e-3)
    assert np.abs(velocities[:, 6:]).max() > 5


@pytest.mark.parametrize("implementation", ["jax", "warp"])
def test_on_the_floor_it_moves_as_in_c(implementation: str, world: MjxQuadruped, step: Any) -> None:
    """Steps from the states of lives in C, with legs as steep as may be."""
    if implementation == "warp":
        pytest.importorskip("warp", reason="the extra mjx-warp is not installed")
        world = MjxQuadruped("warp")
        step = jax.jit(world.step)
    library = begun_in_c()
    random = np.random.default_rng(0)
    gaps = []
    for _ in range(60):
        actions = random.uniform(-1, 1, (LIVES, 8)).astype(np.float32)
        state, _, progress, _ = step(moved(world, library), actions)
        expected = library.step(EVERYONE, actions)[1]
        assert np.abs(progress - expected).max() < 0.01
        gaps.append(np.abs(state.velocities - library.placed(EVERYONE)[1]).max(axis=1))
    assert np.max(gaps) < 0.01
    assert np.quantile(gaps, 0.9) < 1e-3


def test_every_field_that_bodies_differ_in_is_a_lifes_own(world: MjxQuadruped) -> None:
    one, other = world._put(parse_morphology("standard")), world._put(parse_morphology(OWN))
    differ = {
        field.name
        for field in one.fields()
        if field.name not in ("opt", "stat", "_impl")
        and not np.array_equal(getattr(one, field.name), getattr(other, field.name))
    }
    assert differ - VISUAL == set(BODY_FIELDS)
    compiled = mujoco_model(parse_morphology(OWN))
    state, _ = world.reset(EVERYONE, BODIES)
    for name in BODY_FIELDS:
        assert np.array_equal(state.body[name][-1].ravel(), getattr(compiled, name).ravel().astype(np.float32))


def test_warps_buffers_hold_all_that_can_touch(world: MjxQuadruped) -> None:
    data = mjx.make_data(world._tuned(parse_morphology("standard")), impl="jax")
    assert (data._impl.ncon, len(data._impl.efc_type)) == (module._CONTACTS, module._CONSTRAINTS)


def test_what_is_not_finite_ends_the_life_where_it_was(world: MjxQuadruped, step: Any) -> None:
    state, _ = world.reset(EVERYONE, BODIES)
    actions = np.zeros((LIVES, 8), np.float32)
    actions[1, 3] = np.nan
    state = state._replace(velocities=state.velocities.at[2, 7].set(1e12))
    after, observations, progress, ended = step(state, actions)
    assert np.isnan(progress).tolist() == [False, True, True, False]
    assert np.asarray(ended)[1:3].all()
    assert np.isfinite(observations).all()
    assert np.array_equal(after.positions[1:3], state.positions[1:3])
    assert not np.array_equal(after.positions[0], state.positions[0])


def test_a_picture_is_that_of_the_body(world: MjxQuadruped, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Any] = []
    monkeypatch.setattr(world._cameras, "picture", lambda *of: shown.append(of))
    state, _ = world.reset(EVERYONE, BODIES)
    for slot in EVERYONE:
        world.render(state, slot)
    assert [str(morphology) for morphology, _ in shown] == [str(parse_morphology(body)) for body in BODIES]


def test_in_warp_it_is_the_same_world(world: MjxQuadruped, step: Any) -> None:
    pytest.importorskip("warp", reason="the extra mjx-warp is not installed")
    warp = MjxQuadruped("warp")
    here, there = (
        begun._replace(positions=begun.positions.at[:, 2].set(1.5))
        for begun in (kind.reset(EVERYONE, BODIES)[0] for kind in (world, warp))
    )
    advance = jax.jit(lambda state, actions: jax.lax.scan(lambda s, a: (warp.step(s, a)[0], None), state, actions)[0])
    actions = np.random.default_rng(0).uniform(-1, 1, (10, LIVES, 8)).astype(np.float32)
    for action in actions:
        here = step(here, action).state
    there = advance(there, actions)
    for one, other in zip(here[1:], there[1:], strict=True):
        assert np.allclose(one, other, atol=1e-3)


def test_what_does_not_fit_warps_buffers_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("warp", reason="the extra mjx-warp is not installed")
    monkeypatch.setattr(module, "_CONSTRAINTS", 8)
    warp = MjxQuadruped("warp")
    state, _ = warp.reset(EVERYONE, BODIES)
    progress = jax.jit(warp.step)(state, np.zeros((LIVES, 8), np.float32)).reward
    assert np.isnan(progress).all()


def test_a_warp_without_cuda_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    warp = pytest.importorskip("warp", reason="the extra mjx-warp is not installed")
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    monkeypatch.setattr(warp, "is_cuda_available", lambda: False)
    with pytest.raises(UsageError, match=r"Warp .* finds no CUDA, though JAX has a gpu: install .* JAX_PLATFORMS=cpu"):
        MjxQuadruped()


@pytest.mark.parametrize(
    ("missing", "says"),
    [("mujoco.mjx", "does not fit mujoco"), ("warp", "needs Warp on a GPU: pip install 'metahebb\\[mjx-warp\\]'")],
)
def test_what_is_missing_is_named(missing: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, missing, None)
    monkeypatch.delattr(mujoco, "mjx", raising=False)
    with pytest.raises(UsageError, match=says):
        MjxQuadruped("warp")


def test_a_life_does_not_depend_on_its_slot(step: Any) -> None:
    """With as many slots as the task has: vectors of more lives are computed otherwise here and there."""
    slots = make_task("quadruped", Options(simulator="mjx")).slots
    state, _ = MjxQuadruped().reset(np.full(slots, 3), ["standard"] * slots)
    random = np.random.default_rng(0)
    for _ in range(40):
        action = np.repeat(random.uniform(-1, 1, (1, 8)).astype(np.float32), slots, axis=0)
        state, _, progress, _ = step(state, action)
        assert len(np.unique(progress)) == 1
