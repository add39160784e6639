//! What the person who verifies already knows, from somewhere else than the bundle.

use crate::anchor::{Authority, UnusableAuthority};
use crate::checkpoint::{self, Checkpoint, VerifierKey, WitnessKey};

/// The longest trust file that is read: 1 MiB, thousands of checkpoints.
pub const MAX_TRUST_BYTES: u64 = 1 << 20;

/// Keys and earlier checkpoints that the verifier trusts.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// Of this log or of its deployment's.
    pub(crate) keys: Vec<VerifierKey>,
    pub(crate) checkpoints: Vec<Note>,
    pub(crate) witnesses: Vec<WitnessKey>,
    /// Roots of authorities whose time stamps are believed, and the policies under which.
    pub(crate) authority: Option<Authority>,
}

/// A signed note and the checkpoint that it claims.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) text: String,
    pub(crate) claimed: Checkpoint,
}

/// A line of the trust file is neither a key nor part of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "line {line} is no key, no policy, no certificate and not the begin of a signed checkpoint"
)]
pub struct MalformedTrust {
    /// The line, from 1.
    pub line: usize,
}

impl Trust {
    /// Trusts nothing but what the bundle itself carries.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Whether nothing is trusted.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        !self.vouches() && self.witnesses.is_empty() && self.authority.is_none()
    }

    /// Whether anything says whose log this is.
    pub(crate) const fn vouches(&self) -> bool {
        !(self.keys.is_empty() && self.checkpoints.is_empty())
    }

    /// Reads a trust file: C2SP verifier keys of logs and of witnesses, one a line; signed checkpoints as
    /// they are; root certificates of time-stamping authorities in PEM; and `policy 1.2.3`, one a line,
    /// for the policies that they must stamp under.
    /// Empty lines and lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// [`MalformedTrust`] names the first line that is neither. A trust file that is understood in
    /// part would trust less than its owner thinks.
    pub fn parse(text: &str) -> Result<Self, MalformedTrust> {
        let mut trust = Self::none();
        let (mut roots, mut policies) = (String::new(), Vec::new());
        let mut lines = text.lines().enumerate().peekable();
        while let Some((number, line)) = lines.next() {
            let line = line.trim_end();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Ok(key) = VerifierKey::parse(line) {
                trust.keys.push(key);
                continue;
            }
            if let Ok(key) = WitnessKey::parse(line) {
                trust.witnesses.push(key);
                continue;
            }
            if let Some(policy) = line.strip_prefix("policy ") {
                policies.push(policy.trim());
                continue;
            }
            if line == "-----BEGIN CERTIFICATE-----" {
                let mut pem = format!("{line}\n");
                for (_, line) in lines.by_ref() {
                    pem = pem + line.trim_end() + "\n";
                    if line.trim_end() == "-----END CERTIFICATE-----" {
                        break;
                    }
                }
                Authority::from_roots(pem.as_bytes())
                    .map_err(|_| MalformedTrust { line: number + 1 })?;
                roots.push_str(&pem);
                continue;
            }
            let mut note = format!("{line}\n");
            while let Some((_, line)) = lines.next_if(|(_, line)| !line.trim_end().is_empty()) {
                note = note + line.trim_end() + "\n";
            }
            note.push('\n');
            if lines.peek().is_some() {
                lines.next();
            }
            while let Some((_, line)) = lines.next_if(|(_, line)| line.starts_with('\u{2014}')) {
                note = note + line.trim_end() + "\n";
            }
            let claimed = checkpoint::claimed(&note).ok_or(MalformedTrust { line: number + 1 })?;
            trust.checkpoints.push(Note { text: note, claimed });
        }
        if !roots.is_empty() || !policies.is_empty() {
            // A policy without a root is no use to anybody, and a mistake.
            let authority = Authority::from_roots(roots.as_bytes())
                .and_then(|authority| authority.with_policies(policies))
                .map_err(|_: UnusableAuthority| MalformedTrust { line: text.lines().count() })?;
            trust.authority = Some(authority);
        }
        Ok(trust)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hash;
    use crate::checkpoint::Signer;

    #[test]
    fn a_trust_file_holds_keys_and_checkpoints_in_any_order() {
        let signer = Signer::from_seed("log", &[1; 32]).unwrap();
        let of = |size| Checkpoint { origin: "log".to_owned(), size, root: Hash::of(b"r") };
        let (one, two) = (signer.sign(&of(1)), signer.sign(&of(2)));
        let key = signer.verifier_key();
        for text in [
            format!("# mine\n{key}\n\n{one}\n{two}"),
            format!("{one}{two}{key}\n"),
            format!("{one}\n{key}\n# later\n{two}").replace('\n', "\r\n"),
        ] {
            let trust = Trust::parse(&text).unwrap();
            assert_eq!(trust.keys, [VerifierKey::parse(&key).unwrap()], "{text}");
            let texts: Vec<_> = trust.checkpoints.iter().map(|note| note.text.as_str()).collect();
            assert_eq!(texts, [one.as_str(), two.as_str()], "{text}");
        }
    }

    #[test]
    fn a_line_that_is_not_understood_is_named() {
        let key = Signer::from_seed("log", &[1; 32]).unwrap().verifier_key();
        for (text, line) in [
            (format!("{key}\nnonsense\n"), 2),
            (format!("\n\n{key}x\n"), 3),
            ("log\n1\n".to_owned(), 1),
        ] {
            assert_eq!(Trust::parse(&text).unwrap_err(), MalformedTrust { line }, "{text}");
        }
    }
}
