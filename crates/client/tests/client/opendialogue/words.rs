//! Peers without ctalk: a plugin in front of a language model, which takes less than the relay does.

use ctalk::{
    Class, Error, Trust,
    relay::{Body, Relay, RelayError},
};
use serde_json::{json, value::RawValue};

use super::{Peer, StandIn, body, clocks::Passing, saying, sealed, text_draft, two};

fn words(text: &str) -> Body {
    let json = json!({ "text": text }).to_string();
    Body::Plaintext(RawValue::from_string(json).unwrap())
}

/// Alice says something that is not sealed to somebody without ctalk.
async fn say_openly(alice: &mut Peer, to: &str, text: &str) -> Result<ctalk::Sent, Error> {
    let to = [to.to_owned()];
    let sent = alice.client.send_plaintext(&to, &text_draft(text)).await?;
    sent.into_iter().next().unwrap()
}

#[tokio::test]
async fn words_that_were_asked_for_arrive_as_words() {
    let relay = StandIn::start().await;
    let mut alice = Peer::register(&relay, "alice").await;
    let plugin = Peer::register(&relay, "openclaw-agent").await;
    say_openly(&mut alice, plugin.id(), "e\u{301}tait")
        .await
        .unwrap();
    let message = &relay.taken()[0];
    assert_eq!(message["content"], "\u{e9}tait");
    // It stops listening after some turns, by their number.
    assert_eq!(message["turn_number"], 1);
}

#[tokio::test]
async fn what_does_not_fit_one_message_is_refused_unless_the_peer_has_ctalk() {
    let relay = StandIn::start().await;
    relay.switch(|switches| switches.rate = Some(1000));
    let (mut alice, bob) = two(&relay).await;
    let plugin = Peer::register(&relay, "openclaw-agent").await;
    let long = "x".repeat(2001);
    let error = say_openly(&mut alice, plugin.id(), &long)
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::Usage, "{error}");
    assert!(error.to_string().contains("2,000"), "{error}");
    assert_eq!(relay.waiting(plugin.id()), 0);
    assert_eq!(alice.outbox(), 0);
    say_openly(&mut alice, plugin.id(), &long[..2000])
        .await
        .unwrap();
    alice.say("bob", &long.repeat(20)).await.unwrap();
    assert!(relay.waiting(bob.id()) > 1);
}

#[tokio::test]
async fn a_peer_without_ctalk_is_told_no_more_than_it_listens_to() {
    let relay = StandIn::start().await;
    let (alice, bob) = two(&relay).await;
    let clock = std::sync::Arc::new(Passing::default());
    let adapter = alice.adapter_with(&relay, clock.clone());
    let outgoing = saying(bob.id(), words("hello"));
    for _ in 0..30 {
        adapter.send(&outgoing).await.unwrap();
    }
    clock.pass(20_000);
    let error = adapter.send(&outgoing).await.unwrap_err();
    let RelayError::RateLimited { pause } = error else {
        panic!("{error}")
    };
    assert_eq!(pause.as_secs(), 40);
    assert_eq!(relay.taken().len(), 30);
    // That says nothing of what ctalk reads.
    adapter.send(&saying(bob.id(), sealed())).await.unwrap();
    clock.pass(40_000);
    adapter.send(&outgoing).await.unwrap();
}

#[tokio::test]
async fn envelopes_differ_early_enough_not_to_be_taken_for_repeats() {
    let relay = StandIn::start().await;
    let (mut alice, bob) = two(&relay).await;
    for _ in 0..4 {
        alice.say("bob", "the same").await.unwrap();
    }
    let mut beginnings: Vec<_> = relay
        .taken()
        .iter()
        .map(|message| message["content"].as_str().unwrap()[..200].to_lowercase())
        .collect();
    beginnings.sort();
    beginnings.dedup();
    assert_eq!(beginnings.len(), 4);
    assert_eq!(relay.waiting(bob.id()), 4);
}

#[tokio::test]
async fn a_plugins_answer_is_plain_and_in_nobodys_name() {
    let relay = StandIn::start().await;
    let mut alice = Peer::register(&relay, "alice").await;
    let plugin = Peer::register(&relay, "openclaw-agent").await;
    alice.connect(&relay).await;
    let answer = saying(alice.id(), words("as you wish"));
    plugin.adapter(&relay).send(&answer).await.unwrap();
    let (messages, _) = alice.receive(1).await;
    assert_eq!(
        messages.iter().map(body).collect::<Vec<_>>(),
        ["as you wish"]
    );
    assert_eq!(
        (messages[0].trust, &messages[0].from),
        (Trust::Plaintext, &None)
    );
}
