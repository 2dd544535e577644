//! Bytes that two readers could take for two things, and what becomes of them.
//!
//! The rule, for each case: it is **refused** with a 4xx (or 501) and the connection closes, and no upstream sees a
//! whole request; or it is **forwarded** in one normal form, which the case names to the byte, and the upstream sees
//! exactly that one request. There is no third way. Each case names the section that it comes from, and a CVE where
//! one is known. Two laxities of hyper are of the second kind on purpose: `src/proxy/fault.rs` says why.

use crate::support::Andon;
use crate::support::andon::lone;

mod chunks;
mod claims;
mod codings;
mod from_upstream;
mod heads;
mod introductions;
mod lengths;
mod limits;
mod paths;
mod recorder;
mod targets;
mod upgrades;

use recorder::Recorder;

/// Where it comes from, and the bytes.
type Refused = (&'static str, &'static [u8]);
/// And what the upstream must see, in the notation of [`recorder`].
type Forwarded = (&'static str, &'static [u8], &'static str);

struct Stand {
    andon: Andon,
    upstream: Recorder,
}

impl Stand {
    /// A plain route that allows WebSocket, so that nothing is refused for the lack of it.
    fn start() -> Self {
        let upstream = Recorder::start();
        let andon = Andon::start(&(lone(upstream.address, "") + "upgrade = [\"websocket\"]\n"));
        Self { andon, upstream }
    }

    #[track_caller]
    fn refuses(&self, what: &str, bytes: &[u8]) {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(300)]).into_owned();
        let mut client = self.andon.connect();
        // Andon need not read all of what it refuses.
        let _ = client.try_send(bytes);
        let answer = client.try_response();
        let answer = answer.unwrap_or_else(|| panic!("{what}: closed unanswered: {shown:?}"));
        let status = answer.status();
        assert!((400..500).contains(&status) || status == 501, "{what}: {status} to {shown:?}");
        assert_eq!(client.rest().0, b"", "{what}: more than one answer to {shown:?}");
        assert_eq!(self.upstream.whole(), Vec::<String>::new(), "{what}: {shown:?}");
    }

    /// A request of ours behind it, on the same connection, must be the next that the upstream sees: nothing lies
    /// between them. Where the connection has closed instead, nothing can.
    #[track_caller]
    fn forwards(&self, what: &str, bytes: &[u8], seen: &str) {
        let shown = String::from_utf8_lossy(bytes).into_owned();
        let mut client = self.andon.connect();
        client.send(bytes);
        let answer = client.try_response().unwrap_or_else(|| panic!("{what}: unanswered: {shown:?}"));
        assert_eq!(answer.status(), 200, "{what}: {shown:?}");
        let mut expected = vec![recorder::sorted(seen)];
        let _ = client.try_send("GET /behind HTTP/1.1\r\nHost: behind\r\n\r\n");
        if client.try_response().is_some() {
            expected.push("GET /behind HTTP/1.1|host: behind||".to_owned());
        }
        assert_eq!(self.upstream.whole(), expected, "{what}: {shown:?}");
    }
}

#[track_caller]
fn check(refused: &[Refused], forwarded: &[Forwarded]) {
    let stand = Stand::start();
    for (what, bytes) in refused {
        stand.refuses(what, bytes);
    }
    for (what, bytes, seen) in forwarded {
        stand.forwards(what, bytes, seen);
    }
}
