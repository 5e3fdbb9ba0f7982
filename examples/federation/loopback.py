"""One SuperLink and some SuperNodes on this machine, with TLS and node keys.

What a real federation has on several machines, on 127.0.0.1: the same programs, the
same options. Needs flwr 1.40 or later, which speaks HTTP on one port.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from keys import make_certificates, make_node_key

QUIET = {
    "FLWR_TELEMETRY_ENABLED": "0",
    "FLWR_DISABLE_UPDATE_CHECK": "1",
    "FLWR_DISABLE_RUNTIME_DEPENDENCY_INSTALLATION": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
CONNECTION = "loopback"
"""Name of the connection in ``config.toml``, for ``flwr run APP loopback``."""


@dataclass
class Loopback:
    """A federation on this machine; leaving the ``with`` block ends all its processes.

    Args:
        folder: For keys, logs and Flower's own files; new or empty.
        nodes: Name of every node -> its ``--node-config``, e.g. ``{"client": "ann"}``.
        start_within: Seconds that the server has to come up.
        proxied: Whether nodes go through ``fleet_proxy.py``, as from another machine.

    Attributes:
        numbers: Name of every node -> its number, which belongs to its key.

    Example:
        >>> with Loopback(Path("fed"), {"ann": {}, "bob": {}}) as federation:
        ...     federation.flwr("run", "app", CONNECTION, "--stream")
    """

    folder: Path
    nodes: Mapping[str, Mapping[str, str | int | float | bool]]
    start_within: float = 60.0
    proxied: bool = True
    port: int = field(default_factory=lambda: free_ports(1)[0])
    fleet_port: int = field(default_factory=lambda: free_ports(1)[0])
    numbers: dict[str, int] = field(default_factory=dict, init=False)
    _started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Return where the server listens, for whoever operates it."""
        return f"127.0.0.1:{self.port}"

    @property
    def fleet_address(self) -> str:
        """Return where nodes reach the server."""
        return f"127.0.0.1:{self.fleet_port if self.proxied else self.port}"

    @property
    def home(self) -> Path:
        """Return ``FLWR_HOME`` of whoever starts runs."""
        return self.folder / "operator"

    def __enter__(self) -> Loopback:
        try:
            self._start_server()
            if self.proxied:
                self._start_proxy()
            for name in self.nodes:
                _, public = make_node_key(self.folder / "keys", name)
                self.numbers[name] = self._register(public)
                self.start_node(name, self.folder / "keys" / f"{name}.key")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self, home: Path) -> dict[str, str]:
        """Return the environment of a silent Flower program with a home of its own."""
        # Flower starts further commands by name: let it find those of this Python.
        beside = str(Path(sys.executable).parent)
        path = os.pathsep.join([beside, os.environ.get("PATH", os.defpath)])
        return {**os.environ, **QUIET, "FLWR_HOME": str(home), "PATH": path}

    def flwr(self, *words: str, timeout: float = 600) -> str:
        """Run the ``flwr`` command as whoever operates the server.

        Returns:
            What it printed.

        Raises:
            CalledProcessError: It failed.
        """
        return self.run(["flwr", *words], timeout=timeout)

    def run(self, command: Sequence[str], timeout: float = 600) -> str:
        """Run a command that talks to the server, and return what it printed."""
        done = subprocess.run(
            [program(command[0]), *command[1:]],
            env=self.environment(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
        text = done.stdout.decode(errors="replace")
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{text}")
        return text

    def _register(self, public: Path) -> int:
        said = self.flwr(
            "supernode", "register", str(public), CONNECTION, "--format", "json"
        )
        return int(json.loads(said[said.index("{") :])["node-id"])

    def start_node(
        self,
        name: str,
        key: Path | None,
        *,
        tls: bool = True,
        authority: Path | None = None,
        tries: int | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start one SuperNode; its log is ``NAME.log`` in the folder.

        Args:
            name: Of the node.
            key: Its private key; None: it has none.
            tls: Whether it speaks TLS.
            authority: Whose certificates it trusts; None: ours.
            tries: How often it tries to reach the server again; None: for ever.

        Returns:
            The process, which :meth:`stop` ends too.
        """
        authority = authority or self.folder / "keys" / "ca.crt"
        config = " ".join(
            f"{key}={_toml(value)}" for key, value in self.nodes.get(name, {}).items()
        )
        command = [
            *("flower-supernode", "--superlink", self.fleet_address),
            *("--port", str(free_ports(1)[0])),
            *(["--root-certificates", str(authority)] if tls else ["--insecure"]),
            *(["--auth-supernode-private-key", str(key)] if key else []),
            *(["--node-config", config] if config else []),
            *([] if tries is None else ["--max-retries", str(tries)]),
        ]
        return self._start(name, command)

    def stop(self) -> None:
        """End all processes, and those that they started."""
        for process in reversed(self._started):
            _end(process)
        self._started.clear()

    def log(self, name: str) -> str:
        """Return what a program has printed so far: ``server``, or a node's name."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start_server(self) -> None:
        keys = self.folder / "keys"
        make_certificates(keys)
        self.home.mkdir(mode=0o700, parents=True)
        (self.home / "config.toml").write_text(
            f'[superlink]\ndefault = "{CONNECTION}"\n\n'
            f"[superlink.{CONNECTION}]\n"
            f'address = "{self.address}"\n'
            f'root-certificates = "{(keys / "ca.crt").resolve()}"\n'
        )
        command = [
            *("flower-superlink", "--host", "127.0.0.1", "--port", str(self.port)),
            *("--ssl-certfile", str(keys / "server.crt")),
            *("--ssl-keyfile", str(keys / "server.key")),
            *("--ssl-ca-certfile", str(keys / "ca.crt")),
            *("--enable-supernode-auth", "--disable-runtime-dependency-installation"),
            *("--database", str(self.folder / "server.db")),
        ]
        self._await("server", self._start("server", command), self.port)

    def _start_proxy(self) -> None:
        keys = self.folder / "keys"
        command = [
            *("python", str(Path(__file__).with_name("fleet_proxy.py"))),
            *("--server", self.address, "--authority", str(keys / "ca.crt")),
            *("--certificate", str(keys / "server.crt")),
            *("--key", str(keys / "server.key")),
            *("--host", "127.0.0.1", "--port", str(self.fleet_port)),
        ]
        self._await("proxy", self._start("proxy", command), self.fleet_port)

    def _await(self, name: str, process: subprocess.Popen[bytes], port: int) -> None:
        end = time.monotonic() + self.start_within
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"{name} did not start:\n{self.log(name)}")
            time.sleep(0.1)

    def _start(self, name: str, command: Sequence[str]) -> subprocess.Popen[bytes]:
        home = self.folder / f"home-{name}"
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                [program(command[0]), *command[1:]],
                env=self.environment(home),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that its children end with it
            )
        self._started.append(process)
        return process


def program(name: str) -> str:
    """Find a command of the environment that this Python belongs to."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else name


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on now."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _toml(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _end(process: subprocess.Popen[bytes], patience: float = 5.0) -> None:
    """Ask a process and its children to stop, then make them."""
    for number, wait in ((signal.SIGTERM, patience), (signal.SIGKILL, patience)):
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            break
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
