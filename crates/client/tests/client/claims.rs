//! Several workers on one store: who has which message, for how long, and what comes after.

use std::time::Duration;

use ctalk::{
    Client, Contract, Error, Filter, Handover, Next, Reason, Receiving, SetAside, relay::Delivery,
    store::EntryState,
};
use serde_json::json;

use crate::{
    agents::{body, text_draft},
    scene::{DAY, Native, Scene},
};

const LEASE: i64 = 30_000;

/// One of several workers on bob's store.
struct Worker {
    client: Client,
    receiving: Receiving,
}

impl Worker {
    fn new(scene: &Scene) -> Self {
        Self::under(Contract::HANDLER, scene)
    }

    fn under(contract: Contract, scene: &Scene) -> Self {
        let mut client = scene.bob.client(&scene.relay.url(), &scene.clock);
        let receiving = client.receive_under(contract, Filter::default()).unwrap();
        Self { client, receiving }
    }

    async fn next(&mut self) -> Option<Next> {
        self.client.next(&mut self.receiving).await.unwrap()
    }

    /// The text of the next message, and the message.
    async fn take(&mut self) -> Option<(String, Handover)> {
        match self.next().await? {
            Next::Message(handover) | Next::Unauthenticated(handover) => {
                Some((body(&handover.message), *handover))
            }
            Next::SetAside(aside) => panic!("{aside:?}"),
        }
    }

    async fn aside(&mut self) -> SetAside {
        match self.next().await {
            Some(Next::SetAside(aside)) => aside,
            other => panic!("{other:?}"),
        }
    }

    /// The texts of everything that there is to do now.
    async fn drain(&mut self) -> Vec<String> {
        self.receiving.rewind();
        let mut texts = Vec::new();
        while let Some((text, handover)) = self.take().await {
            self.client.commit(handover).unwrap();
            texts.push(text);
        }
        texts
    }
}

/// Alice wrote these, and they lie in bob's inbox.
async fn written(texts: &[&str]) -> Scene {
    let mut scene = Scene::new().await;
    for text in texts {
        scene.alice.say("bob", text).await.unwrap();
    }
    fetch(&mut scene).await;
    scene
}

async fn fetch(scene: &mut Scene) {
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
}

fn states(scene: &Scene, state: EntryState) -> usize {
    let mut count = 0;
    let store = scene.bob.agent.client.store();
    store.each_entry(state, |_| count += 1).unwrap();
    count
}

#[tokio::test]
async fn a_message_in_one_workers_hands_is_not_in_anothers() {
    let scene = written(&["one"]).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (_, handover) = first.take().await.unwrap();
    assert_eq!(handover.attempt, 1);
    assert_eq!(states(&scene, EntryState::Running), 1);
    assert!(second.take().await.is_none());
    first.client.commit(handover).unwrap();
    assert!(second.drain().await.is_empty());
    assert_eq!(states(&scene, EntryState::Done), 1);
}

#[tokio::test]
async fn a_worker_that_dies_is_replaced_after_its_lease_and_settles_nothing_any_more() {
    let scene = written(&["one"]).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (_, late) = first.take().await.unwrap();
    scene.clock.advance(LEASE - 1);
    assert!(second.take().await.is_none());
    scene.clock.advance(1);
    second.receiving.rewind();
    let (text, handover) = second.take().await.unwrap();
    assert_eq!((&*text, handover.attempt), ("one", 2));
    let error = first.client.commit(late).unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error}");
    assert_eq!(states(&scene, EntryState::Running), 1);
    second.client.commit(handover).unwrap();
    assert_eq!(states(&scene, EntryState::Done), 1);
}

#[tokio::test]
async fn a_lease_that_is_renewed_lasts() {
    let scene = written(&["one"]).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (_, handover) = first.take().await.unwrap();
    for _ in 0..5 {
        scene.clock.advance(LEASE - 1);
        first.client.renew().unwrap();
        assert!(second.drain().await.is_empty());
    }
    first.client.commit(handover).unwrap();
}

