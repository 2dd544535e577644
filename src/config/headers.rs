//! `[route.request_headers]` and `[route.response_headers]`: what a route sets, adds and removes.
//!
//! A value is a [`Template`], read once: most have no variable and are a finished header value. What frames a message
//! or belongs to one hop is not for the file to change: two readings of one message would be a hole.

use http::{HeaderName, HeaderValue, header};
use toml::de::DeValue;

use super::reader::{Section, Value, Wrong, clipped};
use super::values;

/// Of each list.
const CHANGES_MAX: usize = 64;

/// In this order: removed, set, added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderChanges {
    pub remove: Vec<HeaderName>,
    /// In place of all that is there.
    pub set: Vec<(HeaderName, Template)>,
    /// Beside what is there.
    pub add: Vec<(HeaderName, Template)>,
}

impl HeaderChanges {
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Template {
    Fixed(HeaderValue),
    Pieces(Box<[Piece]>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<V = Variable> {
    Text(Box<str>),
    Variable(V),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variable {
    /// `none` where the request reached none.
    Variant,
    Route,
    /// Its address, behind trusted proxies.
    Client,
    RequestId,
    /// As the client sent it.
    Host,
    /// `http` or `https`.
    Scheme,
}

impl Variable {
    const NAMED: [(&str, Self); 6] = [
        ("variant", Self::Variant),
        ("route", Self::Route),
        ("client", Self::Client),
        ("request_id", Self::RequestId),
        ("host", Self::Host),
        ("scheme", Self::Scheme),
    ];
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

/// Whose fields they are is decided at each hop, by what speaks there.
const FRAMING: [&str; 12] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

pub(super) fn read(mut section: Section<'_>, side: Side) -> HeaderChanges {
    let set = templates(&mut section, "set", side);
    let add = templates(&mut section, "add", side);
    let accepted = "a list of names, such as [\"x-debug\"]";
    let set_names: Vec<HeaderName> = set.iter().map(|(name, _)| name.clone()).collect();
    let remove = section.list("remove", 0..=CHANGES_MAX, accepted, |value| {
        let name = name(value, side)?;
        if name == header::HOST {
            return Err(value.wrong("every request needs it", "set it instead, or leave it as it is"));
        }
        if set_names.contains(&name) {
            return Err(value.wrong("also set", "take it out: what is set replaces all that is there"));
        }
        Ok(name)
    });
    section.finish();
    HeaderChanges { remove: remove.unwrap_or_default(), set, add }
}

/// A table whose keys are names of headers.
fn templates(section: &mut Section<'_>, key: &'static str, side: Side) -> Vec<(HeaderName, Template)> {
    let Some((_, whole)) = section.chosen(&[key]).pop() else { return Vec::new() };
    let table = section.read(key, &whole, |value| match value.item {
        DeValue::Table(table) if table.len() <= CHANGES_MAX => Ok(table),
        DeValue::Table(_) => {
            Err(value.wrong("too many", format!("at most {CHANGES_MAX} headers are accepted")))
        }
        _ => {
            Err(value.wrong_kind("write a table of names and values, such as { x-variant = \"{variant}\" }"))
        }
    });
    let mut found: Vec<(HeaderName, Template)> = Vec::new();
    let mut items: Vec<_> = table.into_iter().flatten().collect();
    items.sort_by_key(|(text, _)| text.span().start); // as the file has them
    for (text, item) in items {
        let place = format!("{key}.{}", clipped(text.get_ref()));
        let written = text.get_ref();
        let value = Value { span: item.span(), item: item.get_ref(), report: section.report() };
        let name = checked_name(written, side).and_then(|name| {
            let again = found.iter().any(|(known, _)| *known == name);
            let only_set = key == "add" && name == header::HOST;
            match (again, only_set) {
                (true, _) => Err(("the same name again", "write it once: case does not matter")),
                (_, true) => Err(("a request has one", "set it instead")),
                _ => Ok(name),
            }
        });
        match name {
            Err((label, help)) => {
                let says = "cannot be changed so".to_owned();
                section.wrong(&place, text.span(), Wrong { says, label: label.into(), help: help.into() });
            }
            Ok(name) => {
                let template = section.read(&place, &value, |value| template(value, &name));
                found.extend(template.map(|template| (name, template)));
            }
        }
    }
    found
}

/// A header that a route may change.
pub(super) fn name(value: &Value<'_>, side: Side) -> Result<HeaderName, Wrong> {
    let help = "write the name of a header, such as \"x-variant\"";
    let Some(text) = value.str() else { return Err(value.wrong_kind(help)) };
    checked_name(text, side).map_err(|(label, help)| value.wrong(label, help))
}

fn checked_name(text: &str, side: Side) -> Result<HeaderName, (&'static str, &'static str)> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return Err(("not a header name", "write the name of a header, such as \"x-variant\""));
    };
    if FRAMING.contains(&name.as_str()) {
        return Err((
            "frames the message or belongs to one hop",
            "take it out: this header is Andon's to write",
        ));
    }
    if side == Side::Response && name == header::HOST {
        return Err(("only requests have it", "take it out"));
    }
    Ok(name)
}

fn template(value: &Value<'_>, name: &HeaderName) -> Result<Template, Wrong> {
    let text = values::text(value)?;
    let pieces = pieces(&text, &Variable::NAMED).map_err(|label| value.wrong(label, variables_help()))?;
    if text.trim() != &*text || !text.is_ascii() {
        return Err(value.wrong("not a header value", "write ASCII text without a space at either end"));
    }
    if *name == header::HOST && !pieces.iter().all(may_stand_in_host) {
        let help =
            "write a host with an optional port; of variables {variant}, {route} and {host} may stand in it";
        return Err(value.wrong("not a host", help));
    }
    let fixed = match &*pieces {
        [Piece::Text(text)] => HeaderValue::from_str(text).ok(),
        _ => None,
    };
    Ok(fixed.map_or(Template::Pieces(pieces), Template::Fixed))
}

fn may_stand_in_host(piece: &Piece) -> bool {
    match piece {
        Piece::Text(text) => {
            text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte))
        }
        Piece::Variable(variable) => matches!(variable, Variable::Variant | Variable::Route | Variable::Host),
    }
}

fn variables_help() -> String {
    let names = Variable::NAMED.map(|(name, _)| format!("{{{name}}}"));
    format!("variables are {}; write {{{{ for a brace", names.join(", "))
}

/// What is wrong otherwise.
pub(super) fn pieces<V: Copy>(text: &str, named: &[(&str, V)]) -> Result<Box<[Piece<V>]>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('{') {
        plain.push_str(before);
        if let Some(behind) = behind.strip_prefix('{') {
            plain.push('{');
            rest = behind;
            continue;
        }
        let Some((name, behind)) = behind.split_once('}') else {
            return Err("a brace that nothing closes".into());
        };
        let Some((_, variable)) = named.iter().find(|(known, _)| *known == name) else {
            return Err(format!("there is no variable {{{}}}", clipped(name)));
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain).into()));
        }
        pieces.push(Piece::Variable(*variable));
        rest = behind;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain.into()));
    }
    Ok(pieces.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_falls_into_pieces_at_its_variables() {
        let text = |text: &str| Piece::Text(text.into());
        for (written, expected) in [
            ("plain", vec![text("plain")]),
            ("{{}", vec![text("{}")]),
            ("{{{variant}}", vec![text("{"), Piece::Variable(Variable::Variant), text("}")]),
            ("{client}{host}", vec![Piece::Variable(Variable::Client), Piece::Variable(Variable::Host)]),
            ("a{scheme}b", vec![text("a"), Piece::Variable(Variable::Scheme), text("b")]),
        ] {
            assert_eq!(pieces(written, &Variable::NAMED).as_deref(), Ok(expected.as_slice()), "{written}");
        }
        for wrong in ["{", "a{variant", "{}", "{Variant}", "{{{", "{ variant }"] {
            assert!(pieces(wrong, &Variable::NAMED).is_err(), "{wrong}");
        }
    }
}
