//! Topics of a WTT service, and what is sealed to their members.

use ctalk::{
    Class, Error,
    core::{Card, trust::Standing},
    relay::{
        Relay, RelayError,
        wtt::{NewTopic, topic_address},
    },
};

use super::{Peer, StandIn, two};
use crate::agents::{body, receive_all, text_draft};

fn discussion(name: &str) -> NewTopic<'_> {
    NewTopic {
        name,
        description: "about it",
        kind: "discussion",
        visibility: "public",
        join_method: "open",
    }
}

#[tokio::test]
async fn topics_are_made_found_joined_left_and_deleted() {
    for other_names in [false, true] {
        let service = StandIn::start().await;
        let (alice, bob) = two(&service).await;
        service.switch(|switches| {
            switches.other_names = other_names;
            switches.wraps_lists = other_names;
            switches.wraps_objects = other_names;
        });
        let (alices, bobs) = (alice.adapter(&service), bob.adapter(&service));
        assert!(alices.topics().await.unwrap().is_empty());
        let made = alices
            .create_topic(&discussion("gold & silver"))
            .await
            .unwrap();
        assert_eq!(made.name, "gold & silver");
        let found = bobs.find_topics("gold & s").await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found, bobs.topics().await.unwrap());
        assert_eq!(found[0], bobs.topic(&made.id).await.unwrap());
        assert_eq!((&found[0].id, &*found[0].name), (&made.id, "gold & silver"));
        assert_eq!(found[0].creator.as_deref(), Some(alice.id()));
        assert_eq!(found[0].created, Some(1_767_323_045_000));
        assert!(bobs.find_topics("tin").await.unwrap().is_empty());
        // Nothing found is no reason to ask again.
        assert_eq!(service.calls("GET /topics/search").len(), 2);

        bobs.join_topic(&made.id).await.unwrap();
        let subscribed = bobs.subscribed_topics().await.unwrap();
        assert_eq!(subscribed[0].role.as_deref(), Some("member"));
        assert_eq!(subscribed[0].members, Some(2));
        let members = bobs.members(&made.id).await.unwrap();
        let ids: Vec<_> = members.iter().map(|member| &*member.agent).collect();
        assert_eq!(ids, [alice.id(), bob.id()]);
        let error = bobs.delete_topic(&made.id).await.unwrap_err();
        assert!(
            matches!(error, RelayError::Refused { status: 403, .. }),
            "{error}"
        );
        bobs.leave_topic(&made.id).await.unwrap();
        assert!(bobs.subscribed_topics().await.unwrap().is_empty());
        alices.delete_topic(&made.id).await.unwrap();
        assert!(bobs.topics().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_id_that_leads_elsewhere_is_not_asked_for() {
    let service = StandIn::start().await;
    let (alice, _) = two(&service).await;
    let adapter = alice.adapter(&service);
    let before = service.calls("").len();
    for id in ["", "..", "a/../b", "t?agent_id=x"] {
        let error = Error::Relay(adapter.topic(id).await.unwrap_err());
        assert_eq!(error.class(), Class::Usage, "{id}");
        adapter.join_topic(id).await.unwrap_err();
        adapter.unban("t", id).await.unwrap_err();
        adapter.history_with(id, 1).await.unwrap_err();
    }
    assert_eq!(service.calls("").len(), before);
}

#[tokio::test]
async fn who_is_banned_is_told_so() {
    let service = StandIn::start().await;
    let (alice, bob) = two(&service).await;
    let (alices, bobs) = (alice.adapter(&service), bob.adapter(&service));
    let topic = alices.create_topic(&discussion("gold")).await.unwrap();
    bobs.join_topic(&topic.id).await.unwrap();
    alices.ban(&topic.id, bob.id()).await.unwrap();
    assert_eq!(alices.blacklist(&topic.id).await.unwrap(), [bob.id()]);
    let error = bobs.blacklist(&topic.id).await.unwrap_err();
    assert!(
        matches!(error, RelayError::Refused { status: 403, .. }),
        "{error}"
    );
    alices.unban(&topic.id, bob.id()).await.unwrap();
    assert!(alices.blacklist(&topic.id).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_past_is_in_order_and_tells_what_is_sealed() {
    for other_names in [false, true] {
        let service = StandIn::start().await;
        service.switch(|switches| {
            switches.other_names = other_names;
            switches.wraps_lists = other_names;
            switches.banner = true;
        });
        let (mut alice, mut bob) = two(&service).await;
        alice.say("bob", "1").await.unwrap();
        bob.say("alice", "2").await.unwrap();
        let adapter = bob.adapter(&service);
        let past = adapter.history_with(alice.id(), 20).await.unwrap();
        let from: Vec<_> = past.iter().map(|message| &*message.from).collect();
        assert_eq!(from, [alice.id(), bob.id()]);
        assert!(past.iter().all(|message| {
            let sealed = message.sealed.as_ref().unwrap();
            sealed.starts_with("ctalk2:") && message.content.len() > sealed.len()
        }));
        let topic = past[0].topic.clone().unwrap();
        let before = adapter.history(&topic, 20, past[1].at).await.unwrap();
        assert_eq!(before, past[..1]);
        assert_eq!(adapter.history(&topic, 1, None).await.unwrap(), past[1..]);
    }
}

#[tokio::test]
async fn a_key_card_is_found_by_the_agents_id_and_pinned_by_nobody() {
    let service = StandIn::start().await;
    let (alice, bob) = two(&service).await;
    let mallory = Peer::register(&service, "mallory").await;
    let (alices, mallorys) = (alice.adapter(&service), mallory.adapter(&service));
    for _ in 0..2 {
        alices.publish("alice", &alice.card, &[]).await.unwrap();
    }
    // Anybody may make a topic of any name.
    let name = format!("ctalk-card {}", alice.id());
    mallorys.create_topic(&discussion(&name)).await.unwrap();
    mallorys
        .create_topic(&discussion(&format!("{name}0")))
        .await
        .unwrap();
    let cards = bob.adapter(&service).cards(alice.id()).await.unwrap();
    assert_eq!(cards, [alice.card.to_text()]);
    assert_eq!(service.calls("POST /topics/ ").len(), 0);
    let created = service.calls("POST /topics/").len();
    assert_eq!(created, 1 + 2 + 2, "one topic, two messages, and mallory's");
    assert_eq!(Card::from_text(&cards[0]).unwrap(), alice.card);
}

#[tokio::test]
async fn a_message_to_a_topic_is_sealed_to_the_members_whose_cards_are_known() {
    let service = StandIn::start().await;
    let (mut alice, mut bob) = two(&service).await;
    let mut carol = Peer::register(&service, "carol").await;
    let dave = Peer::register(&service, "dave").await;
    alice.knows("carol", &carol);
    carol.knows("alice", &alice);
    let adapter = alice.adapter(&service);
    let topic = adapter.create_topic(&discussion("gold")).await.unwrap();
    for peer in [&bob, &carol, &dave] {
        peer.adapter(&service).join_topic(&topic.id).await.unwrap();
    }
    let to = topic_address(&topic.id);
    let members = async || -> Vec<String> {
        let members = adapter.members(&topic.id).await.unwrap();
        members.into_iter().map(|member| member.agent).collect()
    };
    let draft = text_draft("to all");
    let published = alice
        .client
        .publish_to(&to, &members().await, &draft)
        .await
        .unwrap();
    assert_eq!(published.readers, ["bob", "carol"]);
    let [left_out] = &published.left_out[..] else {
        panic!("{:?}", published.left_out)
    };
    assert_eq!(left_out.address, dave.id());
    assert_eq!(service.service().topics[0].messages.len(), 1);
    for peer in [&mut bob, &mut carol] {
        let (messages, _) = receive_all(&mut peer.client).await;
        assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), ["to all"]);
        assert_eq!(messages[0].from.as_deref(), Some("alice"));
    }
    // Whoever left reads nothing of what is said from then on, whatever the service does with it.
    carol
        .adapter(&service)
        .leave_topic(&topic.id)
        .await
        .unwrap();
    let published = alice
        .client
        .publish_to(&to, &members().await, &draft)
        .await
        .unwrap();
    assert_eq!(published.readers, ["bob"]);
    let message = service.service().topics[0].messages[1].clone();
    service.service().deliver(carol.id(), &message);
    let (messages, set_aside) = carol.receive(1).await;
    assert!(messages.is_empty() && set_aside.len() == 1, "{messages:?}");
}

#[tokio::test]
async fn a_message_that_nobody_could_read_does_not_leave() {
    let service = StandIn::start().await;
    let (mut alice, bob) = two(&service).await;
    let adapter = alice.adapter(&service);
    let topic = adapter.create_topic(&discussion("gold")).await.unwrap();
    let dave = Peer::register(&service, "dave").await;
    let to = topic_address(&topic.id);
    let contact = alice.client.store().contact("bob").unwrap().unwrap();
    let store = alice.client.store_mut();
    store.set_standing(&contact, Standing::Blocked).unwrap();
    let members = [alice.id(), bob.id(), dave.id()].map(str::to_owned);
    let error = alice
        .client
        .publish_to(&to, &members, &text_draft("x"))
        .await
        .unwrap_err();
    assert_eq!(error.class(), Class::NotTrusted, "{error}");
    assert!(service.service().topics[0].messages.is_empty());
}

#[tokio::test]
async fn a_service_without_messages_in_topics_takes_them_elsewhere() {
    let service = StandIn::start().await;
    service.switch(|switches| switches.has_no_topic_posts = true);
    let (mut alice, mut bob) = two(&service).await;
    let adapter = alice.adapter(&service);
    let topic = adapter.create_topic(&discussion("gold")).await.unwrap();
    bob.adapter(&service).join_topic(&topic.id).await.unwrap();
    let to = topic_address(&topic.id);
    let members = [bob.id().to_owned()];
    let long = "0123456789".repeat(1000);
    alice
        .client
        .publish_to(&to, &members, &text_draft(&long))
        .await
        .unwrap();
    let (messages, _) = receive_all(&mut bob.client).await;
    assert_eq!(messages.iter().map(body).collect::<Vec<_>>(), [long]);
    assert!(service.calls("POST /messages/").len() > 2);
}
