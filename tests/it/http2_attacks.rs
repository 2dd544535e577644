//! Frames by the thousand that cost the sender little. Each time: others are served meanwhile, memory stays bounded, and
//! the connection is ended where the standard or common sense says so.

use crate::support::andon::lone;
use crate::support::frames::{
    CONTINUATION, DATA, END_BOTH, END_HEADERS, END_STREAM, Fate, HEADERS, INITIAL_WINDOW_SIZE, PING,
    PRIORITY, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame, request, setting,
};
use crate::support::h2::{Client, Payload, Upstream, response};
use crate::support::{Andon, Frames, Server, Site, get, wait};

const TIMES: usize = 20_000;
const CANCEL: u32 = 8;
const FLOW_CONTROL_ERROR: u32 = 3;
/// Of a debug build, with room for what the allocator keeps.
const GROWTH_KIB_MAX: u64 = 48 * 1024;

fn streams(count: usize) -> impl Iterator<Item = u32> {
    (0..count).map(|turn| u32::try_from(turn * 2 + 1).expect("it is small"))
}

/// Does this beside a client that must be served, and measures.
fn under(attack: impl FnOnce(&Andon, &mut Frames) + Send) {
    let upstream = Server::named("served");
    under_with(&Andon::before(upstream.address), &[], attack);
}

fn under_with(andon: &Andon, settings: &[u8], attack: impl FnOnce(&Andon, &mut Frames) + Send) {
    let other = Client::connect(andon.address);
    assert_eq!(other.get("/"), "served");
    let before = andon.resident_kib();
    let mut attacker = Frames::connect(andon.address, settings);
    attack(andon, &mut attacker);
    assert_eq!(other.get("/"), "served");
    assert_eq!(andon.exchange(get("/")).text(), "served");
    let grown = andon.resident_kib().saturating_sub(before);
    assert!(grown < GROWTH_KIB_MAX, "{grown} KiB more");
    drop(attacker);
    wait::until("no request is left", || {
        (andon.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
    });
}

#[test]
fn requests_taken_back_by_the_thousand_end_the_connection() {
    under(|andon, attacker| {
        for stream in streams(TIMES) {
            let asked = frame(HEADERS, END_BOTH, stream, &request("GET", "/", &[]));
            let back = frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes());
            if !attacker.flood(&[asked, back].concat(), 1) {
                break;
            }
        }
        attacker.ended();
        let asked = andon.metric("andon_requests_total", &[]);
        assert!(asked < 2_000.0, "{asked} requests were begun");
    });
}

#[test]
fn requests_taken_back_one_by_one_end_the_connection_as_well() {
    // The upstream never answers: each request gets through to it before it is taken back.
    let upstream = Upstream::manual();
    let body = lone(upstream.address, crate::http2::H2);
    let andon = Andon::start(&body);
    let mut attacker = Frames::connect(andon.address, &[]);
    let mut begun = 0;
    for stream in streams(2_000) {
        if !attacker.flood(&frame(HEADERS, END_BOTH, stream, &request("GET", "/", &[])), 1) {
            break;
        }
        // One at a time, as fast as it goes.
        let ended = wait::until("it gets through, or the connection is ended", || {
            let open = andon.metric("andon_connections", &[("side", "downstream")]);
            let total =
                andon.metric("andon_requests_total", &[]) + andon.metric("andon_requests_in_flight", &[]);
            (open == 0.0 || total > f64::from(begun)).then_some(open == 0.0)
        });
        if ended || !attacker.flood(&frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes()), 1) {
            break;
        }
        begun += 1;
    }
    assert!((400..1_000).contains(&begun), "{begun}");
    attacker.ended();
}

