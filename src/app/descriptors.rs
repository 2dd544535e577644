//! The limit on file descriptors: raised here and nowhere else, before anything is opened.
//!
//! What is kept back of it for all but clients is [`Reserve`]'s business. It makes clients wait, so nobody is turned
//! away for want of descriptors, and `limits.connections_max` stays what the operator wrote.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Limits;
use crate::proxy::Reserve;

/// An operator who asked for more connections than there can be is told. The default asks for nothing.
pub(super) fn reserve(limits: &Limits) -> Reserve {
    let descriptors = raise();
    let reserve = Reserve::of_limit(descriptors);
    if asks_for_more(limits, reserve.clients_max()) {
        tracing::warn!(
            connections_max = limits.connections_max,
            room = reserve.clients_max(),
            descriptors,
            "limits.connections_max is more than the limit on open files has room for, and clients beyond that wait; \
             raise it (ulimit -n, LimitNOFILE=)"
        );
    }
    reserve
}

fn asks_for_more(limits: &Limits, room: usize) -> bool {
    let wanted = limits.connections_max;
    wanted > room && wanted != Limits::default().connections_max
}

/// The soft limit is low for the sake of programs that cannot count beyond it; we can. What may be opened then.
fn raise() -> u64 {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, "the limit of file descriptors stays as it is");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_an_operator_asked_for_can_be_too_much() {
        let of = |connections_max| Limits { connections_max, ..Default::default() };
        let default = Limits::default().connections_max;
        assert!(!asks_for_more(&of(672), 672));
        assert!(asks_for_more(&of(673), 672));
        assert!(!asks_for_more(&of(default), 672));
        assert!(asks_for_more(&of(default + 1), default));
    }
}
