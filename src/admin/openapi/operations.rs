//! The table of all operations, a function for each group of the README.

use schemars::generate::SchemaGenerator;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::super::api::config::ConfigJson;
use super::super::api::drift::DriftJson;
use super::super::api::json::{
    DecisionJson, DecisionsJson, ForecastJson, ReleaseJson, ReleasesJson, ReloadJson, RouteJson, RoutesJson,
    ToldJson,
};
use super::super::api::record_json::{CheckedJson, EvidenceJson, HeadJson, WhatIfJson};
use super::super::api::session::SessionJson;
use super::super::api::upstreams::{UpstreamJson, UpstreamsJson};
use super::{Body, NO_BODY, Operation, Shape, requests};

pub(super) fn all() -> Vec<Operation> {
    [of_sessions(), of_routes(), of_releases(), of_upstreams(), of_record(), of_process()]
        .into_iter()
        .flatten()
        .collect()
}

fn of_sessions() -> Vec<Operation> {
    vec![
        get("/session", "Who you are, and what you may", shape::<SessionJson>),
        Operation {
            answer: shape::<SessionJson>,
            ..change("post", "/session", "Log in: the answer sets a cookie", requests::login())
        },
        Operation {
            method: "delete",
            status: 204,
            media: NO_BODY,
            problems: &[409, 413, 422, 503],
            ..get("/session", "Log out", any)
        },
    ]
}

fn of_routes() -> Vec<Operation> {
    vec![
        get("/routes", "Live state of every route", shape::<RoutesJson>),
        Operation {
            problems: &[404],
            ..get("/routes/{route}", "Live state of one route", shape::<RouteJson>)
        },
        Operation {
            conditional: true,
            problems: &[404, 409, 412, 413, 415, 422, 503],
            ..change("put", "/routes/{route}/weight", "Set the aim of a canary", requests::weight())
        },
        Operation {
            problems: &[404, 413, 415, 422, 503],
            ..change("post", "/routes/{route}/cord", "Every canary of the route gets 0%", requests::signed())
        },
        Operation {
            query: requests::signature(),
            body: Some(Body { schema: requests::signed(), required: false }),
            problems: &[404, 409, 413, 415, 422, 503],
            ..change("delete", "/routes/{route}/cord", "Reset the cord", requests::signed())
        },
        Operation {
            query: requests::forecast(),
            problems: &[404, 422, 503],
            ..get("/routes/{route}/forecast", "How soon a bad canary would be seen", shape::<ForecastJson>)
        },
        Operation {
            problems: &[404, 409, 413, 415, 422, 503],
            ..change("post", "/routes/{route}/drill", "Have a canary fail on purpose", requests::drill())
        },
        Operation {
            method: "delete",
            problems: &[404, 409, 413, 422, 503],
            ..get("/routes/{route}/drill", "End the drill", shape::<RouteJson>)
        },
        Operation {
            answer: shape::<RoutesJson>,
            problems: &[413, 415, 422, 503],
            ..change("post", "/cord", "Pull the cord of every route", requests::signed())
        },
    ]
}

fn of_releases() -> Vec<Operation> {
    let steer = |path, summary| Operation {
        conditional: true,
        problems: &[404, 409, 412, 413, 415, 422, 503],
        ..change("post", path, summary, requests::signed())
    };
    vec![
        Operation {
            problems: &[404, 422, 503],
            ..get("/routes/{route}/releases", "Releases of the route, newest first", shape::<ReleasesJson>)
        },
        Operation {
            conditional: true,
            status: 201,
            answer: shape::<ReleaseJson>,
            problems: &[404, 409, 412, 413, 415, 422, 503],
            ..change("post", "/routes/{route}/releases", "Start a release", requests::release())
        },
        Operation {
            problems: &[404, 422, 503],
            ..get("/routes/{route}/releases/{id}", "One release", shape::<ReleaseJson>)
        },
        steer("/routes/{route}/releases/{id}/{verb}", "hold, resume, approve, promote or abort"),
        steer("/routes/{route}/rollback", "Back to the stable version of before the last promotion"),
    ]
}

