//! A door for `tests/fuzz`: what must hold of any bytes.

use std::path::Path;

/// Any text is read or refused with problems that can be shown.
pub fn file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Err(problems) = super::parse("f", text, Path::new("")) {
        assert!(!problems.to_string().is_empty(), "a refusal says why");
    }
}
