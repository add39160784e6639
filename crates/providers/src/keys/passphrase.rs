//! A key in a file that opens with a passphrase.
//!
//! PBKDF2 with HMAC-SHA512 (NIST SP 800-132) makes a key of the passphrase, which seals the key of
//! the file. It is what the one cryptographic library of the house offers in its validated part; a
//! long passphrase is what makes guessing dear, so a short one is refused.

use super::file::{Key, Place, fresh_key, shown, write_new};
use super::{Environment, Fault, KEY_BYTES, KeyServiceError, key_bytes, sealer};
use aws_lc_rs::pbkdf2;
use ledger::seal::ContentKey;
use ledger::{ContentKeyId, Entropy, Time};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// How the line begins.
pub(super) const FORM: &str = "bulla-passphrase-1";

/// The passphrase itself, or a file that holds it.
const VARIABLE: &str = "BULLA_KEY_PASSPHRASE";
const FILE_VARIABLE: &str = "BULLA_KEY_PASSPHRASE_FILE";

/// Three times what OWASP asks for with SHA-512 (210,000, Password Storage Cheat Sheet, 2023), and
/// what it asks for with SHA-256. Fewer are refused: the file could have been made by somebody else.
const MIN_ITERATIONS: u32 = 600_000;

/// More would only hold up a start.
const MAX_ITERATIONS: u32 = 100_000_000;

/// NIST SP 800-63B-4 section 3.1.1.2, for a passphrase that stands alone.
const MIN_PASSPHRASE_CHARACTERS: usize = 15;

const MAX_PASSPHRASE_BYTES: usize = 1024;

const SALT_BYTES: usize = 16;

/// Makes a file with one fresh key under a passphrase. It must not exist yet.
///
/// # Errors
/// [`KeyServiceError::Malformed`] when the passphrase is too short or too long,
/// [`KeyServiceError::File`] when the file cannot be written.
pub fn create_passphrase_file(
    path: &Path,
    passphrase: &str,
    entropy: &dyn Entropy,
    now: Time,
) -> Result<ContentKeyId, KeyServiceError> {
    if passphrase.chars().count() < MIN_PASSPHRASE_CHARACTERS {
        return Err(Fault::Malformed("a passphrase has 15 characters or more").of(&shown(path)));
    }
    check_length(passphrase).map_err(|fault| fault.of(&shown(path)))?;
    let key = fresh_key(entropy, now);
    let mut salt = [0; SALT_BYTES];
    entropy.fill(&mut salt);
    let salt = data_encoding::HEXLOWER.encode(&salt);
    let head = format!("{FORM} {} {MIN_ITERATIONS} {salt}", key.id);
    let under =
        derive(passphrase, &salt, MIN_ITERATIONS).map_err(|fault| fault.of(&shown(path)))?;
    let sealed = under.seal_small(&head, key.bytes.as_ref(), entropy);
    let line = format!("{head} {}\n", data_encoding::HEXLOWER.encode(&sealed));
    write_new(path, line.as_bytes())?;
    Ok(key.id)
}

/// A key file under a passphrase, opened. The file is read again at each use, but the key is made
/// once: the passphrase need not be kept, and half a second at each use would be too long.
pub(super) struct PassphraseFile {
    path: PathBuf,
    place: Place,
    text: Zeroizing<String>,
    key: Key,
}

impl PassphraseFile {
    pub(super) fn open(
        path: &Path,
        place: Place,
        text: Zeroizing<String>,
        environment: &Environment<'_>,
    ) -> Result<Self, Fault> {
        let key = open(&text, &passphrase(environment)?)?;
        Ok(Self { path: path.to_owned(), place, text, key })
    }

    pub(super) const fn id(&self) -> ContentKeyId {
        self.key.id
    }

    /// The key, while the file is there and the same.
    pub(super) async fn key(&self) -> Result<&Key, Fault> {
        let text = super::file::read_again(&self.path, self.place).await?;
        if *text == *self.text {
            Ok(&self.key)
        } else {
            Err(Fault::Refused("its file has changed since it was opened"))
        }
    }
}

