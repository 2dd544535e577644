//! The id that a request gets which has none.

use http::HeaderValue;

/// 32 hex digits.
pub(super) fn request_id(high: u64, low: u64) -> HeaderValue {
    let mut text = [0; 32];
    for (eight, word) in text.chunks_exact_mut(8).zip([high >> 32, high, low >> 32, low]) {
        eight.copy_from_slice(&hex_digits(word & 0xffff_ffff).to_be_bytes());
    }
    HeaderValue::from_bytes(&text).expect("hex digits are valid in a header")
}

/// Of 32 bits, a byte for each four, all eight at once.
fn hex_digits(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // Half a word to each half, a quarter to each quarter, four bits to each byte.
    let word = (word | word << 16) & 0x0000_ffff_0000_ffff;
    let word = (word | word << 8) & 0x00ff_00ff_00ff_00ff;
    let word = (word | word << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // 10 and above are letters, which stand further behind than the digits do.
    let is_letter = (word + 6 * ONES) >> 4 & ONES;
    word + u64::from(b'0') * ONES + is_letter * u64::from(b'a' - b'0' - 10)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_is_all_digits_of_both_halves(high in any::<u64>(), low in any::<u64>()) {
            prop_assert_eq!(request_id(high, low), format!("{high:016x}{low:016x}"));
        }
    }
}
