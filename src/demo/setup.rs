//! The Andon of the demo: configured by a text as an operator would write it, started as `andon run` starts one.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use super::upstreams::Upstreams;
use crate::app::{self, Running};
use crate::config;

pub(super) const ROUTE: &str = "shop";
pub(super) const CANARY: &str = "canary";

const LISTENER: &str = "public";
/// The default of `[admin]`, which the other verbs look at when nobody tells them otherwise.
const ADMIN_PORT: u16 = 2_636;
/// Named in messages, as a file would be.
const TEXT_NAME: &str = "demo";

/// Starts it, and says where its users connect to.
pub(super) fn start(upstreams: &Upstreams) -> Result<(Running, SocketAddr), String> {
    let text = text(admin_address(), upstreams.stable, upstreams.canary);
    let config = config::parse(TEXT_NAME, &text, Path::new("")).map_err(|problems| problems.to_string())?;
    let running = app::start(config, None).map_err(|error| error.to_string())?;
    let public = running.listeners.iter().find(|(name, _)| name == LISTENER).map(|(_, address)| *address);
    let public = public.ok_or_else(|| format!("listener {LISTENER:?} was not started"))?;
    Ok((running, public))
}

/// What to type into another terminal while it runs.
pub(super) fn suggestions(admin: SocketAddr) -> [String; 2] {
    let option = if admin == usual_admin() { String::new() } else { format!(" --admin http://{admin}") };
    [format!("andon status{option}"), format!("http://{admin}/ in a browser: the dashboard")]
}

/// Two workers, so that the show is the real thing: their counters are added up to be judged. No canary weight:
/// the story begins with stable alone. The guard is at its defaults, but nothing is rescued: the show is about what users meet,
/// and with rescue on they would meet nothing.
fn text(admin: SocketAddr, stable: SocketAddr, canary: SocketAddr) -> String {
    format!(
        r#"
[workers]
count = 2

[admin]
listen = "{admin}"

[store]
path = ":memory:"

[[listener]]
name = "{LISTENER}"
address = "127.0.0.1:0"

[[upstream]]
name = "shop-v1"
endpoints = ["{stable}"]

[[upstream]]
name = "shop-v2"
endpoints = ["{canary}"]

[[route]]
name = "{ROUTE}"
path = "/"
stable = "shop-v1"

[[route.canary]]
name = "{CANARY}"
upstream = "shop-v2"
weight = "0%"

[route.guard]
rescue = false
"#
    )
}

/// The usual one if it is free, else any. Whoever takes it between this look and the start makes the start fail with a
/// clear error.
fn admin_address() -> SocketAddr {
    match TcpListener::bind(usual_admin()) {
        Ok(_free_again_when_dropped) => usual_admin(),
        Err(_) => SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
    }
}

fn usual_admin() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, ADMIN_PORT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_name_the_address_only_where_it_is_unusual() {
        let [status, dashboard] = suggestions(usual_admin());
        assert_eq!(status, "andon status");
        assert_eq!(dashboard, "http://127.0.0.1:2636/ in a browser: the dashboard");
        let [status, _] = suggestions(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_001)));
        assert_eq!(status, "andon status --admin http://127.0.0.1:40001");
    }
}
