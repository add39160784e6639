//! `bulla doctor`: what is right is good, what is wrong is found, and it says what to do.

use crate::house::{House, Serving, user};
use crate::rules::Rules;
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use testkit::authority::{Manners, Stamping};
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
    let house = House::with(&Rules::cloud(&upstream).and_home(&upstream));
    let said = house.doctor(&["--mode", "hybrid", "--no-network"]);
    assert_eq!(said.all("unable"), Vec::<String>::new());
    let said = house.doctor_alone();
    assert_eq!(said.document["mode"], "hybrid");
    said.is("Machine", "files", "good", "for their owner only");
    said.is("Machine", "server", "good", "is free for it");
    said.is("Detector", "self-test", "good", "of each of 20 classes");
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
    said.is("Mode", "no training", "advice", "has no term against training");
    let asked = house.doctor(&["--mode", "hybrid", "--listen", &free()]);
    assert_eq!((asked.code, asked.all("no")), (1, vec!["Mode/no training".to_owned()]));
    let text = house.run(&["doctor", "--listen", &free()]).out;
    assert!(text.contains("Machine\n") && text.contains("Have the contract forbid it"), "{text}");
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
    let rules = Rules::cloud(&upstream)
        .with("[[agreement.scope]]", "no_training = true\n[[agreement.scope]]");
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

#[tokio::test(flavor = "multi_thread")]
async fn cloud_mode_passes_with_the_whole_stack_and_without_a_part_of_it_does_not() {
    let upstream = Upstream::start(Reply::echo()).await;
    let (stamping, siem) = (Stamping::start(), SyslogReceiver::start(Flaw::None));
    let (collector, vault) = (Collector::start().await, KeyStand::start(Stand::VaultAppRole));
    let house = House::bare();
    let (roots, ca) = (house.path("roots.pem"), house.path("siem.pem"));
    fs::write(&roots, stamping.root()).unwrap();
    fs::write(&ca, siem.authority().pem()).unwrap();
    let terms = "no_training = true\nretention = \"Nothing is kept\"\nabuse_review = \"None\"\n[[agreement.scope]]";
    let feed = format!(
        "[[hop]]\nid = \"siem\"\nentity = \"{CLINIC}\"\nrole = \"siem\"\nsees = \"metadata\"\nboundary = \"inside\"\nowner = \"{CLINIC}\"\nhosts = [\"{address}\"]\n[[feed]]\nid = \"siem\"\nhop = \"siem\"\nformat = \"ocsf\"\nsyslog = \"tls://{address}\"\nca_file = \"{ca}\"\n[log]\nreaders = [\"Ada Example\"]\n",
        address = siem.address(),
        ca = ca.display(),
    );
    let rules = Rules::cloud(&upstream)
        .with("[[agreement.scope]]", terms)
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
    let contract = house.path("contract.pdf");
    fs::write(&contract, b"%PDF-1.7 Business Associate Agreement (synthetic)").unwrap();
    let filing = [
        "agreement",
        "file",
        "baa-examplecloud",
        contract.to_str().unwrap(),
        "--signed-by",
        "Ada Example",
        "--signed-on",
        "2026-01-05",
    ];
    house.run(&filing).ok();
    let service = vault.key_file();
    house.run(&["rotate", "operator", "--to", service.to_str().unwrap()]).ok();

    let said = house.doctor(&["--mode", "cloud", "--listen", &free()]);
    assert_eq!((said.code, said.all("no")), (0, Vec::new()), "{said:#?}");
    said.is("Mode", "key service outside", "good", "vault:");
    said.is("Outsiders", "siem", "good", "over TLS 1.3");
    said.is("Outsiders", "traces", "good", "answers at");
    said.is("Mode", "identity provider", "skipped", "no accounts");
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
