"""Runs on a Ray cluster of several nodes on this machine: the same bits, whatever becomes of nodes and workers."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import random
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

import metahebb
from metahebb.evolution.messages import Message
from metahebb.evolution.sites import Staff
from metahebb.evolution.training import Observer
from metahebb.lifetimes.lives import Outcome
from support import Answer, alive, kill, options, result, wait_for

ray = pytest.importorskip("ray")
cluster_utils = pytest.importorskip("ray.cluster_utils")
cluster = pytest.importorskip("metahebb.evolution.cluster")
nodes = pytest.importorskip("metahebb.evolution.nodes")

pytestmark = pytest.mark.xdist_group("cluster")

CARTPOLE: dict[str, Any] = {
    "task": "gymnasium:CartPole-v1",
    "hidden": [4],
    "population": 16,
    "lives": 2,
    "generations": 20,
    "validate_every": 10,
    "validation_lives": 8,
}
MEMORY = 80 * 2**20


class Machines:
    """A cluster whose head has no cores, and nodes with one each."""

    def __init__(self) -> None:
        head = {"num_cpus": 0, "include_dashboard": False, "object_store_memory": MEMORY}
        self.cluster = cluster_utils.Cluster(initialize_head=True, head_node_args=head)
        self.nodes: list[Any] = []

    @property
    def address(self) -> str:
        return self.cluster.address

    def have(self, nodes: int) -> None:
        """Add nodes until there are so many."""
        while len(self.nodes) < nodes:
            self.nodes.append(self.cluster.add_node(wait=False, num_cpus=1, object_store_memory=MEMORY))
        self.cluster.wait_for_nodes()

    def lose(self, node: Any) -> None:
        """SIGKILL a node's raylet."""
        self.nodes.remove(node)
        os.kill(node.all_processes["raylet"][0].process.pid, signal.SIGKILL)
        self.cluster.remove_node(node, allow_graceful=False)


@pytest.fixture(scope="module")
def machines() -> Iterator[Machines]:
    made = Machines()
    yield made
    ray.shutdown()
    made.cluster.shutdown()


