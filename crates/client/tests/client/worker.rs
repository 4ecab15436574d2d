//! The worker: what it runs, in which order, how often, and when it ends.

use std::{
    future::pending,
    panic::AssertUnwindSafe,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use ctalk::{
    Class, Contract, Draft, Error, Event, Filter, Format, Until, Work, Worked,
    clock::Clock,
    core::envelope::ReceiptOutcome,
    handler::{Attempt, Handler, Outcome},
    store::{EntryState, HeldReceipt},
    wire::MessageType,
};
use ctalk_relay::testing::Faults;
use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, Semaphore};

use crate::{
    agents::{body, text_draft},
    scene::{DAY, Native, Scene, SetClock},
};

/// Says what came and ends each attempt as told.
struct Scripted<F> {
    outcome: F,
    handled: Mutex<Vec<(String, u32)>>,
}

impl<F: Fn(&str, u32) -> Outcome + Send + Sync> Scripted<F> {
    fn new(outcome: F) -> Self {
        Self {
            outcome,
            handled: Mutex::default(),
        }
    }

    fn handled(&self) -> Vec<(String, u32)> {
        self.handled.lock().unwrap().clone()
    }
}

#[async_trait]
impl<F: Fn(&str, u32) -> Outcome + Send + Sync> Handler for Scripted<F> {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        let text = body(&attempt.message);
        let outcome = (self.outcome)(&text, attempt.number);
        self.handled.lock().unwrap().push((text, attempt.number));
        outcome
    }
}

fn done() -> Outcome {
    Outcome::Done { output: Vec::new() }
}

fn why(text: &str) -> String {
    text.to_owned()
}

fn following(idle: u64) -> Work {
    Work {
        until: Until::Stopped {
            interval: Duration::from_secs(2),
            idle: Some(Duration::from_secs(idle)),
        },
        ..Work::default()
    }
}

async fn work(scene: &mut Scene, work: &Work, handler: &dyn Handler) -> Result<Worked, Error> {
    let client = &mut scene.bob.agent.client;
    client.work(work, handler, pending(), |_| {}).await
}

async fn written(texts: &[&str]) -> Scene {
    let mut scene = Scene::new().await;
    for text in texts {
        scene.alice.say("bob", text).await.unwrap();
    }
    scene
}

#[tokio::test]
async fn each_message_is_handled_once_in_order_until_nothing_is_left() {
    let mut scene = written(&["1", "2", "3"]).await;
    let handler = Scripted::new(|_, _| done());
    let worked = work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(
        worked,
        Worked {
            done: 3,
            set_aside: 0
        }
    );
    let texts: Vec<_> = handler
        .handled()
        .into_iter()
        .map(|(text, _)| text)
        .collect();
    assert_eq!(texts, ["1", "2", "3"]);
    let again = work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(again, Worked::default());
    assert_eq!(scene.bob.agent.waiting().await, 0);
}

#[tokio::test]
async fn outcomes_decide_what_becomes_of_messages() {
    let mut scene = written(&["done", "later", "never", "refused", "end"]).await;
    let handler = Scripted::new(|text, attempt| match (text, attempt) {
        ("later", 1) => Outcome::Retry {
            why: why("busy"),
            after: None,
        },
        ("never", _) => Outcome::Failed { why: why("broken") },
        ("refused", _) => Outcome::Refused { why: why("no") },
        _ => done(),
    });
    let mut states = Vec::new();
    let client = &mut scene.bob.agent.client;
    let observe = |event: Event<'_>| {
        if let Event::Ended { attempt, state, .. } = event {
            states.push((body(&attempt.message), state));
        }
    };
    let worked = client
        .work(&following(5), &handler, pending(), observe)
        .await
        .unwrap();
    assert_eq!(
        worked,
        Worked {
            done: 3,
            set_aside: 2
        }
    );
    let states: Vec<_> = states
        .iter()
        .map(|(text, state)| (&**text, *state))
        .collect();
    // What is to be tried again holds back what its sender wrote later.
    assert_eq!(
        states,
        [
            ("done", EntryState::Done),
            ("later", EntryState::New),
            ("later", EntryState::Done),
            ("never", EntryState::Dead),
            ("refused", EntryState::Quarantined),
            ("end", EntryState::Done),
        ]
    );
}

#[tokio::test]
async fn work_that_ends_when_nothing_is_left_leaves_retries_for_the_next_one() {
    let mut scene = written(&["later"]).await;
    let handler = Scripted::new(|_, attempt| match attempt {
        1 => Outcome::Retry {
            why: why("busy"),
            after: None,
        },
        _ => done(),
    });
    let worked = work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(worked, Worked::default());
    scene.clock.advance(1000);
    let worked = work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(worked.done, 1);
    assert_eq!(handler.handled().len(), 2);
}

