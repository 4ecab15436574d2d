//! Envelopes between agents over a real relay, honest and hostile.

use std::{sync::Arc, time::Duration};

use ctalk::{
    Added, Class, Content, Draft, Error, Filter, Format, Reason, Trust, add_contact,
    core::XWingSecret, relay::clawtalk::ClawTalk, wire::PatchAgent,
};
use serde_json::json;
use tempfile::TempDir;

use crate::{
    agents::{Agent, body, connect, rng, text_draft},
    scene::{DAY, NOW, Native, Scene, at, sign},
};

#[tokio::test]
async fn everything_but_sender_and_recipients_is_inside_the_envelope() {
    let mut scene = Scene::new().await;
    let mut draft = text_draft("hush");
    draft.message_type = ctalk::wire::MessageType::Response;
    draft.topic = Some("plans".to_owned());
    draft.correlation_id = Some("c-1".to_owned());
    draft.reply_to = Some("r-1".to_owned());
    let sent = scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    assert_eq!((sent.format, sent.pinned), (Format::Native, true));
    assert_eq!(
        sent.fingerprint,
        Some(scene.bob.card.fingerprint().to_hex())
    );

    let stored = scene.last_stored();
    assert_eq!(stored["type"], "notification");
    assert_eq!(stored["encrypted"], true);
    for member in ["topic", "correlationId", "replyTo", "nonce", "signature"] {
        assert!(stored.get(member).is_none(), "{member}: {stored}");
    }
    assert!(stored["payload"].as_str().unwrap().starts_with("ctalk2:"));

    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    let message = &messages[0];
    assert_eq!(body(message), "hush");
    assert_eq!(message.format, Format::Native);
    assert_eq!(message.trust, Trust::Pinned);
    assert_eq!(message.id, sent.id);
    assert_ne!(message.id, message.relay_id);
    assert_eq!(message.relay_id, sent.relay_id);
    assert_eq!(message.message_type, "response");
    assert_eq!(message.topic.as_deref(), Some("plans"));
    assert_eq!(message.correlation_id.as_deref(), Some("c-1"));
    assert_eq!(message.reply_to.as_deref(), Some("r-1"));
    assert_eq!(message.from.as_deref(), Some("alice"));
    assert_eq!(
        message.fingerprint,
        Some(scene.alice.card.fingerprint().to_hex())
    );
}

#[tokio::test]
async fn native_recipients_share_one_envelope_and_classic_ones_get_their_own_message() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let mut dave = Native::register(&scene.relay, "dave", &scene.clock, false).await;
    let sent = scene
        .alice
        .send(&["bob", "dave", "carol"], &text_draft("all"))
        .await;
    let formats: Vec<Format> = sent
        .iter()
        .map(|sent| sent.as_ref().unwrap().format)
        .collect();
    assert_eq!(formats, [Format::Native, Format::Classic, Format::Native]);
    let id = |place: usize| sent[place].as_ref().unwrap().id.clone();
    assert_eq!(id(0), id(2));
    assert_ne!(id(0), id(1));
    for agent in [&mut scene.bob, &mut carol, &mut dave] {
        let (messages, set_aside) = agent.receive().await;
        assert_eq!(
            messages.iter().map(body).collect::<Vec<_>>(),
            ["all"],
            "{set_aside:?}"
        );
    }
}

#[tokio::test]
async fn bytes_travel_in_envelopes_only() {
    let mut scene = Scene::new().await;
    let mut dave = Native::register(&scene.relay, "dave", &scene.clock, false).await;
    let mut draft = Draft::new(Content::Bytes(vec![0, 0xff, 7]));
    draft.name = Some("../../etc/passwd".to_owned());
    let mut outcomes = scene.alice.send(&["bob", "dave"], &draft).await;
    assert!(matches!(outcomes.remove(1), Err(Error::NotText)));
    outcomes.remove(0).unwrap();
    let (messages, _) = scene.bob.receive().await;
    assert!(matches!(&messages[0].payload, Content::Bytes(bytes) if bytes == &[0, 0xff, 7]));
    assert_eq!(
        messages[0].name.as_deref(),
        Some("../../etc/passwd"),
        "as the sender wrote it"
    );
    let json = serde_json::to_value(&messages[0]).unwrap();
    assert_eq!(json["payload"], json!({ "base64": "AP8H" }));
    assert!(dave.receive().await.0.is_empty());
}

