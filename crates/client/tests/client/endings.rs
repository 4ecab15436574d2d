//! Identities that hand over or end, told by an honest relay and by one that lies.

use std::sync::Arc;

use ctalk::{
    Added, Class, Error, Format, Notice, Reason, Require, add_contact,
    core::{
        Card, Fingerprint, Identity, Revocation, Succession, XWingSecret,
        envelope::{self, Kind, Metadata},
        trust::{Ended, Ending, Standing, SuccessionRefused},
    },
    relay::clawtalk::ClawTalk,
    store::{Learned, NewKeys},
    wire::PatchAgent,
};
use serde_json::json;

use crate::{
    agents::{body, new_identity, rng, text_draft},
    scene::{DAY, NOW, Native, Scene, at, sign},
};

/// Somebody's next identity, with the key and the card that others need.
struct Next {
    identity: Identity,
    xwing: XWingSecret,
    card: Card,
}

impl Next {
    fn new(name: &str) -> Self {
        let (identity, xwing) = (new_identity(), XWingSecret::generate(&mut rng()));
        let card = sign(&identity, &xwing, name, 1, NOW);
        Self {
            identity,
            xwing,
            card,
        }
    }

    fn fingerprint(&self) -> Fingerprint {
        self.card.fingerprint()
    }
}

fn succession(old: &Identity, new: &Identity) -> String {
    Succession::sign(old, new, at(NOW)).unwrap().to_text()
}

/// Why a succession was not followed, if that is the error.
fn refused(error: &Error) -> Option<&SuccessionRefused> {
    match error {
        Error::SuccessionRefused { why, .. } => Some(why),
        _ => None,
    }
}

impl Scene {
    /// Alice knows bob, and the day is over for which she does not ask about him again.
    async fn acquainted() -> Self {
        let mut scene = Self::new().await;
        scene.alice.say("bob", "first").await.unwrap();
        scene.bob.receive().await;
        scene.clock.advance(DAY);
        scene
    }

    /// The relay shows this identity for bob, and these capabilities beside its card.
    async fn show(&self, next: &Next, statements: &[String]) {
        let card = [next.card.to_text()];
        self.show_keys(&next.identity, [&card[..], statements].concat())
            .await;
    }

    async fn show_keys(&self, identity: &Identity, capabilities: Vec<String>) {
        let patch = PatchAgent {
            public_key: Some(identity.public_keys().encryption().to_base64()),
            signing_key: Some(identity.public_keys().verifying().to_base64()),
            capabilities: Some(capabilities),
        };
        let clock = Arc::new(self.clock.clone());
        let bob = ClawTalk::new(&self.relay.url(), Some(self.bob.key()), clock).unwrap();
        bob.patch("bob", &patch).await.unwrap();
    }

    /// Bob goes on with his next identity.
    fn become_next(&mut self, next: &Next) {
        let json = next.identity.to_keygen_json();
        self.bob.agent.identity = Identity::from_keygen_json(&json).unwrap();
        self.bob.xwing = XWingSecret::from_seed(&next.xwing.seed());
        self.bob.card = next.card.clone();
        self.bob.agent.client = self.bob.client(&self.relay.url(), &self.clock);
    }

    fn set_standing(&mut self, standing: Standing) {
        let contact = self.alice.contact("bob").unwrap();
        let store = self.alice.agent.client.store_mut();
        let changed = store.change_standing(&contact, |_| standing).unwrap();
        assert_eq!(changed, Some(standing));
    }

    fn notices(&mut self) -> Vec<Notice> {
        self.alice.agent.client.take_notices()
    }

