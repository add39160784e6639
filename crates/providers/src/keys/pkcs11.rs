//! A hardware security module, or a token, through PKCS#11 (OASIS, version 2.40).
//!
//! The module is native code of the device's maker, and is loaded into this process: that is how
//! the standard works. Its calls block, so each runs on a thread of its own kind, one at a time.

use super::http::Source;
use super::{Environment, Fault, KEY_BYTES, key_bytes};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use ledger::Entropy;
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// The part of a key file that describes one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Described {
    module: PathBuf,
    token: Option<String>,
    serial: Option<String>,
    key: String,
    #[serde(default)]
    older_keys: Vec<String>,
    #[serde(default)]
    mechanism: Way,
    pin_env: Option<String>,
    pin_file: Option<PathBuf>,
}

/// How the key encrypts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
enum Way {
    /// What nearly every module offers.
    #[default]
    #[serde(rename = "AES-GCM")]
    Gcm,
    /// For modules without it. The house's own seal notices altered bytes all the same.
    #[serde(rename = "AES-CBC-PAD")]
    CbcPad,
}

/// A module that does not come back in this time is taken for away. Its thread waits on.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

const GCM_IV_BYTES: usize = 12;
const CBC_IV_BYTES: usize = 16;
const GCM_TAG_BITS: u64 = 128;

/// PKCS#11 has no versions of a key, so old ones are named; a rotation a year fills a decade.
const MAX_OLDER_KEYS: usize = 16;

/// Labels of keys; they are stored with a length of one byte.
const MAX_LABEL_BYTES: usize = 64;

/// One key of one token, and older ones that still open.
pub(super) struct Token {
    shared: Arc<Shared>,
    /// One call at a time; a call that hangs keeps the next from piling up behind it.
    turn: Arc<tokio::sync::Mutex<()>>,
    way: Way,
    key: String,
    older_keys: Vec<String>,
}

struct Shared {
    module: Pkcs11,
    token: Option<String>,
    serial: Option<String>,
    pin: AuthPin,
    /// A token locks itself after some wrong PINs, so a wrong one is tried once.
    wrong_pin: AtomicBool,
}

