//! What cannot change in a running process: a new file that says otherwise waits for the next start.

use std::net::SocketAddr;

use crate::config::{self, Admin, AdminSocket, Config, Listener};

/// What the process started with.
pub(super) struct Boot {
    workers: config::Workers,
    admin: Admin,
    store: config::Store,
    access_log: Option<config::AccessLog>,
    tracing: Option<config::Tracing>,
    connections_max: usize,
    listeners: Vec<Listener>,
}

impl Boot {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            workers: config.workers,
            admin: config.admin.clone(),
            store: config.store.clone(),
            access_log: config.access_log.clone(),
            tracing: config.tracing.clone(),
            connections_max: config.limits.connections_max,
            listeners: config.listeners.clone(),
        }
    }

    /// The sections that are not in force as this file says.
    pub(super) fn differs(&self, config: &Config) -> impl Iterator<Item = &'static str> {
        let differs = [
            ("[workers]", self.workers != config.workers),
            ("[admin]", fixed_admin(&self.admin) != fixed_admin(&config.admin)),
            ("[store]", self.store != config.store),
            ("[access_log]", self.access_log != config.access_log),
            ("[tracing]", self.tracing != config.tracing),
            ("[limits] connections_max", self.connections_max != config.limits.connections_max),
            ("[[listener]]", !self.listeners.iter().map(fixed).eq(config.listeners.iter().map(fixed))),
        ];
        differs.into_iter().filter(|(_, differs)| *differs).map(|(section, _)| section)
    }

    pub(super) fn notes(&self, config: &Config) -> Vec<String> {
        let note = |section| format!("{section} has changed and takes effect with the next restart");
        self.differs(config).map(note).collect()
    }
}

/// Whether a listener has certificates cannot change, but which ones can.
fn fixed(listener: &Listener) -> (bool, Listener) {
    (listener.tls.is_some(), Listener { tls: None, ..listener.clone() })
}

/// The same here, and who may use it can change as well.
fn fixed_admin(admin: &Admin) -> (SocketAddr, bool, Option<&AdminSocket>) {
    (admin.listen, admin.tls.is_some(), admin.socket.as_ref())
}