    /// Puts an envelope of this sender, with this kind and payload, into alice's inbox.
    fn deliver(&self, sender: &Identity, kind: Kind, payload: &[u8]) {
        let created = at(NOW + DAY);
        let expires = created.checked_add(std::time::Duration::from_secs(60));
        let sealed = envelope::seal(
            sender,
            [&self.alice.card],
            &Metadata::new(kind, "application/octet-stream"),
            payload,
            created,
            expires.unwrap(),
            &mut rng(),
        )
        .unwrap();
        let item = json!({"id": format!("{:?}", Fingerprint::native(sender.public_keys().verifying())) + &payload.len().to_string(),
            "from": "bob", "to": "alice", "type": "notification", "encrypted": true,
            "payload": envelope::to_text(&sealed), "ts": "2027-01-16T08:00:00.000Z"});
        self.relay.inject("alice", &item.to_string());
    }
}

#[tokio::test]
async fn a_pinned_contact_is_followed_to_its_successor_and_the_user_is_told() {
    let mut scene = Scene::acquainted().await;
    let next = Next::new("bob");
    let statement = succession(&scene.bob.agent.identity, &next.identity);
    scene.show(&next, &[statement]).await;

    let sent = scene.alice.say("bob", "second").await.unwrap();
    assert_eq!((sent.format, sent.pinned), (Format::Native, false));
    assert_eq!(sent.fingerprint, Some(next.fingerprint().to_hex()));
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.keys, *next.identity.public_keys());
    assert_eq!(
        (contact.standing, contact.learned),
        (Standing::Pinned, Learned::Succession)
    );
    let told = Notice::Succeeded {
        contact: "bob".to_owned(),
        former: scene.bob.card.fingerprint(),
        fingerprint: next.fingerprint(),
        standing: Standing::Pinned,
    };
    assert_eq!(scene.notices(), [told]);
    scene.become_next(&next);
    assert_eq!(scene.bob.receive().await.0.len(), 1);
}

#[tokio::test]
async fn a_verified_contact_is_to_be_verified_again() {
    let mut scene = Scene::acquainted().await;
    scene.set_standing(Standing::Verified);
    let next = Next::new("bob");
    let statement = succession(&scene.bob.agent.identity, &next.identity);
    scene.show(&next, &[statement]).await;
    scene.alice.agent.client.require(Require {
        verified: true,
        native: false,
    });
    let error = scene.alice.say("bob", "second").await.unwrap_err();
    assert!(matches!(error, Error::Unverified { .. }), "{error}");
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.standing, Standing::Pinned);
    assert_eq!(contact.keys, *next.identity.public_keys());
}

#[tokio::test]
async fn a_blocked_contact_stays_blocked_under_its_next_identity() {
    let mut scene = Scene::acquainted().await;
    scene.set_standing(Standing::Blocked);
    let next = Next::new("bob");
    let statement = succession(&scene.bob.agent.identity, &next.identity);
    scene.show(&next, &[statement]).await;
    let error = scene.alice.say("bob", "second").await.unwrap_err();
    assert!(matches!(error, Error::Blocked { .. }), "{error}");
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.standing, Standing::Blocked);
    assert_eq!(contact.keys, *next.identity.public_keys());

    scene.become_next(&next);
    scene.bob.say("alice", "let me in").await.unwrap();
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::Blocked);
}

#[tokio::test]
async fn a_line_of_successions_is_followed_in_its_order() {
    let mut scene = Scene::acquainted().await;
    let (second, third) = (Next::new("bob"), Next::new("bob"));
    let line = [
        succession(&second.identity, &third.identity),
        succession(&scene.bob.agent.identity, &second.identity),
    ];
    scene.show(&third, &line).await;
    scene.alice.say("bob", "second").await.unwrap();
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.keys, *third.identity.public_keys());
    let store = scene.alice.agent.client.store();
    assert_eq!(
        store
            .ending(second.identity.public_keys().verifying())
            .unwrap(),
        Some(Ending::Succeeded {
            successor: *third.identity.public_keys().verifying()
        })
    );
}

