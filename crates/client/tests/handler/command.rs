//! What a program gets, and what its end means.

use std::os::unix::fs::PermissionsExt;

use ctalk::{
    Content, Trust,
    handler::{Attempt, Command, CommandError, Handler, Outcome},
};
use proptest::prelude::*;

use crate::{first, handle, is_failed, is_retry, json, message, output, quoted, shell, text};

#[tokio::test]
async fn the_payload_is_on_stdin_as_it_is() {
    let cat = Command::new("cat").unwrap();
    assert_eq!(output(&cat, text("héllo\n")).await, "héllo\n".as_bytes());
    let numbers = r#"{ "n": 1.50,  "b": 12345678901234567890123 }"#;
    assert_eq!(output(&cat, json(numbers)).await, numbers.as_bytes());
    let bytes = [&[0, 255, 0, 10, 13][..], &[0; 300_000]].concat();
    assert_eq!(
        output(&cat, message(Content::Bytes(bytes.clone()))).await,
        bytes
    );
}

#[tokio::test]
async fn the_facts_are_environment_variables_and_unset_where_there_is_nothing_to_say() {
    let facts = shell("env | grep ^CTALK_ | sort");
    let second = Attempt {
        message: text(""),
        number: 2,
    };
    let Outcome::Done { output: all } = facts.handle(&second).await else {
        panic!("it failed");
    };
    let fingerprint = "f".repeat(64);
    assert_eq!(
        String::from_utf8(all).unwrap(),
        format!(
            "CTALK_ATTEMPT=2\nCTALK_CORRELATION_ID=c-1\nCTALK_FINGERPRINT={fingerprint}\n\
             CTALK_FROM=bob\nCTALK_ID=0123456789abcdef0123456789abcdef\nCTALK_REPLY_TO=r-1\n\
             CTALK_TOPIC=builds\nCTALK_TRUST=verified\nCTALK_TYPE=request\n"
        )
    );

    let mut bare = text("");
    bare.id = None;
    bare.from = None;
    bare.fingerprint = None;
    bare.topic = None;
    bare.correlation_id = None;
    bare.reply_to = None;
    bare.trust = Trust::Plaintext;
    assert_eq!(
        output(&facts, bare).await,
        b"CTALK_ATTEMPT=1\nCTALK_TRUST=plaintext\nCTALK_TYPE=request\n"
    );
}

#[tokio::test]
async fn what_hygiene_found_is_in_variables_too() {
    let urls = Command::new("printenv CTALK_URLS").unwrap();
    let mut linked = text("https://a.example/x and http://b.example, https://a.example/x");
    ctalk::sanitize(&mut linked);
    assert_eq!(
        output(&urls, linked).await,
        b"https://a.example/x\nhttp://b.example\n"
    );
    let mut plain = text("none");
    ctalk::sanitize(&mut plain);
    assert!(is_failed(
        &handle(&urls, plain.clone()).await,
        "exited with 1"
    ));

    let removed = Command::new("printenv CTALK_SANITIZED").unwrap();
    assert!(is_failed(&handle(&removed, plain).await, "exited with 1"));
    let mut hiding = text("a\u{200b}\u{202e}b");
    ctalk::sanitize(&mut hiding);
    assert_eq!(output(&removed, hiding).await, b"2\n");

    // As many as fit, whole.
    let many: String = (0..10_000)
        .map(|n| format!("http://e.example/{n:06} "))
        .collect();
    let mut many = text(&many);
    ctalk::sanitize(&mut many);
    let listed = String::from_utf8(output(&urls, many).await).unwrap();
    assert!(listed.len() <= 64 << 10 && listed.len() > 60 << 10);
    assert!(listed.lines().all(|line| line.len() == 23), "{listed}");
}

#[tokio::test]
async fn the_environment_is_inherited_less_what_was_named() {
    let printenv = Command::new("printenv CARGO_MANIFEST_DIR").unwrap();
    assert!(!output(&printenv, text("")).await.is_empty());
    let printenv = printenv.without_variables(["CARGO_MANIFEST_DIR"]);
    assert!(is_failed(
        &handle(&printenv, text("")).await,
        "exited with 1"
    ));
}

