//! Witnesses: who saw that a log only grew (C2SP tlog-witness).
//!
//! A witness remembers the largest checkpoint that it saw of each log. It cosigns the next one only when a
//! proof leads from the one to the other, so that a log that shows different people different pasts, or
//! goes back, is left without cosignatures, and with a signed contradiction in the witness's hands.
//!
//! Here is what both sides say and how a witness judges; `bulla witness` keeps and answers.

use crate::checkpoint::{Checkpoint, MAX_NOTE_BYTES, NoteError, VerifierKey};
use crate::proof::check_consistency;
use crate::{Hash, checkpoint};
use data_encoding::BASE64;
use std::fmt;
use std::str::FromStr;

/// The most hashes of a proof in a request, as the protocol has it.
pub const MAX_PROOF_LINES: usize = 63;

/// The longest request: its lines, and a note.
pub const MAX_REQUEST_BYTES: usize = MAX_NOTE_BYTES + 64 * 45 + 64;

/// What a log asks of a witness: to cosign a checkpoint, with the proof that it grew from the one that the
/// witness cosigned last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// The size of the checkpoint that the witness cosigned last; zero when there is none.
    pub old: u64,
    /// The consistency proof from there.
    pub proof: Vec<Hash>,
    /// The signed note.
    pub note: String,
}

impl fmt::Display for AddCheckpoint {
    /// The body of the request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in &self.proof {
            writeln!(f, "{}", BASE64.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.note)
    }
}

/// The text is not a request to cosign a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a request of the form: old size, proof, empty line, checkpoint")]
pub struct MalformedRequest;

impl FromStr for AddCheckpoint {
    type Err = MalformedRequest;

    fn from_str(text: &str) -> Result<Self, MalformedRequest> {
        if text.len() > MAX_REQUEST_BYTES {
            return Err(MalformedRequest);
        }
        let (head, note) = text.split_once("\n\n").ok_or(MalformedRequest)?;
        let mut lines = head.split('\n');
        let size =
            lines.next().and_then(|line| line.strip_prefix("old ")).ok_or(MalformedRequest)?;
        let old: u64 = size.parse().map_err(|_| MalformedRequest)?;
        let proof = lines.map(hash).collect::<Option<Vec<_>>>().ok_or(MalformedRequest)?;
        let request = Self { old, proof, note: note.to_owned() };
        // One text for one meaning: no leading zero, no other spelling of a hash.
        if request.proof.len() > MAX_PROOF_LINES || request.to_string() != text {
            return Err(MalformedRequest);
        }
        Ok(request)
    }
}

fn hash(line: &str) -> Option<Hash> {
    let bytes = BASE64.decode(line.as_bytes()).ok()?;
    Some(Hash::from_bytes(bytes.try_into().ok()?))
}

/// Why a witness does not cosign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Not of the form, or from a size beyond the new one.
    #[error("the request is not of the form")]
    Malformed,
    /// No log of this origin is known.
    #[error("no log of this name is known")]
    UnknownOrigin,
    /// Not signed by the log's key.
    #[error("the checkpoint is not signed by the log's key")]
    Unsigned,
    /// The witness has seen another size last.
    #[error("the last size that was seen is {0}")]
    OtherSize(u64),
    /// No proof leads from what was seen to this: the log shows another past.
    #[error("the checkpoint does not grow from the one that was seen")]
    Contradiction,
}

impl Refusal {
    /// The status of the answer, as the protocol has it.
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::Malformed => 400,
            Self::Unsigned => 403,
            Self::UnknownOrigin => 404,
            Self::OtherSize(_) => 409,
            Self::Contradiction => 422,
        }
    }
}

