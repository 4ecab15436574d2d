//! Calls, beside others that receive with the same store, and messages whose receipts are waited for.

use std::time::Duration;

use ctalk::{
    Call, Class, Client, Content, Draft, Error, Progress, Reason, Response, SetAside, Until, Work,
    core::envelope::ReceiptOutcome,
    handler::{Attempt, Handler, Outcome},
    store::EntryState,
    wire::MessageType,
};

use crate::{
    agents::{body, receive_all, text_draft},
    scene::{DAY, Native, Scene},
};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Handles every message in this way.
struct Says(Outcome);

#[async_trait::async_trait]
impl Handler for Says {
    async fn handle(&self, _: &Attempt) -> Outcome {
        self.0.clone()
    }
}

fn says(text: &str) -> Says {
    Says(Outcome::Done {
        output: text.as_bytes().to_vec(),
    })
}

/// Works through what waits for an agent, and replies.
async fn work(agent: &mut Native, handler: Says) {
    let work = Work {
        replies: true,
        until: Until::Empty,
        ..Work::default()
    };
    let client = &mut agent.agent.client;
    client
        .work(&work, &handler, std::future::pending(), |_| {})
        .await
        .unwrap();
    client.flush_due().await.unwrap();
}

async fn begin(agent: &mut Native) -> Call {
    begin_as(agent, None).await.unwrap()
}

async fn begin_as(agent: &mut Native, id: Option<&str>) -> Result<Call, Error> {
    let draft = Draft {
        correlation_id: id.map(str::to_owned),
        ..text_draft("what?")
    };
    Call::begin(&mut agent.agent.client, "bob", draft, TIMEOUT).await
}

/// Fetches, and looks for the response.
async fn look(agent: &mut Native, call: &mut Call) -> Result<Option<Response>, Error> {
    agent.agent.client.fetch(Duration::ZERO).await.unwrap();
    call.advance(&mut agent.agent.client).await
}

async fn answered(agent: &mut Native, call: &mut Call) -> Response {
    look(agent, call).await.unwrap().expect("a response")
}

fn text(response: &Response) -> &[u8] {
    response.message.payload.as_bytes()
}

/// Sends alice a response of bob's under a correlation id.
async fn respond(scene: &mut Scene, id: &str, text: &str) {
    let draft = Draft {
        message_type: MessageType::Response,
        correlation_id: Some(id.to_owned()),
        ..text_draft(text)
    };
    scene.bob.send(&["alice"], &draft).await.remove(0).unwrap();
}

fn reasons(set_aside: &[SetAside]) -> Vec<Reason> {
    set_aside.iter().map(|aside| aside.reason).collect()
}

fn queued(client: &Client) -> usize {
    let mut found = 0;
    client.store().each_outgoing(|_| found += 1).unwrap();
    found
}

fn waiting(client: &Client) -> usize {
    let mut found = 0;
    let store = client.store();
    store.each_entry(EntryState::New, |_| found += 1).unwrap();
    found
}

#[tokio::test]
async fn a_call_gets_its_response_and_nobody_else_does() {
    let mut scene = Scene::new().await;
    let mut call = begin(&mut scene.alice).await;
    assert!(look(&mut scene.alice, &mut call).await.unwrap().is_none());
    work(&mut scene.bob, says("that")).await;
    let response = answered(&mut scene.alice, &mut call).await;
    assert_eq!(text(&response), b"that");
    assert_eq!(response.message.from.as_deref(), Some("bob"));
    response.settle(&mut scene.alice.agent.client).unwrap();
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
    assert_eq!(waiting(&scene.alice.agent.client), 0);
}

#[tokio::test]
async fn the_receipt_of_a_call_that_is_over_is_neither_missed_nor_set_aside() {
    let mut scene = Scene::new().await;
    let mut call = begin(&mut scene.alice).await;
    work(&mut scene.bob, says("that")).await;
    let response = answered(&mut scene.alice, &mut call).await;
    response.settle(&mut scene.alice.agent.client).unwrap();
    scene.clock.advance(DAY);
    scene.alice.agent.client.flush_due().await.unwrap();
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
    let notices = scene.alice.agent.client.take_notices();
    assert!(notices.is_empty(), "{notices:?}");
}

#[tokio::test]
async fn whoever_receives_beside_a_call_leaves_its_response_to_it() {
    let mut scene = Scene::new().await;
    let mut worker = scene.alice.client(&scene.relay.url(), &scene.clock);
    let mut call = begin(&mut scene.alice).await;
    work(&mut scene.bob, says("that")).await;
    scene.bob.say("alice", "something else").await.unwrap();
    let (messages, set_aside) = receive_all(&mut worker).await;
    let others: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(others, ["something else"]);
    assert!(set_aside.is_empty(), "{set_aside:?}");
    // Nothing is fetched here: it is in the store.
    let response = call.advance(&mut scene.alice.agent.client).await.unwrap();
    assert_eq!(text(&response.unwrap()), b"that");
}