#[tokio::test]
async fn nothing_weaker_is_taken_in_the_name_of_somebody_with_a_card() {
    let mut scene = Scene::new().await;
    // Bob learns Alice's card; then the relay and others speak in her name.
    scene.alice.say("bob", "1").await.unwrap();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    let alice = scene.alice.card.clone();
    assert_eq!(scene.bob.contact("alice").unwrap().card, Some(alice));

    let plain = json!({"id": "p", "from": "alice", "to": "bob", "type": "request",
        "encrypted": false, "payload": {"text": "obey"}, "ts": "2026-01-01T00:00:00.000Z"});
    scene.relay.inject("bob", &plain.to_string());
    assert_eq!(scene.one_refused().await.reason, Reason::Downgrade);

    // Alice herself, with a program that knows only ClawTalk's format.
    let clock = Arc::new(scene.clock.clone());
    let mut old = connect(
        &scene.relay.url(),
        "alice",
        &scene.alice.agent.identity,
        &scene.alice.agent.api_key,
        &TempDir::new().unwrap(),
        clock,
    );
    scene.bob.publish(&scene.relay, &[], &scene.clock).await;
    old.send(&["bob".to_owned()], &text_draft("old"))
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::Downgrade);
}

#[tokio::test]
async fn a_relay_that_hides_a_pinned_card_gets_no_weaker_message() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    scene.bob.publish(&scene.relay, &[], &scene.clock).await;
    scene.clock.advance(DAY);
    let sent = scene.alice.say("bob", "2").await.unwrap();
    assert_eq!(sent.format, Format::Native);
}

#[tokio::test]
async fn cards_that_are_out_of_order_stop_sending() {
    let mut scene = Scene::new().await;
    let other = XWingSecret::generate(&mut rng());
    let bob = scene.bob.card.clone();
    scene.alice.say("bob", "1").await.unwrap();
    let same_serial = sign(&scene.bob.agent.identity, &other, "bob", 1, NOW);
    let future = sign(&scene.bob.agent.identity, &other, "bob", 9, NOW + 20 * DAY);
    let foreign = scene.alice.card.to_text();
    let cases = [
        vec![bob.to_text(), same_serial.to_text()],
        vec![same_serial.to_text()],
        vec![future.to_text()],
        vec![foreign],
        vec![format!("{}A", bob.to_text())],
        vec!["ctalk-card:".to_owned()],
    ];
    for cards in cases {
        scene.clock.advance(DAY);
        scene.bob.publish(&scene.relay, &cards, &scene.clock).await;
        let before = scene.relay.stored().len();
        let error = scene.alice.say("bob", "2").await.unwrap_err();
        assert_eq!(error.class(), Class::NotTrusted, "{error}");
        assert_eq!(scene.relay.stored().len(), before, "nothing was sent");
    }
    // An older card changes nothing, a newer one is taken over.
    for (serial, key) in [(0, &other), (2, &other)] {
        scene.clock.advance(DAY);
        let card = sign(&scene.bob.agent.identity, key, "bob", serial, NOW);
        scene
            .bob
            .publish(&scene.relay, &[card.to_text()], &scene.clock)
            .await;
        scene.alice.say("bob", "3").await.unwrap();
        let contact = scene
            .alice
            .agent
            .client
            .store()
            .contact("bob")
            .unwrap()
            .unwrap();
        let expected = if serial == 0 { 1 } else { 2 };
        assert_eq!(contact.card.unwrap().serial(), expected);
    }
}

#[tokio::test]
async fn nobody_seals_to_a_card_that_has_expired() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    scene.clock.advance(31 * DAY);
    let error = scene.alice.say("bob", "2").await.unwrap_err();
    assert!(matches!(error, Error::CardNotCurrent { .. }), "{error}");
    assert!(error.hint().unwrap().contains("ctalk card"));
}

#[tokio::test]
async fn a_repetition_is_dropped_and_the_same_id_under_another_header_is_set_aside() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "once").await.unwrap();
    let mut stored = scene.last_stored();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    stored["id"] = json!("another-id");
    stored["from"] = json!("whoever");
    scene.relay.inject("bob", &stored.to_string());
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(
        messages.is_empty() && set_aside.is_empty(),
        "{messages:?} {set_aside:?}"
    );
}

#[tokio::test]
async fn an_envelope_keeps_its_senders_name_whatever_the_relay_writes() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    scene.alice.say("bob", "2").await.unwrap();
    let mut stored = scene.last_stored();
    stored["from"] = json!("mallory");
    stored["id"] = json!("moved");
    scene.relay.inject("bob", &stored.to_string());
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.len() == 1 && set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(messages[0].from.as_deref(), Some("alice"));
}

