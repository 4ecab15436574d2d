//! What `policy.toml` forbids is not handed over, and nobody but the user can change that.

use std::{fs, time::Duration};

use ctalk::{
    Class, Client, Draft, Error, Filter, Reason, SetAside, Work,
    clock::Clock,
    core::trust::Standing,
    handler::{Attempt, Handler, Outcome},
    store::{EntryState, Learned, NewKeys},
    wire::MessageType,
};
use serde_json::json;

use crate::{
    agents::{Agent, body, connect, text_draft},
    scene::{DAY, Native, Scene},
};

const MINUTE: i64 = 60_000;

impl Scene {
    /// Bob in a new process, with this policy.
    fn bob_restarts(&mut self, policy: &str) {
        fs::write(self.bob.agent.folder.path().join("policy.toml"), policy).unwrap();
        self.bob.agent.client = self.bob.client(&self.relay.url(), &self.clock);
    }

    async fn with_policy(policy: &str) -> Self {
        let mut scene = Self::new().await;
        scene.bob_restarts(policy);
        scene
    }

    /// Alice and Bob know each other: Bob wrote to her.
    async fn of_contacts(policy: &str) -> Self {
        let mut scene = Self::with_policy(policy).await;
        scene.bob.sends(&text_draft("hello"), "alice").await;
        scene
    }

    async fn alice_says(&mut self, text: &str) {
        self.alice.sends(&text_draft(text), "bob").await;
    }

    /// What Bob is handed of this, and what became of it else.
    async fn bob_gets(&mut self, drafts: &[Draft]) -> (Vec<String>, Vec<SetAside>) {
        for draft in drafts {
            self.alice.sends(draft, "bob").await;
        }
        let (messages, aside) = self.bob.receive().await;
        (messages.iter().map(body).collect(), aside)
    }

    /// How many of these Bob is handed; the others are refused for this rule.
    async fn handed(&mut self, drafts: &[Draft], rule: &str) -> usize {
        let (messages, aside) = self.bob_gets(drafts).await;
        for aside in &aside {
            assert_eq!(aside.reason, Reason::Policy, "{aside:?}");
            assert_eq!(aside.state, EntryState::Quarantined);
            assert!(aside.detail.contains(rule), "{aside:?}");
        }
        assert_eq!(messages.len() + aside.len(), drafts.len());
        messages.len()
    }
}

impl Native {
    async fn sends(&mut self, draft: &Draft, to: &str) {
        self.send(&[to], draft).await.remove(0).unwrap();
    }

    fn verify(&mut self, name: &str) {
        let contact = self.contact(name).unwrap();
        let store = self.agent.client.store_mut();
        store
            .change_standing(&contact, |_| Standing::Verified)
            .unwrap();
    }

    fn numbers(&self, state: EntryState) -> Vec<i64> {
        numbers(&self.agent.client, state)
    }
}

fn numbers(client: &Client, state: EntryState) -> Vec<i64> {
    let mut numbers = Vec::new();
    let store = client.store();
    store
        .each_entry(state, |entry| numbers.push(entry.number))
        .unwrap();
    numbers
}

fn in_conversation(id: &str) -> Draft {
    let mut draft = text_draft("turn");
    draft.correlation_id = Some(id.to_owned());
    draft
}

#[tokio::test]
async fn without_a_policy_a_stranger_is_pinned_and_delivered() {
    let mut scene = Scene::new().await;
    let (messages, aside) = scene.bob_gets(&[text_draft("hi")]).await;
    assert_eq!(messages, ["hi"], "{aside:?}");
    let alice = scene.bob.contact("alice").unwrap();
    assert_eq!(alice.learned, Learned::FirstMessage);
}

