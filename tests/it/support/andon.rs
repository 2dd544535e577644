//! The real andon: a directory with its file and store, and the process that runs there.

use std::cell::RefCell;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::admin::{self, Reply};
use super::message::Message;
use super::wait::{self, PATIENCE};
use super::wire::Wire;

/// Where an andon lives. It outlives the process, so that another one can be started in its place.
#[derive(Clone)]
pub(crate) struct Site {
    dir: Rc<TempDir>,
    /// Of the listener, e.g. `127.0.0.1:0`.
    pub(crate) address: String,
    pub(crate) workers: usize,
    /// More keys of the listener.
    pub(crate) listener: String,
    /// More keys of the admin listener.
    pub(crate) admin: String,
}

impl Site {
    /// With these upstreams and routes, one worker and a store of its own.
    pub(crate) fn new(body: &str) -> Self {
        Self::with_listener("", body)
    }

    pub(crate) fn with_listener(listener: impl Into<String>, body: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("andon-test-").tempdir().expect("a temporary directory");
        let site = Self {
            dir: Rc::new(dir),
            address: "127.0.0.1:0".to_owned(),
            workers: 1,
            listener: listener.into(),
            admin: String::new(),
        };
        site.write(body);
        site
    }

    /// Writes the file anew. It appears at once and whole.
    pub(crate) fn write(&self, body: &str) {
        let Self { address, workers, listener, admin, .. } = self;
        let text = format!(
            "[workers]\ncount = {workers}\n[admin]\nlisten = \"127.0.0.1:0\"\n{admin}\n[store]\npath = \"andon.db\"\n\
             [[listener]]\nname = \"public\"\naddress = \"{address}\"\n{listener}\n{body}"
        );
        let draft = self.dir.path().join("draft");
        std::fs::write(&draft, text).expect("the directory is ours");
        std::fs::rename(draft, self.file()).expect("the directory is ours");
    }

    /// A file that lies beside its own.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where its store is.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("andon.db")
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.path("andon.toml")
    }

    /// As it is started, for those who start it in another way.
    pub(crate) fn command(&self) -> Command {
        self.command_of(Path::new(env!("CARGO_BIN_EXE_andon")))
    }

    /// Of this program instead of the one that was built.
    pub(crate) fn command_of(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.arg("run").arg("-c").arg(self.file()).stdin(Stdio::null());
        command.env("ANDON_LOG", "info").env("ANDON_LOG_FORMAT", "json");
        command
    }

    /// Through another program, which gets the command behind these arguments and becomes it.
    pub(crate) fn command_through(&self, program: &str, arguments: &[&str]) -> Command {
        let command = self.command();
        let mut through = Command::new(program);
        through.args(arguments).arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        through.envs(command.get_envs().filter_map(|(key, value)| Some((key, value?))));
        through
    }

    #[track_caller]
    pub(crate) fn start(&self) -> Andon {
        self.start_command(self.command())
    }

    #[track_caller]
    pub(crate) fn start_with_stdout(&self, stdout: impl Into<Stdio>) -> Andon {
        let mut command = self.command();
        command.stdout(stdout);
        self.start_command(command)
    }

    #[track_caller]
    pub(crate) fn start_command(&self, command: Command) -> Andon {
        let andon = self.start_unasked(command);
        wait::until("andon is ready", || (andon.ask("GET", "/readyz", "").status == 200).then_some(()));
        andon
    }

    /// For an admin listener that is not asked in cleartext. Who connects waits until it answers.
    #[track_caller]
    pub(crate) fn start_unasked(&self, mut command: Command) -> Andon {
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the binary is built");
        let stderr = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            stderr.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let log = Log { lines, read: RefCell::default() };
        let mut andon = Andon {
            child,
            successor: None,
            log,
            address: nowhere,
            admin: nowhere,
            _dir: Rc::clone(&self.dir),
        };
        andon.address = andon.log.address("listener");
        andon.admin = andon.log.address("admin");
        andon
    }

    /// Runs it where it cannot start.
    #[track_caller]
    pub(crate) fn start_in_vain(&self) -> Output {
        let mut child =
            self.command().stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it is built");
        wait::until("an andon that cannot start ends", || child.try_wait().expect("it is our child"));
        child.wait_with_output().expect("it is our child")
    }
}

