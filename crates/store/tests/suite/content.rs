//! Keys, surrogates, conversations, API keys, configuration, and who notices a change.

use crate::support::{House, TENANT, add_tenant, started, time};
use ledger::seal::ContentKey;
use ledger::{
    ApiKeyId, ConversationId, Entry, Hash, Journal, Receipt, SealedSurrogate, TenantId, Unrecorded,
};
use store::{ApiKeyRow, ConfigurationRow, Effect, Store};

impl House {
    async fn effect(&self, effect: Effect) -> Result<Receipt, Unrecorded> {
        self.tenant.append_with(started(), vec![effect]).await
    }

    fn api_key(&self, secret: &str) -> ApiKeyRow {
        ApiKeyRow {
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

#[tokio::test]
async fn a_conversation_comes_with_its_key_and_its_living_surrogates() {
    let house = House::new().await;
    let conversation = ConversationId::mint(time(0), &house.entropy);
    let key = ContentKey::generate(time(0), &house.entropy);
    let wrapped = house.key.wrap(&key, time(0), &house.entropy);
    let surrogate = |sealed: &[u8], expires| SealedSurrogate {
        conversation,
        sealed: sealed.to_vec(),
        expires: time(expires),
    };
    let entry = Entry {
        keys: vec![wrapped.clone()],
        surrogates: vec![surrogate(b"one", 10), surrogate(b"two", 20)],
        ..started()
    };
    let effects = vec![Effect::AddConversation { id: conversation, key: key.id() }];
    house.tenant.append_with(entry, effects).await.unwrap();

    assert_eq!(house.tenant.content_key(key.id()).await.unwrap(), Some(wrapped.clone()));
    assert_eq!(
        house.tenant.conversation(conversation).await.unwrap(),
        Some((conversation, wrapped))
    );
    let living = async |now| house.tenant.surrogates(conversation, time(now)).await.unwrap();
    assert_eq!(living(9).await, [b"one", b"two"]);
    assert_eq!(living(10).await, [b"two"], "from `expires` on it is gone");
    assert_eq!(house.tenant.purge_surrogates(time(10)).await.unwrap(), 1);
    assert_eq!(living(0).await, [b"two"]);
    assert_eq!(living(20).await, Vec::<Vec<u8>>::new());
}

#[tokio::test]
async fn one_organisation_sees_nothing_of_another() {
    let house = House::new().await;
    let other = TenantId::from_bytes([8; 16]);
    let key = add_tenant(&house.store, other, &house.entropy).await;
    let theirs = house.store.tenant(other);
    theirs.append_with(started(), vec![Effect::AddApiKey(house.api_key("s"))]).await.unwrap();
    theirs.append_with(started(), vec![Effect::AddConfiguration(configuration(1))]).await.unwrap();

    assert_eq!(house.tenant.api_keys().await.unwrap(), []);
    assert_eq!(house.tenant.configuration().await.unwrap(), None);
    assert_eq!(house.tenant.content_key(key.id()).await.unwrap(), None);
    assert_eq!(house.tenant.head().await.unwrap().size(), 1);
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
