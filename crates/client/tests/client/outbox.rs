//! Messages on their way out: none lost, none sent as two, in order, and once under a key.

use std::{net::TcpListener, sync::Arc, thread};

use ctalk::{
    Class, Client, Draft, Error, Fate, Flushed, Format, Notice, Progress,
    clock::{Clock, SystemClock},
    core::envelope::Envelope,
    relay::RelayError,
    store::{OutboxEntry, OutboxState},
    wire::MessageType,
};
use ctalk_relay::{
    ManualClock,
    testing::{Faults, TestRelay},
};

use crate::{
    agents::{Agent, body, connect, text_draft},
    scene::{DAY, NOW, Native, Scene, SetClock},
};

/// A scene in which alice knows bob's card, so that she needs no directory.
async fn acquainted() -> Scene {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "0").await.unwrap();
    assert_eq!(bodies(&mut scene).await, ["0"]);
    scene
}

/// What bob receives, of which nothing is set aside.
async fn bodies(scene: &mut Scene) -> Vec<String> {
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    messages.iter().map(body).collect()
}

/// Takes the relay away, and every connection to it.
fn stop(scene: &mut Scene) {
    scene.relay.stop();
    scene.alice.agent.client = scene.alice.client(&scene.relay.url(), &scene.clock);
}

fn outbox(client: &Client) -> Vec<OutboxEntry> {
    let mut entries = Vec::new();
    client
        .store()
        .each_outgoing(|entry| entries.push(entry))
        .unwrap();
    entries
}

async fn enqueue(native: &mut Native, to: &[&str], text: &str) -> ctalk::Sent {
    let names: Vec<String> = to.iter().map(|name| (*name).to_owned()).collect();
    let queued = native.agent.client.enqueue(&names, &text_draft(text)).await;
    let sent = queued.unwrap().remove(0).unwrap();
    assert_eq!(sent.state, Progress::Queued);
    sent
}

async fn flush(native: &mut Native) -> Vec<Flushed> {
    native.agent.client.flush().await.unwrap()
}

fn keyed(text: &str, key: &str) -> Draft {
    Draft {
        idempotency_key: Some(key.to_owned()),
        ..text_draft(text)
    }
}

/// What the envelope of a message is, as the relay holds it.
fn ids_at(relay: &TestRelay) -> Vec<String> {
    let stored = relay.stored();
    let payloads = stored.iter().map(|raw| {
        let message: serde_json::Value = serde_json::from_str(raw).unwrap();
        message["payload"].as_str().unwrap().to_owned()
    });
    payloads
        .map(|text| {
            let bytes = ctalk::core::envelope::from_text(&text).unwrap();
            Envelope::parse(&bytes).unwrap().claims().id.to_string()
        })
        .collect()
}

/// The store, without the client in between.
fn database(native: &Native) -> rusqlite::Connection {
    rusqlite::Connection::open(native.agent.folder.path().join("store.sqlite")).unwrap()
}

#[tokio::test]
async fn what_the_relay_cannot_take_now_leaves_when_it_is_back() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    let error = scene.alice.say("bob", "later").await.unwrap_err();
    let why = matches!(
        &error,
        Error::Queued {
            why: Some(RelayError::Unreachable { .. }),
            ..
        }
    );
    assert!(why, "{error:?}");
    assert_eq!(error.class(), Class::RelayUnreachable);
    assert!(error.hint().unwrap().contains("ctalk flush"));
    let [entry] = &outbox(&scene.alice.agent.client)[..] else {
        panic!("one is in the outbox");
    };
    assert_eq!((entry.state, entry.attempts), (OutboxState::Queued, 1));
    assert_eq!(entry.to, ["bob"]);
    assert!(entry.due.unwrap() > scene.now() && entry.error.is_some());

    // Not before its time, unless that is wanted.
    scene.relay.restart();
    scene.alice.agent.client.flush_due().await.unwrap();
    assert!(bodies(&mut scene).await.is_empty());
    let flushed = flush(&mut scene.alice).await;
    assert!(
        matches!(
            flushed[..],
            [Flushed {
                fate: Fate::Sent(_),
                ..
            }]
        ),
        "{flushed:?}"
    );
    assert_eq!(bodies(&mut scene).await, ["later"]);
    assert!(outbox(&scene.alice.agent.client).is_empty());
}

