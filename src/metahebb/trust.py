"""The Python code that a configuration names: whether it is the same code, and whether it may be run.

Agents and runs travel. In their files code is named by the bare names of files beside them, each with its SHA-256, or
by the dotted names of installed modules; nothing else is written. What a file names is run where this user has trained
with it before, or says so (``--trust-code``).

In memory a configuration names files by absolute paths. A file that the user gave is run where it lies as long as it is
unchanged, so that it finds its neighbours. A copy beside an agent is run from a temporary folder in which nothing lies
but the code that the agent names: what lies beside the agent is never imported.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

import platformdirs

from metahebb.configuration import Configuration
from metahebb.errors import RunError, UsageError, quoted
from metahebb.files import WriteError, read_file, reason_of, user_path, write_file
from metahebb.interrupts import undo_at_end
from metahebb.tasks.gymnasium import PREFIX

__all__ = [
    "Code", "check_unchanged", "code_of", "copy_code", "find_code", "new_folder", "remember", "signed", "split_task",
    "with_code",
]  # fmt: skip


@dataclass(frozen=True)
class Code:
    """A file or a module that a configuration names."""

    name: str
    """a file's path, which ends in .py, or a module's dotted name"""
    digest: str | None = None
    """SHA-256 of the file; None for a module, and where nothing says it"""
    rule: bool = False
    """whether it is the rule's file rather than an import"""

    @property
    def is_file(self) -> bool:
        return self.rule or self.name.endswith(".py")


def split_task(task: str) -> tuple[str, tuple[str, ...]]:
    """A task without the module that Gymnasium would import for its id (``gymnasium:module:id``), and that module."""
    if not task.startswith(PREFIX):
        return task, ()
    module, colon, identifier = task.removeprefix(PREFIX).rpartition(":")
    return f"{PREFIX}{identifier}", (module,) if colon else ()


def code_of(configuration: Configuration) -> list[Code]:
    """The code that a configuration names: a user's rule, then the imports in their order."""
    c = configuration
    own = ":" in c.rule and not c.static
    digests = (*c.import_digests, *[""] * len(c.imports))
    return [Code(c.rule.rpartition(":")[0], c.rule_digest, rule=True)] * own + [
        Code(name, digest or None) for name, digest in zip(c.imports, digests, strict=False)
    ]


def with_code(configuration: Configuration, code: Sequence[Code]) -> Configuration:
    """The configuration with other code in the place of its own (see ``code_of``)."""
    imports = [its for its in code if not its.rule]
    changed = dataclasses.replace(
        configuration,
        imports=tuple(its.name for its in imports),
        import_digests=tuple(its.digest or "" for its in imports) if any(its.digest for its in imports) else (),
        rule_digest=None,
    )
    for its in code:
        if its.rule:
            rule = f"{its.name}:{configuration.rule.rpartition(':')[2]}"
            changed = dataclasses.replace(changed, rule=rule, rule_digest=its.digest)
    return changed


def signed(configuration: Configuration) -> Configuration:
    """The configuration with the SHA-256 of each of its files, as it is now."""
    return with_code(configuration, [_signed(its) for its in code_of(configuration)])


def check_unchanged(configuration: Configuration) -> None:
    """Raise RunError if a file is no longer the one of the configuration: who reads it now would live by another."""
    for its in code_of(configuration):
        if its.digest is not None and not _is_unchanged(Path(its.name), its.digest):
            raise RunError(
                f"The file {quoted(its.name)} has changed while it was in use: begin again, "
                "or, if that was a run, go on with --resume, by its own copy."
            )


