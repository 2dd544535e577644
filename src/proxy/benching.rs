//! A door for `benches`: what is done to the head of a message, without the sockets around it.

use std::rc::Rc;
use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use tokio::sync::watch;

use super::connection::{self, Downstream};
use super::request_id::request_id;
use super::worker::Worker;
use super::{Admission, Phase, Reserve, Setup, clock, headers};
use crate::config::Listener;
use crate::metrics::Shard;
use crate::routing::Live;

/// One client's connection.
pub struct Hop(Rc<Downstream>);

impl Hop {
    /// Of a client on loopback who is not trusted.
    pub fn new(live: Live, listener: Listener) -> Self {
        let mut setup = Setup {
            live,
            shard: Arc::new(Shard::default()),
            admission: Arc::new(Admission::new(1, &[], Arc::default())),
            intakes: Vec::new(),
            tls: watch::Sender::new(Arc::default()).subscribe(),
            phase: watch::Sender::new(Phase::Serving).subscribe(),
            pulse: watch::Sender::new(0).subscribe(),
            reserve: Reserve::of_limit(1_024),
            epoch: clock::now(),
            access_log: None,
            spans: None,
            seed: 1,
        };
        let worker = Rc::new(Worker::new(&mut setup));
        Self(connection::quiet(worker, Rc::new(listener), ([127, 0, 0, 1], 4_711).into()))
    }

    /// As `request` makes a head ready for the upstream.
    pub fn prepare_request(&self, parts: &mut Parts) {
        let worker = &self.0.worker;
        let id = || request_id(worker.random_u64(), worker.random_u64());
        headers::prepare_request(parts, &self.0, id);
    }
}

/// As `request` makes a head ready for the client.
pub fn prepare_response(headers: &mut HeaderMap) {
    headers::prepare_response(headers);
}
