"""Andon itself, with everything on: metrics, guard, request id, forwarded headers."""

from peers import peer

GUARD_OFF = """\
[route.guard]
on_unhealthy = "watch"
signals = { errors = "off", latency = "off", fast_trip = "off", harm = "off" }
fast_trip = false
self_test = false
rescue = false
"""


class Andon(peer.Peer):
    """Whoever measures says which binary: places["andon"]."""

    name = "andon"
    binary = str(peer.ROOT / "target/release/andon")

    def version(self):
        return peer.said_by([self.binary, "--version"])

    def refuses(self, shape):
        if not shape.metrics:
            return peer.COUNTS_ALWAYS.format("andon")
        if shape.upstream == "h2c" and shape.websocket:
            return "a WebSocket over an HTTP/2 upstream is left out: ours do not speak RFC 8441"
        return None

    def prepare(self, shape, places):
        self.binary = str(places["andon"])
        parts = [base(shape, places), listener(shape, places), upstreams(shape, places), *routes(shape)]
        return [self.binary, "run", "-c", peer.write(places, "andon.toml", "\n".join(parts))]


def base(shape, places):
    log = f'[access_log]\npath = "{places["access_log"]}"\nformat = "combined"\n' if shape.access_log else ""
    return f"""\
[workers]
count = {shape.workers}

[admin]
listen = "127.0.0.1:{places['admin']}"

[store]
path = ":memory:"

[limits]
connections_max = {shape.connections + 64}

{log}"""


def listener(shape, places):
    tls = f"""
[listener.tls]
certificates = [{{ cert = "{places['cert']}", key = "{places['key']}" }}]
""" if peer.is_secure(shape) else ""
    return f"""\
[[listener]]
name = "public"
address = "127.0.0.1:{places['public']}"
connections_max = {shape.connections + 64}
# As the peers are set: no connection ends in the middle of a run.
requests_per_connection_max = 1000000000
keep_alive_timeout = "{peer.IDLE_SECONDS}s"
{tls}"""


def upstreams(shape, places):
    protocol = "h2" if shape.upstream == "h2c" else "http1"
    stable = ", ".join(f'"{host}:{places["stable"]}"' for host in peer.hosts_of_stable(shape))
    return f"""\
[[upstream]]
name = "shop-v1"
endpoints = [{stable}]
protocol = "{protocol}"
idle_timeout = "{peer.IDLE_SECONDS}s"

[[upstream]]
name = "shop-v2"
endpoints = ["127.0.0.1:{places['canary']}"]
protocol = "{protocol}"
idle_timeout = "{peer.IDLE_SECONDS}s"
"""


def routes(shape):
    """Each with a canary and a guard of its own."""
    upgrade = 'upgrade = ["websocket"]\n' if shape.websocket else ""
    # A canary of one endpoint beside very many is what the scenario asks for.
    capacity = "capacity = false\n" if shape.endpoints > 1 else ""
    sticky = f'\n[route.sticky]\ncookie = "{peer.STICKY_COOKIE}"\n' if shape.sticky else ""
    guard = "" if shape.guard else f"\n{GUARD_OFF}"
    for number, prefix in enumerate(peer.prefixes(shape)):
        yield f"""\
[[route]]
name = "shop{number}"
path = "{prefix or '/'}"
stable = "shop-v1"
{upgrade}{capacity}
[[route.canary]]
upstream = "shop-v2"
weight = "{peer.CANARY_PERCENT}%"
{sticky}{guard}"""
