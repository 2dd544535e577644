//! Signatures as Standard Webhooks have them: HMAC-SHA256 over id, time and body, so that a receiver knows that a
//! message is ours, is whole and is not an old one sent again.

use aws_lc_rs::hmac;
use data_encoding::BASE64;

use crate::config::notify::Key;

/// The value of `webhook-signature`.
pub(super) fn sign(key: &Key, id: &str, at_s: i64, body: &[u8]) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &key.0);
    let mut signing = hmac::Context::with_key(&key);
    signing.update(format!("{id}.{at_s}.").as_bytes());
    signing.update(body);
    format!("v1,{}", BASE64.encode(signing.sign().as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification_is_reproduced() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signed = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
