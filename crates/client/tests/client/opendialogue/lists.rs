//! Lists, agent cards and the relay's memory: all of them anybody's to change or to read.

use std::{sync::Arc, time::Duration};

use ctalk::{
    Class, Error, Pairing,
    clock::{Clock, SystemClock},
    core::{Timestamp, pairing::Code, trust::Standing},
    relay::{Relay, RelayError, opendialogue::Agent},
};
use serde_json::json;

use super::{Peer, StandIn, clocks::Fast, saying, sealed, two};

fn now() -> Timestamp {
    Timestamp::from_millis(SystemClock.now().unsigned_abs()).unwrap()
}

#[tokio::test]
async fn whoever_is_blocked_is_told_so_until_it_no_longer_is() {
    let relay = StandIn::start().await;
    let (mut alice, bob) = two(&relay).await;
    let bobs = bob.adapter(&relay);
    bobs.block(alice.id(), Some("too loud")).await.unwrap();
    let error = alice.say("bob", "hello").await.unwrap_err();
    assert_eq!(error.class(), Class::RelayRefused);
    assert!(error.to_string().contains("blocked"), "{error}");
    let blocked = bobs.blocked().await.unwrap();
    assert_eq!(blocked.len(), 1);
    assert_eq!(blocked[0].agent, alice.id());
    assert_eq!(blocked[0].reason.as_deref(), Some("too loud"));
    bobs.unblock(alice.id()).await.unwrap();
    alice.say("bob", "hello").await.unwrap();
    assert!(bobs.blocked().await.unwrap().is_empty());
}

#[tokio::test]
async fn whoever_hears_only_listed_agents_hears_those() {
    let relay = StandIn::start().await;
    let (mut alice, bob) = two(&relay).await;
    let mut carol = Peer::register(&relay, "carol").await;
    carol.knows("bob", &bob);
    let bobs = bob.adapter(&relay);
    bobs.allow(alice.id()).await.unwrap();
    carol.say("bob", "while all are heard").await.unwrap();
    bobs.hear_only_allowed(true).await.unwrap();
    alice.say("bob", "hello").await.unwrap();
    let error = carol.say("bob", "hello").await.unwrap_err();
    assert!(error.to_string().contains("listed"), "{error}");
    let allowed = bobs.allowed().await.unwrap();
    assert!(allowed.is_enabled);
    assert_eq!(allowed.agents[0].agent, alice.id());
    bobs.disallow(alice.id()).await.unwrap();
    let error = alice.say("bob", "hello").await.unwrap_err();
    assert!(error.to_string().contains("listed"), "{error}");
    bobs.hear_only_allowed(false).await.unwrap();
    carol.say("bob", "hello").await.unwrap();
}

#[tokio::test]
async fn what_is_no_agent_is_put_on_no_list() {
    let relay = StandIn::start().await;
    let bob = Peer::register(&relay, "bob").await;
    let adapter = bob.adapter(&relay);
    for agent in ["", "bob", "1234567", "12345678/..", "１２３４５６７８"] {
        for answer in [
            adapter.block(agent, None).await,
            adapter.unblock(agent).await,
            adapter.allow(agent).await,
            adapter.disallow(agent).await,
            adapter.look_up(agent).await.map(|_| ()),
            adapter.end(agent).await,
        ] {
            let error = answer.unwrap_err();
            assert!(
                matches!(error, RelayError::Unsupported { .. }),
                "{agent}: {error}"
            );
        }
    }
    for conversation in ["", "a b", "../agent", "ä"] {
        assert!(
            adapter.history(conversation, 5).await.is_err(),
            "{conversation}"
        );
    }
}

