//! Webhooks: receivers hear of decisions, signed and in order; those that are dead, slow or lying hold up nobody.

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use aws_lc_rs::digest;
use data_encoding::BASE64;
use serde_json::Value;

use crate::support::andon::split;
use crate::support::tls::{Goodbye, Pki, SecureUpstream};
use crate::support::{Andon, Load, Manual, Message, Server, Site, port, reply, wait};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const AGENT: &str = concat!("andon/", env!("CARGO_PKG_VERSION"));

/// HMAC-SHA256 as RFC 2104 writes it, so that ours is not checked by itself.
fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let sha256 = |parts: [&[u8]; 2]| digest::digest(&digest::SHA256, &parts.concat()).as_ref().to_vec();
    let mut block = key.to_vec();
    block.resize(64, 0);
    let padded = |pad: u8| block.iter().map(|byte| byte ^ pad).collect::<Vec<_>>();
    sha256([&padded(0x5C), &sha256([&padded(0x36), message])])
}

/// What the message says, if it is signed as it should be.
#[track_caller]
fn verified(message: &Message) -> Value {
    let field = |name: &str| message.field(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    let key = BASE64.decode(SECRET.strip_prefix("whsec_").unwrap().as_bytes()).unwrap();
    let signed = [field("webhook-id"), field("webhook-timestamp"), message.text().to_owned()].join(".");
    let expected = format!("v1,{}", BASE64.encode(&hmac(&key, signed.as_bytes())));
    assert_eq!(field("webhook-signature"), expected);
    assert!(field("webhook-timestamp").parse::<u64>().unwrap() > 1_700_000_000);
    assert_eq!((field("content-type").as_str(), field("user-agent").as_str()), ("application/json", AGENT));
    serde_json::from_slice(&message.body).expect("it is JSON")
}

fn notify(name: &str, url: &str, more: &str) -> String {
    format!("[[notify]]\nname = \"{name}\"\nurl = \"{url}\"\nsecret = \"{SECRET}\"\n{more}\n")
}

fn at(address: SocketAddr) -> String {
    format!("http://{address}/hook")
}

struct Stage {
    stable: Server,
    canary: Server,
    weight: &'static str,
}

impl Stage {
    /// A canary that fails every request.
    fn bad() -> Self {
        let canary = Server::start(|_| reply(500, "no"));
        Self { stable: Server::named("stable"), canary, weight: "50%" }
    }

    /// Nothing is decided until somebody decides.
    fn calm() -> Self {
        Self { weight: "0%", ..Self::bad() }
    }

    fn with(&self, notify: &str) -> String {
        format!("{}{notify}", split(self.stable.address, self.canary.address, self.weight, ""))
    }

    fn andon(&self, notify: &str) -> Andon {
        Andon::start(&self.with(notify))
    }
}

#[track_caller]
fn wait_for_cord(andon: &Andon) -> Value {
    wait::until("the cord is pulled", || Some(andon.shop()["cord"].clone()).filter(|cord| !cord.is_null()))
}

#[track_caller]
fn wait_for(andon: &Andon, name: &str, labels: &[(&str, &str)], count: f64) {
    wait::until(&format!("{name} {labels:?} is {count}"), || {
        (andon.metric(name, labels) == count).then_some(())
    });
}

fn result<'a>(receiver: &'a str, result: &'a str) -> [(&'a str, &'a str); 2] {
    [("receiver", receiver), ("result", result)]
}

/// So many decisions about the canary's aim.
fn decide(andon: &Andon, count: usize) {
    for n in 0..count {
        assert_eq!(andon.set_weight(if n % 2 == 0 { "1%" } else { "2%" }).status, 200);
    }
}

