//! A reverse proxy made with pingora, which does what the other peers of `loadtest/run` do and no more: 95/5 over two upstreams,
//! forwarded headers, a request id, counters. It has the same allocator as Andon, so that the difference is in the proxy.
//! It is a peer for measurements, not a product: it has no health checks and no retries of its own.

mod metrics;
mod proxy;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use pingora::apps::HttpServerOptions;
use pingora::listeners::tls::TlsSettings;
use pingora::protocols::ALPN;
use pingora::proxy::ProxyServiceBuilder;
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::services::listening::Service;

use metrics::{AccessLog, Metrics};
use proxy::Proxy;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many idle connections to upstreams as no run of ours exceeds, so that none is closed in the middle of one.
const UPSTREAM_IDLE_MAX: usize = 16_384;

#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// Where clients connect.
    #[arg(long)]
    listen: SocketAddr,
    /// What clients speak.
    #[arg(long, default_value = "http", value_parser = ["http", "tls", "h2", "h2c"])]
    downstream: String,
    /// The endpoints of stable, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    stable: Vec<SocketAddr>,
    /// The endpoint of the canary, which gets 5%.
    #[arg(long)]
    canary: SocketAddr,
    /// What the upstreams speak.
    #[arg(long, default_value = "http", value_parser = ["http", "h2c"])]
    upstream: String,
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Routes by path prefix, /r0 to /rN-1; 1 is one for every path.
    #[arg(long, default_value_t = 1)]
    routes: u32,
    /// The cookie that ties a user to a variant.
    #[arg(long)]
    sticky: Option<String>,
    /// Where counters are shown; without it nothing is counted.
    #[arg(long)]
    metrics: Option<SocketAddr>,
    #[arg(long)]
    access_log: Option<PathBuf>,
    #[arg(long, requires = "key")]
    cert: Option<String>,
    #[arg(long, requires = "cert")]
    key: Option<String>,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("pingora-peer: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<(), Box<dyn std::error::Error>> {
    let configuration = ServerConf {
        threads: arguments.threads,
        upstream_keepalive_pool_size: UPSTREAM_IDLE_MAX,
        // TERM ends it at once; the defaults would wait for minutes.
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, configuration);
    server.bootstrap();
    let metrics = arguments.metrics.map(|_| Arc::new(Metrics::default()));
    let access_log = arguments.access_log.as_deref().map(AccessLog::open).transpose()?;
    let proxy = Proxy {
        stable: arguments.stable,
        canary: arguments.canary,
        secure: matches!(arguments.downstream.as_str(), "tls" | "h2"),
        upstream_h2: arguments.upstream == "h2c",
        routes: proxy::routes(arguments.routes),
        sticky: arguments.sticky.map(|name| name + "="),
        metrics: metrics.clone(),
        access_log,
    };
    let mut options = HttpServerOptions::default();
    options.h2c = arguments.downstream == "h2c";
    let mut service = ProxyServiceBuilder::new(&server.configuration, proxy).server_options(options).build();
    let listen = arguments.listen.to_string();
    match tls(&arguments.downstream, arguments.cert, arguments.key)? {
        Some(settings) => service.add_tls_with_settings(&listen, None, settings),
        None => service.add_tcp(&listen),
    }
    server.add_service(service);
    if let (Some(address), Some(metrics)) = (arguments.metrics, metrics) {
        let mut shown = Service::new("metrics".to_string(), metrics::Shown(metrics));
        shown.add_tcp(&address.to_string());
        shown.threads = Some(1);
        server.add_service(shown);
    }
    server.run_forever()
}

fn tls(
    downstream: &str,
    cert: Option<String>,
    key: Option<String>,
) -> Result<Option<TlsSettings>, Box<dyn std::error::Error>> {
    if !matches!(downstream, "tls" | "h2") {
        return Ok(None);
    }
    let (Some(cert), Some(key)) = (cert, key) else {
        return Err(format!("--downstream {downstream} needs --cert and --key").into());
    };
    let mut settings = TlsSettings::intermediate(&cert, &key)?;
    settings.set_alpn(if downstream == "h2" { ALPN::H2H1 } else { ALPN::H1 });
    Ok(Some(settings))
}