#[tokio::test]
async fn pauses_grow_while_the_relay_is_away_and_a_due_message_leaves_by_itself() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    enqueue(&mut scene.alice, &["bob"], "patience").await;
    let mut pauses = Vec::new();
    for _ in 0..12 {
        scene.alice.agent.client.flush_due().await.unwrap();
        let due = outbox(&scene.alice.agent.client)[0].due.unwrap();
        pauses.push(due - scene.now());
        scene.clock.advance(due - scene.now());
    }
    assert!((1000..=1250).contains(&pauses[0]), "{pauses:?}");
    assert!((4000..=5000).contains(&pauses[2]), "{pauses:?}");
    assert!((300_000..=375_000).contains(&pauses[11]), "{pauses:?}");
    scene.relay.restart();
    scene.alice.agent.client.flush_due().await.unwrap();
    assert_eq!(bodies(&mut scene).await, ["patience"]);
}

#[tokio::test]
async fn a_message_whose_time_was_set_by_a_clock_ahead_leaves_nevertheless() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    enqueue(&mut scene.alice, &["bob"], "x").await;
    scene.clock.advance(DAY);
    scene.alice.agent.client.flush_due().await.unwrap();
    scene.clock.advance(-DAY);
    scene.relay.restart();
    scene.alice.agent.client.flush_due().await.unwrap();
    assert_eq!(bodies(&mut scene).await, ["x"]);
}

#[tokio::test]
async fn requests_and_answers_that_are_lost_lead_to_one_delivery_of_the_same_envelope() {
    let mut scene = acquainted().await;
    let (mut expected, mut ids) = (Vec::new(), Vec::new());
    let drop = Faults {
        seed: 7,
        drop: 0.5,
        ..Faults::default()
    };
    scene.relay.fail(drop);
    for number in 0..20 {
        let text = number.to_string();
        ids.push(enqueue(&mut scene.alice, &["bob"], &text).await.id.unwrap());
        expected.push(text);
    }
    while !outbox(&scene.alice.agent.client).is_empty() {
        flush(&mut scene.alice).await;
    }
    let counts = scene.relay.fault_counts();
    assert!(
        counts.lost_answers > 3 && counts.lost_requests > 3,
        "{counts:?}"
    );
    scene.relay.fail(Faults::default());
    let mut arrived = ids_at(&scene.relay);
    assert!(arrived.len() > 20, "some arrived twice");
    arrived.dedup();
    assert_eq!(arrived, ids);
    assert_eq!(bodies(&mut scene).await, expected);
}

#[tokio::test]
async fn one_lost_connection_holds_back_no_other_message_and_a_second_in_a_row_does() {
    let mut scene = acquainted().await;
    let names = ["bob", "carol", "dave", "erin"];
    for name in &names[1..] {
        Native::register(&scene.relay, name, &scene.clock, true).await;
    }
    for name in names {
        enqueue(&mut scene.alice, &[name], "x").await;
    }
    // The first of four sends is lost, and so is the third.
    let first_and_third = Faults {
        seed: 12,
        drop: 0.5,
        ..Faults::default()
    };
    scene.relay.fail(first_and_third);
    let flushed = flush(&mut scene.alice).await;
    let went: Vec<_> = flushed
        .iter()
        .map(|flushed| matches!(flushed.fate, Fate::Sent(_)))
        .collect();
    assert_eq!(went, [false, true, false, true]);

    let all = Faults {
        drop: 1.0,
        ..Faults::default()
    };
    for name in names {
        enqueue(&mut scene.alice, &[name], "y").await;
    }
    scene.relay.fail(all);
    scene.alice.agent.client.flush_due().await.unwrap();
    let left = outbox(&scene.alice.agent.client);
    let attempts: Vec<_> = left.iter().map(|entry| entry.attempts).collect();
    assert_eq!(attempts, [2, 2, 0, 0, 0, 0]);
}

#[tokio::test]
async fn nothing_overtakes_an_older_message_to_the_same_recipient() {
    let mut scene = acquainted().await;
    let carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    for text in ["1", "2"] {
        enqueue(&mut scene.alice, &["bob", "carol"], text).await;
    }
    stop(&mut scene);
    scene.alice.agent.client.flush_due().await.unwrap();
    scene.relay.restart();
    // The first is not due yet, and must leave before this one.
    scene.alice.say("bob", "3").await.unwrap();
    assert_eq!(bodies(&mut scene).await, ["1", "2", "3"]);
    let mut carol = carol;
    let (messages, _) = carol.receive().await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["1", "2"]);
}

