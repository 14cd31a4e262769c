"""A run's workers on a Ray cluster: one actor for each machine (``nodes``), and what is said between it and the run.

Ray starts the actors, says which machines there are, and carries messages: those for a machine in batches, a
population's mean once for each machine. A machine that leaves takes its workers with it; their lives are lived
elsewhere. One that joins is given workers. Ray is the extra ``cluster``; nothing else imports it.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import logging
import os
import queue
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from metahebb.configuration import Configuration
from metahebb.errors import UsageError, quoted, raised
from metahebb.evolution.messages import Message
from metahebb.evolution.sites import JOINED, Channel, Hear, Site
from metahebb.trust import code_of, copy_code, new_folder

if TYPE_CHECKING:
    from metahebb.evolution.nodes import Facts, Said

__all__ = ["LOCAL", "RayCluster", "address_of_this", "connected", "free_cores"]

logger = logging.getLogger("metahebb")

LOCAL = "local"
"""The address that stands for a cluster which is started here, of this machine alone"""
REACHED = 5.0
"""Seconds for the cluster's port to answer"""
PLACED = 60.0
"""Seconds for a node to start the actor that it was asked for"""
FREE = 10.0
"""Seconds for cores to become free: those of a run that has just ended are not at once"""
PAUSE, LOOK = 1.0, 1.0
"""Seconds between two looks for nodes that have joined, and that a look waits for those that it has found"""
GONE = 40.0
"""Seconds without the cluster's head that end a run; after a minute Ray would end the process"""
ADDERS, ADDED = 16, 120.0
"""Nodes that add up sums of noise, at most: each has something from each other; and seconds that it may take"""
CLOSING = 5.0
"""Seconds for a machine's workers to end"""


@contextlib.contextmanager
def connected(address: str) -> Iterator[None]:
    """Within, this process belongs to the cluster at an address; one that it belongs to already is used as it is.

    Raises UsageError where there is none, or none that this process can belong to.
    """
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--cluster needs Ray, which is not installed here: pip install 'metahebb[cluster]'.")
    _check_address(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    import ray

    if ray.is_initialized():
        yield
        return
    # What becomes of machines is told by the run; Ray would print the last lines of its log on standard output.
    ray._private.worker.print_to_stdstream = lambda data, *_, **__: logger.debug("Ray: %s", " ".join(data["lines"]))
    logging.getLogger("ray").setLevel(logging.ERROR)
    quiet: dict[str, Any] = {"log_to_driver": False, "configure_logging": False, "logging_level": logging.ERROR}
    if address == LOCAL:
        from metahebb.resources import cores

        quiet |= {"num_cpus": cores(), "include_dashboard": False}
    # Ray takes SIGTERM for itself.
    before = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address, **quiet)
    except Exception as e:
        raise UsageError(
            f"--cluster {quoted(address)}: Ray cannot be used there ({raised(e).rstrip('.')}); run metahebb on a "
            "machine of the cluster, with the cluster's versions of Python and Ray."
        ) from e
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)
    try:
        yield
    finally:
        ray.shutdown()


def address_of_this() -> str:
    """The address of the cluster that this process belongs to, by which others reach it."""
    import ray

    return ray.get_runtime_context().gcs_address


def free_cores() -> int:
    """The free cores of the cluster that this process belongs to."""
    from ray._private.state import available_resources_per_node

    return sum(int(free.get("CPU", 0)) for free in available_resources_per_node().values())


def _check_address(address: str) -> None:
    if address in (LOCAL, "auto"):
        return
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit() or "/" in host:
        raise UsageError(
            f"--cluster is {quoted(address)}; it must be HOST:PORT (Ray's own port, as `ray start --head` prints it), "
            f"auto for the cluster that this machine belongs to, or {LOCAL} to start one here."
        )
    try:
        socket.create_connection((host, int(port)), REACHED).close()
    except (OSError, OverflowError) as e:
        raise UsageError(
            f"There is no cluster at {quoted(address)} ({raised(e)}): start one with `ray start --head --port={port}` "
            f"on {host}, or give --cluster {LOCAL}."
        ) from e


