//! Everything that the configuration's `tls` tables name, read and checked; and read again where files changed.
//!
//! A configuration is loaded whole or not at all. After that each listener and each upstream is by itself: when its
//! files change and the new ones are no pair, it keeps what it has, and the others get what is new.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use rustls::RootCertStore;
use tracing::{info, warn};

use super::Material;
use super::certificates::Validity;
use super::client::{self, Client};
use super::files::Files;
use super::server::Server;
use crate::config::tls::{ListenerTls, UpstreamTls};
use crate::config::{Config, Findings, Problem};
use crate::metrics::tls::{CertificateGauge, TlsGauges};

/// What the admin listener is called among the others, none of which can have this name.
const ADMIN: &str = "[admin]";

/// What is in force. A later one is made from it; it does not change itself.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    listeners: Vec<Unit<ListenerTls, Server>>,
    /// Of the admin listener.
    admin: Option<Unit<ListenerTls, Server>>,
    upstreams: Vec<Unit<Arc<UpstreamTls>, Client>>,
    /// Towards those who are told of decisions, or asked.
    foreign: Vec<Unit<Arc<UpstreamTls>, Client>>,
}

/// What one listener or upstream has.
#[derive(Debug)]
struct Unit<S, T> {
    /// Of the listener or upstream.
    name: Arc<str>,
    settings: S,
    /// As they were just before they were read.
    files: Files,
    made: Arc<T>,
    /// The files as they are now are in force.
    fresh: bool,
}

impl<S: Clone, T> Clone for Unit<S, T> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            settings: self.settings.clone(),
            files: self.files.clone(),
            made: Arc::clone(&self.made),
            fresh: self.fresh,
        }
    }
}

/// Reads and checks all files of a configuration. `None`: there are problems. `before` is what the process has had
/// so far, `now_s` the time in seconds since 1970. Blocks on the disk.
pub fn load(config: &Config, before: Option<&Loaded>, now_s: i64) -> (Option<Loaded>, Findings) {
    let (mut loaded, mut findings) = (Loaded::default(), Findings::default());
    for listener in &config.listeners {
        let Some(tls) = &listener.tls else { continue };
        let before = before.and_then(|before| before.listener(&listener.name));
        let read = |before: Option<&Server>| Server::load(tls, before);
        loaded.listeners.extend(serving(
            "listener",
            &listener.name,
            tls,
            (before, now_s),
            read,
            &mut findings,
        ));
    }
    if let Some(tls) = &config.admin.tls {
        let before = before.and_then(|before| before.admin.as_ref());
        let read = |before: Option<&Server>| load_admin(tls, before);
        loaded.admin = serving("listener", ADMIN, tls, (before, now_s), read, &mut findings);
    }
    let machine = MachineRoots::default();
    for upstream in &config.upstreams {
        let Some(tls) = &upstream.tls else { continue };
        let files = Files::of_upstream(tls);
        match Client::load(tls, &mut || machine.get()) {
            Err(problems) => findings.problems.extend(of("upstream", &upstream.name, problems)),
            Ok(client) => loaded.upstreams.push(Unit {
                name: Arc::clone(&upstream.name),
                settings: Arc::clone(tls),
                files,
                made: Arc::new(client),
                fresh: true,
            }),
        }
    }
    for (owner, tls) in config.foreign_tls() {
        match Client::load(tls, &mut || machine.get()) {
            Err(problems) => findings.problems.extend(of_foreign(&owner, problems)),
            Ok(client) => loaded.foreign.push(Unit {
                name: owner,
                settings: Arc::clone(tls),
                files: Files::of_upstream(tls),
                made: Arc::new(client),
                fresh: true,
            }),
        }
    }
    let is_whole = findings.problems.is_empty();
    (is_whole.then_some(loaded), findings)
}

/// One listener's part of [`load`].
fn serving(
    kind: &str,
    name: &str,
    tls: &ListenerTls,
    (before, now_s): (Option<&Unit<ListenerTls, Server>>, i64),
    load: impl FnOnce(Option<&Server>) -> Result<Server, Vec<Problem>>,
    findings: &mut Findings,
) -> Option<Unit<ListenerTls, Server>> {
    let files = Files::of_listener(tls);
    match load(before.map(|unit| &*unit.made)) {
        Err(problems) => {
            findings.problems.extend(of(kind, name, problems));
            None
        }
        Ok(server) => {
            findings.warnings.extend(of(kind, name, warnings(tls, &server, now_s)));
            let (settings, made) = (tls.clone(), Arc::new(server));
            Some(Unit { name: name.into(), settings, files, made, fresh: true })
        }
    }
}

fn load_admin(tls: &ListenerTls, before: Option<&Server>) -> Result<Server, Vec<Problem>> {
    Server::load(tls, before).map(Server::http1_only)
}

impl Loaded {
    /// There is no file to look at.
    pub(super) fn is_still(&self) -> bool {
        let listeners = self.listeners.iter().chain(&self.admin).all(|unit| unit.files.is_empty());
        listeners && self.upstreams.iter().chain(&self.foreign).all(|unit| unit.files.is_empty())
    }

    /// Looks at all files and reads those that changed. `None`: nothing has. Blocks on the disk.
    pub(super) fn refreshed(&self) -> Option<Self> {
        let machine = MachineRoots::default();
        let listeners = refresh(&self.listeners, "listener", |tls, before| Server::load(tls, Some(before)));
        let admin = refresh(self.admin.as_slice(), "listener", |tls, before| load_admin(tls, Some(before)));
        let upstreams =
            refresh(&self.upstreams, "upstream", |tls, _| Client::load(tls, &mut || machine.get()));
        let foreign = refresh(&self.foreign, "foreign", |tls, _| Client::load(tls, &mut || machine.get()));
        if listeners.is_none() && admin.is_none() && upstreams.is_none() && foreign.is_none() {
            return None;
        }
        Some(Self {
            listeners: listeners.unwrap_or_else(|| self.listeners.clone()),
            admin: admin.map_or_else(|| self.admin.clone(), |mut one| one.pop()),
            upstreams: upstreams.unwrap_or_else(|| self.upstreams.clone()),
            foreign: foreign.unwrap_or_else(|| self.foreign.clone()),
        })
    }

