//! `andon schema`: the configuration file as JSON Schema, for editors that complete keys and show what they mean.
//!
//! Drawn from `config/andon.toml`, which a test holds to every key that is read: so there is one place where a key is
//! explained. It says which keys there are, their defaults and examples. What a value may be, in its unit and range, is
//! said in words only: `andon check` reads files as `andon run` does, and tells.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Exit, Failure, output};

const REFERENCE: &str = include_str!("../../config/andon.toml");

pub(super) fn run() -> Result<Exit, Failure> {
    let text = serde_json::to_string_pretty(&document()).unwrap_or_default();
    output::print(&(text + "\n"))?;
    Ok(Exit::Ok)
}

/// A key, or a table of keys.
#[derive(Default)]
struct Node {
    description: String,
    default: Option<Value>,
    examples: Vec<Value>,
    keys: BTreeMap<String, Node>,
    /// `[[…]]`
    is_list: bool,
}

fn document() -> Value {
    let mut root = Node::default();
    Reader::default().read(REFERENCE, &mut root);
    let mut schema = root.object("");
    schema.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
    schema.insert("title".to_owned(), "The configuration file of Andon".into());
    schema.into()
}

impl Node {
    fn at(&mut self, path: &[String]) -> &mut Self {
        path.iter().fold(self, |node, key| node.keys.entry(key.clone()).or_default())
    }

    fn describe(&mut self, words: &str) {
        if self.description.is_empty() {
            words.clone_into(&mut self.description);
        }
    }

    /// What is not explained by itself is explained with what it stands in.
    fn schema(&self, above: &str) -> Value {
        let words = if self.description.is_empty() { above } else { &self.description };
        let mut schema = match (self.keys.is_empty(), self.is_list) {
            (true, _) => Map::new(),
            (false, false) => self.object(words),
            (false, true) => {
                let items = Value::from(self.object(words));
                Map::from_iter([("type".to_owned(), "array".into()), ("items".to_owned(), items)])
            }
        };
        schema.insert("description".to_owned(), words.into());
        if let Some(default) = &self.default {
            schema.insert("default".to_owned(), default.clone());
        }
        if !self.examples.is_empty() {
            schema.insert("examples".to_owned(), self.examples.clone().into());
        }
        schema.into()
    }

    fn object(&self, words: &str) -> Map<String, Value> {
        let properties: Map<_, _> =
            self.keys.iter().map(|(key, node)| (key.clone(), node.schema(words))).collect();
        let object = json!({ "type": "object", "additionalProperties": false, "properties": properties });
        object.as_object().cloned().unwrap_or_default()
    }
}

/// Goes through the file line by line.
#[derive(Default)]
struct Reader {
    table: Vec<String>,
    words: Vec<String>,
    /// What was said last: keys that stand together are explained together.
    said: String,
    /// Of a value that goes on over several lines.
    code: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Behind `# `: at its default.
    Default,
    Example,
}

impl Reader {
    fn read(mut self, text: &str, root: &mut Node) {
        for line in text.lines() {
            match line.strip_prefix("#: ").or_else(|| (!line.starts_with('#')).then_some(line)) {
                Some("") => {
                    self.words.clear();
                    self.said.clear();
                }
                Some(code) => self.take(code, Kind::Example, root),
                None => match line.strip_prefix("# ").filter(|rest| is_key(rest)) {
                    Some(code) => self.take(code, Kind::Default, root),
                    None => self.words.extend(line.strip_prefix("# ").map(str::to_owned)),
                },
            }
        }
    }

    fn take(&mut self, code: &str, kind: Kind, root: &mut Node) {
        if self.code.is_empty() && code.starts_with('[') {
            return self.enter(code, root);
        }
        // A line within a list may be an example itself, and may be at its end only for people.
        self.code += code.trim_start().trim_start_matches("#: ");
        self.code.push('\n');
        let Ok(table) = toml::from_str::<Map<String, Value>>(&self.code) else { return };
        self.code.clear();
        self.say();
        for (key, value) in table {
            let node = root.at(&self.table).keys.entry(key).or_default();
            node.describe(&self.said);
            match kind {
                Kind::Default => node.default = Some(value),
                Kind::Example => node.examples.push(value),
            }
        }
    }

    fn say(&mut self) {
        if !self.words.is_empty() {
            self.said = self.words.drain(..).collect::<Vec<_>>().join(" ");
        }
    }

    /// `[route.guard]` or `[[route]]`.
    fn enter(&mut self, line: &str, root: &mut Node) {
        let is_list = line.starts_with("[[");
        let path = line.trim_matches(['[', ']']).split('.').map(str::to_owned).collect();
        self.table = path;
        self.say();
        let node = root.at(&self.table);
        node.is_list |= is_list;
        node.describe(&self.said);
    }
}

fn is_key(text: &str) -> bool {
    let key = text.split_once(" = ").map(|(key, _)| key);
    key.is_some_and(|key| key.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of a file is in the schema, at any depth that it describes.
    fn hold(schema: &Value, found: &toml::Value, path: &str) {
        match found {
            toml::Value::Array(items) => {
                let items_schema = if schema["items"].is_object() { &schema["items"] } else { schema };
                items.iter().for_each(|item| hold(items_schema, item, path));
            }
            toml::Value::Table(table) if schema["properties"].is_object() => {
                for (key, value) in table {
                    let inner = &schema["properties"][key];
                    assert!(inner.is_object(), "{path}.{key}");
                    assert!(
                        inner["description"].as_str().is_some_and(|words| !words.is_empty()),
                        "{path}.{key} is not explained"
                    );
                    hold(inner, value, &format!("{path}.{key}"));
                }
            }
            _ => {}
        }
    }

    #[test]
    fn every_key_of_the_reference_is_in_it_and_explained() {
        let uncommented: String = REFERENCE
            .lines()
            .map(|line| line.strip_prefix("#: ").unwrap_or(line))
            .map(|line| line.strip_prefix("# ").filter(|rest| is_key(rest)).unwrap_or(line))
            .map(|line| format!("{line}\n"))
            .collect();
        let schema = document();
        hold(&schema, &toml::from_str(&uncommented).unwrap(), "");
        let guard = &schema["properties"]["route"]["items"]["properties"]["guard"];
        assert_eq!(guard["properties"]["false_alarm"]["default"], 0.001);
        assert_eq!(guard["additionalProperties"], false);
        let overrides = &schema["properties"]["route"]["items"]["properties"]["canary"]["items"]["properties"]
            ["overrides"];
        assert_eq!(overrides["examples"][0].as_array().map(Vec::len), Some(5));
    }
}
