"""Files as the reference implementation writes them, lived as it lives them.

The files are made here, in its layout, and its life is the paper's update, Δw_ij = η·(A·o_i·o_j + B·o_i +
C·o_j + D), in NumPy and in its layout too: images with rows and columns swapped, features flattened as (channel,
column, row), weights [outputs, inputs], float64.
"""

from __future__ import annotations

import functools
import io
import itertools
import pickle
import struct
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metahebb.agents import Agent, load_agent
from metahebb.encoders import VectorEncoder
from metahebb.errors import UsageError
from metahebb.lifetimes.step import step
from metahebb.networks import Network
from metahebb.paper.reference_files import import_reference, read_array, reference_genome
from metahebb.readouts import DiscreteReadout
from metahebb.rules import RULES

Arrays = list[np.ndarray]

# Δw from a synapse's columns c, its input i and its output j.
CHANGES: dict[str, tuple[int, Callable[[Any, Any, Any], Any]]] = {
    "A": (1, lambda c, i, j: c[0] * i * j),
    "AD": (2, lambda c, i, j: c[0] * i * j + c[1]),
    "AD_lr": (3, lambda c, i, j: c[2] * (c[0] * i * j + c[1])),
    "ABC": (3, lambda c, i, j: c[0] * i * j + c[1] * i + c[2] * j),
    "ABC_lr": (4, lambda c, i, j: c[3] * (c[0] * i * j + c[1] * i + c[2] * j)),
    "ABCD": (4, lambda c, i, j: c[0] * i * j + c[1] * i + c[2] * j + c[3]),
    "ABCD_lr": (5, lambda c, i, j: c[3] * (c[0] * i * j + c[1] * i + c[2] * j + c[4])),
    "ABCD_lr_D_out": (5, lambda c, i, j: c[3] * (c[0] * i * j + c[1] * i + c[2] * j) + c[4]),
    "ABCD_lr_D_in_and_out": (6, lambda c, i, j: c[3] * (c[0] * i * j + c[1] * i + c[2] * j + c[4]) + c[5]),
}


class ReferenceLife:
    """A network of the reference, in its own layout."""

    def __init__(self, rule: str, coefficients: np.ndarray, weights: Arrays, bullet: bool = False) -> None:
        """``weights``: [outputs, inputs] of each layer."""
        self.change = CHANGES[rule][1]
        self.weights = [w.astype(float) for w in weights]
        self.coefficients = coefficients.reshape(sum(w.size for w in weights), -1).astype(float)
        self.bullet = bullet

    def act(self, inputs: np.ndarray) -> Arrays:
        first, second, last = self.weights
        one = np.tanh(first @ inputs)
        two = np.tanh(second @ one)
        out = last @ two
        return [inputs, one, two, np.tanh(out) if self.bullet else out]

    def learn(self, activities: Arrays) -> None:
        start = 0
        for k, w in enumerate(self.weights):
            pre, post = activities[k], activities[k + 1]
            # Synapses lie by input neuron, then output neuron.
            columns = self.coefficients[start : start + w.size].reshape(len(pre), len(post), -1)
            start += w.size
            for i in range(len(pre)):
                w[:, i] += self.change(columns[i].T, pre[i], post)
            if not self.bullet:
                w /= np.abs(w).max()


def reference_features(filters: np.ndarray, image: np.ndarray) -> np.ndarray:
    """648 features of an image, uint8 [96, 96, 3]."""
    # 96 → 84 by area: output k covers 8/7 of a pixel.
    resize = np.zeros((84, 96))
    for k in range(84):
        for pixel in range(96):
            resize[k, pixel] = max(0.0, min((k + 1) * 8 / 7, pixel + 1) - max(k * 8 / 7, pixel)) * 7 / 8
    small = np.einsum("yr,xc,rck->yxk", resize, resize, image / 255.0, optimize=True)
    x = small.swapaxes(0, 2)
    for kernel, stride in ((filters[:162].reshape(6, 3, 3, 3), 1), (filters[162:1362].reshape(8, 6, 5, 5), 2)):
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[2:], axis=(1, 2))[:, ::stride, ::stride]
        x = np.tanh(np.einsum("iabkl,oikl->oab", windows, kernel))
        side = x.shape[1] // 2
        x = x[:, : 2 * side, : 2 * side].reshape(len(x), side, 2, side, 2).max(axis=(2, 4))
    return x.reshape(-1)


