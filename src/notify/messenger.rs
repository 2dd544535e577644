//! The thread that tells, and the controller's end of it.
//!
//! It follows the newest [`Plan`], as the lookout does: a receiver that a reload does not touch goes on where it was, one
//! that is changed goes on with what it has still to be told. At the end everything that waits has one last attempt,
//! within [`LAST`].

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, oneshot, watch};
use tokio::task::{self, spawn_local};
use tokio::time::{Instant, timeout};
use tracing::{error, warn};
use uuid::Uuid;

use super::letter;
use super::mailbox::{Attempt, Mailbox, Post, deliver};
use crate::config::{Config, Receiver};
use crate::metrics::notify::{NotifyCounts, NotifyGauges};
use crate::store::record::Decision;
use crate::tls::Material;

/// On their way to the thread, which does nothing but hand them out. When full, a notice is dropped.
const JOBS_MAX: usize = 1_024;
/// Tests at one time.
const TESTS_MAX: usize = 4;
/// At the end, for all receivers together.
const LAST: Duration = Duration::from_secs(2);

/// Who is told.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    receivers: Vec<(Arc<Receiver>, Arc<NotifyCounts>)>,
    /// What links begin with.
    base: Option<Box<str>>,
}

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub delivered: bool,
    /// `200 OK`, or why not.
    pub says: String,
    pub took: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Untestable {
    Unknown {
        known: Vec<Arc<str>>,
    },
    /// As many tests run as may, or the thread is gone.
    Busy,
}

enum Job {
    Tell(Arc<Decision>),
    Test(Arc<str>, oneshot::Sender<Told>),
}

/// The controller's end. The thread ends when it is dropped.
pub struct Messenger {
    plan: Arc<Plan>,
    plans: watch::Sender<Arc<Plan>>,
    jobs: mpsc::Sender<Job>,
}

impl Messenger {
    /// `tls`: what to shake hands with; `date`: milliseconds since 1970.
    pub fn start(
        tls: watch::Receiver<Arc<Material>>,
        date: fn() -> i64,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (messenger, plans, jobs) = Self::unattended();
        let run = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            match runtime.enable_all().build_local(Default::default()) {
                Ok(runtime) => {
                    runtime.block_on(Desk::new(tls, date).run(plans, jobs));
                    // A resolver that hangs must not keep the process.
                    runtime.shutdown_background();
                }
                Err(error) => error!(%error, "nobody is told of decisions"),
            }
        };
        let thread = thread::Builder::new().name("notify".into()).spawn(run)?;
        Ok((messenger, thread))
    }

    fn unattended() -> (Self, watch::Receiver<Arc<Plan>>, mpsc::Receiver<Job>) {
        let (plans, followed) = watch::channel(Arc::default());
        let (jobs, taken) = mpsc::channel(JOBS_MAX);
        (Self { plan: Arc::default(), plans, jobs }, followed, taken)
    }

    /// Without the thread: whatever is told is lost.
    pub fn silent() -> Self {
        Self::unattended().0
    }

    /// Also where the file says what it said before: whoever was gone is tried again.
    pub fn follow(&mut self, config: &Config) {
        let counts = |name: &Arc<str>| {
            let known = self.plan.receivers.iter().find(|(receiver, _)| receiver.name == *name);
            known.map_or_else(Arc::default, |(_, counts)| Arc::clone(counts))
        };
        let receivers = config.notify.iter().map(|one| (Arc::new(one.clone()), counts(&one.name)));
        self.plan = Arc::new(Plan { receivers: receivers.collect(), base: config.admin.url.clone() });
        self.plans.send_replace(Arc::clone(&self.plan));
    }

    /// Waits for nothing.
    pub fn tell(&self, decision: &Decision) {
        let mut wanting = self.plan.wanting(decision).peekable();
        if wanting.peek().is_none() || self.jobs.try_send(Job::Tell(Arc::new(decision.clone()))).is_ok() {
            return;
        }
        wanting.for_each(|(_, counts)| counts.unsent.add(1));
    }

    /// Where the answer comes.
    pub fn test(&self, name: &str) -> Result<oneshot::Receiver<Told>, Untestable> {
        let names = self.plan.receivers.iter().map(|(receiver, _)| Arc::clone(&receiver.name));
        let known: Vec<_> = names.collect();
        let Some(name) = known.iter().find(|known| &***known == name) else {
            return Err(Untestable::Unknown { known });
        };
        let (reply, told) = oneshot::channel();
        let sent = self.jobs.try_send(Job::Test(Arc::clone(name), reply));
        sent.map(|()| told).map_err(|_| Untestable::Busy)
    }

    pub fn gauges(&self) -> NotifyGauges {
        let receivers = self.plan.receivers.iter();
        let receivers = receivers.map(|(receiver, counts)| (Arc::clone(&receiver.name), Arc::clone(counts)));
        NotifyGauges { receivers: receivers.collect(), outside: Vec::new() }
    }
}

impl Plan {
    fn wanting(&self, decision: &Decision) -> impl Iterator<Item = &(Arc<Receiver>, Arc<NotifyCounts>)> {
        let (route, action) = (Arc::clone(&decision.route), decision.action.label());
        self.receivers.iter().filter(move |(receiver, _)| receiver.wants(&route, action))
    }
}

