//! Forwards bytes between clients and two upstreams: the floor under what any proxy on this machine can cost. It looks at
//! nothing, so the split is by connection, and it does one `read` and one `write` for each message. Each worker is a thread
//! with a runtime, a listener and a buffer of its own: there is no lock and no hand-over.

mod relay;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Duration;

use clap::Parser;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use relay::Buffer;

const BACKLOG: u32 = 4096;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// When files are short, so that the loop of accepting does not spin.
const PAUSE_AFTER_FAILED_ACCEPT: Duration = Duration::from_millis(10);
/// Every so many-th connection goes to the canary: 5%.
const CANARY_EVERY: usize = 20;

#[derive(Parser, Clone)]
#[command(version, about)]
struct Arguments {
    /// Where clients connect.
    #[arg(long)]
    listen: SocketAddr,
    /// The endpoints of stable, separated by commas.
    #[arg(long, value_delimiter = ',', required = true)]
    stable: Vec<SocketAddr>,
    /// The endpoint of the canary, which gets 5% of the connections.
    #[arg(long)]
    canary: SocketAddr,
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let workers: Vec<_> = (0..arguments.threads.max(1))
        .map(|_| {
            let arguments = arguments.clone();
            std::thread::spawn(move || work(arguments))
        })
        .collect();
    for worker in workers {
        // A worker ends only by a problem.
        match worker.join() {
            Ok(Err(problem)) => eprintln!("l4-peer: {problem}"),
            Ok(Ok(())) | Err(_) => eprintln!("l4-peer: a worker ended"),
        }
    }
    ExitCode::FAILURE
}

fn work(arguments: Arguments) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
    LocalSet::new().block_on(&runtime, async move {
        let listener = listen(arguments.listen)?;
        let arguments = Rc::new(arguments);
        let buffer = Buffer::default();
        for number in 0_usize.. {
            let Ok((client, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE_AFTER_FAILED_ACCEPT).await;
                continue;
            };
            tokio::task::spawn_local(forward(client, number, arguments.clone(), buffer.clone()));
        }
        Ok(())
    })
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket
        .bind(address)
        .map_err(|problem| io::Error::other(format!("cannot listen on {address}: {problem}")))?;
    socket.listen(BACKLOG)
}

/// One connection of a client. What breaks on either side ends both; the client sees it as its connection closed.
async fn forward(client: TcpStream, number: usize, arguments: Rc<Arguments>, buffer: Buffer) {
    let connecting = TcpStream::connect(endpoint(number, &arguments));
    let Ok(Ok(upstream)) = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await else { return };
    if client.set_nodelay(true).and_then(|()| upstream.set_nodelay(true)).is_ok() {
        let _ = relay::both_ways(client, upstream, buffer).await;
    }
}

fn endpoint(number: usize, arguments: &Arguments) -> SocketAddr {
    if number % CANARY_EVERY == CANARY_EVERY - 1 {
        return arguments.canary;
    }
    arguments.stable[number % arguments.stable.len()]
}
