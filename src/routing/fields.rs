//! Reads one cookie or one query parameter out of a request, byte by byte and without allocating.
//!
//! Where a name stands twice, the first one counts. Nothing is refused: what cannot be read is not there.

use http::{HeaderMap, header};

/// The value of the first cookie of that name, without its quotes. Names are compared exactly.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a [u8]> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b';'))
        .find_map(|pair| value_of(pair, name.as_bytes()))
}

fn value_of<'a>(pair: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = pair.trim_ascii_start().strip_prefix(name)?.strip_prefix(b"=")?.trim_ascii_end();
    Some(value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(value))
}

/// Does the first parameter of that name have that value (`None`: any)? Both sides are compared decoded.
pub(super) fn query_has(query: &str, name: &str, value: Option<&str>) -> bool {
    query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .find(|(found, _)| decoded(found).eq(name.bytes()))
        .is_some_and(|(_, found)| value.is_none_or(|wanted| decoded(found).eq(wanted.bytes())))
}

/// `+` is a space, `%41` is `A`; a broken escape stands for itself.
fn decoded(text: &str) -> impl Iterator<Item = u8> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (byte, after) = match rest {
            [b'%', high, low, after @ ..] => match (hex(*high), hex(*low)) {
                (Some(high), Some(low)) => (high << 4 | low, after),
                _ => (b'%', &rest[1..]),
            },
            [b'+', after @ ..] => (b' ', after),
            [byte, after @ ..] => (*byte, after),
            [] => return None,
        };
        rest = after;
        Some(byte)
    })
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cookies(lines: &[&'static str]) -> HeaderMap {
        lines.iter().map(|line| (header::COOKIE, line.parse().unwrap())).collect()
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name_only() {
        let headers = cookies(&["a=1; uid=x7;uidx=no", "xuid=no; late=\"q v\"; empty=; uid=second; odd"]);
        for (name, value) in [
            ("a", Some("1")),
            ("uid", Some("x7")),
            ("uidx", Some("no")),
            ("late", Some("q v")),
            ("empty", Some("")),
            ("id", None),
            ("UID", None),
            ("odd", None),
        ] {
            assert_eq!(cookie(&headers, name), value.map(str::as_bytes), "{name}");
        }
        assert_eq!(cookie(&HeaderMap::new(), "uid"), None);
    }

    #[test]
    fn odd_cookie_lines_are_read_as_far_as_they_can_be() {
        for (line, value) in [
            ("uid=\"", Some("\"")),
            ("uid=\"\"", Some("")),
            ("uid=a=b", Some("a=b")),
            (";;; \tuid=1 ;", Some("1")),
            ("uid", None),
            ("uid =1", None),
            ("=1", None),
        ] {
            assert_eq!(cookie(&cookies(&[line]), "uid"), value.map(str::as_bytes), "{line}");
        }
    }

    #[test]
    fn query_parameters_are_compared_decoded() {
        for (query, value, expected) in [
            ("v=1", Some("1"), true),
            ("a=2&v=1&b", Some("1"), true),
            ("%76=%31", Some("1"), true),
            ("v=a+b%2fc", Some("a b/c"), true),
            ("v=100%", Some("100%"), true),
            ("v=%zz%4", Some("%zz%4"), true),
            ("v", None, true),
            ("v", Some(""), true),
            ("v=", Some("1"), false),
            ("v=2&v=1", Some("1"), false),
            ("vv=1", Some("1"), false),
            ("V=1", Some("1"), false),
            ("v=A", Some("a"), false),
            ("", None, false),
        ] {
            assert_eq!(query_has(query, "v", value), expected, "{query}");
        }
    }
}