#[tokio::test]
async fn setting_the_clock_ends_no_lease_and_starting_the_machine_anew_ends_all() {
    let scene = written(&["one"]).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let _in_hand = first.take().await.unwrap();
    for time in [scene.now() + 20 * DAY, scene.now() - 2 * DAY] {
        scene.clock.set(time);
        assert!(second.drain().await.is_empty());
    }
    scene.clock.reboot();
    assert_eq!(second.drain().await, ["one"]);
}

#[tokio::test]
async fn a_client_that_goes_gives_back_what_it_had_in_hand() {
    let scene = written(&["one"]).await;
    let mut first = Worker::new(&scene);
    let _handover = first.take().await.unwrap();
    drop(first);
    let (_, handover) = Worker::new(&scene).take().await.unwrap();
    assert_eq!(handover.attempt, 2);
}

#[tokio::test]
async fn what_a_worker_passed_over_is_not_overtaken_when_another_one_clears_the_way() {
    let mut scene = written(&["a1", "a2"]).await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    carol.say("bob", "c1").await.unwrap();
    scene.alice.say("bob", "a3").await.unwrap();
    fetch(&mut scene).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (_, a1) = first.take().await.unwrap();
    // It passes a2 on the way.
    let (text, c1) = second.take().await.unwrap();
    assert_eq!(text, "c1");
    first.client.commit(a1).unwrap();
    assert!(second.take().await.is_none());
    second.client.commit(c1).unwrap();
    assert_eq!(second.drain().await, ["a2", "a3"]);
}

#[tokio::test]
async fn a_claim_from_before_the_user_retried_settles_nothing() {
    let scene = written(&["one"]).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (_, late) = first.take().await.unwrap();
    scene.clock.advance(LEASE);
    second.receiving.rewind();
    let (_, handover) = second.take().await.unwrap();
    second.client.reject(handover, "broken").unwrap();
    second.client.store_mut().retry(1).unwrap();
    second.receiving.rewind();
    let (_, handover) = second.take().await.unwrap();
    assert_eq!((late.attempt, handover.attempt), (1, 1));
    let error = first.client.commit(late).unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error}");
    second.client.commit(handover).unwrap();
}

#[tokio::test]
async fn a_dead_letter_that_was_dropped_does_not_come_back() {
    let mut scene = written(&["one"]).await;
    let stored = scene.relay.stored();
    let mut worker = Worker::new(&scene);
    let (_, handover) = worker.take().await.unwrap();
    worker.client.reject(handover, "broken").unwrap();
    worker
        .client
        .store_mut()
        .drop_entry(1, scene.now())
        .unwrap();
    for message in stored {
        scene.relay.inject("bob", &message);
    }
    fetch(&mut scene).await;
    assert!(worker.drain().await.is_empty());
}

#[tokio::test]
async fn messages_of_one_sender_wait_for_each_other_and_for_nobody_else() {
    let mut scene = written(&["a1", "a2", "a3"]).await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    carol.say("bob", "c1").await.unwrap();
    fetch(&mut scene).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (text, a1) = first.take().await.unwrap();
    assert_eq!(text, "a1");
    // Her other ones wait, also for the worker that has the first one.
    let (text, c1) = first.take().await.unwrap();
    assert_eq!(text, "c1");
    assert!(first.take().await.is_none() && second.take().await.is_none());
    first.client.commit(a1).unwrap();
    let (text, a2) = first.take().await.unwrap();
    assert_eq!(text, "a2");
    assert!(first.take().await.is_none());
    // To be tried again, it still holds back what is behind it.
    assert_eq!(first.client.retry(a2, "not now").unwrap(), EntryState::New);
    assert!(first.take().await.is_none());
    assert!(second.drain().await.is_empty());
    scene.clock.advance(1000);
    assert_eq!(second.drain().await, ["a2", "a3"]);
    first.client.commit(c1).unwrap();
}

#[tokio::test]
async fn a_dead_letter_holds_nothing_back() {
    let scene = written(&["a1", "a2"]).await;
    let mut worker = Worker::new(&scene);
    let (_, handover) = worker.take().await.unwrap();
    worker.client.reject(handover, "no").unwrap();
    assert_eq!(worker.drain().await, ["a2"]);
    assert_eq!(states(&scene, EntryState::Dead), 1);
}

