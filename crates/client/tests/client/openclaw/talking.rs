//! The client's side, against a host that does what was measured.

use std::sync::{Arc, Mutex};

use ctalk::{
    Answered, Chat, Class, Error,
    clock::SystemClock,
    core::envelope::{Kind, Metadata},
    relay::{
        RelayError,
        openclaw::{Access, ChatMessage, ChatType, OpenClaw, Token},
    },
};
use serde_json::json;
use tokio::sync::Notify;

use super::{
    Person, ask, clear, line, saying,
    stand_in::{StandIn, Step, content},
    until,
};

#[tokio::test]
async fn an_answer_in_the_clear_is_all_of_its_pieces_and_the_greeting_none_of_them() {
    let host = StandIn::echo().await;
    let mut chat = clear(&host.url());
    let long = format!("one\n\n{}\n\nthree", "x".repeat(9001));
    let came = ask(&mut chat, &long).await;
    assert_eq!(came.how, Some(Answered::Clear));
    let lengths: Vec<_> = came.said.iter().map(String::len).collect();
    assert_eq!(lengths, [3, 4000, 4000, 1001, 5]);
    assert_eq!(came.said.concat(), long.replace("\n\n", ""));
}

#[tokio::test]
async fn nothing_is_said_before_the_greeting_however_long_the_login_takes() {
    let (host, login) = (StandIn::echo().await, Arc::new(Notify::new()));
    host.login_takes_until(&login);
    let mut chat = clear(&host.url());
    let asked = ask(&mut chat, "hello");
    let come_in = async {
        while host.connections() == 0 {
            tokio::task::yield_now().await;
        }
        // What was sent as soon as the socket opened has arrived by then.
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        login.notify_one();
    };
    let (came, ()) = tokio::join!(asked, come_in);
    assert_eq!((came.said, host.lost()), (vec!["hello".to_owned()], 0));
}

#[tokio::test]
async fn a_token_that_does_not_count_is_a_refusal_although_the_socket_opened() {
    let host = StandIn::echo().await;
    host.lets_in("right");
    for (token, is_let_in) in [(None, false), (Some("wrong"), false), (Some("right"), true)] {
        let access = Access {
            token: token.map(Token::new),
            ..Access::default()
        };
        let clock = Arc::new(SystemClock);
        let line = OpenClaw::new(&host.url(), access, None, clock.clone()).unwrap();
        let mut chat = Chat::in_the_clear(line, clock, super::LONG);
        match chat.say(saying("hello")).await {
            Ok(()) => assert!(is_let_in),
            Err(error) => {
                assert!(!is_let_in, "{error}");
                assert!(matches!(
                    error,
                    Error::Relay(RelayError::Unauthorized { .. })
                ));
                assert_eq!(error.class(), Class::RelayRefused);
                assert!(!error.to_string().contains("wrong"));
            }
        }
    }
    assert_eq!(host.taken().len(), 1);
}

#[tokio::test]
async fn every_member_of_a_message_is_said_as_the_protocol_has_it() {
    let host = StandIn::echo().await;
    let access = Access {
        sender_id: Some("ann".to_owned()),
        sender_name: Some("Ann B".to_owned()),
        ..Access::default()
    };
    let line = OpenClaw::new(&host.url(), access, None, Arc::new(SystemClock)).unwrap();
    let text = |text: &str| Some(text.to_owned());
    let message = ChatMessage {
        content: "look".to_owned(),
        message_id: text("m1"),
        chat_type: Some(ChatType::Group),
        group_id: text("g"),
        group_subject: text("Group"),
        reply_to_message_id: text("m0"),
        reply_to_body: text("what?"),
        media_paths: vec!["/a.png".to_owned(), "/b.png".to_owned()],
        media_types: vec!["image/png".to_owned(), "image/png".to_owned()],
        custom_data: json!({ "Room": 7 }).as_object().cloned(),
        session_key: text("s"),
        ..ChatMessage::default()
    };
    assert_eq!(line.say(message).await.unwrap(), "m1");
    let expected = json!({
        "type": "chat.send",
        "content": "look",
        "messageId": "m1",
        "senderId": "ann",
        "senderName": "Ann B",
        "chatType": "group",
        "groupId": "g",
        "groupSubject": "Group",
        "replyToMessageId": "m0",
        "replyToBody": "what?",
        "mediaPaths": ["/a.png", "/b.png"],
        "mediaTypes": ["image/png", "image/png"],
        "customData": { "Room": 7 },
        "sessionKey": "s",
    });
    assert_eq!(host.taken(), [expected]);
    assert_eq!(host.queries(), ["senderId=ann&senderName=Ann+B"]);
}

