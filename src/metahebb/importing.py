"""Code of the user's own: files by their paths, modules by their dotted names.

A file is run as a module with a name made of its whole path, so that ``queue.py`` and ``types.py`` load although Python
has modules of these names, and two files named ``env.py`` are two.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType

import gymnasium

from metahebb.errors import UsageError
from metahebb.files import check_file, user_path
from metahebb.interrupts import told

__all__ = ["REMEDY", "import_user_module", "load_file", "locate_user_module"]

REMEDY = 'What a file of your own registers is there with --import my_file.py (from Python imports=["my_file.py"]).'
"""for names that are not known: of a script's registrations no other process knows"""

_loaded: dict[Path, tuple[bytes, ModuleType]] = {}
"""the source that each file had when it was run, and its module"""
_loading: set[Path] = set()


def locate_user_module(name: str | os.PathLike[str]) -> str:
    """A module as a configuration names it: a file by its absolute path, so that it is found from any folder."""
    name = os.fspath(name)
    path = user_path("--import", os.path.expanduser(name if name.endswith(".py") else f"{name}.py"))
    return str(path.resolve()) if path.is_file() or name.endswith(".py") else name


def import_user_module(name: str) -> ModuleType:
    """Import a module of the user's by dotted name or file, once; raises UsageError in one sentence."""
    with told(f"--import {name!r}"):
        if name.endswith(".py"):
            if not user_path("--import", os.path.expanduser(name)).is_file():
                raise UsageError(f"--import {name!r}: there is no such file.")
            check_file("--import", os.path.expanduser(name))
            return load_file(Path(name))
        if importlib.util.find_spec(name.partition(".")[0]) is not None:
            return importlib.import_module(name)
        # Beside the command there is nothing to import; users mean their working directory.
        with _importable(Path.cwd()):
            return importlib.import_module(name)


def load_file(path: Path) -> ModuleType:
    """The module of a Python file, which is run when it is first asked for and again when it has changed since.

    It can import its neighbours, while it is run and afterwards. Unless there is another module of that name, it is
    known by the file's name too: entry points such as ``"my_envs:MyEnv"`` find it. Raises what the file raises, and
    UsageError for a file that, when it is run, asks for itself.
    """
    path = Path(os.path.expanduser(path)).resolve()
    source = path.read_bytes()
    if path in _loaded and _loaded[path][0] == source:
        return _loaded[path][1]
    if path in _loading:
        raise UsageError(
            f"{path.name} starts metahebb again whenever it is imported: what only the script is to do belongs under "
            'if __name__ == "__main__":.'
        )
    name = f"metahebb_user_{path.stem}_{hashlib.sha256(os.fsencode(path)).hexdigest()[:16]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    names = {name} | ({path.stem} if _is_free(path) else set())
    before = {name: sys.modules.get(name) for name in names}
    # Registered before it runs, so that what it defines can be found by name.
    sys.modules.update(dict.fromkeys(names, module))
    registered = dict(gymnasium.registry)
    _loading.add(path)
    try:
        with _importable(path.parent):
            # Not by the loader, which may take a bytecode file for the source's that was changed within a second.
            exec(compile(source, str(path), "exec"), vars(module))
        if path.stem not in names:
            _check_entry_points(path, registered)
    except BaseException:
        for name, module_before in before.items():
            sys.modules.pop(name, None)
            if module_before is not None:
                sys.modules[name] = module_before
        raise
    finally:
        _loading.discard(path)
    _loaded[path] = source, module
    return module


def _is_free(path: Path) -> bool:
    """Whether the file's name is that of no module but its own."""
    if path.stem in sys.modules:
        return path in _loaded and sys.modules[path.stem] is _loaded[path][1]
    if not path.stem.isidentifier():
        return False
    spec = importlib.util.find_spec(path.stem)
    return spec is None or (spec.origin is not None and Path(spec.origin).resolve() == path)


def _check_entry_points(path: Path, before: Mapping[str, object]) -> None:
    """Raise UsageError for an environment whose entry point names the file, if that is another module's name."""
    for identifier, spec in gymnasium.registry.items():
        entry = str(spec.entry_point)
        if before.get(identifier) is not spec and entry.partition(":")[0] == path.stem:
            raise UsageError(
                f"{str(path)!r} registers {identifier!r} with the entry point {entry!r}, but {path.stem!r} is another "
                "module here: give the class itself, entry_point=MyEnv, or the file another name."
            )


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Modules of a folder go first while something of it is imported, and last from then on.

    Last, or a file such as ``queue.py`` in it would take the place of Python's own in this process and in workers.
    """
    sys.path.insert(0, str(folder))
    # A neighbour may have been written a moment ago.
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))
        if str(folder) not in sys.path:
            sys.path.append(str(folder))
