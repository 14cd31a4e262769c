"""Agents of the files that the paper's published implementation (enajx/HebbianMetaLearning) writes.

A run of it writes one file of rule coefficients and, beside it, the filters of a network that sees images or
the co-evolved initial weights (filters first). Each is a NumPy array in a pickle in a zip, and its name tells
what it is:

    HEBcoeffs__<environment>__rew_<n>__<rule>__init_<initialiser>__pop_<n>__<part>__<generation>.dat

========================= ======================== =======================================================
part                      shape                    order
========================= ======================== =======================================================
coeffs                    (synapses, coefficients) layer, input neuron, output neuron; columns as the rule's
CNN_parameters            (162 + 1,200,)           both convolutions: out, in, columns, rows
coevolved_initial_weights (filters + synapses,)    as above; then layer, *output* neuron, input neuron
========================= ======================== =======================================================

It swaps the rows and columns of an image and flattens its features as (channel, column, row); here they are
(row, column, channel). What is imported is put into our order, so that the agent sees images as they are.
"""

from __future__ import annotations

import enum
import io
import logging
import math
import pickletools
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from metahebb.agents import Agent
from metahebb.assembly import configure
from metahebb.encoders import ImageEncoder
from metahebb.errors import UsageError, unknown
from metahebb.files import user_path
from metahebb.initial_weights import CO_EVOLVED
from metahebb.networks import Network
from metahebb.readouts import BoxReadout
from metahebb.rules import RULES
from metahebb.settings import Names

__all__ = ["import_reference", "read_array", "reference_genome"]

logger = logging.getLogger("metahebb")

TASKS = {"CarRacing-v0": "car-racing", "AntBulletEnv-v0": "quadruped-bullet"}
"""Our names of its environments; every other is ``gymnasium:<environment>``."""

PAPER_TASKS = ("car-racing", "quadruped", "quadruped-bullet")
"""The paper's own tasks: they bring the reference's normaliser and readout."""

RULE_NAMES = ("A", "AD", "AD_lr", "ABC", "ABC_lr", "ABCD", "ABCD_lr", "ABCD_lr_D_out", "ABCD_lr_D_in_and_out")
"""The rules that it has; their names are ours."""

INITIALISERS = {
    "uni": "uniform",
    "normal": "normal",
    "uni_big": "unit-uniform",
    "xa_uni": "xavier-uniform-0.3",
    "xa_uni_big": "xavier-uniform",
    "ka_uni": "kaiming-uniform",
    "sparse": "sparse",
    "default": "torch-linear",
    "ones": "ones",
    "zeros": "zeros",
    "coevolve": CO_EVOLVED,
}
"""Our names of its initialisers."""

HIDDEN = (128, 64)

LARGEST_FILE = 1 << 25
"""bytes; five times that of the vision network with six coefficients a synapse, in float64"""
MOST_ENTRIES = 32
"""of an archive; PyTorch writes six"""
MOST_STEPS = 128
"""of a pickle; that of an array has about sixty"""


_NAME = re.compile(
    r"HEBcoeffs__(?P<environment>.+)__rew_(?P<fitness>-?\d+)__(?P<rule>.+)__init_(?P<initialiser>.+)"
    r"__pop_(?P<population>\d+)__(?P<part>coeffs|CNN_parameters|coevolved_initial_weights)__(?P<generation>\d+)\.dat"
)