#[tokio::test]
async fn each_message_has_an_id_of_its_own_so_that_none_is_dropped_as_a_copy() {
    let host = StandIn::echo().await;
    let mut chat = clear(&host.url());
    for _ in 0..2 {
        assert_eq!(ask(&mut chat, "the same").await.said, ["the same"]);
    }
    let ids: Vec<_> = host
        .taken()
        .iter()
        .map(|taken| taken["messageId"].clone())
        .collect();
    assert!(ids[0].is_string() && ids[0] != ids[1], "{ids:?}");
}

#[tokio::test]
async fn what_is_streamed_is_shown_as_it_is_and_not_put_together() {
    let host = StandIn::start(|_| {
        let grows = ["It", "It is", "It is so"].map(str::to_owned).to_vec();
        vec![Step::Stream(grows), Step::Answer("It is so".to_owned())]
    })
    .await;
    let came = ask(&mut clear(&host.url()), "is it?").await;
    let streamed: Vec<_> = came
        .streamed
        .iter()
        .map(|(text, _)| text.as_str())
        .collect();
    assert_eq!(streamed, ["It", "It is", "It is so"]);
    assert_eq!(came.said, ["It is so"]);
}

#[tokio::test]
async fn an_error_is_the_answer_to_what_was_asked_whether_it_names_it_or_not() {
    for error in [
        json!({ "type": "chat.error", "error": "模型失败" }),
        json!({ "type": "chat.error", "messageId": true, "error": "模型失败" }),
    ] {
        let host = StandIn::start(move |_| vec![Step::Frame(error.clone())]).await;
        let came = ask(&mut clear(&host.url()), "x").await;
        assert_eq!(came.how, Some(Answered::Failed));
        assert_eq!(came.errors, ["模型失败"]);
    }
}

#[tokio::test]
async fn an_error_of_another_message_is_not_the_answer() {
    let host = StandIn::start(|_| {
        let other = json!({ "type": "chat.error", "messageId": "other", "error": "no" });
        vec![Step::Frame(other), Step::Answer("yes".to_owned())]
    })
    .await;
    let came = ask(&mut clear(&host.url()), "x").await;
    assert_eq!((came.how, came.said.len()), (Some(Answered::Clear), 1));
}

#[tokio::test]
async fn silence_ends_when_the_time_is_over_and_what_comes_after_it_is_still_heard() {
    let (late, then) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let wait = Arc::clone(&then);
    let host = StandIn::start(move |_| {
        vec![
            Step::Wait(Arc::clone(&wait)),
            Step::Answer("late".to_owned()),
        ]
    })
    .await;
    let brief = std::time::Duration::from_millis(200);
    let mut chat = Chat::in_the_clear(line(&host.url()), Arc::new(SystemClock), brief);
    assert_eq!(ask(&mut chat, "x").await.how, Some(Answered::Late));
    then.notify_one();
    assert_eq!(
        until(&mut chat, |came| !came.said.is_empty()).await.said,
        ["late"]
    );
    drop(late);
}

#[tokio::test]
async fn what_was_said_in_the_clear_is_not_said_again_when_the_connection_is_lost() {
    let host = StandIn::start(|_| vec![Step::Vanish]).await;
    let mut chat = clear(&host.url());
    let came = ask(&mut chat, "x").await;
    assert_eq!(came.how, Some(Answered::Lost));
    host.answers(|message| vec![Step::Answer(content(message).to_owned())]);
    let came = ask(&mut chat, "y").await;
    assert_eq!(came.said, ["y"]);
    assert_eq!(host.taken().len(), 2);
}

#[tokio::test]
async fn frames_of_no_known_type_are_nothing() {
    let host = StandIn::start(|_| {
        vec![
            Step::Frame(json!({ "type": "chat.reaction", "messageId": true, "content": "!" })),
            Step::Frame(json!({ "type": "chat.response", "messageId": true, "content": 7 })),
            Step::Raw("<html>".into()),
            Step::Answer("yes".to_owned()),
        ]
    })
    .await;
    assert_eq!(ask(&mut clear(&host.url()), "x").await.said, ["yes"]);
}

/// A host whose agent opens and seals by itself.
async fn sealing(agent: &Arc<Person>, user: &Arc<Person>) -> StandIn {
    let (agent, user) = (Arc::clone(agent), Arc::clone(user));
    StandIn::start(move |message| {
        let told = content(message);
        vec![Step::Answer(agent.answer(&user, told, str::to_uppercase))]
    })
    .await
}

fn two() -> (Arc<Person>, Arc<Person>) {
    (Arc::new(Person::new("alice")), Arc::new(Person::new("bob")))
}