#[tokio::test]
async fn a_succession_that_the_relay_hides_leaves_a_changed_key() {
    let mut scene = Scene::acquainted().await;
    let next = Next::new("bob");
    scene.show(&next, &[]).await;
    let error = scene.alice.say("bob", "second").await.unwrap_err();
    assert!(matches!(error, Error::KeyChanged { .. }), "{error}");
    // Nor does one count without the successor's card.
    let statement = succession(&scene.bob.agent.identity, &next.identity);
    scene.show_keys(&next.identity, vec![statement]).await;
    let error = scene.alice.say("bob", "second").await.unwrap_err();
    assert!(matches!(error, Error::KeyChanged { .. }), "{error}");
    assert!(scene.notices().is_empty());
}

#[tokio::test]
async fn a_succession_of_somebody_else_is_ignored() {
    let mut scene = Scene::acquainted().await;
    let (next, other) = (Next::new("bob"), new_identity());
    let foreign = [
        succession(&other, &next.identity),
        succession(&next.identity, &other),
    ];
    scene.show(&next, &foreign[..1]).await;
    let error = scene.alice.say("bob", "second").await.unwrap_err();
    assert!(matches!(error, Error::KeyChanged { .. }), "{error}");

    let revocation = Revocation::sign(&other, at(NOW)).to_text();
    let old = Next {
        identity: scene.bob.identity(),
        xwing: XWingSecret::generate(&mut rng()),
        card: scene.bob.card.clone(),
    };
    scene.show(&old, &[foreign[0].clone(), revocation]).await;
    scene.alice.say("bob", "second").await.unwrap();
    assert!(scene.notices().is_empty());
}

#[tokio::test]
async fn a_statement_that_cannot_be_read_is_an_error_where_it_matters() {
    let mut scene = Scene::acquainted().await;
    let old = Next {
        identity: scene.bob.identity(),
        xwing: XWingSecret::generate(&mut rng()),
        card: scene.bob.card.clone(),
    };
    let broken = |kind: &str| [format!("ctalk-{kind}:AAAA")];
    scene.show(&old, &broken("succession")).await;
    scene.alice.say("bob", "second").await.unwrap();
    scene.clock.advance(DAY);
    scene.show(&old, &broken("revocation")).await;
    let error = scene.alice.say("bob", "third").await.unwrap_err();
    assert!(matches!(error, Error::BadStatement { .. }), "{error}");
    scene.show(&Next::new("bob"), &broken("succession")).await;
    let error = scene.alice.say("bob", "third").await.unwrap_err();
    assert!(matches!(error, Error::BadStatement { .. }), "{error}");
}

#[tokio::test]
async fn a_second_successor_is_refused_and_reported_with_every_fingerprint() {
    let mut scene = Scene::acquainted().await;
    let (first, second) = (Next::new("bob"), Next::new("bob"));
    let [to_first, to_second] =
        [&first, &second].map(|next| succession(&scene.bob.agent.identity, &next.identity));
    let both = [to_first.clone(), to_second.clone()];
    let is_second = |error: &Error| {
        let told = error.to_string();
        let fingerprints = [&first, &second].map(|next| next.fingerprint().to_string());
        matches!(refused(error), Some(SuccessionRefused::Second { .. }))
            && fingerprints
                .iter()
                .all(|fingerprint| told.contains(fingerprint))
    };
    // Both at once: nobody can say which was first.
    scene.show(&first, &both).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(is_second(&error), "{error}");
    assert_eq!(error.class(), Class::NotTrusted);

    scene.show(&first, &[to_first]).await;
    scene.alice.say("bob", "x").await.unwrap();
    scene.notices();
    scene.clock.advance(DAY);
    scene.show(&second, &[to_second]).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(is_second(&error), "{error}");

    // Beside the first one's card it is told, and changes nothing.
    scene.show(&first, &both).await;
    scene.alice.say("bob", "x").await.unwrap();
    let told = Notice::SecondSuccessor {
        former: scene.bob.card.fingerprint(),
        fingerprint: first.fingerprint(),
        refused: second.fingerprint(),
    };
    assert_eq!(scene.notices(), [told]);
}