#[tokio::test]
async fn a_held_stranger_is_not_pinned_before_the_user_accepts() {
    let mut scene = Scene::with_policy("strangers = 'hold'").await;
    scene.alice_says("one").await;
    let aside = scene.one_refused().await;
    assert_eq!(
        (aside.state, aside.reason),
        (EntryState::Held, Reason::Policy)
    );
    assert!(aside.detail.contains("`strangers`"), "{aside:?}");
    assert!(scene.bob.contact("alice").is_none());

    scene.bob_restarts("strangers = 'hold'");
    let (messages, aside) = scene.bob.receive().await;
    assert!(messages.is_empty() && aside.is_empty(), "it stays held");
    assert_eq!(scene.bob.numbers(EntryState::Held).len(), 1);
    let number = scene.bob.numbers(EntryState::Held)[0];
    let store = scene.bob.agent.client.store_mut();
    assert!(store.accept(number).unwrap());
    assert!(!store.accept(number).unwrap(), "held no more");
    assert!(!store.reject(number, 0).unwrap(), "held no more");
    assert!(scene.bob.contact("alice").is_none(), "not yet handed over");

    let handover = scene.bob.agent.peek_next().await.unwrap();
    assert!(handover.pinned_now);
    scene.bob.agent.client.commit(handover).unwrap();
    let alice = scene.bob.contact("alice").unwrap();
    assert_eq!(
        (alice.learned, alice.standing),
        (Learned::FirstUse, Standing::Pinned)
    );
    let (messages, aside) = scene.bob_gets(&[text_draft("two")]).await;
    assert_eq!(messages, ["two"], "a contact by now: {aside:?}");
}

#[tokio::test]
async fn a_rejected_message_is_gone_though_the_relay_shows_it_again() {
    let mut scene = Scene::with_policy("strangers = 'hold'").await;
    scene.alice_says("one").await;
    let raw = scene.relay.stored().pop().unwrap();
    let number = scene.one_refused().await.number;
    let store = scene.bob.agent.client.store_mut();
    assert!(store.reject(number, 0).unwrap());
    scene.relay.inject("bob", &raw);
    let (messages, aside) = scene.bob.receive().await;
    assert!(messages.is_empty() && aside.is_empty(), "{aside:?}");
    assert_eq!(scene.bob.numbers(EntryState::Done), [number]);
    assert!(scene.bob.contact("alice").is_none());
}

#[tokio::test]
async fn refused_strangers_are_set_aside_and_contacts_are_heard() {
    let mut scene = Scene::with_policy("strangers = 'refuse'").await;
    scene.alice_says("one").await;
    let aside = scene.one_refused().await;
    assert_eq!(
        (aside.state, aside.reason),
        (EntryState::Quarantined, Reason::Policy)
    );
    assert_eq!(aside.reason.class(), Class::Refused);
    assert!(aside.detail.contains("`strangers`"), "{aside:?}");
    assert!(scene.bob.contact("alice").is_none());

    scene.bob.sends(&text_draft("hello"), "alice").await;
    let (messages, aside) = scene.bob_gets(&[text_draft("two")]).await;
    assert_eq!(messages, ["two"], "{aside:?}");
}

#[tokio::test]
async fn the_allow_list_hears_who_is_listed_or_verified_and_holds_all_others() {
    let mut scene = Scene::of_contacts("allow-list = true").await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    carol.sends(&text_draft("stranger"), "bob").await;
    scene.alice_says("unlisted").await;
    let (messages, aside) = scene.bob.receive().await;
    assert!(messages.is_empty());
    let rules: Vec<_> = aside.iter().map(|aside| aside.detail.as_str()).collect();
    assert_eq!(
        rules,
        [
            "`strangers` in the policy: carol is no contact",
            "`allow-list` in the policy: alice is neither listed nor verified"
        ]
    );
    assert!(aside.iter().all(|aside| aside.state == EntryState::Held));

    scene.bob.verify("alice");
    let (messages, aside) = scene.bob_gets(&[text_draft("verified")]).await;
    assert_eq!(messages, ["verified"], "{aside:?}");

    let contact = scene.bob.contact("alice").unwrap();
    let store = scene.bob.agent.client.store_mut();
    store
        .change_standing(&contact, |_| Standing::Pinned)
        .unwrap();
    scene.bob_restarts("allow-list = true\n[contact.Alice]");
    let (messages, aside) = scene.bob_gets(&[text_draft("listed")]).await;
    assert_eq!(messages, ["listed"], "{aside:?}");
}

#[tokio::test]
async fn the_allow_list_can_refuse_strangers() {
    let mut scene = Scene::with_policy("allow-list = true\nstrangers = 'refuse'").await;
    scene.alice_says("stranger").await;
    assert_eq!(scene.one_refused().await.state, EntryState::Quarantined);
}

