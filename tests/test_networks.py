"""Lives of networks against the paper's update, Δw_ij = η·(A·o_i·o_j + B·o_i + C·o_j + D), in NumPy.

In float64, one synapse's layer at a time.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from metahebb.encoders import ImageEncoder, OneHotEncoder, VectorEncoder
from metahebb.lifetimes.step import Step, step
from metahebb.networks import Network, State
from metahebb.normalisers import NORMALISERS
from metahebb.readouts import DiscreteReadout
from metahebb.rules import RULES, Rule, load_rule
from support import COMPETING

LARGEST = DiscreteReadout(3)
"""A readout for tests of what networks do, whatever comes of it."""

# The table of rules, written down again: (pre as a column, post as a row, weight, coefficients by name).
FORMULAS: dict[str, Callable[..., np.ndarray]] = {
    "A": lambda i, j, w, g: g["A"] * i * j,
    "AD": lambda i, j, w, g: g["A"] * i * j + g["D"],
    "AD_lr": lambda i, j, w, g: g["lr"] * (g["A"] * i * j + g["D"]),
    "ABC": lambda i, j, w, g: g["A"] * i * j + g["B"] * i + g["C"] * j,
    "ABC_lr": lambda i, j, w, g: g["lr"] * (g["A"] * i * j + g["B"] * i + g["C"] * j),
    "ABCD": lambda i, j, w, g: g["A"] * i * j + g["B"] * i + g["C"] * j + g["D"],
    "ABCD_lr": lambda i, j, w, g: g["lr"] * (g["A"] * i * j + g["B"] * i + g["C"] * j + g["D"]),
    "ABCD_lr_D_out": lambda i, j, w, g: g["lr"] * (g["A"] * i * j + g["B"] * i + g["C"] * j) + g["D"],
    "ABCD_lr_D_in_and_out": lambda i, j, w, g: (
        g["lr"] * (g["A"] * i * j + g["B"] * i + g["C"] * j + g["D_in"]) + g["D_out"]
    ),
    "oja": lambda i, j, w, g: g["lr"] * j * (i - j * w),
    "rules_over_neurons.py:competing": lambda i, j, w, g: (
        0.1 * (g["A"] * i * (j - np.mean(j)) + g["B"] * i * np.max(j) - w * np.sum(w, axis=0))
    ),
}


def compiled_step(network: Network) -> Callable[..., Step]:
    return jax.jit(functools.partial(step, network, LARGEST))


def normalised(name: str, w: np.ndarray) -> np.ndarray:
    if name == "max-abs":
        return w / np.abs(w).max()
    if name == "l2":
        return w / np.sqrt((w**2).sum(axis=0))
    return np.clip(w, -1, 1) if name == "clip" else w


def resized(image: np.ndarray, side: int = 84) -> np.ndarray:
    """The mean of the area that each pixel of the smaller image covers."""

    def areas(size: int) -> np.ndarray:
        step = size / side
        return np.array(
            [[max(0.0, min((i + 1) * step, h + 1) - max(i * step, h)) / step for h in range(size)] for i in range(side)]
        )

    return np.einsum("ih,jw,hwc->ijc", areas(image.shape[0]), areas(image.shape[1]), image, optimize=True)


def convolved(x: np.ndarray, filters: np.ndarray, stride: int) -> np.ndarray:
    windows = np.lib.stride_tricks.sliding_window_view(x, filters.shape[2:], axis=(0, 1))
    return np.tensordot(windows[::stride, ::stride], filters, ((2, 3, 4), (1, 2, 3)))


def pooled(x: np.ndarray) -> np.ndarray:
    n = len(x) // 2
    return x[: 2 * n, : 2 * n].reshape(n, 2, n, 2, -1).max(axis=(1, 3))


def encoded(image: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    x = pooled(np.tanh(convolved(resized(image / 255), first, 1)))
    return pooled(np.tanh(convolved(x, second, 2))).ravel()


def live_in_numpy(
    network: Network, genome: dict[str, np.ndarray], weights: list[np.ndarray], observations: np.ndarray
) -> list[tuple[list[np.ndarray], list[np.ndarray]]]:
    """(activities, weights after the update) of each step."""
    moments = []
    for observation in observations:
        x = observation.astype(np.float64)
        if observation.ndim == 3:
            x = encoded(x, genome["encoder.0"], genome["encoder.1"])
        activities = [x]
        for i, w in enumerate(weights):
            total = activities[-1] @ w
            last = i == len(weights) - 1
            activities.append(total if last and network.output_activation == "linear" else np.tanh(total))
        updated = []
        for i, w in enumerate(weights):
            genes = {gene: genome[f"layers.{i}.{gene}"] for gene in network.genes}
            assert network.rule is not None
            change = FORMULAS[network.rule.name](activities[i][:, None], activities[i + 1][None, :], w, genes)
            updated.append(normalised(network.normaliser, w + change))
        weights = updated
        moments.append((activities, weights))
    return moments


def check_life(network: Network, observations: np.ndarray, scale: float, tolerance: float) -> None:
    lives = 3
    flat = scale * np.random.default_rng(1).standard_normal((lives, network.parameters), dtype=np.float32)
    genome = network.unflatten(jnp.asarray(flat))
    state = network.init(genome, jax.random.split(jax.random.key(2), lives))
    expected = live_in_numpy(
        network,
        {name: np.asarray(part[1], np.float64) for name, part in genome.items()},
        [np.asarray(layer.weights[1], np.float64) for layer in state.layers],
        observations,
    )
    plasticity = network.express(genome)
    one_step = compiled_step(network)
    # Two other lives see other things.
    rng = np.random.default_rng(3)
    for observation, (activities, updated) in zip(observations, expected, strict=True):
        seen = np.stack([rng.permuted(observation), observation, rng.permuted(observation)])
        lived = one_step(plasticity, state, seen)
        state = lived.state
        for ours, theirs in zip(lived.seen.activities, activities, strict=True):
            np.testing.assert_allclose(ours[1], theirs, atol=tolerance * max(1, np.abs(theirs).max()))
        for layer, theirs in zip(state.layers, updated, strict=True):
            np.testing.assert_allclose(layer.weights[1], theirs, atol=tolerance * max(1, np.abs(theirs).max()))


@pytest.mark.parametrize("normaliser", NORMALISERS)
@pytest.mark.parametrize("rule", RULES)
def test_a_vector_networks_life(rule: str, normaliser: str) -> None:
    network = Network(VectorEncoder(5), 3, RULES[rule], hidden=(7, 6), normaliser=normaliser)
    observations = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    check_life(network, observations, scale=0.2, tolerance=1e-3)


def test_the_vision_networks_life() -> None:
    network = Network(ImageEncoder(96, 96, 3), 3, RULES["ABCD_lr"])
    observations = np.random.default_rng(0).integers(0, 256, (24, 96, 96, 3), np.uint8)
    check_life(network, observations, scale=0.1, tolerance=1e-3)


def test_the_quadrupeds_networks_life() -> None:
    network = Network(VectorEncoder(28), 8, RULES["ABCD_lr"], output_activation="tanh", normaliser="none")
    observations = np.random.default_rng(0).standard_normal((40, 28)).astype(np.float32)
    check_life(network, observations, scale=0.1, tolerance=1e-3)


@pytest.mark.parametrize("initial", ["sparse", "co-evolved"])
def test_other_initial_weights_live_as_well(initial: str) -> None:
    network = Network(VectorEncoder(5), 3, RULES["ABCD_lr"], hidden=(6,), initial_weights=initial)
    observations = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    check_life(network, observations, scale=0.2, tolerance=1e-3)


@pytest.mark.parametrize("normaliser", NORMALISERS)
def test_a_rule_reduces_over_the_neurons_of_its_own_life(normaliser: str) -> None:
    network = Network(VectorEncoder(5), 3, load_rule(COMPETING), hidden=(7, 6), normaliser=normaliser)
    assert network.genes == ("A", "B")
    observations = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    check_life(network, observations, scale=0.2, tolerance=1e-3)


def test_a_rule_may_return_what_broadcasts_to_the_synapses() -> None:
    """One number for a layer, one for each input, one for each output: 3 lives, 2 inputs, 4 outputs."""
    for rule, change in {
        lambda pre, post, weight, A: pre.sum(): [[3.0], [7.0], [11.0]],
        lambda pre, post, weight, A: pre: [[1, 2], [3, 4], [5, 6]],
        lambda pre, post, weight, A: post[0] + pre.max(): [[2.0], [4.0], [6.0]],
    }.items():
        network = Network(
            VectorEncoder(2), 4, Rule("mine", rule), hidden=(), initial_weights="zeros", normaliser="none"
        )
        genome = network.unflatten(np.zeros((3, network.parameters), np.float32))
        newborn = network.init(genome, jax.random.split(jax.random.key(0), 3))
        seen = np.array([[1, 2], [3, 4], [5, 6]], np.float32)
        state = compiled_step(network)(network.express(genome), newborn, seen).state
        expected = np.broadcast_to(np.array(change, np.float32)[:, :, None], (3, 2, 4))
        np.testing.assert_array_equal(state.layers[0].weights, expected)


def test_a_network_without_hidden_layers() -> None:
    network = Network(VectorEncoder(5), 3, RULES["oja"], hidden=())
    assert network.layers == ((5, 3),)
    observations = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    check_life(network, observations, scale=0.2, tolerance=1e-3)


@pytest.mark.parametrize(
    ("activation", "by_hand"), [("tanh", 0.46211716), ("sigmoid", 0.62245933), ("relu", 0.5), ("linear", 0.5)]
)
def test_activations_by_hand(activation: str, by_hand: float) -> None:
    """Two inputs of 1 and −0.5 through weights of one: the hidden neuron's sum is 0.5, and so on."""
    network = Network(VectorEncoder(2), 1, RULES["A"], hidden=(1,), activation=activation, initial_weights="ones")
    genome = network.unflatten(np.zeros((1, network.parameters), np.float32))
    state = network.init(genome, jax.random.split(jax.random.key(0), 1))
    inputs, hidden, outputs = network.act(network.express(genome), state, np.array([[1.0, -0.5]], np.float32))
    np.testing.assert_array_equal(inputs, [[1, -0.5]])
    # The outputs are the raw sum whatever the hidden neurons do.
    np.testing.assert_allclose([hidden[0, 0], outputs[0, 0]], [by_hand, by_hand], rtol=1e-6)


