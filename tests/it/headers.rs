//! What a route changes in the messages that pass: headers, paths, and where a client is sent.

use crate::support::andon::{lone, split};
use crate::support::{Andon, Message, Server, Site, get, get_with, reply};

const TO_CANARY: &str = r#"overrides = [{ header = "x-canary", value = "always" }]"#;

/// The request as the upstream got it, and the answer as the client did.
fn exchanged(policy: &str, request: &str, answer: &'static str) -> (Message, Message) {
    let upstream = Server::start(|_| answer.into());
    let andon = Andon::start(&(lone(upstream.address, "") + policy));
    let answer = andon.exchange(request);
    (upstream.request(), answer)
}

fn values(message: &Message, name: &str) -> Vec<String> {
    let fields = message.fields.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
    fields.map(|(_, value)| value.clone()).collect()
}

const OK: &str = "HTTP/1.1 200 OK\r\nServer: theirs\r\nX-Set: theirs\r\nX-Set: too\r\nX-Add: theirs\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn headers_are_set_added_and_removed_both_ways() {
    let policy = r#"
[route.request_headers]
set = { x-set = "ours", host = "inner.example" }
add = { x-add = "ours" }
remove = ["x-debug"]
[route.response_headers]
set = { x-set = "ours" }
add = { x-add = "ours" }
remove = ["server"]
"#;
    let sent = get_with(
        "/",
        "X-Set: a\r\nX-Set: b\r\nX-Add: theirs\r\nX-Debug: 1\r\nX-Debug: 2\r\nConnection: x-set, x-add\r\n",
    );
    let (got, answer) = exchanged(policy, &sent, OK);
    assert_eq!(values(&got, "x-set"), ["ours"]);
    // The client's own ended at this hop, as it asked. Ours did not.
    assert_eq!(values(&got, "x-add"), ["ours"]);
    assert_eq!(values(&got, "x-debug"), [""; 0]);
    assert_eq!(got.field("host"), Some("inner.example"));
    assert_eq!(got.field("x-forwarded-host"), Some("shop.example"));
    assert_eq!(values(&answer, "x-set"), ["ours"]);
    assert_eq!(values(&answer, "x-add"), ["theirs", "ours"]);
    assert_eq!(values(&answer, "server"), [""; 0]);
    assert_eq!(answer.text(), "ok");
}

#[test]
fn variables_say_what_they_stand_for() {
    let policy = r#"
[route.request_headers]
set = { x-all = "{route} {variant} {client} {host} {scheme} {{{request_id}}" }
[route.response_headers]
set = { x-id = "{request_id}", x-who = "{variant} of {route} for {client}" }
"#;
    let (got, answer) = exchanged(policy, &get("/"), OK);
    let id = got.field("x-request-id").unwrap();
    let all = format!("shop stable 127.0.0.1 shop.example http {{{id}}}");
    assert_eq!(got.field("x-all"), Some(all.as_str()));
    assert_eq!(answer.field("x-id"), Some(id));
    assert_eq!(answer.field("x-who"), Some("stable of shop for 127.0.0.1"));
}

