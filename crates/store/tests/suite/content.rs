//! Keys, surrogates, conversations, API keys, configuration, and who notices a change.

use crate::support::{House, TENANT, actor, add_tenant, started, time, unit};
use ledger::seal::{PerClass, WrappedKeys};
use ledger::{
    ApiKeyId, ContentClass, ContentKeyId, ConversationId, Disposal, Entry, Event, Hash, Journal,
    Receipt, SealedSurrogate, TenantId, Unit, Unrecorded, WrappedUnit,
};
use store::{ApiKeyRow, ConfigurationRow, Effect, Forgotten, KeyRole, NewDocument, Store};

impl House {
    async fn effect(&self, effect: Effect) -> Result<Receipt, Unrecorded> {
        self.tenant.append_with(started(), vec![effect]).await
    }

    fn api_key(&self, secret: &str) -> ApiKeyRow {
        ApiKeyRow {
            role: KeyRole::default(),
            id: ApiKeyId::mint(time(0), &self.entropy),
            secret_hash: Hash::of(secret.as_bytes()),
            owner: "program-a".into(),
            purpose: Some("treatment".into()),
            created: time(0),
            expires: Some(time(100)),
            revoked_at: None,
        }
    }
}

fn configuration(version: u64) -> ConfigurationRow {
    let bytes = format!("version = {version}").into_bytes();
    ConfigurationRow { version, sha256: Hash::of(&bytes), applied_at: time(1), bytes }
}

fn document() -> NewDocument {
    NewDocument {
        agreement: "baa-example".into(),
        key: ContentKeyId::from_bytes([7; 16]),
        sha256: Hash::of(b"document"),
        sealed: b"sealed document".to_vec(),
    }
}

#[tokio::test]
async fn a_document_is_kept_with_its_record_and_only_forgotten() {
    let house = House::new().await;
    let receipt = house.effect(Effect::AddDocument(document())).await.unwrap();
    let [row] = &house.tenant.documents().await.unwrap()[..] else { panic!() };
    assert_eq!((row.seq, row.key, row.kept), (receipt.seq, document().key, true));
    assert_eq!(ledger::tree::leaf_hash(&row.record), receipt.leaf, "the bytes of the record");
    let sealed = house.tenant.document(receipt.seq).await.unwrap();
    assert_eq!(sealed, Some(document().sealed));
    for statement in [
        "UPDATE documents SET sealed = x'00'",
        "UPDATE documents SET sealed = NULL, agreement = 'other'",
        "UPDATE documents SET sealed = NULL, record = x'00'",
        "DELETE FROM documents",
        "INSERT OR REPLACE INTO documents
            SELECT tenant, seq, agreement, key, sha256, record, x'00' FROM documents",
    ] {
        let error = house.sql(statement).unwrap_err();
        assert!(error.to_string().contains("only filed and forgotten"), "{statement}: {error}");
    }
    let gone = house.tenant.append(disposed(Disposal::Before(time(0).day()))).await.unwrap();
    house.tenant.forget(gone.seq, vec![Forgotten::Document(document().key)]).await.unwrap();
    let [forgotten] = &house.tenant.documents().await.unwrap()[..] else { panic!() };
    assert_eq!(*forgotten, store::DocumentRow { kept: false, ..row.clone() });
    assert_eq!(house.tenant.document(receipt.seq).await.unwrap(), None);
}