@pytest.mark.parametrize("shape", [(210, 160, 3), (64, 64, 1), (84, 84, 4), (42, 120, 2)])
def test_images_of_any_size(shape: tuple[int, int, int]) -> None:
    encoder = ImageEncoder(*shape)
    rng = np.random.default_rng(0)
    filters = {n: jnp.asarray(rng.standard_normal((2, *s)), jnp.float32) for n, s in encoder.filters.items()}
    images = rng.integers(0, 256, (2, *shape), np.uint8)
    features = jax.jit(encoder.__call__)(filters, images)
    for life in range(2):
        first, second = (np.asarray(filters[f"encoder.{i}"][life], np.float64) for i in range(2))
        np.testing.assert_allclose(features[life], encoded(images[life].astype(float), first, second), atol=1e-4)


def test_published_sizes() -> None:
    vision = Network(ImageEncoder(96, 96, 3), 3, RULES["ABCD_lr"])
    assert (vision.synapses, vision.synaptic_parameters, vision.parameters) == (91_328, 456_640, 458_002)
    quadruped = Network(VectorEncoder(28), 8, RULES["ABCD_lr"])
    assert (quadruped.synapses, quadruped.parameters) == (12_288, 61_440)
    static = dataclasses.replace(quadruped, rule=None)
    assert static.parameters == 12_288


