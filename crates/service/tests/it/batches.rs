//! Batches, from the file that a caller brings to the answers that it fetches.

use crate::decisions::{OWN, SPECIAL, TO, check_same, destination, explained, row};
use crate::world::{World, operator};
use ledger::{BatchId, Event, FileId};
use phi::Text;
use serde_json::{Value, json};
use service::{BatchView, KeyRequest, KeyRole, NewBatch, NewFile, Principal, Unserved};
use testkit::upstream::{Batching, Captured, Fault, Reply, Script, Upstream};

const SSN: &str = "219-09-9999";
const MRN: &str = "MRN 4471829";

/// The house's vendor, which takes batches under its agreement.
async fn world() -> World {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    apply(&world, "").await;
    world
}

async fn apply(world: &World, more: &str) {
    world.apply_changed(|rules| batching(&rules) + more).await;
}

/// The vendor takes batches, its agreement names them, and its terms hold for them.
fn batching(rules: &str) -> String {
    let named = "apis = [\"chat.completions\", \"batches\"]\neligible = [\"batches\"]";
    let rules = rules.replace("apis = [\"chat.completions\"]", named);
    taking(&rules)
}

/// The vendor takes batches.
fn taking(rules: &str) -> String {
    rules.replace(
        "models = [\"example\"]\n[[route]]",
        "models = [\"example\"]\nbatches = true\n[[route]]",
    )
}

fn line(custom: &str, text: &str) -> Value {
    json!({
        "custom_id": custom, "method": "POST", "url": "/v1/chat/completions",
        "body": { "model": "example", "messages": [{ "role": "user", "content": text }] },
    })
}

