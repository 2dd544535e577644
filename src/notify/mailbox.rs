//! What one receiver has still to be told, and the task that tells it.
//!
//! In order, one notice after another. A receiver that does not take one is tried again after a pause that doubles;
//! meanwhile the others wait behind it, and when there are too many the oldest is dropped: of a long silence, what is
//! true now is worth more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::client::{self, Answer, Ask};
use super::{letter, signature};
use crate::config::notify::{Key, Secret};
use crate::config::{Receiver, web};
use crate::metrics::notify::NotifyCounts;
use crate::store::record::Decision;
use crate::tls::Material;

/// Notices that wait for one receiver. When full, the oldest is dropped.
const NOTICES_MAX: usize = 256;
/// Before the second attempt, half more or less. It doubles from one to the next, up to [`PAUSE_MAX`].
const PAUSE: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_mins(5);

/// What all deliveries share.
#[derive(Clone)]
pub(super) struct Post {
    pub(super) tls: watch::Receiver<Arc<Material>>,
    /// True: the process ends, and everything has one last attempt.
    pub(super) closing: watch::Receiver<bool>,
    /// What links begin with.
    pub(super) base: Option<Box<str>>,
    /// Milliseconds since 1970.
    pub(super) date: fn() -> i64,
}

/// Outlives the task: a reload that changes the receiver loses no notice.
pub(super) struct Mailbox {
    /// At most [`NOTICES_MAX`].
    waiting: RefCell<VecDeque<Arc<Decision>>>,
    /// The one that is being delivered.
    in_hand: RefCell<Option<Arc<Decision>>>,
    arrived: Notify,
    /// It said that it is gone for good; until the next reload.
    gone: Cell<bool>,
    pub(super) counts: Arc<NotifyCounts>,
}

/// What came of one attempt.
pub(super) enum Attempt {
    Delivered(StatusCode),
    /// Again, at the earliest after so long.
    Later(String, Option<Duration>),
    /// Nothing would change by another attempt.
    Refused(String),
    Gone,
}

impl Mailbox {
    pub(super) fn new(counts: Arc<NotifyCounts>) -> Self {
        let (waiting, in_hand) = Default::default();
        Self { waiting, in_hand, arrived: Notify::new(), gone: Cell::new(false), counts }
    }

    pub(super) fn put(&self, decision: &Arc<Decision>) {
        self.counts.taken.add(1);
        if self.gone.get() {
            self.counts.refused.add(1);
            return;
        }
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= NOTICES_MAX {
            waiting.pop_front();
            self.counts.dropped.add(1);
        }
        waiting.push_back(Arc::clone(decision));
        self.arrived.notify_one();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.get()
    }

    /// Not left to the task: what is told right after a reload may be put in before that one first runs.
    pub(super) fn reopen(&self) {
        self.gone.set(false);
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.borrow().len() + usize::from(self.in_hand.borrow().is_some())
    }

    /// The next one, or the one that an earlier task had in hand.
    fn next(&self) -> Option<Arc<Decision>> {
        let mut in_hand = self.in_hand.borrow_mut();
        if in_hand.is_none() {
            *in_hand = self.waiting.borrow_mut().pop_front();
        }
        in_hand.clone()
    }

    pub(super) fn give_up(&self) {
        self.gone.set(true);
        let lost = self.len();
        self.waiting.borrow_mut().clear();
        self.in_hand.take();
        self.counts.refused.add(lost as u64);
    }
}