#[tokio::test]
async fn a_handler_gets_the_pause_that_it_asks_for_between_its_own_and_the_longest() {
    for (asked, pause) in [(0, 1000), (30, 30_000), (3600, 300_000)] {
        let mut scene = written(&["later"]).await;
        let handler = Scripted::new(|_, attempt| match attempt {
            1 => Outcome::Retry {
                why: why("busy"),
                after: Some(Duration::from_secs(asked)),
            },
            _ => done(),
        });
        let mut done_after = async |millis| {
            scene.clock.advance(millis);
            let worked = work(&mut scene, &Work::default(), &handler).await;
            worked.unwrap().done
        };
        let done = [
            done_after(0).await,
            done_after(pause - 1).await,
            done_after(1).await,
        ];
        assert_eq!(done, [0, 0, 1], "{asked} s");
    }
}

#[tokio::test]
async fn a_follower_ends_when_idle_but_not_before_a_retry_that_is_due_by_then() {
    for (idle, handled) in [(1, 1), (6, 2)] {
        let mut scene = written(&["later"]).await;
        let handler = Scripted::new(|_, attempt| match attempt {
            1 => Outcome::Retry {
                why: why("busy"),
                after: None,
            },
            _ => done(),
        });
        let work_of = Work {
            contract: Contract {
                first_pause: Duration::from_secs(10),
                ..Contract::HANDLER
            },
            ..following(idle)
        };
        let began = scene.now();
        work(&mut scene, &work_of, &handler).await.unwrap();
        assert_eq!(handler.handled().len(), handled, "idle for {idle} s");
        assert!(scene.now() - began >= i64::try_from(idle).unwrap() * 1000);
    }
}

#[tokio::test]
async fn no_more_messages_are_begun_than_asked_for() {
    let mut scene = written(&["1", "2", "3"]).await;
    let handler = Scripted::new(|_, _| done());
    let two = Work {
        most: Some(2),
        concurrency: 4,
        ..following(60)
    };
    assert_eq!(work(&mut scene, &two, &handler).await.unwrap().done, 2);
    assert_eq!(work(&mut scene, &two, &handler).await.unwrap().done, 1);
}

#[tokio::test]
async fn a_handler_that_can_go_on_no_more_keeps_its_message_in_the_inbox() {
    let mut scene = written(&["1", "2"]).await;
    let handler = Scripted::new(|text, _| match text {
        "1" => Outcome::Stop {
            why: why("the pipe is closed"),
        },
        _ => done(),
    });
    let error = work(&mut scene, &Work::default(), &handler)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "the pipe is closed");
    let handler = Scripted::new(|_, _| done());
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(
        handler.handled(),
        [("1".to_owned(), 2), ("2".to_owned(), 1)]
    );
}

/// Lets nobody end before somebody says so, and counts how many run at once.
#[derive(Default)]
struct Gate {
    running: AtomicUsize,
    most: AtomicUsize,
    began: Notify,
    open: Option<Semaphore>,
}

#[async_trait]
impl Handler for Gate {
    async fn handle(&self, _attempt: &Attempt) -> Outcome {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        self.began.notify_one();
        match &self.open {
            Some(open) => open.acquire().await.unwrap().forget(),
            None => pending().await,
        }
        self.running.fetch_sub(1, Ordering::SeqCst);
        done()
    }
}

async fn from_three_senders() -> Scene {
    let scene = written(&["a"]).await;
    for name in ["carol", "dave"] {
        let mut sender = Native::register(&scene.relay, name, &scene.clock, true).await;
        sender.say("bob", name).await.unwrap();
    }
    scene
}

#[tokio::test]
async fn as_many_handlers_run_at_once_as_asked_for() {
    for concurrency in [1, 2, 3] {
        let mut scene = from_three_senders().await;
        let gate = Gate {
            open: Some(Semaphore::new(0)),
            ..Gate::default()
        };
        let work_of = Work {
            concurrency,
            ..Work::default()
        };
        let opens = async {
            for _ in 0..3 {
                gate.began.notified().await;
                if gate.running.load(Ordering::SeqCst) == concurrency {
                    break;
                }
            }
            gate.open.as_ref().unwrap().add_permits(3);
        };
        let (worked, ()) = tokio::join!(work(&mut scene, &work_of, &gate), opens);
        assert_eq!(worked.unwrap().done, 3);
        assert_eq!(gate.most.load(Ordering::SeqCst), concurrency);
    }
}

