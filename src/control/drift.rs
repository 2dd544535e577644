//! Where file and live state differ: what each says, who made it so and why, and how they can agree again.
//!
//! Most of it is known here; the record is asked for the decisions behind it, and the file on the disk is read and
//! compared with what was loaded. Both happen beside the loop.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::command::Reply;
use super::controller::Controller;
use super::routes::STABLE;
use super::state::BY_IMMUNE;
use crate::config::{Source, Weight};
use crate::store::Store;
use crate::store::record::{Action, CanaryRecord, Decision, DecisionId, Role, RouteRecord, Wanted};

/// Differences that are told one by one; the others are counted.
const DIFFERENCES_MAX: usize = 1_000;
/// A file on a mount that hangs is given up after this.
const READ_MAX: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default, PartialEq)]
pub struct DriftView {
    pub differences: Vec<Difference>,
    /// That are not told.
    pub more: usize,
}

/// One thing of which the file says one and the live state another.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    pub kind: Kind,
    pub route: Option<Arc<str>>,
    pub canary: Option<Arc<str>>,
    pub upstream: Option<Arc<str>>,
    pub file: String,
    pub live: String,
    /// `None`: the record does not say.
    pub origin: Option<Origin>,
    /// How they can agree again.
    pub remedy: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Aim,
    Role,
    Ceiling,
    Cord,
    /// Of an upstream, set at run time.
    Endpoints,
    /// A section of the file that takes effect with the next start.
    Restart,
    /// The file on the disk is not the one that was loaded.
    File,
}

impl Kind {
    pub fn label(self) -> &'static str {
        match self {
            Self::Aim => "aim",
            Self::Role => "role",
            Self::Ceiling => "ceiling",
            Self::Cord => "cord",
            Self::Endpoints => "endpoints",
            Self::Restart => "restart",
            Self::File => "file",
        }
    }
}

/// Who made it differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub since_ms: i64,
    pub by: Arc<str>,
    pub why: Arc<str>,
    pub decision: Option<DecisionId>,
}

impl Origin {
    fn of(decision: &Decision) -> Self {
        Self {
            since_ms: decision.at_ms,
            by: Arc::clone(&decision.by),
            why: Arc::clone(&decision.why),
            decision: Some(Arc::clone(&decision.id)),
        }
    }
}

/// What is known before the record was asked.
#[derive(Default)]
struct Found {
    list: Vec<(Difference, Option<Wanted>)>,
    more: usize,
}

impl Found {
    fn add(&mut self, difference: Difference, wanted: Option<Wanted>) {
        if self.list.len() < DIFFERENCES_MAX {
            self.list.push((difference, wanted));
        } else {
            self.more += 1;
        }
    }
}

impl Controller {
    pub(super) fn show_drift(&self, reply: Reply<DriftView>) {
        let mut found = Found::default();
        self.routes.list.iter().filter_map(|route| route.split.as_ref()).for_each(|split| {
            of_route(&split.state.record, &mut found);
        });
        self.announced.differences().for_each(|difference| found.add(difference, None));
        for section in self.boot.differs(&self.config) {
            found.add(restart(section, self.loaded_at_ms), None);
        }
        let disk = Disk {
            path: self.config_path.clone(),
            loaded: Arc::clone(self.config.source.sha256()),
            refused: !self.reload_works,
        };
        self.read_store(reply, |store| async move {
            let (differs, view) = tokio::join!(disk.differs(), explain(store, found));
            Ok(DriftView { differences: differs.into_iter().chain(view.differences).collect(), ..view })
        });
    }
}

/// A store that does not answer leaves out who and why, and nothing else.
async fn explain(store: Store, found: Found) -> DriftView {
    let Found { list, more } = found;
    let wanted: Vec<Wanted> = list.iter().filter_map(|(_, wanted)| wanted.clone()).collect();
    let decisions = if wanted.is_empty() { Ok(Vec::new()) } else { store.newest_of(wanted).await };
    let mut decisions = decisions.unwrap_or_default().into_iter();
    let explained = |(difference, wanted): (Difference, Option<Wanted>)| match wanted {
        None => difference,
        Some(_) => {
            let found = decisions.next().flatten();
            Difference { origin: found.map(|found| Origin::of(&found.decision)), ..difference }
        }
    };
    DriftView { differences: list.into_iter().map(explained).collect(), more }
}

fn of_route(record: &RouteRecord, found: &mut Found) {
    let name = &record.route;
    if let Some(cord) = &record.cord {
        let origin = Origin {
            since_ms: cord.at_ms,
            by: Arc::clone(&cord.by),
            why: Arc::clone(&cord.why),
            decision: Some(Arc::clone(&cord.decision)),
        };
        let difference = Difference {
            origin: Some(origin),
            ..difference(Kind::Cord, record, None, "no cord", "pulled", cord_remedy(name))
        };
        found.add(difference, None);
    }
    role(record, &record.stable, None, found);
    for canary in &record.canaries {
        role(record, &canary.role, Some(&canary.name), found);
        if canary.aim != canary.file_aim {
            aim(record, canary, found);
        }
        if canary.ceiling != Weight::WHOLE || canary.strikes.is_some() {
            ceiling(record, canary, found);
        }
    }
}

