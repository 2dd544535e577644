"""The forwarder of bytes, the crate in `l4/`: what passing a message on costs at least. It splits by connection."""

from peers import peer

CONNECTIONS_MAX = 4096


class L4(peer.CratePeer):
    name = "l4"
    library = "tokio"
    is_floor = True

    def version(self):
        return f"a forwarder of ours on {super().version()}"

    def refuses(self, shape):
        if peer.is_secure(shape):
            return "a forwarder of bytes ends no TLS, and the upstreams speak none"
        if shape.downstream != shape.upstream:
            return f"a forwarder of bytes cannot turn {shape.downstream} into {shape.upstream}"
        if shape.connections > CONNECTIONS_MAX:
            return "a forwarder of bytes opens a connection to an upstream for each client, idle or not: more than ours hold"
        if shape.access_log:
            return "a forwarder of bytes knows no requests to log"
        return None

    def prepare(self, shape, places):
        stable = ",".join(f"{host}:{places['stable']}" for host in peer.hosts_of_stable(shape))
        return [
            self.binary(), "--listen", f"127.0.0.1:{places['public']}", "--stable", stable,
            "--canary", f"127.0.0.1:{places['canary']}", "--threads", str(shape.workers),
        ]  # fmt: skip
