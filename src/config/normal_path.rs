//! The normal form of a path (RFC 3986, 6.2.2), in which paths are configured, routed and forwarded.
//!
//! Two paths that an upstream may take for the same must not match two routes: a closed `/admin` has to catch
//! `/%61dmin`, `//admin` and `/x/../admin`. So there is one form. Unreserved letters stand for themselves, all that
//! may not stand in a path is escaped, escapes are in upper case, there are no dot segments and no empty ones. What
//! has no form that everybody reads alike is refused instead: an escaped slash or backslash, NUL and other control
//! bytes, a broken escape, a dot segment with a parameter (`/..;/`, which some servers take for `/../`).
//!
//! It lives here because the configuration is held to it too, and nothing below may import upwards. The ordinary
//! path is normal already: then this is one look at each byte, and nothing is copied. The query is nobody's business
//! here. Reserved letters that are escaped stay so: `%3B` is not `;` (RFC 3986, 2.2).

use std::borrow::Cow;

/// Why a path has no normal form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    #[error("the path must begin with /")]
    Relative,
    #[error("the path has a % that is not followed by two hex digits")]
    Escape,
    #[error("the path has an escaped slash")]
    Slash,
    #[error("the path has a backslash")]
    Backslash,
    #[error("the path has a control byte")]
    Control,
    #[error("the path has a dot segment with a parameter")]
    DotParameter,
    /// Only where escapes made it so.
    #[error("the path is too long")]
    Long,
}

/// The normal form: borrowed where `path` is in it already. Begins with `/` and never climbs above it.
pub fn normal_path(path: &str) -> Result<Cow<'_, str>, PathFault> {
    let bytes = path.as_bytes();
    if bytes.first() != Some(&b'/') {
        return Err(PathFault::Relative);
    }
    if is_plain(bytes) {
        return Ok(Cow::Borrowed(path));
    }
    let decoded = escapes_in_order(bytes)?;
    let normal = without_dots(&decoded)?;
    Ok(if normal == path { Cow::Borrowed(path) } else { Cow::Owned(normal) })
}

/// Nothing in it needs a second look: only letters that stand for themselves, and neither a dot nor a slash behind
/// a slash. What is not plain may be normal all the same.
fn is_plain(path: &[u8]) -> bool {
    let mut before = 0;
    path.iter().all(|byte| {
        let border = before == b'/' && matches!(byte, b'.' | b'/');
        before = *byte;
        !border && may_stand(*byte)
    })
}

/// `pchar` but for the escapes, and the slash between segments (RFC 3986, 3.3).
fn may_stand(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'/' | b'!' | b'$' | b'&'..=b',' | b':' | b';' | b'=' | b'@')
}

fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Escapes what must be, and nothing else.
fn escapes_in_order(path: &[u8]) -> Result<String, PathFault> {
    let mut normal = String::with_capacity(path.len() + 16);
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        rest = after;
        let mut meant = *byte;
        if *byte == b'%' {
            let [high, low, after @ ..] = after else { return Err(PathFault::Escape) };
            let (Some(high), Some(low)) = (hex(*high), hex(*low)) else { return Err(PathFault::Escape) };
            meant = high << 4 | low;
            rest = after;
        }
        match meant {
            b'/' if *byte == b'%' => return Err(PathFault::Slash),
            b'\\' => return Err(PathFault::Backslash),
            0..0x20 | 0x7f => return Err(PathFault::Control),
            _ if is_unreserved(meant) || (meant == *byte && may_stand(meant)) => {
                normal.push(char::from(meant))
            }
            _ => push_escaped(&mut normal, meant),
        }
    }
    Ok(normal)
}

