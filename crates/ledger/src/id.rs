//! Every identifier of the product, one list. Append only.
//!
//! An id is sixteen bytes laid out as a UUID of version 7 (RFC 9562 section 5.7) and written with a
//! prefix that says what it names: `exc_0193567a...`. The prefix makes a wrong paste visible.

use crate::canon::{Canonical, Writer};
use crate::{Entropy, Time};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::str::FromStr;

/// The text is not an id of the kind that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an id of the form {prefix}_ and 32 lower-case hexadecimal digits")]
pub struct MalformedId {
    prefix: &'static str,
}

/// Fills `bytes` from exactly twice as many lower-case hexadecimal digits, without allocating.
pub(crate) fn decode_hex(text: &str, bytes: &mut [u8]) -> Option<()> {
    if text.len() != 2 * bytes.len() {
        return None;
    }
    data_encoding::HEXLOWER.decode_mut(text.as_bytes(), bytes).ok().map(drop)
}

fn mint(now: Time, entropy: &dyn Entropy) -> [u8; 16] {
    let mut bytes = [0; 16];
    entropy.fill(&mut bytes);
    let millis = u64::try_from(now.as_micros() / 1000).unwrap_or(0).to_be_bytes();
    for (to, from) in bytes.iter_mut().zip(millis.iter().skip(2)) {
        *to = *from;
    }
    let [_, _, _, _, _, _, version, _, variant, ..] = &mut bytes;
    *version = (*version & 0x0f) | 0x70;
    *variant = (*variant & 0x3f) | 0x80;
    bytes
}

/// Three letters, an underscore, 32 digits.
const TEXT_BYTES: usize = 36;

fn text(prefix: &str, bytes: &[u8; 16]) -> [u8; TEXT_BYTES] {
    let mut text = [0; TEXT_BYTES];
    let (head, digits) = text.split_at_mut(prefix.len());
    head.copy_from_slice(prefix.as_bytes());
    data_encoding::HEXLOWER.encode_mut(bytes, digits);
    text
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; 16]);

        impl $name {
            /// A fresh id, unguessable in its last 74 bits and ordered by time in its first 48.
            #[must_use]
            pub fn mint(now: Time, entropy: &dyn Entropy) -> Self {
                Self(mint(now, entropy))
            }

            /// The sixteen bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                &self.0
            }

            /// How it is written.
            pub(crate) fn text(&self) -> [u8; TEXT_BYTES] {
                text(concat!($prefix, "_"), &self.0)
            }

            /// From sixteen stored bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(bytes)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(std::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
            }
        }

        impl Canonical for $name {
            fn write(&self, out: &mut Writer) {
                out.plain(&[&self.text()]);
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = MalformedId;
            fn from_str(text: &str) -> Result<Self, MalformedId> {
                let malformed = MalformedId { prefix: $prefix };
                let hex = text.strip_prefix(concat!($prefix, "_")).ok_or(malformed)?;
                let mut bytes = [0; 16];
                decode_hex(hex, &mut bytes).ok_or(malformed)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }
    )*};
}

ids! {
    /// A batch: requests that leave as one file, and their answers.
    BatchId = "bat";
    /// A caller's API key (its public name; the secret is never stored).
    ApiKeyId = "key";
    /// A key that wraps other keys or seals content.
    ContentKeyId = "kek";
    /// A conversation: the scope in which one value keeps one surrogate.
    ConversationId = "cnv";
    /// One installation of Bulla.
    DeploymentId = "dep";
    /// One prompt on its way through the house, and its answer.
    ExchangeId = "exc";
    /// A file that a caller brought, or may fetch.
    FileId = "fil";
    /// An organisation whose records, keys and rules are apart from every other's.
    TenantId = "ten";
}

/// The name of one log: `bulla/<deployment>/<tenant>`. It is the origin line of its checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogId {
    /// The installation that keeps it.
    pub deployment: DeploymentId,
    /// The organisation whose log it is.
    pub tenant: TenantId,
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bulla/{}/{}", self.deployment, self.tenant)
    }
}

impl FromStr for LogId {
    type Err = MalformedId;
    fn from_str(text: &str) -> Result<Self, MalformedId> {
        let malformed = MalformedId { prefix: "bulla/dep" };
        let rest = text.strip_prefix("bulla/").ok_or(malformed)?;
        let (deployment, tenant) = rest.split_once('/').ok_or(malformed)?;
        Ok(Self { deployment: deployment.parse()?, tenant: tenant.parse()? })
    }
}

impl Serialize for LogId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LogId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::{self, Seeded};

    #[test]
    fn an_id_is_a_version_7_uuid_with_its_time_in_front() {
        let id = ExchangeId::mint(Time::from_micros(0x0193_567a_89ab * 1000), &Seeded::new(1));
        let text = id.to_string();
        assert!(text.starts_with("exc_0193567a89ab7"), "{text}");
        assert!(matches!(text.as_bytes()[20], b'8' | b'9' | b'a' | b'b'), "{text}");
        assert_eq!(text.len(), 36);
        assert_eq!(text.parse(), Ok(id));
    }

    #[test]
    fn two_ids_of_one_moment_differ() {
        let entropy = Seeded::new(1);
        assert_ne!(
            ExchangeId::mint(sample::time(0), &entropy),
            ExchangeId::mint(sample::time(0), &entropy)
        );
    }

    #[test]
    fn an_id_of_another_kind_or_spelling_is_refused() {
        let text = sample::exchange(0xab).to_string();
        for bad in [
            text.replace("exc", "key"),
            text.to_uppercase(),
            text.replace("abab", "ABAB"),
            text[..35].to_owned(),
            format!("{text}00"),
            format!(" {text}"),
            String::new(),
        ] {
            assert!(bad.parse::<ExchangeId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_log_is_named_by_installation_and_organisation() {
        let log = sample::log();
        assert_eq!(
            log.to_string(),
            "bulla/dep_11111111111111111111111111111111/ten_22222222222222222222222222222222"
        );
        assert_eq!(log.to_string().parse(), Ok(log));
        for bad in ["", "bulla/", "bulla/dep_11111111111111111111111111111111"] {
            assert!(bad.parse::<LogId>().is_err(), "{bad}");
        }
    }
}
