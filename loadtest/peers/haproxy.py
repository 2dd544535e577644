"""HAProxy: weighted servers, kept connections on both sides, the stats page as its metrics."""

import pathlib

from peers import peer

WEIGHT_MAX = 256


class Haproxy(peer.DebianPeer):
    name = "haproxy"
    package = "haproxy/haproxy"

    def version(self):
        return peer.said_by(["haproxy", "-v"])

    def refuses(self, shape):
        if not shape.metrics:
            return peer.COUNTS_ALWAYS.format("haproxy")
        if peer.weights(shape, WEIGHT_MAX) is None:
            return f"the weights of haproxy end at {WEIGHT_MAX}, so {shape.endpoints} servers leave no canary of 5%"
        if shape.upstream == "h2c" and shape.websocket:
            return "a WebSocket over an HTTP/2 upstream is left out: ours do not speak RFC 8441"
        return None

    def prepare(self, shape, places):
        parts = [base(shape), frontend(shape, places), backend(shape, places), stats(places)]
        config = peer.write(places, "haproxy.cfg", "\n".join(parts))
        command = ["haproxy", "-db", "-f", config]
        if shape.access_log:
            # It logs to a descriptor, not to a file; the shell gives way to it, so the process id stays.
            command = ["sh", "-c", 'exec "$@" >>"$0"', str(places["access_log"]), *command]
        return command


def base(shape):
    log = "    log stdout format raw local0" if shape.access_log else ""
    return f"""\
global
    nbthread {shape.workers}
    # It counts two files for each client, busy or not, and would not start where idle ones alone fit.
    no strict-limits
    maxpipes {peer.UPSTREAM_CONNECTIONS}
    maxconn {shape.connections + 64}
{log}
defaults
    mode http
    timeout connect 1s
    timeout client {peer.IDLE_SECONDS}s
    timeout http-keep-alive {peer.IDLE_SECONDS}s
    timeout server 15s
    timeout tunnel {peer.IDLE_SECONDS}s
    option forwardfor
    http-reuse always
    option splice-request
    option splice-response
{'''    log global
    option httplog''' if shape.access_log else ''}"""


def frontend(shape, places):
    if shape.routes > 1:
        lines = "".join(f"{prefix}/ shop\n" for prefix in peer.prefixes(shape))
        routes = f"use_backend %[path,map_beg({peer.write(places, 'haproxy-routes.map', lines)})]"
    else:
        routes = "default_backend shop"
    return f"""
frontend public
    bind 127.0.0.1:{places['public']} backlog {peer.BACKLOG}{speaks(shape, places)}
    maxconn {shape.connections + 64}
    unique-id-format %[uuid()]
    unique-id-header X-Request-Id
    http-request set-header X-Forwarded-Proto {peer.scheme(shape)}
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    {routes}"""


def speaks(shape, places):
    if shape.downstream == "h2c":
        return " proto h2"
    if not peer.is_secure(shape):
        return ""
    both = "".join(pathlib.Path(places[part]).read_text() for part in ("cert", "key"))
    alpn = "h2,http/1.1" if shape.downstream == "h2" else "http/1.1"
    return f" ssl crt {peer.write(places, 'haproxy.pem', both, 0o600)} ssl-min-ver TLSv1.2 alpn {alpn}"


def backend(shape, places):
    # The hash of a cookie follows the weights, and a request without one takes its turn.
    balance = f"hash req.cook({peer.STICKY_COOKIE})" if shape.sticky else "roundrobin"
    stable, canary = peer.weights(shape, WEIGHT_MAX)
    proto = " proto h2" if shape.upstream == "h2c" else ""
    servers = [
        f"    server stable{at} {host}:{places['stable']} weight {stable}{proto}"
        for at, host in enumerate(peer.hosts_of_stable(shape))
    ]
    return "\n".join([
        "\nbackend shop",
        f"    balance {balance}",
        *servers,
        f"    server canary 127.0.0.1:{places['canary']} weight {canary}{proto}",
    ])


def stats(places):
    return f"""
frontend stats
    bind 127.0.0.1:{places['admin']}
    stats enable
    stats uri /
"""