def test_a_genome_survives_its_names() -> None:
    network = Network(ImageEncoder(96, 96, 3), 3, RULES["ABC"], initial_weights="co-evolved")
    flat = np.random.default_rng(0).standard_normal(network.parameters, dtype=np.float32)
    parts = network.unflatten(flat)
    assert list(parts) == list(network.genome)
    assert {"layers.2.C", "encoder.1", "initial.0"} < set(parts)
    np.testing.assert_array_equal(network.flatten(parts), flat)


def test_co_evolved_weights_begin_a_life() -> None:
    network = Network(VectorEncoder(4), 2, RULES["A"], hidden=(3,), initial_weights="co-evolved")
    flat = np.arange(network.parameters, dtype=np.float32)[None]
    layers = network.init(network.unflatten(flat), jax.random.split(jax.random.key(0), 1)).layers
    first = network.synaptic_parameters
    np.testing.assert_array_equal(layers[0].weights[0].ravel(), np.arange(first, first + 12))


def test_a_static_network_never_changes() -> None:
    network = Network(VectorEncoder(4), 2, None, hidden=(3,), normaliser="none")
    genome = network.unflatten(np.random.default_rng(0).standard_normal((2, network.parameters), dtype=np.float32))
    newborn = network.init(genome, jax.random.split(jax.random.key(0), 2))
    state = compiled_step(network)(network.express(genome), newborn, np.ones((2, 4), np.float32)).state
    for before, after in zip(newborn.layers, state.layers, strict=True):
        np.testing.assert_array_equal(before.weights, after.weights)
    np.testing.assert_array_equal(state.layers[1].weights, genome["layers.1.weight"])