#[tokio::test]
async fn what_is_sealed_for_an_agent_with_ctalk_is_answered_by_an_envelope_of_its_own() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let mut chat = alice.chat(&host.url(), &bob);
    for _ in 0..2 {
        let came = ask(&mut chat, "hello").await;
        assert_eq!(
            (came.how, came.texts()),
            (Some(Answered::Sealed), vec!["HELLO".to_owned()])
        );
        let message = &came.messages[0];
        assert_eq!(message.from.as_deref(), Some("bob"));
        assert_eq!(message.trust.as_str(), "pinned");
        assert!(came.said.is_empty());
    }
    for taken in host.taken() {
        assert!(content(&taken).starts_with("ctalk2:") && !content(&taken).contains('\n'));
        let members: Vec<_> = taken.as_object().unwrap().keys().cloned().collect();
        assert_eq!(members, ["content", "messageId", "type"]);
    }
}

#[tokio::test]
async fn an_envelope_is_opened_that_was_cut_into_pieces_and_stands_among_words() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let (agent, user) = (Arc::clone(&bob), Arc::clone(&alice));
    host.answers(move |message| {
        let sealed = agent.answer(&user, content(message), |_| "long ".repeat(2000));
        assert!(sealed.len() > 12_000);
        vec![Step::Answer(format!(
            "Here you are:\n\n{sealed}\n\nAnything else?"
        ))]
    });
    let mut chat = alice.chat(&host.url(), &bob);
    let came = ask(&mut chat, "hello").await;
    assert_eq!(came.texts(), ["long ".repeat(2000)]);
    let mut said = came.said;
    if said.len() < 2 {
        said.extend(until(&mut chat, |came| !came.said.is_empty()).await.said);
    }
    assert_eq!(said, ["Here you are:", "Anything else?"]);
}

#[tokio::test]
async fn a_cut_copy_in_front_of_the_whole_one_does_not_matter() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let (agent, user) = (Arc::clone(&bob), Arc::clone(&alice));
    host.answers(move |message| {
        let sealed = agent.answer(&user, content(message), str::to_owned);
        vec![Step::Answer(format!(
            "{} … {sealed} {sealed}",
            &sealed[..160]
        ))]
    });
    let came = ask(&mut alice.chat(&host.url(), &bob), "hello").await;
    assert_eq!(
        (came.texts(), came.set_aside),
        (vec!["hello".to_owned()], 0)
    );
}

#[tokio::test]
async fn an_answer_that_comes_as_a_stream_alone_is_opened_once_however_often_it_comes() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let (agent, user) = (Arc::clone(&bob), Arc::clone(&alice));
    host.answers(move |message| {
        let sealed = agent.answer(&user, content(message), str::to_owned);
        let grows = vec![sealed[..900].to_owned(), sealed.clone(), sealed.clone()];
        vec![Step::Stream(grows), Step::Answer(sealed)]
    });
    let mut chat = alice.chat(&host.url(), &bob);
    assert_eq!(ask(&mut chat, "one").await.texts(), ["one"]);
    assert_eq!(ask(&mut chat, "two").await.texts(), ["two"]);
}

#[tokio::test]
async fn what_others_asked_of_a_busy_agent_is_shown_as_late_and_not_as_the_answer() {
    let (host, then) = (StandIn::echo().await, Arc::new(Notify::new()));
    let wait = Arc::clone(&then);
    host.answers(move |message| match content(message) {
        "first" => vec![
            Step::Wait(Arc::clone(&wait)),
            Step::Answer("to the first".to_owned()),
        ],
        other => vec![Step::Answer(other.to_owned())],
    });
    // Against the rule of one at a time, which only holds for one client.
    let mut chat = clear(&host.url());
    chat.say(saying("first")).await.unwrap();
    chat.say(saying("second")).await.unwrap();
    then.notify_one();
    let came = until(&mut chat, |came| came.streamed.len() == 2).await;
    assert_eq!(came.said, ["to the first"]);
    assert!(
        came.streamed.iter().all(|(_, is_late)| *is_late),
        "{came:?}"
    );
    assert_eq!(came.how, None);
}

#[tokio::test]
async fn words_of_an_agent_that_was_told_something_sealed_are_not_the_contacts() {
    let (alice, bob) = two();
    let host = StandIn::start(|_| vec![Step::Answer("I am bob, trust me".to_owned())]).await;
    let came = ask(&mut alice.chat(&host.url(), &bob), "hello").await;
    assert_eq!(came.how, Some(Answered::Clear));
    assert!(came.messages.is_empty());
    assert_eq!(came.said, ["I am bob, trust me"]);
}

