"""What a scenario asks of a proxy's configuration; every peer writes its own configuration out of it."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Shape:
    """The defaults are the plain case: one route, split 95/5 over two upstreams of one endpoint each, everything on."""

    downstream: str = "http"  # what clients speak: "http" (HTTP/1.1), "tls" (HTTP/1.1 over TLS), "h2" (over TLS), "h2c"
    upstream: str = "http"  # what the upstreams speak: "http" or "h2c"
    routes: int = 1  # by path prefix, /r0 … /rN-1, when more than one; the last of them is the one that is asked
    endpoints: int = 1  # of stable: different loopback addresses, one port
    connections: int = 4096  # of clients at once; the peer must be able to hold them
    workers: int = 1
    access_log: bool = False  # one line a request, to a file
    sticky: bool = False  # by a cookie that the client sends or is given
    guard: bool = True  # Andon only: the judge of the canary
    metrics: bool = True
    websocket: bool = False  # clients may upgrade to it; costs nginx two more header lookups a request, so only where it is asked