fn difference(
    kind: Kind,
    record: &RouteRecord,
    canary: Option<&Arc<str>>,
    file: impl Into<String>,
    live: impl Into<String>,
    remedy: String,
) -> Difference {
    let (file, live) = (file.into(), live.into());
    let route = Some(Arc::clone(&record.route));
    Difference { kind, route, canary: canary.cloned(), upstream: None, file, live, origin: None, remedy }
}

fn wanted(record: &RouteRecord, canary: Option<&Arc<str>>, actions: [Action; 2]) -> Option<Wanted> {
    Some(Wanted { route: Arc::clone(&record.route), canary: canary.cloned(), actions })
}

fn cord_remedy(route: &str) -> String {
    format!("andon cord reset {route} --why TEXT, when somebody has looked")
}

fn role(record: &RouteRecord, role: &Role, canary: Option<&Arc<str>>, found: &mut Found) {
    let Role { file_upstream: file, upstream: live } = role;
    if file == live {
        return;
    }
    let key = if canary.is_some() { "upstream" } else { "stable" };
    let variant = canary.map_or(STABLE, |canary| &**canary);
    let remedy =
        format!("the file still says {file} for {variant}: write {key} = \"{live}\" there and reload");
    let one = difference(Kind::Role, record, canary, &**file, &**live, remedy);
    found.add(one, wanted(record, canary, [Action::Role; 2]));
}

fn aim(record: &RouteRecord, canary: &CanaryRecord, found: &mut Found) {
    let (route, name, file, live) = (&record.route, &canary.name, canary.file_aim, canary.aim);
    let remedy = format!(
        "write weight = \"{live}\" in the file and reload, or andon weight {route} {file} --canary {name} --why TEXT"
    );
    let one = difference(Kind::Aim, record, Some(name), file.to_string(), live.to_string(), remedy);
    found.add(one, wanted(record, Some(name), [Action::Weight; 2]));
}

fn ceiling(record: &RouteRecord, canary: &CanaryRecord, found: &mut Found) {
    let live = match canary.strikes {
        Some(strikes) => format!("{}, strike {}", canary.ceiling, strikes.count),
        None => canary.ceiling.to_string(),
    };
    let remedy = match (&record.cord, canary.strikes) {
        (None, Some(_)) => format!("{BY_IMMUNE} lets it climb back while it is well"),
        _ => cord_remedy(&record.route),
    };
    let file = Weight::WHOLE.to_string();
    let one = difference(Kind::Ceiling, record, Some(&canary.name), file, live, remedy);
    found.add(one, wanted(record, Some(&canary.name), [Action::BackOff, Action::Raise]));
}

fn restart(section: &str, loaded_at_ms: i64) -> Difference {
    Difference {
        kind: Kind::Restart,
        route: None,
        canary: None,
        upstream: None,
        file: format!("{section} has changed"),
        live: "as at the start".to_owned(),
        origin: Some(Origin {
            since_ms: loaded_at_ms,
            by: super::state::BY_FILE.into(),
            why: "it cannot change in a running process".into(),
            decision: None,
        }),
        remedy: "restart andon, or hand over to a new process with USR2".to_owned(),
    }
}

/// The file, and what was loaded of it.
struct Disk {
    /// `None`: there is none.
    path: Option<PathBuf>,
    loaded: Arc<str>,
    /// The last reload was.
    refused: bool,
}

impl Disk {
    async fn differs(self) -> Option<Difference> {
        let Self { path, loaded, refused } = self;
        let path = path?;
        let shown = path.display().to_string();
        let read = tokio::task::spawn_blocking(move || Source::sha256_of(&path));
        let found = match tokio::time::timeout(READ_MAX, read).await {
            Ok(Ok(Ok(hash))) if *hash == *loaded => return None,
            Ok(Ok(Ok(hash))) => format!("{shown} with sha256 {hash}"),
            Ok(Ok(Err(found))) => format!("{shown} {found}"),
            Ok(Err(_)) | Err(_) => format!("{shown} cannot be read in {} s", READ_MAX.as_secs()),
        };
        let remedy = match refused {
            true => "the last reload was refused: andon check -c FILE, put it right, then andon reload",
            false => "andon reload",
        };
        Some(Difference {
            kind: Kind::File,
            route: None,
            canary: None,
            upstream: None,
            file: found,
            live: format!("what was loaded, with sha256 {loaded}"),
            origin: None,
            remedy: remedy.to_owned(),
        })
    }
}
