//! Bodies pass through as they come: of any length, in both framings, both ways, at the same time.

use crate::support::{Andon, Manual, OK, Server, Wire, get, get_with, wait};

const LARGE: usize = 8 * 1024 * 1024;

fn noise(length: usize) -> Vec<u8> {
    let mut dice = fastrand::Rng::with_seed(length as u64);
    std::iter::repeat_with(|| dice.u8(..)).take(length).collect()
}

fn chunked(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for chunk in bytes.chunks(60_000) {
        out.extend(format!("{:x}\r\n", chunk.len()).bytes());
        out.extend(chunk);
        out.extend(b"\r\n");
    }
    out.extend(b"0\r\n\r\n");
    out
}

const SIZED: &str = "Content-Length: 8388608";
const CHUNKED: &str = "Transfer-Encoding: chunked";

fn framed(framing: &str, bytes: &[u8]) -> Vec<u8> {
    if framing == CHUNKED { chunked(bytes) } else { bytes.to_vec() }
}

#[test]
fn eight_mebibytes_arrive_intact_each_way_in_both_framings() {
    for (up, down) in [(SIZED, CHUNKED), (CHUNKED, SIZED)] {
        let upstream = Server::start(move |request| {
            let body = framed(down, &request.body);
            [format!("HTTP/1.1 200 OK\r\n{down}\r\n\r\n").into_bytes(), body].concat()
        });
        let andon = Andon::before(upstream.address);
        let body = noise(LARGE);
        let mut client = andon.connect();
        client.send(format!("PUT / HTTP/1.1\r\nHost: a\r\n{up}\r\n\r\n"));
        client.send(framed(up, &body));
        let answer = client.response();
        let got = upstream.request();
        assert!(got.whole && got.body == body, "up, {up}");
        assert!(answer.whole && answer.body == body, "down, {down}");
        assert_eq!((got.is_chunked(), answer.is_chunked()), (up == CHUNKED, down == CHUNKED));
    }
}

/// Pipes that the process has open: large answers go through one.
fn pipes(andon: &Andon) -> usize {
    let files = std::fs::read_dir(format!("/proc/{}/fd", andon.pid())).expect("the process runs");
    let is_pipe = |path: std::path::PathBuf| path.to_string_lossy().starts_with("pipe:");
    files
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|path| is_pipe(path.clone()))
        .count()
}

#[test]
fn large_answers_keep_their_bytes_and_their_place_among_small_ones() {
    const LENGTHS: [usize; 12] =
        [10, 3_000_000, 0, 65_536, 40_000, 1_048_576, 1, 32_768, 9_000, 500_000, 70_000, 2];
    let upstream = Server::start(|request| {
        let length: usize =
            request.first.split(['/', ' ']).nth(2).expect("a target").parse().expect("a length");
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
        [head.into_bytes(), noise(length)].concat()
    });
    let andon = Andon::before(upstream.address);
    let before = pipes(&andon);
    let mut client = andon.connect();
    // All asked for at once, so that one answer follows the other in the same write.
    client.send(LENGTHS.map(|length| get(&format!("/{length}"))).concat());
    for length in LENGTHS {
        let answer = client.response();
        assert!(answer.whole && answer.body == noise(length), "{length}: {} came", answer.body.len());
    }
    assert_eq!(pipes(&andon), before + 2, "one pipe, used again");
}

#[test]
fn a_large_answer_waits_for_a_client_that_takes_its_time() {
    let body = noise(LARGE);
    let sent = body.clone();
    let upstream = Server::start(move |_| {
        [format!("HTTP/1.1 200 OK\r\n{SIZED}\r\n\r\n").into_bytes(), sent.clone()].concat()
    });
    let andon = Andon::before(upstream.address);
    let mut slow: Vec<Wire> = (0..8).map(|_| andon.connect()).collect();
    for client in &mut slow {
        client.send(get("/"));
    }
    // They read nothing until others were served.
    for _ in 0..3 {
        let mut client = andon.connect();
        client.send(get("/"));
        assert!(client.response().body == body);
    }
    for client in &mut slow {
        assert!(client.response().body == body);
    }
}

