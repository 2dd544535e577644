"""The program that reads the counts of an instrumented build. It must be as new as the compiler's LLVM that wrote them."""

import pathlib
import re
import shutil
import subprocess

from machine import Failure


def host(rustc):
    """Of `rustc -vV`, as x86_64-unknown-linux-gnu."""
    return re.search(r"^host: (\S+)$", rustc, re.MULTILINE)[1]


def major(text):
    """Of what `rustc -vV` or an LLVM program says of its version. None: nothing."""
    found = re.search(r"LLVM version:? (\d+)", text)
    return int(found[1]) if found else None


def profdata(rustc, sysroot, packages):
    """The path of an llvm-profdata that reads what this rustc's programs write. Debian's, if it must be installed."""
    wanted = major(rustc)
    if found := newest(places(rustc, sysroot, wanted), wanted):
        return found
    subprocess.run([packages, f"llvm-{wanted}/llvm-profdata-{wanted}"], capture_output=True)
    if found := newest(places(rustc, sysroot, wanted), wanted):
        return found
    raise Failure(f"no llvm-profdata of version {wanted} or newer; install with: rustup component add llvm-tools")


def places(rustc, sysroot, wanted):
    """Where it may be: rustup's own, then the system's."""
    of_rustup = pathlib.Path(sysroot) / "lib/rustlib" / host(rustc) / "bin/llvm-profdata"
    return [str(of_rustup), f"llvm-profdata-{wanted}", f"/usr/lib/llvm-{wanted}/bin/llvm-profdata", "llvm-profdata"]


def newest(candidates, wanted):
    """The first of these that is new enough."""
    for candidate in filter(None, map(shutil.which, candidates)):
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True).stdout
        if (major(said) or 0) >= wanted:
            return candidate
    return None