impl Token {
    pub(super) fn new(
        described: Described,
        environment: &Environment<'_>,
    ) -> Result<(Self, String), Fault> {
        let Described { module, token, serial, key, older_keys, mechanism, .. } = described;
        if token.is_none() && serial.is_none() {
            return Err(Fault::Malformed("name the token by its label or its serial"));
        }
        if older_keys.len() > MAX_OLDER_KEYS {
            return Err(Fault::Malformed("it names too many older keys"));
        }
        for label in older_keys.iter().chain([&key]) {
            if !(1..=MAX_LABEL_BYTES).contains(&label.len()) {
                return Err(Fault::Malformed("the label of a key has 1 to 64 bytes"));
            }
        }
        let pin = match Source::named(
            described.pin_env.as_ref(),
            described.pin_file.as_ref(),
            environment,
        )? {
            Some(Source::Given(pin)) => pin.as_str().into(),
            Some(Source::File(path)) => super::http::read_small(&path)
                .ok_or(Fault::Malformed("the file of its PIN cannot be read"))?
                .trim()
                .into(),
            None => return Err(Fault::Malformed("name pin_env or pin_file")),
        };
        let module =
            Pkcs11::new(module).map_err(|_| Fault::Malformed("its module cannot be loaded"))?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            // Another part of this process has it in use.
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(_) => return Err(Fault::Malformed("its module does not start")),
        }
        let place = token.clone().or_else(|| serial.clone()).unwrap_or_default();
        let name = format!("pkcs11:{place}/{key}");
        let shared = Shared { module, token, serial, pin, wrong_pin: AtomicBool::new(false) };
        let (shared, turn) = (Arc::new(shared), Arc::default());
        Ok((Self { shared, turn, way: mechanism, key, older_keys }, name))
    }

    /// The label of the key stands before its nonce and the encrypted bytes.
    pub(super) async fn wrap(
        &self,
        key: &[u8; KEY_BYTES],
        context: &str,
        entropy: &dyn Entropy,
    ) -> Result<Vec<u8>, Fault> {
        let (way, label, context) = (self.way, self.key.clone(), context.to_owned());
        let mut nonce = vec![0; way.nonce_bytes()];
        entropy.fill(&mut nonce);
        let key = Zeroizing::new(*key);
        let length = u8::try_from(label.len()).map_err(|_| Fault::Malformed("its label"))?;
        self.run(move |shared| {
            let session = shared.session()?;
            let handle = find(&session, &label)?;
            let sealed = way.encrypt(&session, handle, &mut nonce, context.as_bytes(), &*key)?;
            let mut wrapped = vec![length];
            wrapped.extend_from_slice(label.as_bytes());
            wrapped.extend_from_slice(&nonce);
            wrapped.extend_from_slice(&sealed);
            Ok(wrapped)
        })
        .await
    }

    pub(super) async fn unwrap(
        &self,
        wrapped: &[u8],
        context: &str,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, Fault> {
        let (&length, rest) = wrapped.split_first().ok_or(Fault::Unsealable)?;
        let (label, rest) = rest.split_at_checked(usize::from(length)).ok_or(Fault::Unsealable)?;
        let (nonce, sealed) =
            rest.split_at_checked(self.way.nonce_bytes()).ok_or(Fault::Unsealable)?;
        // Whoever writes the database does not choose among the keys of the token.
        let label = self
            .older_keys
            .iter()
            .chain([&self.key])
            .find(|known| known.as_bytes() == label)
            .cloned()
            .ok_or(Fault::Unsealable)?;
        let (way, context) = (self.way, context.to_owned());
        let (mut nonce, sealed) = (nonce.to_vec(), sealed.to_vec());
        self.run(move |shared| {
            let session = shared.session()?;
            let handle = find(&session, &label)?;
            let opened = way.decrypt(&session, handle, &mut nonce, context.as_bytes(), &sealed)?;
            key_bytes(&opened).ok_or(Fault::Unsealable)
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        const LATE: Fault = Fault::Unreachable("its module does not come back in time");
        let shared = Arc::clone(&self.shared);
        let turn = Arc::clone(&self.turn);
        let call = async move {
            let turn = turn.lock_owned().await;
            tokio::task::spawn_blocking(move || {
                let result = work(&shared);
                drop(turn);
                result
            })
            .await
        };
        let ended = tokio::time::timeout(CALL_TIMEOUT, call).await.map_err(|_| LATE)?;
        ended.map_err(|_| Fault::Unreachable("its module broke off"))?
    }
}

impl Shared {
    /// A session that is logged in. It is opened for each call: tokens are pulled out and put back.
    fn session(&self) -> Result<Session, Fault> {
        const WRONG_PIN: Fault = Fault::Refused("the PIN");
        if self.wrong_pin.load(Ordering::SeqCst) {
            return Err(WRONG_PIN);
        }
        let session = self.module.open_ro_session(self.slot()?).map_err(|it| fault(&it))?;
        match session.login(UserType::User, Some(&self.pin)) {
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(Error::Pkcs11(RvError::PinIncorrect | RvError::PinLenRange, _)) => {
                self.wrong_pin.store(true, Ordering::SeqCst);
                Err(WRONG_PIN)
            }
            Err(error) => Err(fault(&error)),
        }
    }

    fn slot(&self) -> Result<Slot, Fault> {
        const GONE: Fault = Fault::Unreachable("no such token");
        let slots = self.module.get_slots_with_initialized_token().map_err(|_| GONE)?;
        slots
            .into_iter()
            .find(|slot| {
                self.module.get_token_info(*slot).is_ok_and(|token| {
                    self.token.as_ref().is_none_or(|label| token.label() == label)
                        && self.serial.as_ref().is_none_or(|serial| token.serial_number() == serial)
                })
            })
            .ok_or(GONE)
    }
}

/// The one key with this label, which must be one that the token does not show to anybody.
fn find(session: &Session, label: &str) -> Result<ObjectHandle, Fault> {
    let template = [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::KeyType(KeyType::AES),
        Attribute::Label(label.as_bytes().to_vec()),
    ];
    let found = session.find_objects(&template).map_err(|it| fault(&it))?;
    let &[key] = found.as_slice() else {
        return Err(Fault::Refused(if found.is_empty() {
            "no such key"
        } else {
            "two keys have this label"
        }));
    };
    let shown = session
        .get_attributes(key, &[AttributeType::Sensitive, AttributeType::ValueLen])
        .map_err(|it| fault(&it))?;
    // Fail closed: a key that the token shows to whoever asks is not held by the token.
    if shown.contains(&Attribute::Sensitive(true)) {
        Ok(key)
    } else {
        Err(Fault::Refused("the key is not sensitive (CKA_SENSITIVE)"))
    }
}

impl Way {
    const fn nonce_bytes(self) -> usize {
        match self {
            Self::Gcm => GCM_IV_BYTES,
            Self::CbcPad => CBC_IV_BYTES,
        }
    }

    /// Modules in a FIPS mode choose the nonce themselves, and write it over the one that they get.
    fn encrypt(
        self,
        session: &Session,
        key: ObjectHandle,
        nonce: &mut [u8],
        context: &[u8],
        plain: &[u8],
    ) -> Result<Vec<u8>, Fault> {
        let mechanism = self.mechanism(nonce, context)?;
        session.encrypt(&mechanism, key, plain).map_err(|it| fault(&it))
    }

    fn decrypt(
        self,
        session: &Session,
        key: ObjectHandle,
        nonce: &mut [u8],
        context: &[u8],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Fault> {
        let mechanism = self.mechanism(nonce, context)?;
        session.decrypt(&mechanism, key, sealed).map(Zeroizing::new).map_err(|it| fault(&it))
    }

    fn mechanism<'a>(self, nonce: &'a mut [u8], context: &'a [u8]) -> Result<Mechanism<'a>, Fault> {
        match self {
            Self::Gcm => GcmParams::new(nonce, context, GCM_TAG_BITS.into())
                .map(Mechanism::AesGcm)
                .map_err(|it| fault(&it)),
            Self::CbcPad => {
                let nonce = <[u8; CBC_IV_BYTES]>::try_from(&*nonce);
                Ok(Mechanism::AesCbcPad(nonce.map_err(|_| Fault::Unsealable)?))
            }
        }
    }
}

/// What a return code means.
fn fault(error: &Error) -> Fault {
    let Error::Pkcs11(code, function) = error else {
        return Fault::Malformed("its module does not do what it must");
    };
    let refused = matches!(
        code,
        RvError::PinLocked
            | RvError::PinExpired
            | RvError::PinIncorrect
            | RvError::UserNotLoggedIn
            | RvError::UserPinNotInitialized
            | RvError::KeyFunctionNotPermitted
            | RvError::KeyTypeInconsistent
            | RvError::KeyHandleInvalid
            | RvError::ObjectHandleInvalid
            | RvError::ActionProhibited
            | RvError::MechanismInvalid
            | RvError::MechanismParamInvalid
    );
    // Modules disagree about the code for bytes that do not open: some have only the general one.
    let unsealable = matches!(function, Function::Decrypt | Function::DecryptFinal)
        && matches!(
            code,
            RvError::EncryptedDataInvalid
                | RvError::EncryptedDataLenRange
                | RvError::GeneralError
                | RvError::FunctionFailed
                | RvError::DataInvalid
                | RvError::DataLenRange
        );
    if refused {
        Fault::Refused("the token does not let us use this key")
    } else if unsealable {
        Fault::Unsealable
    } else {
        Fault::Unreachable("the token does not answer")
    }
}
