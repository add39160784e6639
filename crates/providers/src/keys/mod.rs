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

mod aws;
mod azure;
mod file;
mod gcp;
mod http;
mod passphrase;
mod pkcs11;
mod vault;

pub(crate) use gcp::ServiceAccount;
use ledger::seal::ContentKey;
use ledger::{Clock, ContentKeyId, Entropy, Time};
use serde::Deserialize;
use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

pub use file::{
    begin_rotation, create_file, default_path, finish_rotation, read_private, replace, replace_by,
    write_new,
};
pub use passphrase::create_passphrase_file;

const KEY_BYTES: usize = 32;

/// The whole of one wrapping or unwrapping, with a login and a second try after it. Whoever waits
/// for a key then fails closed instead of waiting on.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Ids and words of the house; AWS takes no context beyond some kilobytes, and none that is empty.
const MAX_CONTEXT_BYTES: usize = 256;

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
    clock: Arc<dyn Clock>,
}

enum Service {
    File(file::KeyFile),
    Passphrase(passphrase::PassphraseFile),
    Vault(Box<vault::Vault>),
    Aws(Box<aws::Aws>),
    Gcp(Box<gcp::Gcp>),
    Azure(Box<azure::Azure>),
    Pkcs11(pkcs11::Token),
}

/// A key file that names a service.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    key_service: RawService,
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum RawService {
    Vault(vault::Described),
    Aws(aws::Described),
    Gcp(gcp::Described),
    Azure(azure::Described),
    Pkcs11(pkcs11::Described),
}

impl fmt::Debug for KeyService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyService({})", self.name)
    }
}

/// Makes a key file with one fresh key, which must not exist yet: under a passphrase when the environment
/// gives one, else in the clear.
///
/// # Errors
/// [`KeyServiceError`]; there is no file then.
pub fn create(
    path: &Path,
    environment: &Environment<'_>,
    entropy: &dyn Entropy,
    now: Time,
) -> Result<ContentKeyId, KeyServiceError> {
    match passphrase::given(environment).map_err(|fault| fault.of(&file::shown(path)))? {
        Some(passphrase) => create_passphrase_file(path, &passphrase, entropy, now),
        None => create_file(path, entropy, now),
    }
}

/// How the key of a service is replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewal {
    /// A fresh key beside the others in the same file: [`begin_rotation`].
    InFile,
    /// A fresh file: [`create`], [`replace_by`].
    FreshFile,
    /// By the service itself; wrapping anew is all that is left to do.
    ByService,
}

impl KeyService {
    /// How the key is replaced.
    #[must_use]
    pub const fn renewal(&self) -> Renewal {
        match self.service {
            Service::File(_) => Renewal::InFile,
            Service::Passphrase(_) => Renewal::FreshFile,
            Service::Vault(_)
            | Service::Aws(_)
            | Service::Gcp(_)
            | Service::Azure(_)
            | Service::Pkcs11(_) => Renewal::ByService,
        }
    }

    /// Whether something other than a file holds the key: another machine, a token.
    #[must_use]
    pub const fn is_outside(&self) -> bool {
        matches!(self.renewal(), Renewal::ByService)
    }

    /// Reads a key file: what it holds decides which service it is.
    ///
    /// A line that begins with the id of a key is a key itself; one that begins with
    /// `bulla-passphrase-1` is a key under a passphrase, which takes half a second to open; all
    /// else is TOML with a table `[key_service]`.
    ///
    /// A file of keys is read again at each use, so a file that is taken away closes what its keys
    /// wrapped. No service is asked yet; a PKCS#11 module is loaded.
    ///
    /// # Errors
    /// [`KeyServiceError::File`] when it cannot be read, [`KeyServiceError::Malformed`] when others
    /// than its owner may read it or it is no key file, [`KeyServiceError::Refused`] when the
    /// passphrase is not the one.
    pub fn open(
        path: &Path,
        environment: &Environment<'_>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeyServiceError> {
        let place = file::place(path, environment);
        let (text, guard) = file::look(path, place)?;
        let first = text.trim_start();
        let (service, name) = if first.starts_with("kek_") {
            guard.private(path)?;
            file::KeyFile::new(path, place, &text)
                .map(|(keys, id)| (Service::File(keys), format!("file:{id}")))
                .map_err(|fault| fault.of(&file::shown(path)))?
        } else if first.starts_with(passphrase::FORM) {
            guard.private(path)?;
            passphrase::PassphraseFile::open(path, place, text, environment)
                .map(|file| (format!("file:{}", file.id()), file))
                .map(|(name, file)| (Service::Passphrase(file), name))
                .map_err(|fault| fault.of(&file::shown(path)))?
        } else {
            guard.steady(path)?;
            let described = described(&text, path)?;
            Service::new(described, environment).map_err(|fault| fault.of(&file::shown(path)))?
        };
        Ok(Self { name, service, clock })
    }

