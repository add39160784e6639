//! The headers of a webhook's request: Standard Webhooks, so that any of its libraries checks them.

use aws_lc_rs::hmac;
use data_encoding::BASE64;
use ledger::{Hash, Time};
use zeroize::Zeroizing;

/// What Standard Webhooks asks of a secret: 192 random bits.
const MIN_SECRET_BYTES: usize = 24;

/// The secret with which requests are signed.
pub(super) struct SigningSecret(Zeroizing<Vec<u8>>);

impl SigningSecret {
    /// Reads a secret: `whsec_` and base64, or any other text as it stands. Absent when it is too short.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let bytes = match text.strip_prefix("whsec_") {
            Some(base64) => BASE64.decode(base64.as_bytes()).ok()?,
            None => text.as_bytes().to_vec(),
        };
        (bytes.len() >= MIN_SECRET_BYTES).then(|| Self(Zeroizing::new(bytes)))
    }

    /// The value of `webhook-signature`.
    pub(super) fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.0);
        let mut context = hmac::Context::with_key(&key);
        for piece in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            context.update(piece);
        }
        format!("v1,{}", BASE64.encode(context.sign().as_ref()))
    }
}

/// The value of `webhook-id`, the same for every try of the same lines: the feed, the first position,
/// and the last leaf hash.
pub(super) fn id(feed: &str, first: u64, last: Hash) -> String {
    format!("{feed}-{first}-{last}")
}

/// The value of `webhook-timestamp`: seconds.
pub(super) fn timestamp(now: Time) -> String {
    now.as_micros().div_euclid(1_000_000).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_signed_as_standard_webhooks_says() {
        // The example of the specification, and the same secret as plain text.
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signature = secret.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(SigningSecret::parse("too short").is_none());
        assert!(SigningSecret::parse("whsec_c2hvcnQ=").is_none());
        assert!(SigningSecret::parse("whsec_not base64 at all, though long").is_none());
        assert!(SigningSecret::parse("twenty-four bytes of text").is_some());
    }

    #[test]
    fn the_id_of_a_request_names_what_is_in_it() {
        assert_eq!(id("siem", 7, Hash::ZERO), format!("siem-7-{}", "0".repeat(64)));
        assert_eq!(timestamp(Time::from_micros(1_999_999)), "1");
    }
}
