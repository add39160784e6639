//! One suite for every key service behind HTTP, against stand-ins that check each request.

use ledger::Time;
use providers::keys::{KeyService, KeyServiceError};
use std::sync::Arc;
use std::time::Duration;
use testkit::clock::TestClock;
use testkit::entropy::Seeded;
use testkit::keys::{KeyStand, Mood, Stand};
use testkit::upstream::{Authority, Flaw};

const KEY: [u8; 32] = *b"a synthetic key of thirty-two by";
const CONTEXT: &str = "ten_22222222222222222222222222222222";

/// The time in which every answer must be there, also that there is none.
const TIME_LIMIT: Duration = Duration::from_secs(10);

fn clock() -> TestClock {
    TestClock::at(Time::from_micros(1_795_424_400_000_000))
}

fn install() {
    // The second test of a process finds it installed.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
}

fn open(stand: &KeyStand, clock: TestClock) -> KeyService {
    install();
    let environment = |name: &str| stand.variable(name);
    KeyService::open(&stand.key_file(), &environment, Arc::new(clock)).unwrap()
}

async fn wrapped(service: &KeyService) -> Vec<u8> {
    service.wrap(&KEY, CONTEXT, &Seeded::new(1)).await.unwrap()
}

/// What kind of error it is; its text must hold nothing secret.
fn kind(error: &KeyServiceError) -> &'static str {
    let text = format!("{error} {error:?}");
    assert!(!text.contains(KeyStand::secret()), "{text}");
    match error {
        KeyServiceError::Refused { .. } => "refused",
        KeyServiceError::Unreachable { .. } => "unreachable",
        KeyServiceError::Malformed { .. } => "malformed",
        KeyServiceError::Unsealable { .. } => "unsealable",
        KeyServiceError::File { .. } => "file",
    }
}

async fn opens(service: &KeyService, wrapped: &[u8], context: &str) -> Result<(), &'static str> {
    let key = service.unwrap(wrapped, context).await.map_err(|error| kind(&error))?;
    assert_eq!(*key, KEY);
    Ok(())
}

#[tokio::test]
async fn a_wrapped_key_opens_in_its_context_only() {
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let service = open(&server, clock());
        let wrapped = wrapped(&service).await;
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{stand:?}");
        assert_eq!(opens(&service, &wrapped, "ten_1").await, Err("unsealable"), "{stand:?}");
        assert_eq!(server.complaints(), [] as [&str; 0], "{stand:?}");
        // Neither the key nor the one between it and the service's is in what is stored.
        assert!(!wrapped.windows(8).any(|part| KEY.windows(8).any(|key| key == part)));
        // A second service with the same file opens it: nothing is kept in the first.
        assert_eq!(opens(&open(&server, clock()), &wrapped, CONTEXT).await, Ok(()), "{stand:?}");
    }
}

#[tokio::test]
async fn no_service_sees_a_key_of_the_house() {
    let hidden = data_encoding::BASE64.encode(&KEY);
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let service = open(&server, clock());
        opens(&service, &wrapped(&service).await, CONTEXT).await.unwrap();
        for seen in server.seen() {
            let body = String::from_utf8_lossy(&seen.body).into_owned();
            assert!(!body.contains(&hidden[..40]), "{stand:?}");
        }
    }
}

#[tokio::test]
async fn altered_or_cut_bytes_never_open() {
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let service = open(&server, clock());
        let wrapped = wrapped(&service).await;
        for at in (0..wrapped.len()).step_by(5).chain(0..8) {
            let mut altered = wrapped.clone();
            altered[at] ^= 1;
            assert!(opens(&service, &altered, CONTEXT).await.is_err(), "{stand:?} {at}");
            assert!(opens(&service, &wrapped[..at], CONTEXT).await.is_err(), "{stand:?} {at}");
        }
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{stand:?}");
    }
}

#[tokio::test]
async fn what_another_service_wrapped_does_not_open() {
    let (vault, aws) = (KeyStand::start(Stand::VaultToken), KeyStand::start(Stand::AwsKeys));
    let (vault_service, aws_service) = (open(&vault, clock()), open(&aws, clock()));
    let wrapped = wrapped(&vault_service).await;
    assert_eq!(opens(&aws_service, &wrapped, CONTEXT).await, Err("unsealable"));
    assert_eq!(aws.seen().len(), 0, "there is nothing to ask it");
    let other = KeyStand::start(Stand::VaultToken);
    assert_eq!(opens(&open(&other, clock()), &wrapped, CONTEXT).await, Err("unsealable"));
}

