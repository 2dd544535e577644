//! Answers, half answers and none, from a DNS server of our own on loopback.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::*;

const NO_SUCH_NAME: u8 = 3;
const SERVER_FAILURE: u8 = 2;

/// What the server says to one kind of question: a code, and addresses with their TTL.
#[derive(Clone)]
struct Says {
    code: u8,
    records: Vec<(IpAddr, u32)>,
}

fn says(records: &[(&str, u32)]) -> Says {
    let records = records.iter().map(|(ip, ttl)| (ip.parse().unwrap(), *ttl)).collect();
    Says { code: 0, records }
}

fn refuses(code: u8) -> Says {
    Says { code, records: Vec::new() }
}

async fn server(four: Says, six: Says) -> (Dns, JoinHandle<()>) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let dns = Dns {
        servers: vec![socket.local_addr().unwrap()],
        timeout: Duration::from_secs(2),
        ttl_min: Duration::from_secs(1),
        ttl_max: Duration::from_mins(1),
    };
    let serve = async move {
        let mut buffer = [0; 512];
        while let Ok((length, peer)) = socket.recv_from(&mut buffer).await {
            let answer = answer(&buffer[..length], &four, &six);
            socket.send_to(&answer, peer).await.unwrap();
        }
    };
    #[expect(clippy::disallowed_methods, reason = "a server beside the test")]
    let task = tokio::spawn(serve);
    (dns, task)
}

/// RFC 1035, section 4: the header, the question as it came, and the records.
fn answer(question: &[u8], four: &Says, six: &Says) -> Vec<u8> {
    const HEADER: usize = 12;
    let name_end = HEADER + question[HEADER..].iter().position(|byte| *byte == 0).unwrap() + 1;
    let kind = u16::from_be_bytes([question[name_end], question[name_end + 1]]);
    let says = if kind == 1 { four } else { six };
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80 | says.code, 0, 1, 0, u8::try_from(says.records.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(&question[HEADER..name_end + 4]);
    for (ip, ttl) in &says.records {
        answer.extend([0xC0, 0x0C]); // the name of the question
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1]);
        answer.extend(ttl.to_be_bytes());
        let data = match ip {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        answer.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        answer.extend(data);
    }
    answer
}

async fn looked_up(four: Says, six: Says) -> Result<(Vec<String>, u64), String> {
    let (dns, server) = server(four, six).await;
    let found = resolve(&dns, "shop.internal").await;
    server.abort();
    let found = found.map_err(|error| error.to_string())?;
    Ok((found.list.iter().map(ToString::to_string).collect(), found.ttl.as_secs()))
}

#[tokio::test]
async fn both_kinds_of_address_are_found_in_order_and_once() {
    let four = says(&[("10.0.0.2", 30), ("10.0.0.1", 20), ("10.0.0.2", 30)]);
    let found = looked_up(four, says(&[("fd00::1", 40)])).await.unwrap();
    assert_eq!(found, (["10.0.0.1", "10.0.0.2", "fd00::1"].map(String::from).to_vec(), 20));
}

#[tokio::test]
async fn one_kind_alone_is_an_answer() {
    let found = looked_up(says(&[("10.0.0.1", 7)]), says(&[])).await.unwrap();
    assert_eq!(found, (vec!["10.0.0.1".to_owned()], 7));
    let found = looked_up(says(&[]), says(&[("fd00::1", 8)])).await.unwrap();
    assert_eq!(found, (vec!["fd00::1".to_owned()], 8));
}

#[tokio::test]
async fn the_ttl_keeps_to_its_bounds() {
    let found = |ttl| looked_up(says(&[("10.0.0.1", ttl)]), says(&[]));
    assert_eq!(found(0).await.unwrap().1, 1);
    assert_eq!(found(100_000).await.unwrap().1, 60);
}

#[tokio::test]
async fn half_an_answer_and_none_are_failures() {
    let good = || says(&[("10.0.0.1", 7)]);
    for (four, six) in [
        (good(), refuses(SERVER_FAILURE)),
        (refuses(SERVER_FAILURE), refuses(SERVER_FAILURE)),
        (refuses(NO_SUCH_NAME), refuses(NO_SUCH_NAME)),
        (says(&[]), says(&[])),
    ] {
        looked_up(four, six).await.expect_err("no address may be lost");
    }
}

#[tokio::test]
async fn the_hosts_file_comes_first() {
    let nobody = Dns { servers: vec![SocketAddr::from(([127, 0, 0, 1], 1))], ..Dns::default() };
    let found = resolve(&nobody, "localhost").await.expect("every machine knows itself");
    assert!(found.list.contains(&IpAddr::V4(Ipv4Addr::LOCALHOST)));
    assert_eq!(found.ttl, nobody.ttl_min);
}

#[tokio::test]
async fn first_answers_are_those_that_come() {
    let (dns, server) = server(says(&[("10.0.0.1", 7)]), says(&[])).await;
    let answers = first_answers(&dns, vec!["a.internal".into(), "bad..name".into()]).await;
    server.abort();
    let one: IpAddr = Ipv4Addr::new(10, 0, 0, 1).into();
    assert_eq!(answers, [("a.internal".into(), [one].into())]);
}