@pytest.mark.parametrize(
    ("encoder", "rule"),
    [
        (VectorEncoder(6), "ABCD_lr"),
        (VectorEncoder(6), COMPETING),
        (ImageEncoder(96, 96, 3), "ABCD_lr"),
        (OneHotEncoder(6, start=2), "ABCD_lr"),
    ],
)
def test_a_life_does_not_depend_on_its_place(encoder: Any, rule: str) -> None:
    network = Network(encoder, 3, load_rule(rule), hidden=(16, 8))
    rng, lives = np.random.default_rng(0), 16
    flat = rng.standard_normal((lives, network.parameters), dtype=np.float32)
    keys = jax.random.split(jax.random.key(1), lives)
    if isinstance(encoder, ImageEncoder):
        observations = rng.integers(0, 256, (5, lives, 96, 96, 3), np.uint8)
    elif isinstance(encoder, OneHotEncoder):
        observations = rng.integers(2, 8, (5, lives))
    else:
        observations = rng.standard_normal((5, lives, 6)).astype(np.float32)

    one_step = compiled_step(network)

    def live(order: np.ndarray) -> list[np.ndarray]:
        genome = network.unflatten(jnp.asarray(flat[order]))
        plasticity, state = network.express(genome), network.init(genome, keys[order])
        for observation in observations:
            lived = one_step(plasticity, state, observation[order])
            state = lived.state
        return [np.asarray(lived.seen.activities[-1]), np.asarray(state.layers[0].weights)]

    order = rng.permutation(lives)
    for straight, permuted in zip(live(np.arange(lives)), live(order), strict=True):
        np.testing.assert_array_equal(straight[order], permuted)


@pytest.mark.parametrize("storage", ["float32", "float16"])
def test_infinite_coefficients_are_their_lifes_own_affair(storage: str) -> None:
    network = Network(VectorEncoder(3), 2, RULES["A"], hidden=(4,), coefficients=storage)
    flat = np.random.default_rng(0).standard_normal((2, network.parameters), dtype=np.float32)
    keys = jax.random.split(jax.random.key(0), 2)

    def learned(flat: np.ndarray) -> np.ndarray:
        genome = network.unflatten(flat)
        newborn = network.init(genome, keys)
        lived = compiled_step(network)(network.express(genome), newborn, np.ones((2, 3), np.float32))
        return np.asarray(lived.state.layers[0].weights[1])

    diverged = flat.copy()
    diverged[0] = np.inf
    np.testing.assert_array_equal(learned(diverged), learned(flat))


