//! The admin listener, as a script would use it.

use std::net::SocketAddr;

use serde_json::Value;

use super::message::Message;
use super::wire::Wire;

pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Null where the answer is not JSON.
    pub(crate) json: Value,
    pub(crate) message: Message,
}

impl Reply {
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.json);
        self.json
    }
}

/// One request on a connection of its own. An empty body is none.
#[track_caller]
pub(crate) fn ask(admin: SocketAddr, method: &str, path: &str, body: &str) -> Reply {
    ask_with(admin, method, path, "", body)
}

/// `fields`: more lines of the head.
#[track_caller]
pub(crate) fn ask_with(admin: SocketAddr, method: &str, path: &str, fields: &str, body: &str) -> Reply {
    let typed = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {admin}\r\nConnection: close\r\n{typed}{fields}Content-Length: {length}\r\n\r\n"
    );
    let mut wire = Wire::connect(admin);
    wire.send(head + body);
    let message = wire.response();
    let json = serde_json::from_slice(&message.body).unwrap_or_default();
    Reply { status: message.status(), json, message }
}

/// The sum of the series of a metric that carry all these labels; `None` where there is no such series.
pub(crate) fn sum(text: &str, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let wanted: Vec<String> = labels.iter().map(|(name, value)| format!("{name}=\"{value}\"")).collect();
    let mut values = text.lines().filter_map(|line| {
        let (series, value) = line.rsplit_once(' ')?;
        let (found, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
        let matches = found == name && wanted.iter().all(|label| labels.contains(&label.as_str()));
        matches.then(|| value.parse::<f64>().expect("a sample is a number"))
    });
    let first = values.next()?;
    Some(first + values.sum::<f64>())
}
