//! The admin listener of a real process: TLS, client certificates, the Unix socket, and who may by the file.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use andon::admin::secret::{hex, sha256};
use serde_json::Value;

use crate::support::andon::{lone, split};
use crate::support::tls::{Pki, Secure};
use crate::support::wait::{self, PATIENCE};
use crate::support::{Andon, Server, Site, port};

const H1: &[&str] = &["http/1.1"];
const WHY: &str = r#"{"why":"a test"}"#;

fn token(name: &str, role: &str, secret: &str) -> String {
    let sha256 = hex(&sha256(secret.as_bytes()));
    format!("[[admin.token]]\nname = \"{name}\"\nrole = \"{role}\"\nsha256 = \"{sha256}\"\n")
}

/// A route with a canary and these keys of `[admin]`.
fn site(admin: &str) -> Site {
    let mut site = Site::new("");
    site.admin = admin.to_owned();
    site.write(&split(port::free(), port::free(), "10%", ""));
    site
}

/// The verb of a command line that knows nothing but these variables.
fn cli(arguments: &[&str], variables: &[(&str, &str)], stdin: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_andon"));
    command.args(arguments).env_clear().env("USER", "ann").envs(variables.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it is built");
    child.stdin.take().expect("it is piped").write_all(stdin.as_bytes()).expect("it reads");
    child.wait_with_output().expect("it is our child")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn request(line: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\nHost: andon.example\r\n{fields}Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// One exchange over a Unix socket: the status and the body.
fn over(path: &Path, line: &str, fields: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(path).expect("somebody listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("it is not zero");
    let fields = format!("Connection: close\r\n{fields}");
    stream.write_all(request(line, &fields, body).as_bytes()).expect("it takes a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers and closes");
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("an answer");
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

#[test]
fn the_socket_is_for_its_user_and_signs_with_him() {
    let site = site("socket = \"andon.sock\"\n");
    let path = site.path("andon.sock");
    fs::write(site.path("other"), token("bot", "observer", "secret")).expect("the directory is ours");
    let mut andon = site.start();
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    let uid = fs::metadata(&path).expect("it is there").uid();
    let (status, body) = over(&path, "POST /api/v1/routes/shop/cord", "", r#"{"why":"x","by":"ann"}"#);
    assert_eq!(status, 200, "{body}");
    let by = andon.shop()["cord"]["by"].clone();
    assert_eq!(by, format!("ann via uid-{uid}"));
    let (_, page) = over(&path, "GET /", "Accept: text/html\r\n", "");
    assert!(page.starts_with("<!doctype html>"), "{page}");
    let (_, who) = over(&path, "GET /api/v1/session", "", "");
    assert!(who.contains("\"proof\":\"socket\""), "{who}");
    // Limits hold here as well.
    let large = format!("{}{WHY}", " ".repeat(64 * 1024));
    assert_eq!(over(&path, "POST /api/v1/cord", "", &large).0, 413);
    let admin = format!("unix:{}", path.display());
    let told = cli(&["cord", "reset", "shop", "--why", "fine", "--admin", &admin], &[], "");
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    andon.signal("TERM");
    assert_eq!(andon.ended().code(), Some(0));
    assert!(!path.exists());
}

#[test]
fn the_mode_of_the_socket_is_the_configured_one() {
    let site = site("socket = \"andon.sock\"\nsocket_mode = \"0660\"\n");
    let _andon = site.start();
    let mode = fs::metadata(site.path("andon.sock")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn a_socket_left_by_a_crash_is_replaced_and_one_in_use_is_not() {
    let site = site("socket = \"andon.sock\"\n");
    let path = site.path("andon.sock");
    site.start().kill();
    assert!(path.exists());
    let _andon = site.start();
    assert_eq!(over(&path, "GET /livez", "", "").0, 200);
    let mut second = site.clone();
    second.admin = site.admin.clone();
    let refused = second.start_in_vain();
    assert!(text(&refused.stderr).contains("somebody answers there"), "{}", text(&refused.stderr));
    assert_eq!(over(&path, "GET /livez", "", "").0, 200);
}

#[test]
fn the_socket_goes_to_a_new_process_and_its_file_with_it() {
    let mut site = site("socket = \"andon.sock\"\n");
    let (path, moved) = (site.path("andon.sock"), site.path("moved.sock"));
    let mut andon = site.start();
    let file = fs::metadata(&path).expect("it is there").ino();
    assert_eq!(andon.upgrade(), Ok(()));
    assert_eq!(andon.ended().code(), Some(0));
    assert_eq!(fs::metadata(&path).expect("the old one has left it").ino(), file);
    assert_eq!(over(&path, "GET /readyz", "", "").0, 200);
    // One that is called off leaves everything as it is.
    let good = fs::read_to_string(site.file()).expect("it is there");
    fs::write(site.file(), "nonsense = 1").expect("the directory is ours");
    assert!(andon.upgrade().is_err());
    assert_eq!(over(&path, "GET /readyz", "", "").0, 200);
    fs::write(site.file(), good).expect("the directory is ours");
    // Another path: the old file goes.
    site.admin = "socket = \"moved.sock\"\n".to_owned();
    site.write(&split(port::free(), port::free(), "10%", ""));
    assert_eq!(andon.upgrade(), Ok(()));
    assert_eq!(over(&moved, "GET /readyz", "", "").0, 200);
    wait::until("the old file is gone", || (!path.exists()).then_some(()));
    let pid = andon.pid();
    andon.signal("TERM");
    wait::until("the last process ends", || (!Andon::runs(pid)).then_some(()));
    assert!(!moved.exists());
}

#[test]
fn tokens_of_the_file_hold_from_the_reload_on() {
    let mut site = site(&token("ops", "admin", "first secret"));
    let andon = site.start_unasked(site.command());
    let admin = format!("http://{}", andon.admin);
    let status =
        |secret: &str| cli(&["status", "--admin", &admin], &[("ANDON_TOKEN", secret)], "").status.code();
    wait::until("andon is ready", || (status("first secret") == Some(0)).then_some(()));
    assert_eq!(status("second secret"), Some(5));
    site.admin =
        format!("{}{}", token("ops", "admin", "second secret"), token("eye", "observer", "third secret"));
    site.write(&split(port::free(), port::free(), "10%", ""));
    let reloaded = cli(&["reload", "--admin", &admin], &[("ANDON_TOKEN", "first secret")], "");
    // The file may have been seen a moment before.
    assert!(matches!(reloaded.status.code(), Some(0 | 5)), "{}", text(&reloaded.stderr));
    wait::until("the second secret holds", || (status("second secret") == Some(0)).then_some(()));
    assert_eq!((status("first secret"), status("third secret")), (Some(5), Some(0)));
    let refused =
        cli(&["cord", "pull", "--why", "x", "--admin", &admin], &[("ANDON_TOKEN", "third secret")], "");
    let told = text(&refused.stderr);
    assert_eq!(refused.status.code(), Some(5));
    assert!(told.contains("takes the role puller") && told.contains("ask somebody who has it"), "{told}");
    let nobody = text(&cli(&["status", "--admin", &admin], &[], "").stderr);
    assert!(nobody.contains("ANDON_TOKEN"), "{nobody}");
    // From a file, and never seen in the log.
    fs::write(site.path("secret"), "second secret\n").expect("the directory is ours");
    let path = site.path("secret").display().to_string();
    let pulled = cli(&["cord", "pull", "--why", "x", "--admin", &admin, "--token-file", &path], &[], "");
    assert_eq!(pulled.status.code(), Some(0), "{}", text(&pulled.stderr));
    let log = andon.log();
    assert!(!log.contains("second secret") && !log.contains(&hex(&sha256(b"second secret"))), "{log}");
    assert!(log.contains("\"by\":\"ops\""), "{log}");
}

#[test]
fn a_file_that_names_nobody_opens_no_door_that_others_can_reach() {
    let site = site("");
    let text = fs::read_to_string(site.file()).expect("it is there");
    let open = text.replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"0.0.0.0:0\"");
    fs::write(site.file(), &open).expect("the directory is ours");
    let refused = site.start_in_vain();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("andon token new"), "{refused:?}");
    // With a token it listens; when the token goes and the address with it, the door that is open stays shut to all.
    let named = open.replace("[store]", &format!("{}[store]", token("ops", "admin", "secret")));
    fs::write(site.file(), named).expect("the directory is ours");
    let andon = site.start_unasked(site.command());
    let admin = format!("http://127.0.0.1:{}", andon.admin.port());
    let status =
        |secret: &str| cli(&["status", "--admin", &admin], &[("ANDON_TOKEN", secret)], "").status.code();
    wait::until("andon is ready", || (status("secret") == Some(0)).then_some(()));
    fs::write(site.file(), text).expect("the directory is ours");
    andon.signal("HUP");
    wait::until("the token is gone", || (status("secret") == Some(5)).then_some(()));
    assert_eq!(status(""), Some(5));
}

#[test]
fn tls_is_spoken_to_people_with_certificates_and_tokens() {
    let pki = Pki::new();
    let certificates = pki.issue("andon", &["localhost"]);
    let ca = pki.path("ca.pem").display().to_string();
    let admin = format!(
        "tls = {{ certificates = [{certificates}], client_ca = \"{ca}\", client_auth = \"optional\" }}\n{}\
         [[admin.client]]\nname = \"ann.example\"\nrole = \"puller\"\n",
        token("ops", "admin", "secret")
    );
    let andon = site(&admin);
    let andon = andon.start_unasked(andon.command());
    let ask = |who: Option<&str>, line: &str, fields: &str, body: &str| {
        let signed = who.map(|name| pki.sign(&[name]));
        let config = Arc::new(pki.client_as(signed.as_ref(), H1));
        let mut wire = Secure::connect(andon.admin, &config, "localhost").expect("a handshake");
        assert_eq!(wire.alpn().as_deref(), Some("http/1.1"));
        let answer = wire.exchange(&request(line, fields, body)).expect("an answer");
        answer.split(' ').nth(1).and_then(|status| status.parse::<u16>().ok()).expect("a status")
    };
    let secret = "Authorization: Bearer secret\r\n";
    assert_eq!(ask(None, "GET /readyz", "", ""), 200);
    assert_eq!(ask(None, "GET /api/v1/routes", "", ""), 401);
    assert_eq!(ask(None, "GET /api/v1/routes", secret, ""), 200);
    assert_eq!(ask(Some("ann.example"), "POST /api/v1/cord", "", WHY), 200);
    assert_eq!(ask(Some("ann.example"), "DELETE /api/v1/routes/shop/cord", "", WHY), 403);
    assert_eq!(ask(Some("bob.example"), "GET /api/v1/routes", "", ""), 401);
    // A token counts before the certificate.
    assert_eq!(ask(Some("ann.example"), "DELETE /api/v1/routes/shop/cord", secret, WHY), 200);
    let ours = format!("{secret}Origin: https://andon.example\r\n");
    assert_eq!(ask(None, "POST /api/v1/cord", &ours, WHY), 200);
    let cleartext = format!("{secret}Origin: http://andon.example\r\n");
    assert_eq!(ask(None, "POST /api/v1/cord", &cleartext, WHY), 403);
    let large = format!("{}{WHY}", " ".repeat(64 * 1024));
    assert_eq!(ask(None, "POST /api/v1/cord", secret, &large), 413);
    // Another authority's certificate is not let in at all.
    let stranger = Pki::new().sign(&["ann.example"]);
    let config = Arc::new(pki.client_as(Some(&stranger), H1));
    let shown = Secure::connect(andon.admin, &config, "localhost");
    let answered = shown.and_then(|mut wire| wire.exchange(&request("GET /livez", "", "")));
    assert!(answered.is_err(), "{answered:?}");
}

#[test]
fn the_command_line_and_curl_speak_tls_and_metrics_show_the_certificate() {
    let pki = Pki::new();
    let certificates = pki.issue("andon", &["localhost"]);
    pki.issue("ann", &["ann.example"]);
    let [ca, cert, key] = ["ca.pem", "ann.pem", "ann.key"].map(|name| pki.path(name).display().to_string());
    let admin = format!(
        "tls = {{ certificates = [{certificates}], client_ca = \"{ca}\", client_auth = \"optional\" }}\n{}\
         [[admin.client]]\nname = \"ann.example\"\nrole = \"release\"\n",
        token("ops", "admin", "secret")
    );
    let site = site(&admin);
    let andon = site.start_unasked(site.command());
    let url = format!("https://localhost:{}", andon.admin.port());
    let token = [("ANDON_TOKEN", "secret"), ("ANDON_ADMIN", url.as_str())];
    let told = cli(&["status", "--admin-ca", &ca], &token, "");
    assert_eq!(told.status.code(), Some(0), "{}", text(&told.stderr));
    let stranger = cli(&["status"], &token, "");
    assert_eq!(stranger.status.code(), Some(5), "{}", text(&stranger.stderr));
    let shown = ["--admin", &url, "--admin-ca", &ca, "--admin-cert", &cert, "--admin-key", &key];
    let moved = cli(&[&["weight", "shop", "5%", "--why", "x", "-o", "json"], &shown[..]].concat(), &[], "");
    assert_eq!(moved.status.code(), Some(0), "{}", text(&moved.stderr));
    let decisions = cli(&[&["decisions", "-o", "json"], &shown[..]].concat(), &[], "");
    let decisions: Value = serde_json::from_slice(&decisions.stdout).expect("it is JSON");
    assert_eq!(decisions["decisions"][0]["by"], "ann via ann.example", "{decisions}");
    let bearer = "Authorization: Bearer secret";
    let curl =
        Command::new("curl").args(["-sS", "--cacert", &ca, "-H", bearer, &format!("{url}/metrics")]).output();
    let metrics = text(&curl.expect("curl is there").stdout);
    let ends =
        metrics.lines().find(|line| line.starts_with("andon_tls_certificate_not_after_timestamp_seconds{"));
    assert!(ends.is_some_and(|line| line.contains("listener=\"[admin]\"")), "{metrics}");
    assert!(metrics.contains("andon_admin_auth_failures_total{reason=\"nobody\"} 0"), "{metrics}");
    // A new certificate holds from the next handshake on.
    let leaf = || {
        let wire = Secure::connect(andon.admin, &Arc::new(pki.client(H1)), "localhost").expect("a handshake");
        wire.leaf()
    };
    let before = leaf();
    pki.issue("andon", &["localhost"]);
    wait::until("the new certificate is shown", || (leaf() != before).then_some(()));
}

#[test]
fn tokens_are_made_and_hashed() {
    let made = cli(&["token", "new", "--name", "bot", "--role", "puller"], &[], "");
    let (secret, told) = (text(&made.stdout), text(&made.stderr));
    assert!(secret.starts_with("andon_") && secret.trim().len() == 49, "{secret}");
    assert!(told.contains("name = \"bot\"\nrole = \"puller\"") && !told.contains(secret.trim()), "{told}");
    let hashed = text(&cli(&["token", "hash"], &[], &secret).stdout);
    assert!(told.contains(&format!("sha256 = \"{}\"", hashed.trim())), "{told} {hashed}");
    let json: Value =
        serde_json::from_slice(&cli(&["token", "new", "-o", "json"], &[], "").stdout).expect("JSON");
    let secret = json["token"].as_str().expect("it is there");
    assert_eq!(
        (json["sha256"].as_str(), json["role"].as_str()),
        (Some(&*hex(&sha256(secret.as_bytes()))), Some("observer"))
    );
    // What it prints is what the file takes.
    let site = site(json["toml"].as_str().expect("it is there"));
    let file = site.file().display().to_string();
    assert_eq!(cli(&["check", "-c", &file], &[], "").status.code(), Some(0));
    for (arguments, stdin, exit) in [
        (&["token", "hash"][..], "short", 1),
        (&["token", "new", "--role", "boss"], "", 2),
        (&["token", "new", "--name", "a b"], "", 2),
    ] {
        assert_eq!(cli(arguments, &[], stdin).status.code(), Some(exit), "{arguments:?}");
    }
}

#[test]
fn check_warns_of_tokens_in_cleartext_beyond_the_machine() {
    let server = Server::named("stable");
    let site = site(&token("ops", "admin", "secret"));
    let text = fs::read_to_string(site.file()).expect("it is there");
    fs::write(site.file(), text.replace("listen = \"127.0.0.1:0\"", "listen = \"0.0.0.0:0\"")).expect("ours");
    let file = site.file().display().to_string();
    let told = cli(&["check", "-c", &file], &[], "");
    assert_eq!(told.status.code(), Some(0));
    assert!(String::from_utf8_lossy(&told.stderr).contains("tokens can be read on the way"), "{told:?}");
    site.write(&lone(server.address, ""));
    assert!(cli(&["check", "-c", &file], &[], "").stderr.is_empty());
}
