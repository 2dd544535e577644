//! The signals: TERM, INT and QUIT drain, a second one ends now; HUP reloads; USR1 reopens logs; USR2 hands over to a
//! new process.

use std::io;
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{Instant, sleep, sleep_until};

use super::upgrade::{self, Origin};
use super::{Running, notify};
use crate::config::Drain;
use crate::control::Refusal;

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

/// Why it drains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Signal,
    /// Another process serves.
    HandedOver,
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
    pub(super) fn follow(self, running: &mut Running, origin: &Origin) -> Ending {
        let Self { runtime, mut signals } = self;
        let pulse = notify::watchdog().map(|period| runtime.spawn(running.pulse().run(period)));
        runtime.block_on(async {
            notify::ready(&status(running));
            let cause = serve(running, origin, &mut signals).await;
            if let Some(pulse) = pulse {
                // Workers that have drained do not answer.
                pulse.abort();
            }
            drain(running, &mut signals, cause).await
        })
    }
}

fn status(running: &Running) -> String {
    format!("serving: {} listeners, admin on {}", running.listeners.len(), running.admin)
}

/// Until it is time to go.
async fn serve(running: &Running, origin: &Origin, signals: &mut Signals) -> Cause {
    while let Some(ask) = signals.next().await {
        match ask {
            Ask::End => break,
            // A file on a mount that hangs must not keep a TERM waiting.
            Ask::Reload => tokio::select! {
                () = reload(running) => {}
                () = signals.end() => break,
            },
            Ask::Reopen => running.reopen_logs(),
            Ask::HandOver => {
                notify::status("handing over to a new process");
                match upgrade::hand_over(running, origin, signals.end()).await {
                    Ok(()) => return Cause::HandedOver,
                    Err(upgrade::UpgradeError::Interrupted) => break,
                    Err(error) => {
                        tracing::error!(%error, "USR2: not handed over; everything goes on as before");
                        notify::status(&format!("{}; not handed over: {error}", status(running)));
                    }
                }
            }
        }
    }
    Cause::Signal
}

async fn reload(running: &Running) {
    notify::reloading();
    // The controller logs what came of it.
    let outcome = match running.handle.reload().await {
        Ok(_) => "",
        Err(Refusal::Gone) => {
            tracing::error!("HUP: the control thread is gone; traffic goes on with the last configuration");
            "; the control thread is gone"
        }
        Err(_) => "; the last reload was refused, see the log",
    };
    notify::ready(&format!("{}{outcome}", status(running)));
}

async fn drain(running: &mut Running, signals: &mut Signals, cause: Cause) -> Ending {
    let Drain { delay, timeout } = *running.drain.borrow();
    if cause == Cause::Signal {
        notify::stopping(&format!("draining for up to {} s", (delay + timeout).as_secs()));
        running.announce_drain();
        tracing::info!(
            delay_s = delay.as_secs_f64(),
            deadline_s = timeout.as_secs_f64(),
            "draining; a second signal ends at once"
        );
        tokio::select! {
            () = sleep(delay) => {}
            () = signals.end() => return cut(running, "second signal").await,
        }
    } else {
        running.leave_socket();
        tracing::info!(deadline_s = timeout.as_secs_f64(), "handed over; finishing what is in flight");
    }
    running.drain();
    let deadline = sleep_until(Instant::now() + timeout);
    let mut deadline = std::pin::pin!(deadline);
    loop {
        tokio::select! {
            () = &mut deadline => break cut(running, "the drain deadline passed").await,
            () = signals.end() => break cut(running, "second signal").await,
            () = sleep(LOOK) => if running.has_drained() { return Ending::Drained },
        }
    }
}

async fn cut(running: &mut Running, why: &str) -> Ending {
    running.drain();
    running.cut();
    let last = Instant::now() + CUT;
    while !running.has_drained() && Instant::now() < last {
        sleep(LOOK).await;
    }
    let connections = running.shards.sum_workers(|shard| &shard.cut_connections);
    let requests = running.shards.sum_workers(|shard| &shard.cut_requests);
    tracing::warn!(connections, requests, "{why}; what was left is cut");
    if running.has_drained() { Ending::Drained } else { Ending::Stuck }
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

    /// Any of those that end us. All others wait.
    async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.quit.recv() => {}
        }
    }
}
