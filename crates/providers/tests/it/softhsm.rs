//! The service behind PKCS#11 against SoftHSM2, a real module whose tokens are files.
//!
//! The module reads where its tokens are from the environment of its process, so each test runs
//! itself again in a process of its own.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, ObjectClass};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use ledger::Time;
use providers::keys::{KeyService, KeyServiceError};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;

/// Where distributions put the module.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/pkcs11/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// The variable by which the module finds its configuration.
const VARIABLE: &str = "SOFTHSM2_CONF";

const PIN: &str = "synthetic-4711";
const KEY: [u8; 32] = *b"a synthetic key of thirty-two by";
const CONTEXT: &str = "ten_22222222222222222222222222222222";

fn module() -> &'static str {
    let found = MODULES.into_iter().find(|path| Path::new(path).exists());
    found.expect("SoftHSM2 is not installed: cargo xtask test installs it, package softhsm2")
}

/// Runs a test of this file once more, in a process with a token of its own, and says whether this
/// is that process.
fn inside(test: &str) -> Option<PathBuf> {
    if let Some(configuration) = std::env::var_os(VARIABLE) {
        return Path::new(&configuration).parent().map(Path::to_owned);
    }
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let configuration = folder.path().join("softhsm2.conf");
    fs::write(&configuration, format!("directories.tokendir = {}\n", tokens.display())).unwrap();
    let module = module();
    let mut token = Command::new("softhsm2-util");
    token.args(["--module", module, "--init-token", "--free", "--label", "bulla"]);
    token.args(["--so-pin", "synthetic-0815", "--pin", PIN]);
    let made = token.env(VARIABLE, &configuration).output().expect("softhsm2-util runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", &format!("softhsm::{test}"), "--nocapture"]);
    let ended = again.env(VARIABLE, &configuration).output().unwrap();
    let said = [ended.stdout, ended.stderr].concat();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&said));
    assert!(String::from_utf8_lossy(&said).contains("1 passed"), "the test did not run");
    None
}

/// A session of our own, to do what an operator does with a tool.
fn operator() -> Session {
    let pkcs11 = Pkcs11::new(module()).unwrap();
    // The service may have done so before.
    drop(pkcs11.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)));
    let slot = pkcs11.get_slots_with_initialized_token().unwrap()[0];
    let session = pkcs11.open_rw_session(slot).unwrap();
    // The service may be logged in, and then so is this process.
    drop(session.login(UserType::User, Some(&AuthPin::from(PIN))));
    session
}

fn make_key(session: &Session, label: &str, more: &[Attribute]) {
    let mut template = vec![
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::ValueLen(32.into()),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
    ];
    template.extend_from_slice(more);
    session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
}

const HIDDEN: [Attribute; 2] = [Attribute::Sensitive(true), Attribute::Extractable(false)];

fn open(folder: &Path, more: &str, pin: &str) -> Result<KeyService, KeyServiceError> {
    let path = folder.join("operator.key");
    drop(fs::remove_file(&path));
    let text = format!(
        "[key_service]\nkind = \"pkcs11\"\nmodule = \"{}\"\ntoken = \"bulla\"\n\
         pin_env = \"BULLA_TEST_PIN\"\n{more}\n",
        module()
    );
    providers::keys::write_new(&path, text.as_bytes()).unwrap();
    let environment = |name: &str| (name == "BULLA_TEST_PIN").then(|| pin.to_owned());
    KeyService::open(&path, &environment, Arc::new(TestClock::at(Time::from_micros(0))))
}

fn kind(error: &KeyServiceError) -> &'static str {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(PIN), "{text}");
    match error {
        KeyServiceError::Refused { .. } => "refused",
        KeyServiceError::Unreachable { .. } => "unreachable",
        KeyServiceError::Malformed { .. } => "malformed",
        KeyServiceError::Unsealable { .. } => "unsealable",
        KeyServiceError::File { .. } => "file",
    }
}

async fn wrap(service: &KeyService) -> Result<Vec<u8>, &'static str> {
    service.wrap(&KEY, CONTEXT, &Seeded::new(1)).await.map_err(|error| kind(&error))
}

async fn opens(service: &KeyService, wrapped: &[u8], context: &str) -> Result<(), &'static str> {
    let key = service.unwrap(wrapped, context).await.map_err(|error| kind(&error))?;
    assert_eq!(*key, KEY);
    Ok(())
}

#[tokio::test]
async fn a_token_wraps_and_opens_in_its_context_only() {
    let Some(folder) = inside("a_token_wraps_and_opens_in_its_context_only") else { return };
    make_key(&operator(), "top", &HIDDEN);
    for mechanism in ["AES-GCM", "AES-CBC-PAD"] {
        let more = format!("key = \"top\"\nmechanism = \"{mechanism}\"");
        let service = open(&folder, &more, PIN).unwrap();
        assert_eq!(service.name(), "pkcs11:bulla/top");
        let wrapped = wrap(&service).await.unwrap();
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{mechanism}");
        assert_eq!(opens(&service, &wrapped, "ten_1").await, Err("unsealable"), "{mechanism}");
        for at in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            let found = opens(&service, &altered, CONTEXT).await;
            assert_eq!(found, Err("unsealable"), "{mechanism} {at}");
        }
    }
}

