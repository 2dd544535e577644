//! The thread that asks others for numbers: a task for each question, which asks, reports, and waits for its time.
//!
//! As the lookout does it: it follows the newest list of questions, what is not in it any more is given up, and a report
//! is an event of the control loop. A server that does not answer holds up only its own question.

use std::collections::HashMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::{AbortHandle, spawn_local};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::error;

use super::client;
use super::reading::{self, Untold};
use crate::config::Web;
use crate::tls::Material;

/// Questions under way at one time: each has a socket or two. Further ones wait their turn.
const ASKED_MAX: usize = 64;
/// Reports on their way to the controller. When full, questions wait.
const REPORTS_MAX: usize = 1_024;
/// Of an answer. A longer one is none.
const ANSWER_BYTES_MAX: usize = 64 * 1_024;

/// What is asked about one canary.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// No two questions of a process have the same.
    pub id: u64,
    pub of_canary: Asked,
    /// `None`: the limit is fixed.
    pub of_stable: Option<Asked>,
    pub every: Duration,
    pub timeout: Duration,
    /// Before it is asked for the first time.
    pub after: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Asked {
    Prometheus { server: Web, query: Box<str> },
    Http { web: Web, field: Option<Box<str>> },
}

/// Numbers, or why there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Of the question.
    pub id: u64,
    pub at_ms: i64,
    pub canary: Result<f64, Untold>,
    pub stable: Option<Result<f64, Untold>>,
}

/// The controller's end. The thread ends when it is dropped.
pub struct Inquirer {
    questions: watch::Sender<Vec<Arc<Question>>>,
    reports: mpsc::Receiver<Report>,
}

impl Inquirer {
    /// `tls`: what to shake hands with; `date`: milliseconds since 1970.
    pub fn start(
        tls: watch::Receiver<Arc<Material>>,
        date: fn() -> i64,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (inquirer, questions, reports) = Self::unattended();
        let run = move || {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            match runtime.enable_all().build_local(Default::default()) {
                Ok(runtime) => {
                    runtime.block_on(follow(questions, Asking { reports, tls, date }));
                    // A resolver that hangs must not keep the process.
                    runtime.shutdown_background();
                }
                Err(error) => error!(%error, "outside signals are not asked for"),
            }
        };
        let thread = thread::Builder::new().name("inquiry".into()).spawn(run)?;
        Ok((inquirer, thread))
    }

    /// Without the thread: who holds the other ends plays it.
    pub fn unattended() -> (Self, watch::Receiver<Vec<Arc<Question>>>, mpsc::Sender<Report>) {
        let (questions, followed) = watch::channel(Vec::new());
        let (sender, reports) = mpsc::channel(REPORTS_MAX);
        (Self { questions, reports }, followed, sender)
    }

    /// From now on exactly these.
    pub fn follow(&self, questions: Vec<Arc<Question>>) {
        self.questions.send_replace(questions);
    }

    /// Waits for ever if the thread is gone. May be dropped and called again.
    pub async fn report(&mut self) -> Report {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }
}

/// What all questions share.
#[derive(Clone)]
struct Asking {
    reports: mpsc::Sender<Report>,
    tls: watch::Receiver<Arc<Material>>,
    date: fn() -> i64,
}

async fn follow(mut questions: watch::Receiver<Vec<Arc<Question>>>, asking: Asking) {
    let turns = Rc::new(Semaphore::new(ASKED_MAX));
    let mut tasks: HashMap<u64, AbortHandle> = HashMap::new();
    while questions.changed().await.is_ok() {
        let wanted = questions.borrow_and_update().clone();
        let mut old = std::mem::take(&mut tasks);
        for question in wanted {
            let id = question.id;
            let task = old.remove(&id).unwrap_or_else(|| {
                spawn_local(ask_for_ever(question, Rc::clone(&turns), asking.clone())).abort_handle()
            });
            tasks.insert(id, task);
        }
        old.values().for_each(AbortHandle::abort);
    }
}

async fn ask_for_ever(question: Arc<Question>, turns: Rc<Semaphore>, asking: Asking) {
    sleep(question.after).await;
    loop {
        let next = Instant::now() + question.every;
        let Ok(turn) = turns.acquire().await else { return };
        // In the same moment, so that they can be compared.
        let of_stable = async {
            match &question.of_stable {
                Some(asked) => Some(asking.number(asked, &question).await),
                None => None,
            }
        };
        let (canary, stable) = tokio::join!(asking.number(&question.of_canary, &question), of_stable);
        drop(turn);
        let report = Report { id: question.id, at_ms: (asking.date)(), canary, stable };
        if asking.reports.send(report).await.is_err() {
            return;
        }
        sleep_until(next).await;
    }
}

impl Asking {
    async fn number(&self, asked: &Asked, question: &Question) -> Result<f64, Untold> {
        let (web, ask) = match asked {
            Asked::Prometheus { server, query } => reading::ask_prometheus(server, query, question.timeout),
            Asked::Http { web, .. } => (web.clone(), reading::ask_http()),
        };
        let answer = timeout(question.timeout, client::ask(&web, &self.tls, ask, ANSWER_BYTES_MAX)).await;
        let answer = answer.map_err(|_| Untold::from("no answer in time"))?;
        let answer = answer.map_err(|failed| Untold::from(failed.to_string()))?;
        match asked {
            Asked::Prometheus { .. } => reading::prometheus(&answer, (self.date)(), question.every),
            Asked::Http { field, .. } => reading::http(&answer, field.as_deref()),
        }
    }
}
