"""A user's files load by their paths, whatever they are called; their environments and rules reach the workers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import gymnasium
import pytest

import metahebb as package
from metahebb.errors import UsageError
from metahebb.importing import import_user_module, load_file, locate_user_module
from metahebb.rules import load_rule
from support import ENVIRONMENTS, Answer, options

SMALL = options(population=2, generations=1, validation_lives=1, workers=1, hidden=4)


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever files do to the path and to the modules is undone."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "modules", sys.modules)


def environments_in(folder: Path, name: str, identifier: str, entry: str = "Ours") -> Path:
    """A file that registers an environment whose lives end after ``TURNS`` steps, which a neighbour says."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(
        "import gymnasium, numpy as np\n"
        f"import neighbour_{folder.name}\n\n"
        "class Ours(gymnasium.Env):\n"
        "    observation_space = gymnasium.spaces.Box(-1, 1, (2,))\n"
        "    action_space = gymnasium.spaces.Discrete(2)\n\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        super().reset(seed=seed)\n"
        "        self.age = 0\n"
        "        return np.ones(2, np.float32), {}\n\n"
        "    def step(self, action):\n"
        f"        from neighbour_{folder.name} import TURNS\n"
        "        self.age += 1\n"
        "        return np.ones(2, np.float32), 1.0, self.age == TURNS, False, {}\n\n"
        f"gymnasium.register({identifier!r}, entry_point={entry}, max_episode_steps=1000)\n"
    )
    (folder / f"neighbour_{folder.name}.py").write_text("TURNS = 7\n")
    return path


@pytest.mark.parametrize("name", ["queue.py", "platform.py", "types.py", "my envs.py", "env.v2.py"])
def test_a_file_of_any_name_loads_beside_its_neighbours_and_in_workers(
    name: str, metahebb: Callable[..., Answer], tmp_path: Path
) -> None:
    identifier = f"Named{name.encode().hex()}-v0"
    path = environments_in(tmp_path / f"f{name.encode().hex()}", name, identifier)
    before = sys.modules.get(path.stem)
    code, out, err = metahebb("train", f"gymnasium:{identifier}", "--import", path, "--run", tmp_path / "run", *SMALL)
    assert (code, err) == (0, "")
    assert "Best validation score: 7.00" in out
    assert before is None or sys.modules[path.stem] is before
    # Afterwards Python's own modules go first again.
    assert sys.path.index(str(path.parent)) > max(i for i, place in enumerate(sys.path) if "site-packages" in place)


def test_two_files_of_one_name_are_two(tmp_path: Path) -> None:
    paths = [environments_in(tmp_path / folder, "env_twice.py", f"Twice-{folder}-v0") for folder in ("a", "b")]
    for path in paths:
        import_user_module(str(path))
    classes = [gymnasium.spec(f"Twice-{folder}-v0").entry_point for folder in ("a", "b")]
    assert classes[0] is not classes[1]
    assert [load_file(path).Ours for path in paths] == classes


def test_an_entry_point_names_the_file_where_no_other_module_has_that_name(tmp_path: Path) -> None:
    path = environments_in(tmp_path / "first", "env_by_name.py", "ByName-v0", '"env_by_name:Ours"')
    import_user_module(str(path))
    assert type(gymnasium.make("ByName-v0").unwrapped) is load_file(path).Ours
    for folder, name in (("second", "env_by_name.py"), ("third", "queue.py")):
        entry = f'"{name.removesuffix(".py")}:Ours"'
        other = environments_in(tmp_path / folder, name, f"ByName-{folder}-v0", entry)
        for _ in range(2):
            with pytest.raises(UsageError, match=r"is another module here: give the class itself, entry_point=MyEnv"):
                import_user_module(str(other))


def test_a_file_is_run_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "counted.py"
    path.write_text("VALUE = 1")
    module = load_file(path)
    assert load_file(path) is module
    # As long as before, and within the second that a bytecode file would tell apart.
    path.write_text("VALUE = 2")
    assert load_file(path).VALUE == 2
    path.write_text("VALUE = nothing")
    with pytest.raises(UsageError, match=r"counted.py' raised NameError: name 'nothing' is not defined"):
        import_user_module(str(path))
    path.unlink()
    with pytest.raises(UsageError, match=r"counted.py': there is no such file"):
        import_user_module(str(path))
    assert [file.name for file in tmp_path.iterdir()] == []


def test_a_rule_file_imports_its_neighbours_and_may_be_called_like_a_module_of_pythons(tmp_path: Path) -> None:
    for folder, factor in (("one", 2.0), ("other", 3.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / f"factors_{folder}.py").write_text(f"FACTOR = {factor}\n")
        (tmp_path / folder / "types.py").write_text(
            f"from factors_{folder} import FACTOR\n"
            "def grow(pre, post, weight, A):\n    return FACTOR * A * pre * post\n"
        )
        assert load_rule("types.py:grow", tmp_path / folder)(1.0, 1.0, 0.0, 5.0) == 5 * factor


def test_a_dotted_name_is_looked_for_where_the_user_works_but_after_what_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_package").mkdir()
    (tmp_path / "their_package" / "__init__.py").write_text("")
    (tmp_path / "their_package" / "envs.py").write_text("HERE = True")
    monkeypatch.chdir(tmp_path)
    assert locate_user_module("their_package.envs") == "their_package.envs"
    assert import_user_module("their_package.envs").HERE
    assert sys.path[-1] == str(tmp_path)


SCRIPT = """
import gymnasium
import metahebb
from my_target import Target

gymnasium.register("InAScript-v0", entry_point=Target)
{guard}metahebb.train("gymnasium:InAScript-v0", run="run", workers=1, hidden=(4,), population=2, generations=1,
    validation_lives=1{imports})
"""


@pytest.mark.parametrize(
    ("guard", "imports", "says"),
    [
        ("", "", "Unknown environment 'InAScript-v0'"),
        ("", ", imports=[__file__]", "script.py starts metahebb again whenever it is imported"),
        ('if __name__ == "__main__":\n    ', ", imports=[__file__]", None),
    ],
)
def test_what_only_a_script_registers_is_told_and_nothing_is_left(
    guard: str, imports: str, says: str | None, tmp_path: Path
) -> None:
    (tmp_path / "my_target.py").write_text(ENVIRONMENTS.read_text().partition("class Deadly")[0])
    (tmp_path / "script.py").write_text(SCRIPT.format(guard=guard, imports=imports))
    before = {path.name for path in tmp_path.iterdir()} | {"__pycache__"}
    done = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True)
    if says is None:
        assert done.returncode == 0, done.stderr
        assert len(package.open_run(tmp_path / "run").metrics()) == 1
        return
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("metahebb.errors.UsageError: ")
    assert says in last
    assert "imports=[" in last or "__main__" in last
    assert {path.name for path in tmp_path.iterdir()} <= before