#[tokio::test]
async fn the_old_entry_is_refused_once_its_successor_is_known() {
    let mut scene = Scene::acquainted().await;
    let next = Next::new("bob");
    let statement = succession(&scene.bob.agent.identity, &next.identity);
    let old = Next {
        identity: scene.bob.identity(),
        xwing: XWingSecret::generate(&mut rng()),
        card: scene.bob.card.clone(),
    };
    // The old keys beside the statement: it counts already, and there is no card yet to follow to.
    scene.show(&old, std::slice::from_ref(&statement)).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Ended {
                why: Ended::Succeeded { .. },
                ..
            }
        ),
        "{error}"
    );
    let me = scene.alice.identity();
    let store = scene.alice.agent.client.store_mut();
    let now = at(NOW + DAY);
    let (contact, added) = add_contact(store, &me, &next.card, None, now).unwrap();
    assert_eq!((contact.name.as_str(), added), ("bob", Added::Succeeded));

    // The relay shows what it showed before.
    scene.show(&old, &[]).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    let me = scene.alice.identity();
    let store = scene.alice.agent.client.store_mut();
    for name in [None, Some("other")] {
        let error = add_contact(store, &me, &old.card, name, now).unwrap_err();
        assert!(matches!(error, Error::Ended { .. }), "{error}");
    }
    let client = &mut scene.alice.agent.client;
    let error = client
        .accept_key("bob", old.fingerprint())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    scene.show(&next, &[statement]).await;
    scene.alice.say("bob", "x").await.unwrap();
}

#[tokio::test]
async fn a_successor_whose_keys_somebody_else_holds_is_a_conflict() {
    let mut scene = Scene::acquainted().await;
    let carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    scene.alice.say("carol", "hi").await.unwrap();
    let next = Next::new("bob");
    let old = &scene.bob.agent.identity;
    let of = |native: &Native| Next {
        identity: native.identity(),
        xwing: XWingSecret::from_seed(&native.xwing.seed()),
        card: native.card.clone(),
    };
    let through_carol = [
        succession(old, &carol.agent.identity),
        succession(&carol.agent.identity, &next.identity),
    ];
    let cases = [
        (of(&carol), vec![succession(old, &carol.agent.identity)]),
        (
            of(&scene.alice),
            vec![succession(old, &scene.alice.agent.identity)],
        ),
        (next, through_carol.to_vec()),
    ];
    for (place, (next, statements)) in cases.iter().enumerate() {
        scene.show(next, statements).await;
        let error = scene.alice.say("bob", "x").await.unwrap_err();
        assert!(matches!(error, Error::KeyConflict(_)), "{place}: {error}");
        let contact = scene.alice.contact("bob").unwrap();
        assert_eq!(contact.keys, *scene.bob.agent.identity.public_keys());
    }
    // Nor those that somebody held before.
    let contact = scene.alice.contact("carol").unwrap();
    let later = Next::new("carol");
    let new = NewKeys {
        keys: later.card.public_keys(),
        card: Some(&later.card),
        learned: Learned::Accepted,
        standing: Standing::Pinned,
    };
    let store = scene.alice.agent.client.store_mut();
    assert!(store.replace_keys(&contact, &new, NOW).unwrap());
    let (next, statements) = &cases[0];
    scene.show(next, statements).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(matches!(error, Error::KeyConflict(_)), "{error}");
}