#[tokio::test]
async fn without_order_messages_of_one_sender_are_in_hand_together() {
    let scene = written(&["a1", "a2"]).await;
    let contract = Contract {
        is_ordered: false,
        ..Contract::HANDLER
    };
    let mut worker = Worker::under(contract, &scene);
    let both = (
        worker.take().await.unwrap().0,
        worker.take().await.unwrap().0,
    );
    assert_eq!(both, ("a1".to_owned(), "a2".to_owned()));
}

#[tokio::test]
async fn eight_attempts_with_growing_pauses_make_a_dead_letter_that_can_be_retried() {
    let scene = written(&["one"]).await;
    let mut worker = Worker::new(&scene);
    let mut pauses = Vec::new();
    loop {
        let (_, handover) = worker.take().await.unwrap();
        let attempt = handover.attempt;
        if worker.client.retry(handover, "busy").unwrap() == EntryState::Dead {
            assert_eq!(attempt, 8);
            break;
        }
        let mut pause = 0;
        loop {
            worker.receiving.rewind();
            let entry = &worker.client.store().entries_named("1").unwrap()[0];
            assert_eq!((entry.attempt, entry.state), (attempt, EntryState::New));
            assert_eq!(entry.detail.as_deref(), Some("busy"));
            if scene.now() == entry.due.unwrap() {
                break;
            }
            assert!(worker.take().await.is_none());
            scene.clock.advance(1000);
            pause += 1;
        }
        pauses.push(pause);
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64]);
    scene.clock.advance(DAY);
    assert!(worker.drain().await.is_empty());
    worker.client.store_mut().retry(1).unwrap();
    worker.receiving.rewind();
    assert_eq!(worker.take().await.unwrap().1.attempt, 1);
}

#[tokio::test]
async fn a_message_whose_worker_dies_every_time_becomes_a_dead_letter() {
    let scene = written(&["one"]).await;
    let mut watcher = Worker::new(&scene);
    let mut dead = Vec::new();
    for attempt in 1..=8 {
        let mut worker = Worker::new(&scene);
        assert_eq!(worker.take().await.unwrap().1.attempt, attempt);
        dead.push(worker);
        scene.clock.advance(LEASE);
    }
    watcher.receiving.rewind();
    let aside = watcher.aside().await;
    assert_eq!(
        (aside.state, aside.reason),
        (EntryState::Dead, Reason::Handler)
    );
    assert_eq!(aside.detail, "it was tried 8 times");
}

#[tokio::test]
async fn a_pause_does_not_outlast_a_clock_that_was_set_back() {
    let scene = written(&["one"]).await;
    let mut worker = Worker::new(&scene);
    let (_, handover) = worker.take().await.unwrap();
    worker.client.retry(handover, "busy").unwrap();
    scene.clock.set(scene.now() - DAY);
    assert_eq!(worker.drain().await, ["one"]);
}

#[tokio::test]
async fn a_committed_message_is_not_run_again_whoever_delivers_it() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "one").await.unwrap();
    let stored = scene.last_stored();
    fetch(&mut scene).await;
    let mut worker = Worker::new(&scene);
    assert_eq!(worker.drain().await, ["one"]);
    for (id, from) in [("again", "alice"), ("once-more", "nobody")] {
        let mut copy = stored.clone();
        copy["id"] = json!(id);
        copy["from"] = json!(from);
        scene.relay.inject("bob", &copy.to_string());
    }
    fetch(&mut scene).await;
    assert!(worker.drain().await.is_empty());
    assert_eq!(states(&scene, EntryState::Done), 3);
}

#[tokio::test]
async fn a_copy_of_a_message_that_awaits_its_retry_or_died_is_not_run_in_its_place() {
    for dies in [false, true] {
        let mut scene = Scene::new().await;
        scene.alice.say("bob", "one").await.unwrap();
        let mut copy = scene.last_stored();
        fetch(&mut scene).await;
        copy["id"] = json!("again");
        scene.relay.inject("bob", &copy.to_string());
        let mut worker = Worker::new(&scene);
        let (_, handover) = worker.take().await.unwrap();
        if dies {
            worker.client.reject(handover, "no").unwrap();
        } else {
            worker.client.retry(handover, "busy").unwrap();
        }
        fetch(&mut scene).await;
        assert!(worker.drain().await.is_empty());
        scene.clock.advance(1000);
        let expected: &[&str] = if dies { &[] } else { &["one"] };
        assert_eq!(worker.drain().await, expected);
    }
}

