//! What a relay that lies achieves, and what its victim is told.

use ctalk::{Class, Error, Reason, Trust, core::Fingerprint};
use ctalk_relay::testing::Lie;
use serde_json::{Value, json};

use crate::{
    agents::{body, new_identity, rng},
    scene::{DAY, NOW, Native, Scene, sign},
};

/// A scene in which both know each other.
async fn acquainted() -> Scene {
    let mut scene = Scene::new().await;
    say(&mut scene, "hello").await.unwrap();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    reply(&mut scene, "hello").await;
    assert_eq!(scene.alice.receive().await.0.len(), 1);
    scene
}

async fn say(scene: &mut Scene, text: &str) -> Result<ctalk::Sent, Error> {
    scene.alice.say("bob", text).await
}

async fn reply(scene: &mut Scene, text: &str) {
    scene.bob.say("alice", text).await.unwrap();
}

/// What the relay would show for bob if mallory were him.
fn mallory_as_bob() -> (Fingerprint, Lie) {
    let identity = new_identity();
    let xwing = ctalk::core::XWingSecret::generate(&mut rng());
    let card = sign(&identity, &xwing, "bob", 9, NOW);
    let lie = Lie::Entry {
        agent: "bob".to_owned(),
        public_key: identity.public_keys().encryption().to_base64(),
        signing_key: identity.public_keys().verifying().to_base64(),
        capabilities: vec![card.to_text()],
    };
    (identity.public_keys().fingerprint(), lie)
}

#[tokio::test]
async fn swapped_keys_are_never_sealed_to_and_named_at_the_next_look() {
    let mut scene = acquainted().await;
    let (offered, lie) = mallory_as_bob();
    scene.relay.lie([lie]);
    // The card that is held counts; the directory is not asked within a day.
    say(&mut scene, "still for bob").await.unwrap();
    scene.clock.advance(DAY);
    let before = scene.relay.stored().len();
    let error = say(&mut scene, "secret").await.unwrap_err();
    let Error::KeyChanged { name, change, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!((name.as_str(), change.offered), ("bob", offered));
    assert_eq!(error.class(), Class::NotTrusted);
    assert_eq!(scene.relay.stored().len(), before, "nothing was sent");
    // What bob signs is believed all the same.
    reply(&mut scene, "it is me").await;
    let (messages, set_aside) = scene.alice.receive().await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["it is me"]);
    assert!(set_aside.is_empty(), "{set_aside:?}");
}

#[tokio::test]
async fn an_old_card_changes_nothing() {
    let mut scene = acquainted().await;
    let old = scene.bob.card.clone();
    let key = ctalk::core::XWingSecret::generate(&mut rng());
    let newer = sign(&scene.bob.agent.identity, &key, "bob", 2, NOW);
    let entry = |card: &ctalk::core::Card| Lie::Entry {
        agent: "bob".to_owned(),
        public_key: card.public_keys().encryption().to_base64(),
        signing_key: card.public_keys().verifying().to_base64(),
        capabilities: vec![card.to_text()],
    };
    for card in [&newer, &old] {
        scene.relay.lie([entry(card)]);
        scene.clock.advance(DAY);
        say(&mut scene, "x").await.unwrap();
        let held = scene.alice.contact("bob").unwrap().card;
        assert_eq!(held.as_ref(), Some(&newer));
    }
}

#[tokio::test]
async fn a_renamed_agent_keeps_its_name_here_and_the_relays_word_is_shown_beside_it() {
    let mut scene = acquainted().await;
    scene.relay.lie([Lie::Rename {
        agent: "bob".to_owned(),
        name: "carol".to_owned(),
    }]);
    reply(&mut scene, "who am I?").await;
    let message = scene.alice.receive().await.0.remove(0);
    assert_eq!(message.from.as_deref(), Some("bob"));
    assert_eq!(message.relay_from, "carol");
    scene.clock.advance(DAY);
    let error = say(&mut scene, "where are you?").await.unwrap_err();
    assert!(matches!(error, Error::UnknownRecipient { .. }), "{error}");
}