def copy_code(code: Sequence[Code], folder: Path) -> list[Code]:
    """Copy files into ``folder``; the code as it is named there.

    Raises UsageError, before anything is written, for what cannot travel: a module that is not installed, two files of
    one name, a file that has changed since it was read, another file where a copy would lie.
    """
    contents: dict[str, bytes] = {}
    named = []
    for its in code:
        if not its.is_file:
            _check_installed(its.name, "--import")
            named.append(its)
            continue
        copy = folder / Path(its.name).name
        # A copy that is there already is as good, though the file that it was made of may have changed.
        content = _content(copy if copy.exists() else Path(its.name))
        digest = its.digest or _signed(its).digest
        if _digest(content) != digest:
            other = copy if copy.exists() else its.name
            raise UsageError(
                f"{quoted(other)} is not {quoted(its.name)} as it was first read, which has to lie in "
                f"{quoted(folder)}: choose another folder, or give the file another name."
            )
        named.append(dataclasses.replace(its, name=_add(contents, its.name, content), digest=digest))
    for name, content in contents.items():
        if not (folder / name).exists():
            write_file("The file", folder / name, content)
    return named


def find_code(code: Sequence[Code], folder: Path, source: str, trust_code: bool = False) -> list[Code]:
    """The code that a file in ``folder`` names, by the paths that it may be run from; the reverse of ``copy_code``.

    ``source`` is what a sentence calls the file. Raises UsageError for code that no file may name, that is missing or
    changed, and, unless ``trust_code``, for what this user has not trained with.
    """
    contents: dict[str, bytes] = {}
    for its in code:
        if its.is_file:
            contents[its.name] = _verified(its, folder, source)
        else:
            _check_installed(its.name, source)
    found = [dataclasses.replace(its, digest=_digest(contents[its.name])) if its.is_file else its for its in code]
    unknown = [its for its in found if _origin(its) is None]
    if unknown and not trust_code:
        named = ", ".join(quoted(folder / its.name if its.is_file else its.name) for its in unknown)
        raise UsageError(
            f"{source} would run Python code that you have not trained with: {named}. It can do whatever you can; read "
            "it, and if you trust it, give --trust-code (from Python trust_code=True)."
        )
    for its in unknown:
        # Who trusts an earlier version's absolute path trusts what lies there.
        _here[_key(its)] = its.name if Path(its.name).is_absolute() else ""
    places: dict[Code, str] = {}
    # The imports are neighbours: one of them as it is beside the agent and another as it is now would be a mixture.
    for group in ([its for its in found if its.rule], [its for its in found if its.is_file and not its.rule]):
        origins = {its: _origin(its) or "" for its in group}
        if not all(_is_unchanged(Path(origin), its.digest) for its, origin in origins.items()):
            copies: dict[str, bytes] = {}
            for its in group:
                _add(copies, its.name, contents[its.name])
            folder = _folder_of(copies)
            origins = {its: str(folder / Path(its.name).name) for its in group}
        places |= origins
    return [dataclasses.replace(its, name=places.get(its, its.name)) for its in found]


def _add(contents: dict[str, bytes], path: str, content: bytes) -> str:
    """Add what is in a file under its bare name, which is returned; raises UsageError if another file has it."""
    name = Path(path).name
    if contents.setdefault(name, content) != content:
        raise UsageError(f"Two different files are named {quoted(name)}; give one of them another name.")
    return name


def _verified(its: Code, folder: Path, source: str) -> bytes:
    """What is in a file that another file names."""
    bare = Path(its.name).name == its.name == PureWindowsPath(its.name).name and its.name.endswith(".py")
    # Earlier versions wrote imports, and nothing else, by their absolute paths.
    if not (bare and its.digest) and (its.rule or not Path(its.name).is_absolute()):
        raise UsageError(
            f"{source} names the code {quoted(its.name)}; a file may name a file beside it, "
            "by its bare name and its SHA-256."
        )
    path = user_path("The file", folder / its.name).absolute()
    remedy = "put it back" if its.rule else "put it back, or give another of that name with --import"
    if not os.path.isfile(path):
        raise UsageError(f"{source} needs the file {quoted(path)}, which is not there; {remedy}.")
    content = _content(path)
    if its.digest not in (None, _digest(content)):
        raise UsageError(f"{source} was made with another {quoted(path)} than lies there now; {remedy}.")
    return content


