//! The API as an OpenAPI 3.1 document: `GET /api/v1/openapi.json` and `andon openapi`.
//!
//! One table, in the order of the README. The shapes of answers come from the types that are answered with, so they cannot
//! differ; what requests may hold is said here. `tests/it/openapi.rs` holds the table against the router, the document against
//! the snapshot in `config/openapi.json`, and a running andon against the document.

mod operations;
mod requests;

use schemars::Schema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

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
    pub(super) media: &'static str,
    pub(super) answer: Shape,
    /// Statuses of problems beside those of every operation.
    pub(super) problems: &'static [u16],
}

pub(super) struct Body {
    pub(super) schema: Value,
    pub(super) required: bool,
}

/// The media type of an answer that is only a head.
pub(super) const NO_BODY: &str = "";

/// What the face in front of all operations refuses.
const ALWAYS: [u16; 7] = [400, 401, 403, 405, 408, 429, 431];

pub(super) type Shape = fn(&mut SchemaGenerator) -> Schema;

pub fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations::all() {
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
        "security": [{}, { "token": [] }, { "login": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": problems(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "Of `andon token new`" },
                "login": { "type": "apiKey", "in": "cookie", "name": super::caller::COOKIE, "description": "Of POST /session" },
            },
        },
    })
}

/// What each status of a problem means, once for all operations.
fn problems() -> Value {
    let one = |status: u16| {
        let content =
            json!({ "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } });
        let response = json!({ "description": requests::meaning(status), "content": content });
        (format!("Problem{status}"), response)
    };
    let operations = operations::all();
    let of_some = operations.iter().flat_map(|operation| operation.problems);
    ALWAYS.iter().chain(of_some).map(|status| one(*status)).collect::<Map<_, _>>().into()
}

impl Operation {
    fn described(&self, generator: &mut SchemaGenerator) -> Value {
        let mut done = json!({ "description": "Done" });
        if self.media != NO_BODY {
            done["content"][self.media] = json!({ "schema": (self.answer)(generator) });
        }
        for media in self.also() {
            done["content"][media] = json!({ "schema": operations::text(generator) });
        }
        let mut responses = Map::new();
        responses.insert(self.status.to_string(), done);
        for status in ALWAYS.iter().chain(self.problems) {
            responses.insert(
                status.to_string(),
                json!({ "$ref": format!("#/components/responses/Problem{status}") }),
            );
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

    /// Media types beside the usual one.
    fn also(&self) -> &'static [&'static str] {
        match (self.method, self.path) {
            ("get", "/decisions") => &["application/jsonl"],
            ("get", "/config") => &["application/toml"],
            _ => &[],
        }
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
        if self.method != "get" {
            all.push(json!({
                "name": "Idempotency-Key",
                "in": "header",
                "schema": { "type": "string", "pattern": "^[!-~]{1,255}$" },
                "description": "The same request with the same key is done once, and answered again, for a day",
            }));
        }
        all
    }
}