class RayCluster(Site):
    """Workers for a configuration on the machines of the cluster that this process belongs to.

    ``workers``: at most so many; by default one for each core that is free.
    """

    accelerated = False

    def __init__(self, configuration: Configuration, address: str, workers: int | None) -> None:
        self._address = address
        self._limit = workers
        self._files = _files_of(configuration)
        self._paths = [value for value in configuration.env_args.values() if _is_path(value)]
        self._machines: list[_Machine] = []
        self._asked: dict[Any, _Machine] = {}
        """nodes that have been asked to start workers, by the reference of their answer"""
        self._refused: set[str] = set()
        self._changing = threading.Lock()
        self._closed = threading.Event()

    def open(self, hear: Hear, log_output: Callable[[str], None]) -> Sequence[Channel]:
        self._hear, self._log_output = hear, log_output
        began = time.monotonic()
        machines: list[_Machine] = []
        try:
            while not machines or self._asked:
                machines += self._look(must=True)
                waited = time.monotonic() - began
                if not machines and not self._asked and waited > FREE:
                    raise UsageError(
                        f"The cluster {quoted(self._address)} has no free core: wait until others have ended, or add "
                        "nodes."
                    )
                if not machines and waited > PLACED:
                    raise UsageError(
                        f"No node of the cluster {quoted(self._address)} started a worker in {PLACED:.0f} seconds: see "
                        "what `ray status` says."
                    )
                if waited > PLACED:
                    break
        except BaseException:
            self.close()
            raise
        threading.Thread(target=self._watch, daemon=True).start()
        return [channel for machine in machines for channel in machine.started()]

    def replacement(self, lost: Channel) -> Channel | None:
        assert isinstance(lost, _OnMachine)
        return lost.machine.start()

    def send_all(self, channels: Sequence[Channel], message: Message) -> None:
        import ray

        # A machine has it once, however many workers there are.
        reference = ray.put(message)
        for machine in self._machines.copy():
            machine.outbox.put(reference)

    def add_up(self, sums: Sequence[tuple[Channel, Message]]) -> np.ndarray | None:
        """As the base's, bit for bit, but where the sums are: each of some nodes adds up a slice of the parameters.

        All sums of a large population would be more than the run's own node can take in.
        """
        import ray

        units: dict[_Machine, list[int]] = {}
        for channel, message in sums:
            assert isinstance(channel, _OnMachine)
            units.setdefault(channel.machine, []).append(message.fields["unit"])
        machines = list(units)
        owner = {unit: number for number, machine in enumerate(machines) for unit in units[machine]}
        adders = machines[:ADDERS]
        try:
            parts = [
                machine.actor.parts.options(num_returns=len(adders)).remote(units[machine], len(adders))
                for machine in machines
            ]
            owners = [owner[message.fields["unit"]] for _, message in sums]
            slices = [
                adder.actor.add.remote(owners, *(part[number] if len(adders) > 1 else part for part in parts))
                for number, adder in enumerate(adders)
            ]
            return np.concatenate(ray.get(slices, timeout=ADDED))
        except ray.exceptions.RayError as e:
            logger.info("Sums of noise are lost: %s", raised(e))
            return None

    def close(self) -> None:
        self._closed.set()
        with self._changing:
            machines, self._machines = [*self._machines, *self._asked.values()], []
        ends = [machine.end() for machine in machines]
        for machine, end in zip(machines, ends, strict=True):
            machine.kill_after(end, CLOSING)

    def _look(self, must: bool) -> list[_Machine]:
        """Ask nodes with free cores to start workers, and wait a while; those that have answered, ready to start them.

        Where they ``must`` be as they have to be, UsageError is raised if one is not.
        """
        import ray

        for identifier, (name, cores) in self._free().items():
            machine = _Machine(self, identifier, name, cores, self._files)
            self._asked[machine.actor.facts.remote(self._paths)] = machine
        answered, _ = (
            ray.wait(list(self._asked), num_returns=len(self._asked), timeout=LOOK) if self._asked else ([], [])
        )
        for reference in [reference for reference, machine in self._asked.items() if machine.age > PLACED]:
            ray.kill(self._asked.pop(reference).actor)
        ready = []
        for reference in answered:
            machine = self._asked.pop(reference)
            try:
                fault = self._fault_of(ray.get(reference))
            except ray.exceptions.RayError as e:
                fault = _fault_in_starting(e)
            if fault is None:
                ready.append(machine)
                continue
            ray.kill(machine.actor)
            if fault and must:
                raise UsageError(f"The node {machine.name} of the cluster {fault}.")
            if fault:
                self._refused.add(machine.identifier)
                logger.warning("The node %s that has joined the cluster %s; it is left out.", machine.name, fault)
        with self._changing:
            if self._closed.is_set():
                for machine in [*ready, *self._asked.values()]:
                    ray.kill(machine.actor)
                return []
            self._machines += ready
        return ready

    def _free(self) -> dict[str, tuple[str, int]]:
        """(name, cores) of each node that has free cores, by its Ray identifier, as many as are still wanted."""
        import ray
        from ray._private.state import available_resources_per_node

        free = available_resources_per_node()
        asked = {machine.identifier for machine in self._asked.values()}
        wanted = float("inf")
        if self._limit is not None:
            wanted = self._limit - sum(machine.cores for machine in [*self._machines, *self._asked.values()])
        shares = {}
        for node in ray.nodes():
            identifier = node["NodeID"]
            cores = int(min(free.get(identifier, {}).get("CPU", 0), wanted))
            if node["Alive"] and cores > 0 and identifier not in self._refused | asked:
                # Several may be on one machine.
                shares[identifier] = f"{node['NodeManagerHostname']}/{identifier[:6]}", cores
                wanted -= cores
        return shares

    def _fault_of(self, facts: Facts) -> str | None:
        """What keeps a machine from living lives as this one would."""
        from metahebb.evolution.nodes import versions

        differing = [
            f"{name} {facts.versions[name]} (here {version})"
            for name, version in versions().items()
            if facts.versions.get(name, version) != version
        ]
        if differing:
            return f"has {', '.join(differing)}: install the same versions everywhere"
        if facts.missing:
            return (
                f"does not have {quoted(facts.missing[0])}, which --env-arg names: only the files of --rule and "
                "--import travel with a run; put it at the same path on every node"
            )
        return None

    def _watch(self) -> None:
        """Give workers to nodes that join, or have cores free again; end the run where the cluster's head is gone."""
        host, _, port = address_of_this().rpartition(":")
        reached = time.monotonic()
        while not self._closed.wait(PAUSE):
            try:
                socket.create_connection((host, int(port)), REACHED).close()
            except OSError:
                if time.monotonic() - reached > GONE:
                    sentence = (
                        f"The head of the cluster {quoted(self._address)} is gone: go on with --resume, on another "
                        "cluster or none."
                    )
                    for channel in [c for machine in self._machines for c in machine.channels.values()][:1]:
                        self._hear(channel, Message("failed", {"sentence": sentence}))
                    return
                continue
            reached = time.monotonic()
            # What does not answer now may do so later.
            with contextlib.suppress(Exception):
                for machine in self._look(must=False):
                    logger.info("The node %s has joined, with %d workers.", machine.name, machine.cores)
                    for channel in machine.started():
                        self._hear(channel, Message(JOINED))

    def lost(self, machine: _Machine) -> None:
        """A machine, or its actor, is gone, and with it its workers."""
        with self._changing, contextlib.suppress(ValueError):
            self._machines.remove(machine)
        for channel in machine.gone():
            self._hear(channel, None)

    def heard(self, channel: _OnMachine, said: Said) -> None:
        """Pass on what a worker said, or what became of it."""
        match said.what:
            case "message":
                message: Message = said.content
                if message.kind == "failed":
                    where = f"{message.fields['sentence'].rstrip('.')} (on the node {channel.node})."
                    message = Message("failed", {**message.fields, "sentence": where})
                channel.pulse.answered()
                self._hear(channel, message)
            case "printed":
                self._log_output(said.content)
            case "started":
                channel.process = said.content
            case "ended":
                channel.how, words = said.content
                channel.last_words.extend(words)
                self._hear(channel, None)