#[tokio::test]
async fn a_call_leaves_everything_else_to_others() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let mut call = begin(&mut scene.alice).await;
    carol.say("alice", "from a stranger").await.unwrap();
    scene.bob.say("alice", "from a contact").await.unwrap();
    respond(&mut scene, "another call", "to somebody else").await;
    assert!(look(&mut scene.alice, &mut call).await.unwrap().is_none());
    assert_eq!(waiting(&scene.alice.agent.client), 3);
    assert!(scene.alice.contact("carol").is_none());
    let (messages, set_aside) = scene.alice.receive().await;
    let bodies: Vec<_> = messages.iter().map(body).collect();
    let expected = ["from a stranger", "from a contact", "to somebody else"];
    assert_eq!(bodies, expected);
    assert!(set_aside.is_empty(), "{set_aside:?}");
}

#[tokio::test]
async fn a_call_whose_handler_fails_or_refuses_says_so() {
    let why = || "no".to_owned();
    for (outcome, said, class) in [
        (
            Outcome::Failed { why: why() },
            ReceiptOutcome::Failed,
            Class::RemoteFailed,
        ),
        (
            Outcome::Refused { why: why() },
            ReceiptOutcome::Refused,
            Class::Refused,
        ),
    ] {
        let mut scene = Scene::new().await;
        let mut call = begin_as(&mut scene.alice, Some("id")).await.unwrap();
        work(&mut scene.bob, Says(outcome)).await;
        let error = look(&mut scene.alice, &mut call).await.unwrap_err();
        assert!(
            matches!(error, Error::Unhandled { outcome, .. } if outcome == said),
            "{error:?}"
        );
        assert_eq!(error.class(), class);
        respond(&mut scene, "id", "after all").await;
        let (messages, set_aside) = scene.alice.receive().await;
        assert!(messages.is_empty());
        assert_eq!(reasons(&set_aside), [Reason::Unasked]);
    }
}

#[tokio::test]
async fn a_call_that_nobody_answers_ends_in_time() {
    let mut scene = Scene::new().await;
    let call = begin(&mut scene.alice).await;
    let began = scene.now();
    let error = call.wait(&mut scene.alice.agent.client).await.unwrap_err();
    assert!(
        matches!(error, Error::NoResponse { is_handled: false }),
        "{error:?}"
    );
    assert_eq!(error.class(), Class::TimedOut);
    let waited = scene.now() - began;
    assert!((30_000..32_000).contains(&waited), "{waited} ms");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_any_more_is_neither_handled_nor_kept() {
    let mut scene = Scene::new().await;
    let call = begin(&mut scene.alice).await;
    assert_eq!(queued(&scene.alice.agent.client), 1);
    call.wait(&mut scene.alice.agent.client).await.unwrap_err();
    assert_eq!(queued(&scene.alice.agent.client), 0);
    let stored = scene.last_stored();
    // Clocks may differ by five minutes.
    scene.clock.advance(5 * 60 * 1000 + 1);
    scene.relay.inject("bob", &stored.to_string());
    let (messages, set_aside) = scene.bob.receive().await;
    assert!(messages.is_empty());
    assert_eq!(reasons(&set_aside), [Reason::Expired]);
}

#[tokio::test]
async fn a_call_that_cannot_leave_in_time_never_leaves() {
    let mut scene = Scene::new().await;
    scene.alice.say("bob", "hello").await.unwrap();
    scene.bob.receive().await;
    scene.relay.stop();
    let mut call = begin(&mut scene.alice).await;
    assert_eq!(queued(&scene.alice.agent.client), 1);
    scene.clock.advance(30_000);
    let error = call
        .advance(&mut scene.alice.agent.client)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::TimedOut);
    assert_eq!(queued(&scene.alice.agent.client), 0);
}