#[tokio::test]
async fn the_whole_message_is_one_line_of_json_where_that_is_asked_for() {
    let cat = Command::new("cat").unwrap().json_stdin();
    let mut nested = json("{\n\"n\": 1.50}");
    ctalk::sanitize(&mut nested);
    let line = String::from_utf8(output(&cat, nested).await).unwrap();
    assert_eq!(line.find('\n'), Some(line.len() - 1));
    assert!(line.contains(r#""payload":{ "n": 1.50}"#), "{line}");
    let value: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(value["attempt"], 1);
    assert_eq!(value["from"], "bob");
    assert_eq!(value["relayFrom"], "bob-at-relay");
    assert_eq!(value["correlationId"], "c-1");
    assert_eq!(value["urls"], serde_json::json!([]));
    assert_eq!(value["sanitized"]["zeroWidth"], 0);
}

#[tokio::test]
async fn words_are_split_as_a_shell_does_and_nothing_is_expanded() {
    let print = Command::new(r#"printf '%s|' $HOME '*' "a b" ~ a\ b `id` ; && > x "#).unwrap();
    assert_eq!(
        output(&print, text("")).await,
        b"$HOME|*|a b|~|a b|`id`|;|&&|>|x|"
    );
    assert_eq!(output(&shell("x=1; echo $((x+1))"), text("")).await, b"2\n");
}

#[test]
fn lines_that_name_nothing_to_run_are_refused_at_once() {
    assert!(matches!(Command::new("a 'b"), Err(CommandError::Quotes)));
    assert!(matches!(Command::new("a \"b"), Err(CommandError::Quotes)));
    for line in ["", "  ", "# nothing"] {
        assert!(
            matches!(Command::new(line), Err(CommandError::Empty)),
            "{line:?}"
        );
    }
    assert!(matches!(Command::shell(" "), Err(CommandError::Empty)));
    assert!(matches!(
        Command::new("echo 'a\0b'"),
        Err(CommandError::Nul)
    ));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    for program in [
        "/no/such/program".to_owned(),
        "no-such-program-anywhere".to_owned(),
        quoted(&file),
        quoted(folder.path()),
    ] {
        let refused = Command::new(&format!("{program} x"));
        assert!(
            matches!(&refused, Err(CommandError::NotRunnable { .. })),
            "{program}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn a_program_that_is_gone_is_no_fault_of_the_message() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handler");
    std::fs::write(&file, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).unwrap();
    let command = Command::new(&quoted(&file)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(is_retry(&handle(&command, text("")).await, "did not start"));
}

#[tokio::test]
async fn the_exit_code_decides() {
    for code in [1, 2, 64, 74, 76, 126, 127, 255] {
        let outcome = handle(&shell(&format!("exit {code}")), text("")).await;
        assert!(
            is_failed(&outcome, &format!("exited with {code}")),
            "{outcome:?}"
        );
    }
    let outcome = handle(&shell("exit 75"), text("")).await;
    assert!(is_retry(&outcome, "exited with 75"), "{outcome:?}");
    for signal in [9, 15] {
        let outcome = handle(&shell(&format!("kill -{signal} $$")), text("")).await;
        assert!(
            is_retry(&outcome, &format!("signal {signal}")),
            "{outcome:?}"
        );
    }
}

#[tokio::test]
async fn output_has_a_bound_and_what_exceeds_it_blocks_nobody() {
    let flood = shell("head -c 3000000 /dev/zero");
    assert_eq!(
        output(&flood.clone().max_output(3_000_000), text(""))
            .await
            .len(),
        3_000_000
    );
    let outcome = handle(&flood.max_output(2_999_999), text("")).await;
    assert!(
        is_failed(&outcome, "more than 2999999 bytes"),
        "{outcome:?}"
    );
    // It asked for another attempt, however much it wrote.
    let outcome = handle(
        &shell("head -c 300000 /dev/zero; exit 75").max_output(1),
        text(""),
    )
    .await;
    assert!(is_retry(&outcome, "75"), "{outcome:?}");
}

#[tokio::test]
async fn facts_that_no_variable_can_hold_fail_without_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let ran = folder.path().join("ran");
    let touch = Command::new(&format!("touch {}", quoted(&ran))).unwrap();
    let mut broken = text("");
    broken.topic = Some("a\0b".to_owned());
    let outcome = handle(&touch, broken).await;
    assert!(is_failed(&outcome, "CTALK_TOPIC"), "{outcome:?}");
    let mut long = text("");
    long.correlation_id = Some("x".repeat((64 << 10) + 1));
    let outcome = handle(&touch, long).await;
    assert!(is_failed(&outcome, "CTALK_CORRELATION_ID"), "{outcome:?}");
    assert!(!ran.exists());
    let mut fits = text("");
    fits.topic = Some("x".repeat(64 << 10));
    assert_eq!(output(&touch, fits).await, b"");
    assert!(ran.exists());
}

/// Text as somebody writes it who wants a shell to take it for something else.
fn hostile() -> impl Strategy<Value = String> {
    prop::collection::vec(
        prop::sample::select(vec![
            "$(touch x)",
            "`id`",
            "';",
            "\"",
            "\\",
            "\n",
            " ",
            "$HOME",
            "*",
            "~",
            "|",
            "&&",
            "-",
            "--",
            "%s",
            "#",
            "é",
            "\u{202e}",
            "a",
        ]),
        0..12,
    )
    .prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn nothing_of_a_message_becomes_an_argument(
        payload in hostile(), topic in hostile(), sender in hostile(), correlation in hostile(),
        fixed in prop::collection::vec(hostile(), 1..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        // Prints its arguments, a mark, two variables, a mark, and its stdin.
        let script = r#"printf '%s\0' "$@"; printf '==\0%s\0%s\0==\0' "$CTALK_TOPIC" "$CTALK_FROM"; cat"#;
        let mut words = vec!["sh", "-c", script, "sh"];
        words.extend(fixed.iter().map(String::as_str));
        let command = Command::new(&shlex::try_join(words).unwrap()).unwrap();
        let mut message = text(&payload);
        message.topic = Some(topic.clone());
        message.from = Some(sender.clone());
        message.correlation_id = Some(correlation);
        let Outcome::Done { output } = runtime.block_on(command.handle(&first(message))) else {
            panic!("it failed");
        };
        let mut expected: String = fixed.iter().map(|word| format!("{word}\0")).collect();
        expected += &format!("==\0{topic}\0{sender}\0==\0{payload}");
        prop_assert_eq!(String::from_utf8(output).unwrap(), expected);
    }
}
