//! Connections that do nothing. Each makes one request first, so that the proxy has seen it at work.

use std::io::{self, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use crate::exchange::{Connection, name_of, request};
use crate::target::{Stream, Target};

/// Prints a line when all are open, then one when the input has ended, which says how many were still open.
pub async fn run(target: Target, connections: usize) -> io::Result<()> {
    let request = request(&target, "keep-alive");
    let mut open = Vec::with_capacity(connections);
    for number in 0..connections {
        let mut connection = Connection::open(&target).await.map_err(|error| at(number, &error))?;
        let answered = connection.exchange(&request).await;
        if let Some(why) = name_of(answered) {
            return Err(at(number, &io::Error::other(why)));
        }
        open.push(connection.into_stream());
    }
    println!("{}", json!({ "open": open.len() }));
    io::stdout().flush()?;
    let mut rest = Vec::new();
    tokio::io::stdin().read_to_end(&mut rest).await?;
    let still_open = open.iter_mut().filter_map(|stream| is_open(stream).then_some(())).count();
    println!("{}", json!({ "open": still_open }));
    Ok(())
}

fn at(number: usize, error: &io::Error) -> io::Error {
    io::Error::other(format!("connection {}: {error}", number + 1))
}

/// Nothing to read is what an open connection says; an end or an error is there at once.
fn is_open(stream: &mut Box<dyn Stream>) -> bool {
    let mut byte = [0];
    let mut context = Context::from_waker(Waker::noop());
    let read = Pin::new(stream).poll_read(&mut context, &mut ReadBuf::new(&mut byte));
    matches!(read, Poll::Pending)
}