def test_float16_lives_as_float32_does() -> None:
    """The outputs of 1,000 steps of the vision network's layers on the same inputs."""
    lives, steps = 3, 1000
    key = jax.random.key(0)
    inputs = jnp.tanh(jax.random.normal(key, (steps, lives, 648)))

    def outputs(storage: str) -> np.ndarray:
        network = Network(VectorEncoder(648), 3, RULES["ABCD_lr"], coefficients=storage)
        genome = network.unflatten(jax.random.normal(key, (lives, network.parameters)))
        plasticity = network.express(genome)
        assert {str(c.dtype) for layer in plasticity.coefficients for c in layer} == {storage}

        def one(state: State, observation: jax.Array) -> tuple[State, jax.Array]:
            lived = step(network, LARGEST, plasticity, state, observation)
            assert all(layer.raw.dtype == layer.scale.dtype == jnp.float32 for layer in lived.state.layers)
            return lived.state, lived.seen.activities[-1]

        newborn = network.init(genome, jax.random.split(key, lives))
        return np.asarray(jax.jit(lambda state: jax.lax.scan(one, state, inputs)[1])(newborn))

    wide, narrow = outputs("float32"), outputs("float16")
    difference = np.sqrt(np.mean((wide - narrow) ** 2)) / wide.std()
    assert 0 < difference < 2e-3


@pytest.mark.parametrize("rule", ["A", "ABCD_lr", "oja"])
def test_float16_ends_at_its_largest_number(rule: str) -> None:
    network = Network(VectorEncoder(2), 1, RULES[rule], hidden=(), coefficients="float16")
    genome = network.unflatten(np.full((1, network.parameters), -1e5, np.float32))
    (stored,) = network.express(genome).coefficients
    assert {abs(float(number)) for part in stored for number in part.ravel()} == {65504.0}


def test_a_network_is_as_old_as_the_steps_it_has_learned_through() -> None:
    for rule in (RULES["A"], None):
        network = Network(VectorEncoder(3), 2, rule, hidden=(4,))
        genome = network.unflatten(np.zeros((2, network.parameters), np.float32))
        state = network.init(genome, jax.random.split(jax.random.key(0), 2))
        for age in range(3):
            assert state.age.tolist() == [age, age]
            state = compiled_step(network)(network.express(genome), state, np.ones((2, 3), np.float32)).state


def test_outputs_that_are_not_finite_are_their_lifes_own_affair() -> None:
    """The action of a life that has diverged is one that a world can take; those beside it act as ever."""
    network = Network(VectorEncoder(2), 3, None, hidden=())
    genome = network.unflatten(np.array([[1, 2, 3, 0, 0, 0], [1, 2, np.inf, 0, 0, 0]], np.float32))
    newborn = network.init(genome, jax.random.split(jax.random.key(0), 2))
    lived = compiled_step(network)(network.express(genome), newborn, np.ones((2, 2), np.float32))
    assert lived.finite.tolist() == [True, False]
    assert lived.action.tolist() == [2, 0]
    np.testing.assert_array_equal(lived.seen.activities[-1], [[1, 2, 3], [1, 2, np.inf]])


def test_zero_weights_stay_zero() -> None:
    for name in NORMALISERS:
        network = Network(VectorEncoder(3), 2, RULES["A"], hidden=(4,), initial_weights="zeros", normaliser=name)
        genome = network.unflatten(np.zeros((1, network.parameters), np.float32))
        newborn = network.init(genome, jax.random.split(jax.random.key(0), 1))
        state = compiled_step(network)(network.express(genome), newborn, np.ones((1, 3), np.float32)).state
        assert all((np.asarray(layer.weights) == 0).all() for layer in state.layers)