    /// The listeners of a process stay as it started with them. One that a new file has no `tls` for keeps what it
    /// had, and one that is new has nothing to show, until the restart that the file asks for.
    pub(super) fn for_listeners_of(mut self, before: &Self) -> Self {
        self.listeners.retain(|unit| before.listener(&unit.name).is_some());
        for unit in &before.listeners {
            if self.listener(&unit.name).is_none() {
                self.listeners.push(unit.clone());
            }
        }
        self.admin = before.admin.as_ref().map(|unit| self.admin.take().unwrap_or_else(|| unit.clone()));
        self
    }

    fn listener(&self, name: &str) -> Option<&Unit<ListenerTls, Server>> {
        self.listeners.iter().find(|unit| *unit.name == *name)
    }

    pub(super) fn material(&self) -> Material {
        let servers: HashMap<_, _> =
            self.listeners.iter().map(|unit| (Arc::clone(&unit.name), Arc::clone(&unit.made))).collect();
        let clients = self.upstreams.iter().chain(&self.foreign);
        let clients = clients.map(|unit| (Arc::clone(&unit.settings), Arc::clone(&unit.made)));
        let headers = self.listeners.iter().filter_map(|unit| unit.made.identity_header.clone());
        let admin = self.admin.as_ref().map(|unit| Arc::clone(&unit.made));
        Material { clients: clients.collect(), identity_headers: headers.collect(), servers, admin }
    }

    pub fn gauges(&self) -> TlsGauges {
        let mut gauges = TlsGauges::default();
        for unit in self.listeners.iter().chain(&self.admin) {
            gauges.listeners.push((Arc::clone(&unit.name), unit.fresh));
            for (names, validity) in unit.made.sni().certificates() {
                gauges.certificates.push(CertificateGauge {
                    listener: Arc::clone(&unit.name),
                    name: names.first(),
                    not_after_s: validity.not_after,
                });
            }
        }
        gauges.upstreams = self.upstreams.iter().map(|unit| (Arc::clone(&unit.name), unit.fresh)).collect();
        gauges
    }
}

fn refresh<S: Clone, T>(
    units: &[Unit<S, T>],
    kind: &'static str,
    mut load: impl FnMut(&S, &T) -> Result<T, Vec<Problem>>,
) -> Option<Vec<Unit<S, T>>> {
    let mut next: Option<Vec<Unit<S, T>>> = None;
    for (at, unit) in units.iter().enumerate() {
        let files = unit.files.again();
        if files == unit.files || !files.are_all_there() {
            continue;
        }
        let place = &mut next.get_or_insert_with(|| units.to_vec())[at];
        place.files = files;
        match load(&unit.settings, &unit.made) {
            Ok(made) => {
                info!(kind, name = %unit.name, "certificates read again");
                (place.made, place.fresh) = (Arc::new(made), true);
            }
            Err(problems) => {
                for problem in &of(kind, &unit.name, problems) {
                    warn!(problem = %problem.message, "changed certificates not taken; the old ones stay");
                }
                place.fresh = false;
            }
        }
    }
    next
}

/// Those have one key, which stands beside their address.
fn of_foreign(owner: &str, problems: Vec<Problem>) -> Vec<Problem> {
    let owned = |problem: Problem| {
        let message = format!("{owner}: {}", problem.message.trim_start_matches("tls."));
        Problem { message, ..problem }
    };
    problems.into_iter().map(owned).collect()
}

/// Says whose problems these are, in the words of the rest of the configuration.
fn of(kind: &str, name: &str, problems: Vec<Problem>) -> Vec<Problem> {
    let owned =
        |problem: Problem| Problem { message: format!("{kind} \"{name}\": {}", problem.message), ..problem };
    problems.into_iter().map(owned).collect()
}

/// An expired certificate does not keep anybody from starting: it may be the only one that there is.
fn warnings(tls: &ListenerTls, server: &Server, now_s: i64) -> Vec<Problem> {
    let pairs = tls.certificates.iter().zip(server.sni().certificates()).enumerate();
    let warning = |(at, (pair, (names, validity))): (usize, (&crate::config::tls::KeyPair, _))| {
        let (names, validity): (&super::certificates::Names, Validity) = (names, validity);
        let (found, label) = if validity.not_after < now_s {
            ("has expired", "expired")
        } else if validity.not_before > now_s {
            ("is not valid yet", "not yet valid")
        } else {
            return None;
        };
        let (at, cert, name) = (at + 1, pair.cert.path.display(), names.first());
        Some(Problem {
            span: pair.cert.place.clone(),
            message: format!("tls.certificates item {at}: cert {cert} of \"{name}\" {found}"),
            label: label.to_owned(),
            help: Some("put a valid certificate there; a running andon takes it up by itself".to_owned()),
        })
    };
    pairs.filter_map(warning).collect()
}

/// Read once, and only if somebody needs them: they are many.
#[derive(Default)]
struct MachineRoots(OnceLock<Arc<RootCertStore>>);

impl MachineRoots {
    fn get(&self) -> Arc<RootCertStore> {
        Arc::clone(self.0.get_or_init(client::machine_roots))
    }
}