/// Checks what a service in this mood says of a key that it wrapped before, and of a fresh one; and
/// that both are good again when it is.
async fn check_mood(mood: Mood, expected: &'static str) {
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let service = open(&server, clock());
        let wrapped = wrapped(&service).await;
        server.is(mood);
        // As after a restart: nobody is logged in yet.
        let fresh = open(&server, clock());
        for service in [&service, &fresh] {
            let begun = tokio::time::Instant::now();
            let found = opens(service, &wrapped, CONTEXT).await;
            assert_eq!(found, Err(expected), "{stand:?} {mood:?}");
            let error = service.wrap(&KEY, CONTEXT, &Seeded::new(2)).await.unwrap_err();
            assert_eq!(kind(&error), expected, "{stand:?} {mood:?}");
            assert!(begun.elapsed() <= 2 * TIME_LIMIT, "{stand:?} {mood:?}");
        }
        server.is(Mood::Good);
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{stand:?} {mood:?}");
        assert_eq!(server.complaints(), [] as [&str; 0], "{stand:?} {mood:?}");
    }
}

#[tokio::test]
async fn a_disabled_key_is_refused() {
    check_mood(Mood::Disabled, "refused").await;
}

#[tokio::test]
async fn whoever_is_denied_is_refused() {
    check_mood(Mood::Denied, "refused").await;
}

#[tokio::test]
async fn a_login_that_is_refused_is_a_refusal() {
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        server.is(Mood::LetsNobodyIn);
        let error = open(&server, clock()).wrap(&KEY, CONTEXT, &Seeded::new(1)).await.unwrap_err();
        assert_eq!(kind(&error), "refused", "{stand:?}");
    }
}

#[tokio::test]
async fn a_service_that_fails_is_away() {
    check_mood(Mood::Fails, "unreachable").await;
}

#[tokio::test]
async fn an_answer_that_is_none_opens_nothing() {
    check_mood(Mood::Garbage, "malformed").await;
}

#[tokio::test]
async fn an_answer_that_does_not_end_is_cut() {
    check_mood(Mood::Endless, "malformed").await;
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    check_mood(Mood::Redirects, "malformed").await;
    let server = KeyStand::start(Stand::VaultToken);
    server.is(Mood::Redirects);
    let error = open(&server, clock()).wrap(&KEY, CONTEXT, &Seeded::new(1)).await.unwrap_err();
    assert_eq!(kind(&error), "malformed");
    assert!(server.seen().iter().all(|seen| seen.path != "/elsewhere"));
}

#[tokio::test]
async fn a_service_that_hangs_is_away_within_the_time_limit() {
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let service = open(&server, clock());
        let wrapped = wrapped(&service).await;
        server.is(Mood::Hangs);
        // From here on time passes as soon as everybody waits.
        tokio::time::pause();
        let begun = tokio::time::Instant::now();
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Err("unreachable"), "{stand:?}");
        assert!(begun.elapsed() <= TIME_LIMIT, "{stand:?} {:?}", begun.elapsed());
        tokio::time::resume();
    }
}

#[tokio::test]
async fn a_service_that_is_not_there_is_away() {
    install();
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let path = server.key_file();
        let text = std::fs::read_to_string(&path).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = text.split("http://").nth(1).unwrap().split(['"', '/']).next().unwrap();
        std::fs::write(&path, text.replace(address, &port.to_string())).unwrap();
        let environment = |name: &str| server.variable(name);
        let service = KeyService::open(&path, &environment, Arc::new(clock())).unwrap();
        let error = service.wrap(&KEY, CONTEXT, &Seeded::new(1)).await.unwrap_err();
        assert_eq!(kind(&error), "unreachable", "{stand:?}");
    }
}

#[tokio::test]
async fn only_the_named_authority_is_trusted() {
    let authority = Authority::new();
    for flaw in
        [Flaw::None, Flaw::SelfSigned, Flaw::UnknownAuthority, Flaw::WrongName, Flaw::Expired]
    {
        let server = KeyStand::start_tls(Stand::VaultToken, &authority, flaw);
        let wrapped = open(&server, clock()).wrap(&KEY, CONTEXT, &Seeded::new(1)).await;
        if flaw == Flaw::None {
            assert!(wrapped.is_ok(), "{wrapped:?}");
            assert_eq!(server.complaints(), [] as [&str; 0]);
        } else {
            assert_eq!(kind(&wrapped.unwrap_err()), "unreachable", "{flaw:?}");
            assert_eq!(server.seen().len(), 0, "{flaw:?}");
        }
    }
}

#[tokio::test]
async fn a_rotated_key_opens_what_its_older_version_wrapped() {
    for stand in Stand::ALL {
        let server = KeyStand::start(stand);
        let service = open(&server, clock());
        let old = wrapped(&service).await;
        server.rotate();
        let new = wrapped(&service).await;
        assert_eq!(opens(&service, &old, CONTEXT).await, Ok(()), "{stand:?}");
        assert_eq!(opens(&service, &new, CONTEXT).await, Ok(()), "{stand:?}");
    }
}