def theirs_to_ours(vision: bool, inputs: int) -> np.ndarray:
    """The place among our input neurons of each of the reference's."""
    if not vision:
        return np.arange(inputs)
    places = np.empty(648, int)
    for channel in range(8):
        for column in range(9):
            for row in range(9):
                places[channel * 81 + column * 9 + row] = row * 72 + column * 8 + channel
    return places


def write_file(path: Path, value: Any, protocol: int = 2, entry: str = "archive/data.pkl") -> Path:
    """A file as ``torch.save`` writes it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(entry, value if isinstance(value, bytes) else pickle.dumps(value, protocol))
        archive.writestr("archive/version", "3\n")
    return path


def name_of(part: str, rule: str, initialiser: str = "uni", environment: str = "CartPole-v1", rew: int = 437) -> str:
    return f"HEBcoeffs__{environment}__rew_{rew}__{rule}__init_{initialiser}__pop_200__{part}__149.dat"


def random(seed: int, *shape: int, scale: float = 1.0) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(shape)).astype(np.float32)


def compare_lives(
    network: Network, genome: np.ndarray, reference: ReferenceLife, filters: np.ndarray | None, world: Any, steps: int
) -> None:
    """Live both on the observations that our actions bring about, and compare them at every step."""
    parts = {name: part[None] for name, part in network.unflatten(jnp.asarray(genome)).items()}
    plasticity = network.express(parts)
    state = network.init(parts, jax.random.split(jax.random.key(5), 1))
    # The actions of its readout are not used: those of the reference are made of the outputs below.
    one_step = jax.jit(functools.partial(step, network, DiscreteReadout(network.outputs)))
    places = [theirs_to_ours(filters is not None, network.encoder.features)]
    places += [np.arange(outputs) for _, outputs in network.layers]
    if network.initial_weights != "co-evolved":
        for k, layer in enumerate(state.layers):
            reference.weights[k][:] = np.asarray(layer.weights[0])[places[k]].T
    first = [w.copy() for w in reference.weights]

    observation, _ = world.reset(seed=2)
    for _ in range(steps):
        for k, layer in enumerate(state.layers):
            ours = np.asarray(layer.weights[0])[places[k]].T
            scale = np.abs(reference.weights[k]).max()
            np.testing.assert_allclose(ours, reference.weights[k], atol=2e-4 * scale, rtol=0)
        expected = reference.act(observation if filters is None else reference_features(filters, observation))
        lived = one_step(plasticity, state, jnp.asarray(observation)[None])
        state, activities = lived.state, lived.seen.activities
        for k, (ours, theirs) in enumerate(zip(activities, expected, strict=True)):
            scale = np.abs(theirs).max()
            np.testing.assert_allclose(np.asarray(ours[0])[places[k]], theirs, atol=5e-4 * scale, rtol=0)
        output = np.asarray(activities[-1][0], float)
        discrete = isinstance(world.action_space, gymnasium.spaces.Discrete)
        space = world.action_space
        action = int(output.argmax()) if discrete else np.clip(output, space.low, space.high).astype(np.float32)
        observation, _, terminated, _, _ = world.step(action)
        if terminated:
            observation, _ = world.reset()
        reference.learn(expected)
    assert all(np.abs(w - f).max() > 0.03 for w, f in zip(reference.weights, first, strict=True)), "it learned"


@pytest.mark.parametrize("rule", CHANGES)
def test_life_of_a_vector_network(rule: str, tmp_path: Path) -> None:
    synapses, columns = 4 * 128 + 128 * 64 + 64 * 2, CHANGES[rule][0]
    coefficients = random(1, synapses, columns, scale=0.3)
    # The reference leaves the axis of a single column out.
    saved = coefficients[:, 0] if rule == "A" else coefficients
    agent = import_reference([write_file(tmp_path / name_of("coeffs", rule), saved)])

    assert agent.configuration.task == "gymnasium:CartPole-v1"
    assert (agent.configuration.rule, agent.configuration.initial_weights) == (rule, "uniform")
    weights = [np.zeros((128, 4)), np.zeros((64, 128)), np.zeros((2, 64))]
    world = gymnasium.make("CartPole-v1")
    compare_lives(agent.network, agent.genome, ReferenceLife(rule, coefficients, weights), None, world, 30)


@pytest.mark.parametrize("rule", CHANGES)
def test_life_of_the_quadrupeds_network(rule: str) -> None:
    """tanh outputs that take part in learning, and no normalisation."""
    synapses, columns = 28 * 128 + 128 * 64 + 64 * 8, CHANGES[rule][0]
    network = Network(
        VectorEncoder(28),
        8,
        RULES[rule],
        (128, 64),
        output_activation="tanh",
        initial_weights="normal",
        normaliser="none",
    )
    coefficients = random(2, synapses, columns, scale=0.1)
    weights = [np.zeros((128, 28)), np.zeros((64, 128)), np.zeros((8, 64))]
    reference = ReferenceLife(rule, coefficients, weights, bullet=True)
    compare_lives(network, reference_genome(network, coefficients), reference, None, Observations(28, 8), 40)


class Observations(gymnasium.Env[np.ndarray, np.ndarray]):
    """A world of 28 smooth numbers, whatever is done in it."""

    def __init__(self, size: int, actions: int) -> None:
        self.action_space = gymnasium.spaces.Box(-1, 1, (actions,))
        self._size = size

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        self._time = 0
        return self.step(np.zeros(1))[0], {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        self._time += 1
        return np.sin(self._time * np.linspace(0.1, 2, self._size)).astype(np.float32), 0.0, False, False, {}


@pytest.mark.parametrize(
    ("rule", "initialiser", "distribution"),
    [("ABCD_lr", "uni", "normal"), ("AD_lr", "coevolve", "normal"), ("ABCD_lr_D_in_and_out", "coevolve", "uniform")],
)
def test_life_of_a_vision_network(rule: str, initialiser: str, distribution: str, tmp_path: Path) -> None:
    shapes = [(128, 648), (64, 128), (3, 64)]
    synapses = sum(out * into for out, into in shapes)
    assert synapses == 91_328
    coefficients = random(3, synapses, CHANGES[rule][0], scale=0.3)
    evolved = random(4, 1362 + (synapses if initialiser == "coevolve" else 0), scale=0.3)
    part = "coevolved_initial_weights" if initialiser == "coevolve" else "CNN_parameters"
    names = [name_of(which, rule, initialiser, "CarRacing-v0", 850) for which in (part, "coeffs")]
    # Drawn uniformly at the start, the second array has an axis more.
    saved = evolved[:, None] if distribution == "uniform" else evolved
    files = [write_file(tmp_path / n, a) for n, a in zip(names, (saved, coefficients), strict=True)]
    weights, rest = [], evolved[1362:]
    for out, into in shapes:
        weights.append(rest[: out * into].reshape(out, into) if len(rest) else np.zeros((out, into)))
        rest = rest[out * into :]

    agent = import_reference(files)

    assert agent.configuration.task == "car-racing"
    assert agent.configuration.normaliser == "max-abs"
    world = gymnasium.make("CarRacing-v3", max_episode_steps=-1)
    compare_lives(agent.network, agent.genome, ReferenceLife(rule, coefficients, weights), evolved, world, 25)


def test_named_tasks_have_the_references_networks(tmp_path: Path) -> None:
    pytest.importorskip("pybullet")
    synapses = 28 * 128 + 128 * 64 + 64 * 8
    file = write_file(tmp_path / name_of("coeffs", "ABCD_lr", environment="AntBulletEnv-v0"), random(1, synapses, 5))
    agent = import_reference([file])
    assert agent.configuration.task == "quadruped-bullet"
    assert agent.configuration.normaliser == "none"
    assert agent.network.output_activation == "tanh"


def test_agent_is_saved_and_read_back(tmp_path: Path) -> None:
    file = write_file(tmp_path / name_of("coeffs", "ABCD_lr", "xa_uni"), random(1, 8832, 5))
    agent = import_reference([file])
    assert agent.record == {"reference": {"files": [file.name], "generation": 149, "fitness": 437}}
    agent.save(tmp_path / "agent.safetensors")
    read = load_agent(tmp_path / "agent.safetensors")
    assert read.configuration == agent.configuration
    assert read.configuration.initial_weights == "xavier-uniform-0.3"
    np.testing.assert_array_equal(read.genome, agent.genome)


def test_options_go_before_names(tmp_path: Path) -> None:
    options = {"task": "gymnasium:Acrobot-v1", "rule": "ABCD_lr_D_out", "initial_weights": "normal"}
    coefficients = random(1, 6 * 128 + 128 * 64 + 64 * 3, 5)
    for name in ("any.dat", name_of("coeffs", "ABCD_lr", environment="Gone-v7")):
        agent = import_reference([write_file(tmp_path / name, coefficients)], **options)
        assert {key: getattr(agent.configuration, key) for key in options} == options


def test_squashed_actions_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for environment, observations, outputs in (("CartPole-v1", 4, 2), ("Pendulum-v1", 3, 1)):
        coefficients = random(1, observations * 128 + 128 * 64 + 64 * outputs, 5)
        import_reference([write_file(tmp_path / name_of("coeffs", "ABCD_lr", environment=environment), coefficients)])
    (record,) = caplog.records
    assert "gymnasium:Pendulum-v1" in record.getMessage()


@pytest.mark.parametrize("protocol", range(2, 5))
@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_kind_are_read(protocol: int, dtype: str, order: Any, tmp_path: Path) -> None:
    array = random(1, 5, 3).astype(dtype, order=order)
    np.testing.assert_array_equal(read_array(write_file(tmp_path / "a.dat", array, protocol)), array)


def test_modules_of_older_numpy_are_known(tmp_path: Path) -> None:
    array = random(1, 5, 3)
    here = pickle.dumps(array, 2)
    for module in (b"numpy.core.multiarray", b"numpy._core.multiarray"):
        data = here.replace(b"numpy._core.multiarray", module)
        np.testing.assert_array_equal(read_array(write_file(tmp_path / "a.dat", data)), array)


class Evil:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call


def test_malicious_pickles_run_nothing(tmp_path: Path) -> None:
    import os

    touched = tmp_path / "touched"
    for value in (
        Evil(os.system, f"touch {touched}"),
        Evil(eval, f"open({str(touched)!r}, 'w')"),
        Evil(np.load, str(touched)),
        (random(1, 2), Evil(touched.touch)),
    ):
        with pytest.raises(UsageError, match=r"is refused: it asks for .*nothing was run"):
            read_array(write_file(tmp_path / "a.dat", value))
    assert not touched.exists()


def zip_of(data: bytes, **says: int) -> bytes:
    """An archive with this as its pickle, whose two headers say something else of it."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", data)
    content = bytearray(file.getvalue())
    places = {"file_size": (22, 24), "compress_size": (18, 20), "compress_type": (8, 10)}
    for name, value in says.items():
        for signature, place in zip((b"PK\x03\x04", b"PK\x01\x02"), places[name], strict=True):
            form = "<H" if name == "compress_type" else "<I"
            struct.pack_into(form, content, content.index(signature) + place, value)
    return bytes(content)