#[test]
fn a_large_answer_that_breaks_off_is_seen_to_be_cut() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut peer) = begun(&andon, &upstream, &get("/"));
    peer.send([b"HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n".to_vec(), noise(300_000)].concat());
    drop(peer);
    let answer = client.response();
    assert!(!answer.whole && noise(300_000).starts_with(&answer.body), "{} bytes", answer.body.len());
    andon.wait_for_outcome("truncated", 1.0);
}

fn upload(length: usize) -> Vec<u8> {
    let head = format!("PUT /{length} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
    [head.into_bytes(), noise(length)].concat()
}

#[test]
fn large_uploads_keep_their_bytes_and_their_place_among_small_ones() {
    const LENGTHS: [usize; 14] =
        [10, 3_000_000, 0, 65_536, 32_768, 40_000, 1_048_576, 1, 98_304, 131_072, 9_000, 500_000, 70_000, 2];
    let upstream = Server::start(|_| OK.into());
    let andon = Andon::before(upstream.address);
    let before = pipes(&andon);
    let all = LENGTHS.map(upload).concat();
    // At once, so that one request follows the other in the same read; and in pieces that end anywhere.
    for piece_max in [all.len(), 200_000, 7_000] {
        let mut dice = fastrand::Rng::with_seed(piece_max as u64);
        let mut client = andon.connect();
        let mut left = &all[..];
        while !left.is_empty() {
            let (piece, rest) = left.split_at(dice.usize(1..=piece_max).min(left.len()));
            client.send(piece);
            left = rest;
        }
        for length in LENGTHS {
            let got = upstream.request();
            assert_eq!(got.first, format!("PUT /{length} HTTP/1.1"));
            assert!(got.whole && got.body == noise(length), "{length}: {} came", got.body.len());
            assert_eq!(client.response().status(), 200);
        }
    }
    assert_eq!(pipes(&andon), before + 2, "one pipe, used again");
}

#[test]
fn what_is_left_of_an_upload_that_breaks_off_reaches_nobody() {
    let upstream = Manual::start_unbuffered();
    let andon = Andon::before(upstream.address);
    let before = pipes(&andon);
    let head = "PUT /cut HTTP/1.1\r\nHost: a\r\nContent-Length: 99000000\r\n\r\n";
    for upstream_leaves in [true, false] {
        let (mut client, mut peer) = begun(&andon, &upstream, head);
        // Until the upstream, which reads no more than this, holds all of it up.
        let piece = noise(100_000);
        assert!(client.is_stopped_after(&piece, 900));
        assert_eq!(peer.bytes(300_000), Ok(piece.repeat(3)));
        if upstream_leaves {
            drop(peer);
            assert_eq!(client.response().status(), 502);
        } else {
            drop(client);
            assert!(peer.rest().0.chunks_exact(piece.len()).all(|next| next == piece));
            andon.wait_for_outcome("downstream_gone", 1.0);
        }
    }
    let mut client = andon.connect();
    client.send(upload(2_000_000));
    let mut peer = upstream.accept();
    peer.head();
    assert_eq!(peer.bytes(2_000_000), Ok(noise(2_000_000)));
    peer.send(OK);
    assert_eq!(client.response().text(), "ok");
    assert_eq!(pipes(&andon), before + 2, "one pipe is kept");
}

#[test]
fn slow_uploads_take_a_bounded_number_of_pipes_and_all_arrive() {
    const PIPES_MAX: usize = 256;
    let upstream = Server::start(|_| OK.into());
    let andon = Andon::before(upstream.address);
    let before = pipes(&andon);
    let body = upload(120_000);
    let (first, rest) = body.split_at(40_000);
    let mut slow: Vec<Wire> = (0..PIPES_MAX + 20).map(|_| andon.connect()).collect();
    for client in &mut slow {
        client.send(first);
    }
    wait::until("as many have one as may", || (pipes(&andon) == before + 2 * PIPES_MAX).then_some(()));
    for client in &mut slow {
        client.send(rest);
        assert_eq!(client.response().text(), "ok");
        assert!(upstream.request().body == noise(120_000));
    }
    wait::until("most are closed", || (pipes(&andon) <= before + PIPES_MAX / 2).then_some(()));
}

#[test]
fn large_bodies_go_both_ways_at_the_same_time() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let mut client = andon.connect();
    let mut sender = client.twin();
    let sending = std::thread::spawn(move || sender.send(upload(LARGE)));
    let mut peer = upstream.accept();
    peer.head();
    peer.send(format!("HTTP/1.1 200 OK\r\n{SIZED}\r\n\r\n"));
    // It gives back what it has got, and never reads on before.
    let echoing = std::thread::spawn(move || {
        for _ in 0..LARGE / 65_536 {
            let piece = peer.bytes(65_536).expect("all of it comes");
            peer.send(piece);
        }
    });
    let answer = client.response();
    assert!(answer.whole && answer.body == noise(LARGE), "{} came", answer.body.len());
    sending.join().expect("all was sent");
    echoing.join().expect("all was given back");
}

