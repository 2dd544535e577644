//! A DNS server on loopback that knows one answer to every question.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::mpsc::{Sender, channel};

/// The answers hold for this long, in seconds.
const TTL: u32 = 0;

pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    says: Sender<Vec<Ipv4Addr>>,
}

impl NameServer {
    pub(crate) fn start(addresses: &[Ipv4Addr]) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has ports");
        let address = socket.local_addr().expect("it is bound");
        let (says, orders) = channel();
        let mut now = addresses.to_vec();
        std::thread::spawn(move || {
            let mut buffer = [0; 512];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                now = orders.try_iter().last().unwrap_or(now);
                // Whoever asked may have ended.
                let _ = socket.send_to(&answer(&buffer[..length], &now), peer);
            }
        });
        Self { address, says }
    }

    /// From the next question on. None: it fails.
    pub(crate) fn says(&self, addresses: &[Ipv4Addr]) {
        self.says.send(addresses.to_vec()).expect("the server runs");
    }
}

/// RFC 1035, section 4: the header, the question as it came, and the records. AAAA has none.
fn answer(question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    const HEADER: usize = 12;
    const SERVER_FAILURE: u8 = 2;
    let name = question[HEADER..].iter().position(|byte| *byte == 0).expect("a name ends with a zero");
    let end = HEADER + name + 5;
    let is_a = question[end - 4..end - 2] == [0, 1];
    let code = if addresses.is_empty() { SERVER_FAILURE } else { 0 };
    let addresses = if is_a { addresses } else { &[] };
    let count = u8::try_from(addresses.len()).expect("a handful");
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0]);
    answer.extend(&question[HEADER..end]);
    for address in addresses {
        answer.extend([0xC0, 0x0C, 0, 1, 0, 1]);
        answer.extend(TTL.to_be_bytes());
        answer.extend([0, 4]);
        answer.extend(address.octets());
    }
    answer
}