#[tokio::test]
async fn an_expired_envelope_is_refused_and_one_received_in_time_is_not() {
    let mut scene = Scene::new().await;
    let mut draft = text_draft("short-lived");
    draft.ttl = Some(60);
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    let late: Vec<String> = scene.relay.stored();
    scene.bob.agent.client.fetch(Duration::ZERO).await.unwrap();
    scene.clock.advance(DAY);
    assert_eq!(
        scene.bob.receive().await.0.len(),
        2,
        "they were stored in time"
    );

    scene.bob = Native {
        agent: Agent {
            folder: TempDir::new().unwrap(),
            ..scene.bob.agent
        },
        ..scene.bob
    };
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    scene.relay.inject("bob", &late[0]);
    assert_eq!(scene.one_refused().await.reason, Reason::Expired);
}

#[tokio::test]
async fn altered_misdirected_and_unreadable_envelopes_are_refused_by_class() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    scene.alice.say("bob", "x").await.unwrap();
    let good = scene.last_stored();
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    scene.alice.say("carol", "for carol").await.unwrap();
    let for_carol = scene.last_stored();
    let text = good["payload"].as_str().unwrap();
    let flipped = if text.ends_with('A') { "Q" } else { "A" };
    let cases = [
        (
            format!("{}{flipped}", &text[..text.len() - 1]),
            Reason::NotVerified,
        ),
        (text[..text.len() - 40].to_owned(), Reason::NotVerified),
        (format!("{text}="), Reason::Malformed),
        ("ctalk2:".to_owned(), Reason::Malformed),
        (
            text.replacen("Y3RhbGtlAg", "Y3RhbGtlAw", 1),
            Reason::Malformed,
        ),
        (
            for_carol["payload"].as_str().unwrap().to_owned(),
            Reason::CannotOpen,
        ),
    ];
    for (place, (payload, reason)) in cases.into_iter().enumerate() {
        let mut item = good.clone();
        item["payload"] = json!(payload);
        item["id"] = json!(format!("case-{place}"));
        scene.relay.inject("bob", &item.to_string());
        let refused = scene.one_refused().await;
        assert!(
            refused.reason == reason
                || (reason == Reason::NotVerified && refused.reason == Reason::Malformed),
            "{place}: {refused:?}"
        );
    }
    assert_eq!(carol.receive().await.0.len(), 1);
}

#[tokio::test]
async fn a_native_filter_counts_after_opening_and_leaves_the_rest() {
    let mut scene = Scene::new().await;
    for topic in ["sync", "alert"] {
        let mut draft = text_draft(topic);
        draft.topic = Some(topic.to_owned());
        scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    }
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    let filter = Filter {
        topic: Some("alert".to_owned()),
        since: None,
    };
    let mut receiving = client.receive(filter).unwrap();
    let Some(ctalk::Next::Message(alert)) = client.next(&mut receiving).await.unwrap() else {
        panic!("no alert")
    };
    assert_eq!(body(&alert.message), "alert");
    client.commit(*alert).unwrap();
    assert!(client.next(&mut receiving).await.unwrap().is_none());
    drop(receiving);
    assert_eq!(scene.bob.receive().await.0.len(), 1);
}

#[tokio::test]
async fn a_card_pins_its_owner_once_and_only_with_the_keys_that_are_known() {
    let mut scene = Scene::new().await;
    let me = scene.bob.identity();
    let now = at(NOW);
    let alice = scene.alice.card.clone();
    let store = scene.bob.agent.client.store_mut();
    let (contact, added) = add_contact(store, &me, &alice, Some("al"), now).unwrap();
    assert_eq!((contact.name.as_str(), added), ("al", Added::New));
    assert_eq!(contact.fingerprint(), alice.fingerprint());
    assert_eq!(
        add_contact(store, &me, &alice, None, now).unwrap().1,
        Added::Known
    );
    let own = scene.bob.card.clone();
    assert!(matches!(
        add_contact(store, &me, &own, None, now),
        Err(Error::KeyConflict(_))
    ));
    let mallory = crate::agents::new_identity();
    let stolen = sign(&mallory, &scene.alice.xwing, "mallory", 1, NOW);
    assert!(matches!(
        add_contact(store, &me, &stolen, None, now),
        Err(Error::KeyConflict(_))
    ));
    let named = sign(
        &crate::agents::new_identity(),
        &XWingSecret::generate(&mut rng()),
        "x y",
        1,
        NOW,
    );
    assert!(matches!(
        add_contact(store, &me, &named, None, now),
        Err(Error::UnusualName { .. })
    ));
    let taken = add_contact(store, &me, &named, Some("AL"), now);
    assert!(matches!(taken, Err(Error::NameTaken { .. })), "{taken:?}");
    // What comes from her now is shown under the local name.
    scene.alice.say("bob", "hi").await.unwrap();
    let (messages, set_aside) = scene.bob.receive().await;
    assert_eq!(messages.len(), 1, "{set_aside:?}");
    assert_eq!(messages[0].from.as_deref(), Some("al"));
    assert_eq!(messages[0].relay_from, "alice");
}

