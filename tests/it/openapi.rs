//! The OpenAPI document: it is the snapshot that is committed, it says what the router does, a public validator accepts it, and
//! schemathesis (from PyPI, installed once into `target/tools`) finds no answer that it does not describe.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use regex::Regex;
use serde_json::Value;

use crate::support::andon::split;
use crate::support::{Andon, Server};

const SNAPSHOT: &str = "config/openapi.json";
const ROUTER: &str = include_str!("../../src/admin/api/mod.rs");

fn document() -> String {
    let done =
        Command::new(env!("CARGO_BIN_EXE_andon")).arg("openapi").output().expect("the binary is built");
    String::from_utf8(done.stdout).expect("JSON is UTF-8")
}

fn said(done: &Output) -> String {
    String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr)
}

/// A program of the Python tools, which `tests/tools` installs if they are not there.
fn tool(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done = Command::new(root.join("tests/tools")).output().expect("the script is there");
    assert!(done.status.success(), "{}", said(&done));
    root.join("target/tools/openapi/bin").join(name)
}

/// To take the present one: `target/debug/andon openapi > config/openapi.json`.
#[test]
fn the_snapshot_is_what_andon_prints() {
    let snapshot =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT)).unwrap_or_default();
    assert!(snapshot == document(), "run: andon openapi > {SNAPSHOT}");
}

#[test]
fn the_document_has_every_path_and_method_of_the_router_and_no_other() {
    let document: Value = serde_json::from_str(&document()).expect("it is JSON");
    let mut described = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().expect("there are paths") {
        let path = path.strip_prefix("/api/v1").expect("all are below it");
        described.extend(methods.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    let route = Regex::new(r#"\.route\(\s*"([^"]+)",([^\n]+)"#).expect("it is one");
    let method = Regex::new(r"\b(get|post|put|delete|patch)\(").expect("it is one");
    let router = ROUTER
        .split("    Router::new()")
        .nth(1)
        .expect("there is a router")
        .replace("\n        .route", "\n.route");
    let mut served = BTreeSet::new();
    for found in route.captures_iter(&router) {
        let (path, handlers) = (&found[1], &found[2]);
        served.extend(method.captures_iter(handlers).map(|method| format!("{} {path}", &method[1])));
    }
    assert!(served.len() > 15, "{served:?}");
    assert_eq!(described, served);
}

/// Editors check files by it, so it must not object to what is right, and must object to a key that is none.
#[test]
fn the_schema_of_the_configuration_takes_our_files_and_no_unknown_key() {
    let done = Command::new(env!("CARGO_BIN_EXE_andon")).arg("schema").output().expect("the binary is built");
    let folder = tempfile::TempDir::new().expect("a folder");
    let schema = folder.path().join("schema.json");
    fs::write(&schema, &done.stdout).expect("the folder is ours");
    let typo = folder.path().join("typo.toml");
    fs::write(&typo, "[[route]]\nwieght = \"5%\"\n").expect("the folder is ours");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = "import json, sys, tomllib, jsonschema\n\
                  schema = json.load(open(sys.argv[1]))\n\
                  jsonschema.Draft202012Validator.check_schema(schema)\n\
                  found = [list(jsonschema.Draft202012Validator(schema).iter_errors(tomllib.load(open(file, 'rb')))) for file in sys.argv[2:]]\n\
                  print([len(errors) for errors in found], [error.message for errors in found for error in errors])\n";
    let checked = Command::new(tool("python"))
        .args(["-c", script])
        .arg(&schema)
        .args([root.join("config/andon.toml"), root.join("config/minimal.toml"), typo])
        .output()
        .expect("it is installed");
    assert!(said(&checked).starts_with("[0, 0, 1]"), "{}", said(&checked));
    assert!(said(&checked).contains("wieght"), "{}", said(&checked));
}

#[test]
fn a_public_validator_and_schemathesis_have_nothing_to_object_to() {
    let validator = tool("openapi-spec-validator");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(SNAPSHOT);
    let valid = Command::new(validator).arg(&path).output().expect("it is installed");
    assert!(valid.status.success(), "{}", said(&valid));

    let (stable, canary) = (Server::named("stable"), Server::named("canary"));
    let plan = "\n[[plan]]\nname = \"quick\"\nsteps = [{ to = \"5%\", hold = \"1h\" }]\n";
    let andon = Andon::start(&split(stable.address, canary.address, "5%", plan));
    let cassette = tempfile::TempDir::new().expect("a folder");
    let done = Command::new(tool("schemathesis"))
        .current_dir(cassette.path())
        .args(["run", &format!("http://{}/api/v1/openapi.json", andon.admin), "--seed", "7", "--no-color"])
        .args([
            "--url",
            &format!("http://{}", andon.admin),
            "--max-examples",
            "20",
            "--request-timeout",
            "10",
        ])
        // A stream without end is not for it: tests/it/events.rs.
        .args(["--exclude-path", "/api/v1/events", "--max-time", "40"])
        .args([
            "--phases",
            "examples,coverage,fuzzing,stateful",
            "--warnings",
            "off",
            "--generation-database",
            "none",
        ])
        .args([
            "--checks",
            "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance",
        ])
        .output()
        .expect("it is installed");
    assert!(done.status.success(), "{}", said(&done));
    // Whatever came in, nothing went to the canary that was not asked for by a weight.
    assert_eq!(andon.ask("GET", "/livez", "").status, 200);
}