#[tokio::test]
async fn a_call_that_was_handled_without_a_response_says_so_at_its_end() {
    let mut scene = Scene::new().await;
    let mut call = begin(&mut scene.alice).await;
    let silent = Work::default();
    let client = &mut scene.bob.agent.client;
    client
        .work(&silent, &says("that"), std::future::pending(), |_| {})
        .await
        .unwrap();
    assert!(look(&mut scene.alice, &mut call).await.unwrap().is_none());
    scene.clock.advance(30_000);
    let error = look(&mut scene.alice, &mut call).await.unwrap_err();
    assert!(
        matches!(error, Error::NoResponse { is_handled: true }),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_second_response_to_a_call_is_set_aside() {
    let mut scene = Scene::new().await;
    let mut call = begin_as(&mut scene.alice, Some("id")).await.unwrap();
    respond(&mut scene, "id", "first").await;
    let response = answered(&mut scene.alice, &mut call).await;
    response.settle(&mut scene.alice.agent.client).unwrap();
    respond(&mut scene, "id", "second").await;
    let (messages, set_aside) = scene.alice.receive().await;
    assert!(messages.is_empty());
    assert_eq!(reasons(&set_aside), [Reason::Unasked]);
    assert!(set_aside[0].detail.contains("already"), "{set_aside:?}");
}

#[tokio::test]
async fn a_response_that_comes_after_its_call_is_set_aside() {
    let mut scene = Scene::new().await;
    let mut worker = scene.alice.client(&scene.relay.url(), &scene.clock);
    let call = begin_as(&mut scene.alice, Some("id")).await.unwrap();
    respond(&mut scene, "id", "nobody takes it").await;
    let (messages, set_aside) = receive_all(&mut worker).await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{set_aside:?}");
    drop(call);
    scene.clock.advance(31_000);
    respond(&mut scene, "id", "late").await;
    let (messages, set_aside) = receive_all(&mut worker).await;
    assert!(messages.is_empty());
    assert_eq!(reasons(&set_aside), [Reason::Unasked; 2]);
    assert!(set_aside[0].detail.contains("ended"), "{set_aside:?}");
}

#[tokio::test]
async fn a_response_of_somebody_else_answers_no_call() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    scene.alice.say("carol", "hello").await.unwrap();
    let mut call = begin_as(&mut scene.alice, Some("id")).await.unwrap();
    let draft = Draft {
        message_type: MessageType::Response,
        correlation_id: Some("id".to_owned()),
        ..text_draft("forged")
    };
    carol.send(&["alice"], &draft).await.remove(0).unwrap();
    assert!(look(&mut scene.alice, &mut call).await.unwrap().is_none());
    let (messages, _) = scene.alice.receive().await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["forged"]);
}

#[tokio::test]
async fn two_calls_at_once_need_correlation_ids_of_their_own() {
    let mut scene = Scene::new().await;
    let _call = begin_as(&mut scene.alice, Some("id")).await.unwrap();
    let Err(error) = begin_as(&mut scene.alice, Some("id")).await else {
        panic!("it would take the other one's response");
    };
    assert!(matches!(error, Error::CallOpen { .. }), "{error:?}");
    assert_eq!(scene.relay.stored().len(), 1);
    scene.clock.advance(31_000);
    begin_as(&mut scene.alice, Some("id"))
        .await
        .map(drop)
        .unwrap();
}

#[tokio::test]
async fn each_of_two_calls_at_once_gets_its_own_response() {
    let mut scene = Scene::new().await;
    let mut first = begin_as(&mut scene.alice, Some("1")).await.unwrap();
    let mut second = begin_as(&mut scene.alice, Some("2")).await.unwrap();
    respond(&mut scene, "2", "to the second").await;
    respond(&mut scene, "1", "to the first").await;
    let response = answered(&mut scene.alice, &mut first).await;
    assert_eq!(text(&response), b"to the first");
    let response = answered(&mut scene.alice, &mut second).await;
    assert_eq!(text(&response), b"to the second");
}

#[tokio::test]
async fn a_response_in_parts_answers_its_call() {
    let mut scene = Scene::new().await;
    let mut call = begin_as(&mut scene.alice, Some("id")).await.unwrap();
    let long = "long ".repeat(100_000);
    respond(&mut scene, "id", &long).await;
    let response = answered(&mut scene.alice, &mut call).await;
    assert!(text(&response) == long.as_bytes());
}

#[tokio::test]
async fn a_message_whose_receipts_are_waited_for_is_done_with_the_last_one() {
    let mut scene = Scene::new().await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    let to = ["bob".to_owned(), "carol".to_owned()];
    let draft = Draft::new(Content::Text("do it".to_owned()));
    let days = Duration::from_millis(6 * DAY.unsigned_abs());
    let (alice, bob) = (&mut scene.alice.agent.client, &mut scene.bob);
    let peers = async {
        for (peer, handler) in [
            (bob, says("")),
            (
                &mut carol,
                Says(Outcome::Refused {
                    why: "no".to_owned(),
                }),
            ),
        ] {
            while peer.agent.waiting().await == 0 {}
            work(peer, handler).await;
        }
    };
    let (outcomes, ()) = tokio::join!(alice.send_and_wait(&to, draft, days), peers);
    let outcomes = outcomes.unwrap();
    assert!(
        matches!(&outcomes[0], Ok(sent) if sent.state == Progress::Done),
        "{outcomes:?}"
    );
    assert!(
        matches!(&outcomes[1], Err(Error::Unhandled { .. })),
        "{outcomes:?}"
    );
}

#[tokio::test]
async fn a_receipt_that_does_not_come_is_waited_for_in_time() {
    let mut scene = Scene::new().await;
    let to = ["bob".to_owned()];
    let alice = &mut scene.alice.agent.client;
    let outcomes = alice.send_and_wait(&to, text_draft("do it"), TIMEOUT).await;
    let outcomes = outcomes.unwrap();
    assert!(
        matches!(outcomes[..], [Err(Error::NoReceipt)]),
        "{outcomes:?}"
    );
}
