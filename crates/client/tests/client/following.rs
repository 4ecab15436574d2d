//! Following: messages one by one as they come, and answers that leave with the end of their request.

use std::time::Duration;

use ctalk::{
    Client, Content, Contract, Draft, Error, Event, Filter, Following, Handover, Next,
    clock::Clock, wire::MessageType,
};

use crate::{
    agents::{body, text_draft},
    scene::Scene,
};

const LEASE: i64 = 30_000;
const INTERVAL: Duration = Duration::from_secs(2);

/// One who follows bob's inbox.
struct Follower {
    client: Client,
    following: Following,
}

impl Follower {
    fn new(scene: &Scene) -> Self {
        let mut client = scene.bob.client(&scene.relay.url(), &scene.clock);
        let following = client
            .follow(Contract::HANDLER, Filter::default(), None, INTERVAL)
            .unwrap();
        Self { client, following }
    }

    /// What is there by now.
    async fn look(&mut self) -> Option<Handover> {
        let mut observe = |event: Event<'_>| panic!("{event:?}");
        match self.following.next(&mut self.client, &mut observe).await {
            Ok(None) => None,
            Ok(Some(Next::Message(handover))) => Some(*handover),
            other => panic!("{other:?}"),
        }
    }

    async fn wait(&mut self) {
        let mut observe = |event: Event<'_>| panic!("{event:?}");
        let waited = self.following.wait(&mut self.client, &mut observe).await;
        waited.unwrap();
    }

    /// The next message, which must come.
    async fn take(&mut self) -> Handover {
        loop {
            if let Some(handover) = self.look().await {
                return handover;
            }
            self.wait().await;
        }
    }
}

#[tokio::test]
async fn messages_come_one_by_one_and_the_next_of_a_sender_after_the_last() {
    let mut scene = Scene::new().await;
    let mut bob = Follower::new(&scene);
    assert!(bob.look().await.is_none());
    scene.alice.say("bob", "one").await.unwrap();
    scene.alice.say("bob", "two").await.unwrap();
    let one = bob.take().await;
    assert_eq!(body(&one.message), "one");
    assert!(bob.look().await.is_none());
    bob.client.commit(one).unwrap();
    let two = bob.look().await.unwrap();
    assert_eq!(body(&two.message), "two");
    bob.client.commit(two).unwrap();
    bob.wait().await;
    assert!(bob.look().await.is_none());
}

#[tokio::test]
async fn what_is_to_be_tried_again_comes_when_it_is_due() {
    let mut scene = Scene::new().await;
    let mut bob = Follower::new(&scene);
    scene.alice.say("bob", "one").await.unwrap();
    let one = bob.take().await;
    let began = scene.clock.now();
    bob.client
        .retry_after(one, "not now", Duration::from_secs(7))
        .unwrap();
    let again = bob.take().await;
    assert_eq!(again.attempt, 2);
    assert!(scene.clock.now() - began >= 7000);
}

#[tokio::test]
async fn an_answer_leaves_with_the_end_of_its_request() {
    let mut scene = Scene::new().await;
    let mut bob = Follower::new(&scene);
    let question = Draft {
        correlation_id: Some("c-1".to_owned()),
        ..text_draft("six times seven?")
    };
    scene
        .alice
        .send(&["bob"], &question)
        .await
        .remove(0)
        .unwrap();
    let (message, ticket) = bob.take().await.into_parts();
    let answer = Content::from_json("42".to_owned()).unwrap();
    bob.client.respond(&message, &ticket, answer).unwrap();
    // It is sent by the next look, before another message is handed over.
    assert!(scene.alice.receive().await.0.is_empty());
    assert!(bob.look().await.is_none());
    let (answers, _) = scene.alice.receive().await;
    assert_eq!(body(&answers[0]), "42");
    assert_eq!(answers[0].content_type, "application/json");
    assert_eq!(answers[0].message_type, MessageType::Response.as_str());
    assert_eq!(answers[0].correlation_id, question.correlation_id);
    assert_eq!(answers[0].reply_to, message.id);
    let error = bob.client.commit(ticket).unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error}");
}

#[tokio::test]
async fn whoever_lost_a_request_to_another_worker_answers_nothing() {
    let mut scene = Scene::new().await;
    let mut late = Follower::new(&scene);
    scene.alice.say("bob", "six times seven?").await.unwrap();
    let (message, ticket) = late.take().await.into_parts();
    scene.clock.advance(LEASE);
    let mut bob = Follower::new(&scene);
    let second = bob.take().await;
    assert_eq!(second.attempt, 2);
    let answer = Content::Text("forty-one".to_owned());
    let error = late.client.respond(&message, &ticket, answer).unwrap_err();
    assert!(matches!(error, Error::LeaseLost), "{error}");
    late.client.flush().await.unwrap();
    assert!(scene.alice.receive().await.0.is_empty());
    let (message, ticket) = second.into_parts();
    let answer = Content::Text("forty-two".to_owned());
    bob.client.respond(&message, &ticket, answer).unwrap();
    bob.client.flush().await.unwrap();
    assert_eq!(body(&scene.alice.receive().await.0[0]), "forty-two");
}

#[tokio::test]
async fn what_asks_for_no_answer_gets_none_and_stays_in_hand() {
    let mut scene = Scene::new().await;
    let mut bob = Follower::new(&scene);
    let notification = Draft {
        message_type: MessageType::Notification,
        ..text_draft("hello")
    };
    scene
        .alice
        .send(&["bob"], &notification)
        .await
        .remove(0)
        .unwrap();
    let (message, ticket) = bob.take().await.into_parts();
    let answer = Content::Text("hello yourself".to_owned());
    let error = bob.client.respond(&message, &ticket, answer).unwrap_err();
    assert!(matches!(error, Error::NotAsked), "{error}");
    bob.client.commit(ticket).unwrap();
    bob.client.flush().await.unwrap();
    assert!(scene.alice.receive().await.0.is_empty());
}