    /// Which key this is, for the record; never secret: `file:kek_...`, `vault:transit/bulla`. Of a
    /// key file it is the first key at the time when it was opened.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Wraps a key, so that it opens with this service and the same context only.
    ///
    /// What was wrapped is opened once before it is handed out: a service that may wrap and not
    /// unwrap shows here, and not when everything depends on it. `context` has 1 to 256 bytes, and a
    /// service may write it into its own log.
    ///
    /// # Errors
    /// [`KeyServiceError`]; there is no wrapped key then.
    pub async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, KeyServiceError> {
        let fail = |fault: Fault| fault.of(&self.name);
        if !(1..=MAX_CONTEXT_BYTES).contains(&context.len()) {
            return Err(fail(Fault::Malformed("a context has 1 to 256 bytes")));
        }
        let mut between = Zeroizing::new([0; KEY_BYTES]);
        entropy.fill(between.as_mut());
        let now = self.clock.now();
        let inner = in_time(self.service.wrap(&between, context, entropy, now)).await;
        let inner = inner.map_err(fail)?;
        let opened = in_time(self.service.unwrap(&inner, context, self.clock.now())).await;
        if opened.map_err(fail)? != between {
            return Err(fail(Fault::Malformed("it does not give back what it wrapped")));
        }
        let length = u16::try_from(inner.len())
            .map_err(|_| fail(Fault::Malformed("its answer is too long")))?;
        let sealed = sealer(between).seal_small(&binding(context), key, entropy);
        let mut wrapped = Vec::with_capacity(HEAD_BYTES + inner.len() + sealed.len());
        wrapped.extend_from_slice(&[FORM, self.service.kind() as u8]);
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
        if kind != self.service.kind() as u8 {
            // Another service wrapped this: there is nothing to ask ours.
            return Err(unsealable());
        }
        let between = in_time(self.service.unwrap(inner, context, self.clock.now())).await;
        let between = between.map_err(|fault| fault.of(&self.name))?;
        let opened =
            sealer(between).open_small(&binding(context), sealed).map_err(|_| unsealable())?;
        key_bytes(&opened).ok_or_else(unsealable)
    }
}

impl Service {
    fn new(raw: RawService, environment: &Environment<'_>) -> Result<(Self, String), Fault> {
        Ok(match raw {
            RawService::Vault(raw) => {
                let (vault, name) = vault::Vault::new(raw, environment)?;
                (Self::Vault(Box::new(vault)), name)
            }
            RawService::Aws(raw) => {
                let (aws, name) = aws::Aws::new(raw, environment)?;
                (Self::Aws(Box::new(aws)), name)
            }
            RawService::Gcp(raw) => {
                let (gcp, name) = gcp::Gcp::new(&raw)?;
                (Self::Gcp(Box::new(gcp)), name)
            }
            RawService::Azure(raw) => {
                let (azure, name) = azure::Azure::new(&raw, environment)?;
                (Self::Azure(Box::new(azure)), name)
            }
            RawService::Pkcs11(raw) => {
                let (token, name) = pkcs11::Token::new(raw, environment)?;
                (Self::Pkcs11(token), name)
            }
        })
    }

    const fn kind(&self) -> Kind {
        match self {
            // The same kind of key, so that a site may put its key under a passphrase.
            Self::File(_) | Self::Passphrase(_) => Kind::File,
            Self::Vault(_) => Kind::Vault,
            Self::Aws(_) => Kind::Aws,
            Self::Gcp(_) => Kind::Gcp,
            Self::Azure(_) => Kind::Azure,
            Self::Pkcs11(_) => Kind::Pkcs11,
        }
    }

    async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        entropy: &dyn Entropy,
        now: Time,
    ) -> Result<Vec<u8>, Fault> {
        match self {
            Self::File(file) => file::wrap(&file.keys().await?, key, context, entropy),
            Self::Passphrase(file) => {
                file::wrap(std::slice::from_ref(file.key().await?), key, context, entropy)
            }
            Self::Vault(vault) => vault.wrap(key, context, now).await,
            Self::Aws(aws) => aws.wrap(key, context, now).await,
            Self::Gcp(gcp) => gcp.wrap(key, context, now).await,
            Self::Azure(azure) => azure.wrap(key, now).await,
            Self::Pkcs11(token) => token.wrap(key, context, entropy).await,
        }
    }

    async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &str,
        now: Time,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
        match self {
            Self::File(file) => file::unwrap(&file.keys().await?, wrapped, context),
            Self::Passphrase(file) => {
                file::unwrap(std::slice::from_ref(file.key().await?), wrapped, context)
            }
            Self::Vault(vault) => vault.unwrap(wrapped, context, now).await,
            Self::Aws(aws) => aws.unwrap(wrapped, context, now).await,
            Self::Gcp(gcp) => gcp.unwrap(wrapped, context, now).await,
            Self::Azure(azure) => azure.unwrap(wrapped, now).await,
            Self::Pkcs11(token) => token.unwrap(wrapped, context).await,
        }
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    // On the heap, because the futures of an HTTP client are large.
    let call = Box::pin(tokio::time::timeout(CALL_TIMEOUT, call));
    call.await.map_err(|_| Fault::Unreachable("it does not answer in time"))?
}

/// Reads the table of a service. What is wrong with it is told by our own words for its fields,
/// because somebody may have written a secret where none belongs.
fn described(text: &str, path: &Path) -> Result<RawService, KeyServiceError> {
    toml::from_str(text).map(|RawFile { key_service }| key_service).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            1 + text.bytes().take(span.start).filter(|byte| *byte == b'\n').count()
        });
        let reason = match error.message() {
            known if known.starts_with("missing field") => known,
            _ => "this is no key, and nothing that describes a key service",
        };
        KeyServiceError::Malformed {
            what: file::shown(path),
            reason: format!("line {line}: {reason}").into(),
        }
    })
}

/// Which service wrapped: stored, so append only.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Kind {
    File = 1,
    Vault = 2,
    Aws = 3,
    Gcp = 4,
    Azure = 5,
    Pkcs11 = 6,
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