#[tokio::test]
async fn a_message_that_waits_holds_back_only_those_to_the_same_recipient() {
    let mut scene = acquainted().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    enqueue(&mut scene.alice, &["bob"], "to bob").await;
    let waits = "UPDATE outbox SET due = ?1";
    database(&scene.alice)
        .execute(waits, [scene.now() + 1000])
        .unwrap();
    enqueue(&mut scene.alice, &["carol"], "to carol").await;
    scene.alice.agent.client.flush_due().await.unwrap();
    assert_eq!(carol.receive().await.0.len(), 1);
    assert!(bodies(&mut scene).await.is_empty());
    assert_eq!(outbox(&scene.alice.agent.client).len(), 1);
}

#[tokio::test]
async fn a_message_can_be_queued_without_a_relay_if_the_card_is_fresh() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    let sent = enqueue(&mut scene.alice, &["bob"], "offline").await;
    assert!(sent.id.is_some() && sent.relay_id.is_none() && sent.ts.is_none());
    scene.clock.advance(DAY);
    let names = ["bob".to_owned()];
    let stale = text_draft("stale");
    let refused = scene.alice.agent.client.enqueue(&names, &stale);
    let error = refused.await.unwrap_err();
    assert!(
        matches!(error, Error::Relay(RelayError::Unreachable { .. })),
        "{error:?}"
    );
    assert_eq!(outbox(&scene.alice.agent.client).len(), 1);
    scene.relay.restart();
    flush(&mut scene.alice).await;
    assert_eq!(bodies(&mut scene).await, ["offline"]);
}

#[tokio::test]
async fn what_the_relay_refuses_is_withdrawn_when_its_sender_waits_and_kept_when_not() {
    let mut scene = acquainted().await;
    // Longer than a topic may be at the relay.
    let mut long = text_draft("refused");
    long.topic = Some("t".repeat(1000));
    long.public_topic = true;
    let names = ["bob".to_owned()];
    let client = &mut scene.alice.agent.client;
    let error = client
        .send(&names, &long)
        .await
        .unwrap()
        .remove(0)
        .unwrap_err();
    assert!(
        matches!(error, Error::Relay(RelayError::Refused { .. })),
        "{error:?}"
    );
    assert!(outbox(client).is_empty());

    client
        .enqueue(&names, &long)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    client.flush_due().await.unwrap();
    let notices = client.take_notices();
    assert!(
        matches!(notices[..], [Notice::SendFailed { .. }]),
        "{notices:?}"
    );
    let [entry] = &outbox(client)[..] else {
        panic!("it is kept");
    };
    assert_eq!(entry.state, OutboxState::Failed);
    let number = entry.number;
    // It is not tried again by itself, and does not hold back others.
    assert!(client.flush().await.unwrap().is_empty());
    scene.alice.say("bob", "short").await.unwrap();
    assert_eq!(bodies(&mut scene).await, ["short"]);
    let client = &mut scene.alice.agent.client;
    client.store_mut().retry_outgoing(number).unwrap();
    let flushed = client.flush().await.unwrap();
    assert!(
        matches!(
            flushed[..],
            [Flushed {
                fate: Fate::Failed(_),
                ..
            }]
        ),
        "{flushed:?}"
    );
    client.store_mut().drop_outgoing(number).unwrap();
    assert!(outbox(client).is_empty());
}

#[tokio::test]
async fn a_key_that_the_relay_does_not_accept_fails_no_queued_message() {
    let mut scene = acquainted().await;
    enqueue(&mut scene.alice, &["bob"], "mine").await;
    let right = std::mem::replace(&mut scene.alice.agent.api_key, "wrong".to_owned());
    let mut other = scene.alice.client(&scene.relay.url(), &scene.clock);
    let flushed = other.flush().await.unwrap();
    let unauthorized = matches!(
        flushed[..],
        [Flushed {
            fate: Fate::Queued(RelayError::Unauthorized { .. }),
            ..
        }]
    );
    assert!(unauthorized, "{flushed:?}");
    let error = other
        .send(&["bob".to_owned()], &text_draft("no"))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(error.unwrap_err().class(), Class::RelayRefused);
    scene.alice.agent.api_key = right;
    let mut again = scene.alice.client(&scene.relay.url(), &scene.clock);
    again.flush().await.unwrap();
    assert_eq!(bodies(&mut scene).await[0], "mine");
}

