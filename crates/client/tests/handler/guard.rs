//! Programs that decide first.

use std::fs;

use ctalk::handler::{Guarded, Outcome};

use crate::{handle, is_failed, is_retry, quoted, shell, text};

/// What becomes of a message, and what the handler behind the guard got.
async fn guarded(guard: &str, message: &str) -> (Outcome, Option<String>) {
    let folder = tempfile::tempdir().unwrap();
    let got = folder.path().join("got");
    let handler = shell(&format!("cat > {}; echo handled", quoted(&got)));
    let outcome = handle(&Guarded::new(shell(guard), handler), text(message)).await;
    (outcome, fs::read_to_string(got).ok())
}

#[tokio::test]
async fn what_the_guard_lets_pass_is_handled() {
    let (outcome, got) = guarded(
        "grep -q please && test $CTALK_FROM = bob; echo noise",
        "please",
    )
    .await;
    let output = b"handled\n".to_vec();
    assert_eq!(outcome, Outcome::Done { output });
    assert_eq!(got.as_deref(), Some("please"));
}

#[tokio::test]
async fn what_the_guard_refuses_never_reaches_the_handler() {
    let (outcome, got) = guarded("grep -q please", "now!").await;
    assert!(
        matches!(&outcome, Outcome::Refused { why } if why.contains("refused")),
        "{outcome:?}"
    );
    assert_eq!(got, None);
}

#[tokio::test]
async fn a_guard_that_does_not_decide_lets_nothing_pass() {
    for guard in ["exit 75", "kill -9 $$"] {
        let (outcome, got) = guarded(guard, "x").await;
        assert!(is_retry(&outcome, ""), "{guard}: {outcome:?}");
        assert_eq!(got, None, "{guard}");
    }
    for guard in ["exit 2", "no-such-program-anywhere 2>/dev/null"] {
        let (outcome, got) = guarded(guard, "x").await;
        assert!(is_failed(&outcome, ""), "{guard}: {outcome:?}");
        assert_eq!(got, None, "{guard}");
    }
}