#[tokio::test]
async fn injected_messages_are_set_aside_with_the_reason() {
    let mut scene = acquainted().await;
    let plain = |from: &str| {
        json!({"id": from, "from": from, "to": "bob", "type": "request", "encrypted": false,
               "payload": {"text": "obey"}, "ts": "2026-01-01T00:00:00.000Z"})
    };
    scene.relay.inject("bob", &plain("alice").to_string());
    assert_eq!(scene.one_refused().await.reason, Reason::Downgrade);
    // In nobody's name it is what it is, and never more.
    scene.relay.inject("bob", &plain("stranger").to_string());
    let message = scene.bob.receive().await.0.remove(0);
    assert_eq!((message.from, message.trust), (None, Trust::Plaintext));
}

#[tokio::test]
async fn a_replayed_envelope_is_handed_over_once() {
    let mut scene = acquainted().await;
    scene.relay.lie([Lie::Replay]);
    say(&mut scene, "pay once").await.unwrap();
    let mut handed_over = Vec::new();
    for _ in 0..3 {
        let (messages, set_aside) = scene.bob.receive().await;
        handed_over.extend(messages.iter().map(body));
        assert!(set_aside.is_empty(), "{set_aside:?}");
    }
    assert_eq!(handed_over, ["pay once"]);
}

#[tokio::test]
async fn reordered_envelopes_still_say_when_they_were_sealed() {
    let mut scene = acquainted().await;
    for text in ["first", "second"] {
        scene.clock.advance(1000);
        say(&mut scene, text).await.unwrap();
    }
    scene.relay.lie([Lie::Reorder]);
    let (mut messages, _) = scene.bob.receive().await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["second", "first"]
    );
    messages.sort_by(|one, other| one.created.cmp(&other.created));
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["first", "second"]
    );
}

#[tokio::test]
async fn a_withheld_envelope_comes_within_its_life_or_not_at_all() {
    let mut scene = acquainted().await;
    let withhold = Lie::Withhold {
        from: "alice".to_owned(),
    };
    scene.relay.lie([withhold.clone()]);
    say(&mut scene, "in time").await.unwrap();
    assert!(scene.bob.receive().await.0.is_empty());
    scene.clock.advance(6 * DAY);
    scene.relay.lie([]);
    assert_eq!(scene.bob.receive().await.0.len(), 1);

    scene.relay.lie([withhold]);
    say(&mut scene, "too late").await.unwrap();
    scene.clock.advance(8 * DAY);
    scene.relay.lie([]);
    let refused = scene.one_refused().await;
    assert_eq!(refused.reason, Reason::Expired);
    assert_eq!(refused.reason.class(), Class::Refused);
}

#[tokio::test]
async fn a_readdressed_envelope_opens_for_its_recipient_alone() {
    let mut scene = acquainted().await;
    scene.relay.lie([Lie::Readdress {
        to: "carol".to_owned(),
    }]);
    say(&mut scene, "for bob").await.unwrap();
    let stored = scene.relay.stored();
    let message = scene.bob.receive().await.0.remove(0);
    assert_eq!(message.to, "bob", "whatever the relay writes");

    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let mut forwarded: Value = serde_json::from_str(stored.last().unwrap()).unwrap();
    forwarded["id"] = json!("forwarded");
    scene.relay.inject("carol", &forwarded.to_string());
    let (messages, set_aside) = carol.receive().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::CannotOpen);
}

#[tokio::test]
async fn two_identities_under_one_name_are_ambiguous_for_strangers_only() {
    let mut scene = acquainted().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    Native::register(&scene.relay, "mallory", &scene.clock, true).await;
    scene.relay.lie([Lie::ListTwice {
        agent: "bob".to_owned(),
        keys_of: "mallory".to_owned(),
    }]);
    let error = carol.say("bob", "which of you?").await.unwrap_err();
    assert!(matches!(error, Error::AmbiguousName { .. }), "{error}");
    assert_eq!(error.class(), Class::NotTrusted);
    // Who knows bob is not confused: by his messages, or while his card is fresh.
    reply(&mut scene, "it is me").await;
    assert_eq!(scene.alice.receive().await.0.len(), 1);
    say(&mut scene, "still for bob").await.unwrap();
    scene.clock.advance(DAY);
    let error = say(&mut scene, "which of you?").await.unwrap_err();
    assert!(matches!(error, Error::AmbiguousName { .. }), "{error}");
}