#[tokio::test]
async fn the_relay_keeps_every_message_and_shows_the_last_ones_in_the_order_of_time() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    // No two messages have one time.
    let adapter = alice.adapter_with(&relay, Arc::new(Fast::new(20)));
    for _ in 0..5 {
        adapter.send(&saying(bob.id(), sealed())).await.unwrap();
    }
    let history = adapter.history(bob.id(), 3).await.unwrap();
    assert_eq!((history.messages.len(), history.total), (3, 5));
    assert!(
        history
            .messages
            .is_sorted_by_key(|message| message.timestamp)
    );
    assert_eq!(history.messages[0].from, alice.id());
    assert_eq!(history.messages[0].content, "ctalk2:AA");
    let conversation = relay.taken()[0]["conversation_id"]
        .as_str()
        .unwrap()
        .to_owned();
    let same = bob.adapter(&relay).history(&conversation, 3).await.unwrap();
    assert_eq!(same, history);
    let error = adapter.history("0000", 3).await.unwrap_err();
    assert!(
        matches!(error, RelayError::Refused { status: 404, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_conversation_that_is_ended_begins_again_with_the_next_message() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let adapter = alice.adapter(&relay);
    adapter.send(&saying(bob.id(), sealed())).await.unwrap();
    adapter.end(bob.id()).await.unwrap();
    adapter.send(&saying(bob.id(), sealed())).await.unwrap();
    assert_eq!(relay.waiting(bob.id()), 2);
}

#[tokio::test]
async fn a_key_card_takes_the_place_of_former_ones_and_leaves_the_rest() {
    let relay = StandIn::start().await;
    let alice = Peer::register(&relay, "alice").await;
    let adapter = alice.adapter(&relay);
    for _ in 0..2 {
        adapter.publish("alice", &alice.card, &[]).await.unwrap();
        let expected = json!(["text", alice.card.to_text()]);
        assert_eq!(relay.capabilities(alice.id()), expected);
    }
}

/// What bob sees of alice, who has published her card.
async fn seen(relay: &StandIn, alice: &Peer, bob: &Peer) -> Agent {
    let published = alice
        .adapter(relay)
        .publish("alice", &alice.card, &[])
        .await;
    published.unwrap();
    bob.adapter(relay).look_up(alice.id()).await.unwrap()
}

#[tokio::test]
async fn a_card_that_anybody_may_have_put_there_is_pinned_by_its_fingerprint_alone() {
    let relay = StandIn::start().await;
    let alice = Peer::register(&relay, "alice").await;
    let mut bob = Peer::register(&relay, "bob").await;
    let agent = seen(&relay, &alice, &bob).await;
    assert_eq!((agent.name.as_str(), agent.online), ("alice", false));
    let candidate = agent.candidate.unwrap();
    // Having seen it is no reason to send anything.
    let error = bob.say("alice", "hello").await.unwrap_err();
    assert!(matches!(error, Error::UnknownRecipient { .. }), "{error}");
    let store = bob.client.store_mut();
    assert!(store.contacts().unwrap().is_empty());
    let other = bob.card.fingerprint();
    let refused = candidate.accept(store, &bob.identity, None, other, now());
    assert!(
        matches!(refused, Err(Error::OtherFingerprint { .. })),
        "{refused:?}"
    );
    assert!(store.contacts().unwrap().is_empty());
    let told = alice.card.fingerprint();
    let contact = candidate
        .accept(store, &bob.identity, None, told, now())
        .unwrap();
    assert_eq!(contact.standing, Standing::Verified);
    assert_eq!(contact.address.as_deref(), Some(alice.id()));
    bob.say("alice", "hello").await.unwrap();
    assert_eq!(relay.waiting(alice.id()), 1);
}

#[tokio::test]
async fn a_card_that_somebody_put_in_anothers_place_is_not_taken_for_it() {
    let relay = StandIn::start().await;
    let (alice, mut bob) = two(&relay).await;
    let mallory = Peer::register(&relay, "mallory").await;
    relay.set_capabilities(alice.id(), json!(["text", mallory.card.to_text()]));
    let candidate = bob
        .adapter(&relay)
        .look_up(alice.id())
        .await
        .unwrap()
        .candidate
        .unwrap();
    let told = alice.card.fingerprint();
    let refused = candidate.accept(bob.client.store_mut(), &bob.identity, None, told, now());
    assert!(
        matches!(refused, Err(Error::OtherFingerprint { .. })),
        "{refused:?}"
    );
    // Nor does the client look there by itself: bob's pin stands.
    bob.say("alice", "hello").await.unwrap();
    let contact = bob.client.store().contact("alice").unwrap().unwrap();
    assert_eq!(&contact.keys, alice.card.public_keys());
}

#[tokio::test]
async fn of_what_is_no_card_or_several_there_is_no_candidate() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let card = alice.card.to_text();
    for capabilities in [
        json!(null),
        json!("text"),
        json!({}),
        json!([7, null]),
        json!(["ctalk-card:AAAA"]),
        json!([card, bob.card.to_text()]),
    ] {
        relay.set_capabilities(alice.id(), capabilities.clone());
        let agent = bob.adapter(&relay).look_up(alice.id()).await.unwrap();
        assert!(agent.candidate.is_none(), "{capabilities}");
    }
}

#[tokio::test]
async fn whoever_pairs_over_the_relay_is_verified_and_can_be_written_to() {
    const LIFE: Duration = Duration::from_secs(600);
    let relay = StandIn::start().await;
    let mut alice = Peer::register(&relay, "alice").await;
    let mut bob = Peer::register(&relay, "bob").await;
    let card = alice.card.clone();
    let (inviting, code) = Pairing::invite(&mut alice.client, card, Some("bob".to_owned()), LIFE)
        .await
        .unwrap();
    let (code, card) = (Code::parse(&code).unwrap(), bob.card.clone());
    let joining = Pairing::join(&mut bob.client, code, card, Some("alice".to_owned()), LIFE)
        .await
        .unwrap();
    let (bobs, alices) = tokio::join!(
        inviting.wait(&mut alice.client),
        joining.wait(&mut bob.client)
    );
    for (contact, other) in [(bobs.unwrap(), &bob), (alices.unwrap(), &alice)] {
        assert_eq!(contact.standing, Standing::Verified);
        assert_eq!(contact.address.as_deref(), Some(other.id()));
        assert_eq!(&contact.keys, other.card.public_keys());
    }
    bob.say("alice", "hello").await.unwrap();
}