#[tokio::test]
async fn what_could_not_leave_in_its_life_is_given_up_and_said_so() {
    let mut scene = acquainted().await;
    let short = Draft {
        ttl: Some(60),
        ..text_draft("soon stale")
    };
    let names = ["bob".to_owned()];
    let client = &mut scene.alice.agent.client;
    for _ in 0..2 {
        client
            .enqueue(&names, &short)
            .await
            .unwrap()
            .remove(0)
            .unwrap();
        scene.clock.advance(60_000);
    }
    client.flush_due().await.unwrap();
    let notices = client.take_notices();
    let [Notice::SendExpired { to, .. }, Notice::SendExpired { .. }] = &notices[..] else {
        panic!("{notices:?}");
    };
    assert_eq!(to, &["bob"]);
    assert!(outbox(client).is_empty());
    client
        .enqueue(&names, &short)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    scene.clock.advance(60_000);
    let flushed = client.flush().await.unwrap();
    assert!(
        matches!(
            flushed[..],
            [Flushed {
                fate: Fate::Expired,
                ..
            }]
        ),
        "{flushed:?}"
    );
    assert!(bodies(&mut scene).await.is_empty());
}

#[tokio::test]
async fn a_rate_limit_holds_back_who_waits_and_stops_who_does_not() {
    let now = ManualClock::new(NOW);
    let relay = TestRelay::builder()
        .rate_limit("5/10s".parse().unwrap())
        .clock(now.clone())
        .start()
        .await;
    let clock = SetClock::new();
    let mut alice = Native::register(&relay, "alice", &clock, true).await;
    let mut bob = Native::register(&relay, "bob", &clock, true).await;
    alice.say("bob", "0").await.unwrap();
    for number in 1..10 {
        enqueue(&mut alice, &["bob"], &number.to_string()).await;
    }
    alice.agent.client.flush_due().await.unwrap();
    let left = outbox(&alice.agent.client);
    assert_eq!(left.len(), 5, "the window takes 5");
    assert!(left[0].due.unwrap() > Clock::now(&clock));
    // Its clock moves with every pause, and the relay's with it.
    let mover = {
        let (now, clock) = (now.clone(), clock.clone());
        move || now.set(Clock::now(&clock))
    };
    let flushing = alice.agent.client.flush();
    let moving = async {
        loop {
            mover();
            tokio::task::yield_now().await;
        }
    };
    let flushed = tokio::select! {
        flushed = flushing => flushed.unwrap(),
        () = moving => unreachable!(),
    };
    assert_eq!(flushed.len(), 5);
    let (messages, _) = bob.receive().await;
    let texts: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(texts, (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn two_that_flush_at_once_hand_over_each_message_once() {
    let mut scene = acquainted().await;
    for number in 0..40 {
        enqueue(&mut scene.alice, &["bob"], &number.to_string()).await;
    }
    let mut other = scene.alice.client(&scene.relay.url(), &scene.clock);
    let client = &mut scene.alice.agent.client;
    let (one, two) = tokio::join!(client.flush(), other.flush());
    let (mut one, mut two) = (one.unwrap(), two.unwrap());
    // Whoever found nothing because the other one had it in hand comes back.
    while !outbox(client).is_empty() {
        one.extend(client.flush().await.unwrap());
        two.extend(other.flush().await.unwrap());
    }
    assert_eq!(one.len() + two.len(), 40);
    assert_eq!(scene.relay.stored().len(), 40);
    let expected: Vec<String> = (0..40).map(|number| number.to_string()).collect();
    assert_eq!(bodies(&mut scene).await, expected);
}

#[tokio::test]
async fn two_that_send_at_once_get_an_outcome_each() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    let names = ["bob".to_owned()];
    for number in 0..10 {
        let draft = text_draft(&number.to_string());
        alice
            .client
            .enqueue(&names, &draft)
            .await
            .unwrap()
            .remove(0)
            .unwrap();
    }
    let mut other = connect(
        &relay.url(),
        "alice",
        &alice.identity,
        &alice.api_key,
        &alice.folder,
        Arc::new(SystemClock),
    );
    let (one, two) = (text_draft("one"), text_draft("two"));
    let (one, two) = tokio::join!(alice.client.send(&names, &one), other.send(&names, &two));
    for outcome in [one, two] {
        let sent = outcome.unwrap().remove(0).unwrap();
        assert_eq!(sent.state, Progress::Sent);
    }
    let (messages, set_aside) = bob.receive_all().await;
    assert_eq!((messages.len(), set_aside.len()), (12, 0));
    let first: Vec<_> = messages.iter().take(10).map(body).collect();
    assert_eq!(
        first,
        (0..10).map(|number| number.to_string()).collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn whoever_dies_while_handing_over_is_replaced_after_its_lease() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    let address = scene.relay.url();
    let listener = TcpListener::bind(address.strip_prefix("http://").unwrap()).unwrap();
    let accepting = thread::spawn(move || listener.accept().unwrap());
    let asked = tokio::task::spawn_blocking(move || accepting.join().unwrap());
    let mut other = scene.alice.client(&address, &scene.clock);
    let sent = id_of_one_in_flight(&mut scene.alice, asked).await;
    scene.relay.restart();
    assert!(
        other.flush().await.unwrap().is_empty(),
        "it is in somebody's hands"
    );
    scene.clock.advance(61_000);
    let flushed = other.flush().await.unwrap();
    assert_eq!(flushed[0].id, Some(sent.clone()));
    assert_eq!(ids_at(&scene.relay), [sent]);
    assert_eq!(bodies(&mut scene).await, ["cut off"]);
    // The one that was taken for dead comes to itself, and has nothing left to do.
    assert!(flush(&mut scene.alice).await.is_empty());
}

#[tokio::test]
async fn what_was_broken_off_is_due_at_once_for_the_same_client_or_when_it_is_gone() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    let address = scene.relay.url();
    let listener = TcpListener::bind(address.strip_prefix("http://").unwrap()).unwrap();
    let accepting = thread::spawn(move || listener.accept().unwrap());
    let asked = tokio::task::spawn_blocking(move || accepting.join().unwrap());
    id_of_one_in_flight(&mut scene.alice, asked).await;
    scene.relay.restart();
    let mut other = scene.alice.client(&address, &scene.clock);
    std::mem::swap(&mut scene.alice.agent.client, &mut other);
    drop(other);
    assert_eq!(flush(&mut scene.alice).await.len(), 1);
    assert_eq!(bodies(&mut scene).await, ["cut off"]);
}

/// Sends until the request is at the relay, and goes away then.
async fn id_of_one_in_flight<T>(native: &mut Native, asked: tokio::task::JoinHandle<T>) -> String {
    let names = ["bob".to_owned()];
    let draft = text_draft("cut off");
    let client = &mut native.agent.client;
    tokio::select! {
        outcome = client.send(&names, &draft) => panic!("{outcome:?}"),
        connection = asked => drop(connection),
    }
    let [entry] = &outbox(client)[..] else {
        panic!("it is in the outbox");
    };
    entry.id.clone().unwrap()
}

#[tokio::test]
async fn what_cannot_be_stored_is_not_sent_and_what_cannot_be_settled_is_sent_again() {
    let mut scene = acquainted().await;
    let saboteur = database(&scene.alice);
    let full = |event: &str| {
        format!(
            "CREATE TRIGGER full BEFORE {event} ON outbox
             BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END"
        )
    };
    saboteur.execute_batch(&full("INSERT")).unwrap();
    let names = ["bob".to_owned()];
    let client = &mut scene.alice.agent.client;
    let error = client
        .send(&names, &text_draft("unstored"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::LocalStore);
    assert_eq!(scene.relay.stored().len(), 0);

    saboteur.execute_batch("DROP TRIGGER full").unwrap();
    saboteur.execute_batch(&full("DELETE")).unwrap();
    let error = client
        .send(&names, &text_draft("unsettled"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::LocalStore);
    saboteur.execute_batch("DROP TRIGGER full").unwrap();
    scene.clock.advance(61_000);
    assert_eq!(flush(&mut scene.alice).await.len(), 1);
    assert_eq!(scene.relay.stored().len(), 2, "the relay has it twice");
    assert_eq!(bodies(&mut scene).await, ["unsettled"]);
}

#[tokio::test]
async fn the_same_key_delivers_once_and_has_the_same_outcome_ever_after() {
    let mut scene = acquainted().await;
    let first = scene
        .alice
        .send(&["bob"], &keyed("pay", "k1"))
        .await
        .remove(0)
        .unwrap();
    scene.clock.advance(400 * DAY);
    scene.alice.agent.client = scene.alice.client(&scene.relay.url(), &scene.clock);
    let again = scene
        .alice
        .send(&["bob"], &keyed("pay", "k1"))
        .await
        .remove(0)
        .unwrap();
    assert_eq!(
        serde_json::to_value(&again).unwrap(),
        serde_json::to_value(&first).unwrap()
    );
    assert!(first.id.is_some() && first.relay_id.is_some() && first.ts.is_some());
    assert_eq!(ids_at(&scene.relay), [first.id.unwrap()]);
}

#[tokio::test]
async fn the_same_key_with_anything_else_is_an_error_and_sends_nothing() {
    let mut scene = acquainted().await;
    scene
        .alice
        .send(&["bob"], &keyed("pay", "k1"))
        .await
        .remove(0)
        .unwrap();
    let other_topic = Draft {
        topic: Some("t".to_owned()),
        ..keyed("pay", "k1")
    };
    let one = ["bob".to_owned()];
    let two = ["bob".to_owned(), "carol".to_owned()];
    for (names, draft) in [
        (&one[..], keyed("pay twice", "k1")),
        (&one[..], other_topic),
        (&two[..], keyed("pay", "k1")),
    ] {
        let error = scene
            .alice
            .agent
            .client
            .send(names, &draft)
            .await
            .unwrap_err();
        assert!(matches!(error, Error::IdempotencyMismatch), "{error:?}");
        assert_eq!(error.class(), Class::Usage);
    }
    assert_eq!(ids_at(&scene.relay).len(), 1);
    scene
        .alice
        .send(&["bob"], &keyed("pay twice", "k2"))
        .await
        .remove(0)
        .unwrap();
}

#[tokio::test]
async fn a_key_whose_message_is_still_queued_sends_that_message() {
    let mut scene = acquainted().await;
    stop(&mut scene);
    let draft = keyed("once", "k");
    let error = scene
        .alice
        .send(&["bob"], &draft)
        .await
        .remove(0)
        .unwrap_err();
    assert_eq!(error.class(), Class::RelayUnreachable);
    let id = outbox(&scene.alice.agent.client)[0].id.clone();
    scene.relay.restart();
    let sent = scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    assert_eq!((sent.id, sent.state), (id, Progress::Sent));
    assert_eq!(bodies(&mut scene).await, ["once"]);
}

#[tokio::test]
async fn under_a_key_only_those_who_were_not_queued_are_tried_again() {
    let mut scene = acquainted().await;
    let draft = keyed("to both", "k");
    let outcomes = scene.alice.send(&["bob", "carol"], &draft).await;
    let [Ok(to_bob), Err(Error::UnknownRecipient { .. })] = &outcomes[..] else {
        panic!("{outcomes:?}");
    };
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let outcomes = scene.alice.send(&["bob", "carol"], &draft).await;
    assert_eq!(outcomes[0].as_ref().unwrap().id, to_bob.id);
    assert!(outcomes[1].is_ok(), "{outcomes:?}");
    assert_eq!(bodies(&mut scene).await, ["to both"]);
    assert_eq!(carol.receive().await.0.len(), 1);
}

#[tokio::test]
async fn a_key_whose_message_was_dropped_may_be_used_again_only_if_it_cannot_have_arrived() {
    let mut scene = acquainted().await;
    let (unsent, cut_off) = (keyed("unsent", "k1"), keyed("cut off", "k2"));
    let names = ["bob".to_owned()];
    let client = &mut scene.alice.agent.client;
    client
        .enqueue(&names, &unsent)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    let number = outbox(client)[0].number;
    client.store_mut().drop_outgoing(number).unwrap();
    client
        .send(&names, &unsent)
        .await
        .unwrap()
        .remove(0)
        .unwrap();

    let lost = Faults {
        seed: 1,
        drop: 1.0,
        ..Faults::default()
    };
    scene.relay.fail(lost);
    let error = client
        .send(&names, &cut_off)
        .await
        .unwrap()
        .remove(0)
        .unwrap_err();
    assert!(matches!(error, Error::Queued { .. }), "{error:?}");
    scene.relay.fail(Faults::default());
    let number = outbox(client)[0].number;
    client.store_mut().drop_outgoing(number).unwrap();
    let error = client
        .send(&names, &cut_off)
        .await
        .unwrap()
        .remove(0)
        .unwrap_err();
    assert!(matches!(error, Error::GivenUp), "{error:?}");
}

#[tokio::test]
async fn two_that_use_a_key_at_once_send_one_message() {
    let mut scene = acquainted().await;
    let mut other = scene.alice.client(&scene.relay.url(), &scene.clock);
    let client = &mut scene.alice.agent.client;
    let (names, draft) = (["bob".to_owned()], keyed("race", "k"));
    let (one, two) = tokio::join!(client.send(&names, &draft), other.send(&names, &draft));
    let (one, two) = (
        one.unwrap().remove(0).unwrap(),
        two.unwrap().remove(0).unwrap(),
    );
    assert_eq!(one.id, two.id);
    assert_eq!(bodies(&mut scene).await, ["race"]);
}

#[tokio::test]
async fn neither_key_nor_content_is_in_the_store() {
    let mut scene = acquainted().await;
    let draft = keyed("the content of it", "the key of it");
    scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    enqueue(&mut scene.alice, &["bob"], "the content of another").await;
    for name in ["store.sqlite", "store.sqlite-wal"] {
        let bytes = std::fs::read(scene.alice.agent.folder.path().join(name)).unwrap();
        for text in ["the content of", "the key of it"] {
            let found = bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes());
            assert!(!found, "{text} is in {name}");
        }
    }
    // Without the identity nobody can tell by the digests what it was.
    let other = crate::agents::new_identity();
    let digest: Vec<u8> = database(&scene.alice)
        .query_row("SELECT key FROM idempotency_keys", [], |row| row.get(0))
        .unwrap();
    let mine = scene
        .alice
        .agent
        .identity
        .keyed_digest(&[b"key", b"the key of it"]);
    assert_eq!(digest, mine);
    assert_ne!(digest, other.keyed_digest(&[b"key", b"the key of it"]));
}

#[tokio::test]
async fn a_message_in_clawtalks_format_leaves_the_outbox_as_it_was_sealed() {
    let relay = TestRelay::start().await;
    let (mut alice, mut bob) = (
        Agent::register(&relay, "alice"),
        Agent::register(&relay, "bob"),
    );
    let names = ["bob".to_owned()];
    let draft = Draft {
        topic: Some("t".to_owned()),
        correlation_id: Some("c".to_owned()),
        reply_to: Some("r".to_owned()),
        message_type: MessageType::Response,
        ..text_draft("classic")
    };
    let queued = alice
        .client
        .enqueue(&names, &draft)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    assert_eq!((queued.id, queued.state), (None, Progress::Queued));
    let flushed = alice.client.flush().await.unwrap();
    assert!(
        matches!(
            flushed[..],
            [Flushed {
                fate: Fate::Sent(_),
                ..
            }]
        ),
        "{flushed:?}"
    );
    let (messages, set_aside) = bob.receive_all().await;
    assert!(set_aside.is_empty(), "{set_aside:?}");
    let [message] = &messages[..] else {
        panic!("{messages:?}");
    };
    assert_eq!(body(message), "classic");
    assert_eq!(message.format, Format::Classic);
    assert_eq!(message.message_type, "response");
    assert_eq!(message.topic.as_deref(), Some("t"));
    assert_eq!(message.correlation_id.as_deref(), Some("c"));
    assert_eq!(message.reply_to.as_deref(), Some("r"));
}

#[tokio::test]
async fn plaintext_that_could_not_leave_leaves_later_once_the_names_are_known() {
    let mut scene = acquainted().await;
    let draft = text_draft("for all to read");
    stop(&mut scene);
    let client = &mut scene.alice.agent.client;
    let error = client.broadcast_plaintext(&draft).await.unwrap_err();
    assert!(matches!(error, Error::Queued { .. }), "{error:?}");
    scene.relay.restart();
    client.flush().await.unwrap();
    let (messages, _) = scene.bob.receive().await;
    assert!(
        messages.is_empty(),
        "bob's contact has a card, so it is a downgrade"
    );
}

/// A relay that takes two messages in every 10 seconds of its clock, with alice, who has reached that.
async fn limited(clock: &SetClock) -> (ManualClock, TestRelay, Native, Native) {
    let now = ManualClock::new(NOW);
    let relay = TestRelay::builder()
        .rate_limit("2/10s".parse().unwrap())
        .clock(now.clone())
        .start()
        .await;
    let mut alice = Native::register(&relay, "alice", clock, true).await;
    let bob = Native::register(&relay, "bob", clock, true).await;
    for text in ["1", "2", "3"] {
        enqueue(&mut alice, &["bob"], text).await;
    }
    alice.agent.client.flush_due().await.unwrap();
    assert_eq!(relay.stored().len(), 2);
    // From here on the relay would take more, which its answer did not promise.
    now.set(NOW + 20_000);
    (now, relay, alice, bob)
}

#[tokio::test]
async fn a_relay_that_wants_to_be_left_alone_is_by_every_message_and_every_process() {
    let clock = SetClock::new();
    let (_now, relay, mut alice, _bob) = limited(&clock).await;
    let _carol = Native::register(&relay, "carol", &clock, true).await;
    let mut other = alice.client(&relay.url(), &clock);
    for to in ["bob", "carol"] {
        enqueue(&mut alice, &[to], "next").await;
        alice.agent.client.flush_due().await.unwrap();
        other.flush_due().await.unwrap();
        assert_eq!(relay.stored().len(), 2);
    }
    clock.advance(20_000);
    other.flush_due().await.unwrap();
    assert_eq!(relay.stored().len(), 4);
}

#[tokio::test]
async fn whoever_waits_for_a_message_waits_until_the_relay_may_be_asked_again() {
    let clock = SetClock::new();
    let (_now, relay, alice, _bob) = limited(&clock).await;
    let mut other = alice.client(&relay.url(), &clock);
    let names = ["bob".to_owned()];
    let sent = other
        .send(&names, &text_draft("4"))
        .await
        .unwrap()
        .remove(0);
    assert_eq!(sent.unwrap().state, Progress::Sent);
    assert!(Clock::now(&clock) > NOW);
    assert_eq!(relay.stored().len(), 4);
    // With nothing to send there is nothing to wait for.
    let before = Clock::now(&clock);
    assert!(other.flush().await.unwrap().is_empty());
    assert_eq!(Clock::now(&clock), before);
}

#[tokio::test]
async fn a_relay_left_alone_by_a_clock_that_was_ahead_is_asked_again() {
    let clock = SetClock::new();
    clock.advance(DAY);
    let (_now, relay, mut alice, _bob) = limited(&clock).await;
    clock.advance(-DAY);
    alice.agent.client.flush_due().await.unwrap();
    assert_eq!(relay.stored().len(), 3);
}

#[tokio::test]
async fn a_name_that_is_given_twice_gets_one_message_and_has_one_outcome_each_time() {
    let mut scene = acquainted().await;
    let names = ["bob", "nobody", "bob", "nobody"];
    for _ in 0..2 {
        let outcomes = scene.alice.send(&names, &keyed("once", "k")).await;
        let [Ok(one), Err(_), Ok(two), Err(_)] = &outcomes[..] else {
            panic!("{outcomes:?}");
        };
        assert!(one.id.is_some() && one.id == two.id, "{outcomes:?}");
    }
    assert_eq!(bodies(&mut scene).await, ["once"]);

    let names: Vec<String> = ["bob", "bob"].map(str::to_owned).into();
    let client = &mut scene.alice.agent.client;
    let draft = keyed("in the clear", "k2");
    let outcomes = client.send_plaintext(&names, &draft).await.unwrap();
    let ids: Vec<_> = outcomes
        .into_iter()
        .map(|outcome| outcome.unwrap().id)
        .collect();
    assert!(ids[0].is_some() && ids[0] == ids[1], "{ids:?}");
    assert_eq!(scene.relay.stored().len(), 1);
}
