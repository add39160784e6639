//! `bulla doctor`: what is right is good, what is wrong is found, and it says what to do.

use crate::house::{House, Serving, user};
use crate::rules::Rules;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use testkit::authority::{Manners, Stamping};
use testkit::bucket::{ACCESS_KEY, Bucket, SECRET_KEY};
use testkit::collector::Collector;
use testkit::keys::{KeyStand, Mood, Stand};
use testkit::siem::SyslogReceiver;
use testkit::upstream::{Flaw, Reply, Upstream};

const CLINIC: &str = "Lakeside Family Clinic (synthetic)";

/// What the doctor said.
#[derive(Debug)]
struct Said {
    code: i32,
    document: Value,
}

impl Said {
    /// The checks of one thing, as `STATE FOUND`.
    fn of(&self, group: &str, name: &str) -> Vec<String> {
        let checks = self.document["checks"].as_array().unwrap();
        let matching = checks.iter().filter(|it| it["group"] == group && it["name"] == name);
        let text = |it: &Value| {
            format!("{} {}", it["state"].as_str().unwrap(), it["found"].as_str().unwrap())
        };
        matching.map(text).collect()
    }

    /// Checks that one thing came out so, with these words in what was found.
    fn is(&self, group: &str, name: &str, state: &str, words: &str) {
        let found = self.of(group, name);
        let so = |it: &String| it.starts_with(&format!("{state} ")) && it.contains(words);
        assert!(
            found.iter().any(so),
            "{group}/{name}: {found:?} has no {state} {words}\n{self:#?}"
        );
    }

    /// Everything that came out so, as `GROUP/NAME`.
    fn all(&self, state: &str) -> Vec<String> {
        let checks = self.document["checks"].as_array().unwrap();
        let matching = checks.iter().filter(|it| it["state"] == state);
        let name = |it: &Value| {
            format!("{}/{}", it["group"].as_str().unwrap(), it["name"].as_str().unwrap())
        };
        matching.map(name).collect()
    }
}

/// A port where nobody listens.
fn free() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

impl House {
    fn doctor(&self, more: &[&str]) -> Said {
        let done = self.run(&[&["doctor", "--json"], more].concat());
        let document = serde_json::from_str(&done.out);
        let document = document.unwrap_or_else(|_| panic!("{}{}", done.out, done.err));
        Said { code: done.code, document }
    }

    fn doctor_alone(&self) -> Said {
        self.doctor(&["--listen", &free()])
    }