fn of_upstreams() -> Vec<Operation> {
    vec![
        get("/upstreams", "Endpoints: which are used, healthy, ejected", shape::<UpstreamsJson>),
        Operation {
            problems: &[404, 422, 503],
            ..get("/upstreams/{upstream}", "Endpoints of one upstream", shape::<UpstreamJson>)
        },
        Operation {
            conditional: true,
            answer: shape::<UpstreamJson>,
            problems: &[404, 409, 412, 413, 415, 422, 503],
            ..change("put", "/upstreams/{upstream}", "Announce endpoints at run time", requests::upstream())
        },
        Operation {
            query: requests::signature(),
            conditional: true,
            body: Some(Body { schema: requests::signed(), required: false }),
            answer: shape::<UpstreamJson>,
            problems: &[404, 409, 412, 413, 415, 422, 503],
            ..change(
                "delete",
                "/upstreams/{upstream}",
                "Back to the endpoints of the file",
                requests::signed(),
            )
        },
    ]
}

fn of_record() -> Vec<Operation> {
    vec![
        Operation {
            query: requests::decisions(),
            problems: &[422, 503],
            ..get("/decisions", "The record, newest first", shape::<DecisionsJson>)
        },
        get_503(
            "/decisions/head",
            "The newest decision's place and hash, to be kept elsewhere",
            shape::<HeadJson>,
        ),
        get_503("/decisions/verify", "Whether the chain of the record is whole", shape::<CheckedJson>),
        Operation {
            problems: &[404, 503],
            ..get("/decisions/{id}", "One decision with its evidence", shape::<DecisionJson>)
        },
        Operation {
            problems: &[404, 503],
            ..get("/decisions/{id}/evidence", "The ticks before it, judged again", shape::<EvidenceJson>)
        },
        Operation {
            answer: shape::<WhatIfJson>,
            problems: &[404, 413, 415, 422, 503],
            ..change("post", "/what-if", "Judge the record by other numbers", requests::what_if())
        },
    ]
}

fn of_process() -> Vec<Operation> {
    vec![
        Operation {
            query: vec![("route", json!({ "type": "string" }), "Only of this route")],
            media: "text/event-stream",
            problems: &[404, 422, 503],
            ..get("/events", "Server-sent events; goes on from Last-Event-ID", requests::event)
        },
        get_503("/drift", "Every difference between the file and what is live", shape::<DriftJson>),
        Operation {
            query: vec![("format", json!({ "enum": ["json", "toml"] }), "Instead of the Accept header")],
            problems: &[422, 503],
            ..get("/config", "The configuration in force, without secrets", shape::<ConfigJson>)
        },
        Operation {
            method: "post",
            problems: &[409, 413, 422, 503],
            ..get("/config/reload", "Read the configuration file again", shape::<ReloadJson>)
        },
        Operation {
            method: "post",
            problems: &[404, 409, 413, 422, 503],
            ..get("/notify/{name}/test", "A test message to a receiver of notices", shape::<ToldJson>)
        },
        get("/openapi.json", "This document", any),
    ]
}

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

pub(super) fn text(_: &mut SchemaGenerator) -> Schema {
    Schema::from(Map::from_iter([("type".to_owned(), "string".into())]))
}

fn any(_: &mut SchemaGenerator) -> Schema {
    Schema::from(Map::from_iter([("type".to_owned(), "object".into())]))
}

fn get(path: &'static str, summary: &'static str, answer: Shape) -> Operation {
    Operation {
        method: "get",
        path,
        summary,
        query: Vec::new(),
        conditional: false,
        body: None,
        status: 200,
        media: "application/json",
        answer,
        problems: &[],
    }
}

fn get_503(path: &'static str, summary: &'static str, answer: Shape) -> Operation {
    Operation { problems: &[422, 503], ..get(path, summary, answer) }
}

fn change(method: &'static str, path: &'static str, summary: &'static str, schema: Value) -> Operation {
    let body = Some(Body { schema, required: true });
    Operation { method, body, problems: &[409, 413, 415, 422, 503], ..get(path, summary, shape::<RouteJson>) }
}