/// The passphrase that the environment gives; absent when it gives none.
pub(super) fn given(environment: &Environment<'_>) -> Result<Option<Zeroizing<String>>, Fault> {
    if environment(VARIABLE).is_none() && environment(FILE_VARIABLE).is_none() {
        return Ok(None);
    }
    passphrase(environment).map(Some)
}

fn passphrase(environment: &Environment<'_>) -> Result<Zeroizing<String>, Fault> {
    let given = environment(VARIABLE).map(Zeroizing::new);
    let text = match (given, environment(FILE_VARIABLE)) {
        (Some(text), None) => text,
        (None, Some(path)) => super::http::read_small(Path::new(&path))
            .ok_or(Fault::Malformed("the file of its passphrase cannot be read"))?,
        (Some(_), Some(_)) | (None, None) => {
            return Err(Fault::Malformed(
                "it needs BULLA_KEY_PASSPHRASE or BULLA_KEY_PASSPHRASE_FILE, and not both",
            ));
        }
    };
    let text = Zeroizing::new(text.trim_end_matches(['\r', '\n']).to_owned());
    check_length(&text)?;
    Ok(text)
}

fn check_length(passphrase: &str) -> Result<(), Fault> {
    if (1..=MAX_PASSPHRASE_BYTES).contains(&passphrase.len()) {
        Ok(())
    } else {
        Err(Fault::Malformed("a passphrase has 1 to 1024 bytes"))
    }
}

fn open(text: &str, passphrase: &str) -> Result<Key, Fault> {
    const NOT_A_LINE: Fault = Fault::Malformed(
        "a key under a passphrase is one line: bulla-passphrase-1, id, iterations, salt, sealed key",
    );
    let line = text.trim();
    let (head, sealed) = line.rsplit_once(' ').ok_or(NOT_A_LINE)?;
    let words: Vec<&str> = head.split(' ').collect();
    let &[FORM, id, iterations, salt] = words.as_slice() else { return Err(NOT_A_LINE) };
    let id = id.parse().map_err(|_| NOT_A_LINE)?;
    let iterations = iterations.parse().map_err(|_| NOT_A_LINE)?;
    if !(MIN_ITERATIONS..=MAX_ITERATIONS).contains(&iterations) {
        return Err(Fault::Malformed("it has too few or too many iterations"));
    }
    let sealed = data_encoding::HEXLOWER.decode(sealed.as_bytes()).map_err(|_| NOT_A_LINE)?;
    // The head is bound: nobody lowers the iterations of a file, or renames its key.
    let opened = derive(passphrase, salt, iterations)?
        .open_small(head, &sealed)
        .map_err(|_| Fault::Refused("the passphrase"))?;
    Ok(Key { id, bytes: key_bytes(&opened).ok_or(NOT_A_LINE)? })
}

fn derive(passphrase: &str, salt: &str, iterations: u32) -> Result<ContentKey, Fault> {
    let iterations = NonZeroU32::new(iterations).ok_or(Fault::Malformed("it has no iterations"))?;
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    pbkdf2::derive(
        pbkdf2::PBKDF2_HMAC_SHA512,
        iterations,
        salt.as_bytes(),
        passphrase.as_bytes(),
        key.as_mut(),
    );
    Ok(sealer(key))
}

#[cfg(test)]
mod tests {
    use super::super::{KeyService, KeyServiceError, create_passphrase_file};
    use super::*;
    use std::fs;
    use std::sync::Arc;
    use testkit::clock::TestClock;
    use testkit::entropy::Seeded;

    const PASSPHRASE: &str = "nine synthetic geese fly";

    fn open(path: &Path, passphrase: &str) -> Result<KeyService, KeyServiceError> {
        let environment =
            |name: &str| (name == "BULLA_KEY_PASSPHRASE").then(|| passphrase.to_owned());
        KeyService::open(path, &environment, Arc::new(TestClock::at(now())))
    }

