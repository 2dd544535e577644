//! Whatever the bytes are, they are read or refused, and a refusal can be drawn.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;

const ANDON_TOML: &str = include_str!("../../../config/andon.toml");

/// Pieces that a configuration is made of, so that some random texts get past the syntax.
const PIECES: [&str; 24] = [
    "[[listener]]\n",
    "[[route]]\n",
    "[[route.canary]]\n",
    "[route.guard]\n",
    "[route.sticky]\n",
    "[admin]\n",
    "name = ",
    "address = ",
    "endpoints = [",
    "weight = ",
    "path_regex = ",
    "\"5%\"",
    "\"a\"",
    "\"127.0.0.1:1\"",
    "\n",
    "]\n",
    "{ ",
    " }",
    ", ",
    "\"",
    "0",
    "=",
    "é",
    "\u{202e}\t\r\n",
];

fn survives(text: &str) -> Result<(), TestCaseError> {
    if let Err(problems) = parse("f", text, Path::new("")) {
        prop_assert!(!problems.list.is_empty());
        prop_assert_eq!(problems.lines().len(), problems.list.len());
        let drawn = problems.drawn(Color::Plain);
        for line in problems.lines() {
            let place = format!("--> f:{}:{}\n", line.line, line.column);
            prop_assert!(drawn.contains(&place), "{place} not in\n{drawn}");
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn any_text_of_pieces_is_read_or_refused(pieces in prop::collection::vec(0..PIECES.len(), 0..60)) {
        survives(&pieces.into_iter().map(|piece| PIECES[piece]).collect::<String>())?;
    }

    #[test]
    fn a_mutated_file_is_read_or_refused(
        changes in prop::collection::vec((any::<Index>(), 0..12_usize, 0..PIECES.len()), 1..6),
    ) {
        let mut text = ANDON_TOML.to_owned();
        for (at, cut, piece) in changes {
            let start = text.floor_char_boundary(at.index(text.len() + 1));
            let end = text.ceil_char_boundary((start + cut).min(text.len()));
            text.replace_range(start..end, PIECES[piece]);
        }
        survives(&text)?;
    }
}
