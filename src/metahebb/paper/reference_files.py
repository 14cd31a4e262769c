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

import io
import logging
import math
import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
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
LARGEST_PICKLE = 1 << 28
"""bytes; a hundred times the vision network's"""


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
    if len(files) not in (1, 2):
        raise UsageError(f"{len(files)} files were given; the reference writes one for an agent, or two.")
    # The file that is named so holds the coefficients, else the first.
    files = sorted(map(Path, files), key=lambda file: _part(file) not in ("coeffs", None))
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
    """The NumPy array of floats in a file of the reference; nothing that the file names is imported or run.

    Raises UsageError for a file that is missing, cut off, or holds anything else.
    """
    if not user_path("The file", file).is_file():
        raise UsageError(f"There is no file {str(file)!r}.")
    try:
        with zipfile.ZipFile(file) as archive:
            entry = next((e for e in archive.infolist() if e.filename.endswith("/data.pkl")), None)
            if entry is None:
                raise ValueError("it holds no pickle")
            if entry.file_size > LARGEST_PICKLE:
                raise ValueError(f"its array has {entry.file_size:,} bytes")
            loaded = _ArrayUnpickler(io.BytesIO(archive.read(entry))).load()
        if not isinstance(loaded, _Array):
            raise ValueError("it holds no NumPy array")
        return loaded.values
    except UsageError as e:
        raise UsageError(f"{str(file)!r} is refused: {e}") from e
    except Exception as e:
        # A damaged or hostile file can make the zip reader and the pickle machine raise anything.
        reason = str(e).partition("\n")[0] or type(e).__name__
        raise UsageError(f"{str(file)!r} is not a file that the reference wrote, or it is cut off ({reason}).") from e


class _Dtype:
    """Stands for ``numpy.dtype`` in a pickle: the code, and the byte order from its state."""

    __slots__ = ("code",)

    def __init__(self, code: str, *_: object) -> None:
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.code = state[1] + self.code


class _Array:
    """Stands for an array in a pickle: its state is (version, shape, dtype, Fortran order, bytes)."""

    __slots__ = ("values",)

    def __init__(self, *_: object) -> None: ...

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, dtype, fortran, data = state
        if dtype.code not in ("<f4", "<f8", ">f4", ">f8"):
            raise ValueError(f"its array is of {dtype.code!r}")
        self.values = np.frombuffer(data, dtype.code).reshape(shape, order="F" if fortran else "C")


_STANDS_FOR: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy._core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Dtype,
    # How pickles of protocol 2 hold bytes.
    ("_codecs", "encode"): str.encode,
}
"""All that a file may name. NumPy's own functions trust a pickle's state; these do not."""


# The machine written in Python: a hostile memo index makes the one in C allocate gigabytes.
class _ArrayUnpickler(pickle._Unpickler):
    """An unpickler for NumPy arrays of floats, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STANDS_FOR[module, name]
        except KeyError:
            what = f"{module}.{name}".encode("unicode_escape").decode()
            raise UsageError(f"it asks for {what}, and only NumPy arrays are read; nothing was run.") from None
