//! The watchdog: systemd is told that we live only while the control loop and every worker really go round.
//!
//! Each beat is a number that all workers see and each answers in its shard, also one that is merely idle: the
//! number wakes it. One that is stuck does not answer, so nothing is sent, and systemd ends and restarts us after
//! `WatchdogSec=`. Without a watchdog there are no beats, and idle workers sleep.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::notify;
use crate::control::Handle;
use crate::metrics::Shards;

/// How often to look who has answered.
const LOOK: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(super) struct Pulse {
    pub(super) beat: watch::Sender<u64>,
    pub(super) shards: Shards,
    pub(super) handle: Handle,
}

impl Pulse {
    /// Beats twice in a period, for ever.
    pub(super) async fn run(self, period: Duration) {
        let half = period / 2;
        let mut ticks = interval(half);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for beat in 1.. {
            ticks.tick().await;
            if timeout(half, self.is_answered(beat)).await.unwrap_or(false) {
                notify::alive();
            } else {
                let workers = self.shards.silent(beat);
                tracing::error!(?workers, "no sign of life from the control loop or these workers");
            }
        }
    }

    /// Returns when all have answered; false: the control loop is gone.
    async fn is_answered(&self, beat: u64) -> bool {
        self.beat.send_replace(beat);
        let control = self.handle.ping().await.is_ok();
        while control && !self.shards.silent(beat).is_empty() {
            sleep(LOOK).await;
        }
        control
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::Command;

    /// Answers pings for ever.
    async fn control(mut commands: tokio::sync::mpsc::Receiver<Command>) {
        while let Some(command) = commands.recv().await {
            if let Command::Ping(reply) = command {
                let _ = reply.send(Ok(()));
            }
        }
    }

    fn pulse(workers: usize) -> (Pulse, tokio::sync::mpsc::Receiver<Command>) {
        let (handle, commands) = Handle::new();
        (Pulse { beat: watch::Sender::new(0), shards: Shards::new(workers), handle }, commands)
    }

    #[tokio::test]
    async fn one_worker_that_is_stuck_is_enough_to_be_taken_for_dead() {
        let (pulse, commands) = pulse(2);
        let moment = Duration::from_millis(20);
        tokio::select! {
            () = control(commands) => unreachable!("pings end with the test"),
            () = async {
                pulse.shards.worker(0).pulse.set(1);
                assert!(timeout(moment, pulse.is_answered(1)).await.is_err());
                assert_eq!(pulse.shards.silent(1), [1]);
                pulse.shards.worker(1).pulse.set(1);
                assert!(pulse.is_answered(1).await);
                assert!(timeout(moment, pulse.is_answered(2)).await.is_err());
            } => {}
        }
    }

    #[tokio::test]
    async fn so_is_a_control_loop_that_is_stuck_or_gone() {
        let (pulse, commands) = pulse(1);
        pulse.shards.worker(0).pulse.set(9);
        assert!(timeout(Duration::from_millis(20), pulse.is_answered(1)).await.is_err());
        drop(commands);
        assert!(!pulse.is_answered(1).await);
    }
}