def import_reference(
    files: Sequence[Path],
    *,
    task: str | None = None,
    rule: str | None = None,
    initial_weights: str | None = None,
) -> Agent:
    """The agent of a run's files: its coefficients and, where it has them, its filters or co-evolved weights.

    ``task``, ``rule`` and ``initial_weights`` (our names) go before what the files' names say. Raises
    UsageError, in one sentence, for files that are missing, cut off, of something else, of different runs or
    networks, and for names that say too little.
    """
    files = [Path(file) for file in Names().read("files", files)]
    if len(files) not in (1, 2):
        raise UsageError(f"{len(files)} files were given; the reference writes one for an agent, or two.")
    # The file that is named so holds the coefficients, else the first.
    files.sort(key=lambda file: _part(file) not in ("coeffs", None))
    said = _said_by_names(files)
    if task is None:
        task = _our_task(_required(said, "environment", files, "--task car-racing or gymnasium:<id>"))
    if rule is None:
        rule = _required(said, "rule", files, f"--rule {', '.join(RULE_NAMES)}")
    if rule not in RULE_NAMES:
        raise unknown("rule of the reference", rule, RULE_NAMES)
    if initial_weights is None:
        accepted = f"--initial-weights {', '.join(INITIALISERS.values())}"
        initialiser = _required(said, "initialiser", files, accepted)
        if initialiser not in INITIALISERS:
            raise unknown("initialiser of the reference", initialiser, INITIALISERS)
        initial_weights = INITIALISERS[initialiser]
    arrays = [read_array(file) for file in files]
    configuration, made, network = configure(
        task,
        rule=rule,
        initial_weights=initial_weights,
        hidden=HIDDEN,
        activation="tanh",
        coefficients="float32",
        normalise_observations=False,
        # The reference has this one for all but the paper's tasks.
        normaliser=None if task in PAPER_TASKS else "max-abs",
    )
    genome = reference_genome(network, *arrays)
    if task not in PAPER_TASKS and isinstance(made.readout, BoxReadout) and np.isfinite(made.readout.low).any():
        logger.warning(
            "The reference clips actions to the bounds of %s, metahebb squashes them into these by tanh: "
            "for the same observations this agent learns as it did there, but its actions differ.",
            task,
        )
    made_of = {"files": [file.name for file in files]}
    record = made_of | {name: int(said[name]) for name in ("generation", "fitness") if name in said}
    return Agent(configuration, genome, {"reference": record})


def _part(file: Path) -> str | None:
    match = _NAME.fullmatch(file.name)
    return match["part"] if match else None


def _said_by_names(files: Sequence[Path]) -> dict[str, str]:
    """What the files' names say of their run, in the reference's words; UsageError if the runs differ."""
    said = [match.groupdict() for file in files if (match := _NAME.fullmatch(file.name))]
    parts = {names.pop("part") for names in said}
    if len(parts) < len(said) or any(names != said[0] for names in said):
        names = " and ".join(repr(file.name) for file in files)
        raise UsageError(f"By their names {names} are not the two files of one generation of one run.")
    return said[0] if said else {}


def _required(said: Mapping[str, str], what: str, files: Sequence[Path], option: str) -> str:
    if what not in said:
        raise UsageError(f"The name {files[0].name!r} does not say the {what}; give {option}.")
    return said[what]


def _our_task(environment: str) -> str:
    if environment not in TASKS and environment[-12:-6] == "Bullet":
        raise UsageError(f"Of Bullet's environments only AntBulletEnv-v0 can be imported, not {environment!r}.")
    if ":" in environment:
        raise UsageError(f"The file's name says the environment {environment!r}, with a module; give --task instead.")
    return TASKS.get(environment, f"gymnasium:{environment}")


def reference_genome(network: Network, coefficients: np.ndarray, evolved: np.ndarray | None = None) -> np.ndarray:
    """The flat genome, float32 [parameters], of a network that the reference evolved.

    ``coefficients`` [synapses, coefficients] and ``evolved``, the filters or co-evolved weights, are in the
    reference's order. Raises UsageError if they are not this network's.
    """
    assert network.rule is not None
    genes = network.genes
    columns = coefficients.shape[1] if coefficients.ndim == 2 else 1
    if columns != len(genes):
        fitting = [name for name in RULE_NAMES if len(RULES[name].coefficients) == columns]
        raise UsageError(
            f"The file of coefficients has {columns} columns; rule {network.rule.name!r} has {len(genes)} "
            f"({', '.join(genes)}), and {columns} have: {', '.join(fitting) or 'no rules'}."
        )
    if coefficients.size != network.synapses * columns:
        layers = " + ".join(f"{inputs}×{outputs}" for inputs, outputs in network.layers)
        raise UsageError(
            f"The file of coefficients has {coefficients.size // columns:,} synapses; "
            f"the task's network has {network.synapses:,} ({layers})."
        )
    expected = network.parameters - network.synaptic_parameters
    given = 0 if evolved is None else evolved.size
    if given != expected:
        needed = f"a second file of {expected:,} filters and initial weights" if expected else "no second file"
        raise UsageError(
            f"The task's network with {network.initial_weights!r} initial weights needs {needed} beside its "
            f"coefficients; {f'one of {given:,} numbers' if given else 'none'} was given."
        )
    parts = _layers(network, coefficients.reshape(network.synapses, columns))
    if evolved is not None:
        parts |= _filters_and_weights(network, evolved.ravel())
    genome = network.flatten(parts)
    if not np.isfinite(genome).all():
        raise UsageError("The reference's files contain numbers that are not finite.")
    return genome