#[tokio::test]
async fn a_card_that_the_directory_showed_is_used_for_a_day_without_asking_again() {
    let mut scene = Scene::new().await;
    let send = async |scene: &mut Scene| {
        let mut outcomes = scene.alice.send(&["bob"], &text_draft("hi")).await;
        outcomes.remove(0)
    };
    send(&mut scene).await.unwrap();
    let broken = ["ctalk-card:AAAA".to_owned()];
    scene.bob.publish(&scene.relay, &broken, &scene.clock).await;
    scene.clock.advance(DAY - 1);
    send(&mut scene).await.unwrap();
    scene.clock.advance(1);
    let error = send(&mut scene).await.unwrap_err();
    assert!(matches!(error, Error::BadCard { .. }), "{error}");
    // A clock that was set back does not make the card fresh.
    let good = [scene.bob.card.to_text()];
    scene.bob.publish(&scene.relay, &good, &scene.clock).await;
    send(&mut scene).await.unwrap();
    scene.bob.publish(&scene.relay, &broken, &scene.clock).await;
    scene.clock.advance(-1);
    send(&mut scene).await.unwrap_err();
}

#[tokio::test]
async fn a_contact_added_by_its_card_is_found_at_the_relay_by_its_keys() {
    let mut scene = Scene::new().await;
    let me = scene.alice.identity();
    let card = scene.bob.card.clone();
    let store = scene.alice.agent.client.store_mut();
    add_contact(store, &me, &card, Some("robert"), at(NOW)).unwrap();
    let mut outcomes = scene.alice.send(&["robert"], &text_draft("hi")).await;
    let sent = outcomes.remove(0).unwrap();
    assert_eq!((sent.to.as_str(), sent.pinned), ("robert", false));
    assert_eq!(scene.bob.receive().await.0.len(), 1);
    let contact = scene.alice.contact("robert").unwrap();
    assert_eq!(contact.address.as_deref(), Some("bob"));

    // Whom the relay does not list is not reached by somebody else of that name.
    let stranger = crate::agents::new_identity();
    let xwing = XWingSecret::generate(&mut rng());
    let carol = sign(&stranger, &xwing, "carol", 1, NOW);
    let store = scene.alice.agent.client.store_mut();
    add_contact(store, &me, &carol, Some("bob"), at(NOW)).unwrap();
    let mut outcomes = scene.alice.send(&["bob"], &text_draft("hi")).await;
    let error = outcomes.remove(0).unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
}