WHOLE = pickle.dumps(random(1, 50, 3), 2)
NESTED = b"\x80\x02" + b")" + b"q\x00h\x00\x86" * 30_000
HOSTILE = {
    "nothing": b"",
    "cut short": WHOLE[:100],
    "cut late": WHOLE[:-20],
    "a dictionary": pickle.dumps({"coefficients": 1}),
    "a list": pickle.dumps([random(1, 2)]),
    "objects": pickle.dumps(np.array([object], dtype=object)[:0], 2),
    "whole numbers": pickle.dumps(np.arange(5), 2),
    "texts": pickle.dumps(np.array(["text"]), 2),
    "three axes": pickle.dumps(random(1, 2, 2, 2), 2),
    "a shape of many": WHOLE.replace(b"K2K\x03", b"J\xff\xff\xff\x7fK\x03"),
    "a negative shape": WHOLE.replace(b"K2K\x03", b"J\xff\xff\xff\xffK\x03"),
    "an array without a state": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\n).",
    "an array without arguments": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nNR.",
    "attributes": b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nN}X\x06\x00\x00\x00valuesK\x01s\x86b.",
    "attributes of a function": b"\x80\x02c_codecs\nencode\n}X\x01\x00\x00\x00aK\x01sb.",
    # What claims much, or takes for ever.
    "a memo of four billion": b"\x80\x02Nr\xff\xff\xff\xff.",
    "a bytearray of three gigabytes": b"\x80\x05\x96" + struct.pack("<Q", 3 << 30) + b"x.",
    "bytes of three gigabytes": b"\x80\x04\x8e" + struct.pack("<Q", 3 << 30) + b"x.",
    "a frame of three gigabytes": b"\x80\x04\x95" + struct.pack("<Q", 3 << 30) + b"N.",
    "30 KB of opcodes": b"\x80\x02" + b"N2" * 15_000 + b".",
    "tuples of tuples": NESTED + b".",
    "a name of nested tuples": NESTED[: 2 + 5 * 30] + b"h\x00\x93.",
    "a shape of nested tuples": NESTED[: 2 + 5 * 15] + b"0" + WHOLE[2:].replace(b"K2K\x03", b"h\x00K\x03"),
    "220 KB of punycode": b"\x80\x02c_codecs\nencode\nX" + struct.pack("<I", 220_000) + "ä".encode() * 110_000
    + b"X\x08\x00\x00\x00punycode\x86R.",
    "punycode as an array's": WHOLE.replace(b"X\x06\x00\x00\x00latin1", b"X\x08\x00\x00\x00punycode"),
    "a number of many digits": b"\x80\x02L" + b"9" * 200_000 + b"L\n.",
    "a number of many bytes": b"\x80\x02\x8b" + struct.pack("<I", 1 << 20) + b"\x7f" * (1 << 20) + b".",
    "a name of a megabyte": b"\x80\x02c" + b"a" * (1 << 20) + b"\nb\n.",
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_and_damaged_pickles_are_one_sentence(case: str, tmp_path: Path) -> None:
    path = write_file(tmp_path / "a.dat", HOSTILE[case] or b"\x00")
    assert_refused(path)


