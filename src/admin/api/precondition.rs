//! `If-Match`: act only on the state that the caller has seen.
//!
//! Something that is not a list of ETags is refused, not ignored: who sends it wants to be protected.

use axum::http::{HeaderMap, header};

use super::super::problem::{Problem, excerpt};

const ACCEPTED: &str =
    "the ETag of the route with its quotes, such as \"17\", several of them with commas between, or *";

#[derive(Debug, PartialEq, Eq)]
pub(super) enum IfMatch {
    /// No condition, or `*`: the route need only exist, and an unknown one is refused anyhow.
    Any,
    /// Revisions that would do. Empty: only ETags that no route of ours can have.
    Revisions(Vec<u64>),
}

impl IfMatch {
    pub(super) fn read(headers: &HeaderMap) -> Result<Self, Problem> {
        let mut revisions = Vec::new();
        let mut any = true;
        for value in headers.get_all(header::IF_MATCH) {
            let text = String::from_utf8_lossy(value.as_bytes());
            if text.trim() == "*" {
                return Ok(Self::Any);
            }
            any = false;
            let list = etags(&text).ok_or_else(|| {
                Problem::bad_request(format!("If-Match is {:?}; write {ACCEPTED}", excerpt(&text)))
            })?;
            revisions.extend(list);
        }
        Ok(if any { Self::Any } else { Self::Revisions(revisions) })
    }
}

/// The revisions in a comma-separated list of ETags. Weak ones never match (RFC 9110, 13.1.1).
fn etags(text: &str) -> Option<Vec<u64>> {
    let mut revisions = Vec::new();
    let mut rest = text.trim();
    loop {
        let weak = rest.strip_prefix("W/");
        let opened = weak.unwrap_or(rest).strip_prefix('"')?;
        let (tag, after) = opened.split_once('"')?;
        if weak.is_none() {
            revisions.extend(revision(tag));
        }
        match after.trim_start() {
            "" => return Some(revisions),
            more => rest = more.strip_prefix(',')?.trim_start(),
        }
    }
}

/// As it is printed: `"017"` is not the ETag of revision 17.
fn revision(tag: &str) -> Option<u64> {
    tag.parse().ok().filter(|revision: &u64| revision.to_string() == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_etags_are_read_or_refused_whole() {
        for (text, revisions) in [
            ("\"5\"", Some(vec![5])),
            (" \"5\" ,\"6\"", Some(vec![5, 6])),
            ("W/\"5\", \"6\"", Some(vec![6])),
            ("\"a,b\"", Some(vec![])),
            ("\"\"", Some(vec![])),
            ("\"017\"", Some(vec![])),
            ("\"+5\"", Some(vec![])),
            ("\"18446744073709551616\"", Some(vec![])),
            ("", None),
            ("5", None),
            ("\"5", None),
            ("\"5\",", None),
            ("\"5\" \"6\"", None),
            ("*, \"5\"", None),
        ] {
            assert_eq!(etags(text), revisions, "{text}");
        }
    }
}