#[test]
fn a_back_off_is_told_with_its_numbers_and_a_signature_that_others_can_check() {
    let (stage, receiver) = (Stage::bad(), Server::start(|_| reply(204, "")));
    let notify = notify("ops", &at(receiver.address), "on = [\"back_off\", \"cord_reset\"]");
    let admin = "[admin]\nlisten = \"127.0.0.1:0\"\n";
    let site = Site::new("");
    site.write(&stage.with(&notify));
    let file = std::fs::read_to_string(site.file()).unwrap();
    let linked = format!("{admin}url = \"https://andon.example/\"\n");
    std::fs::write(site.file(), file.replace(admin, &linked)).unwrap();
    let andon = site.start();
    assert_eq!(andon.metric("andon_notifications_total", &[("receiver", "ops")]), 0.0);
    let load = Load::start(andon.address);
    let cord = wait_for_cord(&andon);
    load.stop();
    let told = receiver.request();
    let mut message = verified(&told);
    let id = cord["decision"].as_str().unwrap();
    assert_eq!((told.field("webhook-id"), &message["type"]), (Some(id), &"andon.back_off".into()));
    let data = message["data"].as_object_mut().unwrap();
    let text = data.remove("text").unwrap();
    let link = data.remove("link").unwrap();
    let decision = wait::until("the decision is stored", || {
        let reply = andon.ask("GET", &format!("/api/v1/decisions/{id}"), "");
        (reply.status == 200).then_some(reply.json)
    });
    let mut told_of = decision.clone();
    // Its place in the record, which it gets when it is stored: nobody waits for that.
    ["seq", "hash", "previous"].iter().for_each(|key| drop(told_of.as_object_mut().unwrap().remove(*key)));
    assert_eq!(message["data"], told_of, "as the API has it");
    assert_eq!(message["timestamp"], decision["at"]);
    assert_eq!(link, format!("https://andon.example/decisions/{id}"));
    let why = decision["why"].as_str().unwrap();
    let expected = format!(
        "route \"shop\": canary backed off 50% → 0%: {why}; evidence: https://andon.example/decisions/{id}"
    );
    assert_eq!(text, expected);
    wait_for(&andon, "andon_notifications_total", &result("ops", "delivered"), 1.0);
    andon.ask("DELETE", "/api/v1/routes/shop/cord", r#"{"why":"mended","by":"ann"}"#).ok();
    let reset = verified(&receiver.request());
    assert_eq!((&reset["type"], &reset["data"]["by"]), (&"andon.cord_reset".into(), &"ann".into()));
}

#[test]
fn receivers_that_are_dead_slow_or_lying_hold_up_neither_a_back_off_nor_each_other() {
    let stage = Stage::bad();
    let mute = Manual::start();
    let endless = || {
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &b"1\r\nx\r\n".repeat(99_999)]
            .concat()
    };
    let liars = [
        Server::start(move |_| endless()),
        Server::start(|_| b"\x16\x03\x01 no HTTP at all\r\n\r\n".to_vec()),
        Server::start(|_| b"HTTP/1.1 200 OK\r\nContent-Le".to_vec()),
        Server::start(|_| [b"HTTP/1.1 200 OK\r\nX: ".as_slice(), &[b'x'; 99_999]].concat()),
    ];
    let good = Server::start(|_| reply(200, "thanks"));
    let mut body = notify("mute", &at(mute.address), "timeout = \"30s\"");
    body += &notify("dead", &at(port::free()), "");
    for (n, liar) in liars.iter().enumerate() {
        body += &notify(&format!("liar-{n}"), &at(liar.address), "on = [\"back_off\"]\ntimeout = \"1s\"");
    }
    body += &notify("good", &at(good.address), "on = [\"back_off\"]");
    let andon = stage.andon(&body);
    let load = Load::start(andon.address);
    wait_for_cord(&andon);
    load.stop();
    assert_eq!(verified(&good.request())["type"], "andon.back_off");
    // None of them has had its answer yet, and all is done.
    assert_eq!(andon.shop()["canaries"][0]["effective"], "0%");
    for receiver in ["mute", "dead"] {
        assert!(andon.metric("andon_notifications_pending", &[("receiver", receiver)]) >= 1.0, "{receiver}");
    }
    assert!(mute.has_caller());
    // A body without an end is no matter: the head said it.
    wait_for(&andon, "andon_notifications_total", &result("liar-0", "delivered"), 1.0);
    for liar in ["liar-1", "liar-2", "liar-3"] {
        assert_eq!(andon.metric("andon_notifications_total", &result(liar, "delivered")), 0.0, "{liar}");
        assert!(andon.metric("andon_notifications_pending", &[("receiver", liar)]) >= 1.0, "{liar}");
    }
}

