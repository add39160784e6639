//! Signature Version 4 of AWS, for requests whose path and query need no other spelling to be signed:
//! all that a key service and a bucket need.

use aws_lc_rs::{digest, hmac};
use data_encoding::HEXLOWER;
use ledger::Time;
use zeroize::Zeroizing;

/// Whose signature it is.
pub(crate) struct Signer<'a> {
    pub(crate) key_id: &'a str,
    pub(crate) secret: &'a str,
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
}

/// How a request writes the time: `20150830T123600Z`.
pub(crate) fn stamp(now: Time) -> String {
    let text = now.to_string();
    let seconds = text.split_once('.').map_or(text.as_str(), |(seconds, _)| seconds);
    seconds.chars().filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect()
}

/// What is signed of a request.
pub(crate) struct Request<'a> {
    pub(crate) method: &'a str,
    /// Letters, digits and `-._~` between slashes.
    pub(crate) path: &'a str,
    /// Each parameter as `name=value`, in order, escaped.
    pub(crate) query: &'a str,
    /// Names in lower case and in alphabetical order, `host` and `x-amz-date` among them.
    pub(crate) headers: &'a [(&'static str, &'a str)],
    /// SHA-256 of the body, as [`sha256`] writes it.
    pub(crate) body: &'a str,
}

impl Signer<'_> {
    /// The `authorization` header of a request.
    pub(crate) fn authorization(&self, request: &Request<'_>, stamp: &str) -> String {
        let Request { method, path, query, headers, body } = request;
        let date = stamp.split_once('T').map_or(stamp, |(date, _)| date);
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let mut request = format!("{method}\n{path}\n{query}\n");
        for (name, value) in *headers {
            for piece in [name, ":", value.trim(), "\n"] {
                request.push_str(piece);
            }
        }
        for piece in ["\n", &names, "\n", body] {
            request.push_str(piece);
        }
        let scope = format!("{date}/{}/{}/aws4_request", self.region, self.service);
        let to_sign = format!("AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{}", sha256(request.as_bytes()));
        let signature = hmac::sign(&self.key(date), to_sign.as_bytes());
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
            self.key_id,
            HEXLOWER.encode(signature.as_ref())
        )
    }

    /// The key of one day, region and service.
    fn key(&self, date: &str) -> hmac::Key {
        let first = Zeroizing::new(format!("AWS4{}", self.secret));
        let first = hmac::Key::new(hmac::HMAC_SHA256, first.as_bytes());
        [date, self.region, self.service, "aws4_request"].iter().fold(first, |key, part| {
            hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&key, part.as_bytes()).as_ref())
        })
    }
}

/// SHA-256 as requests write it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAMP: &str = "20150830T123600Z";

    /// Checks a request of AWS's published test suite (`aws-sig-v4-test-suite`).
    fn check(method: &str, headers: &[(&'static str, &str)], body: &str, signature: &str) {
        let signer = Signer {
            key_id: "AKIDEXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "service",
        };
        let body = sha256(body.as_bytes());
        let request = Request { method, path: "/", query: "", headers, body: &body };
        let found = signer.authorization(&request, STAMP);
        let names = headers.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let scope = "20150830/us-east-1/service/aws4_request";
        assert_eq!(
            found,
            format!(
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, \
                 Signature={signature}"
            )
        );
    }

    const HOST: (&str, &str) = ("host", "example.amazonaws.com");
    const DATE: (&str, &str) = ("x-amz-date", STAMP);

    #[test]
    fn the_published_requests_are_signed_as_published() {
        // get-vanilla
        let signature = "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31";
        check("GET", &[HOST, DATE], "", signature);
        // post-vanilla
        let signature = "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b";
        check("POST", &[HOST, DATE], "", signature);
        // post-x-www-form-urlencoded
        let form = ("content-type", "application/x-www-form-urlencoded");
        let signature = "ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a";
        check("POST", &[form, HOST, DATE], "Param1=value1", signature);
        // post-sts-header-before
        let token = "AQoDYXdzEPT//////////wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfKD8YUuwthAx7mSEI/qkPpKPi/kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8Tx6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIlTJabIQwj2ICCR/oLxBA==";
        let signature = "85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead";
        check("POST", &[HOST, DATE, ("x-amz-security-token", token)], "", signature);
    }

    /// Checks a request of the examples in AWS's reference of S3, "Signature Calculations for the
    /// Authorization Header".
    fn check_s3(
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&'static str, &str)],
        signature: &str,
    ) {
        let signer = Signer {
            key_id: "AKIAIOSFODNN7EXAMPLE",
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            region: "us-east-1",
            service: "s3",
        };
        let empty = sha256(b"");
        let stamp = "20130524T000000Z";
        let host = [("host", "examplebucket.s3.amazonaws.com")];
        let own = [("x-amz-content-sha256", empty.as_str()), ("x-amz-date", stamp)];
        let headers = [&host[..], headers, &own].concat();
        let request = Request { method, path, query, headers: &headers, body: &empty };
        let found = signer.authorization(&request, stamp);
        assert!(
            found.ends_with(&format!("Signature={signature}")),
            "{method} {path} {query}: {found}"
        );
    }

    #[test]
    fn the_published_requests_of_a_bucket_are_signed_as_published() {
        let signature = "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41";
        check_s3("GET", "/test.txt", "", &[("range", "bytes=0-9")], signature);
        let signature = "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543";
        check_s3("GET", "/", "lifecycle=", &[], signature);
        let signature = "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7";
        check_s3("GET", "/", "max-keys=2&prefix=J", &[], signature);
    }

    #[test]
    fn a_time_is_stamped_without_its_fraction() {
        let time = Time::from_micros(1_440_938_160_123_456);
        assert_eq!(stamp(time), STAMP);
    }
}
