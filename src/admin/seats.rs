//! The connections of the admin listener: a fixed number of seats, and who gives up his when they are all taken.
//!
//! An operator must get in, whoever sits there already. So the seat of the connection that has waited longest for a
//! request goes to the new one; if each is being answered, of the one whose request is the oldest.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::{AbortHandle, Id};

/// Connections at a time.
pub(super) const SEATS_MAX: usize = 256;
/// Set while a request is answered; the bits below number the moment at which that, or the waiting, began.
const ANSWERING: u64 = 1 << 63;

#[derive(Debug, Default)]
pub(super) struct Seats {
    taken: HashMap<Id, (AbortHandle, Seat)>,
    moments: Arc<AtomicU64>,
}

/// What a connection is at.
#[derive(Clone, Debug)]
pub(super) struct Seat {
    state: Arc<AtomicU64>,
    moments: Arc<AtomicU64>,
}

impl Seats {
    /// For a connection that waits for its first request.
    pub(super) fn seat(&self) -> Seat {
        let seat = Seat { state: Arc::default(), moments: Arc::clone(&self.moments) };
        seat.set(0);
        seat
    }

    /// Somebody else may have to go for it.
    pub(super) fn take(&mut self, connection: AbortHandle, seat: Seat) {
        if self.taken.len() >= SEATS_MAX {
            self.close_one();
        }
        self.taken.insert(connection.id(), (connection, seat));
    }

    pub(super) fn leave(&mut self, connection: Id) {
        self.taken.remove(&connection);
    }

    fn close_one(&mut self) {
        let state = |(_, seat): &(AbortHandle, Seat)| seat.state.load(Ordering::Relaxed);
        let first = self.taken.iter().min_by_key(|(_, taken)| state(taken)).map(|(id, _)| *id);
        if let Some((connection, _)) = first.and_then(|id| self.taken.remove(&id)) {
            connection.abort();
        }
    }
}

impl Seat {
    /// A request is answered for as long as the guard lives.
    pub(super) fn answer(&self) -> Answering {
        self.set(ANSWERING);
        Answering(self.clone())
    }

    fn set(&self, doing: u64) {
        self.state.store(doing | self.moments.fetch_add(1, Ordering::Relaxed), Ordering::Relaxed);
    }
}

pub(super) struct Answering(Seat);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::JoinSet;

    /// All seats are taken, in this order.
    fn full(connections: &mut JoinSet<()>) -> (Seats, Vec<Id>, Vec<Seat>) {
        let mut seats = Seats::default();
        let (mut ids, mut each) = (Vec::new(), Vec::new());
        for _ in 0..SEATS_MAX {
            let seat = seats.seat();
            let connection = connections.spawn(std::future::pending());
            ids.push(connection.id());
            each.push(seat.clone());
            seats.take(connection, seat);
        }
        (seats, ids, each)
    }

    async fn who_goes(seats: &mut Seats, connections: &mut JoinSet<()>) -> Id {
        let newcomer = connections.spawn(std::future::pending());
        seats.take(newcomer, seats.seat());
        let gone = connections.join_next().await.unwrap().unwrap_err();
        assert!(gone.is_cancelled() && seats.taken.len() == SEATS_MAX);
        gone.id()
    }

    #[tokio::test]
    async fn the_one_that_has_waited_longest_goes_first() {
        let mut connections = JoinSet::new();
        let (mut seats, ids, each) = full(&mut connections);
        // The first asks something, and has its answer.
        drop(each[0].answer());
        let _second_is_answered = each[1].answer();
        assert_eq!(who_goes(&mut seats, &mut connections).await, ids[2]);
        assert_eq!(who_goes(&mut seats, &mut connections).await, ids[3]);
    }

    #[tokio::test]
    async fn if_all_are_answered_the_oldest_request_goes() {
        let mut connections = JoinSet::new();
        let (mut seats, ids, each) = full(&mut connections);
        let _answering: Vec<_> = each.iter().rev().map(Seat::answer).collect();
        assert_eq!(who_goes(&mut seats, &mut connections).await, ids[SEATS_MAX - 1]);
    }

    #[tokio::test]
    async fn who_left_takes_no_seat() {
        let mut connections = JoinSet::new();
        let (mut seats, ids, _each) = full(&mut connections);
        seats.leave(ids[7]);
        seats.take(connections.spawn(std::future::pending()), seats.seat());
        assert!(connections.try_join_next().is_none() && seats.taken.len() == SEATS_MAX);
    }
}