#[test]
fn a_notice_that_is_not_taken_is_sent_again_as_the_same_and_keeps_its_place() {
    let stage = Stage::calm();
    let tries = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&tries);
    let receiver = Server::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => b"HTTP/1.1 429 Slow down\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n".to_vec(),
        1 => reply(503, ""),
        _ => reply(200, ""),
    });
    let andon = stage.andon(&notify("ops", &at(receiver.address), ""));
    decide(&andon, 2);
    let [first, again, at_last, second] = [(); 4].map(|()| receiver.request());
    let of = |message: &Message| verified(message)["data"]["after"].clone();
    assert_eq!([&first, &again, &at_last].map(of), ["1%"; 3].map(Value::from));
    assert_eq!(first.field("webhook-id"), at_last.field("webhook-id"));
    assert_eq!(of(&second), "2%");
    wait_for(&andon, "andon_notifications_total", &result("ops", "delivered"), 2.0);
    assert_eq!(andon.metric("andon_notifications_pending", &[("receiver", "ops")]), 0.0);
}

#[test]
fn redirects_and_refusals_are_final_and_whoever_is_gone_hears_no_more_until_a_reload() {
    let stage = Stage::calm();
    let elsewhere = Server::named("elsewhere");
    let to =
        format!("HTTP/1.1 307 There\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", at(elsewhere.address));
    let redirecting = Server::start(move |_| to.clone().into_bytes());
    let refusing = Server::start(|_| reply(403, "no"));
    let gone = Server::start(|_| reply(410, ""));
    let body: Vec<_> = [("redirecting", &redirecting), ("refusing", &refusing), ("gone", &gone)]
        .map(|(name, server)| notify(name, &at(server.address), ""))
        .into();
    let andon = stage.andon(&body.concat());
    decide(&andon, 2);
    for receiver in ["redirecting", "refusing", "gone"] {
        wait_for(&andon, "andon_notifications_total", &result(receiver, "refused"), 2.0);
    }
    assert_eq!((redirecting.requests(), refusing.requests(), gone.requests()), (2, 2, 1));
    assert_eq!(elsewhere.connections(), 0, "a signed message is for whom the file names");
    let log = andon.log();
    assert!(
        log.contains("redirects are not followed") && log.contains("nothing is sent there until"),
        "{log}"
    );
    assert!(!log.contains("/hook"), "a path may be a secret:\n{log}");
    andon.ask("POST", "/api/v1/config/reload", "").ok();
    decide(&andon, 1);
    wait::until("it is tried again", || (gone.requests() == 2).then_some(()));
}

#[test]
fn a_full_queue_loses_its_oldest_and_says_so() {
    let (stage, mute) = (Stage::calm(), Manual::start());
    let andon = stage.andon(&notify("mute", &at(mute.address), "timeout = \"30s\"\nattempts = 1"));
    decide(&andon, 1);
    let mut in_hand = mute.accept();
    assert_eq!(verified(&in_hand.request())["data"]["after"], "1%");
    // The first of these changes nothing.
    decide(&andon, 261);
    wait_for(&andon, "andon_notifications_dropped_total", &[("receiver", "mute")], 4.0);
    assert_eq!(andon.metric("andon_notifications_pending", &[("receiver", "mute")]), 257.0);
    in_hand.send(reply(200, ""));
    wait_for(&andon, "andon_notifications_total", &result("mute", "delivered"), 1.0);
}

#[test]
fn at_the_end_everything_has_one_last_attempt_and_nobody_holds_up_the_drain() {
    let stage = Stage::calm();
    let (mute, tries) = (Manual::start(), Arc::new(AtomicUsize::new(0)));
    let counted = Arc::clone(&tries);
    // The first answer asks for a longer pause than anybody waits.
    let late = Server::start(move |_| match counted.fetch_add(1, Ordering::SeqCst) {
        0 => b"HTTP/1.1 503 Later\r\nRetry-After: 9999\r\nContent-Length: 0\r\n\r\n".to_vec(),
        _ => reply(200, ""),
    });
    let body =
        notify("mute", &at(mute.address), "timeout = \"30s\"") + &notify("late", &at(late.address), "");
    let mut andon = stage.andon(&body);
    decide(&andon, 2);
    late.request();
    let held = mute.accept();
    andon.signal("TERM");
    assert!(andon.ended().success());
    assert_eq!([(); 2].map(|()| verified(&late.request())["data"]["after"].clone()), ["1%", "2%"]);
    let log = andon.log();
    assert!(log.contains("did not take its last notices"), "{log}");
    drop(held);
}

