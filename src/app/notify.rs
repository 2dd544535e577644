//! What systemd is told (`Type=notify`). Without `NOTIFY_SOCKET` in the environment nothing is sent.
//!
//! A manager that does not listen changes nothing here.

use std::time::Duration;

use sd_notify::NotifyState;

/// Listening, and everything works. `status` is what `systemctl status` shows.
pub(super) fn ready(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// [`ready`] must follow.
pub(super) fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now, NotifyState::Status("reloading")]),
        Err(error) => tracing::debug!(%error, "systemd is not told of the reload"),
    }
}

pub(super) fn stopping(status: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(status)]);
}

pub(super) fn status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

/// That process matters from here on, and has the whole time of the watchdog for its first beat. Only the one that
/// mattered so far is believed.
pub(super) fn pass_on_to(pid: u32) {
    tell(&[NotifyState::Watchdog, NotifyState::Status("serving"), NotifyState::MainPid(pid)]);
}

pub(super) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// After how long without [`alive`] we are taken for dead; `None`: nobody looks.
pub(super) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().filter(|period| !period.is_zero())
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, ?states, "systemd cannot be told");
    }
}