/// Takes as long as this by a clock, and then stops the work.
struct Slow {
    clock: SetClock,
    millis: i64,
    stop: Notify,
    attempts: Mutex<Vec<u32>>,
}

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, attempt: &Attempt) -> Outcome {
        self.attempts.lock().unwrap().push(attempt.number);
        let end = self.clock.now() + self.millis;
        if attempt.number == 1 {
            while self.clock.now() < end {
                tokio::task::yield_now().await;
            }
            self.stop.notify_one();
        }
        done()
    }
}

#[tokio::test]
async fn a_handler_that_takes_longer_than_a_lease_is_not_run_a_second_time() {
    let mut scene = written(&["1"]).await;
    let slow = Slow {
        clock: scene.clock.clone(),
        millis: 4 * 30_000,
        stop: Notify::new(),
        attempts: Mutex::default(),
    };
    let work_of = Work {
        concurrency: 2,
        ..following(3600)
    };
    let client = &mut scene.bob.agent.client;
    let worked = client.work(&work_of, &slow, slow.stop.notified(), |_| {});
    assert_eq!(worked.await.unwrap().done, 1);
    assert_eq!(*slow.attempts.lock().unwrap(), [1]);
}

#[tokio::test]
async fn a_worker_that_is_stopped_waits_for_what_runs_and_begins_nothing() {
    let mut scene = from_three_senders().await;
    let gate = Gate {
        open: Some(Semaphore::new(0)),
        ..Gate::default()
    };
    let stopping = Notify::new();
    let client = &mut scene.bob.agent.client;
    let work_of = following(3600);
    let opens = async {
        gate.began.notified().await;
        stopping.notify_one();
        tokio::task::yield_now().await;
        gate.open.as_ref().unwrap().add_permits(3);
    };
    let (worked, ()) = tokio::join!(
        client.work(&work_of, &gate, stopping.notified(), |_| {}),
        opens
    );
    assert_eq!(worked.unwrap().done, 1);
}

#[tokio::test]
async fn breaking_a_worker_off_gives_its_messages_back() {
    let mut scene = written(&["1"]).await;
    let gate = Gate::default();
    {
        let (client, work_of) = (&mut scene.bob.agent.client, Work::default());
        tokio::select! {
            worked = client.work(&work_of, &gate, pending(), |_| {}) => panic!("{worked:?}"),
            () = gate.began.notified() => {}
        }
    }
    let handler = Scripted::new(|_, _| done());
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(handler.handled(), [("1".to_owned(), 2)]);
}

#[tokio::test]
async fn what_was_stored_before_is_handled_although_the_relay_is_away() {
    let mut scene = written(&["1"]).await;
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    // So that its sender needs no asking.
    client.receive(Filter::default()).unwrap();
    let handler = Scripted::new(|_, _| Outcome::Retry {
        why: why("busy"),
        after: None,
    });
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    scene.clock.advance(1000);
    scene.relay.stop();
    let handler = Scripted::new(|_, _| done());
    let error = work(&mut scene, &Work::default(), &handler)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::RelayUnreachable, "{error}");
    assert_eq!(handler.handled().len(), 1);
}

#[tokio::test]
async fn a_follower_outlives_a_relay_that_is_away_and_says_so_once() {
    let mut scene = written(&[]).await;
    scene.relay.stop();
    let mut told = Vec::new();
    let client = &mut scene.bob.agent.client;
    let handler = Scripted::new(|_, _| done());
    let observe = |event: Event<'_>| match event {
        Event::Trouble(error) => told.push(error.to_string()),
        Event::Recovered => told.push(why("again")),
        _ => {}
    };
    client
        .work(&following(600), &handler, pending(), observe)
        .await
        .unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("cannot reach the relay"), "{told:?}");
    scene.relay.restart();
    scene
        .alice
        .send(&["bob"], &text_draft("1"))
        .await
        .remove(0)
        .unwrap();
    assert_eq!(
        work(&mut scene, &Work::default(), &handler)
            .await
            .unwrap()
            .done,
        1
    );
}

fn echo() -> Scripted<impl Fn(&str, u32) -> Outcome + Send + Sync> {
    Scripted::new(|text, attempt| match (text, attempt) {
        ("later", 1) => Outcome::Retry {
            why: why("busy"),
            after: None,
        },
        _ => Outcome::Done {
            output: format!("{text}!").into_bytes(),
        },
    })
}

