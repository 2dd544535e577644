//! How many connections the system's limit on file descriptors allows.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// For the store, the log, the admin face, runtimes and files that are read: no flood of clients may take them.
const RESERVE: u64 = 384;
/// A listening socket for each listener, and what a runtime needs.
const OF_A_RUNTIME: u64 = 8;

/// `limits.connections_max`, or less where the system would not give descriptors for so many: a client may need a
/// second one, for the connection to its upstream.
pub(super) fn connections_max(config: &Config) -> usize {
    let wanted = config.limits.connections_max;
    let Some(descriptors) = raise() else { return wanted };
    let most = most(descriptors, config.workers.count, config.listeners.len());
    if most < wanted {
        tracing::warn!(
            wanted,
            connections_max = most,
            descriptors,
            "limits.connections_max is more than the limit on open files allows; raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    wanted.min(most)
}

/// The soft limit is for programs that use `select`; we may have the hard one. `None`: unlimited.
fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    // What cannot be raised stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    getrlimit(Resource::Nofile).current
}

fn most(descriptors: u64, workers: usize, listeners: usize) -> usize {
    let reserve = RESERVE + workers as u64 * (listeners as u64 + OF_A_RUNTIME);
    // With very few, half of them are for us.
    let free = descriptors.saturating_sub(reserve.min(descriptors / 2));
    usize::try_from(free / 2).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_stays_and_each_client_may_have_two() {
        assert_eq!(most(1_024, 4, 2), (1_024 - 384 - 40) / 2);
        assert_eq!(most(1_048_576, 4, 1), (1_048_576 - 384 - 36) / 2);
    }

    #[test]
    fn with_very_few_descriptors_somebody_is_still_let_in() {
        assert_eq!(most(256, 4, 1), 64);
        assert_eq!(most(3, 1, 1), 1);
        assert_eq!(most(0, 1, 1), 1);
    }
}