#[test]
fn a_header_block_without_end_ends_the_connection() {
    under(|_, attacker| {
        attacker.send(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
        let more = frame(CONTINUATION, 0, 1, &block(&[("x-more", "y".repeat(1_000))]));
        attacker.flood(&more, TIMES);
        attacker.ended();
    });
    under(|_, attacker| {
        attacker.send(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
        attacker.flood(&frame(CONTINUATION, 0, 1, &[]), TIMES);
        attacker.ended();
    });
}

#[test]
fn a_header_list_that_unpacks_to_much_is_refused() {
    under(|_, attacker| {
        // One large field in the table, then references to it: 4 KiB a byte.
        let mut bomb = request("GET", "/", &[]);
        bomb.extend([0x40, 1, b'x', 0x7f]);
        let rest = 3_900 - 127;
        bomb.extend([
            u8::try_from(rest % 128).expect("small") | 0x80,
            u8::try_from(rest / 128).expect("small"),
        ]);
        bomb.extend(vec![b'y'; 3_900]);
        bomb.extend(vec![0xbe; 12_000]);
        for stream in streams(20) {
            if !attacker.flood(&frame(HEADERS, END_BOTH, stream, &bomb), 1) {
                break;
            }
        }
        let fate = attacker.fate(1);
        assert!(fate.is_refusal(), "{fate:?}");
    });
    under(|_, attacker| {
        let large = "y".repeat(12_000);
        let fields: Vec<_> = (0..6).map(|_| ("x-large", large.as_str())).collect();
        let head = request("GET", "/", &fields);
        let (first, rest) = head.split_at(16_000);
        attacker.flood(&frame(HEADERS, END_STREAM, 1, first), 1);
        let pieces: Vec<_> = rest.chunks(16_000).collect();
        for (index, piece) in pieces.iter().enumerate() {
            let flags = if index + 1 == pieces.len() { END_HEADERS } else { 0 };
            attacker.flood(&frame(CONTINUATION, flags, 1, piece), 1);
        }
        let fate = attacker.fate(1);
        assert!(fate.is_refusal(), "{fate:?}");
    });
}

#[test]
fn frames_that_ask_for_an_answer_are_answered_or_end_the_connection() {
    let ping = frame(PING, 0, 0, b"01234567");
    let settings = frame(SETTINGS, 0, 0, &setting(INITIAL_WINDOW_SIZE, 65_535));
    for flood in [ping, settings] {
        under(|_, attacker| {
            // It does not read the answers; in the end its bytes are not taken any more, or it is cut off.
            attacker.wire.is_stopped_after(&flood.repeat(1_000), 400);
        });
    }
}

#[test]
fn frames_that_only_cost_are_bounded() {
    let priority = frame(PRIORITY, 0, 1, &[0, 0, 0, 0, 16]);
    under(|_, attacker| {
        attacker.flood(&priority.repeat(100), TIMES / 100);
        attacker.get(3, "/");
        let fate = attacker.fate(3);
        assert!(fate.is_refusal() || fate == Fate::Answered(200), "{fate:?}");
    });
    let empty = frame(DATA, 0, 1, &[]);
    under(|_, attacker| {
        attacker.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
        attacker.flood(&empty.repeat(1_000), 100);
        let fate = attacker.fate(1);
        assert!(fate.is_refusal(), "{fate:?}");
    });
    under(|_, attacker| {
        attacker.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
        attacker.flood(&frame(HEADERS, END_HEADERS, 1, &[]), TIMES);
        let fate = attacker.fate(1);
        assert!(fate.is_refusal(), "{fate:?}");
    });
}

#[test]
fn windows_keep_their_bounds() {
    let most = 0x7fff_ffff_u32.to_be_bytes();
    for (stream, update) in [(0, most), (0, [0; 4])] {
        under(|_, attacker| {
            attacker.get(1, "/");
            attacker.send(WINDOW_UPDATE, 0, stream, &update);
            attacker.flood(&frame(WINDOW_UPDATE, 0, stream, &update), 1);
            attacker.ended();
        });
    }
    // Of a stream alone: that stream is reset, or all of them.
    let upstream = Upstream::manual();
    let andon = Andon::start(&lone(upstream.address, crate::http2::H2));
    for update in [most, [0; 4]] {
        let mut attacker = Frames::connect(andon.address, &[]);
        attacker.get(1, "/");
        let call = upstream.call();
        attacker.send(WINDOW_UPDATE, 0, 1, &update);
        let fate = attacker.fate(1);
        assert!(matches!(fate, Fate::Reset(_) | Fate::GoAway(_)), "{fate:?}");
        wait::until("the upstream hears of it", || call.is_cancelled().then_some(()));
        if matches!(fate, Fate::Reset(_)) {
            attacker.get(3, "/");
            upstream.call().reply(response(200, &[], Payload::Empty));
            assert_eq!(attacker.fate(3), Fate::Answered(200));
        }
    }
    // Data beyond the window.
    let mut attacker = Frames::connect(andon.address, &[]);
    attacker.send(HEADERS, END_HEADERS, 1, &request("POST", "/", &[]));
    let _call = upstream.call();
    attacker.flood(&frame(DATA, 0, 1, &vec![0; 16_384]), 64);
    let fate = attacker.fate(1);
    assert!([Fate::Reset(FLOW_CONTROL_ERROR), Fate::GoAway(FLOW_CONTROL_ERROR)].contains(&fate), "{fate:?}");
}

#[test]
fn answers_that_nobody_takes_cost_bounded_memory_and_end_in_time() {
    let upstream = Upstream::start(|request| match request.uri().path() {
        "/large" => response(200, &[], Payload::of(vec![b'x'; 4 << 20])),
        _ => response(200, &[], Payload::of("served")),
    });
    let body = lone(upstream.address, crate::http2::H2);
    let andon = Site::with_listener("stream_idle_timeout = \"500ms\"", &body).start();
    under_with(&andon, &setting(INITIAL_WINDOW_SIZE, 0), |andon, attacker| {
        for stream in streams(100) {
            attacker.get(stream, "/large");
        }
        // The heads need no window; the bodies wait for it, and then for nothing more. On a busy machine the first is
        // reset before the last has its head.
        let (mut heads, mut resets) = (0, 0);
        while heads < 100 || resets < 100 {
            match attacker.next() {
                Ok(frame) if frame.kind == HEADERS => {
                    assert_eq!(frame.status(), 200);
                    heads += 1;
                }
                Ok(frame) => resets += usize::from(frame.kind == RST_STREAM),
                Err(end) => panic!("{end:?} after {heads} heads and {resets} resets of 100"),
            }
        }
        wait::until("nobody is served any more", || {
            (andon.metric("andon_requests_in_flight", &[]) == 0.0).then_some(())
        });
    });
}

#[test]
fn streams_that_we_are_made_to_reset_count_as_well() {
    // Malformed in the middle of a request that has begun (CVE-2025-8671).
    let wrongs: [fn(u32) -> Vec<u8>; 3] = [
        |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]),
        |stream| frame(WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes()),
        |stream| frame(DATA, END_STREAM, stream, b"too much"),
    ];
    for wrong in wrongs {
        under(|andon, attacker| {
            for stream in streams(TIMES) {
                let head = request("POST", "/", &[("content-length", "1")]);
                let asked = frame(HEADERS, END_HEADERS, stream, &head);
                if !attacker.flood(&[asked, wrong(stream)].concat(), 1) {
                    break;
                }
            }
            attacker.ended();
            let asked = andon.metric("andon_requests_total", &[]);
            assert!(asked < 3_000.0, "{asked} requests were begun");
        });
    }
}

#[test]
fn more_streams_than_allowed_are_refused() {
    let upstream = Upstream::manual();
    let andon = Andon::start(&lone(upstream.address, crate::http2::H2));
    let mut attacker = Frames::connect(andon.address, &[]);
    for stream in streams(130) {
        attacker.get(stream, "/");
    }
    let refused = attacker.until(|frame| frame.kind == RST_STREAM).expect("a reset");
    assert_eq!((refused.stream, refused.code()), (201, crate::support::frames::REFUSED_STREAM));
    assert!(andon.metric("andon_requests_in_flight", &[]) <= 100.0);
}

#[test]
fn a_header_block_that_never_ends_is_not_waited_for() {
    let upstream = Server::named("served");
    let listener = "header_timeout = \"300ms\"\nkeep_alive_timeout = \"300ms\"";
    let andon = Site::with_listener(listener, &lone(upstream.address, "")).start();
    let mut slow = Frames::connect(andon.address, &[]);
    slow.send(HEADERS, END_STREAM, 1, &request("GET", "/", &[]));
    slow.ended();
}