/// The thread.
struct Desk {
    plan: Arc<Plan>,
    receivers: HashMap<Arc<str>, Open>,
    post: Post,
    closing: watch::Sender<bool>,
    tests: Arc<Semaphore>,
}

/// A receiver that is told.
struct Open {
    receiver: Arc<Receiver>,
    base: Option<Box<str>>,
    mailbox: Rc<Mailbox>,
    task: task::JoinHandle<()>,
}

impl Desk {
    fn new(tls: watch::Receiver<Arc<Material>>, date: fn() -> i64) -> Self {
        let (closing, closes) = watch::channel(false);
        Self {
            plan: Arc::default(),
            receivers: HashMap::new(),
            post: Post { tls, closing: closes, base: None, date },
            closing,
            tests: Arc::new(Semaphore::new(TESTS_MAX)),
        }
    }

    async fn run(mut self, mut plans: watch::Receiver<Arc<Plan>>, mut jobs: mpsc::Receiver<Job>) {
        loop {
            // What is told was decided after the newest plan.
            let job = tokio::select! {
                biased;
                Ok(()) = plans.changed() => None,
                job = jobs.recv() => match job {
                    Some(job) => Some(job),
                    None => break,
                },
            };
            match job {
                None => self.follow(Arc::clone(&plans.borrow_and_update())),
                Some(Job::Tell(decision)) => self.hand_out(&decision),
                Some(Job::Test(name, reply)) => self.test(&name, reply),
            }
        }
        self.close().await;
    }

    fn follow(&mut self, plan: Arc<Plan>) {
        let mut old = std::mem::take(&mut self.receivers);
        self.post.base.clone_from(&plan.base);
        for (receiver, counts) in &plan.receivers {
            let before = old.remove(&receiver.name);
            let goes_on = before.as_ref().is_some_and(|open| {
                *open.receiver == **receiver && open.base == plan.base && !open.mailbox.is_gone()
            });
            let open = match before {
                Some(open) if goes_on => open,
                before => self.open(receiver, counts, before),
            };
            self.receivers.insert(Arc::clone(&receiver.name), open);
        }
        for (name, open) in old {
            open.task.abort();
            if open.mailbox.len() > 0 {
                warn!(receiver = %name, lost = open.mailbox.len(), "is not told any more, and had notices to come");
            }
        }
        self.plan = plan;
    }

    fn open(&self, receiver: &Arc<Receiver>, counts: &Arc<NotifyCounts>, before: Option<Open>) -> Open {
        let mailbox = match before {
            None => Rc::new(Mailbox::new(Arc::clone(counts))),
            Some(open) => {
                open.task.abort();
                open.mailbox.reopen();
                open.mailbox
            }
        };
        let task = deliver(Rc::clone(&mailbox), Arc::clone(receiver), self.post.clone());
        let (receiver, base) = (Arc::clone(receiver), self.post.base.clone());
        Open { receiver, base, mailbox, task: spawn_local(task) }
    }

    fn hand_out(&self, decision: &Arc<Decision>) {
        for (receiver, _) in self.plan.wanting(decision) {
            if let Some(open) = self.receivers.get(&receiver.name) {
                open.mailbox.put(decision);
            }
        }
    }

    /// Beside what waits for the receiver, once. Nobody hears of it if as many run as may: the reply is dropped.
    fn test(&self, name: &str, reply: oneshot::Sender<Told>) {
        let Some(open) = self.receivers.get(name) else { return };
        let Ok(permit) = Arc::clone(&self.tests).try_acquire_owned() else { return };
        let (receiver, post) = (Arc::clone(&open.receiver), self.post.clone());
        let test = async move {
            let begun = Instant::now();
            let body = letter::test_body(&receiver, (post.date)());
            let attempt = post.attempt(&receiver, &Uuid::now_v7().to_string(), body).await;
            let (delivered, says) = match attempt {
                Attempt::Delivered(status) => (true, status.to_string()),
                Attempt::Later(why, _) | Attempt::Refused(why) => (false, why),
                Attempt::Gone => (false, "answers 410 Gone".to_owned()),
            };
            let _ = reply.send(Told { delivered, says, took: begun.elapsed() });
            drop(permit);
        };
        spawn_local(test);
    }

    async fn close(self) {
        self.closing.send_replace(true);
        let (mut tasks, mut mailboxes) = (Vec::new(), Vec::new());
        for (_, open) in self.receivers {
            tasks.push(open.task);
            mailboxes.push((open.receiver, open.mailbox));
        }
        let all = async {
            for task in &mut tasks {
                // One that panicked has nothing more to tell.
                let _ = task.await;
            }
        };
        // An error is a receiver that takes too long.
        let _ = timeout(LAST, all).await;
        tasks.iter().for_each(task::JoinHandle::abort);
        for (receiver, mailbox) in mailboxes {
            if mailbox.len() > 0 {
                warn!(receiver = %receiver.name, lost = mailbox.len(), "did not take its last notices; the record has them");
            }
        }
    }
}

#[cfg(test)]
mod tests;