fn push_escaped(path: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    path.push('%');
    path.push(char::from(DIGITS[usize::from(byte >> 4)]));
    path.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Without `.`, `..` and empty segments. Slashes are merged first, so that `/a//..` is the root, as it is for a file
/// system. A path that ends in a dot segment ends in a slash.
fn without_dots(path: &str) -> Result<String, PathFault> {
    let mut normal = String::with_capacity(path.len());
    let mut ends_open = false;
    for segment in path.split('/') {
        ends_open = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => normal.truncate(normal.rfind('/').unwrap_or(0)),
            _ if segment.starts_with(".;") || segment.starts_with("..;") => {
                return Err(PathFault::DotParameter);
            }
            _ => {
                normal.push('/');
                normal.push_str(segment);
            }
        }
    }
    if ends_open || normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_that_mean_the_same_have_one_form() {
        for (path, normal) in [
            ("/", "/"),
            ("/a/b.c/d-e_f~g", "/a/b.c/d-e_f~g"),
            ("/a/!$&'()*+,;=:@", "/a/!$&'()*+,;=:@"),
            ("/%61dm%69n", "/admin"),
            ("//admin", "/admin"),
            ("/./admin", "/admin"),
            ("/x/../admin", "/admin"),
            ("/%2e%2E/admin", "/admin"),
            ("/../../admin", "/admin"),
            ("/a//../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/.", "/a/"),
            ("/a/..", "/"),
            ("/a//", "/a/"),
            ("/.hidden/...", "/.hidden/..."),
            ("/a%3bb", "/a%3Bb"),
            ("/a b", "/a%20b"),
            ("/{a}|\"[b]^`<c>", "/%7Ba%7D%7C%22%5Bb%5D%5E%60%3Cc%3E"),
            ("/\u{e4}", "/%C3%A4"),
            ("/%c3%a4", "/%C3%A4"),
            ("/%252f", "/%252f"),
        ] {
            assert_eq!(normal_path(path).as_deref(), Ok(normal), "{path}");
        }
    }

    #[test]
    fn what_servers_read_in_two_ways_is_refused() {
        for (path, fault) in [
            ("", PathFault::Relative),
            ("a", PathFault::Relative),
            ("*", PathFault::Relative),
            ("/a%2fb", PathFault::Slash),
            ("/a%2Fb", PathFault::Slash),
            ("/a%5cb", PathFault::Backslash),
            ("/a\\b", PathFault::Backslash),
            ("/a%00", PathFault::Control),
            ("/a%0d%0a", PathFault::Control),
            ("/a%7f", PathFault::Control),
            ("/a\tb", PathFault::Control),
            ("/a%", PathFault::Escape),
            ("/a%4", PathFault::Escape),
            ("/a%zz", PathFault::Escape),
            ("/a%+1", PathFault::Escape),
            ("/x/..;/admin", PathFault::DotParameter),
            ("/x/.;a=b/admin", PathFault::DotParameter),
            ("/x/%2e%2e;/admin", PathFault::DotParameter),
        ] {
            assert_eq!(normal_path(path), Err(fault), "{path}");
        }
    }

    #[test]
    fn a_path_in_normal_form_is_not_copied() {
        for path in ["/", "/a/b", "/a/.b", "/a%20b"] {
            assert!(matches!(normal_path(path), Ok(Cow::Borrowed(_))), "{path}");
        }
    }

    /// The same by the letter of RFC 3986, slow and plain.
    fn reference(path: &str) -> Option<String> {
        let escape = |byte: u8| format!("%{byte:02X}");
        let mut text = String::new();
        let mut rest = path.as_bytes();
        while let Some((first, after)) = rest.split_first() {
            let escaped = *first == b'%';
            let byte = if escaped {
                let digits = std::str::from_utf8(after.get(..2)?).ok()?;
                if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return None;
                }
                u8::from_str_radix(digits, 16).ok()?
            } else {
                *first
            };
            rest = if escaped { &after[2..] } else { after };
            let letter = char::from(byte);
            if byte.is_ascii_control() || letter == '\\' || (escaped && letter == '/') {
                return None;
            }
            let kept = letter.is_ascii_alphanumeric() || "-._~".contains(letter);
            let kept = kept || (!escaped && "!$&'()*+,;=:@/".contains(letter));
            text += &if kept { letter.to_string() } else { escape(byte) };
        }
        let mut segments: Vec<&str> = Vec::new();
        let all: Vec<&str> = text.split('/').collect();
        for segment in all.iter().filter(|segment| !segment.is_empty()) {
            match *segment {
                "." => {}
                ".." => drop(segments.pop()),
                name if name.starts_with(".;") || name.starts_with("..;") => return None,
                name => segments.push(name),
            }
        }
        let last = all.last().is_some_and(|last| ["", ".", ".."].contains(last));
        let end = if last && !segments.is_empty() { "/" } else { "" };
        Some(format!("/{}{end}", segments.join("/")))
    }

    proptest! {
        #[test]
        fn the_normal_form_is_that_of_the_reference(path in "/([a.%/;\\\\2eE5f\u{e4}{]|%2e|%61|/\\.\\.){0,24}") {
            prop_assert_eq!(normal_path(&path).ok().map(Cow::into_owned), reference(&path));
        }

        #[test]
        fn any_text_has_the_normal_form_of_the_reference(rest in any::<String>()) {
            let path = format!("/{rest}");
            prop_assert_eq!(normal_path(&path).ok().map(Cow::into_owned), reference(&path));
        }

        #[test]
        fn the_normal_form_is_its_own_and_stays_below_the_root(path in "/([a.%/;~ ]|%2e|%41|/\\.\\.){0,24}") {
            if let Ok(normal) = normal_path(&path) {
                let again = normal_path(&normal);
                prop_assert_eq!(again.as_deref(), Ok(&*normal));
                prop_assert!(normal.starts_with('/') && !normal.contains("//"));
                prop_assert!(!normal.split('/').any(|segment| segment == ".." || segment == "."));
            }
        }
    }
}
