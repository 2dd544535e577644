//! A new connection for each request, closed after it. With TLS each is a whole handshake.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::exchange::{Connection, name_of, request};
use crate::figures::Figures;
use crate::target::Target;

const ANSWER_MAX: Duration = Duration::from_secs(5);

pub async fn run(target: Target, seconds: u32, connections: usize) -> Value {
    let figures = Rc::new(RefCell::new(Figures::new()));
    let began = Instant::now();
    let until = began + Duration::from_secs(seconds.into());
    let mut tasks = JoinSet::new();
    for _ in 0..connections {
        tasks.spawn_local(repeat(target.clone(), until, figures.clone()));
    }
    while tasks.join_next().await.is_some() {}
    figures.borrow().to_json(began.elapsed())
}

async fn repeat(target: Target, until: Instant, figures: Rc<RefCell<Figures>>) {
    let request = request(&target, "close");
    while Instant::now() < until {
        let began = Instant::now();
        let result = match timeout(ANSWER_MAX, once(&target, &request)).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::other("no answer within 5 s")),
        };
        let mut figures = figures.borrow_mut();
        figures.answered(began.elapsed());
        if let Some(why) = name_of(result) {
            figures.failed(why);
        }
    }
}

async fn once(target: &Target, request: &[u8]) -> io::Result<u16> {
    Connection::open(target).await?.exchange(request).await
}