def _layers(network: Network, table: np.ndarray) -> dict[str, np.ndarray]:
    parts: dict[str, np.ndarray] = {}
    for i, (inputs, outputs) in enumerate(network.layers):
        rows, table = table[: inputs * outputs], table[inputs * outputs :]
        layer = _our_inputs(network, i, rows.reshape(inputs, outputs, -1))
        parts |= {f"layers.{i}.{gene}": layer[..., column] for column, gene in enumerate(network.genes)}
    return parts


def _filters_and_weights(network: Network, numbers: np.ndarray) -> dict[str, np.ndarray]:
    parts: dict[str, np.ndarray] = {}
    for name, shape in network.encoder.filters.items():
        kernel, numbers = numbers[: math.prod(shape)], numbers[math.prod(shape) :]
        parts[name] = kernel.reshape(shape).swapaxes(2, 3)
    if network.initial_weights == CO_EVOLVED:
        for i, (inputs, outputs) in enumerate(network.layers):
            weights, numbers = numbers[: inputs * outputs], numbers[inputs * outputs :]
            parts[f"initial.{i}"] = _our_inputs(network, i, weights.reshape(outputs, inputs).T)
    return parts


def _our_inputs(network: Network, layer: int, values: np.ndarray) -> np.ndarray:
    """Values [inputs, …] of a layer with its input neurons in our order."""
    if layer > 0 or not isinstance(network.encoder, ImageEncoder):
        return values
    side = network.encoder.POOLED_2
    by_feature = values.reshape(network.encoder.FILTERS_2, side, side, -1)
    return by_feature.transpose(2, 1, 0, 3).reshape(values.shape)


def read_array(file: Path) -> np.ndarray:
    """The NumPy array of floats, of one axis or two, in a file of the reference.

    Nothing that the file names is imported or run, and reading it takes a small multiple of its own size, whatever it
    claims. Raises UsageError for a file that is missing, cut off, or holds anything else.
    """
    if not user_path("The file", file).is_file():
        raise UsageError(f"There is no file {str(file)!r}.")
    try:
        return _array_in(_pickle_in(file))
    except UsageError as e:
        raise UsageError(f"{str(file)!r} is refused: {e}") from e
    except Exception as e:
        # A damaged or hostile file can make the zip reader and the pickle's decoders raise anything.
        reason = str(e).partition("\n")[0][:200] or type(e).__name__
        raise UsageError(f"{str(file)!r} is not a file that the reference wrote, or it is cut off ({reason}).") from e


def _pickle_in(file: Path) -> bytes:
    """The pickle in an archive as ``torch.save`` writes it: a few entries, none of them compressed."""
    if file.stat().st_size > LARGEST_FILE:
        raise ValueError(f"it has {file.stat().st_size:,} bytes")
    content = file.read_bytes()
    # Each has its signature in the archive's directory, which is read as a whole.
    if content.count(b"PK\x01\x02") > MOST_ENTRIES:
        raise ValueError("it has too many entries")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entry = next((e for e in archive.infolist() if e.filename.endswith("/data.pkl")), None)
        if entry is None:
            raise ValueError("it holds no pickle")
        if entry.compress_type != zipfile.ZIP_STORED or not entry.file_size == entry.compress_size < len(content):
            raise ValueError(f"its array claims {entry.file_size:,} bytes")
        return archive.read(entry)


