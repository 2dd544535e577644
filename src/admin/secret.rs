//! Secrets: 256 random bits, of which only the SHA-256 is kept, here as in the file.
//!
//! Nobody gets from the hash back to so many bits, so there is no need for a slow hash as for passwords.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};

use crate::config::access::Token;

pub type Hash = [u8; 32];

/// In front of each token, so that one that got lost is recognised for what it is.
const PREFIX: &str = "andon_";

/// Fails only where the machine has no randomness.
pub fn new_token() -> Option<String> {
    random().map(|random| format!("{PREFIX}{random}"))
}

/// 256 bits as text.
pub(super) fn random() -> Option<String> {
    let mut bits = [0; 32];
    aws_lc_rs::rand::fill(&mut bits).ok()?;
    Some(BASE64URL_NOPAD.encode(&bits))
}

pub fn sha256(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

pub fn hex(hash: &Hash) -> String {
    HEXLOWER.encode(hash)
}

/// Takes equally long whichever it is, and where it is none.
pub(super) fn token_of<'t>(tokens: &'t [Token], hash: &Hash) -> Option<&'t Token> {
    let mut found = None;
    for token in tokens {
        if verify_slices_are_equal(&token.sha256, hash).is_ok() {
            found = Some(token);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Role;

    #[test]
    fn the_hash_is_that_of_the_standard() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(hex(&sha256(b"abc")), abc);
    }

    #[test]
    fn tokens_are_long_and_never_the_same() {
        let (one, other) = (new_token().unwrap(), new_token().unwrap());
        assert!(one != other && one.starts_with("andon_") && one.len() == "andon_".len() + 43);
    }

    #[test]
    fn a_token_is_found_by_its_hash_alone() {
        let token =
            |name: &str| Token { name: name.into(), role: Role::Puller, sha256: sha256(name.as_bytes()) };
        let tokens = [token("a"), token("b"), token("c")];
        for name in ["a", "b", "c"] {
            assert_eq!(&*token_of(&tokens, &sha256(name.as_bytes())).unwrap().name, name);
        }
        assert_eq!(token_of(&tokens, &sha256(b"d")), None);
        assert_eq!(token_of(&[], &sha256(b"a")), None);
    }
}