ARCHIVES = {
    "a pickle of three gigabytes": zip_of(WHOLE, file_size=3 << 30),
    "a compressed one": zip_of(zlib.compress(b"\x00" * (1 << 28))[2:-4], file_size=1 << 28, compress_type=8),
    "both sizes": zip_of(WHOLE, file_size=3 << 30, compress_size=3 << 30),
    "many entries": zip_of(WHOLE) + b"PK\x01\x02" * 100,
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_hostile_archives_are_one_sentence(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    path.write_bytes(ARCHIVES[case])
    assert_refused(path)


def test_a_file_of_hundreds_of_megabytes_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.dat"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    assert_refused(path, "it has 1,073,741,824 bytes")


def assert_refused(path: Path, why: str = "") -> None:
    """In one short sentence, and in memory of the order of the file's size."""
    tracemalloc.start()
    try:
        with pytest.raises(UsageError, match=r"is not a file that the reference wrote|is refused") as raised:
            read_array(path)
        assert tracemalloc.get_traced_memory()[1] < 10 * min(path.stat().st_size, 1 << 25) + (1 << 20)
    finally:
        tracemalloc.stop()
    assert why in str(raised.value)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 600


@given(data=st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_changed_in_a_file_it_is_an_array_or_one_sentence(data: st.DataObject, tmp_path: Path) -> None:
    protocol = data.draw(st.integers(2, 4))
    pickled = bytearray(pickle.dumps(random(1, 6, 5), protocol))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(pickled)))
        end = start + data.draw(st.sampled_from([0, 1, 2, 8]))
        pickled[start:end] = data.draw(
            st.binary(max_size=6) | st.sampled_from([b"q\x00", b"h\x00", b"\x86", b"(", b"R"])
        )
    path = write_file(tmp_path / "a.dat", bytes(pickled))
    if data.draw(st.booleans()):
        archive = bytearray(path.read_bytes())
        archive[data.draw(st.integers(0, len(archive) - 1))] ^= data.draw(st.integers(1, 255))
        path.write_bytes(archive)
    try:
        array = read_array(path)
    except UsageError:
        assert_refused(path)
    else:
        assert array.dtype.kind == "f"
        assert 1 <= array.ndim <= 2
        assert array.nbytes < path.stat().st_size


def test_a_module_in_a_files_name_is_not_imported(tmp_path: Path) -> None:
    file = write_file(tmp_path / name_of("coeffs", "ABCD_lr", environment="this:CartPole-v1"), random(1, 8832, 5))
    with pytest.raises(UsageError, match=r"says the environment 'this:CartPole-v1', with a module; give --task"):
        import_reference([file])
    assert "this" not in sys.modules


def test_damaged_files_are_one_sentence(tmp_path: Path) -> None:
    whole = write_file(tmp_path / "whole.dat", random(1, 50, 3)).read_bytes()
    damaged = tmp_path / "damaged.dat"
    for data in (b"", whole[: len(whole) // 2], whole[:-1][:-60], b"text", whole.replace(b"data.pkl", b"data.txt")):
        damaged.write_bytes(data)
        with pytest.raises(UsageError, match="is not a file that the reference wrote"):
            read_array(damaged)
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 0xFF
    damaged.write_bytes(flipped)
    with pytest.raises(UsageError, match="CRC"):
        read_array(damaged)
    with pytest.raises(UsageError, match="There is no file"):
        read_array(tmp_path / "missing.dat")


def test_what_does_not_fit_is_one_sentence(tmp_path: Path) -> None:
    folders = map(str, itertools.count())

    def file(part: str, *shape: int, **names: Any) -> Path:
        folder = tmp_path / next(folders)
        folder.mkdir()
        return write_file(folder / name_of(part, **{"rule": "ABCD_lr", **names}), random(1, *shape))

    fitting = (8832, 5)
    cases: list[tuple[list[Path], dict[str, str], str]] = [
        ([], {}, "0 files were given"),
        ([file("coeffs", 8832, 4)], {}, "has 4 columns; rule 'ABCD_lr' has 5 .*, and 4 have: ABC_lr, ABCD"),
        ([file("coeffs", 8000, 5)], {}, r"has 8,000 synapses; the task's network has 8,832 \(4×128"),
        ([file("coeffs", *fitting), file("CNN_parameters", 1362)], {}, "needs no second file.*one of 1,362"),
        ([file("coeffs", *fitting, initialiser="coevolve")], {}, "second file of 8,832 .*none was given"),
        ([file("coeffs", *fitting), file("CNN_parameters", 1362, rew=5)], {}, "not the two files of one generation"),
        ([file("coeffs", *fitting), file("coeffs", *fitting)], {}, "not the two files of one generation"),
        ([file("coeffs", *fitting, rule="neuralHebb")], {}, "Unknown rule of the reference 'neuralHebb'"),
        ([file("coeffs", *fitting, initialiser="odd")], {}, "Unknown initialiser of the reference 'odd'"),
        ([file("coeffs", *fitting)], {"initial_weights": "odd"}, "Unknown initial weights 'odd'"),
        ([file("coeffs", *fitting)], {"rule": "oja"}, "Unknown rule of the reference 'oja'"),
        ([file("coeffs", *fitting, environment="HopperBulletEnv-v0")], {}, "only AntBulletEnv-v0"),
        ([file("coeffs", *fitting, environment="Nothing-v0")], {}, "Unknown environment 'Nothing-v0'"),
        (
            [write_file(tmp_path / "a.dat", random(1, *fitting))],
            {},
            "'a.dat' does not say the environment; give --task",
        ),
        ([write_file(tmp_path / "b.dat", np.full(fitting, np.nan))], {"task": "gymnasium:CartPole-v1"}, "say the rule"),
    ]
    for files, options, sentence in cases:
        with pytest.raises(UsageError, match=sentence) as raised:
            import_reference(files, **options)
        assert "\n" not in str(raised.value)
    with pytest.raises(UsageError, match="not finite"):
        import_reference([tmp_path / "b.dat"], task="gymnasium:CartPole-v1", rule="ABCD_lr", initial_weights="uniform")


def test_agents_are_of_one_kind(tmp_path: Path) -> None:
    assert isinstance(import_reference([write_file(tmp_path / name_of("coeffs", "ABC"), random(1, 8832, 3))]), Agent)
