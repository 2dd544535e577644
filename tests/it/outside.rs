//! Numbers that others know, as signals of the guard: a real Prometheus, and servers that answer what they like.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;

use crate::support::andon::split;
use crate::support::prometheus::Prometheus;
use crate::support::{Andon, Manual, Server, reply, wait};

/// Says how many orders a minute each version takes.
struct Shop {
    server: Server,
    orders: Arc<AtomicU64>,
}

impl Shop {
    fn open(orders: u64) -> Self {
        let orders = Arc::new(AtomicU64::new(orders));
        let counted = Arc::clone(&orders);
        let server = Server::start(move |_| {
            let next = counted.load(Ordering::SeqCst);
            let text = format!(
                "# TYPE orders gauge\norders{{version=\"next\"}} {next}\norders{{version=\"stable\"}} 100\norders{{version=\"none\"}} NaN\n"
            );
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
                text.len()
            );
            (head + &text).into_bytes()
        });
        Self { server, orders }
    }
}

fn signal(name: &str, keys: &str) -> String {
    format!(
        "[[route.guard.outside]]\nname = \"{name}\"\nevery = \"1s\"\nafter = \"0s\"\nfailures = 2\n{keys}\n"
    )
}

struct Stage {
    stable: Server,
    canary: Server,
}

impl Stage {
    fn set() -> Self {
        Self { stable: Server::named("stable"), canary: Server::named("canary") }
    }

    fn andon(&self, top: &str, signals: &str) -> Andon {
        let body = split(self.stable.address, self.canary.address, "5%", signals);
        Andon::start(&format!("{top}{body}"))
    }
}

fn of(shop: &Value, name: &str) -> Value {
    let signals = shop["canaries"][0]["verdict"]["outside"].as_array().unwrap();
    signals.iter().find(|signal| signal["name"] == name).unwrap().clone()
}

#[track_caller]
fn wait_for(andon: &Andon, name: &str, key: &str, value: impl Into<Value>) -> Value {
    let value = value.into();
    wait::until(&format!("{name}.{key} is {value}; {}", of(&andon.shop(), name)), || {
        Some(of(&andon.shop(), name)).filter(|signal| signal[key] == value)
    })
}

fn run(andon: &Andon, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(arguments).env("ANDON_ADMIN", format!("http://{}", andon.admin));
    let done = command.output().expect("the binary is built");
    String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
}

#[test]
fn a_canary_that_takes_fewer_orders_is_backed_off_by_a_real_prometheus() {
    let (stage, shop) = (Stage::set(), Shop::open(90));
    let prometheus = Prometheus::scraping(shop.server.address);
    let top = format!("[prometheus]\nurl = \"http://{}\"\n", prometheus.address);
    let query = "sum(orders{version=\"{upstream}\"})";
    let of_stable = "sum(orders{version=\"{stable_upstream}\"})";
    let keys = format!("promql = '{query}'\nstable_promql = '{of_stable}'\nat_least_of_stable = \"80%\"");
    let andon = stage.andon(&top, &signal("orders", &keys));
    let good = wait_for(&andon, "orders", "state", "good");
    assert_eq!((&good["value"], &good["stable"]), (&90.0.into(), &100.0.into()), "{good}");
    assert_eq!(andon.shop()["canaries"][0]["effective"], "5%");
    let labels = [("variant", "canary"), ("signal", "orders")];
    assert_eq!(andon.metric("andon_outside_value", &labels), 90.0);
    assert_eq!(andon.metric("andon_outside_state", &[labels[1], ("state", "good")]), 1.0);
    assert!(
        run(&andon, &["status", "shop"])
            .contains("canary: orders: good: 90, at least 80% of stable's is wanted")
    );

    shop.orders.store(30, Ordering::SeqCst);
    let cord = wait::until("the cord is pulled", || {
        Some(andon.shop()["cord"].clone()).filter(|cord| !cord.is_null())
    });
    let why = "outside signal \"orders\" is 30 (stable's is 100), at least 80% of stable's is wanted: 2 readings in a row of \
               sum(orders{version=\"next\"})";
    assert_eq!(cord["why"], why);
    let after = andon.shop();
    assert_eq!(after["canaries"][0]["effective"], "0%");
    assert_eq!(after["canaries"][0]["verdict"]["verdict"], "unhealthy");
    let id = cord["decision"].as_str().unwrap();
    let said = wait::until("the decision is stored", || {
        Some(run(&andon, &["explain", id])).filter(|said| said.contains("was backed off"))
    });
    for line in [why, "at_least_of_stable = 0.8", "worked out again from its readings: the same verdict"] {
        assert!(said.contains(line), "{line} is not in\n{said}");
    }
    assert!(said.contains("stable    sum(orders{version=\"stable\"})"), "{said}");
}