#[test]
fn chats_get_a_text_and_filters_and_templates_are_heeded() {
    let (stage, chat) = (Stage::calm(), Server::start(|_| reply(200, "ok")));
    let quiet = Server::start(|_| reply(200, "ok"));
    let body = format!(
        "[[notify]]\nname = \"chat\"\nurl = \"{}\"\nform = \"chat\"\non = [\"cord_pull\"]\nroutes = [\"shop\"]\n\
         template = \"{{route}} {{action}} {{before}} to {{after}} by {{by}}: {{why}} ({{link}})\"\n{}",
        at(chat.address),
        notify("quiet", &at(quiet.address), "on = [\"back_off\"]"),
    );
    let andon = stage.andon(&body);
    decide(&andon, 1);
    let pulled = andon.ask("POST", "/api/v1/cord", r#"{"why":"<!here> smoke","by":"bob"}"#).ok();
    let told = chat.request();
    assert_eq!(told.field("webhook-signature"), None);
    let message: Value = serde_json::from_slice(&told.body).unwrap();
    let id = pulled["routes"][0]["cord"]["decision"].as_str().unwrap();
    let expected = format!("shop cord_pull 1% to 0% by bob: &lt;!here&gt; smoke (andon explain {id})");
    assert_eq!(message, serde_json::json!({ "text": expected }));
    wait_for(&andon, "andon_notifications_total", &result("chat", "delivered"), 1.0);
    assert_eq!((chat.requests(), quiet.connections()), (1, 0));
}

#[test]
fn a_receiver_behind_tls_must_prove_its_name_and_a_secret_may_lie_in_a_file() {
    let (stage, pki) = (Stage::calm(), Pki::new());
    let ca = pki.path("ca.pem").display().to_string();
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let good = SecureUpstream::start(&pki, &["localhost"], answer, Goodbye::Said);
    let other = SecureUpstream::start(&pki, &["other.example"], answer, Goodbye::Said);
    let site = Site::new("");
    std::fs::write(site.path("ops.secret"), format!("{SECRET}\n")).unwrap();
    let one = |name: &str, server: &SecureUpstream| {
        format!(
            "[[notify]]\nname = \"{name}\"\nurl = \"https://localhost:{}/hook\"\nca = \"{ca}\"\n\
             secret_file = \"ops.secret\"\nattempts = 1\n",
            server.address.port()
        )
    };
    site.write(&stage.with(&(one("good", &good) + &one("other", &other))));
    let andon = site.start();
    decide(&andon, 1);
    wait_for(&andon, "andon_notifications_total", &result("good", "delivered"), 1.0);
    wait_for(&andon, "andon_notifications_total", &result("other", "failed"), 1.0);

    std::fs::write(site.path("ops.secret"), "not a secret").unwrap();
    let checked =
        Command::new(env!("CARGO_BIN_EXE_andon")).args(["check", "-c"]).arg(site.file()).output().unwrap();
    let said =
        String::from_utf8_lossy(&checked.stderr).into_owned() + &String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(1), "{said}");
    assert!(said.contains("notify \"good\": secret_file") && said.contains("is not one word"), "{said}");
}

#[test]
fn a_test_message_says_whether_a_receiver_can_be_reached() {
    let (stage, good) = (Stage::calm(), Server::start(|_| reply(200, "ok")));
    let body = notify("good", &at(good.address), "") + &notify("dead", &at(port::free()), "");
    let andon = stage.andon(&body);
    let test = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
        command.args(["notify", "test", name]).env("ANDON_ADMIN", format!("http://{}", andon.admin));
        let done = command.output().expect("the binary is built");
        let said = [done.stdout, done.stderr].concat();
        (done.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let (code, said) = test("good");
    assert!(code == Some(0) && said.starts_with("good: delivered in") && said.contains("200 OK"), "{said}");
    let message = verified(&good.request());
    assert_eq!(message["type"], "andon.test");
    let (code, said) = test("dead");
    assert!(code == Some(1) && said.contains("NOT delivered") && said.contains("cannot connect"), "{said}");
    let (code, said) = test("nobody");
    assert!(code == Some(1) && said.contains("there is no [[notify]] \"nobody\""), "{said}");
    assert_eq!(andon.metric("andon_notifications_total", &[]), 0.0, "a test is no notice");
}
