"""The kinds of work that are compared. A new one is an entry here."""

import dataclasses

from shape import Shape

FILES_BESIDE, FILES_PER_CONNECTION = 500, 2.5  # what HAProxy wants to be allowed to open, its pipes included: the most
IDLE_CONNECTIONS = 10_000
IDLE_ROUNDS_RARER = 4
MANY_ROUTES = 10_000
MANY_ENDPOINTS = 1_000
OPEN_LOOP_LOADS = (0.2, 0.5, 0.8)  # shares of the capacity of the peer that has the least
BROWSER_HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    "Accept-Language": "en-GB,en;q=0.9,de;q=0.8,fr;q=0.7",
    "Accept-Encoding": "identity",
    "Cache-Control": "max-age=0",
    "Referer": "https://shop.example/catalogue/garden/tools?sort=price&page=3&utm_source=newsletter&utm_campaign=autumn",
    "Sec-Ch-Ua": '"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
    "Sec-Ch-Ua-Mobile": "?0",
    "Sec-Ch-Ua-Platform": '"Linux"',
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "Upgrade-Insecure-Requests": "1",
    "Dnt": "1",
    "Priority": "u=0, i",
    "Cookie": "consent=all; basket=9f1c2b7e5a3d4c6f8e0b1a2d3c4f5e6a; theme=dark; locale=en-GB; seen=" + "4711," * 40
    + "; analytics=GA1.2.1234567890.1700000000; id=" + "0123456789abcdef" * 12,
}


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    says: str
    shape: Shape = Shape()
    load: str = "wrk"  # a name of load.LOADS, or "idle" or "open-loop" of measure.py
    path: str = "/"
    method: str = "GET"
    headers: dict = dataclasses.field(default_factory=dict)
    body_bytes: int = 0
    connections: int = 64
    unit: str = "request"  # what is counted
    own_upstream: bool = False  # the generator answers in place of nginx, which cannot, or not after the whole of an upload
    # Name to fields of the shape that differ. All are measured in each round, and the first is divided by the last.
    variations: dict = dataclasses.field(default_factory=lambda: {"": {}})
    peers: tuple = ()  # none: all that do not refuse the shape
    disturbance: str = ""  # a name of disturb.DISTURBANCES: what happens to the proxy during an open loop
    headline: str = "cpu_us"  # the figure that the plot and the overview compare
    goal: str = ""  # of design.md, section 4; a scenario with one is part of the default

    @property
    def leaves_traces(self):
        """In the processes that did the work."""
        return self.load == "idle" or bool(self.disturbance)

    @property
    def has_one_pace(self):
        """The same rate for all peers: who can carry more is not asked for more."""
        return self.load == "open-loop" and not self.disturbance

    def rounds_of(self, rounds):
        """Out of so many: what ten thousand idle connections hold is much the same each time, and takes its time."""
        return max(1, rounds // IDLE_ROUNDS_RARER) if self.load == "idle" else rounds


def changes(**variations):
    """Variations by name; `_` in a name becomes a space."""
    return {name.replace("_", " "): fields for name, fields in variations.items()}


TLS, H2, GRPC = Shape(downstream="tls"), Shape(downstream="h2"), Shape(downstream="h2", upstream="h2c")
COSTLY = "≤ 1.0 × the best peer"
ON_OFF = "≤ 1.05 × off"

LIST = [
    Scenario("small", "small responses, HTTP/1.1 with keep-alive, 64 connections",
             goal="≤ 0.85 × the best of nginx and haproxy, ≤ 0.25 × envoy, ≤ 1.4 × l4"),
    Scenario("browser-headers", "small responses to requests with 1.5 KB of headers, as browsers send them",
             headers=BROWSER_HEADERS),
    Scenario("body-64k", "responses of 64 KiB", path="/body-64k", connections=32),
    Scenario("body-1m", "responses of 1 MiB", path="/body-1m", connections=16, goal=COSTLY),
    Scenario("upload-1m", "uploads of 1 MiB", method="POST", body_bytes=1 << 20, path="/upload", connections=16,
             own_upstream=True, goal=COSTLY),
    Scenario("connection-each", "a new connection for each request", load="connections", connections=32),
    Scenario("tls", "small responses over TLS with keep-alive", TLS, goal=COSTLY),
    Scenario("tls-handshakes", "a whole TLS handshake for each request", TLS, load="connections", connections=16),
    Scenario("h2", "small responses, HTTP/2 over TLS from clients, 16 connections of 8 streams", H2, load="h2load",
             connections=16, goal=COSTLY),
    Scenario("h2-both", "the same, and HTTP/2 without TLS to the upstreams", GRPC, load="h2load", connections=16),
    Scenario("grpc", "unary calls of gRPC over TLS, HTTP/2 on both sides, 16 connections of 8 streams", GRPC,
             load="h2load", path="/shop.Shop/Get", method="POST", own_upstream=True, connections=16, unit="call",
             headers={"content-type": "application/grpc", "te": "trailers"}),
    Scenario("websocket", "messages of 128 bytes there and back over 64 WebSockets", Shape(websocket=True),
             load="websocket", own_upstream=True, unit="message"),
    Scenario("idle-10k", f"{IDLE_CONNECTIONS} connections that do nothing, after one request each",
             Shape(connections=IDLE_CONNECTIONS + 100), load="idle", connections=IDLE_CONNECTIONS,
             headline="connection_kib", unit="connection", goal="memory ≤ the best peer"),
    Scenario("routes-10k", "the last of 10 000 routes, and the same with one route",
             variations=changes(ten_thousand_routes={"routes": MANY_ROUTES}, one_route={}),
             goal="≤ 1.05 × one route"),
    Scenario("endpoints-1k", "1 000 endpoints of stable, and the same with one", connections=64,
             variations=changes(thousand_endpoints={"endpoints": MANY_ENDPOINTS}, one_endpoint={})),
    Scenario("guard", "the guard on, and off", peers=("andon",), goal=ON_OFF,
             variations=changes(on={}, off={"guard": False})),
    Scenario("metrics", "metrics on, and off", variations=changes(on={}, off={"metrics": False})),
    Scenario("sticky", "sticky by a cookie that every request has, and not", goal=ON_OFF,
             headers={"Cookie": "uid=4711"},
             variations=changes(on={"sticky": True}, off={})),
    Scenario("access-log", "a line for each request in a file, and none",
             variations=changes(on={"access_log": True}, off={})),
    Scenario("open-loop", "latency at a constant rate, the same for all, from the intended moment, at shares of what the slowest peer carries",
             load="open-loop", headline="p99_ms", goal="p99 at 50% ≤ the best peer"),
    Scenario("weights-100", "latency at 50% of capacity, calm and while the weight changes 100 times a second",
             load="open-loop", peers=("andon",), disturbance="weights", headline="p99_ms"),
    Scenario("reload-10k", "latency at 50% of capacity with 10 000 routes, calm and while they are reloaded over and over",
             Shape(routes=MANY_ROUTES), load="open-loop", disturbance="reload", headline="p99_ms",
             peers=("andon", "nginx")),
    Scenario("canary-dies", "latency and failed requests at 50% of capacity, calm and while the canary's process is killed",
             load="open-loop", disturbance="death", headline="p99_ms"),
    Scenario("workers-2", "small responses with two workers, and with one",
             variations=changes(two_workers={"workers": 2}, one_worker={}), headline="requests_per_second"),
]
SCENARIOS = {scenario.name: scenario for scenario in LIST}
OF_THE_GOALS = [scenario.name for scenario in LIST if scenario.goal]


def within_files(scenario, files_max):
    """The scenario with as many connections as this user's limit of open files allows every peer to hold."""
    count = min(scenario.connections, int((files_max - FILES_BESIDE) / FILES_PER_CONNECTION))
    return dataclasses.replace(scenario, connections=count, shape=dataclasses.replace(scenario.shape, connections=count + 100))
