//! Everything has several names and shapes at a WTT service, and messages are changed on the way.

use crate::agents::{body, receive_all};

use super::service::Switches;
use super::{StandIn, two};

/// Two messages to somebody who was away and one to somebody who is there, all of which arrive once.
async fn converse(change: impl FnOnce(&mut Switches)) -> StandIn {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    service.switch(change);
    alice.say("bob", "1").await.unwrap();
    alice.say("bob", "2").await.unwrap();
    let (mut messages, mut set_aside) = receive_all(&mut bob.client).await;
    bob.connect(&service).await;
    bob.say("alice", "back").await.unwrap();
    alice.say("bob", "3").await.unwrap();
    let more = bob.receive(1).await;
    messages.extend(more.0);
    set_aside.extend(more.1);
    let texts: Vec<_> = messages.iter().map(body).collect();
    assert_eq!(texts, ["1", "2", "3"]);
    let (messages, more) = receive_all(&mut alice.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["back"]);
    set_aside.extend(more);
    assert!(set_aside.is_empty(), "{set_aside:?}");
    assert!(
        service.actions(bob.id(), "poll") > 0,
        "no connection worked"
    );
    // Once more, with everything that the service can say again.
    let mut bob = bob.restart(&service);
    let (messages, set_aside) = receive_all(&mut bob.client).await;
    assert!(messages.is_empty() && set_aside.is_empty(), "{messages:?}");
    service
}

#[tokio::test]
async fn the_names_of_rest_mean_the_same() {
    converse(|switches| switches.other_names = true).await;
}

#[tokio::test]
async fn lists_and_objects_are_found_in_what_they_are_wrapped_in() {
    converse(|switches| switches.wraps_lists = true).await;
    converse(|switches| {
        switches.wraps_lists = true;
        switches.wraps_objects = true;
    })
    .await;
}

#[tokio::test]
async fn envelopes_are_found_behind_a_banner() {
    let service = converse(|switches| switches.banner = true).await;
    let service = service.service();
    let mut messages = service.topics.iter().flat_map(|topic| &topic.messages);
    assert!(messages.any(|message| message["content"].as_str().unwrap().starts_with('┌')));
}

#[tokio::test]
async fn own_messages_that_come_back_are_nobodys() {
    let service = converse(|switches| switches.echoes = true).await;
    assert!(service.service().connections > 0);
}

#[tokio::test]
async fn copies_of_a_message_are_handled_once() {
    converse(|switches| switches.repeats = 2).await;
}

#[tokio::test]
async fn several_topics_with_one_peer_are_one_conversation() {
    let service = converse(|switches| switches.scatters = true).await;
    assert_eq!(service.service().topics.len(), 4);
}

#[tokio::test]
async fn polls_that_keep_what_they_brought_end_and_bring_nothing_twice() {
    converse(|switches| switches.keeps_polled = true).await;
    converse(|switches| {
        switches.keeps_polled = true;
        switches.other_names = true;
        switches.page = Some(100);
    })
    .await;
}

#[tokio::test]
async fn polls_in_pages_bring_every_page() {
    converse(|switches| switches.page = Some(1)).await;
}

#[tokio::test]
async fn the_answer_to_the_token_may_name_no_request() {
    converse(|switches| switches.forgets_ids = true).await;
}
