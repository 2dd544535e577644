//! Messages there and back: each connection sends one, waits for its echo, and sends the next.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::figures::Figures;
use crate::target::{HOST, Stream, Target};

const ECHO_MAX: Duration = Duration::from_secs(5);

type Socket = WebSocketStream<Box<dyn Stream>>;

pub async fn run(target: Target, seconds: u32, connections: usize, bytes: usize) -> Value {
    let figures = Rc::new(RefCell::new(Figures::new()));
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds.into());
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        let (target, figures) = (target.clone(), figures.clone());
        tasks.spawn_local(async move {
            if let Err(error) = repeat(&target, until, bytes, &figures).await {
                figures.borrow_mut().failed(error);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    figures.borrow().to_json(began.elapsed())
}

async fn repeat(
    target: &Target,
    until: Instant,
    bytes: usize,
    figures: &RefCell<Figures>,
) -> Result<(), String> {
    let mut socket = open(target).await.map_err(|error| format!("no WebSocket: {error}"))?;
    let message = Message::binary(vec![b'm'; bytes]);
    while Instant::now() < until {
        let began = Instant::now();
        let echoed = timeout(ECHO_MAX, echo(&mut socket, &message)).await;
        echoed.map_err(|_| "no echo within 5 s".to_owned())?.map_err(|error| error.to_string())?;
        figures.borrow_mut().answered(began.elapsed());
    }
    // Best effort: the figures are in, and the peer may hang up as it likes.
    let _ = timeout(ECHO_MAX, socket.close(None)).await;
    Ok(())
}

async fn open(target: &Target) -> Result<Socket, tungstenite::Error> {
    let stream = target.connect(b"").await?;
    let request = format!("ws://{HOST}{}", target.path).into_client_request()?;
    let (socket, _) = client_async(request, stream).await?;
    Ok(socket)
}

async fn echo(socket: &mut Socket, message: &Message) -> Result<(), tungstenite::Error> {
    socket.send(message.clone()).await?;
    match socket.next().await {
        Some(Ok(echoed)) if echoed == *message => Ok(()),
        Some(Ok(other)) => Err(std::io::Error::other(format!("expected the echo, found {other:.60}")).into()),
        Some(Err(error)) => Err(error),
        None => Err(tungstenite::Error::ConnectionClosed),
    }
}