def processes() -> list[tuple[int, int]]:
    """(worker, actor) of all workers that are actors' processes."""
    listing = subprocess.run(["ps", "-Aww", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True)
    rows = [line.split(maxsplit=2) for line in listing.stdout.splitlines()]
    actors = {int(pid) for pid, _, command in rows if command.startswith("ray::Node")}
    workers = [(int(pid), int(parent)) for pid, parent, command in rows if "metahebb.evolution.worker" in command]
    return [(worker, actor) for worker, actor in workers if actor in actors]


class Seen(Observer):
    """The most that worked for a run at a time, and the number of restarts."""

    def __init__(self) -> None:
        self.nodes = self.restarts = 0

    def staffed(self, staff: Staff) -> None:
        self.nodes, self.restarts = max(self.nodes, staff.nodes), staff.restarts


SAME: dict[str, dict[str, Any]] = {
    "car-racing": {"task": "car-racing", "population": 6, "generations": 1, "validation_lives": 1, "hidden": [4]},
    "quadruped": {"task": "quadruped", "population": 18, "generations": 1, "validation_lives": 1, "hidden": [4]},
}


@pytest.mark.parametrize("kind", SAME)
def test_a_run_has_the_same_bits_here_and_on_one_and_three_nodes(kind: str, machines: Machines, tmp_path: Path) -> None:
    here = metahebb.train(run=tmp_path / "here", workers=1, **SAME[kind])
    machines.have(3)
    for count in (1, 3):
        seen = Seen()
        folder = tmp_path / f"nodes-{count}"
        metahebb.train(run=folder, cluster=machines.address, workers=count, observer=seen, **SAME[kind])
        assert seen.nodes == count
        assert result(folder) == result(here.folder)


KILLS = {"worker": 3, "actor": 3, "raylet": 2}


class Killer(Seen):
    """Kills workers, actors and raylets at random moments, from a thread; new nodes are added between lives."""

    def __init__(self, machines: Machines) -> None:
        super().__init__()
        self.left = [kind for kind, times in KILLS.items() for _ in range(times)]
        self._machines = machines
        self._random = random.Random(0)
        self._random.shuffle(self.left)
        self._lived = self._due = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._kill)

    def lived(self, outcome: Outcome, lives: int) -> None:
        self._lived += 1
        # Ray starts nodes in the main thread alone.
        self._machines.have(3)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _kill(self) -> None:
        while self.left and not self._over.wait(self._random.uniform(0, 0.3)):
            workers = processes()
            if self._lived < self._due or len(self._machines.nodes) < 3 or not workers:
                continue
            victim = self.left.pop()
            worker, actor = self._random.choice(workers)
            if victim == "raylet":
                self._machines.lose(self._random.choice(self._machines.nodes))
            else:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(worker if victim == "worker" else actor, signal.SIGKILL)
            # The run gets on in between, by less than two generations.
            self._due = self._lived + self._random.randrange(1, 60)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of ``CARTPOLE`` without a cluster."""
    return metahebb.train(run=tmp_path_factory.mktemp("undisturbed") / "run", workers=1, **CARTPOLE).folder


def test_a_disturbed_run_comes_to_what_an_undisturbed_one_does(
    machines: Machines, undisturbed: Path, tmp_path: Path
) -> None:
    machines.have(3)
    with Killer(machines) as killer:
        metahebb.train(run=tmp_path / "there", cluster=machines.address, observer=killer, **CARTPOLE)
    assert result(tmp_path / "there") == result(undisturbed)
    assert killer.left == []
    assert killer.restarts >= 3


def test_a_run_whose_driver_is_killed_goes_on_without_a_cluster(
    start: Callable[..., subprocess.Popen[str]], undisturbed: Path, tmp_path: Path
) -> None:
    given = options(**{name: value for name, value in CARTPOLE.items() if name != "task"} | {"hidden": 4})
    driver = start("train", CARTPOLE["task"], "--run", "killed", "--cluster", "local", "--workers", 1, *given)
    metrics = tmp_path / "killed" / "metrics.jsonl"
    wait_for(lambda: driver.poll() is not None or (metrics.exists() and metrics.read_text().count("\n") >= 2))
    before = ray_processes(driver.pid)
    assert before, driver.communicate()
    kill([driver.pid])
    # The cluster that was started for it ends with it, and its workers.
    wait_for(lambda: not any(map(alive, before)))
    metahebb.resume(tmp_path / "killed", workers=1)
    assert result(tmp_path / "killed") == result(undisturbed)


def ray_processes(driver: int) -> list[int]:
    """The processes that a driver started for a cluster of its own, and their children."""
    listing = subprocess.run(["ps", "-Aww", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    parents = {int(pid): int(parent) for pid, parent in map(str.split, listing.splitlines())}
    found = [driver]
    for process in found:
        found += [pid for pid, parent in parents.items() if parent == process]
    return found[1:]


def test_the_users_files_travel_with_a_run_and_nothing_beside_them(machines: Machines, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "my_rules.py").write_text("def mine(pre, post, weight, A):\n    return A * pre * post\n")
    (folder / "my_envs.py").write_text(
        "import pathlib\nimport gymnasium\nfrom gymnasium.envs.classic_control import CartPoleEnv\n"
        "class Travelled(CartPoleEnv):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        folder = pathlib.Path(__file__).parent\n"
        f"        assert folder == pathlib.Path({str(folder)!r}) or {{p.name for p in folder.glob('*.py')}} == "
        "{'my_rules.py', 'my_envs.py'}\n"
        f"        there = folder != pathlib.Path({str(folder)!r})\n"
        "        print('lives', 'there' if there else 'here')\n"
        "gymnasium.register('Travelled-v0', Travelled, max_episode_steps=20)\n"
    )
    (folder / "beside.py").write_text("")
    machines.have(1)
    run = metahebb.train(
        "gymnasium:Travelled-v0",
        run=tmp_path / "run",
        imports=[str(folder / "my_envs.py")],
        rule=f"{folder / 'my_rules.py'}:mine",
        cluster=machines.address,
        workers=1,
        **SMALL,
    )
    log = (run.folder / "log.txt").read_text()
    assert "lives there" in log
    assert "lives here" not in log


SMALL: dict[str, Any] = {"hidden": [4], "population": 4, "generations": 1, "validation_lives": 1}


@pytest.fixture
def refused(metahebb: Callable[..., Answer], tmp_path: Path) -> Callable[..., str]:
    """The sentence by which a run is refused, before anything is written."""

    def train(task: str, *words: object) -> str:
        answer = metahebb("train", task, "--run", tmp_path / "run", *options(hidden=4, population=4), *words)
        assert answer.code == 2
        assert not (tmp_path / "run").exists()
        assert answer.err.count("\n") == 1, answer.err
        return answer.err

    return train


@pytest.mark.parametrize(
    ("address", "sentence"),
    [
        ("127.0.0.1:1", "There is no cluster at '127.0.0.1:1' .*: start one with `ray start --head --port=1` on 127"),
        ("ray://127.0.0.1:10001", "--cluster is 'ray://127.0.0.1:10001'; it must be HOST:PORT .*, auto .*, or local"),
        ("auto", "--cluster 'auto': Ray cannot be used there .*; run metahebb on a machine of the cluster"),
    ],
)
def test_an_address_without_a_cluster(address: str, sentence: str, refused: Callable[..., str]) -> None:
    with ray_left():
        assert re.search(sentence, refused("gymnasium:CartPole-v1", "--cluster", address))


@contextlib.contextmanager
def ray_left() -> Iterator[None]:
    """Without the address of the cluster that this process has started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("RAY_ADDRESS", raising=False)
        patch.setattr(ray._private.services, "canonicalize_bootstrap_address", missing)
        yield