#[tokio::test]
async fn nothing_is_sent_to_a_revoked_identity_and_nothing_is_taken_from_it() {
    let mut scene = Scene::acquainted().await;
    let old = Next {
        identity: scene.bob.identity(),
        xwing: XWingSecret::generate(&mut rng()),
        card: scene.bob.card.clone(),
    };
    scene.bob.say("alice", "under way").await.unwrap();
    let revocation = Revocation::sign(&old.identity, at(NOW)).to_text();
    scene.show_keys(&old.identity, vec![revocation]).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Ended {
                why: Ended::Revoked { .. },
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.class(), Class::NotTrusted);
    let told = Notice::Revoked {
        contact: "bob".to_owned(),
        fingerprint: old.fingerprint(),
    };
    assert_eq!(scene.notices(), [told]);
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::Ended);

    // For good, whatever the relay shows, and for whoever asks for it by its fingerprint or card.
    let successor = Next::new("bob");
    let late = succession(&old.identity, &successor.identity);
    scene.show(&old, &[]).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    let client = &mut scene.alice.agent.client;
    let error = client
        .accept_key("bob", old.fingerprint())
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    client.store_mut().remove_contact("bob").unwrap();
    let error = client.add_contact("bob", None).await.unwrap_err();
    assert!(matches!(error, Error::Ended { .. }), "{error}");
    scene.show(&successor, &[late]).await;
    scene.alice.say("bob", "x").await.unwrap();
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.learned, Learned::FirstUse, "a stranger");
}

#[tokio::test]
async fn a_successor_of_a_revoked_identity_is_refused() {
    let mut scene = Scene::acquainted().await;
    let old = scene.bob.identity();
    let revocation = Revocation::sign(&old, at(NOW)).to_text();
    scene.show_keys(&old, vec![revocation]).await;
    scene.alice.say("bob", "x").await.unwrap_err();
    let next = Next::new("bob");
    let late = succession(&old, &next.identity);
    scene.show(&next, &[late]).await;
    let error = scene.alice.say("bob", "x").await.unwrap_err();
    let refused = refused(&error);
    assert!(
        matches!(refused, Some(SuccessionRefused::Revoked { .. })),
        "{error}"
    );
}

#[tokio::test]
async fn a_revocation_after_a_succession_is_told_and_does_not_undo_it() {
    let mut scene = Scene::acquainted().await;
    let next = Next::new("bob");
    let old = scene.bob.identity();
    let statements = [
        succession(&old, &next.identity),
        Revocation::sign(&old, at(NOW)).to_text(),
    ];
    scene.show(&next, &statements).await;
    scene.alice.say("bob", "x").await.unwrap();
    let notices = scene.notices();
    assert!(
        matches!(
            notices.as_slice(),
            [
                Notice::Succeeded { .. },
                Notice::RevokedAfterSuccession { .. }
            ]
        ),
        "{notices:?}"
    );
}

#[tokio::test]
async fn a_stranger_whose_identity_has_ended_is_not_met() {
    let mut scene = Scene::new().await;
    let old = scene.bob.identity();
    for statement in [
        Revocation::sign(&old, at(NOW)).to_text(),
        succession(&old, &new_identity()),
    ] {
        scene.show_keys(&old, vec![statement]).await;
        let error = scene.alice.say("bob", "x").await.unwrap_err();
        assert!(matches!(error, Error::Ended { .. }), "{error}");
        assert_eq!(scene.alice.contact("bob"), None);
        let store = scene.alice.agent.client.store();
        assert_eq!(store.ending(old.public_keys().verifying()).unwrap(), None);
    }
}

#[tokio::test]
async fn a_message_of_the_successor_is_taken_where_the_directory_shows_the_succession() {
    let mut scene = Scene::acquainted().await;
    let next = Next::new("bob");
    let statement = succession(&scene.bob.agent.identity, &next.identity);
    scene.become_next(&next);
    scene.bob.say("alice", "it is still me").await.unwrap();
    scene.show(&next, &[]).await;
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside[0].reason, Reason::KeyChanged);

    scene.show(&next, &[statement]).await;
    let store = scene.alice.agent.client.store_mut();
    store.retry(set_aside[0].number).unwrap();
    let (messages, set_aside) = scene.alice.receive().await;
    assert_eq!(messages.len(), 1, "{set_aside:?}");
    assert_eq!(body(&messages[0]), "it is still me");
    assert_eq!(messages[0].from.as_deref(), Some("bob"));
    assert_eq!(messages[0].fingerprint, Some(next.fingerprint().to_hex()));
    assert_eq!(scene.notices().len(), 1);
}