    fn now() -> Time {
        Time::from_micros(1_795_424_400_000_000)
    }

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        create_passphrase_file(&path, PASSPHRASE, &Seeded::new(1), now()).unwrap();
        (folder, path)
    }

    #[tokio::test]
    async fn a_key_under_a_passphrase_opens_with_that_passphrase_only() {
        let (folder, path) = scratch();
        let service = open(&path, PASSPHRASE).unwrap();
        let wrapped = service.wrap(&[7; 32], "ten_1", &Seeded::new(2)).await.unwrap();
        assert_eq!(*service.unwrap(&wrapped, "ten_1").await.unwrap(), [7; 32]);
        let error = open(&path, "ten synthetic geese fly").unwrap_err();
        assert!(matches!(error, KeyServiceError::Refused { .. }), "{error}");
        assert!(!format!("{error:?}").contains("geese"));
        let beside = folder.path().join("passphrase");
        fs::write(&beside, format!("{PASSPHRASE}\n")).unwrap();
        let environment = |name: &str| {
            (name == "BULLA_KEY_PASSPHRASE_FILE").then(|| beside.display().to_string())
        };
        let clock = Arc::new(TestClock::at(now()));
        let service = KeyService::open(&path, &environment, clock).unwrap();
        assert_eq!(*service.unwrap(&wrapped, "ten_1").await.unwrap(), [7; 32]);
    }

    #[tokio::test]
    async fn a_passphrase_file_that_changed_or_went_is_not_used() {
        let (_folder, path) = scratch();
        let service = open(&path, PASSPHRASE).unwrap();
        let wrapped = service.wrap(&[7; 32], "ten_1", &Seeded::new(2)).await.unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{text}\n")).unwrap();
        let error = service.unwrap(&wrapped, "ten_1").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Refused { .. }), "{error}");
        fs::remove_file(&path).unwrap();
        let error = service.unwrap(&wrapped, "ten_1").await.unwrap_err();
        assert!(matches!(error, KeyServiceError::Unreachable { .. }), "{error}");
    }

    #[test]
    fn fewer_iterations_another_name_or_an_altered_byte_do_not_open() {
        let (_folder, path) = scratch();
        let text = fs::read_to_string(&path).unwrap();
        for (bad, refused) in [
            (text.replace(" 600000 ", " 599999 "), false),
            (text.replace(" 600000 ", " 4000000000 "), false),
            (text.replace(" 600000 ", " 600001 "), true),
            (text.replace("kek_01", "kek_02"), true),
            (text.replace("bulla-passphrase-1 kek", "bulla-passphrase-1  kek"), false),
            (text.trim().to_owned() + "00\n", true),
        ] {
            assert_ne!(bad, text);
            fs::write(&path, &bad).unwrap();
            let error = open(&path, PASSPHRASE).unwrap_err();
            assert_eq!(matches!(error, KeyServiceError::Refused { .. }), refused, "{bad}: {error}");
        }
    }

    #[test]
    fn a_file_that_was_made_before_opens_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        let line = "bulla-passphrase-1 kek_01a207a232807b7180021590ff0b4dc3 600000 a53c36d76cec99e0758527120fbbe785 a83d7e35de18174996676174b578712912d2b78fa4008310e6d11c9470802780f506d74ee5727d54609f2e65cc3b36041c242ea15d90b7204692e8be";
        super::write_new(&path, line.as_bytes()).unwrap();
        assert_eq!(
            open(&path, PASSPHRASE).unwrap().name(),
            "file:kek_01a207a232807b7180021590ff0b4dc3"
        );
    }

    #[test]
    fn a_short_passphrase_makes_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("operator.key");
        for bad in ["", "fourteen chars", &"x".repeat(1025)] {
            assert!(create_passphrase_file(&path, bad, &Seeded::new(1), now()).is_err());
        }
        assert!(!path.exists());
    }
}
