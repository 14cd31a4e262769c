"""CarRacing: many lives at once, traced. The judge is Gymnasium's CarRacing-v3 (Box2D and pygame)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
from gymnasium.utils import seeding
from jax import lax

from metahebb.worlds import Condition, TracedStep, TracedWorld
from metahebb.worlds.car_racing import physics
from metahebb.worlds.car_racing.frames import COLOURS, STATE_H, STATE_W, Scene, draw_frames
from metahebb.worlds.car_racing.physics import Action, Car, Conditions
from metahebb.worlds.car_racing.texture import Texture, paint
from metahebb.worlds.car_racing.tiles import NO_TILE, Tiles, Touch, lay_tiles, touch
from metahebb.worlds.car_racing.track import MAX_TILES, PLAYFIELD, Track, draw_track, draw_tracks

__all__ = ["CarRacing", "Course", "State", "draw_colours", "draw_course", "shown_number"]


class Course(NamedTuple):
    """Where a life drives, which is all that its seed decides.

    NumPy's arrays when drawn, JAX's with the lives as first axis once lived.
    """

    track: Track
    colours: jax.Array | np.ndarray
    """float32 [3, 3]: road, field and grass, red, green, blue in 0–255"""


class State(NamedTuple):
    """Lives under way; the lives are the first axis of every leaf."""

    course: Course
    tiles: Tiles
    texture: Texture
    car: Car
    on_road: jax.Array
    """bool [lives, 4]: the wheels that were on the road as the last step began"""
    visited: jax.Array
    """bool [lives, MAX_TILES + 1]: the tiles that a wheel has touched"""
    visited_count: jax.Array
    """int32 [lives]"""
    stripes: jax.Array
    """uint8 [lives, MAX_TILES + 1]: how light the tiles are drawn; 0 once the car has touched them"""
    steps: jax.Array
    """int32 [lives]: actions so far"""


def draw_colours(rng: np.random.Generator) -> np.ndarray:
    """Road, field and grass for domain randomisation, from the same numbers as the original's."""
    road, field = rng.uniform(0, 210, 3), rng.uniform(0, 210, 3)
    grass = field.copy()
    grass[rng.integers(3)] += 20
    # The original truncates a colour when it draws: the road's after its stripes were added.
    return np.stack([road, np.floor(field), np.floor(grass)]).astype(np.float32)


def draw_course(rng: np.random.Generator, domain_randomize: bool, colours: np.ndarray | None = None) -> Course:
    """A course, drawn in the order of the original; ``colours`` if they are to be kept."""
    if colours is None:
        colours = draw_colours(rng) if domain_randomize else COLOURS
    return Course(colours=colours, track=draw_track(rng))


class CarRacing(TracedWorld):
    """CarRacing as a traced world, without a limit of steps.

    Observations are uint8 [lives, 96, 96, 3]. Actions are float32 [lives, 3], steering in [−1, 1] (right
    positive), gas and brake in [0, 1], or int32 [lives] if not ``continuous``: nothing, right, left, gas,
    brake. As in the original, gas is clipped; steering beyond ±1 is no harder, and a brake above 0.9 blocks
    the wheels. An action that is not a number drives as 0, and its reward is NaN.

    The reward of a step is 1000/N for each of the track's N tiles that a wheel touches for the first time,
    less 0.1; a step that leaves the field gives −100. A life ends there, when all tiles are visited, or at
    tile 0 with ``lap_complete_percent`` of them. The original's limit of 1,000 steps is a wrapper of Gymnasium's,
    and here that of whoever wraps this world: the task ``car-racing``, the Gymnasium environments.

    The same seed is the same track (and colours) as ``gymnasium.make("CarRacing-v3").reset(seed=seed)``.

    An ended life's slot is given to a new life by ``worlds.traced.put_life``.

    >>> world = CarRacing()
    >>> step = jax.jit(world.step, donate_argnums=0)
    >>> state, frames = world.reset(np.arange(16))
    >>> state, frames, reward, ended = step(state, jnp.zeros((16, 3)))
    """

    together = True
    conditions = MappingProxyType(
        {
            "friction": Condition("The tyres' grip, as a factor", least=0),
            "power": Condition("The engine's power, as a factor", least=0),
            "side-force": Condition(
                "A force on the car to its left, as a share of the grip of its four tyres on the road", 0.0
            ),
        }
    )

    def __init__(
        self, *, continuous: bool = True, domain_randomize: bool = False, lap_complete_percent: float = 0.95
    ) -> None:
        self.continuous = continuous
        self.domain_randomize = domain_randomize
        self.lap_complete_percent = lap_complete_percent
        self.observation_space = gymnasium.spaces.Box(0, 255, (STATE_H, STATE_W, 3), np.uint8)
        if continuous:
            low, high = np.array([-1, 0, 0], np.float32), np.array([1, 1, 1], np.float32)
            self.action_space = gymnasium.spaces.Box(low, high)
        else:
            self.action_space = gymnasium.spaces.Discrete(5)

    def reset(self, seeds: np.ndarray, bodies: Sequence[str] = ()) -> tuple[State, jax.Array]:
        """Begin lives: ``seeds`` int [lives] → (state, first frames). Compiled for each number of lives.

        Raises ValueError without a seed.
        """
        if not len(seeds):
            raise ValueError("there is no seed, so there is no life to begin")
        rngs = [seeding.np_random(int(seed))[0] for seed in seeds]
        colours = np.stack([draw_colours(rng) if self.domain_randomize else COLOURS for rng in rngs])
        return _begin(Course(draw_tracks(rngs), colours))

    def begin(self, courses: list[Course]) -> tuple[State, jax.Array]:
        """Begin a life on each of these courses."""
        return _begin(jax.tree.map(lambda *leaves: np.stack(leaves), *courses))

    def step(self, state: State, action: jax.Array) -> TracedStep:
        """Advance all lives by a fiftieth of a second. A life that has ended drives on.

        Raises ValueError for actions whose shape is not that of the lives'.
        """
        return self.step_under(state, action, {})

    def step_under(self, state: State, action: jax.Array, conditions: Mapping[str, jax.Array]) -> TracedStep:
        """``step``, with some of ``conditions`` other than the original's: float32 [lives] each, by name."""
        shape = (*state.steps.shape, *(self.action_space.shape or ()))
        if action.shape != shape:
            raise ValueError(f"the actions have shape {action.shape}; they must be {shape}")
        unknown = jnp.isnan(action)
        action = jnp.where(unknown, 0, action)
        touched = touch(state.tiles, state.car)
        under = {name.replace("-", "_"): values for name, values in conditions.items()}
        car = jax.vmap(lambda car, action, on_road, under: physics.drive(car, action, on_road, Conditions(**under)))(
            state.car, self._controls(action), state.on_road, under
        )
        was_visited, was_count = state.visited, state.visited_count
        state = _mark(state, touched)._replace(car=car, on_road=touched.on_road, steps=state.steps + 1)

        # The tiles that were touched as the life began are paid for with its first step.
        paid = jnp.where(state.steps == 1, 0, was_count)
        count = state.course.track.length
        reward = 1000.0 / count * (state.visited_count - paid) - 0.1
        first = state.visited[:, 0] & ~was_visited[:, 0]
        lap = first & (state.visited_count > self.lap_complete_percent * count)
        origin = jax.vmap(lambda one: one.origin)(car)
        outside = jnp.any(jnp.abs(origin) > PLAYFIELD, -1)
        reward = jnp.where(outside, -100.0, reward)
        reward = jnp.where(unknown.reshape(len(reward), -1).any(-1), jnp.nan, reward)
        return TracedStep(state, _observe(state), reward, lap | (state.visited_count == count) | outside)

    def render(self, state: State, slot: int) -> np.ndarray:
        """The original's big view of a life, uint8 [400, 600, 3]."""
        from metahebb.worlds.car_racing.picture import draw_picture

        return draw_picture(state, slot)

    def _controls(self, action: jax.Array) -> Action:
        if self.continuous:
            return Action(-action[:, 0], action[:, 1], action[:, 2])
        return Action(0.6 * (action == 2) - 0.6 * (action == 1), 0.2 * (action == 3), 0.8 * (action == 4))