/// A running andon. Killed on drop.
pub(crate) struct Andon {
    child: Child,
    /// The process that has taken over from our child, if any.
    successor: Option<u32>,
    log: Log,
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// Its store lies there, and must not be deleted under it.
    _dir: Rc<TempDir>,
}

impl Andon {
    #[track_caller]
    pub(crate) fn start(body: &str) -> Self {
        Site::new(body).start()
    }

    /// In front of one upstream, route `shop`.
    #[track_caller]
    pub(crate) fn before(upstream: SocketAddr) -> Self {
        Self::start(&lone(upstream, ""))
    }

    /// Route `shop`, split.
    #[track_caller]
    pub(crate) fn between(stable: SocketAddr, canary: SocketAddr, weight: &str) -> Self {
        Self::start(&split(stable, canary, weight, ""))
    }

    #[track_caller]
    pub(crate) fn connect(&self) -> Wire {
        Wire::connect(self.address)
    }

    /// One exchange on a connection of its own.
    #[track_caller]
    pub(crate) fn exchange(&self, request: impl AsRef<[u8]>) -> Message {
        let mut wire = self.connect();
        wire.send(request);
        wire.response()
    }

    #[track_caller]
    pub(crate) fn ask(&self, method: &str, path: &str, body: &str) -> Reply {
        admin::ask(self.admin, method, path, body)
    }

    #[track_caller]
    pub(crate) fn shop(&self) -> Value {
        self.ask("GET", "/api/v1/routes/shop", "").ok()
    }

    /// Sets the aim of the canary of route `shop`.
    #[track_caller]
    pub(crate) fn set_weight(&self, weight: &str) -> Reply {
        let body = json!({ "weight": weight, "why": "a test", "by": "ann" });
        self.ask("PUT", "/api/v1/routes/shop/weight", &body.to_string())
    }

    #[track_caller]
    pub(crate) fn metrics(&self) -> String {
        let reply = self.ask("GET", "/metrics", "");
        assert_eq!(reply.status, 200);
        reply.message.text().to_owned()
    }

    /// The sum over all series with these labels.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let text = self.metrics();
        admin::sum(&text, name, labels).unwrap_or_else(|| panic!("no {name} with {labels:?} in:\n{text}"))
    }

    /// Waits until so many requests ended this way, and none is in flight.
    #[track_caller]
    pub(crate) fn wait_for_outcome(&self, outcome: &str, count: f64) {
        wait::until(&format!("{count} requests end as {outcome}; {:?}", self.outcomes()), || {
            let ended = self.metric("andon_outcomes_total", &[("outcome", outcome)]) >= count;
            (ended && self.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
        });
        assert_eq!(self.metric("andon_outcomes_total", &[("outcome", outcome)]), count, "{outcome}");
        assert_eq!(self.metric("andon_outcomes_total", &[]), self.metric("andon_requests_total", &[]));
    }

    /// What was counted so far, for messages.
    pub(crate) fn outcomes(&self) -> Vec<String> {
        let text = self.metrics();
        let counted = |line: &&str| line.starts_with("andon_outcomes_total") && !line.ends_with(" 0");
        text.lines().filter(counted).map(str::to_owned).collect()
    }

    /// What it occupies of the memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        self.kib_of("VmRSS:")
    }

    /// The same without what it could read from files again.
    pub(crate) fn anonymous_kib(&self) -> u64 {
        self.kib_of("RssAnon:")
    }

    fn kib_of(&self, field: &str) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).expect("andon runs");
        let line = status.lines().find_map(|line| line.strip_prefix(field)).expect("Linux says so");
        line.trim_end_matches("kB").trim().parse().expect("it is a number")
    }

    pub(crate) fn signal(&self, name: &str) {
        let kill = format!("kill -{name} {}", self.pid());
        let status = Command::new("sh").arg("-c").arg(kill).status().expect("there is a shell");
        assert!(status.success(), "andon has ended already: {}", self.log.text());
    }

    /// Of the process that serves.
    pub(crate) fn pid(&self) -> u32 {
        self.successor.unwrap_or_else(|| self.child.id())
    }

    /// A new process takes over. Returns when the log says so, or that it does not.
    #[track_caller]
    pub(crate) fn upgrade(&mut self) -> Result<(), String> {
        let said = self.log.text().lines().count();
        self.signal("USR2");
        let (pid, refused) = wait::until("it hands over, or says why not", || {
            let text = self.log.text();
            let events = text.lines().skip(said).filter_map(|line| serde_json::from_str::<Value>(line).ok());
            events.into_iter().find_map(|event| match event["message"].as_str()? {
                "the new process serves" => Some((u32::try_from(event["pid"].as_u64()?).ok()?, None)),
                "USR2: not handed over; everything goes on as before" => {
                    Some((0, Some(event["error"].as_str()?.to_owned())))
                }
                _ => None,
            })
        });
        match refused {
            Some(why) => Err(why),
            None => {
                self.successor = Some(pid);
                Ok(())
            }
        }
    }

    /// The last that was said of where this listener listens.
    #[track_caller]
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        let named = |line: &str| {
            let event: Value = serde_json::from_str(line).ok()?;
            (event.get("listener")? == name).then(|| event["address"].as_str()?.parse().ok())?
        };
        let text = self.log.text();
        text.lines().rev().find_map(named).unwrap_or_else(|| panic!("no listener {name}:\n{text}"))
    }

    /// Whether a process of this number is there and has not ended.
    pub(crate) fn runs(pid: u32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with('Z'))
    }

    /// Ends it without a chance to save anything.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn ended(&mut self) -> ExitStatus {
        wait::until("andon ends", || self.child.try_wait().expect("it is our child"))
    }

    pub(crate) fn log(&self) -> String {
        self.log.text()
    }
}

