//! What the head of a request may say on HTTP/2 that h2 lets through, and that could be read in two ways (RFC 9113, 8.3.1).
//! Refused before it is routed; what is left means the same on HTTP/1.

use http::header;

use super::message::Request;

/// Why a request is refused with 400.
pub(super) fn fault<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    let host = headers.get(header::HOST);
    match (request.uri().authority(), host) {
        (None, None) => return Some("an :authority or a Host is needed"),
        (Some(authority), Some(host))
            if !host.as_bytes().eq_ignore_ascii_case(authority.as_str().as_bytes()) =>
        {
            return Some("Host and :authority differ");
        }
        _ => {}
    }
    if request.uri().scheme_str().is_some_and(|scheme| scheme != "http" && scheme != "https") {
        return Some("the scheme must be http or https");
    }
    let mut lengths = headers.get_all(header::CONTENT_LENGTH).iter();
    let (length, second) = (lengths.next(), lengths.next());
    if second.is_some() || length.is_some_and(|length| !is_number(length.as_bytes())) {
        return Some("Content-Length is not one number");
    }
    None
}

fn is_number(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_and_one_length() {
        let of = |uri: &str, fields: &[(&str, &str)]| {
            let request = fields
                .iter()
                .fold(http::Request::get(uri), |request, (name, value)| request.header(*name, *value));
            fault(&request.body(()).unwrap().into())
        };
        assert_eq!(of("http://a/", &[]), None);
        assert_eq!(of("/", &[("host", "a")]), None);
        assert_eq!(of("https://a:1/", &[("host", "A:1"), ("content-length", "07")]), None);
        assert!(of("/", &[]).is_some());
        assert!(of("http://a/", &[("host", "b")]).is_some());
        assert!(of("ftp://a/", &[]).is_some());
        for length in ["", "+1", "1 ", "1,1", "x"] {
            assert!(of("http://a/", &[("content-length", length)]).is_some(), "{length:?}");
        }
        assert!(of("http://a/", &[("content-length", "1"), ("content-length", "1")]).is_some());
    }
}