#[test]
fn what_a_trusted_proxy_says_counts() {
    let upstream = Server::named("stable");
    let policy = "[route.request_headers]\nset = { x-who = \"{client} {scheme}\" }\n";
    let body = lone(upstream.address, "") + policy;
    let andon = Site::with_listener(r#"trusted_proxies = ["127.0.0.0/8"]"#, &body).start();
    andon.exchange(get_with("/", "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"));
    assert_eq!(upstream.request().field("x-who"), Some("203.0.113.9 https"));
}

#[test]
fn nobody_else_says_which_variant_it_is() {
    let lies =
        || Server::start(|_| b"HTTP/1.1 200 OK\r\nX-Variant: lie\r\nContent-Length: 2\r\n\r\nok".into());
    let (stable, next) = (lies(), lies());
    let body = split(stable.address, next.address, "0%", TO_CANARY)
        .replace("stable = \"stable\"", "variant_header = \"x-variant\"\nstable = \"stable\"");
    let andon = Andon::start(&body);
    for (fields, server, variant) in [("", &stable, "stable"), ("X-Canary: always\r\n", &next, "canary")] {
        let answer = andon.exchange(get_with("/", &format!("{fields}X-Variant: lie\r\nX-Variant: lies\r\n")));
        assert_eq!(values(&answer, "x-variant"), [variant]);
        assert_eq!(values(&server.request(), "x-variant"), [variant]);
    }
}

#[test]
fn our_own_answers_are_changed_too() {
    let policy = "variant_header = \"x-variant\"\n[route.response_headers]\nset = { x-own = \"{route}\" }\n";
    let nobody = Server::start(|_| b"not http\r\n\r\n".into());
    let denied = format!("[[route]]\nname = \"closed\"\npath = \"/closed\"\ndeny = true\n{policy}");
    let andon = Andon::start(&(lone(nobody.address, "") + policy + &denied));
    let answer = andon.exchange(get("/"));
    assert_eq!((answer.status(), answer.field("x-own")), (502, Some("shop")));
    assert_eq!(answer.field("x-variant"), Some("stable"));
    let answer = andon.exchange(get("/closed"));
    assert_eq!((answer.status(), answer.field("x-own")), (403, Some("closed")));
    assert_eq!(answer.field("x-variant"), None);
}

#[test]
fn a_prefix_is_stripped_or_replaced_and_the_query_stays() {
    let upstream = Server::start(|_| reply(200, "ok"));
    let strip = lone(upstream.address, "") + "path = \"/api\"\nstrip_prefix = \"/api\"\n";
    let replace = "[[route]]\nname = \"old\"\npath = \"/old\"\nstable = \"stable\"\nreplace_prefix = { from = \"/old\", to = \"/v2\" }\n";
    let andon = Andon::start(&(strip + replace));
    for (sent, arrived) in [
        ("/api", "/"),
        ("/api?a=/api", "/?a=/api"),
        ("/api/b%20c/?d", "/b%20c/?d"),
        ("/api//evil.example/", "/evil.example/"),
        ("/old/b?c", "/v2/b?c"),
        ("/old", "/v2"),
    ] {
        assert_eq!(andon.exchange(get(sent)).status(), 200);
        assert_eq!(upstream.request().first, format!("GET {arrived} HTTP/1.1"), "{sent}");
    }
    assert_eq!(andon.exchange(get("/apiary")).status(), 404);
}

#[test]
fn http_is_sent_to_https_and_https_is_served() {
    let upstream = Server::named("stable");
    let body = lone(upstream.address, "") + "redirect = \"https\"\n";
    let alone = "[[route]]\nname = \"moved\"\npath = \"/moved\"\nredirect = { scheme = \"https\", host = \"new.example\", status = 301 }\n";
    let andon = Site::with_listener(r#"trusted_proxies = ["127.0.0.0/8"]"#, &(body + alone)).start();
    let answer = andon.exchange(get("/a//b?c=d"));
    assert_eq!((answer.status(), answer.field("location")), (308, Some("https://shop.example/a/b?c=d")));
    // Only the host that was checked goes in, wherever the client wrote it.
    let answer = andon.exchange("GET http://other.example:81//evil HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!(answer.field("location"), Some("https://other.example/evil"));
    let answer = andon.exchange(get("/moved/x"));
    assert_eq!((answer.status(), answer.field("location")), (301, Some("https://new.example/moved/x")));
    assert_eq!(upstream.requests(), 0);
    assert_eq!(andon.metric("andon_requests_refused_total", &[("reason", "redirected")]), 3.0);

    let secure = "X-Forwarded-Proto: https\r\nX-Forwarded-For: 203.0.113.9\r\n";
    assert_eq!(andon.exchange(get_with("/", secure)).text(), "stable");
    // There is nothing behind it but the redirect, and that would turn for ever.
    let there = format!("GET /moved HTTP/1.1\r\nHost: new.example\r\n{secure}\r\n");
    assert_eq!(andon.exchange(there).status(), 404);
    assert_eq!(andon.exchange("GET / HTTP/1.0\r\n\r\n").status(), 400);
}