    fn doctor_beside(&self, serving: &Serving) -> Said {
        self.doctor(&["--listen", &serving.address.to_string()])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_in_order_is_told_so_with_and_without_a_server() {
    let upstream = Upstream::start(Reply::echo()).await;
    let unsaid = "abuse_monitoring_days = 0\nhuman_review = \"none\"\n";
    let house = House::with(&Rules::cloud(&upstream).with(unsaid, "").and_home(&upstream));
    let said = house.doctor(&["--mode", "hybrid", "--no-network"]);
    assert_eq!(said.all("unable"), Vec::<String>::new());
    let said = house.doctor_alone();
    assert_eq!(said.document["mode"], "hybrid");
    said.is("Machine", "files", "good", "for their owner only");
    said.is("Machine", "server", "good", "is free for it");
    said.is("Detector", "self-test", "good", "of each of 20 classes");
    said.is("Detector", "guards", "good", "on synthetic identifiers just now");
    said.is("Keys", "key service", "good", "neither an altered one nor one of another place");
    said.is("Log", "log", "good", "each follows the one before it");
    said.is("Log", "database", "good", "no damage");
    said.is("Destinations", "cloud", "good", "its path is covered now");
    said.is("Destinations", "cloud", "good", "answers at 127.0.0.1:");
    said.is("Destinations", "home", "good", "inside, answers");
    said.is("Configuration", "in force", "good", "version 1");

    let serving = house.serve();
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    let said = house.doctor_beside(&serving);
    said.is("Machine", "server", "good", "runs, and answers at");
    said.is("Log", "log", "good", "are under a signed checkpoint");
    assert_eq!(serving.ask(&user("hello")).await.status(), 200);
    serving.stop();
    assert_eq!((said.code, said.all("no")), (0, Vec::new()), "{said:#?}");
    // What the mode must have is advice, until somebody names the mode.
    said.is("Mode", "terms of the data", "advice", "has no terms of retention");
    said.is("Mode", "no training", "good", "term against training in 1 scope");
    let asked = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert!(asked.code == 1 && asked.all("no").contains(&"Mode/terms of the data".to_owned()));
    let text = house.run(&["doctor", "--listen", &free()]).out;
    assert!(text.contains("Machine\n") && text.contains("abuse_monitoring_days"), "{text}");
    assert!(
        !text.contains('\x1b') && text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    house.log();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_and_said_what_to_do() {
    let upstream = Upstream::start_tls(Reply::echo(), Flaw::None).await;
    let house = House::bare();
    let none = house.doctor_alone();
    none.is("Configuration", "in force", "no", "every prompt is blocked");
    assert_eq!(none.code, 1);
    let (good, wrong) = (house.path("ca.pem"), house.path("wrong.pem"));
    fs::write(&good, upstream.ca_pem()).unwrap();
    fs::write(&wrong, testkit::upstream::Authority::new().pem()).unwrap();
    let rules = Rules::cloud(&upstream);
    // Without a term against training nothing may leave, and both are told.
    house.apply(&rules.clone().trusting(&good).with("training = \"none\"\n", "")).ok();
    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    said.is("Destinations", "cloud", "no", "has no term against training");
    said.is("Mode", "no training", "no", "\"baa-examplecloud\" has no term against training");
    house.apply(&rules.clone().trusting(&good)).ok();
    house.doctor_alone().is("Destinations", "cloud", "good", "over TLS 1.3");
    house.apply(&rules.clone().trusting(&wrong)).ok();
    house.doctor_alone().is(
        "Destinations",
        "cloud",
        "no",
        "its certificate is not signed by whom we trust",
    );
    house.apply(&rules.clone().trusting(&house.path("none.pem"))).ok();
    house.doctor_alone().is("Destinations", "cloud", "no", "none.pem cannot be read");

    let rules = rules.trusting(&good);
    house.apply(&rules.clone().with("2099-01-01", "2021-01-01")).ok();
    let said = house.doctor_alone();
    said.is("Destinations", "cloud", "no", "expired on 2021-01-01");
    said.is("Configuration", "agreements", "advice", "has ended");
    let soon = days_from_now(20);
    house.apply(&rules.clone().with("2099-01-01", &soon)).ok();
    house.doctor_alone().is("Destinations", "cloud", "advice", "more days");
    let credential = "credential = \"none\"";
    house.apply(&rules.clone().with(credential, "credential = \"env:NO_SUCH_KEY\"")).ok();
    house.doctor_alone().is(
        "Destinations",
        "cloud",
        "unable",
        "NO_SUCH_KEY is not in the environment",
    );
    house.apply(&rules.clone().with(credential, "credential = \"file:/nowhere/key\"")).ok();
    house.doctor_alone().is("Destinations", "cloud", "no", "/nowhere/key, cannot be read");
    upstream.stop().await;
    house.apply(&rules).ok();
    house.doctor_alone().is("Destinations", "cloud", "no", "nobody accepts a connection there");
    let said = house.doctor(&["--listen", &free(), "--no-network"]);
    said.is("Destinations", "cloud", "skipped", "was not connected to");
    assert_eq!((said.code, said.all("no")), (0, Vec::new()), "{said:#?}");

    fs::set_permissions(house.data().join("bulla.db"), fs::Permissions::from_mode(0o644)).unwrap();
    house.doctor_alone().is("Machine", "files", "no", "bulla.db has the mode 0644");
    house.run(&["doctor", "--data", "/nowhere"]).fails(2, "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = house.doctor(&["--listen", &taken.local_addr().unwrap().to_string()]);
    said.is("Machine", "server", "no", "another program answers");
}

/// A day, as the configuration writes it.
fn days_from_now(days: i64) -> String {
    use ledger::Clock as _;
    server::SystemClock.now().plus_seconds(days * 86_400).day().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_not_ours_and_logs_that_were_altered_are_found() {
    let (house, other) = (House::bare(), House::bare());
    let foreign = other.data().join("operator.key");
    let said = house.doctor(&["--listen", &free(), "--key-file", foreign.to_str().unwrap()]);
    assert_eq!(said.code, 1);
    said.is("Keys", "data directory", "no", "does not open");
    said.is("Keys", "the rest", "unable", "could not be looked at");

    house.create_key(&[]);
    house.serve().stop();
    house.doctor_alone().is("Log", "log", "good", "records");
    let database = rusqlite::Connection::open(house.data().join("bulla.db")).unwrap();
    database.execute_batch("DROP TRIGGER records_are_not_updated").unwrap();
    let altered = database
        .execute("UPDATE records SET bytes = CAST(replace(CAST(bytes AS TEXT), 'Example Bot', 'Example Cat') AS BLOB) WHERE seq = 1", [])
        .unwrap();
    assert_eq!(altered, 1);
    drop(database);
    let said = house.doctor_alone();
    assert_eq!(said.code, 1);
    said.is("Log", "log", "no", "at position 2: the record does not follow the one before it");
    // An older database in the place of the newest.
    let older = House::bare();
    fs::copy(house.data().join("checkpoint"), older.data().join("checkpoint")).unwrap();
    older.doctor_alone().is("Log", "data directory", "no", "");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_hosts_the_machine_needs_an_agreement_and_an_authority_does_not() {
    let upstream = Upstream::start(Reply::echo()).await;
    let (house, stamping) = (House::bare(), Stamping::start());
    let roots = house.path("roots.pem");
    fs::write(&roots, stamping.root()).unwrap();
    let rules = Rules::cloud(&upstream).and(&stamping.rules(&roots));
    house.apply(&rules).ok();
    let said = house.doctor_alone();
    said.is("Mode", "hosting covered", "good", "clinic-server");
    said.is("Outsiders", "example", "good", "gave a time stamp that holds");
    said.is("Outsiders", "clock", "good", "ms from that of example");
    // The same machine in a cloud, of which nobody signed anything.
    let cloud = "entity = \"Example Hosting Inc. (synthetic)\"\nrole = \"hosting\"\nsees = \"ciphertext\"\nservice = \"machines\"\ntier = \"enterprise\"\nregion = \"us-east\"\nboundary = \"outside\"";
    let inside = format!(
        "entity = \"{CLINIC}\"\nrole = \"hosting\"\nsees = \"content\"\nboundary = \"inside\"\nowner = \"{CLINIC}\""
    );
    let hosted = rules.with(&inside, cloud);
    house.apply(&hosted).ok();
    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!(said.code, 1);
    said.is("Mode", "hosting covered", "no", "hop \"clinic-server\" has no agreement");
    let signed = hosted.with("sees = \"ciphertext\"", "sees = \"ciphertext\"\nagreement = \"baa-hosting\"").and(
        "[[agreement]]\nid = \"baa-hosting\"\nkind = \"baa\"\ncounterparty = \"Example Hosting Inc. (synthetic)\"\neffective = 2020-01-01\nexpires = 2099-01-01\n[[agreement.scope]]\nservices = [\"machines\"]\ntiers = [\"enterprise\"]\nregions = [\"*\"]\n",
    );
    house.apply(&signed).ok();
    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    said.is("Mode", "hosting covered", "good", "Example Hosting Inc.");
    // An authority that refuses is told.
    stamping.is(Manners::Gone);
    house.doctor_alone().is("Outsiders", "example", "no", "gives no time stamp that holds");
}

/// `examples/cloud.toml` with stand-ins in the place of those whom it names.
fn example(
    house: &House,
    upstream: &Upstream,
    siem: &SyslogReceiver,
    stamping: &Stamping,
    bucket: &Bucket,
) -> String {
    let put = |name: &str, text: &str| {
        let path = house.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let mut text = in_force();
    let hosts = |host: &str| format!("hosts = [\"{host}\"]");
    let (tsa, objects) = (stamping.address().to_string(), bucket.address().to_string());
    for (from, to) in [
        (hosts("api.examplecloud.example"), hosts(&upstream.address().to_string())),
        ("https://api.examplecloud.example/v1".to_owned(), upstream.url()),
        (
            "env:EXAMPLECLOUD_API_KEY".to_owned(),
            format!("file:{}", put("vendor", "sk-example-4c1d9f0a7b")),
        ),
        ("collect.exampleevents.example:6514".to_owned(), siem.address().to_string()),
        ("/etc/bulla/exampleevents-ca.pem".to_owned(), put("siem.pem", &siem.authority().pem())),
        (hosts("tsa.example:80"), hosts(&tsa)),
        ("http://tsa.example/".to_owned(), format!("http://{tsa}/")),
        ("/etc/bulla/tsa-roots.pem".to_owned(), put("roots.pem", &stamping.root())),
        (hosts("objects.examplehosting.example"), hosts(&objects)),
        ("https://objects.examplehosting.example".to_owned(), format!("http://{objects}")),
        ("file:/etc/bulla/bucket.id".to_owned(), format!("file:{}", put("id", ACCESS_KEY))),
        ("file:/etc/bulla/bucket.secret".to_owned(), format!("file:{}", put("secret", SECRET_KEY))),
        ("model = \"assistant\"".to_owned(), "model = \"stand-in\"".to_owned()),
    ] {
        assert!(text.contains(&from), "{from}");
        text = text.replace(&from, &to);
    }
    assert!(!text.contains(".example\""), "somebody of the example is asked: {text}");
    text
}

/// The example as it is before the agreements in it have ended.
fn in_force() -> String {
    let text = include_str!("../../../../examples/cloud.toml").replace("2029-01-01", "2099-01-01");
    text.replace("2028-01-10", "2099-01-10")
}

/// Files a contract of each of these agreements.
fn file_contracts(house: &House, agreements: &[&str]) {
    let contract = house.path("contract.pdf");
    fs::write(&contract, b"%PDF-1.7 Business Associate Agreement (synthetic)").unwrap();
    for agreement in agreements {
        house.file(agreement, &contract).ok();
    }
}

#[test]
fn the_cloud_example_applies_as_it_stands() {
    let house = House::bare();
    house.apply_text(&in_force()).ok();
    let path = house.run(&["path", "assistant"]).ok();
    let terms = "no training by opt-out-examplecloud, kept 0 days, for abuse monitoring 0 days, human review none; also for extended_thinking, prompt_caching";
    assert!(path.contains(terms), "{path}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cloud_example_passes_with_the_whole_stack_and_answers() {
    let upstream = Upstream::start(Reply::echo()).await;
    let (stamping, siem) = (Stamping::start(), SyslogReceiver::start(Flaw::None));
    let (bucket, vault) = (Bucket::start(), KeyStand::start(Stand::VaultAppRole));
    let mut house = House::bare();
    let rules = example(&house, &upstream, &siem, &stamping, &bucket);
    house.apply_text(&rules).ok();
    let missing = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    let custody = ["Mode/key apart from the data", "Mode/key service outside"];
    assert_eq!(
        missing.all("no"),
        [&["Mode/executed documents"][..], &custody].concat(),
        "{missing:#?}"
    );
    // Also the contract of whoever runs the machine is asked for.
    file_contracts(&house, &["baa-examplecloud"]);
    let missing = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    missing.is("Mode", "executed documents", "no", "\"baa-examplehosting\" has no filed document");
    file_contracts(&house, &["baa-examplehosting"]);
    let service = vault.key_file();
    house.run(&["rotate", "operator", "--to", service.to_str().unwrap()]).ok();

    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!((said.code, said.all("no"), said.all("unable")), (0, vec![], vec![]), "{said:#?}");
    assert_eq!(said.document["mode"], "cloud");
    for (name, words) in [
        ("hosting covered", "Example Hosting Inc."),
        ("every path covered", "nothing is missing"),
        ("no training", "term against training in 1 scope"),
        ("terms of the data", "terms of retention, abuse monitoring and review in 1 scope"),
        ("executed documents", "filed document in 2 agreements"),
        ("key service outside", "vault:"),
        ("records to a SIEM", "1 in the configuration"),
        ("time stamps", "1 in the configuration"),
        ("copy that nobody rewrites", "1 in the configuration"),
        ("readers named", "[log] readers"),
    ] {
        said.is("Mode", name, "good", words);
    }
    // What is not there yet is told, and told as not there.
    said.is("Mode", "identity provider", "skipped", "none can be connected to this version");

    house.key = house.create_key(&["--purpose", "treatment"]).secret;
    let serving = house.serve();
    let answer = serving.ask(&user("Patient: Marisol Quintero")).await;
    assert_eq!(answer.status(), 200, "{}", answer.text());
    let sent = upstream.captured().remove(0).json();
    assert_eq!(sent["store"], false);
    serving.stop();

    // The opt-out is gone with its evidence, and with it the path.
    let lapsed = rules.replace(
        "dated = 2026-01-10\nexpires = 2099-01-10",
        "dated = 2020-01-10\nexpires = 2021-01-10",
    );
    house.apply_text(&lapsed).ok();
    let said = house.doctor(&["--mode", "cloud", "--listen", &free(), "--no-network"]);
    said.is("Mode", "no training", "no", "\"baa-examplecloud\" has no term against training");
    said.is("Mode", "every path covered", "no", "\"opt-out-examplecloud\" only");
}

#[tokio::test(flavor = "multi_thread")]
async fn cloud_mode_passes_with_the_whole_stack_and_without_a_part_of_it_does_not() {
    let upstream = Upstream::start(Reply::echo()).await;
    let (stamping, siem) = (Stamping::start(), SyslogReceiver::start(Flaw::None));
    let (collector, vault) = (Collector::start().await, KeyStand::start(Stand::VaultAppRole));
    let house = House::bare();
    let (roots, ca) = (house.path("roots.pem"), house.path("siem.pem"));
    fs::write(&roots, stamping.root()).unwrap();
    fs::write(&ca, siem.authority().pem()).unwrap();
    let feed = format!(
        "[[hop]]\nid = \"siem\"\nentity = \"{CLINIC}\"\nrole = \"siem\"\nsees = \"metadata\"\nboundary = \"inside\"\nowner = \"{CLINIC}\"\nhosts = [\"{address}\"]\n[[feed]]\nid = \"siem\"\nhop = \"siem\"\nformat = \"ocsf\"\nsyslog = \"tls://{address}\"\nca_file = \"{ca}\"\n[log]\nreaders = [\"Ada Example\"]\n",
        address = siem.address(),
        ca = ca.display(),
    );
    let rules = Rules::cloud(&upstream)
        .with(&format!("document_sha256 = \"{}\"\n", "0".repeat(64)), "")
        .and(&stamping.rules(&roots))
        .and(&feed)
        .and(&collector.rules(CLINIC));
    house.apply(&rules).ok();
    let missing = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!(
        missing.all("no"),
        ["Mode/executed documents", "Mode/key apart from the data", "Mode/key service outside"]
    );
    file_contracts(&house, &["baa-examplecloud"]);
    let service = vault.key_file();
    house.run(&["rotate", "operator", "--to", service.to_str().unwrap()]).ok();

    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!((said.code, said.all("no")), (0, Vec::new()), "{said:#?}");
    said.is("Mode", "key service outside", "good", "vault:");
    said.is("Outsiders", "siem", "good", "over TLS 1.3");
    said.is("Outsiders", "traces", "good", "answers at");
    said.is("Mode", "identity provider", "skipped", "none can be connected");
    // A key service that lets nobody in is a no, and so is a SIEM that is gone.
    vault.is(Mood::Disabled);
    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!(said.code, 1);
    assert!(said.all("no").iter().all(|it| it.starts_with("Keys/")), "{said:#?}");
    vault.is(Mood::Good);
    drop(siem);
    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!((said.code, said.all("no")), (1, vec!["Outsiders/siem".to_owned()]));
}