def missing(*_: object) -> None:
    raise ConnectionError("Could not find any running Ray instance.")


def test_without_ray(refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ray" else found(name))
    assert "--cluster needs Ray, which is not installed here: pip install 'metahebb[cluster]'" in refused(
        "gymnasium:CartPole-v1", "--cluster", "local"
    )


def test_a_cluster_without_a_free_core(
    machines: Machines, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "FREE", 1.0)
    for node in machines.nodes.copy():
        machines.lose(node)
    sentence = refused("gymnasium:CartPole-v1", "--cluster", machines.address)
    assert "has no free core: wait until others have ended, or add nodes" in sentence


def test_nodes_with_other_versions_and_without_a_file(
    machines: Machines, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machines.have(1)
    with monkeypatch.context() as patch:
        patch.setattr(nodes, "versions", lambda: {"Python": "3.11", "jax": "0.1.2"})
        sentence = refused("gymnasium:CartPole-v1", "--cluster", machines.address)
        assert re.search(
            r"The node \S+ of the cluster has jax \S+ \(here 0\.1\.2\): install the same versions", sentence
        )
    (tmp_path / "here.xml").write_text("")
    monkeypatch.setattr(cluster, "_is_path", lambda value: True)
    sentence = refused("gymnasium:FrozenLake-v1", "--cluster", machines.address, "--env-arg", "map_name=4x4")
    assert re.search(
        r"The node \S+ of the cluster does not have '4x4', which --env-arg names: only the files", sentence
    )


class Heard:
    """A process of a node that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def send(self, message: Message) -> bool:
        self.told.append(message.kind)
        return True


def test_a_node_is_told_in_order_and_workers_begin_with_what_they_are_for(monkeypatch: pytest.MonkeyPatch) -> None:
    node = nodes.Node({}, False)
    monkeypatch.setattr(node, "_start", lambda number: node._processes.update({number: Heard()}))
    monkeypatch.setattr(node, "_with_files_here", lambda message: message)
    population = Message("population")
    # As if the calls had overtaken each other.
    node.tell(3, [(1, Message("start")), (1, Message("live"))])
    node.tell(1, population)
    node.tell(2, [(1, "start"), (0, Message("live"))])
    assert node._processes == {}
    node.tell(0, [(0, "start"), (0, Message("start"))])
    node.tell(4, population)
    assert node._processes[0].told == ["start", "population", "live", "population"]
    assert node._processes[1].told == ["start", "live", "population"]
    # One that is launched, and has not been told what it is for.
    node.tell(5, [(2, "start")])
    node.tell(6, population)
    assert node._processes[2].told == []
    shutil.rmtree(node._folder)
