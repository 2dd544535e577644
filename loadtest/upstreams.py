"""What answers behind the proxies: nginx, or the generator where nginx cannot (gRPC, WebSocket echo).

Stable and canary are two ports of one process, unless a scenario kills the canary: then each has a process of its own.
"""

import contextlib
import pathlib
import re
import resource

import machine

CONFIG = pathlib.Path(__file__).resolve().parent / "upstream/nginx.conf"
BODIES = {"body-64k": 64 << 10, "body-1m": 1 << 20}


@contextlib.contextmanager
def running(scenario, shape, places, generator, core, log):
    """Starts the upstreams and yields the process id of each variant."""
    write_bodies(places)
    ports = {variant: places[variant] for variant in ("stable", "canary")}
    apart = scenario.disturbance == "death"
    groups = [[variant] for variant in ports] if apart else [list(ports)]
    with contextlib.ExitStack() as stack:
        pids = {}
        for variants in groups:
            if scenario.own_upstream:
                command = [generator, "serve", *(f"{variant}=127.0.0.1:{ports[variant]}" for variant in variants)]
            else:
                command = nginx(variants, shape, places)
            pid = stack.enter_context(machine.running(command, core, log, ports[variants[0]]))
            pids |= dict.fromkeys(variants, pid)
        yield pids


def write_bodies(places):
    for name, size in BODIES.items():
        path = pathlib.Path(places["dir"]) / name
        if not path.exists():
            path.write_bytes(b"b" * size)


def nginx(variants, shape, places):
    name = f"upstream-{'-'.join(variants)}"
    config = pathlib.Path(places["dir"]) / f"{name}.conf"
    words = {"dir": places["dir"], "name": name, "stable": places["stable"], "canary": places["canary"]}
    words |= {"listen": listen_lines(variants, shape, places), "files": resource.getrlimit(resource.RLIMIT_NOFILE)[0]}
    config.write_text(re.sub(r"@([a-z]+)@", lambda found: str(words[found[1]]), CONFIG.read_text()))
    return ["nginx", "-p", places["dir"], "-e", f"{places['dir']}/{name}.log", "-c", str(config)]


def listen_lines(variants, shape, places):
    """Nginx binds each loopback address by itself: binding all addresses would open the port to the network."""
    protocol = " http2" if shape.upstream == "h2c" else ""
    lines = []
    for variant in variants:
        count = shape.endpoints if variant == "stable" else 1
        lines += [f"        listen {address}:{places[variant]}{protocol};" for address in addresses(count)]
    return "\n".join(lines)


def addresses(count):
    """127.0.0.1 to 127.0.0.254, then 127.0.1.1, and so on: never an address that ends in 0 or 255."""
    return [f"127.0.{number // 254}.{number % 254 + 1}" for number in range(count)]
