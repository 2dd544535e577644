//! Kubernetes manifests as they stand in YAML: documents, one after another or in a List, and how to ask them.

use std::fmt;

use serde::Deserialize;
use serde_json::{Map, Value};

/// Documents of one import.
const MANIFESTS_MAX: usize = 10_000;

#[derive(Debug, Default)]
pub(super) struct Manifests {
    list: Vec<Manifest>,
}

#[derive(Clone, Debug)]
pub(super) struct Manifest {
    pub(super) kind: String,
    group: String,
    pub(super) namespace: String,
    pub(super) name: String,
    body: Value,
}

/// Only what every manifest has; the rest stays as it is.
#[derive(Deserialize)]
struct Head {
    #[serde(default, rename = "apiVersion")]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    metadata: Meta,
    #[serde(default)]
    items: Vec<Value>,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    name: String,
    #[serde(default)]
    namespace: String,
}

impl Manifests {
    /// All documents of a text.
    pub(super) fn read(&mut self, file: &str, text: &str) -> Result<(), String> {
        let documents: Vec<Value> = serde_saphyr::from_multiple(text)
            .map_err(|error| format!("{file} is not YAML that can be read: {error}"))?;
        for (at, document) in documents.into_iter().enumerate().filter(|(_, document)| !document.is_null()) {
            self.add(document).map_err(|problem| format!("{file}: document {}: {problem}", at + 1))?;
        }
        Ok(())
    }

    fn add(&mut self, body: Value) -> Result<(), String> {
        let head =
            Head::deserialize(&body).map_err(|error| format!("is not a manifest of Kubernetes: {error}"))?;
        if head.kind == "List" {
            return head.items.into_iter().try_for_each(|item| self.add(item));
        }
        if head.kind.is_empty() || head.metadata.name.is_empty() {
            return Err("is not a manifest of Kubernetes: it has no kind, or no metadata.name".to_owned());
        }
        if self.list.len() >= MANIFESTS_MAX {
            return Err(format!("there are more than {MANIFESTS_MAX} manifests"));
        }
        let namespace = match head.metadata.namespace.as_str() {
            "" => "default".to_owned(),
            namespace => namespace.to_owned(),
        };
        let group = head.api_version.split('/').next().unwrap_or_default().to_owned();
        self.list.push(Manifest { kind: head.kind, group, namespace, name: head.metadata.name, body });
        Ok(())
    }

    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Manifest> {
        self.list.iter().filter(move |manifest| manifest.is(kind))
    }

    pub(super) fn find(&self, kind: &str, namespace: &str, name: &str) -> Option<&Manifest> {
        self.of_kind(kind).find(|manifest| manifest.namespace == namespace && manifest.name == name)
    }

    /// Those that nobody here reads.
    pub(super) fn others(&self) -> impl Iterator<Item = &Manifest> {
        let known =
            |manifest: &Manifest| ["Ingress", "Canary", "Service"].iter().any(|kind| manifest.is(kind));
        self.list.iter().filter(move |manifest| !known(manifest))
    }

    /// The number of a Service's port. `None`: it has a name, and the Service is not among the files.
    pub(super) fn port(&self, namespace: &str, service: &str, port: &Value) -> Option<u16> {
        if let Some(number) = number(port) {
            return Some(number);
        }
        let service = self.find("Service", namespace, service)?;
        let named = |found: &&Value| found["name"].as_str() == port.as_str();
        service.list("/spec/ports").find(named).and_then(|found| number(&found["port"]))
    }
}

fn number(port: &Value) -> Option<u16> {
    let number = port.as_u64().or_else(|| port.as_str()?.parse().ok())?;
    u16::try_from(number).ok().filter(|number| *number > 0)
}

impl Manifest {
    fn is(&self, kind: &str) -> bool {
        let groups: &[&str] = match kind {
            "Ingress" => &["networking.k8s.io", "extensions"],
            "Canary" => &["flagger.app"],
            _ => &["v1"],
        };
        self.kind == kind && groups.contains(&self.group.as_str())
    }

    /// By its JSON pointer; null if it is not there.
    pub(super) fn at(&self, pointer: &str) -> &Value {
        self.body.pointer(pointer).unwrap_or(&Value::Null)
    }

    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.at(pointer).as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn list(&self, pointer: &str) -> impl Iterator<Item = &Value> {
        self.at(pointer).as_array().into_iter().flatten()
    }

    pub(super) fn map(&self, pointer: &str) -> impl Iterator<Item = (&String, &Value)> {
        self.at(pointer).as_object().into_iter().flat_map(Map::iter)
    }
}

/// `Ingress shop/web`
impl fmt::Display for Manifest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

/// In one line, for a note.
pub(super) fn shown(value: &Value) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"));
    match text.char_indices().nth(80) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
