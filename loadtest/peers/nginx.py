"""nginx: a weighted split by request id, kept connections on both sides, stub_status as its metrics."""

from peers import peer


class Nginx(peer.DebianPeer):
    name = "nginx"
    package = "nginx-light/nginx"

    def version(self):
        return peer.said_by(["nginx", "-v"])

    def refuses(self, shape):
        if not shape.metrics:
            return peer.COUNTS_ALWAYS.format("nginx")
        if shape.upstream == "h2c" and shape.websocket:
            return "nginx speaks HTTP/2 to upstreams for gRPC only, and upgrades nothing there"
        return None

    def prepare(self, shape, places):
        folder = places["dir"]
        config = peer.write(places, "nginx.conf", main_part(shape, places) + http_part(shape, places))
        return ["nginx", "-p", folder, "-e", f"{folder}/nginx-error.log", "-c", config]


def main_part(shape, places):
    folder = places["dir"]
    return f"""\
daemon off;
worker_processes {shape.workers};
pid {folder}/nginx.pid;
error_log {folder}/nginx-error.log warn;
worker_rlimit_nofile {files_max(shape)};
events {{
    worker_connections {files_max(shape)};
}}
"""


def files_max(shape):
    """Its own figure counts connections of clients and of upstreams together."""
    return shape.connections + peer.UPSTREAM_CONNECTIONS + 2 * shape.endpoints


def http_part(shape, places):
    folder = places["dir"]
    # Buffered lines, as it is set where many requests are logged.
    log = f"{places['access_log']} combined buffer=64k flush=1s" if shape.access_log else "off"
    metrics = f"""
    server {{
        listen 127.0.0.1:{places['admin']};
        location / {{ stub_status; }}
    }}"""
    return f"""\
http {{
    access_log {log};
    client_body_temp_path {folder}/nginx-body;
    proxy_temp_path {folder}/nginx-proxy;
    fastcgi_temp_path {folder}/nginx-fastcgi;
    uwsgi_temp_path {folder}/nginx-uwsgi;
    scgi_temp_path {folder}/nginx-scgi;
    keepalive_requests 1000000000;
    keepalive_timeout {peer.IDLE_SECONDS}s;
    # Bodies stream as they do through the others, and never to the disk.
    client_max_body_size 0;
    proxy_request_buffering off;
    client_body_buffer_size 256k;
    proxy_max_temp_file_size 0;
    proxy_buffers 8 32k;
    proxy_busy_buffers_size 64k;
    variables_hash_bucket_size 128;
{split(shape)}
{upstream("stable", peer.hosts_of_stable(shape), places["stable"], shape)}
{upstream("canary", ["127.0.0.1"], places["canary"], shape)}
    server {{
        listen {listen(shape, places)};
{tls(shape, places)}{headers(shape)}
{locations(shape)}
    }}{metrics}
}}
"""


def split(shape):
    """By request id, or by the user's cookie if there is one."""
    key = "$split_key" if shape.sticky else "$request_id"
    cookie = f"""
    map $cookie_{peer.STICKY_COOKIE} $split_key {{
        ""      $request_id;
        default $cookie_{peer.STICKY_COOKIE};
    }}""" if shape.sticky else ""
    upgrade = """
    map $http_upgrade $connection_upgrade {
        ""      "";
        default upgrade;
    }""" if shape.websocket else ""
    return f"""\
    split_clients {key} $variant {{
        {peer.CANARY_PERCENT}% canary;
        *  stable;
    }}{cookie}{upgrade}"""


def upstream(name, hosts, port, shape):
    servers = "\n".join(f"        server {host}:{port};" for host in hosts)
    return f"""\
    upstream {name} {{
{servers}
        keepalive {peer.UPSTREAM_CONNECTIONS + 2 * shape.endpoints};
        keepalive_requests 1000000000;
        keepalive_timeout {peer.IDLE_SECONDS}s;
    }}"""


def listen(shape, places):
    speaks = {"http": "", "tls": " ssl", "h2": " ssl http2", "h2c": " http2"}[shape.downstream]
    # With one worker there is nothing to share out; with more, each has a queue of its own.
    reuseport = " reuseport" if shape.workers > 1 else ""
    return f"127.0.0.1:{places['public']}{speaks} backlog={peer.BACKLOG}{reuseport}"


def tls(shape, places):
    if not peer.is_secure(shape):
        return ""
    return f"""\
        ssl_certificate {places['cert']};
        ssl_certificate_key {places['key']};
        ssl_protocols TLSv1.2 TLSv1.3;
"""


def headers(shape):
    """Plain requests pass through grpc_pass as well as gRPC does: it is HTTP/2 either way."""
    module = "grpc" if shape.upstream == "h2c" else "proxy"
    host = "$host" if shape.downstream in ("h2", "h2c") else "$http_host"
    lines = {
        "Host": host,
        "X-Forwarded-For": "$proxy_add_x_forwarded_for",
        "X-Forwarded-Proto": "$scheme",
        "X-Forwarded-Host": host,
        "X-Request-Id": "$request_id",
    }
    version = ""
    if module == "proxy":
        version = "        proxy_http_version 1.1;\n"
        lines["Connection"] = "$connection_upgrade" if shape.websocket else '""'
    if shape.websocket:
        lines["Upgrade"] = "$http_upgrade"
    return version + "\n".join(f"        {module}_set_header {name} {value};" for name, value in lines.items())


def locations(shape):
    passes = "grpc_pass grpc://$variant" if shape.upstream == "h2c" else "proxy_pass http://$variant"
    return "\n".join(f"        location {prefix}/ {{ {passes}; }}" for prefix in peer.prefixes(shape))
