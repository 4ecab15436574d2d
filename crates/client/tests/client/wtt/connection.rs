//! How a connection to a WTT service begins, ends, and is done without.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ctalk::{
    clock::{Clock, SystemClock},
    relay::{
        Body, Destination, Outgoing, Relay, RelayError,
        clawtalk::BearerKey,
        wtt::{Credentials, Wtt},
    },
    wire::MessageType,
};
use serde_json::json;
use tokio::sync::Semaphore;

use super::{LONG, Peer, StandIn, two};
use crate::agents::{body, receive_all};

/// The time between two heartbeats.
const BEAT: Duration = Duration::from_secs(25);
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// The machine's clock, but for pauses of one length, which end when a test says so.
struct Gate(Duration, Arc<Semaphore>);

#[async_trait::async_trait]
impl Clock for Gate {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        if duration == self.0 {
            self.1.acquire().await.unwrap().forget();
        } else {
            SystemClock.sleep(duration).await;
        }
    }
}

/// A clock on which pauses take no time and are written down, but for those that never end.
struct Pauses {
    passed: Mutex<Vec<Duration>>,
    never: fn(Duration) -> bool,
}

impl Pauses {
    /// Nothing of what is waited for at a connection comes too late.
    fn new(never: fn(Duration) -> bool) -> Arc<Self> {
        Arc::new(Self {
            passed: Mutex::default(),
            never,
        })
    }

    fn passed(&self) -> Vec<Duration> {
        self.passed.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Clock for Pauses {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    fn monotonic(&self) -> i64 {
        let passed: Duration = self.passed().iter().sum();
        i64::try_from(passed.as_millis()).unwrap()
    }

    async fn sleep(&self, duration: Duration) {
        if is_patience(duration) || (self.never)(duration) {
            std::future::pending::<()>().await;
        }
        self.passed.lock().unwrap().push(duration);
        tokio::task::yield_now().await;
    }
}

/// How long is waited for the service at a connection, and between two heartbeats.
fn is_patience(duration: Duration) -> bool {
    [PATIENCE, Duration::from_secs(15), BEAT].contains(&duration)
}

#[tokio::test]
async fn the_first_frame_shows_the_token_and_the_address_none() {
    let service = StandIn::start().await;
    let (_, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let frames = service.frames(bob.id());
    let token = service.service().agents[bob.id()].token.clone();
    assert_eq!(
        (&frames[0]["action"], &frames[0]["token"]),
        (&"auth".into(), &token.into())
    );
    assert_eq!(frames[1]["action"], "poll");
    assert_ne!(frames[0]["request_id"], frames[1]["request_id"]);
    assert_eq!(service.service().paths, [format!("/ws/{}", bob.id())]);
}

#[tokio::test]
async fn every_connection_polls_for_what_was_sent_without_one() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    for text in ["1", "2", "3"] {
        service.drop_connections();
        alice.say("bob", text).await.unwrap();
        let (messages, _) = bob.receive(1).await;
        assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), [text]);
    }
    let connections = service.service().connections;
    assert!(connections >= 2, "{connections}");
    assert!(service.actions(bob.id(), "poll") >= connections);
}

#[tokio::test]
async fn a_line_that_breaks_is_made_anew_and_nothing_is_lost() {
    let service = StandIn::start().await;
    let (alice, mut bob) = two(&service).await;
    bob.connect(&service).await;
    let service = service.restart().await;
    let mut alice = alice.restart(&service);
    alice.say("bob", "1").await.unwrap();
    let (messages, _) = bob.receive(1).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["1"]);
    bob.say("alice", "2").await.unwrap();
    assert_eq!(alice.receive(1).await.0.len(), 1);
}

#[tokio::test]
async fn without_a_connection_messages_come_by_rest_and_none_twice() {
    for keeps_polled in [false, true] {
        let service = StandIn::start().await;
        let (mut alice, mut bob) = two(&service).await;
        service.switch(|switches| {
            switches.has_no_sockets = true;
            switches.keeps_polled = keeps_polled;
        });
        alice.say("bob", "1").await.unwrap();
        let (messages, _) = receive_all(&mut bob.client).await;
        assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["1"]);
        bob.say("alice", "back").await.unwrap();
        alice.say("bob", "2").await.unwrap();
        let (messages, _) = receive_all(&mut bob.client).await;
        assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["2"]);
        assert_eq!(receive_all(&mut alice.client).await.0.len(), 1);
    }
}