def _check_installed(module: str, source: str) -> None:
    """Raise UsageError for a module that is not installed, or in whose place another would be imported here."""
    top = module.partition(".")[0]
    named = all(part.isidentifier() for part in module.split(".")) and len(module) < 256
    if not named or (origin := _installed(top)) is None:
        raise UsageError(
            f"{source} names the module {quoted(module)}, which is not installed, and so cannot be found from "
            "elsewhere: install its package, or give its file with --import."
        )
    with contextlib.suppress(ValueError):
        here = importlib.util.find_spec(top)
        if here is not None and (here.origin or "") == origin:
            return
    raise UsageError(
        f"{source} names the module {quoted(module)}, which is installed as {quoted(origin)}, but another would be "
        "imported in its place; go to another folder."
    )


@functools.cache
def _installed(module: str) -> str | None:
    """Where Python finds a top-level module outside of the working directory and the script's folder."""
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.find_spec(sys.argv[1])\n"
        "sys.exit(2) if spec is None else print(spec.origin or '')"
    )
    found = subprocess.run([sys.executable, "-P", "-c", code, module], capture_output=True, text=True)
    return found.stdout.strip() if found.returncode == 0 else None


def _content(path: Path) -> bytes:
    return read_file("The file", path)


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _is_unchanged(path: Path, digest: str | None) -> bool:
    with contextlib.suppress(OSError):
        return os.path.isfile(path) and _digest(path.read_bytes()) == digest
    return False


def _signed(its: Code) -> Code:
    return dataclasses.replace(its, digest=_digest(_content(Path(its.name)))) if its.is_file else its


# --- What this user has trained with, and where it runs from


_here: dict[str, str] = {}
"""What this process has been given or told to trust, as it is kept in the user's data folder (see ``remember``)."""
_folders: set[Path] = set()
_made: dict[frozenset[tuple[str, str]], Path] = {}


def remember(configuration: Configuration) -> None:
    """Keep in mind that the user trains with a configuration's code, for the runs and agents that come of it.

    In the user's data folder each file has one of its own, named by its SHA-256, with the path that the user gave.
    Where that folder cannot be written, this process alone remembers.
    """
    for its in code_of(configuration):
        origin = its.name if its.is_file and Path(its.name).parent not in _folders else ""
        before = _remembered(its)
        _here[_key(its)] = origin or before or ""
        if (memory := _memory()) is not None and _here[_key(its)] != before:
            with contextlib.suppress(OSError, WriteError):
                memory.mkdir(parents=True, exist_ok=True)
                write_file("The file", memory / _key(its), os.fsencode(_here[_key(its)]))


def _memory() -> Path | None:
    try:
        folder = Path(platformdirs.user_data_dir("metahebb")) / "trained-with"
    except RuntimeError:
        # Nobody's home is known, as in a container whose user has no entry.
        return None
    # Earlier versions of platformdirs return an unexpanded ~ there.
    return folder if folder.is_absolute() else None


def _key(its: Code) -> str:
    return its.digest or f"module {its.name}"


def _remembered(its: Code) -> str | None:
    with contextlib.suppress(OSError, ValueError):
        if (memory := _memory()) is not None:
            return os.fsdecode((memory / _key(its)).read_bytes())
    return None


def _origin(its: Code) -> str | None:
    """The path of a file that the user gave, empty where there is none; None for code that the user has not given."""
    if here := _here.get(_key(its)):
        return here
    kept = _remembered(its)
    return _here.get(_key(its)) if kept is None else kept


def _folder_of(contents: Mapping[str, bytes]) -> Path:
    """A folder with nothing but these files; the same files have one folder in a process."""
    key = frozenset((name, _digest(content)) for name, content in contents.items())
    if key not in _made:
        _made[key] = new_folder()
        for name, content in contents.items():
            (_made[key] / name).write_bytes(content)
    return _made[key]


def new_folder() -> Path:
    """A temporary folder for code, which lasts as long as this process."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="metahebb-")).resolve()
    except OSError as e:
        raise UsageError(f"There is no folder for temporary files ({reason_of(e)}); let TMPDIR be one.") from e
    undo_at_end(functools.partial(shutil.rmtree, folder, ignore_errors=True))
    _folders.add(folder)
    return folder