/// Delivers until the process ends, or the receiver says that it is gone.
pub(super) async fn deliver(mailbox: Rc<Mailbox>, receiver: Arc<Receiver>, mut post: Post) {
    let mut works = true;
    loop {
        let Some(decision) = mailbox.next() else {
            tokio::select! {
                () = mailbox.arrived.notified() => continue,
                _ = post.closing.wait_for(|closing| *closing) => {}
            }
            if mailbox.len() == 0 {
                return;
            }
            continue;
        };
        let name = &receiver.name;
        match tell(&decision, &receiver, &mut post, &mut works).await {
            Attempt::Delivered(_) => {
                if !works {
                    info!(receiver = %name, "takes notices again");
                }
                works = true;
                mailbox.counts.delivered.add(1);
            }
            Attempt::Later(why, _) => {
                warn!(receiver = %name, decision = %decision.id, reason = why, "a notice is given up");
                mailbox.counts.failed.add(1);
            }
            Attempt::Refused(why) => {
                warn!(receiver = %name, decision = %decision.id, reason = why, "a notice is refused");
                mailbox.counts.refused.add(1);
            }
            Attempt::Gone => {
                warn!(receiver = %name, "answers 410: nothing is sent there until the next reload");
                return mailbox.give_up();
            }
        }
        mailbox.in_hand.take();
    }
}

/// As often as the file says; once more when the process ends.
async fn tell(decision: &Decision, receiver: &Receiver, post: &mut Post, works: &mut bool) -> Attempt {
    let body = letter::body(decision, receiver, post.base.as_deref());
    let mut pause = PAUSE;
    for attempt in 1.. {
        let is_last = *post.closing.borrow() || attempt >= receiver.attempts;
        let (why, wanted) = match post.attempt(receiver, &decision.id, body.clone()).await {
            Attempt::Later(why, wanted) => (why, wanted),
            done => return done,
        };
        if std::mem::take(works) {
            warn!(receiver = %receiver.name, reason = why, "does not take a notice; it is tried again");
        }
        if is_last {
            return Attempt::Later(why, wanted);
        }
        // Not all at the same moment.
        let drawn = pause.mul_f64(0.5 + fastrand::f64());
        tokio::select! {
            () = sleep(drawn.max(wanted.unwrap_or_default().min(PAUSE_MAX))) => {}
            _ = post.closing.wait_for(|closing| *closing) => {}
        }
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
    }
    unreachable!("attempts are counted up to their last")
}

impl Post {
    pub(super) async fn attempt(&self, receiver: &Receiver, id: &str, body: Bytes) -> Attempt {
        let headers = match self.headers(receiver, id, &body) {
            Ok(headers) => headers,
            Err(why) => return Attempt::Later(why, None),
        };
        let ask = Ask { method: Method::POST, headers, body };
        let asked = client::ask(&receiver.to, &self.tls, ask, 0);
        match timeout(receiver.timeout, asked).await {
            Err(_) => Attempt::Later("no answer in time".to_owned(), None),
            Ok(Err(failed)) => Attempt::Later(failed.to_string(), None),
            Ok(Ok(answer)) => judged(&answer),
        }
    }

    fn headers(&self, receiver: &Receiver, id: &str, body: &[u8]) -> Result<HeaderMap, String> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let at_s = (self.date)().div_euclid(1_000);
        let mut fields = vec![("webhook-id", id.to_owned()), ("webhook-timestamp", at_s.to_string())];
        if let Some(key) = receiver.secret.as_ref().map(key).transpose()? {
            fields.push(("webhook-signature", signature::sign(&key, id, at_s, body)));
        }
        for (name, value) in fields {
            let value = HeaderValue::try_from(value).map_err(|_| format!("{name} cannot be sent"))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }
}

fn key(secret: &Secret) -> Result<Key, String> {
    match secret {
        Secret::Key(key) => Ok(key.clone()),
        Secret::File(file) => {
            let key = web::secret_of(file).and_then(|text| Key::parse(&text).map_err(str::to_owned));
            key.map_err(|found| format!("secret_file {found}"))
        }
    }
}

/// The head says it all: what the body says, and whether it ends, is no matter.
fn judged(answer: &Answer) -> Attempt {
    let status = answer.status;
    match status.as_u16() {
        200..=299 => Attempt::Delivered(status),
        410 => Attempt::Gone,
        300..=399 => Attempt::Refused(format!("answers {status}, and redirects are not followed")),
        408 | 425 | 429 | 500..=599 => {
            Attempt::Later(format!("answers {status}"), retry_after(&answer.headers))
        }
        _ => Attempt::Refused(format!("answers {status}")),
    }
}

/// In seconds. A date is not heeded: a pause of our own does.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
