//! The golden vectors (`tests/vectors.json`), for the tests of this folder.
//!
//! They were made with an independent implementation, so reproducing them proves the arithmetic, not the typing.
//! `null` stands for the logarithm of 0, or for infinity, as the file's own note says.

use serde_json::Value;

const TEXT: &str = include_str!("../../tests/vectors.json");
/// Relative, and absolute below 1.
const TOLERANCE: f64 = 1e-9;

pub(super) fn of_kind(kind: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(TEXT).unwrap();
    let vectors: Vec<_> =
        list(&file["vectors"]).iter().filter(|vector| vector["kind"] == kind).cloned().collect();
    assert!(!vectors.is_empty(), "no vectors of kind {kind}");
    vectors
}

pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(super) fn whole(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// The logarithms of capitals and odds.
pub(super) fn assert_same_ln(found: f64, expected: &Value, name: &Value) {
    match expected {
        Value::Null => assert_eq!(found, 0.0, "{name}"),
        _ => assert_same(found.ln(), expected, name),
    }
}

pub(super) fn assert_same(found: f64, expected: &Value, name: &Value) {
    let Some(expected) = expected.as_f64() else {
        assert_eq!(found, f64::INFINITY, "{name}");
        return;
    };
    let allowed = TOLERANCE * expected.abs().max(1.0);
    assert!((found - expected).abs() <= allowed, "{name}: found {found}, expected {expected}");
}

mod buckets {
    use super::*;
    use crate::metrics::histogram::{BUCKETS, bucket_low, bucket_of};

    #[test]
    fn golden_buckets_are_reproduced() {
        for vector in of_kind("bucket") {
            for (us, bucket) in list(&vector["us"]).iter().zip(list(&vector["bucket"])) {
                assert_eq!(bucket_of(whole(us)) as u64, whole(bucket), "{us} us");
            }
        }
        for vector in of_kind("bucket_low") {
            for (bucket, us) in list(&vector["bucket"]).iter().zip(list(&vector["us"])) {
                let bucket = usize::try_from(whole(bucket)).unwrap();
                assert!(bucket < BUCKETS);
                assert_eq!(bucket_low(bucket), whole(us), "bucket {bucket}");
            }
        }
    }
}
