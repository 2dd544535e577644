//! An upstream that keeps every whole request, to the byte, and answers it.
//!
//! A request is written `first line|field|field||body`, the fields sorted, without those that Andon adds to each. The
//! body is as it came, with its chunk sizes. Reads as strictly as can be: what is odd is kept as it is.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::{OK, Wire};

const ADDED: [&str; 4] = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id"];

pub(super) struct Recorder {
    pub(super) address: SocketAddr,
    seen: Receiver<String>,
}

impl Recorder {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let address = listener.local_addr().expect("it is bound");
        let (sender, seen) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let sender = sender.clone();
                std::thread::spawn(move || record(stream, &sender));
            }
        });
        Self { address, seen }
    }

    /// The whole requests that came since the last look.
    pub(super) fn whole(&self) -> Vec<String> {
        self.seen.try_iter().collect()
    }
}

fn record(stream: TcpStream, seen: &Sender<String>) {
    let mut wire = Wire::new(stream);
    while let Some(head) = wire.try_read_until("\r\n\r\n") {
        let lines: Vec<&str> = head[..head.len() - 4].split("\r\n").collect();
        let field = |name: &str| lines.iter().find_map(|line| line.strip_prefix(name));
        let body = match (field("transfer-encoding: "), field("content-length: ")) {
            (Some("chunked"), None) => read_chunks(&mut wire),
            (None, Some(length)) => length.parse().ok().and_then(|length| wire.try_read(length)),
            (None, None) => Some(String::new()),
            both => Some(format!("two framings: {both:?}")),
        };
        let Some(body) = body else { return };
        // Before the answer, so that who has the answer finds it.
        if seen.send(written(&lines, &body)).is_err() || wire.try_send(OK).is_err() {
            return;
        }
    }
}

fn read_chunks(wire: &mut Wire) -> Option<String> {
    let mut all = String::new();
    loop {
        let line = wire.try_read_until("\r\n")?;
        all += &line;
        match usize::from_str_radix(line.trim_end(), 16) {
            Ok(0) => break,
            Ok(size) => all += &wire.try_read(size + 2)?,
            Err(_) => return Some(all),
        }
    }
    loop {
        let line = wire.try_read_until("\r\n")?;
        all += &line;
        if line == "\r\n" {
            return Some(all);
        }
    }
}

fn written(lines: &[&str], body: &str) -> String {
    let is_ours = |line: &&&str| ADDED.iter().any(|name| line.split(':').next() == Some(name));
    let fields: Vec<&str> = lines[1..].iter().filter(|line| !is_ours(line)).copied().collect();
    sorted(&format!("{}|{}||{body}", lines[0], fields.join("|")))
}

/// With the fields in order.
pub(super) fn sorted(request: &str) -> String {
    let (head, body) = request.split_once("||").expect("a body follows the head, if an empty one");
    let mut lines: Vec<&str> = head.split('|').collect();
    lines[1..].sort_unstable();
    format!("{}||{body}", lines.join("|"))
}