#[tokio::test]
async fn what_nobody_signed_is_held_before_a_handler_and_run_when_it_is_accepted() {
    let mut scene = written(&[]).await;
    let draft = text_draft("in the clear");
    scene.relay.set_agent_capabilities("alice", &[]);
    let client = &mut scene.alice.agent.client;
    client
        .send_plaintext(&["bob".to_owned()], &draft)
        .await
        .unwrap()
        .remove(0)
        .unwrap();
    fetch(&mut scene).await;
    let mut worker = Worker::new(&scene);
    let aside = worker.aside().await;
    assert_eq!(
        (aside.state, aside.reason),
        (EntryState::Held, Reason::Unsigned)
    );
    assert!(worker.client.store_mut().accept(aside.number).unwrap());
    assert_eq!(worker.drain().await, ["in the clear"]);
}

#[tokio::test]
async fn what_is_done_keeps_its_bytes_only_where_that_is_wanted() {
    for keeps_done in [false, true] {
        let scene = written(&["one"]).await;
        let contract = Contract {
            keeps_done,
            ..Contract::HANDLER
        };
        assert_eq!(Worker::under(contract, &scene).drain().await, ["one"]);
        let mut kept = Vec::new();
        let store = scene.bob.agent.client.store();
        store
            .each_entry(EntryState::Done, |entry| kept.push(!entry.raw.is_empty()))
            .unwrap();
        assert_eq!(kept, [keeps_done]);
    }
}

#[tokio::test]
async fn what_comes_late_is_looked_at_before_what_its_sender_wrote_after_it() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "1").await.unwrap();
    let early = scene.last_stored();
    scene.clock.advance(1000);
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    carol.say("bob", "c").await.unwrap();
    let middle = scene.last_stored();
    scene.clock.advance(1000);
    scene.alice.say("bob", "2").await.unwrap();
    let late = scene.last_stored();
    // They are stored in this order, as two workers that fetch at once may store them.
    let delivery = |message: &serde_json::Value, number: i64| Delivery {
        relay_id: None,
        sent_at: Some(number),
        raw: message.to_string().into_bytes().into(),
    };
    let mut worker = Worker::new(&scene);
    let now = scene.now();
    let mut admit = |delivery: Delivery| {
        let store = scene.bob.agent.client.store_mut();
        let _stored = store.admit(&[delivery], now).unwrap();
    };
    admit(delivery(&middle, 2));
    let (text, handover) = worker.take().await.unwrap();
    assert_eq!(text, "c");
    worker.client.commit(handover).unwrap();
    admit(delivery(&late, 3));
    admit(delivery(&early, 1));
    for expected in ["1", "2"] {
        let (text, handover) = worker.take().await.unwrap();
        assert_eq!(text, expected);
        worker.client.commit(handover).unwrap();
    }
}

#[tokio::test]
async fn a_worker_that_begins_again_comes_to_what_waited_in_the_order_of_its_sender() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    for number in ["1", "2", "3"] {
        scene.alice.say("bob", &format!("a{number}")).await.unwrap();
        carol.say("bob", &format!("c{number}")).await.unwrap();
    }
    fetch(&mut scene).await;
    let (mut first, mut second) = (Worker::new(&scene), Worker::new(&scene));
    let (_, alices) = second.take().await.unwrap();
    let (_, carols) = second.take().await.unwrap();
    assert!(first.take().await.is_none());
    second.client.commit(alices).unwrap();
    second.client.commit(carols).unwrap();
    // As a worker does each time that the relay has answered.
    first.receiving.rewind();
    let (before, handover) = first.take().await.unwrap();
    first.client.commit(handover).unwrap();
    first.receiving.rewind();
    let mut texts = vec![before];
    while let Some((text, handover)) = first.take().await {
        first.client.commit(handover).unwrap();
        texts.push(text);
    }
    let of = |sender| texts.iter().filter(move |text| text.starts_with(sender));
    assert!(
        of('a').eq(["a2", "a3"]) && of('c').eq(["c2", "c3"]),
        "{texts:?}"
    );
}