/// An exchange under way: client, its request at the upstream.
fn begun(andon: &Andon, upstream: &Manual, request: &str) -> (Wire, Wire) {
    let mut client = andon.connect();
    client.send(request);
    let mut peer = upstream.accept();
    peer.read_until("\r\n\r\n");
    (client, peer)
}

#[test]
fn the_upstream_sees_the_first_bytes_before_the_client_sends_the_next() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    for (framing, first, next) in
        [(CHUNKED, "5\r\nfirst\r\n", "4\r\nnext\r\n0\r\n\r\n"), ("Content-Length: 9", "first", "next")]
    {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let (mut client, mut peer) = begun(&andon, &upstream, &head);
        client.send(first);
        peer.read_until("first");
        client.send(next);
        peer.read_until("next");
        peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok");
        assert_eq!(client.response().text(), "ok");
    }
}

#[test]
fn the_client_sees_the_first_bytes_before_the_upstream_sends_the_next() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    for (framing, first, next) in
        [(CHUNKED, "5\r\nfirst\r\n", "4\r\nnext\r\n0\r\n\r\n"), ("Content-Length: 9", "first", "next")]
    {
        let (mut client, mut peer) = begun(&andon, &upstream, &get("/"));
        peer.send(format!("HTTP/1.1 200 OK\r\nConnection: close\r\n{framing}\r\n\r\n{first}"));
        client.read_until("first");
        peer.send(next);
        client.read_until("next");
    }
}

#[test]
fn trailers_of_a_request_reach_the_upstream() {
    let upstream = Server::start(|_| OK.into());
    Andon::before(upstream.address).exchange(
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n\
         2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n",
    );
    let got = upstream.request();
    assert_eq!(got.text(), "hi");
    assert_eq!(got.trailers, [("x-sum".to_owned(), "42".to_owned())]);
}

#[test]
fn trailers_of_an_answer_reach_a_client_that_takes_them() {
    let upstream = Server::start(|_| {
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 42\r\n\r\n".into()
    });
    let andon = Andon::before(upstream.address);
    let answer = andon.exchange(get_with("/", "TE: trailers\r\nConnection: TE\r\n"));
    assert_eq!(answer.text(), "hi");
    assert_eq!(answer.trailers, [("x-sum".to_owned(), "42".to_owned())]);
    assert_eq!(upstream.request().field("te"), Some("trailers"));
    // Nobody reads on behind trailers: they are the end.
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn an_answer_that_ends_with_its_connection_arrives_whole() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let (mut client, mut peer) = begun(&andon, &upstream, &get("/"));
    peer.send("HTTP/1.1 200 OK\r\n\r\nall of it");
    drop(peer);
    let answer = client.response();
    assert!(answer.whole && answer.is_chunked() && answer.text() == "all of it", "{answer:?}");
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn an_answer_may_start_while_the_upload_goes_on() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000005\r\n\r\nfirst";
    let (mut client, mut peer) = begun(&andon, &upstream, head);
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nearly");
    client.read_until("early");
    client.send("x".repeat(999_996) + "last");
    peer.read_until("last");
    peer.send(" bird");
    client.read_until(" bird");
    andon.wait_for_outcome("success", 1.0);
}

#[test]
fn an_answer_that_refuses_the_upload_reaches_the_client() {
    let upstream = Manual::start();
    let andon = Andon::before(upstream.address);
    let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000005\r\n\r\nfirst";
    let (mut client, mut peer) = begun(&andon, &upstream, head);
    peer.send("HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nless");
    drop(peer);
    let answer = client.response();
    assert_eq!((answer.status(), answer.text()), (413, "less"));
}