#[tokio::test]
async fn a_request_is_answered_once_with_what_its_handler_says() {
    let mut scene = Scene::new().await;
    let mut draft = text_draft("later");
    draft.correlation_id = Some("question 1".to_owned());
    let sent = scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    let replying = Work {
        replies: true,
        most: Some(2),
        ..following(60)
    };
    assert_eq!(work(&mut scene, &replying, &echo()).await.unwrap().done, 1);
    let (messages, aside) = scene.alice.receive().await;
    assert!(aside.is_empty(), "{aside:?}");
    assert_eq!(messages.len(), 1);
    let response = &messages[0];
    assert_eq!(body(response), "later!");
    assert_eq!(response.message_type, "response");
    assert_eq!(response.correlation_id.as_deref(), Some("question 1"));
    assert_eq!(response.reply_to, sent.id);
    assert_eq!(response.format, Format::Native);
}

#[tokio::test]
async fn a_request_stays_handled_when_its_answer_cannot_be_sealed_and_that_is_said() {
    let mut scene = written(&["hello"]).await;
    work(&mut scene, &Work::default(), &echo()).await.unwrap();
    scene.alice.say("bob", "1").await.unwrap();
    scene.bob.agent.client.fetch(Duration::ZERO).await.unwrap();
    // By then nobody may seal to the card that bob has of her.
    scene.clock.advance(31 * DAY);
    let replying = Work {
        replies: true,
        ..Work::default()
    };
    let mut notices = Vec::new();
    let client = &mut scene.bob.agent.client;
    let observe = |event: Event<'_>| {
        if let Event::Notice(notice) = event {
            notices.push(notice.to_string());
        }
    };
    let worked = client.work(&replying, &echo(), pending(), observe).await;
    assert_eq!(worked.unwrap().done, 1);
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(
        notices[0].contains("the reply cannot be sent"),
        "{notices:?}"
    );
}

#[tokio::test]
async fn responses_and_notifications_are_not_answered() {
    let mut scene = Scene::new().await;
    for message_type in [MessageType::Response, MessageType::Notification] {
        let mut draft = text_draft("hello");
        draft.message_type = message_type;
        scene.alice.send(&["bob"], &draft).await.remove(0).unwrap();
    }
    let replying = Work {
        replies: true,
        ..Work::default()
    };
    assert_eq!(work(&mut scene, &replying, &echo()).await.unwrap().done, 2);
    assert!(scene.alice.receive().await.0.is_empty());
}

#[tokio::test]
async fn a_request_that_nobody_signed_is_not_answered_when_it_was_accepted() {
    let mut scene = Scene::new().await;
    scene.relay.set_agent_capabilities("alice", &[]);
    let names = ["bob".to_owned()];
    let client = &mut scene.alice.agent.client;
    let sent = client.send_plaintext(&names, &text_draft("hello")).await;
    sent.unwrap().remove(0).unwrap();
    let replying = Work {
        replies: true,
        ..Work::default()
    };
    work(&mut scene, &replying, &echo()).await.unwrap();
    let client = &mut scene.bob.agent.client;
    let mut held = Vec::new();
    let hold = |entry: ctalk::store::Entry| held.push(entry.number);
    client.store().each_entry(EntryState::Held, hold).unwrap();
    assert!(client.store_mut().accept(held[0]).unwrap());
    let (handler, mut notices) = (echo(), Vec::new());
    let observe = |event: Event<'_>| {
        if let Event::Notice(notice) = event {
            notices.push(notice.to_string());
        }
    };
    let worked = client.work(&replying, &handler, pending(), observe).await;
    assert_eq!(worked.unwrap().done, 1);
    assert!(notices.is_empty(), "{notices:?}");
}

#[tokio::test]
async fn what_was_handled_is_not_handled_again_after_a_panic() {
    let mut scene = written(&["1"]).await;
    let handler = Scripted::new(|_, _| done());
    let client = &mut scene.bob.agent.client;
    let never = pending();
    let work_of = Work::default();
    let working = client.work(&work_of, &handler, never, |event| {
        assert!(!matches!(event, Event::Ended { .. }), "on purpose");
    });
    AssertUnwindSafe(working).catch_unwind().await.unwrap_err();
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    scene.clock.advance(60_000);
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert_eq!(handler.handled(), [("1".to_owned(), 1)]);
}

#[tokio::test]
async fn an_answer_that_cannot_leave_now_waits_in_the_outbox() {
    let mut scene = written(&["1"]).await;
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    // So that its sender needs no asking.
    let again = Scripted::new(|_, _| Outcome::Retry {
        why: why("busy"),
        after: None,
    });
    work(&mut scene, &Work::default(), &again).await.unwrap();
    scene.clock.advance(1000);
    scene.relay.stop();
    let replying = Work {
        replies: true,
        ..Work::default()
    };
    work(&mut scene, &replying, &echo()).await.unwrap_err();
    scene.relay.restart();
    assert!(scene.alice.receive().await.0.is_empty());
    let flushed = scene.bob.agent.client.flush().await.unwrap();
    assert_eq!(flushed.len(), 1);
    assert_eq!(body(&scene.alice.receive().await.0[0]), "1!");
}

