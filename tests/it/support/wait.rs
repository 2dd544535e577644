//! Waiting for what must come about, until a deadline: the one place in the tests that sleeps.

use std::time::{Duration, Instant};

/// Long enough for a machine that does ten other things. Nobody waits this long for what does come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The first thing that `look` finds. Panics with `what` if it finds nothing in time.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        pause(LOOK_AGAIN);
    }
}

/// Panics with `what` as soon as `holds` does not, and returns after `span` otherwise.
#[track_caller]
pub(crate) fn while_holds(span: Duration, what: &str, mut holds: impl FnMut() -> bool) {
    let end = now() + span;
    while now() < end {
        assert!(holds(), "did not last: {what}");
        pause(LOOK_AGAIN);
    }
}

/// Nothing is concluded from how long it takes: for the pace of a load, and for moments picked by chance.
pub(crate) fn pause(span: Duration) {
    std::thread::sleep(span);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a deadline needs the clock, and the tests have no other use of it"
)]
fn now() -> Instant {
    Instant::now()
}
