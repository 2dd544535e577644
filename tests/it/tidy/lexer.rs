//! Rust text cut into words, strings and signs, so that no rule trips over a comment or a string.
//!
//! Only as exact as the rules need: numbers are words, `::` is one sign, all other signs are single.

/// A piece of code. Comments and doc comments are no pieces.
#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Clone, Copy)]
pub(super) enum Kind {
    Word,
    /// `text` is what stands between the quotes, escapes untouched.
    String,
    Sign,
}

pub(super) fn tokens_of(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut at, mut line) = (0, 1);
    while at < text.len() {
        let (token, length) = next(&text[at..]);
        if let Some((kind, text)) = token {
            tokens.push(Token { text, line, kind });
        }
        line += text[at..at + length].matches('\n').count();
        at += length;
    }
    tokens
}

/// What the text begins with, unless that is space or a comment, and its length in bytes.
fn next(rest: &str) -> (Option<(Kind, &str)>, usize) {
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (None, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (None, block_comment(rest));
    }
    if let Some((content, length)) = raw_string(rest).or_else(|| string(rest)) {
        return (Some((Kind::String, content)), length);
    }
    if first == '\'' {
        return (None, quote(rest));
    }
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    if word > 0 {
        return (Some((Kind::Word, &rest[..word])), word);
    }
    let sign = if rest.starts_with("::") { 2 } else { first.len_utf8() };
    (Some((Kind::Sign, &rest[..sign])), sign)
}

/// Block comments nest.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = if rest[at..].starts_with("/*") {
            depth += 1;
            2
        } else if rest[at..].starts_with("*/") {
            depth -= 1;
            2
        } else {
            rest[at..].chars().next().map_or(1, char::len_utf8)
        };
        at += step;
        if depth == 0 {
            break;
        }
    }
    at
}

/// `r"…"`, `r#"…"#`, `br"…"`. Not a raw name such as `r#type`.
fn raw_string(rest: &str) -> Option<(&str, usize)> {
    let after_r = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after_r.bytes().take_while(|byte| *byte == b'#').count();
    let content = after_r[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content.find(&end).unwrap_or(content.len());
    let opening = rest.len() - content.len();
    Some((&content[..length], (opening + length + end.len()).min(rest.len())))
}

/// `"…"` and `b"…"`, with escapes.
fn string(rest: &str) -> Option<(&str, usize)> {
    let content = rest.strip_prefix('"').or_else(|| rest.strip_prefix("b\""))?;
    let opening = rest.len() - content.len();
    let mut escaped = false;
    for (at, c) in content.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some((&content[..at], opening + at + 1)),
            _ => {}
        }
    }
    Some((content, rest.len()))
}

/// A character (`'x'`, `'\''`, `'\u{1F600}'`), or the quote of a lifetime or label alone.
fn quote(rest: &str) -> usize {
    let content = &rest[1..];
    if let Some(escape) = content.strip_prefix('\\') {
        let skipped = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skipped..].find('\'').map_or(rest.len(), |end| 2 + skipped + end + 1);
    }
    match content.chars().next() {
        Some(c) if content[c.len_utf8()..].starts_with('\'') => 1 + c.len_utf8() + 1,
        _ => 1,
    }
}

fn words(text: &str) -> Vec<&str> {
    tokens_of(text).iter().map(|token| token.text).collect()
}

#[test]
fn comments_are_no_tokens() {
    assert_eq!(words("a // b\n/* c /* d */ e */ f /// g"), ["a", "f"]);
}

#[test]
fn strings_are_one_token_whatever_they_hold() {
    assert_eq!(
        words(r##"x("a // b", r#"c "d" e"#, b"f\"g") y"##),
        ["x", "(", "a // b", ",", "c \"d\" e", ",", "f\\\"g", ")", "y"]
    );
    assert_eq!(tokens_of("\"a\"")[0].kind, Kind::String);
}

#[test]
fn characters_and_lifetimes_do_not_open_strings() {
    assert_eq!(words(r#"'"' a '\'' b '\\' &'s str 'é' c"#), ["a", "b", "&", "s", "str", "c"]);
}

#[test]
fn paths_keep_their_double_colon_and_lines_are_counted() {
    let tokens = tokens_of("use a::b;\n\"x\ny\"\nc");
    assert_eq!(
        tokens.iter().map(|token| token.text).collect::<Vec<_>>(),
        ["use", "a", "::", "b", ";", "x\ny", "c"]
    );
    assert_eq!(tokens.last().map(|token| token.line), Some(4));
}
