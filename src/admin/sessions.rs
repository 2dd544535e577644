//! Logins of the dashboard: a browser shows its token once and has a cookie from then on.
//!
//! The cookie is a secret of its own, of which the SHA-256 is kept, and stands for the token: what that may do is looked
//! up at every request, so a session ends with its token.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::secret::Hash;

/// At a time. When full, the one that has been unused longest ends.
const SESSIONS_MAX: usize = 256;
/// Unused for so long, it is over.
const IDLE_MAX: Duration = Duration::from_hours(1);
/// However much it is used.
pub(super) const AGE_MAX: Duration = Duration::from_hours(12);

#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<Hash, Session>);

#[derive(Debug)]
struct Session {
    token: Hash,
    begun: Instant,
    used: Instant,
}

impl Sessions {
    pub(super) fn begin(&mut self, cookie: Hash, token: Hash, now: Instant) {
        self.0.retain(|_, session| session.lives(now));
        if self.0.len() >= SESSIONS_MAX {
            let idlest = self.0.iter().min_by_key(|(_, session)| session.used).map(|(cookie, _)| *cookie);
            idlest.and_then(|cookie| self.0.remove(&cookie));
        }
        self.0.insert(cookie, Session { token, begun: now, used: now });
    }

    /// The token that the session stands for.
    pub(super) fn used(&mut self, cookie: &Hash, now: Instant) -> Option<Hash> {
        let session = self.0.get_mut(cookie).filter(|session| session.lives(now))?;
        session.used = now;
        Some(session.token)
    }

    pub(super) fn end(&mut self, cookie: &Hash) {
        self.0.remove(cookie);
    }
}

impl Session {
    fn lives(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE_MAX && now.duration_since(self.begun) < AGE_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: Hash = [9; 32];

    fn cookie(number: usize) -> Hash {
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_le_bytes());
        hash
    }

    #[test]
    fn a_session_lives_while_it_is_used_and_half_a_day_at_most() {
        let (mut sessions, begun) = (Sessions::default(), Instant::now());
        sessions.begin(cookie(1), TOKEN, begun);
        sessions.begin(cookie(2), TOKEN, begun);
        let almost = Duration::from_mins(59);
        let mut now = begun;
        while now + almost < begun + AGE_MAX {
            now += almost;
            assert_eq!(sessions.used(&cookie(1), now), Some(TOKEN));
        }
        assert_eq!(sessions.used(&cookie(1), begun + AGE_MAX), None);
        assert_eq!(sessions.used(&cookie(2), begun + IDLE_MAX), None);
        assert_eq!(sessions.used(&cookie(3), begun), None);
    }

    #[test]
    fn a_session_that_was_ended_is_over() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        sessions.begin(cookie(1), TOKEN, now);
        sessions.end(&cookie(1));
        assert_eq!(sessions.used(&cookie(1), now), None);
    }

    #[test]
    fn the_table_is_bounded_and_the_idlest_goes() {
        let (mut sessions, now) = (Sessions::default(), Instant::now());
        let later = |number: usize| now + Duration::from_millis(number as u64);
        for number in 0..SESSIONS_MAX {
            sessions.begin(cookie(number), TOKEN, later(number));
        }
        assert_eq!(sessions.used(&cookie(0), later(SESSIONS_MAX)), Some(TOKEN));
        sessions.begin(cookie(SESSIONS_MAX), TOKEN, later(SESSIONS_MAX));
        assert_eq!(sessions.0.len(), SESSIONS_MAX);
        assert_eq!(sessions.used(&cookie(0), later(SESSIONS_MAX)), Some(TOKEN));
        assert_eq!(sessions.used(&cookie(1), later(SESSIONS_MAX)), None);
    }
}