#[tokio::test]
async fn a_conversation_comes_with_its_units_and_its_living_surrogates() {
    let house = House::new().await;
    let conversation = ConversationId::mint(time(0), &house.entropy);
    let of = |unit: WrappedUnit| WrappedUnit { conversation: Some(conversation), ..unit };
    let (first, second) = (of(unit(&house.entropy).1), of(unit(&house.entropy).1));
    let surrogate = |of: &WrappedUnit, sealed: &[u8], expires| SealedSurrogate {
        conversation,
        unit: of.id,
        sealed: sealed.to_vec(),
        expires: time(expires),
    };
    let surrogates = vec![
        surrogate(&first, b"one", 10),
        surrogate(&first, b"two", 20),
        surrogate(&second, b"three", 20),
    ];
    let entry = Entry { unit: Some(first.clone()), surrogates, ..started() };
    house.tenant.append(entry).await.unwrap();
    let entry = Entry { unit: Some(second.clone()), ..started() };
    house.tenant.append(entry).await.unwrap();

    assert_eq!(house.tenant.unit(first.id).await.unwrap().as_ref(), Some(&first));
    let mut newest_first = [first.clone(), second];
    newest_first.sort_by_key(|unit| std::cmp::Reverse(unit.id));
    assert_eq!(house.tenant.units_of(conversation).await.unwrap(), newest_first);
    let living =
        async |now| house.tenant.surrogates(conversation, first.id, time(now)).await.unwrap();
    assert_eq!(living(9).await, [b"one", b"two"]);
    assert_eq!(living(10).await, [b"two"], "from `expires` on it is gone");
    assert_eq!(house.tenant.purge_surrogates(time(10)).await.unwrap(), 1);
    assert_eq!(living(0).await, [b"two"]);
    assert_eq!(living(20).await, Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn nothing_is_put_on_a_shelf_that_was_closed() {
    let house = House::new().await;
    let (first, second) = (unit(&house.entropy).1, unit(&house.entropy).1);
    let second = WrappedUnit { shelf: first.shelf, ..second };
    house.tenant.append(Entry { unit: Some(first.clone()), ..started() }).await.unwrap();
    house.tenant.close_shelf(first.shelf).await.unwrap();
    let refused = house.tenant.append(Entry { unit: Some(second), ..started() }).await;
    assert_eq!(refused, Err(Unrecorded::Conflict));
    assert_eq!(house.tenant.units_on(first.shelf, None).await.unwrap(), [first]);
}

fn disposed(scope: Disposal) -> Entry {
    let event = Event::Disposed {
        actor: actor(),
        scope,
        classes: ContentClass::ALL.to_vec(),
        authority: "schedule".into(),
        reason: "retention".into(),
        count: 1,
        held: 0,
        sha256: None,
    };
    Entry::bare(time(5), event)
}

fn hold(name: &str, unit: Option<Unit>) -> Entry {
    let (hold, authority) = (name.into(), "Example Court".into());
    Entry::bare(time(4), Event::HoldPlaced { actor: actor(), hold, unit, authority })
}

fn release(name: &str) -> Entry {
    let (hold, authority) = (name.into(), "Example Court".into());
    Entry::bare(time(6), Event::HoldReleased { actor: actor(), hold, authority })
}

#[tokio::test]
async fn a_disposal_stays_open_until_what_it_destroyed_is_forgotten() {
    let house = House::new().await;
    let conversation = ConversationId::mint(time(0), &house.entropy);
    let (first, second) = (unit(&house.entropy).1, unit(&house.entropy).1);
    for unit in [&first, &second] {
        house.tenant.append(Entry { unit: Some(unit.clone()), ..started() }).await.unwrap();
    }
    let receipt =
        house.tenant.append(disposed(Disposal::Conversation(conversation))).await.unwrap();
    let open = house.tenant.open_disposals().await.unwrap();
    assert_eq!(open.iter().map(|disposal| disposal.seq).collect::<Vec<_>>(), [receipt.seq]);

    let answers = PerClass { answers: true, ..PerClass::default() };
    let all = PerClass::make(|_| true);
    let forgotten = vec![Forgotten::Unit(first.id, answers), Forgotten::Shelf(second.shelf, all)];
    house.tenant.forget(receipt.seq, forgotten).await.unwrap();
    assert_eq!(house.tenant.open_disposals().await.unwrap(), []);
    let keys = house.tenant.unit(first.id).await.unwrap().unwrap().keys;
    assert_eq!(keys, WrappedKeys { answers: None, ..first.keys });
    let keys = house.tenant.unit(second.id).await.unwrap().unwrap().keys;
    assert_eq!(keys, WrappedKeys::default());
}

#[tokio::test]
async fn a_hold_is_in_the_way_of_disposing_of_what_it_covers() {
    let house = House::new().await;
    let conversation = ConversationId::mint(time(0), &house.entropy);
    let exchange = house.exchange();
    let (of_conversation, of_exchange) =
        (Unit::Conversation(conversation), Unit::Exchange(exchange));
    house.tenant.append(hold("matter-1", Some(of_conversation))).await.unwrap();
    let refused = house.tenant.append(disposed(of_conversation.into())).await;
    assert_eq!(refused, Err(Unrecorded::Conflict));
    house.tenant.append(disposed(of_exchange.into())).await.unwrap();
    house.tenant.append(disposed(Disposal::Before(time(0).day()))).await.unwrap();

    house.tenant.append(hold("matter-2", None)).await.unwrap();
    for scope in [of_exchange.into(), Disposal::Before(time(0).day())] {
        assert_eq!(house.tenant.append(disposed(scope)).await, Err(Unrecorded::Conflict));
    }
    house.tenant.append(release("matter-2")).await.unwrap();
    house.tenant.append(disposed(of_exchange.into())).await.unwrap();

    for again in [hold("matter-1", None), hold("matter-2", None), release("matter-2"), release("x")]
    {
        assert_eq!(house.tenant.append(again).await, Err(Unrecorded::Conflict));
    }
    let holds = house.tenant.holds().await.unwrap();
    let shown: Vec<_> = holds.iter().map(|hold| (&*hold.name, hold.unit, hold.released)).collect();
    let expected = [("matter-1", Some(of_conversation), None), ("matter-2", None, Some(time(6)))];
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn one_organisation_sees_nothing_of_another() {
    let house = House::new().await;
    let other = TenantId::from_bytes([8; 16]);
    let keys = add_tenant(&house.store, other, &house.entropy).await;
    let theirs = house.store.tenant(other);
    theirs.append_with(started(), vec![Effect::AddApiKey(house.api_key("s"))]).await.unwrap();
    theirs.append_with(started(), vec![Effect::AddConfiguration(configuration(1))]).await.unwrap();
    let filed = theirs.append_with(started(), vec![Effect::AddDocument(document())]).await.unwrap();

    assert_eq!(house.tenant.api_keys().await.unwrap(), []);
    assert_eq!(house.tenant.configuration().await.unwrap(), None);
    assert_eq!(house.tenant.unit(keys.id()).await.unwrap(), None);
    assert_eq!(house.tenant.documents().await.unwrap(), []);
    assert_eq!(house.tenant.document(filed.seq).await.unwrap(), None);
    let gone = house.tenant.append(disposed(Disposal::Before(time(0).day()))).await.unwrap();
    house.tenant.forget(gone.seq, vec![Forgotten::Document(document().key)]).await.unwrap();
    assert_eq!(theirs.document(filed.seq).await.unwrap(), Some(document().sealed));
    assert_eq!(house.tenant.head().await.unwrap().size(), 2);
    let id = theirs.api_keys().await.unwrap()[0].id;
    assert!(house.effect(Effect::RevokeApiKey { id, at: time(5) }).await.is_err());
    let names: Vec<_> = house.store.tenants().await.unwrap().iter().map(|row| row.id).collect();
    assert_eq!(names, [TENANT, other]);
}

#[tokio::test]
async fn an_api_key_is_kept_as_given_and_ended_once() {
    let house = House::new().await;
    let row = house.api_key("secret");
    house.effect(Effect::AddApiKey(row.clone())).await.unwrap();
    assert_eq!(house.tenant.api_keys().await.unwrap(), std::slice::from_ref(&row));
    assert!(house.effect(Effect::AddApiKey(house.api_key("secret"))).await.is_err(), "same secret");

    let revoke = Effect::RevokeApiKey { id: row.id, at: time(5) };
    house.effect(revoke.clone()).await.unwrap();
    assert!(house.effect(revoke).await.is_err(), "ended already");
    let ended = ApiKeyRow { revoked_at: Some(time(5)), ..row };
    assert_eq!(house.tenant.api_keys().await.unwrap(), [ended]);
    assert_eq!(house.tenant.head().await.unwrap().size(), 3, "what is refused leaves no record");
}

#[tokio::test]
async fn configurations_are_numbered_without_gaps_and_all_kept() {
    let house = House::new().await;
    let add = |version| house.effect(Effect::AddConfiguration(configuration(version)));
    assert!(add(2).await.is_err(), "a version skipped");
    add(1).await.unwrap();
    assert!(add(1).await.is_err(), "a version taken");
    add(2).await.unwrap();
    assert!(add(u64::MAX).await.is_err());
    assert_eq!(house.tenant.configuration().await.unwrap(), Some(configuration(2)));
    assert_eq!(house.tenant.configuration_version(1).await.unwrap(), Some(configuration(1)));
    assert_eq!(house.tenant.configuration_version(u64::MAX).await.unwrap(), None);
    let versions = house.tenant.configurations().await.unwrap();
    assert_eq!(versions.iter().map(|row| row.version).collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn the_change_counter_sees_what_another_process_changed_and_ignores_appends() {
    let house = House::new().await;
    let before = house.store.change_counter().await.unwrap();
    house.tenant.append(started()).await.unwrap();
    assert_eq!(house.store.change_counter().await.unwrap(), before);

    let other = Store::open(house.path()).unwrap();
    let effects = vec![Effect::AddApiKey(house.api_key("secret"))];
    other.tenant(TENANT).append_with(started(), effects).await.unwrap();
    assert_eq!(house.store.change_counter().await.unwrap(), before + 1);
    house.effect(Effect::AddConfiguration(configuration(1))).await.unwrap();
    assert_eq!(house.store.change_counter().await.unwrap(), before + 2);
}