#[tokio::test]
async fn nobody_gets_the_rules_of_a_contact_by_taking_its_name_first() {
    for policy in ["[contact.ALICE]", "allow-list = true\n[contact.alice]"] {
        let mut scene = Scene::with_policy(policy).await;
        scene.alice_says("it is me").await;
        assert_eq!(scene.one_refused().await.state, EntryState::Held);
        assert!(scene.bob.contact("alice").is_none());
    }
}

#[tokio::test]
async fn nobody_gets_more_than_a_stranger_by_writing() {
    let mut scene = Scene::with_policy("[stranger]\nmax-size = 3").await;
    let long = [text_draft("long")];
    assert_eq!(scene.handed(&long, "`max-size` of [stranger]").await, 0);
    assert!(scene.bob.contact("alice").is_none(), "refused, not pinned");
    assert_eq!(scene.handed(&[text_draft("hey")], "").await, 1);
    assert!(scene.bob.contact("alice").is_some());
    assert_eq!(scene.handed(&long, "`max-size` of [stranger]").await, 0);
    scene.bob.verify("alice");
    assert_eq!(scene.handed(&long, "").await, 1);
}

#[tokio::test]
async fn nobody_gets_more_than_a_stranger_by_handing_its_identity_over() {
    let mut scene = Scene::with_policy("[stranger]\nmax-size = 3").await;
    assert_eq!(scene.handed(&[text_draft("hey")], "").await, 1);
    let contact = scene.bob.contact("alice").unwrap();
    let keys = NewKeys {
        keys: &contact.keys,
        card: contact.card.as_ref(),
        learned: Learned::Succession,
        standing: contact.standing,
    };
    let now = scene.clock.now();
    let store = scene.bob.agent.client.store_mut();
    store.replace_keys(&contact, &keys, now).unwrap();
    let long = [text_draft("long")];
    assert_eq!(scene.handed(&long, "`max-size` of [stranger]").await, 0);
}

#[tokio::test]
async fn whom_the_user_wrote_to_is_no_stranger() {
    let mut scene = Scene::of_contacts("[stranger]\nmax-size = 3").await;
    assert_eq!(scene.handed(&[text_draft("long")], "").await, 1);
}

#[tokio::test]
async fn each_rule_refuses_what_it_forbids_and_names_itself() {
    let mut draft = text_draft("four");
    draft.topic = Some("ops/db".to_owned());
    draft.message_type = MessageType::Response;
    for (rule, forbids, allows) in [
        ("types", "['request']", "['request', 'response']"),
        ("types", "[]", "['response']"),
        ("topics", "['ops', 'ops/db/*']", "['ops/*']"),
        ("max-size", "3", "4"),
        ("until", "2027-01-15T07:59:59.999Z", "2027-01-15T08:00:00Z"),
    ] {
        let mut scene = Scene::of_contacts(&format!("[contact.alice]\n{rule} = {forbids}")).await;
        let name = format!("`{rule}` of [contact.alice]");
        let drafts = [draft.clone()];
        assert_eq!(scene.handed(&drafts, &name).await, 0, "{rule} {forbids}");
        // The user changes it, and has the message tried again.
        scene.bob_restarts(&format!(
            "[default]\n{rule} = {forbids}\n[contact.alice]\n{rule} = {allows}"
        ));
        let number = scene.bob.numbers(EntryState::Quarantined)[0];
        let store = scene.bob.agent.client.store_mut();
        store.retry(number).unwrap();
        let (messages, aside) = scene.bob.receive().await;
        assert_eq!(messages.len(), 1, "{rule} {allows}: {aside:?}");
    }
}

#[tokio::test]
async fn classic_messages_meet_the_same_rules() {
    let relay = crate::scene::polled().await;
    let clock = crate::scene::SetClock::new();
    let mut alice = Agent::register_with(&relay, "alice", std::sync::Arc::new(clock.clone()));
    let mut bob = Agent::register_with(&relay, "bob", std::sync::Arc::new(clock.clone()));
    for (policy, state, rule) in [
        ("strangers = 'hold'", EntryState::Held, "`strangers`"),
        (
            "strangers = 'refuse'",
            EntryState::Quarantined,
            "`strangers`",
        ),
        (
            "[stranger]\nmax-size = 4",
            EntryState::Quarantined,
            "`max-size`",
        ),
        (
            "[stranger]\ntypes = ['response']",
            EntryState::Quarantined,
            "`types`",
        ),
        (
            "[default]\ntopics = ['a']",
            EntryState::Quarantined,
            "`topics`",
        ),
    ] {
        fs::write(bob.folder.path().join("policy.toml"), policy).unwrap();
        let clock = std::sync::Arc::new(clock.clone());
        bob.client = connect(
            &relay.url(),
            "bob",
            &bob.identity,
            &bob.api_key,
            &bob.folder,
            clock,
        );
        alice.say("bob", "fives").await;
        let (messages, aside) = bob.receive_all().await;
        assert!(messages.is_empty(), "{policy}");
        assert_eq!(aside[0].state, state, "{aside:?}");
        assert!(aside[0].detail.contains(rule), "{aside:?}");
        assert!(bob.client.store().contact("alice").unwrap().is_none());
    }
}