class _Name(enum.Enum):
    """What a pickle of an array names."""

    ARRAY, CLASS, DTYPE, BYTES = range(4)


_NAMES: Mapping[tuple[str, str], _Name] = {
    ("numpy.core.multiarray", "_reconstruct"): _Name.ARRAY,
    ("numpy._core.multiarray", "_reconstruct"): _Name.ARRAY,
    ("numpy", "ndarray"): _Name.CLASS,
    ("numpy", "dtype"): _Name.DTYPE,
    # How pickles of protocol 2 hold bytes.
    ("_codecs", "encode"): _Name.BYTES,
}
"""All that a file may name."""


@dataclass(eq=False)
class _Made:
    """Stands for what a pickle makes by calling what it names, and for the state that it then gives it."""

    by: _Name
    arguments: tuple[Any, ...]
    state: Any = None


def _array_in(data: bytes) -> np.ndarray:
    """The array that a pickle describes; nothing that it says is called."""
    match _stack_of(data):
        case [_Made(_Name.ARRAY, state=(_, tuple(shape), _Made(_Name.DTYPE) as dtype, fortran, held))]:
            pass
        case _:
            raise ValueError("it holds no NumPy array")
    match dtype:
        case _Made(arguments=("f4" | "f8" as code, *_), state=(_, "<" | ">" as order, *_)):
            pass
        case _:
            raise ValueError("its array is not one of floats")
    match held:
        case _Made(_Name.BYTES, (str(text), "latin1")):
            held = text.encode("latin1")
    if not isinstance(held, bytes) or not 1 <= len(shape) <= 2 or not all(type(n) is int and n >= 0 for n in shape):
        raise ValueError("its array is not laid out as the reference's are")
    return np.frombuffer(held, order + code).reshape(shape, order="F" if fortran is True else "C")


def _stack_of(data: bytes) -> list[Any]:
    """What is on the stack of a pickle when it stops.

    This knows the steps that make an array and no other; each adds no more to the stack than it reads of the file.
    """
    stack: list[Any] = []
    marks: list[int] = []
    memo: dict[int, Any] = {}
    steps: Iterator[tuple[Any, Any, Any]] = pickletools.genops(data)
    for number, (opcode, value, _) in enumerate(steps):
        if number >= MOST_STEPS:
            raise ValueError("its pickle has too many steps")
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case (
                "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINUNICODE" | "SHORT_BINUNICODE" | "BINUNICODE8"
                | "BINBYTES" | "SHORT_BINBYTES" | "BINBYTES8"
            ):  # fmt: skip
                stack.append(value)
            case "NONE" | "NEWTRUE" | "NEWFALSE":
                stack.append({"NONE": None, "NEWTRUE": True, "NEWFALSE": False}[opcode.name])
            case "MARK":
                marks.append(len(stack))
            case "EMPTY_TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3" | "TUPLE":
                sizes = {"EMPTY_TUPLE": 0, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
                first = marks.pop() if opcode.name == "TUPLE" else len(stack) - sizes[opcode.name]
                stack[first:] = [tuple(stack[first:])]
            case "GLOBAL":
                stack.append(_name(*value.split(" ", 1)))
            case "STACK_GLOBAL":
                stack[-2:] = [_name(*stack[-2:])]
            case "REDUCE":
                stack[-2:] = [_Made(*stack[-2:])]
            case "BUILD":
                state = stack.pop()
                stack[-1].state = state
            case "MEMOIZE":
                memo[len(memo)] = stack[-1]
            case "BINPUT" | "LONG_BINPUT":
                memo[value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case _:
                raise ValueError(f"its pickle has a step {opcode.name}")
    return stack


def _name(module: Any, name: Any) -> _Name:
    # Their types first: to look up a nested tuple may take for ever.
    if not isinstance(module, str) or not isinstance(name, str):
        raise ValueError("its pickle names what is no name")
    if (module, name) not in _NAMES:
        what = f"{module}.{name}"[:100].encode("unicode_escape").decode()
        raise UsageError(f"it asks for {what}, and only NumPy arrays are read; nothing was run.")
    return _NAMES[module, name]
