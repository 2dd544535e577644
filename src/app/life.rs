//! The signals: TERM, INT and QUIT drain, a second one ends now; HUP reloads; USR1 opens the access log
//! again; USR2 has no work yet.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};

use super::Running;
use crate::control::Refusal;

/// What is in flight when the drain begins gets this long to finish.
const DRAIN: Duration = Duration::from_secs(30);
/// A worker that was cut ends at once. One that has not after this long is stuck.
const CUT: Duration = Duration::from_secs(5);
/// How often to look whether the workers are done.
const LOOK: Duration = Duration::from_millis(20);

/// The signals are ours from here on, before anything is started: none of them ends the process undrained.
pub(super) struct Life {
    runtime: Runtime,
    signals: Signals,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// Everything in flight has ended, or was cut.
    Drained,
    /// A worker did not even end when it was cut; there is no use in waiting for its thread.
    Stuck,
}

impl Life {
    pub(super) fn listen() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let signals = {
            let _inside = runtime.enter();
            Signals::listen()?
        };
        Ok(Self { runtime, signals })
    }

    /// Returns after the drain.
    pub(super) fn follow(self, running: &Running) -> Ending {
        let Self { runtime, mut signals } = self;
        runtime.block_on(async {
            while let Some(ask) = signals.next().await {
                match ask {
                    Ask::End => break,
                    // A file on a mount that hangs must not keep a TERM waiting.
                    Ask::Reload => tokio::select! {
                        () = reload(running) => {}
                        Some(Ask::End) = signals.next() => break,
                    },
                    Ask::Reopen => running.reopen(),
                    Ask::HandOver => {
                        tracing::warn!("USR2: handing over to a new binary is not in this version yet");
                    }
                }
            }
            drain(running, &mut signals).await
        })
    }
}

async fn reload(running: &Running) {
    // The controller logs what came of it.
    if matches!(running.handle.reload().await, Err(Refusal::Gone)) {
        tracing::error!("HUP: the control thread is gone; traffic goes on with the last configuration");
    }
}

async fn drain(running: &Running, signals: &mut Signals) -> Ending {
    tracing::info!(deadline_s = DRAIN.as_secs(), "draining; a second signal ends at once");
    running.drain();
    let deadline = sleep_until(Instant::now() + DRAIN);
    let mut deadline = std::pin::pin!(deadline);
    loop {
        tokio::select! {
            () = &mut deadline => break tracing::warn!("the drain deadline passed; what is left is cut"),
            Some(Ask::End) = signals.next() => break tracing::warn!("second signal; what is left is cut"),
            () = sleep(LOOK) => if running.has_drained() { return Ending::Drained },
        }
    }
    running.cut();
    let last = Instant::now() + CUT;
    while !running.has_drained() {
        if Instant::now() > last {
            return Ending::Stuck;
        }
        sleep(LOOK).await;
    }
    Ending::Drained
}

enum Ask {
    End,
    Reload,
    Reopen,
    HandOver,
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    quit: Signal,
    hangup: Signal,
    user1: Signal,
    user2: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            quit: signal(SignalKind::quit())?,
            hangup: signal(SignalKind::hangup())?,
            user1: signal(SignalKind::user_defined1())?,
            user2: signal(SignalKind::user_defined2())?,
        })
    }

    /// `None` only if the runtime is shutting down.
    async fn next(&mut self) -> Option<Ask> {
        tokio::select! {
            got = self.terminate.recv() => got.map(|()| Ask::End),
            got = self.interrupt.recv() => got.map(|()| Ask::End),
            got = self.quit.recv() => got.map(|()| Ask::End),
            got = self.hangup.recv() => got.map(|()| Ask::Reload),
            got = self.user1.recv() => got.map(|()| Ask::Reopen),
            got = self.user2.recv() => got.map(|()| Ask::HandOver),
        }
    }
}