#[test]
fn no_answer_an_empty_one_nan_or_several_are_undecided_and_change_nothing() {
    let (stage, shop) = (Stage::set(), Shop::open(5));
    let mut prometheus = Prometheus::scraping(shop.server.address);
    let server = format!("server = \"http://{}\"\n", prometheus.address);
    let all = [
        ("good", "orders{version=\"next\"}"),
        ("empty", "orders{version=\"nobody\"}"),
        ("nan", "orders{version=\"none\"}"),
        ("several", "orders"),
        ("broken", "sum(orders"),
    ];
    let signals = all.map(|(name, query)| signal(name, &format!("{server}promql = '{query}'\nat_least = 1")));
    let andon = stage.andon("", &signals.concat());
    wait_for(&andon, "good", "state", "good");
    for (name, missing) in [
        ("empty", "the answer is empty"),
        ("nan", "the answer is not a number (NaN)"),
        ("several", "the answer has 3 series, and must have one"),
    ] {
        let signal = wait_for(&andon, name, "missing", missing);
        assert_eq!((&signal["state"], &signal["value"]), (&"undecided".into(), &Value::Null), "{signal}");
    }
    let broken = of(&andon.shop(), "broken");
    assert!(broken["missing"].as_str().unwrap().starts_with("answers 400 Bad Request: "), "{broken}");

    prometheus.kill();
    let gone = wait_for(&andon, "good", "state", "undecided");
    wait::until("it says why", || {
        let signal = of(&andon.shop(), "good");
        signal["missing"].as_str()?.starts_with("cannot connect").then_some(())
    });
    assert_eq!(gone["bad"], 0);
    let after = andon.shop();
    assert_eq!((&after["cord"], &after["canaries"][0]["effective"]), (&Value::Null, &"5%".into()));
    assert_eq!(after["canaries"][0]["verdict"]["verdict"], "undecided");
    assert_eq!(andon.metric("andon_outside_state", &[("signal", "good"), ("state", "undecided")]), 1.0);
}

#[test]
fn a_number_may_come_from_any_server_and_those_that_do_not_answer_hold_up_nobody() {
    let stage = Stage::set();
    let stats = Server::start(|asked| match asked.first.as_str() {
        "GET /next?of=queue HTTP/1.1" => reply(200, r#"{"data":{"queue":501}}"#),
        _ => reply(404, ""),
    });
    let endless = Server::start(|_| {
        [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".as_slice(), &b"1\r\n1\r\n".repeat(99_999)]
            .concat()
    });
    let mute = Manual::start();
    let signals = [
        signal("mute", &format!("http = \"http://{}/\"\nat_least = 1\ntimeout = \"500ms\"", mute.address)),
        signal("endless", &format!("http = \"http://{}/\"\nat_least = 1", endless.address)),
        signal("missing", &format!("http = \"http://{}/nothing\"\nat_least = 1", stats.address)),
        signal(
            "queue",
            &format!(
                "http = \"http://{}/{{upstream}}?of=queue\"\nfield = \"/data/queue\"\nat_most = 500\nmode = \"watch\"",
                stats.address
            ),
        ),
    ];
    let andon = stage.andon("", &signals.concat());
    wait_for(&andon, "queue", "state", "failing");
    wait_for(&andon, "mute", "missing", "no answer in time");
    wait_for(&andon, "endless", "missing", "the answer broke off, or is too long");
    wait_for(&andon, "missing", "missing", "answers 404 Not Found");
    let watched = wait::until("it is recorded", || {
        let record = andon.ask("GET", "/api/v1/decisions?route=shop", "").ok();
        record["decisions"].as_array()?.iter().find(|decision| decision["action"] == "watch").cloned()
    });
    let asked = watched["evidence"]["outside"]["asked"].as_str().unwrap();
    assert_eq!(asked, format!("http://{}/next", stats.address), "what stands behind a path may be a secret");
    let after = andon.shop();
    assert_eq!((&after["cord"], &after["canaries"][0]["effective"]), (&Value::Null, &"5%".into()));
}