#[tokio::test]
async fn a_run_comes_to_what_stands_between_messages_that_wait_for_a_dead_worker() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let mut dave = Native::register(&scene.relay, "dave", &scene.clock, true).await;
    let mut admit = async |scene: &mut Scene, text: &str, sent_at| {
        let sender = match text.chars().next() {
            Some('a') => &mut scene.alice,
            Some('c') => &mut carol,
            _ => &mut dave,
        };
        sender.say("bob", text).await.unwrap();
        let delivery = Delivery {
            relay_id: None,
            sent_at: Some(sent_at),
            raw: scene.last_stored().to_string().into_bytes().into(),
        };
        let now = scene.now();
        let store = scene.bob.agent.client.store_mut();
        let _stored = store.admit(&[delivery], now).unwrap();
    };
    for (text, sent_at) in [("a1", 1), ("c1", 2), ("a2", 3), ("c2", 5)] {
        admit(&mut scene, text, sent_at).await;
    }
    let mut dead = Worker::new(&scene);
    let _alices = dead.take().await.unwrap();
    let _carols = dead.take().await.unwrap();
    let mut worker = Worker::new(&scene);
    assert!(worker.drain().await.is_empty());
    // Between what waits, so that a run has passed alice's place and not yet carol's.
    admit(&mut scene, "d1", 4).await;
    assert_eq!(worker.drain().await, ["d1"]);
    scene.clock.advance(LEASE);
    let texts = worker.drain().await;
    assert_eq!(texts.len(), 4, "{texts:?}");
    let of = |sender| texts.iter().filter(move |text| text.starts_with(sender));
    assert!(
        of('a').eq(["a1", "a2"]) && of('c').eq(["c1", "c2"]),
        "{texts:?}"
    );
}

#[tokio::test]
async fn what_the_relay_could_not_be_asked_about_is_not_overtaken_when_it_can() {
    let mut scene = written(&["1"]).await;
    let delivery = |message: &serde_json::Value| Delivery {
        relay_id: None,
        sent_at: None,
        raw: message.to_string().into_bytes().into(),
    };
    scene.alice.say("bob", "2").await.unwrap();
    let second = delivery(&scene.last_stored());
    let mut worker = Worker::new(&scene);
    scene.relay.stop();
    let error = worker.client.next(&mut worker.receiving).await.unwrap_err();
    assert!(matches!(error, Error::Relay(_)), "{error}");
    scene.relay.restart();
    scene.clock.advance(1000);
    let now = scene.now();
    let store = scene.bob.agent.client.store_mut();
    let _stored = store.admit(&[second], now).unwrap();
    let error = worker.client.next(&mut worker.receiving).await.unwrap_err();
    assert!(matches!(error, Error::Relay(_)), "{error}");
    assert_eq!(worker.drain().await, ["1", "2"]);
}

#[tokio::test]
async fn what_the_store_failed_for_is_not_overtaken_when_it_works() {
    let scene = written(&["1", "2"]).await;
    let mut worker = Worker::new(&scene);
    let path = scene.bob.agent.folder.path().join("store.sqlite");
    let db = rusqlite::Connection::open(path).unwrap();
    db.execute_batch(
        "CREATE TRIGGER fails BEFORE UPDATE OF state ON inbox BEGIN SELECT RAISE(ABORT, ''); END",
    )
    .unwrap();
    let error = worker.client.next(&mut worker.receiving).await.unwrap_err();
    assert!(matches!(error, Error::Store(_)), "{error}");
    db.execute_batch("DROP TRIGGER fails").unwrap();
    let (text, _handover) = worker.take().await.unwrap();
    assert_eq!(text, "1");
}

#[tokio::test]
async fn a_look_that_is_broken_off_is_taken_again_at_the_same_message() {
    let mut scene = written(&["1", "2"]).await;
    let mut worker = Worker::new(&scene);
    {
        // Its sender is a stranger, and the directory is asked.
        let mut next = std::pin::pin!(worker.client.next(&mut worker.receiving));
        assert!(futures_util::poll!(&mut next).is_pending());
    }
    let mut texts = Vec::new();
    while let Some((text, handover)) = worker.take().await {
        worker.client.commit(handover).unwrap();
        texts.push(text);
    }
    assert_eq!(texts, ["1", "2"]);
    fetch(&mut scene).await;
}
