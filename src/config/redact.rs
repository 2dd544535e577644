//! The configuration as it may be shown: its text, with the values of keys that may be secret left out.
//!
//! A key counts as secret by its name, so that one that comes later is left out as well. Comments stay.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parts of the names of keys whose values are not shown. A URL may carry a password, or be one.
const SECRET: [&str; 10] = [
    "sha256",
    "secret",
    "password",
    "token",
    "authorization",
    "credential",
    "api-key",
    "api_key",
    "cookie_key",
    "url",
];
const INSTEAD: &str = "\"(left out)\"";

pub(super) fn text(text: &str) -> String {
    let (tree, _) = DeTable::parse_recoverable(text);
    let mut places = Vec::new();
    of_table(tree.get_ref(), &mut places);
    places.sort_by_key(|place| place.start);
    let (mut shown, mut from) = (String::with_capacity(text.len()), 0);
    for place in places {
        let Some(before) = text.get(from..place.start) else { continue };
        shown.push_str(before);
        shown.push_str(INSTEAD);
        from = place.end;
    }
    shown.push_str(text.get(from..).unwrap_or_default());
    shown
}

fn of_table(table: &DeTable<'_>, places: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        let key = key.get_ref().to_ascii_lowercase();
        of_value(value, SECRET.iter().any(|part| key.contains(part)), places);
    }
}

fn of_value(value: &Spanned<DeValue<'_>>, is_secret: bool, places: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => of_table(table, places),
        DeValue::Array(list) => list.iter().for_each(|one| of_value(one, is_secret, places)),
        _ if is_secret => places.push(value.span()),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_secret_is_left_out_wherever_it_stands() {
        let shown = text(
            "# kept\n[[admin.token]]\nname = \"bot\"\nsha256 = \"ab\" # kept too\n[a]\nx = { Password = '''p\nq''', n = 1 }\n\
             urls = [\"http://a\", \"http://b\"]\nport = 7\n",
        );
        assert_eq!(
            shown,
            "# kept\n[[admin.token]]\nname = \"bot\"\nsha256 = \"(left out)\" # kept too\n[a]\nx = { Password = \"(left out)\", n = 1 }\n\
             urls = [\"(left out)\", \"(left out)\"]\nport = 7\n"
        );
    }

    #[test]
    fn a_text_that_is_no_toml_does_not_panic() {
        for text in ["", "[", "a = ", "\u{0}", "url = \"x"] {
            let _ = super::text(text);
        }
    }
}