fn lines(lines: &[Value]) -> String {
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

async fn upload(world: &World, principal: &Principal, content: &str) -> FileId {
    let file = NewFile {
        principal: principal.clone(),
        purpose: Text::from("batch"),
        name: Text::from("patients.jsonl"),
        bytes: content.as_bytes().to_vec(),
    };
    world.house.add_file(file).await.unwrap().id
}

async fn create(world: &World, input: FileId) -> BatchId {
    let batch = NewBatch {
        principal: world.principal(),
        input,
        endpoint: "/v1/chat/completions".to_owned(),
        purpose: None,
        metadata: Some(Text::from(r#"{"about":"Ada Example"}"#)),
    };
    world.house.add_batch(batch).await.unwrap().id
}

async fn batch_of(world: &World, input: &[Value]) -> BatchId {
    let file = upload(world, &world.principal(), &lines(input)).await;
    create(world, file).await
}

async fn look(world: &World, batch: BatchId) -> BatchView {
    world.house.read_batch(&world.principal(), batch).await.unwrap()
}

/// Works until nothing is left to be done, or for some days.
async fn work(world: &World) {
    for _ in 0..100 {
        world.house.work_on_batches().await.unwrap();
        world.clock.advance(3700);
    }
}

async fn fetch(world: &World, file: FileId) -> String {
    let mut output = world.house.file_content(&world.principal(), file).await.unwrap();
    let mut all = String::new();
    while let Some(piece) = output.next().await.unwrap() {
        all.push_str(piece.expose());
    }
    all
}

/// The lines of a file by the caller's names of them.
async fn by_name(world: &World, file: Option<FileId>) -> Vec<(String, Value)> {
    let Some(file) = file else { return Vec::new() };
    let text = fetch(world, file).await;
    let view = world.house.read_file(&world.principal(), file).await.unwrap();
    assert_eq!(view.bytes, text.len() as u64, "what is said of a file is what it has");
    text.lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let name = line.pointer("/custom_id").and_then(Value::as_str).unwrap().to_owned();
            (name, line)
        })
        .collect()
}

fn said(line: &Value) -> &str {
    let said = line.pointer("/response/body/choices/0/message/content");
    said.and_then(Value::as_str).unwrap()
}

/// What became of files at the vendor, as the log says it.
async fn of_files(world: &World) -> Vec<(String, Option<String>)> {
    let of = |event| match event {
        Event::BatchFile { outcome, reason, .. } => Some((outcome, reason)),
        _ => None,
    };
    world.events().await.into_iter().filter_map(of).collect()
}

async fn count(world: &World, wanted: fn(&Event) -> bool) -> usize {
    world.events().await.iter().filter(|event| wanted(event)).count()
}

fn is_intent(event: &Event) -> bool {
    matches!(event, Event::Intent(_))
}

fn is_outcome(event: &Event) -> bool {
    matches!(event, Event::Outcome(_))
}

/// Nothing of a caller's stands in anything that the vendor got, but what it may have.
fn nothing_left(world: &World, values: &[&str]) {
    for captured in world.upstream.captured() {
        for value in values {
            assert!(!captured.holds(value), "{value} in {}", captured.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_line_is_treated_recorded_and_restored_for_itself() {
    let world = world().await;
    let input = [
        line("visit of Ada Example", &format!("SSN {SSN}")),
        line("b", "SSN 219-09-1111"),
        line("c", "good morning"),
    ];
    let batch = batch_of(&world, &input).await;
    assert_eq!(look(&world, batch).await.status, "validating");
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!((view.status, view.lines), ("completed", (3, 3, 0)));
    assert_eq!(view.metadata.as_ref().map(Text::expose), Some(r#"{"about":"Ada Example"}"#));
    assert_eq!(view.errors, None);
    let answers = by_name(&world, view.output).await;
    let said: Vec<_> = answers.iter().map(|(name, line)| (name.as_str(), said(line))).collect();
    let first = format!("SSN {SSN}");
    let expected =
        [("visit of Ada Example", first.as_str()), ("b", "SSN 219-09-1111"), ("c", "good morning")];
    assert_eq!(said, expected);
    nothing_left(&world, &[SSN, "219-09-1111", "Ada", "patients.jsonl"]);
    // Every line is an exchange of its own, whose records name the batch.
    assert_eq!((count(&world, is_intent).await, count(&world, is_outcome).await), (3, 3));
    for event in world.events().await {
        if let Some(about) = event.about() {
            assert_eq!(about.batch, Some(batch));
            assert_eq!(about.destination.as_deref(), Some("vendor"));
        }
        if let Event::Outcome(outcome) = event {
            assert_eq!(outcome.outcome, "answered");
        }
    }
    // One value is two surrogates in two lines.
    let uploaded: Vec<Captured> = world.upstream.captured();
    let uploaded =
        uploaded.iter().find(|it| it.path == "/v1/files" && it.method == "POST").unwrap();
    assert!(uploaded.text().contains("bulla-bat_"));
    // Nothing is left there, and the log says so.
    assert!(world.upstream.files().is_empty());
    let deleted = ("deleted".to_owned(), None);
    assert_eq!(of_files(&world).await, [("sent".to_owned(), None), deleted.clone(), deleted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_value_has_another_surrogate_in_every_line() {
    let world = world().await;
    let batch =
        batch_of(&world, &[line("a", &format!("SSN {SSN}")), line("b", &format!("SSN {SSN}"))])
            .await;
    world.house.work_on_batches().await.unwrap();
    let [file] = &world.upstream.files()[..] else { panic!("one file") };
    let texts: Vec<String> = file
        .content
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["body"]["messages"][0]["content"].as_str().unwrap().to_owned()
        })
        .collect();
    let [one, other] = &texts[..] else { panic!("two lines") };
    assert!(one.contains("[SSN_") && other.contains("[SSN_"), "{texts:?}");
    assert_ne!(one, other);
    // A surrogate of one line says nothing in the answer to another.
    let swapped = Script::by_request({
        let texts = texts.clone();
        move |_, captured| {
            let is_first = captured.holds(&texts[0]);
            Reply::text(if is_first { &texts[1] } else { &texts[0] })
        }
    });
    world.upstream.play(swapped);
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!(view.lines, (2, 2, 0));
    let text = fetch(&world, view.output.unwrap()).await;
    assert!(!text.contains(SSN) && text.contains("[SSN_"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_may_not_leave_stops_no_other() {
    let world = world().await;
    apply(
        &world,
        "[[policy]]\nid = \"no-mrn\"\neffect = \"block\"\nclasses = [\"MRN\"]\ndestinations = [\"vendor\"]\npurposes = [\"*\"]\n",
    )
    .await;
    let mut odd = line("odd", "good morning");
    odd["body"]["patient"] = json!("Ada Example");
    let mut streamed = line("streamed", "good morning");
    streamed["body"]["stream"] = json!(true);
    let input = [line("a", &format!("SSN {SSN}")), line("blocked", MRN), odd, streamed];
    let batch = batch_of(&world, &input).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!((view.status, view.lines), ("completed", (4, 1, 3)));
    let answers = by_name(&world, view.output).await;
    assert_eq!(said(&answers[0].1), format!("SSN {SSN}"));
    let errors = by_name(&world, view.errors).await;
    let codes: Vec<_> = errors
        .iter()
        .map(|(name, line)| (name.as_str(), line["error"]["code"].as_str().unwrap()))
        .collect();
    let expected = [
        ("blocked", "phi_blocked"),
        ("odd", "unsupported_content"),
        ("streamed", "invalid_request"),
    ];
    assert_eq!(codes, expected);
    nothing_left(&world, &[SSN, MRN, "Ada"]);
    // Each refusal is an exchange that ended.
    assert_eq!((count(&world, is_intent).await, count(&world, is_outcome).await), (1, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_batch_leaves_nothing() {
    let world = world().await;
    let other = json!({
        "custom_id": "b", "method": "POST", "url": "/v1/chat/completions",
        "body": { "model": "another", "messages": [] },
    });
    let unknown = json!({
        "custom_id": "b", "method": "POST", "url": "/v1/chat/completions",
        "body": { "model": "Ada Example", "messages": [] },
    });
    for (input, line, code) in [
        (vec![line("a", "hi"), other], Some(2), "mismatched_model"),
        (vec![unknown], None, "model_not_found"),
        (vec![line("a", "hi"), line("a", "hi")], Some(2), "duplicate_custom_id"),
        (vec![line("a", "hi"), json!({ "custom_id": "b" })], Some(2), "invalid_method"),
    ] {
        let batch = batch_of(&world, &input).await;
        work(&world).await;
        let view = look(&world, batch).await;
        assert_eq!(view.status, "failed");
        let [problem] = &view.problems[..] else { panic!("{:?}", view.problems) };
        assert_eq!((problem.line, problem.code.as_str()), (line, code));
        assert!(!problem.message.contains("Ada"));
        assert_eq!((view.output, view.errors), (None, None));
    }
    assert!(world.upstream.captured().is_empty());
    assert_eq!(count(&world, is_outcome).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_takes_no_batches_or_whose_agreement_names_none_gets_none() {
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let batch = batch_of(&world, &[line("a", "hi")]).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!(view.problems[0].code, "unsupported_by_destination");
    assert!(view.problems[0].message.contains("vendor"), "by its name");
    // It takes some, and the agreement does not say so, or its terms do not hold for them.
    let eligible = "eligible = [\"batches\"]\n";
    let unnamed = |rules: String| batching(&rules).replace(", \"batches\"]", "]");
    world.apply_changed(unnamed).await;
    check_refused(&world, "baa_scope").await;
    world.apply_changed(|rules| batching(&rules).replace(eligible, "")).await;
    check_refused(&world, "capability_not_eligible").await;
    // What is kept until somebody deletes it is not what nothing is kept of.
    apply(&world, "[constraints]\nzdr_required = true\n").await;
    check_refused(&world, "retention_not_zero").await;
    world.apply_changed(|rules| zero(&batching(&rules).replace(eligible, ""))).await;
    check_refused(&world, "capability_not_eligible").await;
    world.apply_changed(|rules| zero(&batching(&rules))).await;
    let batch = batch_of(&world, &[line("a", "hi")]).await;
    work(&world).await;
    assert_eq!(look(&world, batch).await.lines, (1, 1, 0));
}

/// Zero retention is demanded, and agreed.
fn zero(rules: &str) -> String {
    let training = "training = \"none\"\n";
    let zero = "retention_days = 0\nabuse_monitoring_days = 0\n";
    rules.replace(training, &format!("{training}{zero}")) + "[constraints]\nzdr_required = true\n"
}

/// Checks that a line is refused so, that nothing leaves, and that the same would be decided again.
async fn check_refused(world: &World, code: &str) {
    let batch = batch_of(world, &[line("a", "hi")]).await;
    work(world).await;
    let view = look(world, batch).await;
    assert_eq!((view.status, view.lines), ("completed", (1, 0, 1)));
    let errors = by_name(world, view.errors).await;
    let (_, error) = errors.first().unwrap();
    assert_eq!(error.pointer("/error/code").unwrap(), code);
    assert!(world.upstream.captured().is_empty());
    let event = world.events().await.into_iter().rfind(is_outcome).unwrap();
    check_same(&explained(world, &event).await);
    let capabilities = event.about().unwrap().capabilities.get("vendor");
    assert_eq!(capabilities.map(String::as_str), Some("batches"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_decided_on_a_line_is_decided_again() {
    let local = Upstream::start(Reply::echo()).await;
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let special = "categories = [\"SUBSTANCE_USE\", \"PSYCHOTHERAPY_NOTE\"]\n";
    let more = [
        destination("local", &local.url(), &local.address().to_string(), OWN),
        row("special-stays", "block", "vendor", special),
        row("special-goes-inside", "reroute", "local", special),
        row("inside-gets-all", "allow", "local", ""),
        row("no-mrn", "block", "vendor", "").replace("\"*\"]\ndest", "\"MRN\"]\ndest"),
    ]
    .concat();
    let to = "to = [{ destination = \"vendor\", model = \"example\" }, { destination = \"local\", model = \"example\" }]";
    world.apply_changed(|rules| batching(&rules).replace(TO, to) + &more).await;
    let input = [line("a", &format!("SSN {SSN}")), line("blocked", MRN), line("special", SPECIAL)];
    let batch = batch_of(&world, &input).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!(view.lines, (3, 1, 2));
    let errors = by_name(&world, view.errors).await;
    let codes: Vec<_> =
        errors.iter().map(|(name, line)| (&**name, &line["error"]["code"])).collect();
    let elsewhere = json!("unsupported_by_destination");
    assert_eq!(codes, [("blocked", &json!("phi_blocked")), ("special", &elsewhere)]);
    assert!(local.captured().is_empty(), "a line goes with the others or not at all");
    let mut reasons = Vec::new();
    for event in world.events().await {
        let Event::Outcome(outcome) = &event else { continue };
        assert_eq!(outcome.about.batch, Some(batch));
        assert!(outcome.about.decided.is_some());
        check_same(&explained(&world, &event).await);
        reasons.extend(outcome.reason.clone());
    }
    assert!(reasons.contains(&"rerouted".to_owned()), "{reasons:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_whose_requests_are_reduced_first_has_no_batches() {
    let local = Upstream::start(Reply::echo()).await;
    let world = World::at("2026-01-10T15:00:00Z", None).await;
    let more = [
        destination("local", &local.url(), &local.address().to_string(), OWN),
        row("at-home", "allow", "local", ""),
        "[[route]]\nmodel = \"at-home\"\nto = [{ destination = \"local\", model = \"example\" }]\n"
            .to_owned(),
    ]
    .concat();
    let reduced = format!("{TO}\nreduce = \"at-home\"");
    world.apply_changed(|rules| batching(&rules).replace(TO, &reduced) + &more).await;
    let batch = batch_of(&world, &[line("a", "hi")]).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!(view.status, "failed");
    assert_eq!(view.problems[0].code, "unsupported_by_destination");
    assert!(world.upstream.captured().is_empty() && local.captured().is_empty());
    assert_eq!(count(&world, is_outcome).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_somebody_elses_is_not_there() {
    let world = world().await;
    let request = KeyRequest {
        owner: "Another Bot".to_owned(),
        role: KeyRole::Caller,
        purpose: Some("treatment".to_owned()),
        days: None,
    };
    let (_, secret, _) = world.house.create_key(request, operator()).await.unwrap();
    world.house.reload().await.unwrap();
    let other = world.house.authenticate(secret.reveal()).unwrap();
    let file = upload(&world, &world.principal(), &lines(&[line("a", "hi")])).await;
    let batch = create(&world, file).await;
    work(&world).await;
    let output = look(&world, batch).await.output.unwrap();
    let not_there = |unserved: Unserved| match unserved {
        Unserved::Refused(refusal) => assert_eq!(refusal.code, gate::Code::NotFound),
        Unserved::Failed(control) => panic!("{control:?}"),
    };
    for file in [file, output] {
        not_there(world.house.read_file(&other, file).await.unwrap_err());
        not_there(world.house.file_content(&other, file).await.unwrap_err());
        not_there(world.house.delete_file(&other, file).await.unwrap_err());
    }
    not_there(world.house.read_batch(&other, batch).await.unwrap_err());
    not_there(world.house.cancel_batch(&other, batch).await.unwrap_err());
    let made_of_it = NewBatch {
        principal: other.clone(),
        input: file,
        endpoint: "/v1/chat/completions".to_owned(),
        purpose: None,
        metadata: None,
    };
    not_there(world.house.add_batch(made_of_it).await.unwrap_err());
    assert!(world.house.list_files(&other, None, 10).await.unwrap().0.is_empty());
    assert!(world.house.list_batches(&other, None, 10).await.unwrap().0.is_empty());
    // And whoever has it deletes it.
    world.house.delete_file(&world.principal(), output).await.unwrap();
    not_there(world.house.read_file(&world.principal(), output).await.unwrap_err());
    not_there(world.house.file_content(&world.principal(), output).await.unwrap_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_for_anything_else_is_refused_by_name() {
    let world = world().await;
    for purpose in ["assistants", "fine-tune", "vision", "user_data", ""] {
        let file = NewFile {
            principal: world.principal(),
            purpose: Text::from(purpose),
            name: Text::from("a.pdf"),
            bytes: b"{}".to_vec(),
        };
        match world.house.add_file(file).await {
            Err(Unserved::Refused(refusal)) => {
                assert_eq!(refusal.code, gate::Code::UnsupportedContent);
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_file_stands_in_the_clear_and_what_was_deleted_is_gone() {
    let world = world().await;
    let file =
        upload(&world, &world.principal(), &lines(&[line("Zebulon Quux", &format!("SSN {SSN}"))]))
            .await;
    let batch = create(&world, file).await;
    work(&world).await;
    assert!(fetch(&world, look(&world, batch).await.output.unwrap()).await.contains(SSN));
    world.house.delete_file(&world.principal(), file).await.unwrap();
    for entry in std::fs::read_dir(world.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            for value in [SSN, "Zebulon", "patients.jsonl", "Ada Example"] {
                let stands = bytes.windows(value.len()).any(|window| window == value.as_bytes());
                assert!(!stands, "{value} in {}", path.display());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_goes_on_after_a_restart_wherever_it_stood() {
    // After so many rounds the program is another one.
    for rounds in 0..5 {
        let mut world = world().await;
        let batch = batch_of(&world, &[line("a", &format!("SSN {SSN}")), line("b", "hi")]).await;
        for _ in 0..rounds {
            world.house.work_on_batches().await.unwrap();
            world.clock.advance(90);
        }
        world = world.reopened().await;
        // What waits for its answer is not taken for interrupted.
        assert_eq!(world.house.sweep().await.unwrap(), 0, "after {rounds}");
        work(&world).await;
        let view = look(&world, batch).await;
        assert_eq!((view.status, view.lines), ("completed", (2, 2, 0)), "after {rounds}");
        let answers = by_name(&world, view.output).await;
        assert_eq!(said(&answers[0].1), format!("SSN {SSN}"), "after {rounds}");
        assert!(world.upstream.files().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_upload_leaves_again_as_new_exchanges() {
    let world = world().await;
    world.upstream.batching(Batching { lost_uploads: 1, ..Batching::default() });
    let batch = batch_of(&world, &[line("a", &format!("SSN {SSN}"))]).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!((view.status, view.lines), ("completed", (1, 1, 0)));
    // The first did not arrive, and its record says so; the second was answered.
    assert_eq!((count(&world, is_intent).await, count(&world, is_outcome).await), (2, 2));
    let outcomes: Vec<String> = world
        .events()
        .await
        .into_iter()
        .filter_map(|event| if let Event::Outcome(it) = event { Some(it.outcome) } else { None })
        .collect();
    assert_eq!(outcomes, ["upstream_failed", "answered"]);
    assert_eq!(world.house.sweep().await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrived_without_a_word_is_found_and_not_sent_twice() {
    for batching in [
        Batching { failing_uploads: 1, ..Batching::default() },
        Batching { failing_begins: 1, ..Batching::default() },
    ] {
        let world = world().await;
        world.upstream.batching(batching.clone());
        let batch = batch_of(&world, &[line("a", &format!("SSN {SSN}"))]).await;
        work(&world).await;
        let view = look(&world, batch).await;
        assert_eq!((view.status, view.lines), ("completed", (1, 1, 0)), "{batching:?}");
        assert_eq!(count(&world, is_intent).await, 1);
        let captured = world.upstream.captured();
        let posts = |path: &str| {
            captured.iter().filter(|it| it.method == "POST" && it.path == path).count()
        };
        assert_eq!((posts("/v1/files"), posts("/v1/batches")), (1, 1));
        assert!(world.upstream.files().is_empty(), "also the one that nobody spoke of");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vendor_that_is_down_fails_the_batch_after_some_tries() {
    let world = world().await;
    world.upstream.batching(Batching { lost_uploads: 100, ..Batching::default() });
    let batch = batch_of(&world, &[line("a", &format!("SSN {SSN}"))]).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!((view.status, view.problems[0].code.as_str()), ("failed", "upstream_failed"));
    assert_eq!(count(&world, is_intent).await, count(&world, is_outcome).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_that_fails_is_told_once_and_tried_until_it_is_done() {
    let world = world().await;
    world.upstream.batching(Batching { failing_deletes: 5, ..Batching::default() });
    let batch = batch_of(&world, &[line("a", "hi")]).await;
    work(&world).await;
    assert_eq!(look(&world, batch).await.status, "completed");
    assert!(world.upstream.files().is_empty());
    let failing = ("failing".to_owned(), Some("failed".to_owned()));
    let deleted = ("deleted".to_owned(), None);
    let told = of_files(&world).await;
    assert_eq!(told[1..], [failing.clone(), failing, deleted.clone(), deleted]);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_off_are_fetched_again_and_none_is_recorded_twice() {
    let world = world().await;
    world.upstream.batching(Batching { broken_outputs: 1, ..Batching::default() });
    let input: Vec<Value> = (0..40)
        .map(|at| line(&format!("line {at}"), &format!("SSN 219-09-{:04}", 1000 + at)))
        .collect();
    let batch = batch_of(&world, &input).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!(count(&world, is_outcome).await, 40);
    assert_eq!(view.lines, (40, 40, 0));
    for (name, line) in by_name(&world, view.output).await {
        let at: u32 = name.rsplit(' ').next().unwrap().parse().unwrap();
        assert_eq!(said(&line), format!("SSN 219-09-{:04}", 1000 + at));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_vendor_says_of_an_error_is_kept_nowhere() {
    let world = world().await;
    world.upstream.play(Script::by_request(|_, captured| {
        if captured.holds("wrong") {
            Reply::fault(Fault::Status { status: 400, retry_after: None })
        } else {
            Reply::echo()
        }
    }));
    let batch = batch_of(&world, &[line("a", "wrong Zyzzyva"), line("b", "right")]).await;
    work(&world).await;
    let view = look(&world, batch).await;
    assert_eq!(view.lines, (2, 1, 1));
    let errors = fetch(&world, view.errors.unwrap()).await;
    assert!(errors.contains("upstream_rejected") && !errors.contains("Zyzzyva"), "{errors}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_ends_early_delivers_what_was_answered() {
    for (ending, status) in
        [("expired", "expired"), ("cancelled", "cancelled"), ("failed", "failed")]
    {
        let world = world().await;
        world.upstream.batching(Batching { ending, answered: 1, ..Batching::default() });
        let batch = batch_of(&world, &[line("a", "one"), line("b", "two")]).await;
        work(&world).await;
        let view = look(&world, batch).await;
        assert_eq!((view.status, view.lines), (status, (2, 1, 1)), "{ending}");
        assert_eq!(by_name(&world, view.output).await[0].0, "b");
        assert_eq!(count(&world, is_outcome).await, 2);
        assert!(world.upstream.files().is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_cancels_a_batch_before_and_after_it_left() {
    let world = world().await;
    let early = batch_of(&world, &[line("a", "one")]).await;
    world.house.cancel_batch(&world.principal(), early).await.unwrap();
    assert_eq!(look(&world, early).await.status, "cancelling");
    work(&world).await;
    assert_eq!(look(&world, early).await.status, "cancelled");
    assert!(world.upstream.captured().is_empty());
    world.upstream.batching(Batching { looks: 1000, answered: 1, ..Batching::default() });
    let late = batch_of(&world, &[line("a", "one"), line("b", "two")]).await;
    world.house.work_on_batches().await.unwrap();
    assert_eq!(look(&world, late).await.status, "in_progress");
    world.house.cancel_batch(&world.principal(), late).await.unwrap();
    work(&world).await;
    let view = look(&world, late).await;
    assert_eq!((view.status, view.lines), ("cancelled", (2, 1, 1)));
    assert!(world.house.cancel_batch(&world.principal(), late).await.is_err(), "it is over");
}

#[tokio::test(flavor = "multi_thread")]
async fn where_digests_are_kept_no_file_is_taken() {
    let world = world().await;
    apply(&world, "[content]\nkeep = \"digests\"\n").await;
    let file = NewFile {
        principal: world.principal(),
        purpose: Text::from("batch"),
        name: Text::from("a.jsonl"),
        bytes: b"{}".to_vec(),
    };
    assert!(matches!(world.house.add_file(file).await, Err(Unserved::Refused(_))));
}
