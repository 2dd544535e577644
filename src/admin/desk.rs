//! What requests share and change: sessions, failed attempts, kept answers. One owner, asked through a channel.
//!
//! Nobody holds anything while he waits, so no request can keep another from being let in.

use tokio::sync::{mpsc, oneshot};

use super::attempts::Attempts;
use super::idempotency::Answers;
use super::problem::Problem;
use super::sessions::Sessions;

/// Waiting questions. When full, requests wait their turn.
const ASKS_MAX: usize = 256;

type Ask = Box<dyn FnOnce(&mut Ledger) + Send>;

/// Everything is lost with the process: people log in again, and a repeated request is a new one.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub(super) sessions: Sessions,
    pub(super) attempts: Attempts,
    pub(super) answers: Answers,
}

#[derive(Clone, Debug)]
pub(super) struct Desk(mpsc::Sender<Ask>);

/// Runs beside the server.
#[derive(Debug)]
pub(super) struct Clerk {
    ledger: Ledger,
    asks: mpsc::Receiver<Ask>,
}

pub(super) fn open() -> (Desk, Clerk) {
    let (desk, asks) = mpsc::channel(ASKS_MAX);
    (Desk(desk), Clerk { ledger: Ledger::default(), asks })
}

impl Desk {
    /// Fails only when the listener is shut.
    pub(super) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Ledger) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let (reply, answer) = oneshot::channel();
        let ask = move |ledger: &mut Ledger| {
            // Who asked may have left.
            let _ = reply.send(question(ledger));
        };
        self.0.send(Box::new(ask)).await.map_err(|_| Problem::gone())?;
        answer.await.map_err(|_| Problem::gone())
    }
}

impl Clerk {
    /// For ever. May be dropped and called again.
    pub(super) async fn work(&mut self) {
        while let Some(ask) = self.asks.recv().await {
            ask(&mut self.ledger);
        }
    }
}
