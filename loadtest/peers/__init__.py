"""The proxies that are compared. A new one is a line in PEERS and a template `peers/NAME.conf`.

A scenario that needs another configuration of a peer adds `peers/NAME.SCENARIO.conf`; else the plain one is used.
In a template `@public@`, `@stable@`, `@canary@`, `@admin@` are ports of 127.0.0.1, and `@dir@` is a scratch folder.
Every peer does the same work: 95/5 over two upstreams, keep-alive on both sides, X-Forwarded-For, -Proto and -Host,
a request id made, no access log, its own metrics on, one thread or worker.
"""

import dataclasses
import pathlib
import re

FOLDER = pathlib.Path(__file__).resolve().parent


@dataclasses.dataclass(frozen=True)
class Peer:
    name: str
    start: list[str]  # `@config@` and `@dir@` are filled in; stays in the foreground
    version: list[str]
    package: str | None = None  # PACKAGE/COMMAND of Debian; none: built from this checkout

    def configure(self, scenario_name, places):
        """Writes the configuration into the scratch folder and returns the command that starts the peer with it."""
        template = FOLDER / f"{self.name}.{scenario_name}.conf"
        if not template.exists():
            template = FOLDER / f"{self.name}.conf"
        config = pathlib.Path(places["dir"]) / f"{self.name}.conf"
        config.write_text(fill(template.read_text(), places))
        return [fill(word, places | {"config": config}) for word in self.start]


def fill(text, places):
    """Puts the places into a template; a name that nobody knows is an error, not an empty string."""
    return re.sub(r"@([a-z]+)@", lambda found: str(places[found[1]]), text)


def start_nginx(folder="@dir@"):
    return ["nginx", "-p", folder, "-e", f"{folder}/error.log", "-c", "@config@"]


PEERS = {
    peer.name: peer
    for peer in [
        Peer("andon", ["@andon@", "run", "-c", "@config@"], ["@andon@", "--version"]),
        Peer("nginx", start_nginx(), ["nginx", "-v"], "nginx-light/nginx"),
        Peer("haproxy", ["haproxy", "-db", "-f", "@config@"], ["haproxy", "-v"], "haproxy/haproxy"),
    ]
}
REFERENCES = ["nginx", "haproxy"]  # what ratios are taken against