#[tokio::test]
async fn an_agent_of_the_relay_is_added_under_a_name_of_ones_own() {
    let mut scene = Scene::new().await;
    let client = &mut scene.alice.agent.client;
    let (contact, added) = client.add_contact("bob", Some("robert")).await.unwrap();
    assert_eq!((contact.name.as_str(), added), ("robert", Added::New));
    assert_eq!(contact.address.as_deref(), Some("bob"));
    assert_eq!(contact.card.as_ref(), Some(&scene.bob.card));
    let (contact, added) = client.add_contact("bob", Some("other")).await.unwrap();
    assert_eq!((contact.name.as_str(), added), ("robert", Added::Known));
    for (name, local) in [("alice", None), ("nobody", None)] {
        assert!(client.add_contact(name, local).await.is_err(), "{name}");
    }
    let mut dave = Native::register(&scene.relay, "dave", &scene.clock, true).await;
    let client = &mut scene.alice.agent.client;
    let error = client
        .add_contact("dave", Some("Robert"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    let error = client.add_contact("dave", Some("-rf")).await.unwrap_err();
    assert!(matches!(error, Error::UnusualName { .. }), "{error}");
    dave.say("alice", "hi").await.unwrap();
    let (messages, _) = scene.alice.receive().await;
    assert_eq!(messages[0].from.as_deref(), Some("dave"));
}

#[tokio::test]
async fn a_named_fingerprint_accepts_a_card_but_never_an_older_one() {
    let mut scene = Scene::new().await;
    let send = scene.alice.send(&["bob"], &text_draft("hi")).await;
    send.into_iter().for_each(|sent| drop(sent.unwrap()));
    let (old, other) = (scene.bob.card.clone(), XWingSecret::generate(&mut rng()));

    // The same identity: the fingerprint is that of its card, or of its classic keys.
    let newer = sign(&scene.bob.agent.identity, &other, "bob", 2, NOW);
    scene
        .bob
        .publish(&scene.relay, &[newer.to_text()], &scene.clock)
        .await;
    for fingerprint in [newer.fingerprint(), newer.public_keys().fingerprint()] {
        let client = &mut scene.alice.agent.client;
        client.accept_key("bob", fingerprint).await.unwrap();
    }
    assert_eq!(
        scene.alice.contact("bob").unwrap().card,
        Some(newer.clone())
    );
    scene
        .bob
        .publish(&scene.relay, &[old.to_text()], &scene.clock)
        .await;
    let client = &mut scene.alice.agent.client;
    client.accept_key("bob", old.fingerprint()).await.unwrap();
    assert_eq!(
        scene.alice.contact("bob").unwrap().card,
        Some(newer.clone())
    );
    // Without a card in the directory the held one is what the fingerprint is compared with.
    scene.bob.publish(&scene.relay, &[], &scene.clock).await;
    let client = &mut scene.alice.agent.client;
    client.accept_key("bob", old.fingerprint()).await.unwrap();
    let wrong = scene.alice.card.fingerprint();
    let client = &mut scene.alice.agent.client;
    let error = client.accept_key("bob", wrong).await.unwrap_err();
    assert!(matches!(error, Error::OtherFingerprint { .. }), "{error}");

    // Another identity: its keys and its card take the place of the old ones.
    let successor = crate::agents::new_identity();
    let card = sign(&successor, &other, "bob", 1, NOW);
    let patch = PatchAgent {
        public_key: Some(successor.public_keys().encryption().to_base64()),
        signing_key: Some(successor.public_keys().verifying().to_base64()),
        capabilities: Some(vec![card.to_text()]),
    };
    let relay = &scene.relay;
    let bob = ClawTalk::new(
        &relay.url(),
        Some(scene.bob.key()),
        Arc::new(scene.clock.clone()),
    );
    bob.unwrap().patch("bob", &patch).await.unwrap();
    let client = &mut scene.alice.agent.client;
    client.accept_key("bob", card.fingerprint()).await.unwrap();
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.keys, *successor.public_keys());
    assert_eq!(contact.card, Some(card));
}

#[tokio::test]
async fn a_card_that_was_handed_over_counts_for_its_keys_and_its_name_at_any_relay() {
    let mut scene = Scene::new().await;
    let me = scene.bob.identity();
    let card = scene.alice.card.clone();
    let store = scene.bob.agent.client.store_mut();
    add_contact(store, &me, &card, Some("al"), at(NOW)).unwrap();
    // The relay hides bob's card from alice, and shows hers under another name.
    scene.bob.publish(&scene.relay, &[], &scene.clock).await;
    let draft = text_draft("weaker");
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::Downgrade);
    let names = ["bob".to_owned()];
    let plain = scene
        .alice
        .agent
        .client
        .send_plaintext(&names, &draft)
        .await;
    plain.unwrap().remove(0).unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::Downgrade);
    // Somebody else whom the relay calls by the local name.
    let mut other = Native::register(&scene.relay, "al", &scene.clock, false).await;
    other.send(&["bob"], &draft).await.remove(0).unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::Downgrade);
}

#[tokio::test]
async fn a_first_envelope_pins_the_card_that_the_directory_shows() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hi").await.unwrap();
    scene.bob.receive().await;
    let contact = scene.bob.contact("alice").unwrap();
    assert_eq!(contact.card, Some(scene.alice.card.clone()));

    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let broken = ["ctalk-card:AAAA".to_owned()];
    carol.publish(&scene.relay, &broken, &scene.clock).await;
    carol.say("bob", "hi").await.unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::UnknownSender);
}
