//! The loads of `loadtest/run` that wrk and h2load do not give, and the upstream that nginx cannot be.
//!
//! One thread, so that it shares one core with the upstreams. Each subcommand prints one line of JSON at its end, in
//! which a failed request is counted and never hidden; whether it spoils the run is for the reader to say.

mod check;
mod connections;
mod exchange;
mod figures;
mod idle;
mod rate;
mod serve;
mod target;
mod websocket;

use std::io;

use clap::{Parser, Subcommand};

use crate::target::Target;

#[derive(Parser)]
#[command(about = "The loads of loadtest/run that wrk and h2load do not give")]
struct Arguments {
    #[command(subcommand)]
    load: Load,
}

#[derive(Subcommand)]
enum Load {
    /// Requests at a constant rate; the latency counts from the moment that was intended
    Rate {
        target: Target,
        #[arg(long, help = "Requests a second")]
        rate: u32,
        #[arg(long)]
        seconds: u32,
        #[arg(long, default_value_t = 64)]
        connections: usize,
    },
    /// A new connection for each request, one after the other in each of so many tasks
    Connections {
        target: Target,
        #[arg(long)]
        seconds: u32,
        #[arg(long, default_value_t = 32)]
        connections: usize,
    },
    /// Messages there and back over WebSocket connections
    Websocket {
        target: Target,
        #[arg(long)]
        seconds: u32,
        #[arg(long, default_value_t = 64)]
        connections: usize,
        #[arg(long, default_value_t = 128, help = "Size of a message")]
        bytes: usize,
    },
    /// Opens connections, says so, and holds them until its input ends
    Idle {
        target: Target,
        #[arg(long)]
        connections: usize,
    },
    /// Sends requests one by one and prints a line of JSON for each answer
    Check {
        target: Target,
        #[arg(long, value_enum, default_value_t = check::Protocol::Http1)]
        protocol: check::Protocol,
        #[arg(long, default_value_t = 1)]
        count: u32,
        #[arg(long, help = "A unary call of gRPC instead of a GET")]
        grpc: bool,
    },
    /// An upstream for HTTP/1.1 and h2c: a small answer, /check, gRPC and WebSocket echo
    Serve {
        #[arg(required = true, help = "NAME=ADDRESS:PORT; the name is what /check says")]
        listeners: Vec<serve::Listener>,
    },
}

fn main() -> io::Result<()> {
    let load = Arguments::parse().load;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, run(load))
}

async fn run(load: Load) -> io::Result<()> {
    let figures = match load {
        Load::Rate { target, rate, seconds, connections } => {
            rate::run(target, rate, seconds, connections).await?
        }
        Load::Connections { target, seconds, connections } => {
            connections::run(target, seconds, connections).await
        }
        Load::Websocket { target, seconds, connections, bytes } => {
            websocket::run(target, seconds, connections, bytes).await
        }
        Load::Idle { target, connections } => return idle::run(target, connections).await,
        Load::Check { target, protocol, count, grpc } => {
            return check::run(target, protocol, count, grpc).await;
        }
        Load::Serve { listeners } => return serve::run(listeners).await,
    };
    println!("{figures}");
    Ok(())
}