#[tokio::test]
async fn a_login_is_kept_until_it_ends_and_made_anew_when_it_is_forgotten() {
    for stand in Stand::ALL {
        // Nothing is given out for a token or for keys of the environment.
        let per_login = usize::from(!matches!(stand, Stand::VaultToken | Stand::AwsKeys));
        let server = KeyStand::start(stand);
        let time = clock();
        let service = open(&server, time.clone());
        let wrapped = wrapped(&service).await;
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{stand:?}");
        assert_eq!(server.logins(), per_login, "{stand:?}");
        // A year later: longer than any login.
        time.advance(365 * 24 * 60 * 60);
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{stand:?}");
        assert_eq!(server.logins(), 2 * per_login, "{stand:?}");
        server.forget_logins();
        assert_eq!(opens(&service, &wrapped, CONTEXT).await, Ok(()), "{stand:?}");
        assert_eq!(server.logins(), 3 * per_login, "{stand:?}");
        assert_eq!(server.complaints(), [] as [&str; 0], "{stand:?}");
    }
}

#[tokio::test]
async fn a_key_service_is_named_without_its_secrets() {
    let names = [
        "vault:clinic/transit/bulla",
        "aws:arn:aws:kms:us-east-1:111122223333:key/",
        "gcp:projects/clinic/locations/us-east1/keyRings/bulla/cryptoKeys/top",
        "azure:http://127.0.0.1",
    ];
    for stand in Stand::ALL {
        let service = open(&KeyStand::start(stand), clock());
        assert!(names.iter().any(|name| service.name().starts_with(name)), "{service:?}");
        assert_eq!(format!("{service:?}"), format!("KeyService({})", service.name()));
    }
}

/// Checks that a key file is refused, and that a word of it does not show.
fn check_file(text: &str, reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("operator.key");
    providers::keys::write_new(&path, text.as_bytes()).unwrap();
    let error = KeyService::open(&path, &|_| None, Arc::new(clock())).unwrap_err();
    assert_eq!(kind(&error), "malformed", "{text}");
    let shown = error.to_string();
    assert!(shown.contains(reason), "{shown}");
}

#[test]
fn a_file_that_names_a_service_may_be_read_by_others_and_not_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = KeyStand::start(Stand::VaultToken);
    let path = server.key_file();
    for (mode, good) in
        [(0o600, true), (0o444, true), (0o644, true), (0o660, false), (0o602, false)]
    {
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let environment = |name: &str| server.variable(name);
        install();
        let opened = KeyService::open(&path, &environment, Arc::new(clock()));
        assert_eq!(opened.is_ok(), good, "{mode:o}");
    }
}

#[test]
fn a_key_file_that_names_no_service_is_refused() {
    install();
    let secret = KeyStand::secret();
    let vault = "[key_service]\nkind = \"vault\"\naddress = \"https://vault.clinic.example\"\n";
    check_file("", "missing field");
    check_file(&format!("key = \"{secret}\""), "line 1");
    check_file(&format!("[key_service]\nkind = \"{secret}\""), "line");
    check_file(&format!("{vault}token_env = \"A\"\n"), "missing field `key`");
    check_file(&format!("{vault}key = \"bulla\"\ntoken = \"{secret}\"\n"), "line");
    check_file(&format!("{vault}key = \"bulla\"\n"), "one way to log in");
    check_file(&format!("{vault}key = \"bulla\"\ntoken_env = \"A\"\n"), "not set");
    check_file(&format!("{vault}key = \"../sys\"\ntoken_file = \"a\"\n"), "letters");
    check_file(
        &format!("{vault}key = \"bulla\"\ntoken_file = \"a\"\ntoken_env = \"A\"\n"),
        "not both",
    );
    let plain = vault.replace("https", "http");
    check_file(&format!("{plain}key = \"bulla\"\ntoken_file = \"a\"\n"), "an address is https");
    let ca = format!("{vault}key = \"bulla\"\ntoken_file = \"a\"\nca_file = \"/nowhere\"\n");
    check_file(&ca, "certificates");
    check_file("[key_service]\nkind = \"aws\"\nkey = \"alias/bulla\"\n", "ARN");
    check_file("[key_service]\nkind = \"gcp\"\nkey = \"top\"\n", "without a version");
    let azure = "[key_service]\nkind = \"azure\"\nkey = \"https://v.vault.azure.net/keys/a/1\"\n";
    check_file(azure, "without a version");
    let token = "[key_service]\nkind = \"pkcs11\"\nmodule = \"/nowhere.so\"\nkey = \"bulla\"\n";
    check_file(token, "label or its serial");
    check_file(&format!("{token}token = \"bulla\"\n"), "pin_env or pin_file");
}