class _Machine:
    """The actor of a machine and its workers, as the run has them."""

    def __init__(self, site: RayCluster, identifier: str, name: str, cores: int, files: Mapping[str, bytes]) -> None:
        self.identifier, self.name, self.cores = identifier, name, cores
        self.channels: dict[int, _OnMachine] = {}
        self.outbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._site = site
        self._numbers = itertools.count()
        self._changing = threading.Lock()
        self._ended = self._gone = False
        self._asked = time.monotonic()
        self.actor = self._new_actor(files)

    def _new_actor(self, files: Mapping[str, bytes]) -> Any:
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        from metahebb.evolution.nodes import Node

        return (
            ray.remote(concurrency_groups={"tell": 1, "hear": 1, "add": 2})(Node)  # type: ignore[call-overload]
            .options(
                num_cpus=self.cores,
                scheduling_strategy=NodeAffinitySchedulingStrategy(self.identifier, soft=False),
            )
            .remote(files, self._site.accelerated)
        )

    @property
    def age(self) -> float:
        """Seconds since it was asked for."""
        return time.monotonic() - self._asked

    def started(self) -> list[_OnMachine]:
        """Its workers, one for each core."""
        for work in (self._send, self._listen):
            threading.Thread(target=work, daemon=True).start()
        return [channel for _ in range(self.cores) if (channel := self.start()) is not None]

    def start(self) -> _OnMachine | None:
        """Another worker; None where the machine is gone."""
        channel = _OnMachine(self, next(self._numbers))
        with self._changing:
            if self._gone:
                return None
            self.channels[channel.number] = channel
        self.outbox.put((channel.number, "start"))
        return channel

    def gone(self) -> list[_OnMachine]:
        """Take note that it is gone; the workers that are with it."""
        with self._changing:
            self._gone = True
            channels, self.channels = list(self.channels.values()), {}
        self.outbox.put(None)
        for channel in channels:
            channel.lost, channel.how = True, "was lost with its node"
        return channels

    def end(self) -> Any:
        """Begin to end all of it."""
        self._ended = True
        self.outbox.put(None)
        return self.actor.end.remote()

    def kill_after(self, end: Any, seconds: float) -> None:
        """End what has not ended in time, and the actor."""
        import ray

        with contextlib.suppress(Exception):
            ray.wait([end], timeout=seconds)
        with contextlib.suppress(Exception):
            ray.kill(self.actor)

    def _send(self) -> None:
        """Send what there is, together; a reference goes alone, so that Ray brings what it refers to."""
        waiting: list[Any] = []
        for turn in itertools.count():
            told = waiting or [self.outbox.get()]
            waiting = []
            while isinstance(told[-1], tuple) and not self.outbox.empty():
                told.append(self.outbox.get())
            if not isinstance(told[-1], tuple) and len(told) > 1:
                waiting = [told.pop()]
            if told == [None]:
                return
            with contextlib.suppress(Exception):
                # Its death is for the listener to notice.
                self.actor.tell.remote(turn, told if isinstance(told[0], tuple) else told[0])

    def _listen(self) -> None:
        import ray

        try:
            while True:
                said, beats = ray.get(self.actor.hear.remote())
                for number, beat in beats.items():
                    if number in self.channels:
                        self.channels[number].pulse.beat(beat)
                for one in said:
                    if one.number in self.channels:
                        channel = self.channels[one.number]
                        if one.what == "ended":
                            del self.channels[one.number]
                        self._site.heard(channel, one)
        except Exception as e:
            if self._ended:
                return
            logger.info("The node %s is lost: %s", self.name, raised(e))
            with contextlib.suppress(Exception):
                # It may be alive, and only out of reach; nobody listens to it any more.
                ray.kill(self.actor)
            self._site.lost(self)


