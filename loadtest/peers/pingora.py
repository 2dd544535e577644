"""A proxy made with pingora, the crate in `pingora/`."""

from peers import peer


class Pingora(peer.CratePeer):
    name = "pingora"
    library = "pingora"
    needs = ["cmake/cmake"]  # its zlib is built with it

    def refuses(self, shape):
        if shape.upstream == "h2c" and shape.websocket:
            return "pingora takes no upgrade to an HTTP/2 upstream"
        return None

    def prepare(self, shape, places):
        stable = ",".join(f"{host}:{places['stable']}" for host in peer.hosts_of_stable(shape))
        command = [
            self.binary(), "--listen", f"127.0.0.1:{places['public']}", "--downstream", shape.downstream,
            "--stable", stable, "--canary", f"127.0.0.1:{places['canary']}", "--upstream", shape.upstream,
            "--threads", str(shape.workers), "--routes", str(shape.routes),
        ]  # fmt: skip
        if shape.sticky:
            command += ["--sticky", peer.STICKY_COOKIE]
        if shape.metrics:
            command += ["--metrics", f"127.0.0.1:{places['admin']}"]
        if shape.access_log:
            command += ["--access-log", str(places["access_log"])]
        if peer.is_secure(shape):
            command += ["--cert", str(places["cert"]), "--key", str(places["key"])]
        return command