#[tokio::test]
async fn a_key_that_is_destroyed_is_refused() {
    let Some(folder) = inside("a_key_that_is_destroyed_is_refused") else { return };
    let session = operator();
    make_key(&session, "top", &HIDDEN);
    let service = open(&folder, "key = \"top\"", PIN).unwrap();
    let wrapped = wrap(&service).await.unwrap();
    let keys = session.find_objects(&[Attribute::Label(b"top".to_vec())]).unwrap();
    session.destroy_object(keys[0]).unwrap();
    assert_eq!(opens(&service, &wrapped, CONTEXT).await, Err("refused"));
    assert_eq!(wrap(&service).await, Err("refused"));
    // Another key under its name does not open what it wrapped.
    make_key(&session, "top", &HIDDEN);
    assert_eq!(opens(&service, &wrapped, CONTEXT).await, Err("unsealable"));
}

#[tokio::test]
async fn a_key_that_the_token_would_show_or_that_is_not_alone_is_refused() {
    let Some(folder) = inside("a_key_that_the_token_would_show_or_that_is_not_alone_is_refused")
    else {
        return;
    };
    let session = operator();
    make_key(&session, "shown", &[Attribute::Sensitive(false), Attribute::Extractable(true)]);
    make_key(&session, "twice", &HIDDEN);
    make_key(&session, "twice", &HIDDEN);
    for label in ["shown", "twice", "nowhere"] {
        let service = open(&folder, &format!("key = \"{label}\""), PIN).unwrap();
        assert_eq!(wrap(&service).await, Err("refused"), "{label}");
    }
}

#[tokio::test]
async fn an_older_key_opens_while_it_is_named() {
    let Some(folder) = inside("an_older_key_opens_while_it_is_named") else { return };
    let session = operator();
    make_key(&session, "first", &HIDDEN);
    make_key(&session, "second", &HIDDEN);
    let old = wrap(&open(&folder, "key = \"first\"", PIN).unwrap()).await.unwrap();
    let named = "key = \"second\"\nolder_keys = [\"first\"]";
    let service = open(&folder, named, PIN).unwrap();
    assert_eq!(opens(&service, &old, CONTEXT).await, Ok(()));
    let new = wrap(&service).await.unwrap();
    let service = open(&folder, "key = \"second\"", PIN).unwrap();
    assert_eq!(opens(&service, &new, CONTEXT).await, Ok(()));
    assert_eq!(opens(&service, &old, CONTEXT).await, Err("unsealable"));
}

#[tokio::test]
async fn a_wrong_pin_is_tried_once() {
    let Some(folder) = inside("a_wrong_pin_is_tried_once") else { return };
    {
        make_key(&operator(), "top", &HIDDEN);
    }
    let wrong = open(&folder, "key = \"top\"", "synthetic-0000").unwrap();
    for _ in 0..10 {
        assert_eq!(wrap(&wrong).await, Err("refused"));
    }
    let right = open(&folder, "key = \"top\"", PIN).unwrap();
    assert!(wrap(&right).await.is_ok());
    // Were it tried again, it would be right by now.
    {
        operator().set_pin(&AuthPin::from(PIN), &AuthPin::from("synthetic-0000")).unwrap();
    }
    assert_eq!(wrap(&wrong).await, Err("refused"));
    let right = open(&folder, "key = \"top\"", "synthetic-0000").unwrap();
    assert!(wrap(&right).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_not_there_is_away() {
    let Some(folder) = inside("a_token_that_is_not_there_is_away") else { return };
    make_key(&operator(), "top", &HIDDEN);
    let service = open(&folder, "serial = \"0000\"\nkey = \"top\"", PIN).unwrap();
    assert_eq!(wrap(&service).await, Err("unreachable"));
    let service = open(&folder, "key = \"top\"", PIN).unwrap();
    let wrapped = wrap(&service).await.unwrap();
    fs::rename(folder.join("tokens"), folder.join("elsewhere")).unwrap();
    let found = opens(&service, &wrapped, CONTEXT).await;
    assert!(matches!(found, Err("unreachable" | "refused")), "{found:?}");
}

#[tokio::test]
async fn many_calls_at_once_each_get_their_turn() {
    let Some(folder) = inside("many_calls_at_once_each_get_their_turn") else { return };
    make_key(&operator(), "top", &HIDDEN);
    let service = open(&folder, "key = \"top\"", PIN).unwrap();
    let wrapped = wrap(&service).await.unwrap();
    let calls = (0..32).map(|_| opens(&service, &wrapped, CONTEXT));
    assert!(futures_util::future::join_all(calls).await.iter().all(Result::is_ok));
}
