"""The kinds of work that are compared. A new one is an entry here, and templates where a peer needs other settings."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Scenario:
    name: str
    says: str
    path: str = "/"
    connections: int = 64


SCENARIOS = {
    scenario.name: scenario
    for scenario in [
        Scenario("small", "small responses, HTTP/1.1 with keep-alive, 64 connections, 5% to the canary"),
    ]
}