#[tokio::test]
async fn what_nobody_signed_is_a_strangers_whatever_name_it_bears() {
    let mut scene = Scene::of_contacts("strangers = 'hold'").await;
    scene.relay.inject(
        "bob",
        &json!({
            "id": "p-1", "from": "carol", "to": "bob", "type": "request", "encrypted": false,
            "payload": {"text": "hi"}, "ts": "2027-01-15T08:00:00.000Z",
        })
        .to_string(),
    );
    let aside = scene.one_refused().await;
    assert_eq!(aside.state, EntryState::Held, "{aside:?}");
    let number = aside.number;
    scene.bob.agent.client.store_mut().accept(number).unwrap();
    let (messages, _) = scene.bob.receive().await;
    assert_eq!(body(&messages[0]), "hi");
    assert!(scene.bob.contact("carol").is_none());
}

#[tokio::test]
async fn the_rules_follow_the_key_and_not_the_name_that_the_relay_writes() {
    let policy = "strangers = 'hold'\n[default]\nmax-size = 3\n[contact.alice]\nmax-size = 100";
    let mut scene = Scene::of_contacts(policy).await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    scene.bob.sends(&text_draft("hello"), "carol").await;
    let renamed = |scene: &Scene, name: &str| {
        let mut message = scene.last_stored();
        message["from"] = json!(name);
        message["id"] = json!(format!("as-{name}"));
        message.to_string()
    };
    let send = text_draft("by a long way too long");
    // Two identities under one name: Carol as Alice has Carol's rules, Alice as Carol her own.
    carol.sends(&send, "bob").await;
    let as_alice = renamed(&scene, "alice");
    assert_eq!(scene.one_refused().await.reason, Reason::Policy);
    scene.relay.inject("bob", &as_alice);
    let aside = scene.one_refused().await;
    assert_eq!(aside.reason, Reason::Policy);
    assert!(
        aside.detail.contains("`max-size` of [default]"),
        "{aside:?}"
    );

    scene.alice.sends(&send, "bob").await;
    let as_carol = renamed(&scene, "carol");
    scene.relay.inject("bob", &as_carol);
    let (messages, aside) = scene.bob.receive().await;
    assert_eq!(messages[0].from.as_deref(), Some("alice"), "{aside:?}");
}

#[tokio::test]
async fn a_minute_holds_so_many_messages_whatever_they_say_and_no_more_after_a_restart() {
    let policy = "[contact.alice]\nper-minute = 3";
    let rule = "`per-minute` of [contact.alice]";
    let mut scene = Scene::of_contacts(policy).await;
    assert_eq!(scene.handed(&[in_conversation("a")], rule).await, 1);
    scene.bob_restarts(policy);
    scene.clock.advance(MINUTE - 1);
    let drafts: Vec<_> = ["a", "b", "c", "d"].map(in_conversation).into();
    assert_eq!(scene.handed(&drafts, rule).await, 2);
    scene.clock.advance(1);
    assert_eq!(scene.handed(&drafts, rule).await, 3, "a new minute");
}

#[tokio::test]
async fn setting_the_clock_back_neither_forgets_a_count_nor_keeps_it_for_long() {
    let policy = "[default]\nper-minute = 2\nturns = 5";
    let mut scene = Scene::of_contacts(policy).await;
    scene.clock.advance(DAY);
    let drafts = vec![in_conversation("a"); 2];
    assert_eq!(scene.handed(&drafts, "`per-minute`").await, 2);
    scene.clock.advance(-DAY / 2);
    assert_eq!(scene.handed(&drafts, "`per-minute`").await, 0);
    scene.clock.advance(MINUTE - 1);
    assert_eq!(scene.handed(&drafts, "`per-minute`").await, 0);
    scene.clock.advance(1);
    assert_eq!(scene.handed(&drafts, "`per-minute`").await, 2);
    scene.clock.advance(MINUTE);
    assert_eq!(scene.handed(&drafts, "`turns`").await, 1, "turns went on");
}