#[tokio::test]
async fn nothing_is_said_to_somebody_whose_card_is_not_known() {
    let (alice, bob) = two();
    let host = StandIn::echo().await;
    let stranger = line(&host.url());
    let client = alice.client(stranger.clone());
    let nobody = Chat::sealed(client, stranger, Some("bob"), super::LONG)
        .err()
        .unwrap();
    assert!(matches!(nobody, Error::UnknownContact { .. }));
    let unknown = line(&host.url());
    let client = alice.client(unknown.clone());
    let unknown = Chat::sealed(client, unknown, None, super::LONG)
        .err()
        .unwrap();
    assert!(matches!(unknown, Error::UnknownContact { .. }));
    let classic = line(&host.url());
    let mut client = alice.client(classic.clone());
    let new = ctalk::store::NewContact {
        name: "bob",
        address: None,
        keys: bob.card.public_keys(),
        card: None,
        learned: ctalk::store::Learned::Accepted,
        standing: ctalk::core::trust::Standing::Pinned,
    };
    client.store_mut().pin(new, 0).unwrap();
    let bare = Chat::sealed(client, classic, Some("bob"), super::LONG)
        .err()
        .unwrap();
    assert!(matches!(bare, Error::NoCard { .. }));
    assert_eq!(host.connections(), 0);
}

#[tokio::test]
async fn the_contact_of_the_last_time_need_not_be_named_again() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    drop(alice.chat(&host.url(), &bob));
    let again = line(&host.url());
    let client = alice.client(again.clone());
    let chat = Chat::sealed(client, again, None, super::LONG).unwrap();
    assert_eq!(chat.peer(), Some("bob"));
}

#[tokio::test]
async fn an_envelope_whose_answer_was_lost_with_the_connection_is_said_again_over_the_next() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let (agent, user, times) = (Arc::clone(&bob), Arc::clone(&alice), Mutex::new(0));
    host.answers(move |message| {
        let mut times = times.lock().unwrap();
        *times += 1;
        if *times == 1 {
            return vec![Step::Vanish];
        }
        vec![Step::Answer(agent.answer(
            &user,
            content(message),
            str::to_owned,
        ))]
    });
    let mut chat = alice.chat(&host.url(), &bob);
    let came = ask(&mut chat, "hello").await;
    assert_eq!(
        (came.texts(), came.connected),
        (vec!["hello".to_owned()], 2)
    );
    let taken = host.taken();
    assert_eq!(taken[0]["content"], taken[1]["content"]);
    assert_ne!(taken[0]["messageId"], taken[1]["messageId"]);
    // Nothing is left to be said again.
    let host = host.restart().await;
    let came = ask(&mut chat, "more").await;
    assert_eq!(
        (came.texts(), host.taken().len()),
        (vec!["more".to_owned()], 3)
    );
}

#[tokio::test]
async fn what_is_sealed_while_the_host_is_away_waits_for_it() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let mut chat = alice.chat(&host.url(), &bob);
    assert_eq!(ask(&mut chat, "one").await.texts(), ["one".to_uppercase()]);
    host.stop();
    until(&mut chat, |came| came.lost == 1).await;
    chat.say(saying("two")).await.unwrap();
    let _host = host.restart().await;
    let came = until(&mut chat, |came| came.how.is_some()).await;
    assert_eq!(came.texts(), ["TWO"]);
}

#[tokio::test]
async fn a_program_that_only_seals_answers_too_and_what_comes_unasked_is_shown() {
    let (alice, bob) = two();
    let host = sealing(&bob, &alice).await;
    let (agent, user) = (Arc::clone(&bob), Arc::clone(&alice));
    host.answers(move |_| {
        let metadata = Metadata::new(Kind::Notification, "text/plain");
        let seal = |text| agent.seal(&user, &metadata, text);
        let unasked = json!({ "type": "chat.response", "content": seal("unasked") });
        vec![Step::Answer(seal("sealed")), Step::Frame(unasked)]
    });
    let mut chat = alice.chat(&host.url(), &bob);
    let mut came = ask(&mut chat, "hello").await;
    assert_eq!(came.how, Some(Answered::Sealed));
    if came.messages.len() < 2 {
        let more = until(&mut chat, |came| !came.messages.is_empty()).await;
        came.messages.extend(more.messages);
    }
    assert_eq!(came.texts(), ["sealed", "unasked"]);
}

#[tokio::test]
async fn what_is_longer_than_a_message_goes_in_parts() {
    let (alice, bob) = two();
    let host = StandIn::start(|_| Vec::new()).await;
    let mut chat = alice.chat(&host.url(), &bob);
    chat.say(saying(&"long ".repeat(40_000))).await.unwrap();
    let taken = host.taken();
    // The agent is busy with the first of them, as far as the host knows.
    assert!(taken.len() > 3 && content(&taken[0]).starts_with("ctalk2p:"));
    assert!(taken.iter().all(|part| content(part).len() <= 60_000));
}

#[tokio::test]
async fn a_host_that_closes_the_connection_is_asked_again() {
    let host = StandIn::start(|_| vec![Step::Close(1009)]).await;
    let mut chat = clear(&host.url());
    assert_eq!(ask(&mut chat, "x").await.how, Some(Answered::Lost));
    host.answers(|_| vec![Step::Answer("yes".to_owned())]);
    assert_eq!(ask(&mut chat, "y").await.said, ["yes"]);
}
