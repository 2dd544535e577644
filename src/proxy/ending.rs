//! How a thread that writes for the data plane ends: it is waited for, but not for ever.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::clock;

/// One that is blocked by what it writes to, such as a stdout that nobody reads, is left behind after this long.
const STUCK: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(25);

/// `what` begins a sentence of the log.
pub(super) fn wait_for(thread: JoinHandle<()>, what: &str) {
    let stuck_at = clock::now() + STUCK;
    while !thread.is_finished() {
        if clock::now() > stuck_at {
            return tracing::warn!("{what} does not end; its last lines are left behind");
        }
        thread::sleep(LOOK);
    }
    if thread.join().is_err() {
        tracing::error!("{what} ended by a panic");
    }
}
