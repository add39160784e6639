//! The key at the top of the chain, which the organisation holds.
//!
//! A [`KeyService`] wraps and unwraps 32-byte keys: with a key in a file, or by asking a service
//! that never gives its key away. One file says which, so that nothing else of the house knows.
//!
//! Whatever the service is, it only ever wraps a fresh random key, and the key that was handed in
//! is sealed here, under that fresh one, with AES-256-GCM over its context. So the context is bound
//! alike where a service knows no such thing, altered bytes never open where a service does not
//! notice, and no service learns a key of the house.
//!
//! No plaintext key is kept here between two calls: what a service refuses to unwrap is closed from
//! then on, as soon as the caller forgets what it unwrapped before.

mod file;

use ledger::seal::ContentKey;
use ledger::{Clock, ContentKeyId, Entropy};
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

pub use file::{
    begin_rotation, create_file, default_path, finish_rotation, read_private, replace, replace_by,
    write_new,
};

const KEY_BYTES: usize = 32;

/// The only form of wrapped bytes so far.
const FORM: u8 = 1;

/// Form, kind of service, and the length of the service's part.
const HEAD_BYTES: usize = 4;

/// A key service cannot do what was asked. No text of it holds a secret, or words of a service.
#[derive(Debug, thiserror::Error)]
pub enum KeyServiceError {
    /// The key is disabled or gone, or the service does not let us use it.
    #[error("the key service {service} refuses: {code}")]
    Refused {
        /// Which key.
        service: String,
        /// What it answered, from a list of known codes.
        code: &'static str,
    },
    /// Nobody answered in time, or only to say that it cannot.
    #[error("the key service {service} is away: {reason}")]
    Unreachable {
        /// Which key.
        service: String,
        /// What was tried.
        reason: &'static str,
    },
    /// A key file, or an answer of a service, has not the form that it must have.
    #[error("{what}: {reason}")]
    Malformed {
        /// The file or the key.
        what: String,
        /// What is wrong with it.
        reason: Cow<'static, str>,
    },
    /// The bytes do not open: another key, another context, or altered. Which of them cannot be
    /// told apart, on purpose.
    #[error("the key {service} does not open this in this place")]
    Unsealable {
        /// Which key.
        service: String,
    },
    /// A file could not be read or written.
    #[error("cannot {doing} {}", path.display())]
    File {
        /// What was being done.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

/// What went wrong, before it is said with which key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused(&'static str),
    Unreachable(&'static str),
    Malformed(&'static str),
    Unsealable,
}

impl Fault {
    fn of(self, service: &str) -> KeyServiceError {
        let service = service.to_owned();
        match self {
            Self::Refused(code) => KeyServiceError::Refused { service, code },
            Self::Unreachable(reason) => KeyServiceError::Unreachable { service, reason },
            Self::Malformed(reason) => {
                KeyServiceError::Malformed { what: service, reason: reason.into() }
            }
            Self::Unsealable => KeyServiceError::Unsealable { service },
        }
    }
}

/// Reads one variable of the environment.
type Environment<'a> = dyn Fn(&str) -> Option<String> + 'a;

/// The key at the top, held by the organisation: wraps and unwraps 32-byte keys.
pub struct KeyService {
    name: String,
    service: Service,
}

enum Service {
    File(file::KeyFile),
}

impl fmt::Debug for KeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyService({})", self.name)
    }
}

impl KeyService {
    /// Reads a key file: what it holds decides which service it is.
    ///
    /// A file of keys is read again at each use, so a file that is taken away closes what its keys
    /// wrapped. No service is asked yet.
    ///
    /// # Errors
    /// [`KeyServiceError::File`] when it cannot be read, [`KeyServiceError::Malformed`] when others
    /// than its owner may read it or it is no key file.
    pub fn open(
        path: &Path,
        environment: &Environment<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyServiceError> {
        // A file needs no time; a service that signs its requests does.
        drop(clock);
        let (keys, name) = file::KeyFile::open(path, environment)?;
        Ok(Self { name, service: Service::File(keys) })
    }

    /// Which key this is, for the record; never secret: `file:kek_...`, `vault:transit/bulla`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Wraps a key, so that it opens with this service and the same context only.
    ///
    /// # Errors
    /// [`KeyServiceError`]; there is no wrapped key then.
    pub async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyServiceError> {
        let mut between = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(between.as_mut());
        let (kind, inner) = match &self.service {
            Service::File(keys) => (Kind::File, keys.wrap(&between, context, entropy).await),
        };
        let inner = inner.map_err(|fault| fault.of(&self.name))?;
        let length = u16::try_from(inner.len())
            .map_err(|_| Fault::Malformed("its answer is too long").of(&self.name))?;
        let sealed = sealer(between).seal_small(&binding(context), key, entropy);
        let mut wrapped = Vec::with_capacity(HEAD_BYTES + inner.len() + sealed.len());
        wrapped.extend_from_slice(&[FORM, kind as u8]);
        wrapped.extend_from_slice(&length.to_be_bytes());
        wrapped.extend_from_slice(&inner);
        wrapped.extend_from_slice(&sealed);
        Ok(wrapped)
    }

    /// Opens what [`KeyService::wrap`] closed.
    ///
    /// # Errors
    /// [`KeyServiceError`]; nothing is open then.
    pub async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &str,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyServiceError> {
        let unsealable = || Fault::Unsealable.of(&self.name);
        let (kind, inner, sealed) = take_apart(wrapped).ok_or_else(unsealable)?;
        let between = match &self.service {
            Service::File(keys) if kind == Kind::File as u8 => keys.unwrap(inner, context).await,
            // Another service wrapped this: there is nothing to ask ours.
            Service::File(_) => Err(Fault::Unsealable),
        };
        let between = between.map_err(|fault| fault.of(&self.name))?;
        let opened =
            sealer(between).open_small(&binding(context), sealed).map_err(|_| unsealable())?;
        key_bytes(&opened).ok_or_else(unsealable)
    }
}

/// Which service wrapped: stored, so append only.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    File = 1,
}

/// Kind, the service's part, and the sealed key.
fn take_apart(wrapped: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[form, kind, high, low], rest) = wrapped.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes([high, low]));
    let (inner, sealed) = rest.split_at_checked(length)?;
    (form == FORM).then_some((kind, inner, sealed))
}

/// The cipher of a key without a name.
fn sealer(key: Zeroizing<[u8; KEY_BYTES]>) -> ContentKey {
    ContentKey::from_bytes(ContentKeyId::from_bytes([0; 16]), key)
}

fn binding(context: &str) -> String {
    format!("bulla-wrapped-1|{context}")
}

fn key_bytes(bytes: &[u8]) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    (bytes.len() == key.len()).then(|| {
        key.copy_from_slice(bytes);
        key
    })
}