#[tokio::test]
async fn without_a_connection_it_is_polled_every_thirty_seconds() {
    let service = StandIn::start().await;
    let (_, bob) = two(&service).await;
    service.switch(|switches| switches.has_no_sockets = true);
    // It never connects again.
    let clock = Pauses::new(|pause| !pause.is_zero() && pause < Duration::from_secs(1));
    let adapter = bob.adapter_with(&service, clock.clone());
    let polls = || service.calls("GET /messages/poll/").len();
    for (wait, polled, passed) in [(12, 1, 0), (12, 1, 12), (12, 1, 24), (30, 2, 30)] {
        let waited = adapter.fetch(Duration::from_secs(wait)).await;
        assert!(waited.unwrap().is_empty());
        assert_eq!((polls(), clock.monotonic()), (polled, 1000 * passed));
    }
}

#[tokio::test]
async fn a_poll_that_the_socket_refuses_is_made_by_rest() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    service.switch(|switches| switches.refuses_socket_poll = true);
    alice.say("bob", "1").await.unwrap();
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["1"]);
    bob.connect(&service).await;
    alice.say("bob", "2").await.unwrap();
    assert_eq!(bob.receive(1).await.0.len(), 1);
}

#[tokio::test]
async fn what_no_agent_may_poll_its_user_finds_in_the_feed() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    let carol = Peer::register(&service, "carol").await;
    alice.knows("carol", &carol);
    service.switch(|switches| {
        switches.has_no_sockets = true;
        switches.refuses_rest_poll = true;
        switches.wraps_lists = true;
    });
    alice.say("bob", "1").await.unwrap();
    alice.say("carol", "for another one").await.unwrap();
    let agents = vec![bob.id().to_owned(), carol.id().to_owned()];
    service.service().users.insert("jwt".to_owned(), agents);
    let user = Some(BearerKey::new("jwt"));
    let clock = Arc::new(SystemClock);
    let adapter = Wtt::new(&service.url(), bob.credentials.clone(), user, clock).unwrap();
    let deliveries = adapter.fetch(Duration::ZERO).await.unwrap();
    assert_eq!(deliveries.len(), 1, "{deliveries:?}");
    // Without a user's token there is the service's refusal.
    let error = bob
        .adapter(&service)
        .fetch(Duration::ZERO)
        .await
        .unwrap_err();
    assert!(
        matches!(error, RelayError::Refused { status: 403, .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_poll_that_nobody_waits_for_any_more_loses_nothing() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    service.switch(|switches| switches.has_no_sockets = true);
    alice.say("bob", "1").await.unwrap();
    let adapter = bob.adapter(&service);
    let mut fetch = Box::pin(adapter.fetch(Duration::ZERO));
    while service.calls("GET /messages/poll/").is_empty() {
        tokio::select! {
            biased;
            _ = &mut fetch => panic!("it was not broken off"),
            () = tokio::task::yield_now() => {}
        }
    }
    drop(fetch);
    loop {
        let taken = adapter.take_buffered();
        if !taken.is_empty() {
            break assert_eq!(taken.len(), 1);
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_wrong_token_is_said_to_be_the_reason_and_tried_ever_more_rarely() {
    let service = StandIn::start().await;
    let (_, bob) = two(&service).await;
    let wrong = Credentials::new(bob.id(), "wrong").unwrap();
    let clock = Pauses::new(|_| false);
    let adapter = Wtt::new(&service.url(), wrong, None, clock.clone()).unwrap();
    let error = adapter.fetch(Duration::ZERO).await.unwrap_err();
    assert!(matches!(error, RelayError::Unauthorized { .. }), "{error}");
    while service.service().connections < 8 {
        tokio::task::yield_now().await;
    }
    let pauses = clock.passed();
    let pauses: Vec<_> = pauses.iter().filter(|pause| !pause.is_zero()).collect();
    assert!(pauses.len() >= 7, "{pauses:?}");
    assert!(pauses[6] >= &Duration::from_secs(3), "{pauses:?}");
    assert_eq!(service.actions(bob.id(), "poll"), 0);
}

#[tokio::test]
async fn a_wrong_token_without_an_answer_is_tried_ever_more_rarely_too() {
    let service = StandIn::start().await;
    let (_, bob) = two(&service).await;
    service.switch(|switches| switches.hangs_up = true);
    let wrong = Credentials::new(bob.id(), "wrong").unwrap();
    let clock = Pauses::new(|_| false);
    let adapter = Wtt::new(&service.url(), wrong, None, clock.clone()).unwrap();
    let error = adapter.fetch(Duration::ZERO).await.unwrap_err();
    // REST was asked in its place.
    assert!(matches!(error, RelayError::Unauthorized { .. }), "{error}");
    while service.service().connections < 8 {
        tokio::task::yield_now().await;
    }
    let pauses = clock.passed();
    let longest = pauses.iter().max().unwrap();
    assert!(longest >= &Duration::from_secs(3), "{pauses:?}");
}

#[tokio::test]
async fn a_line_whose_heartbeats_go_unanswered_is_dead() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    let beats = Arc::new(Semaphore::new(0));
    let clock = Arc::new(Gate(BEAT, Arc::clone(&beats)));
    let adapter = bob.adapter_with(&service, clock);
    let nothing = adapter.fetch(Duration::from_millis(1)).await.unwrap();
    assert!(nothing.is_empty());
    let pings = || {
        service
            .frames(bob.id())
            .iter()
            .filter(|frame| *frame == "ping")
            .count()
    };
    // Answered ones are no reason: what comes after an answer shows that it came.
    for answered in 1..=4 {
        beats.add_permits(1);
        while pings() < answered {
            tokio::task::yield_now().await;
        }
        alice.say("bob", "1").await.unwrap();
        assert_eq!(adapter.fetch(LONG).await.unwrap().len(), 1);
    }
    assert_eq!(service.service().connections, 1);

    service.switch(|switches| switches.is_mute = true);
    beats.add_permits(3);
    while service.service().connections < 2 {
        tokio::task::yield_now().await;
    }
    service.switch(|switches| switches.is_mute = false);
    alice.say("bob", "2").await.unwrap();
    assert_eq!(adapter.fetch(LONG).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_answer_that_never_comes_is_given_up_and_nothing_is_taken_for_it() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    let late = Arc::new(Semaphore::new(0));
    let clock = Arc::new(Gate(PATIENCE, Arc::clone(&late)));
    let adapter = bob.adapter_with(&service, clock);
    adapter.fetch(Duration::from_millis(1)).await.unwrap();
    service.switch(|switches| switches.answers_nothing = true);
    let outgoing = outgoing(alice.id(), "ctalk2:AA");
    let answered = async {
        while service.actions(bob.id(), "p2p") == 0 {
            tokio::task::yield_now().await;
        }
        // Answers to others, and to nobody.
        for id in ["", "1", "00000000-3"] {
            let answer = json!({ "type": "action_result", "request_id": id, "ok": true });
            service.push(bob.id(), answer.to_string());
        }
        alice.say("bob", "hello").await.unwrap();
        while adapter.take_buffered().is_empty() {
            tokio::task::yield_now().await;
        }
        late.add_permits(1);
    };
    let (sent, ()) = tokio::join!(adapter.send(&outgoing), answered);
    let error = sent.unwrap_err();
    assert!(matches!(error, RelayError::TimedOut { .. }), "{error}");
}

fn outgoing(to: &str, text: &str) -> Outgoing {
    Outgoing {
        to: Destination::Agent(to.to_owned()),
        message_type: MessageType::Notification,
        topic: None,
        correlation_id: None,
        reply_to: None,
        ttl: None,
        body: Body::Native(text.to_owned()),
    }
}