#[tokio::test]
async fn a_conversation_has_so_many_turns_and_others_have_their_own() {
    let policy = "[default]\nturns = 2";
    let rule = "`turns` of [default]";
    let mut scene = Scene::of_contacts(policy).await;
    let three = |id| vec![in_conversation(id); 3];
    assert_eq!(scene.handed(&three("a"), rule).await, 2);
    scene.bob_restarts(policy);
    scene.clock.advance(29 * DAY);
    assert_eq!(scene.handed(&three("a"), rule).await, 0);
    assert_eq!(scene.handed(&three("b"), rule).await, 2);
    let outside = vec![text_draft("in none"); 3];
    assert_eq!(scene.handed(&outside, rule).await, 3);
}

#[tokio::test]
async fn many_conversations_do_not_push_one_out_of_memory() {
    let mut scene = Scene::of_contacts("[default]\nturns = 1").await;
    assert_eq!(scene.handed(&[in_conversation("a")], "").await, 1);
    let others: Vec<_> = (0..40).map(|n| in_conversation(&n.to_string())).collect();
    assert_eq!(scene.handed(&others, "").await, 40);
    assert_eq!(scene.handed(&[in_conversation("a")], "`turns`").await, 0);
}

#[tokio::test]
async fn a_message_that_is_handed_over_again_counts_once() {
    let policy = "[default]\nper-minute = 2\nturns = 2";
    let mut scene = Scene::of_contacts(policy).await;
    scene.alice.sends(&in_conversation("a"), "bob").await;
    for _ in 0..3 {
        scene.bob_restarts(policy);
        scene.bob.agent.client.fetch(Duration::ZERO).await.unwrap();
        assert!(scene.bob.agent.peek_next().await.is_some());
    }
    let drafts = vec![in_conversation("a"); 2];
    for draft in &drafts {
        scene.alice.sends(draft, "bob").await;
    }
    let (messages, aside) = scene.bob.receive().await;
    assert_eq!((messages.len(), aside.len()), (2, 1), "{aside:?}");
}

#[tokio::test]
async fn what_the_topic_filter_leaves_in_the_inbox_is_not_counted() {
    let mut scene = Scene::of_contacts("[default]\nper-minute = 1").await;
    scene.alice_says("left").await;
    let client = &mut scene.bob.agent.client;
    client.fetch(Duration::ZERO).await.unwrap();
    let filter = Filter {
        topic: Some("other".to_owned()),
        since: None,
    };
    let mut receiving = client.receive(filter).unwrap();
    assert!(client.next(&mut receiving).await.unwrap().is_none());
    drop(receiving);
    let (messages, aside) = scene.bob.receive().await;
    assert_eq!(messages.len(), 1, "{aside:?}");
}

#[tokio::test]
async fn a_peek_shows_what_the_policy_would_do_and_does_nothing() {
    let policy = "strangers = 'hold'\n[contact.alice]\nper-minute = 2\nturns = 1\nmax-size = 9";
    let mut scene = Scene::of_contacts(policy).await;
    let mut carol = Native::register(&scene.relay, "carol", &scene.clock, true).await;
    for draft in [
        text_draft("far too long"),
        in_conversation("a"),
        in_conversation("a"),
        text_draft("second"),
        text_draft("third"),
    ] {
        scene.alice.sends(&draft, "bob").await;
    }
    carol.sends(&text_draft("stranger"), "bob").await;
    let expected = [
        Err("`max-size`"),
        Ok("turn"),
        Err("`turns`"),
        Ok("second"),
        Err("`per-minute`"),
        Err("`strangers`"),
    ];
    for _ in 0..2 {
        let client = &mut scene.bob.agent.client;
        let peek = client.peek(Filter::default()).await.unwrap();
        assert_eq!(peek.messages.len(), expected.len());
        for (found, expected) in peek.messages.iter().zip(expected) {
            match (found, expected) {
                (Ok(message), Ok(text)) => assert_eq!(body(message), text),
                (Err(aside), Err(rule)) => {
                    assert!(aside.detail.contains(rule), "{rule}: {aside:?}");
                    let held = aside.state == EntryState::Held;
                    assert_eq!(held, rule == "`strangers`");
                }
                other => panic!("{other:?}"),
            }
        }
    }
    let (messages, aside) = scene.bob.receive().await;
    assert_eq!((messages.len(), aside.len()), (2, 4), "{aside:?}");
}

