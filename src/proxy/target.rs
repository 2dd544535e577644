//! The target of a request in normal form. What is routed is what goes upstream, so it is made normal once, at the
//! head of the journey; the query stays as it came.

use std::borrow::Cow;

use http::Uri;
use http::uri::PathAndQuery;

use crate::config::{PathFault, normal_path};

/// Rewrites the path where it is not normal yet. `*` has no path.
pub(super) fn make_normal(uri: &mut Uri) -> Result<(), PathFault> {
    if uri.path() == "*" {
        return Ok(());
    }
    let Cow::Owned(path) = normal_path(uri.path())? else { return Ok(()) };
    let target = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = std::mem::take(uri).into_parts();
    // A normal path is one that the parser would have taken too, and the query is one that it took. But a path may
    // have grown in its escapes beyond what a target may be.
    parts.path_and_query = Some(PathAndQuery::from_maybe_shared(target).map_err(|_| PathFault::Long)?);
    *uri = Uri::from_parts(parts).map_err(|_| PathFault::Long)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_changes() {
        for (target, normal) in [
            ("/a?b=/../c&d=%2F", "/a?b=/../c&d=%2F"),
            ("/%61/../b?%61=//", "/b?%61=//"),
            ("/x/..?", "/?"),
            ("http://a.example:81//b?c", "http://a.example:81/b?c"),
            ("*", "*"),
        ] {
            let mut uri: Uri = target.parse().unwrap();
            assert_eq!(make_normal(&mut uri), Ok(()), "{target}");
            assert_eq!(uri.to_string(), normal, "{target}");
        }
    }

    #[test]
    fn a_path_that_escapes_make_too_long_is_refused() {
        let mut uri: Uri = format!("/{}", "[".repeat(60_000)).parse().unwrap();
        assert_eq!(make_normal(&mut uri), Err(PathFault::Long));
    }
}