impl Drop for Andon {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if let Some(pid) = self.successor.filter(|pid| Self::runs(*pid)) {
            let _ = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
        }
        if std::thread::panicking() {
            eprintln!("andon's log:\n{}", self.log.text());
        }
    }
}

/// What it wrote to stderr, line by line.
struct Log {
    lines: Receiver<String>,
    read: RefCell<Vec<String>>,
}

impl Log {
    fn text(&self) -> String {
        let mut read = self.read.borrow_mut();
        read.extend(self.lines.try_iter());
        read.join("\n")
    }

    /// Of the line that says that a listener, or the admin listener, listens.
    #[track_caller]
    fn address(&self, kind: &str) -> SocketAddr {
        loop {
            let found = self.read.borrow().iter().find_map(|line| listening(line, kind));
            if let Some(address) = found {
                return address;
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.read.borrow_mut().push(line),
                Err(_) => panic!("andon does not listen:\n{}", self.text()),
            }
        }
    }
}

fn listening(line: &str, kind: &str) -> Option<SocketAddr> {
    let event: Value = serde_json::from_str(line).ok()?;
    let address = event.get("address")?.as_str()?.parse().ok()?;
    let is_admin = event.get("listener").is_none_or(|name| name == "admin");
    let listens = event["message"].as_str()?.contains("listening");
    (listens && is_admin == (kind == "admin")).then_some(address)
}

/// `[[upstream]]` and a route `shop` with it as stable. `more` are keys of the upstream.
pub(crate) fn lone(upstream: SocketAddr, more: &str) -> String {
    format!(
        "[[upstream]]\nname = \"stable\"\nendpoints = [\"{upstream}\"]\n{more}\n\
         [[route]]\nname = \"shop\"\nstable = \"stable\"\n"
    )
}

/// A route `shop` with a canary. `more` are keys of the canary, then other tables of the route.
pub(crate) fn split(stable: SocketAddr, canary: SocketAddr, weight: &str, more: &str) -> String {
    format!(
        "[[upstream]]\nname = \"stable\"\nendpoints = [\"{stable}\"]\n\
         [[upstream]]\nname = \"next\"\nendpoints = [\"{canary}\"]\n\
         [[route]]\nname = \"shop\"\nstable = \"stable\"\n\
         [[route.canary]]\nupstream = \"next\"\nweight = \"{weight}\"\n{more}\n"
    )
}
