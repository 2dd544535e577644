//! The API as an OpenAPI 3.1 document: `GET /api/v1/openapi.json` and `andon openapi`.
//!
//! One table, in the order of the README. The shapes of answers come from the types that are answered with, so they cannot
//! differ; what requests may hold is said here. `tests/it/openapi.rs` holds the table against the router, the document against
//! the snapshot in `config/openapi.json`, and a running andon against the document.

mod requests;

use schemars::generate::{SchemaGenerator, SchemaSettings};
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

use super::api::json::{
    DecisionJson, DecisionsJson, ForecastJson, ReleaseJson, ReleasesJson, ReloadJson, RouteJson, RoutesJson,
};
use super::api::record_json::{EvidenceJson, WhatIfJson};
use super::api::upstreams::UpstreamsJson;

/// What one method of one path does.
pub(super) struct Operation {
    pub(super) method: &'static str,
    /// Below `/api/v1`.
    pub(super) path: &'static str,
    pub(super) summary: &'static str,
    /// Name, schema and meaning.
    pub(super) query: Vec<(&'static str, Value, &'static str)>,
    /// Honours `If-Match`.
    pub(super) conditional: bool,
    pub(super) body: Option<Body>,
    pub(super) status: u16,
    pub(super) answer: Shape,
    /// Statuses of problems beside those of every operation.
    pub(super) problems: &'static [u16],
}

pub(super) struct Body {
    pub(super) schema: Value,
    pub(super) required: bool,
}

pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

fn shape<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
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
        answer,
        problems: &[],
    }
}

fn change(method: &'static str, path: &'static str, summary: &'static str, schema: Value) -> Operation {
    let body = Some(Body { schema, required: true });
    Operation { method, body, problems: &[409, 413, 415, 422, 503], ..get(path, summary, shape::<RouteJson>) }
}

pub(super) fn operations() -> Vec<Operation> {
    let steer = |path, summary| Operation {
        conditional: true,
        problems: &[404, 409, 412, 413, 415, 422, 503],
        ..change("post", path, summary, requests::signed())
    };
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
            query: vec![
                ("why", json!({ "type": "string" }), "The reason, for clients that send no body with DELETE"),
                ("by", json!({ "type": "string" }), "Who asks"),
            ],
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
            problems: &[404, 409, 422, 503],
            ..get("/routes/{route}/drill", "End the drill", shape::<RouteJson>)
        },
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
        Operation {
            answer: shape::<RoutesJson>,
            problems: &[413, 415, 422, 503],
            ..change("post", "/cord", "Pull the cord of every route", requests::signed())
        },
        get("/upstreams", "Endpoints: which are used, healthy, ejected", shape::<UpstreamsJson>),
        Operation {
            query: requests::decisions(),
            problems: &[422, 503],
            ..get("/decisions", "The record, newest first", shape::<DecisionsJson>)
        },
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
        Operation {
            method: "post",
            problems: &[503],
            ..get("/config/reload", "Read the configuration file again", shape::<ReloadJson>)
        },
        get("/openapi.json", "This document", any),
    ]
}

pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(format!("/api/v1{}", operation.path)).or_insert_with(|| json!({}));
        path[operation.method] = operation.described(&mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Problem".to_owned(), requests::problem());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Andon admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Releases, weights and the cord of a reverse proxy with an immune system",
            "description": "Every error is application/problem+json (RFC 9457). Fields are added, never renamed or taken away.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "http://127.0.0.1:2636" }],
        "security": [{}, { "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Of `andon token new`" },
            },
        },
    })
}

impl Operation {
    fn described(&self, generator: &mut SchemaGenerator) -> Value {
        let content = json!({ "application/json": { "schema": (self.answer)(generator) } });
        let mut responses = Map::new();
        responses.insert(self.status.to_string(), json!({ "description": "Done", "content": content }));
        // Of every operation: what the face in front of them refuses.
        for status in [400, 401, 403, 405, 408, 431].iter().chain(self.problems) {
            let content = json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
            let response = json!({ "description": requests::meaning(*status), "content": content });
            responses.insert(status.to_string(), response);
        }
        let mut described = json!({
            "operationId": self.id(),
            "summary": self.summary,
            "parameters": self.parameters(),
            "responses": responses,
        });
        if let Some(Body { schema, required }) = &self.body {
            let content = json!({ "application/json": { "schema": schema } });
            described["requestBody"] = json!({ "required": required, "content": content });
        }
        described
    }

    /// `put_routes_route_weight`
    fn id(&self) -> String {
        let path = self.path.replace(['/', '-', '.'], "_").replace(['{', '}'], "");
        format!("{}{path}", self.method)
    }

    fn parameters(&self) -> Vec<Value> {
        let in_path = self.path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let mut all: Vec<_> = in_path
            .map(|name| {
                json!({ "name": name, "in": "path", "required": true, "schema": requests::path_part(name) })
            })
            .collect();
        for (name, schema, description) in &self.query {
            all.push(json!({ "name": name, "in": "query", "schema": schema, "description": description }));
        }
        if self.conditional {
            all.push(json!({
                "name": "If-Match",
                "in": "header",
                "schema": { "type": "string", "pattern": "^(\\*|\"[0-9]+\")$" },
                "description": "Only if the route is still at this revision; its ETag",
            }));
        }
        all
    }
}