/// The receipts that alice has for what she sent under this id.
async fn receipts(scene: &mut Scene, id: &str) -> Vec<HeldReceipt> {
    let (messages, aside) = scene.alice.receive().await;
    assert!(
        messages.is_empty() && aside.is_empty(),
        "{messages:?} {aside:?}"
    );
    scene.alice.agent.client.store().receipts(id).unwrap()
}

fn asking(text: &str) -> Draft {
    Draft {
        receipt: true,
        ..text_draft(text)
    }
}

#[tokio::test]
async fn whoever_asks_gets_a_receipt_of_what_became_of_the_message() {
    let handler = Scripted::new(|text, attempt| match (text, attempt) {
        ("done", 1) => Outcome::Retry {
            why: why("busy"),
            after: None,
        },
        ("done", _) => Outcome::Done {
            output: b"result".to_vec(),
        },
        ("failed", _) => Outcome::Failed { why: why("no") },
        _ => Outcome::Refused { why: why("no") },
    });
    for (text, outcome, attempt, result) in [
        ("done", ReceiptOutcome::Done, 2, "result"),
        ("failed", ReceiptOutcome::Failed, 1, ""),
        ("refused", ReceiptOutcome::Refused, 1, ""),
    ] {
        let mut scene = Scene::new().await;
        let sent = scene.alice.send(&["bob"], &asking(text)).await.remove(0);
        let id = sent.unwrap().id.unwrap();
        work(&mut scene, &following(5), &handler).await.unwrap();
        let held = receipts(&mut scene, &id).await;
        assert_eq!(held.len(), 1, "{text}");
        assert_eq!((held[0].outcome, held[0].attempt), (outcome, attempt));
        assert_eq!(held[0].digest, *Sha256::digest(result));
    }
}

#[tokio::test]
async fn a_receipt_that_got_lost_is_repeated_when_its_message_comes_again() {
    let mut scene = Scene::new().await;
    let handler = Scripted::new(|_, _| done());
    let sent = scene.alice.send(&["bob"], &asking("one")).await.remove(0);
    let id = sent.unwrap().id.unwrap();
    scene.relay.fail(Faults {
        swallow: 1.0,
        ..Faults::default()
    });
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    scene.relay.fail(Faults::default());
    assert!(receipts(&mut scene, &id).await.is_empty());
    // By now it is overdue.
    scene.clock.advance(60_000);
    scene.alice.agent.client.flush_due().await.unwrap();
    work(&mut scene, &following(1), &handler).await.unwrap();
    assert_eq!(receipts(&mut scene, &id).await.len(), 1);
    assert_eq!(handler.handled(), [("one".to_owned(), 1)]);
    assert!(scene.alice.agent.client.flush().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_message_that_is_shown_many_times_at_once_is_not_answered_as_often() {
    let mut scene = Scene::new().await;
    let handler = Scripted::new(|_, _| done());
    scene
        .alice
        .send(&["bob"], &asking("one"))
        .await
        .remove(0)
        .unwrap();
    let mut copy = scene.last_stored();
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    let answered = scene.relay.stored().len();
    for number in 0..5 {
        copy["id"] = serde_json::json!(format!("copy-{number}"));
        scene.relay.inject("bob", &copy.to_string());
    }
    work(&mut scene, &following(1), &handler).await.unwrap();
    assert_eq!(scene.relay.stored().len(), answered);
}

#[tokio::test]
async fn what_the_policy_refuses_is_answered_to_a_contact_that_asks() {
    let mut scene = Scene::new().await;
    scene.bob.say("alice", "hello").await.unwrap();
    let _ = scene.alice.receive().await;
    let folder = scene.bob.agent.folder.path();
    std::fs::write(folder.join("policy.toml"), "[default]\nmax-size = 3").unwrap();
    scene.bob.agent.client = scene.bob.client(&scene.relay.url(), &scene.clock);
    let sent = scene.alice.send(&["bob"], &asking("long")).await.remove(0);
    let handler = Scripted::new(|_, _| done());
    work(&mut scene, &Work::default(), &handler).await.unwrap();
    assert!(handler.handled().is_empty());
    let held = receipts(&mut scene, &sent.unwrap().id.unwrap()).await;
    assert_eq!(held[0].outcome, ReceiptOutcome::Refused);
}