def one_by_one(tracks: Track) -> tuple[Tiles, Texture]:
    """The tiles and the textures of tracks [lives, …], as a CPU is faster: of all at once, windows into arrays would be
    gathers and scatters."""
    each: tuple[Tiles, Texture] = lax.map(lambda track: (lay_tiles(track), paint(track)), tracks)
    return each


def all_at_once(tracks: Track) -> tuple[Tiles, Texture]:
    """The same as an accelerator is faster."""
    longest = tracks.length.max()
    return jax.vmap(lay_tiles, (0, None))(tracks, longest), jax.vmap(paint, (0, None))(tracks, longest)


@jax.jit
def _begin(courses: Course) -> tuple[State, jax.Array]:
    tiles, texture = lax.platform_dependent(courses.track, cpu=one_by_one, default=all_at_once)
    x, y, beta = (values[:, 0] for values in (courses.track.x, courses.track.y, courses.track.beta))
    car = jax.vmap(physics.place)(x, y, beta)
    steps = jnp.zeros(x.shape, jnp.int32)
    touched = touch(tiles, car)
    stripes = (jnp.arange(MAX_TILES + 1) % 3).astype(jnp.uint8).at[NO_TILE].set(0)
    state = State(
        course=courses,
        tiles=tiles,
        texture=texture,
        car=jax.vmap(physics.settle)(car),
        on_road=touched.on_road,
        visited=jnp.zeros((*steps.shape, MAX_TILES + 1), bool),
        visited_count=steps,
        stripes=jnp.broadcast_to(stripes, (*steps.shape, MAX_TILES + 1)),
        steps=steps,
    )
    state = _mark(state, touched)
    return state, _observe(state)


def _mark(state: State, touched: Touch) -> State:
    """Mark the tiles that are touched."""
    life = jnp.arange(state.steps.shape[0])[:, None]
    visited = state.visited.at[life, touched.tiles].max(touched.by_wheel, mode="promise_in_bounds")
    keep = jnp.where(touched.by_any, 0, 2).astype(jnp.uint8)
    stripes = state.stripes.at[life, touched.tiles].min(keep, mode="promise_in_bounds")
    return state._replace(visited=visited, visited_count=visited.sum(-1, dtype=jnp.int32), stripes=stripes)


def shown_number(state: State) -> jax.Array:
    """The rewards so far, without the last step's −0.1, as a frame shows them: float32 [lives]."""
    paid_steps = jnp.maximum(state.steps - 1, 0)
    return 1000.0 / state.course.track.length * state.visited_count - 0.1 * paid_steps


def _observe(state: State) -> jax.Array:
    scene = Scene(
        state.car,
        state.steps,
        shown_number(state),
        state.texture,
        state.stripes,
        jnp.asarray(state.course.colours),
    )
    return draw_frames(scene)