/// Judges a request by who knows the keys of `logs` and cosigned `seen` last of this origin.
///
/// What is returned may be cosigned, after it was kept durably.
///
/// # Errors
/// [`Refusal`]. A [`Refusal::Contradiction`] is over a checkpoint that the log did sign: together with
/// what was seen it is evidence.
pub fn judge(
    logs: &[VerifierKey],
    seen: impl FnOnce(&str) -> Option<Checkpoint>,
    request: &AddCheckpoint,
) -> Result<Checkpoint, Refusal> {
    let claimed = checkpoint::claimed(&request.note).ok_or(Refusal::Malformed)?;
    let mut keys = logs.iter().filter(|key| key.name() == claimed.origin).peekable();
    if keys.peek().is_none() {
        return Err(Refusal::UnknownOrigin);
    }
    let mut signed = false;
    for key in keys {
        match key.open(&request.note) {
            Ok(_) => signed = true,
            Err(NoteError::NotSigned) => {}
            Err(NoteError::Malformed) => return Err(Refusal::Malformed),
            Err(NoteError::BadSignature | NoteError::NotACheckpoint | NoteError::OtherLog) => {
                return Err(Refusal::Unsigned);
            }
        }
    }
    if !signed {
        return Err(Refusal::Unsigned);
    }
    if request.old > claimed.size {
        return Err(Refusal::Malformed);
    }
    let seen = seen(&claimed.origin);
    let last = seen.as_ref().map_or(0, |seen| seen.size);
    if request.old != last {
        return Err(Refusal::OtherSize(last));
    }
    let old_root = seen.map_or_else(crate::tree::empty_root, |seen| seen.root);
    check_consistency((last, &old_root), (claimed.size, &claimed.root), &request.proof)
        .map_err(|_| Refusal::Contradiction)?;
    // An empty log has one root, whatever was seen.
    if claimed.size == 0 && claimed.root != crate::tree::empty_root() {
        return Err(Refusal::Contradiction);
    }
    Ok(claimed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::{Cosigner, Signer, WitnessKey};
    use crate::proof::{Subtrees, consistency};
    use crate::tree::{Frontier, leaf_hash};
    use expect_test::expect;
    use std::convert::Infallible;

    const LOG: &str = "example.com/log";

    struct Leaves(u8);

    impl Leaves {
        fn leaf(&self, at: u64) -> Hash {
            leaf_hash(&[self.0, u8::try_from(at).unwrap()])
        }

        fn checkpoint(&self, size: u64) -> Checkpoint {
            let mut frontier = Frontier::default();
            (0..size).for_each(|at| frontier.push(self.leaf(at)));
            Checkpoint { origin: LOG.to_owned(), size, root: frontier.root() }
        }
    }

    impl Subtrees for Leaves {
        type Error = Infallible;
        fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, Infallible> {
            let mut frontier = Frontier::default();
            let first = index << level;
            (first..first + (1 << level)).for_each(|at| frontier.push(self.leaf(at)));
            Ok(frontier.root())
        }
    }

    fn signer() -> Signer {
        Signer::from_seed(LOG, &[1; 32]).unwrap()
    }

    fn request(log: &mut Leaves, old: u64, new: u64) -> AddCheckpoint {
        let proof = consistency(log, old, new).unwrap().unwrap_or_default();
        AddCheckpoint { old, proof, note: signer().sign(&log.checkpoint(new)) }
    }

    fn judged(seen: Option<Checkpoint>, request: &AddCheckpoint) -> Result<u64, Refusal> {
        let logs = [VerifierKey::parse(&signer().verifier_key()).unwrap()];
        judge(&logs, |_| seen, request).map(|checkpoint| checkpoint.size)
    }

    #[test]
    fn a_request_is_lines_and_a_note_and_comes_back() {
        let request = request(&mut Leaves(1), 3, 5);
        let head = request.to_string().split_once("\n\n").map(|it| it.0.to_owned()).unwrap();
        expect![[r"
            old 3
            rksygOVuL6+D9BSm49q+nV++GJdlRMBf7RIazLhbU/w=
            t0TWAPvjhTcCl47HJsFm0mJ0/nsJssYA3fLX2JVmeyQ=
            afYQEoYXclHOGJ0zvKOxeXOtXDk/5puErncQAkTUisg=
            PweNO34iyJROVWGQmiNq5ItIp+pC8o3YYcIrb2TX6Xs="]]
        .assert_eq(&head);
        assert_eq!(request.to_string().parse(), Ok(request.clone()));
        let text = request.to_string();
        for bad in [
            String::new(),
            text.replacen("old 3", "old 03", 1),
            text.replacen("old 3", "old  3", 1),
            text.replacen("old 3", "new 3", 1),
            text.replacen("\n\n", "\n", 1),
            text.replacen("=\n", "\n", 1),
        ] {
            assert_eq!(bad.parse::<AddCheckpoint>(), Err(MalformedRequest), "{bad}");
        }
    }

    #[test]
    fn a_log_that_grows_is_cosigned_from_its_beginning_on() {
        let mut log = Leaves(1);
        let mut seen = None;
        for (old, new) in [(0, 0), (0, 1), (1, 5), (5, 5), (5, 40)] {
            let request = request(&mut log, old, new);
            assert_eq!(judged(seen.clone(), &request), Ok(new), "{old} to {new}");
            seen = Some(log.checkpoint(new));
        }
    }

    #[test]
    fn a_log_that_goes_back_or_shows_another_past_is_refused() {
        let (mut log, mut other) = (Leaves(1), Leaves(2));
        let seen = || Some(log_at(5));
        assert_eq!(judged(seen(), &request(&mut log, 3, 4)), Err(Refusal::OtherSize(5)));
        assert_eq!(judged(seen(), &request(&mut log, 0, 9)), Err(Refusal::OtherSize(5)));
        assert_eq!(judged(seen(), &request(&mut other, 5, 9)), Err(Refusal::Contradiction));
        assert_eq!(judged(seen(), &request(&mut other, 5, 5)), Err(Refusal::Contradiction));
        let mut back = request(&mut log, 5, 9);
        back.note = signer().sign(&log.checkpoint(4));
        assert_eq!(judged(seen(), &back), Err(Refusal::Malformed));
        let mut unneeded = request(&mut log, 0, 3);
        unneeded.proof.push(Hash::ZERO);
        assert_eq!(judged(None, &unneeded), Err(Refusal::Contradiction));
        let mut empty = request(&mut log, 0, 0);
        let claimed = Checkpoint { root: Hash::ZERO, ..log.checkpoint(0) };
        empty.note = signer().sign(&claimed);
        assert_eq!(judged(None, &empty), Err(Refusal::Contradiction));
    }

    fn log_at(size: u64) -> Checkpoint {
        Leaves(1).checkpoint(size)
    }

    #[test]
    fn what_the_log_did_not_sign_is_refused() {
        let mut log = Leaves(1);
        let mut forged = request(&mut log, 0, 3);
        forged.note = Signer::from_seed(LOG, &[2; 32]).unwrap().sign(&log.checkpoint(3));
        assert_eq!(judged(None, &forged), Err(Refusal::Unsigned));
        let mut altered = request(&mut log, 0, 3);
        altered.note = altered.note.replacen("\n3\n", "\n4\n", 1);
        assert_eq!(judged(None, &altered), Err(Refusal::Unsigned));
        let mut unknown = request(&mut log, 0, 3);
        let of = Checkpoint { origin: "other".into(), ..log.checkpoint(3) };
        unknown.note = Signer::from_seed("other", &[1; 32]).unwrap().sign(&of);
        assert_eq!(judged(None, &unknown), Err(Refusal::UnknownOrigin));
        unknown.note = "nonsense".into();
        assert_eq!(judged(None, &unknown), Err(Refusal::Malformed));
    }

    #[test]
    fn a_cosignature_holds_over_its_checkpoint_and_time_only() {
        let cosigner = Cosigner::from_seed("witness.example/w1", &[3; 32]).unwrap();
        let key = WitnessKey::parse(&cosigner.verifier_key()).unwrap();
        assert_eq!(key.to_string(), cosigner.verifier_key());
        assert!(VerifierKey::parse(&cosigner.verifier_key()).is_err(), "a witness is no log");
        let note = signer().sign(&log_at(5));
        assert_eq!(key.seconds_of(&note), Err(NoteError::NotSigned));
        let line = cosigner.cosign(&log_at(5), 1_679_315_147);
        assert_eq!(key.seconds_of(&format!("{note}{line}")), Ok(1_679_315_147));
        let later = cosigner.cosign(&log_at(5), 1_679_315_148);
        assert_eq!(key.seconds_of(&format!("{note}{line}{later}")), Ok(1_679_315_148));
        // The log's own signature holds beside it.
        let log = VerifierKey::parse(&signer().verifier_key()).unwrap();
        assert_eq!(log.open(&format!("{note}{line}")), Ok(log_at(5)));
        let wrong = cosigner.cosign(&log_at(6), 1_679_315_147);
        assert_eq!(key.seconds_of(&format!("{note}{wrong}")), Err(NoteError::BadSignature));
        let never = cosigner.cosign(&log_at(5), 0);
        assert_eq!(key.seconds_of(&format!("{note}{never}")), Err(NoteError::BadSignature));
    }
}