class _OnMachine(Channel):
    """A worker on a machine of the cluster."""

    def __init__(self, machine: _Machine, number: int) -> None:
        super().__init__()
        self.machine, self.number = machine, number
        self.node = machine.name
        self.process = 0
        self.how: str | None = None

    @property
    def pid(self) -> int:
        return self.process

    @property
    def alive(self) -> bool:
        return self.how is None

    @property
    def ended(self) -> str:
        assert self.how is not None
        return self.how

    def send(self, message: Message) -> bool:
        self.machine.outbox.put((self.number, message))
        return self.alive

    def kill(self) -> None:
        self.machine.outbox.put((self.number, "kill"))

    def begin_to_close(self) -> None:
        # They end with the machine's actor, all at once.
        pass

    def close(self) -> None:
        pass


def _files_of(configuration: Configuration) -> dict[str, bytes]:
    """The code of the user's own that travels, by its paths here."""
    code, folder = code_of(configuration), new_folder()
    copied = zip(code, copy_code(code, folder), strict=True)
    return {its.name: (folder / Path(copy.name).name).read_bytes() for its, copy in copied if its.is_file}


def _is_path(value: object) -> bool:
    return isinstance(value, str) and os.path.isabs(value) and os.path.exists(value)


def _fault_in_starting(error: Exception) -> str:
    """What keeps an actor from starting; empty where that is the loss of its machine."""
    if "ModuleNotFoundError" in str(error):
        missing = str(error).rpartition("No module named")[2].strip().splitlines()[0]
        return f"has no module {missing}: install metahebb[cluster] there, with what the task needs"
    return ""