#[tokio::test]
async fn an_envelope_of_the_old_identity_names_its_successor_and_is_no_message() {
    let mut scene = Scene::acquainted().await;
    let old = scene.bob.identity();
    let (next, second) = (Next::new("bob"), Next::new("bob"));
    let payload = |from: &Identity, next: &Next| {
        let statement = Succession::sign(from, &next.identity, at(NOW)).unwrap();
        [statement.as_bytes(), next.card.as_bytes()].concat()
    };
    // The directory says nothing of it.
    scene.deliver(&old, Kind::Succession, &payload(&old, &next));
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(
        messages.is_empty() && set_aside.is_empty(),
        "{messages:?} {set_aside:?}"
    );
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.keys, *next.identity.public_keys());
    assert_eq!(contact.card.as_ref(), Some(&next.card));
    assert_eq!(scene.notices().len(), 1);

    // The old identity is heard no more, except to say the same again.
    scene.deliver(&old, Kind::Request, b"obey");
    scene.deliver(&old, Kind::Succession, &payload(&old, &next));
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty(), "{messages:?}");
    assert_eq!(set_aside.len(), 1, "{set_aside:?}");
    assert_eq!(set_aside[0].reason, Reason::Ended);

    let mut longer = payload(&old, &second);
    longer.push(0);
    for (sender, payload, reason) in [
        (&old, payload(&old, &second), Reason::Ended),
        (&old, longer, Reason::Malformed),
        (&next.identity, payload(&old, &next), Reason::Malformed),
        (&next.identity, b"short".to_vec(), Reason::Malformed),
    ] {
        scene.deliver(sender, Kind::Succession, &payload);
        let (messages, set_aside) = scene.alice.receive().await;
        assert!(messages.is_empty(), "{messages:?}");
        assert_eq!(set_aside.len(), 1, "{set_aside:?}");
        assert_eq!(set_aside[0].reason, reason, "{set_aside:?}");
    }
    let contact = scene.alice.contact("bob").unwrap();
    assert_eq!(contact.keys, *next.identity.public_keys());
    assert!(scene.notices().is_empty());
}

#[tokio::test]
async fn a_strangers_succession_and_card_are_no_messages_and_pin_nobody() {
    let mut scene = Scene::new().await;
    let (old, next) = (scene.bob.identity(), Next::new("bob"));
    let statement = Succession::sign(&old, &next.identity, at(NOW)).unwrap();
    let payload = [statement.as_bytes(), next.card.as_bytes()].concat();
    scene.clock.advance(DAY);
    scene.deliver(&old, Kind::Succession, &payload);
    scene.deliver(&old, Kind::Card, b"");
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(
        messages.is_empty() && set_aside.is_empty(),
        "{messages:?} {set_aside:?}"
    );
    assert_eq!(scene.alice.contact("bob"), None);
    let store = scene.alice.agent.client.store();
    assert_eq!(store.ending(old.public_keys().verifying()).unwrap(), None);
}

#[tokio::test]
async fn a_revoked_identity_of_ones_own_sends_nothing() {
    let mut scene = Scene::acquainted().await;
    let revocation = Revocation::sign(&scene.alice.identity(), at(NOW));
    let client = &mut scene.alice.agent.client;
    client
        .store_mut()
        .record_revocation(&revocation, at(NOW))
        .unwrap();
    let (names, draft) = (["bob".to_owned()], text_draft("x"));
    let outcomes = [
        client.send(&names, &draft).await.map(|_| ()),
        client.send_plaintext(&names, &draft).await.map(|_| ()),
        client.broadcast_plaintext(&draft).await.map(|_| ()),
    ];
    for outcome in outcomes {
        let error = outcome.unwrap_err();
        assert!(matches!(error, Error::OwnIdentityEnded { .. }), "{error}");
    }
}
