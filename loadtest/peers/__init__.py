"""The proxies that are compared, in the order of tables. Each is a module that draws its configuration out of a Shape.

A new peer is a class there and a line here. Whatever a Shape asks for, every peer does the same work as far as it can, by its own
means: 95/5 over two upstreams, connections kept on both sides, X-Forwarded-For, -Proto and -Host, a request id made, its own
metrics, and no access log unless it is asked for. Where it cannot, it refuses with a reason, and the table shows that.
`check` tries all of them.
"""

from peers.andon import Andon
from peers.caddy import Caddy
from peers.envoy import Envoy
from peers.haproxy import Haproxy
from peers.l4 import L4
from peers.nginx import Nginx
from peers.pingora import Pingora

PEERS = {peer.name: peer for peer in [Andon(), Nginx(), Haproxy(), Envoy(), Caddy(), Pingora(), L4()]}
