//! What requests may hold, and what problems mean: JSON Schema by hand, since what comes in is read value by value, to say
//! exactly what is wrong with it.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

fn line(description: &str, chars_max: u32) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": chars_max, "description": description })
}

fn why() -> Value {
    line("The reason, in one line", 1_000)
}

fn by() -> Value {
    line("Who asks, in one line", 128)
}

fn share() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{1,3}(\\.[0-9]{1,4})?%$", "examples": ["5%", "0.25%"] })
}

fn canary() -> Value {
    json!({ "type": ["string", "null"], "description": "The name of a canary; may be left out where the route has one" })
}

fn object(required: &[&str], properties: Value) -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": required, "properties": properties })
}

pub(super) fn signed() -> Value {
    object(&["why"], json!({ "why": why(), "by": by() }))
}

pub(super) fn login() -> Value {
    object(&["token"], json!({ "token": { "type": "string", "description": "Of `andon token new`" } }))
}

pub(super) fn weight() -> Value {
    object(&["weight", "why"], json!({ "weight": share(), "canary": canary(), "why": why(), "by": by() }))
}

pub(super) fn drill() -> Value {
    let properties =
        json!({ "share": share(), "for": duration(), "canary": canary(), "why": why(), "by": by() });
    object(&["share", "for", "why"], properties)
}

pub(super) fn release() -> Value {
    let upstream = json!({ "type": ["string", "null"], "description": "The upstream that plays the canary from now on" });
    let plan = line("The name of a plan of the file", 64);
    let properties = json!({
        "plan": plan,
        "upstream": upstream,
        "endpoints": endpoints(),
        "canary": canary(),
        "why": why(),
        "by": by(),
    });
    object(&["plan", "why"], properties)
}

pub(super) fn what_if() -> Value {
    let guard = json!({ "type": "string", "description": "TOML with keys of [route.guard]" });
    let route = json!({ "type": ["string", "null"] });
    let since =
        json!({ "type": ["integer", "null"], "description": "Milliseconds since 1970-01-01T00:00:00Z" });
    let file = json!({ "type": ["string", "null"], "description": "What the text is called in messages" });
    object(&["guard"], json!({ "guard": guard, "route": route, "since_ms": since, "file": file }))
}

fn duration() -> Value {
    json!({ "type": "string", "pattern": "^[0-9]{1,9}(ms|s|m|h)$", "examples": ["30s", "10m"] })
}

pub(super) fn forecast() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("weight", share(), "Instead of the canary's aim"),
        ("worse", share(), "The share of failures to look at; without it a few"),
        ("within", duration(), "The time to look ahead: 10s to 24h"),
        ("canary", json!({ "type": "string" }), "Which canary, where the route has several"),
        ("only", json!({ "const": "blind_spot" }), "Leave all else out"),
    ]
}

pub(super) fn decisions() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("route", json!({ "type": "string" }), "Only of this route"),
        ("action", json!({ "type": "string" }), "Only of this kind"),
        (
            "since",
            json!({ "type": "string" }),
            "No older: RFC 3339, or milliseconds since 1970-01-01T00:00:00Z",
        ),
        ("until", json!({ "type": "string" }), "Older than this"),
        (
            "format",
            json!({ "enum": ["json", "jsonl"] }),
            "Instead of the Accept header; as lines it is all, oldest first",
        ),
        (
            "limit",
            json!({ "type": "integer", "minimum": 1, "maximum": 1000, "default": 100 }),
            "At most so many",
        ),
        ("before", json!({ "type": "string" }), "Older than this decision: the next page"),
    ]
}

/// For clients that send no body with DELETE.
pub(super) fn signature() -> Vec<(&'static str, Value, &'static str)> {
    vec![
        ("why", json!({ "type": "string" }), "The reason, where there is no body"),
        ("by", json!({ "type": "string" }), "Who asks, where there is no body"),
    ]
}

pub(super) fn upstream() -> Value {
    object(&["endpoints", "why"], json!({ "endpoints": endpoints(), "why": why(), "by": by() }))
}

fn endpoints() -> Value {
    json!({
        "type": "array",
        "minItems": 1,
        "maxItems": 4096,
        "items": { "type": "string", "examples": ["127.0.0.1:9003", "dns://shop-v2.internal:9003"] },
    })
}

/// One event of the stream, as `EventSource` shows it.
pub(super) fn event(_: &mut SchemaGenerator) -> Schema {
    let data = json!({ "type": "string", "description": "JSON: a route, a decision, samples, or where the listener is" });
    let kind = json!({ "enum": ["hello", "reset", "decision", "state", "sample"] });
    let id = json!({ "type": "string", "description": "For Last-Event-ID" });
    let properties = json!({ "event": kind, "id": id, "data": data, "retry": { "type": "integer" } });
    json_schema!({ "type": "object", "required": ["event", "data"], "properties": properties })
}

pub(super) fn path_part(name: &str) -> Value {
    match name {
        "verb" => json!({ "type": "string", "enum": ["hold", "resume", "approve", "promote", "abort"] }),
        _ => json!({ "type": "string", "minLength": 1 }),
    }
}

/// RFC 9457.
pub(super) fn problem() -> Value {
    json!({
        "type": "object",
        "description": "RFC 9457; some types have further members",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string", "description": "A sentence for a person: what was found, what is accepted" },
            "instance": { "type": "string" },
        },
    })
}

pub(super) fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request cannot be read, or the configuration has problems",
        401 => "No token, or none that is known",
        403 => "Not from this origin or host, or not with this role",
        404 => "No such route, release, decision or path",
        405 => "Not with this method",
        408 => "The body did not come in time",
        409 => "Not in this state: a pulled cord, another release, too few endpoints",
        412 => "The route has changed since If-Match",
        413 => "The body is too large",
        415 => "The body is not application/json",
        422 => "A value cannot be accepted",
        429 => "Too many wrong tokens from this address",
        431 => "The head is too large",
        _ => "The store does not answer, or Andon is shutting down",
    }
}