#[tokio::test]
async fn what_the_user_accepted_is_handed_over_whatever_the_limits_are() {
    let policy = "strangers = 'hold'\n[default]\nper-minute = 1";
    let mut scene = Scene::with_policy(policy).await;
    for text in ["one", "two"] {
        scene.alice_says(text).await;
    }
    assert_eq!(scene.bob.receive().await.1.len(), 2);
    for number in scene.bob.numbers(EntryState::Held) {
        scene.bob.agent.client.store_mut().accept(number).unwrap();
    }
    let (messages, aside) = scene.bob.receive().await;
    assert_eq!(messages.len(), 2, "{aside:?}");
}

#[tokio::test]
async fn accepting_a_message_does_not_make_it_valid() {
    let mut scene = Scene::with_policy("strangers = 'hold'").await;
    scene.alice_says("one").await;
    let number = scene.one_refused().await.number;
    // Meanwhile the user blocked her.
    scene.bob.sends(&text_draft("hello"), "alice").await;
    let contact = scene.bob.contact("alice").unwrap();
    let store = scene.bob.agent.client.store_mut();
    store
        .change_standing(&contact, |_| Standing::Blocked)
        .unwrap();
    store.accept(number).unwrap();
    assert_eq!(scene.one_refused().await.reason, Reason::Blocked);
}

/// Handles everything.
struct Obliging;

#[async_trait::async_trait]
impl Handler for Obliging {
    async fn handle(&self, _attempt: &Attempt) -> Outcome {
        Outcome::Done { output: Vec::new() }
    }
}

#[tokio::test]
async fn a_handler_gets_messages_of_those_who_may_reach_it() {
    let policy = "[default]\nhandlers = ['all']\n[contact.alice]\nhandlers = ['build', 'test']";
    let mut scene = Scene::of_contacts(policy).await;
    for (handler, done) in [
        (Some("build"), 1),
        (Some("deploy"), 0),
        (Some("all"), 0),
        (None, 1),
    ] {
        scene.alice_says("one").await;
        let work = Work {
            handler: handler.map(str::to_owned),
            ..Work::default()
        };
        let client = &mut scene.bob.agent.client;
        let worked = client
            .work(&work, &Obliging, std::future::pending(), |_| {})
            .await
            .unwrap();
        assert_eq!(
            (worked.done, worked.set_aside),
            (done, 1 - done),
            "{handler:?}"
        );
    }
}

#[tokio::test]
async fn a_policy_that_cannot_be_read_stops_everything_and_names_its_line() {
    let scene = Scene::new().await;
    let path = scene.bob.agent.folder.path().join("policy.toml");
    let open = || {
        let store = scene.bob.agent.folder.path().join("store.sqlite");
        let relay =
            ctalk::relay::clawtalk::ClawTalk::new(&scene.relay.url(), None, clock()).unwrap();
        Client::new("bob", scene.bob.identity(), relay, &store, clock())
    };
    fs::write(&path, "\n\nstranger = 'hold'").unwrap();
    let Err(error @ Error::Policy(_)) = open() else {
        panic!("it was taken")
    };
    assert_eq!(error.class(), Class::LocalStore);
    assert!(error.to_string().contains("line 3"), "{error}");
    assert!(error.to_string().contains("policy.toml"), "{error}");
    assert!(error.hint().is_some());

    fs::write(&path, vec![b'#'; (4 << 20) + 1]).unwrap();
    assert!(matches!(open(), Err(Error::Policy(_))));
    fs::write(&path, [0xff]).unwrap();
    assert!(matches!(open(), Err(Error::Policy(_))));
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert!(matches!(open(), Err(Error::Policy(_))));
    fs::remove_dir(&path).unwrap();
    assert!(open().is_ok());
}

fn clock() -> std::sync::Arc<dyn Clock> {
    std::sync::Arc::new(ctalk::clock::SystemClock)
}
