"""A cluster on loopback for tests: the real server and the real command that joins, each a process, and a small engine.

Run as a module it is one of the two, with that engine: ``serve`` or ``worker`` with the arguments of the command line.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import psutil

import generator
from generator.workers import child
from generator.workers.messages import Draw, Drawn, Hello
from tests.helpers.bad_engines import Colour, Drawing

ROOT = Path(__file__).parents[2]
TOKEN = "0123456789abcdef" * 4
# Names the version of Easel that a machine pretends to have.
OTHER_VERSION = "EASEL_TEST_VERSION"
# What only the other machine has.
MODEL = "theirs"
# What only the server's machine has.
OWN_MODEL = "ours"


class Obliging(Colour):
    """Does what the subject says: is slow, dies, reports every step, or tells the size of its photo.

    Names its process as its device.
    """

    def hello(self) -> Hello:
        return replace(super().hello(), device=f"paint box {os.getpid()}")

    def start(self, draw: Draw) -> Drawing:
        self.photo = draw.image.stat().st_size if draw.image else None
        child.REPORT_EVERY_S = 0.0 if "chatty" in draw.recipe.prompt else 0.25
        return super().start(draw)

    def step_one(self, drawing: Drawing) -> None:
        if "dies" in drawing.draw.recipe.prompt:
            os._exit(3)
        time.sleep(0.05 if "slow" in drawing.draw.recipe.prompt else 0)
        super().step_one(drawing)

    def finish(self, drawing: Drawing) -> Drawn:
        painted = super().finish(drawing)
        return replace(painted, plan={**painted.plan, "photo": self.photo})


def free_ports(count: int = 60) -> int:
    """The first of so many ports in a row that nobody listens on."""
    for first in range(20000, 32000, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as listener:
                    listener.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
    raise AssertionError("no free ports")


@dataclass
class Part:
    """The server or the other machine: a process that is started, killed and started again."""

    command: list[str]
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.helpers.cluster", *self.command],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdout=log,
                stderr=log,
            )

    def below(self) -> list[psutil.Process]:
        """All processes that it started, and those that they started."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def find(self, name: str) -> psutil.Process:
        return next(process for process in self.below() if name in " ".join(process.cmdline()))

    def kill(self) -> None:
        """Kill it alone, and see that all that it started ends by itself."""
        assert self.process is not None
        below = self.below()
        self.process.kill()
        self.process.wait()
        _, left = psutil.wait_procs(below, timeout=30)
        assert not left

    def end(self, timeout_s: float = 60) -> int:
        assert self.process is not None
        below = self.below() if self.process.poll() is None else []
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout_s)
        _, left = psutil.wait_procs(below, timeout=30)
        assert not left
        return status


@dataclass
class Parts:
    folder: Path
    socket: Path
    # Of the command that joins.
    join: list[str]
    server: Part
    machine: Part


def parts(folder: Path) -> Iterator[Parts]:
    """Start a server with one more machine, ``attic``, on loopback; end both and all that they started."""
    port, other_port = free_ports(), free_ports(70) + 70
    (folder / "token").write_text(TOKEN)
    _write_weights(folder / "weights")
    model = "{like: sd-1.5, folder: %s, licence: mine}"
    (folder / "server.yml").write_text(f"""
socket: {folder}/generator.sock
pictures: {folder}/pictures
device: cpu
step_timeout_s: 15
models: {{{MODEL}: {model % (folder / "nothing")}, {OWN_MODEL}: {model % (folder / "weights")}}}
cluster: {{listen: 127.0.0.1, port: {port}, token_file: {folder}/token, store_mb: 80}}
""")
    (folder / "machine.yml").write_text(f"device: cpu\nmodels: {{{MODEL}: {model % (folder / 'weights')}}}\n")
    join = ["--join", f"127.0.0.1:{port}", "--token-file", f"{folder}/token", "--port", str(other_port)]
    started = Parts(
        folder,
        folder / "generator.sock",
        join,
        Part(["--settings", f"{folder}/server.yml", "serve"], folder / "server.log"),
        Part(
            ["--settings", f"{folder}/machine.yml", "worker", *join, "--name", "attic", "--store-mb", "80"],
            folder / "machine.log",
        ),
    )
    started.server.start()
    started.machine.start()
    try:
        yield started
    finally:
        for part in (started.machine, started.server):
            if part.process is not None and part.process.poll() is None:
                part.end()


def _write_weights(folder: Path) -> None:
    """Make empty files where Easel looks for a model's. The small engine reads none."""
    for path in (
        *("model_index.json", "tokenizer/tokenizer_config.json", "scheduler/scheduler_config.json"),
        *("tokenizer/vocab.json", "unet/config.json", "vae/config.json", "text_encoder/config.json"),
        *("unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors"),
        "text_encoder/model.safetensors",
    ):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).touch()


def main() -> int:
    if OTHER_VERSION in os.environ:
        generator.__version__ = os.environ[OTHER_VERSION]
    from generator.__main__ import main as command
    from generator.service import server

    if "serve" in sys.argv:
        serve = server.serve
        server.serve = lambda settings: serve(settings, Obliging)
    return command(sys.argv[1:])


if __name__ == "__main__":
    # Its engine must be known to other processes by the module's real name.
    from tests.helpers import cluster

    sys.exit(cluster.main())
