//! What a host can do to its clients, and clients to a host.

use std::{sync::Arc, time::Duration};

use ctalk::{
    Answered, Chat,
    clock::{Clock, SystemClock},
    core::envelope::{Kind, Metadata},
    relay::openclaw::{Access, OpenClaw},
};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio_tungstenite::tungstenite::{
    Message,
    protocol::frame::{
        Frame, FrameHeader,
        coding::{Data, OpCode},
    },
};

use super::{
    LONG, Person, ask, clear,
    hosting::{Raw, Upper, bind, rules, url, while_hosting},
    saying,
    stand_in::{StandIn, Step, content},
    until,
};

/// The time between two heartbeats.
const BEAT: Duration = Duration::from_secs(30);

/// The machine's clock, but for heartbeats, which come when a test says so.
struct Beats(Arc<Semaphore>);

#[async_trait::async_trait]
impl Clock for Beats {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    fn monotonic(&self) -> i64 {
        SystemClock.monotonic()
    }

    async fn sleep(&self, duration: Duration) {
        if duration == BEAT {
            self.0.acquire().await.unwrap().forget();
        } else {
            SystemClock.sleep(duration).await;
        }
    }
}

/// The machine's clock, on which waiting takes a hundredth of the time.
struct Hasty;

#[async_trait::async_trait]
impl Clock for Hasty {
    fn now(&self) -> i64 {
        SystemClock.now()
    }

    async fn sleep(&self, duration: Duration) {
        SystemClock.sleep(duration / 100).await;
    }
}

/// A frame of text that is none.
fn no_text() -> Message {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        ..FrameHeader::default()
    };
    Message::Frame(Frame::from_payload(header, vec![0xff, 0xfe].into()))
}

#[tokio::test]
async fn frames_that_no_client_can_take_end_the_connection_and_not_the_conversation() {
    for frame in [Message::text("x".repeat(64 << 20)), no_text()] {
        let host = StandIn::start(move |_| vec![Step::Raw(frame.clone())]).await;
        let mut chat = clear(&host.url());
        chat.say(saying("x")).await.unwrap();
        let error = loop {
            match chat.next().await {
                Ok(events) => {
                    if events
                        .iter()
                        .any(|event| matches!(event, ctalk::ChatEvent::Answered(Answered::Lost)))
                    {
                        break None;
                    }
                }
                Err(error) => break Some(error),
            }
        };
        assert!(error.is_none_or(|error| error.to_string().contains("makes no sense")));
        host.answers(|message| vec![Step::Answer(content(message).to_owned())]);
        assert_eq!(ask(&mut chat, "still here").await.said, ["still here"]);
    }
}

#[tokio::test]
async fn a_flood_of_what_nobody_asked_for_does_not_drown_the_answer() {
    let host = StandIn::start(|message| {
        let stream =
            json!({ "type": "chat.stream", "messageId": "other", "content": "x".repeat(60_000) });
        let mut steps = vec![Step::Frame(stream); 1000];
        steps.push(Step::Answer(content(message).to_owned()));
        steps
    })
    .await;
    let came = ask(&mut clear(&host.url()), "hello").await;
    assert_eq!(came.said, ["hello"]);
}

#[tokio::test]
async fn a_host_that_answers_no_heartbeat_any_more_is_left() {
    let host = StandIn::start(|_| vec![Step::Freeze]).await;
    let beats = Arc::new(Semaphore::new(0));
    let clock = Arc::new(Beats(Arc::clone(&beats)));
    let line = OpenClaw::new(&host.url(), Access::default(), None, clock.clone()).unwrap();
    let mut chat = Chat::in_the_clear(line, clock, LONG);
    chat.say(saying("x")).await.unwrap();
    beats.add_permits(3);
    let came = until(&mut chat, |came| came.how.is_some()).await;
    assert_eq!(came.how, Some(Answered::Lost));
    host.answers(|message| vec![Step::Answer(content(message).to_owned())]);
    assert_eq!(ask(&mut chat, "y").await.said, ["y"]);
    // One that answers is kept.
    for _ in 0..4 {
        beats.add_permits(1);
        assert_eq!(ask(&mut chat, "z").await.said, ["z"]);
    }
    assert_eq!(host.connections(), 2);
}

#[tokio::test]
async fn an_answer_that_was_given_before_or_that_another_gives_is_none() {
    let (alice, bob, mallory) = (
        Person::new("alice"),
        Person::new("bob"),
        Person::new("mallory"),
    );
    let old = bob.seal(
        &alice,
        &Metadata::new(Kind::Response, "text/plain"),
        "an old yes",
    );
    let forged = mallory.seal(
        &alice,
        &Metadata::new(Kind::Response, "text/plain"),
        "a forged yes",
    );
    let mut altered = old.clone();
    altered.replace_range(200..204, "AAAA");
    let replayed = Step::Answer(old.clone());
    let host = StandIn::start(move |_| vec![Step::Answer(old.clone())]).await;
    let mut chat = alice.chat(&host.url(), &bob);
    assert_eq!(ask(&mut chat, "first").await.texts(), ["an old yes"]);
    let (forged, altered) = (Step::Answer(forged), Step::Answer(altered));
    host.answers(move |_| vec![replayed.clone(), forged.clone(), altered.clone()]);
    chat.say(saying("second")).await.unwrap();
    let came = until(&mut chat, |came| came.set_aside == 1 && came.how.is_some()).await;
    assert!(came.messages.is_empty(), "{came:?}");
    // What was altered is nothing but words.
    assert_eq!(came.how, Some(Answered::Clear));
}

#[tokio::test]
async fn a_client_that_sends_what_no_host_can_take_is_hung_up_on_and_others_are_served() {
    let bob = Person::new("bob");
    let host = bind(rules(true));
    let mut client = bob.client(host.clone());
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        for frame in [Message::text("x".repeat(2 << 20)), no_text()] {
            let mut raw = Raw::connect(&host, "").await;
            // It may be hung up on before all of it was sent.
            let _ = futures_util::SinkExt::send(&mut raw.0, frame).await;
            raw.end().await;
        }
        let came = ask(&mut clear(&url(&host)), "hello").await;
        assert_eq!(came.said, ["HELLO"]);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_takes_no_answers_is_hung_up_on_and_others_are_served() {
    let bob = Person::new("bob");
    let mut rules = rules(true);
    rules.clock = Arc::new(Hasty);
    let host = bind(rules);
    let mut client = bob.client(host.clone());
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        let mut deaf = Raw::connect(&host, "?senderId=deaf").await;
        let long = "x".repeat(900_000);
        // More than it may have waiting, and the system takes for it.
        for _ in 0..30 {
            if futures_util::SinkExt::send(
                &mut deaf.0,
                super::send(json!({ "content": long })).to_string().into(),
            )
            .await
            .is_err()
            {
                break;
            }
        }
        let came = ask(&mut clear(&url(&host)), "hello").await;
        assert_eq!(came.said, ["HELLO"]);
        deaf.end().await;
    })
    .await;
}

#[tokio::test]
async fn a_client_that_answers_no_heartbeat_any_more_is_hung_up_on() {
    let bob = Person::new("bob");
    let beats = Arc::new(Semaphore::new(0));
    let mut rules = rules(true);
    rules.clock = Arc::new(Beats(Arc::clone(&beats)));
    let host = bind(rules);
    let mut client = bob.client(host.clone());
    while_hosting(&host, &bob, &mut client, Upper::new(), async {
        // Pongs are sent by whoever reads, and this one does not.
        let mut gone = Raw::connect(&host, "").await;
        beats.add_permits(3);
        while beats.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(gone.end().await, None);
    })
    .await;
}
