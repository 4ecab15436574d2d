//! Programs that hang, fork, or do not listen. A named pipe that all processes of a handler hold open
//! for writing shows when the last of them is gone: reading it ends.

use std::{fs, path::PathBuf, time::Duration};

use ctalk::handler::{Handler, Outcome};
use tokio::task::JoinHandle;

use crate::{LONG, first, handle, is_retry, output, quoted, shell, text};

struct Witness {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Witness {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let status = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(status.unwrap().success());
        Self {
            _folder: folder,
            path,
        }
    }

    /// A line for a script that makes it, and all that it starts, hold the pipe open.
    fn hold(&self) -> String {
        format!("exec 3>{}", quoted(&self.path))
    }

    /// Reads what the holders write until the last of them is gone.
    fn watch(&self) -> JoinHandle<String> {
        let path = self.path.clone();
        tokio::task::spawn_blocking(move || fs::read_to_string(path).unwrap())
    }
}

async fn end(watch: JoinHandle<String>) -> String {
    tokio::time::timeout(LONG, watch)
        .await
        .expect("a process was left behind")
        .unwrap()
}

#[tokio::test]
async fn a_program_that_hangs_is_ended_with_all_it_started_and_tried_again() {
    let witness = Witness::new();
    let watch = witness.watch();
    let script = format!(
        "{}; trap 'echo asked >&3; exit 0' TERM; sleep 1000 & sleep 1000 & wait",
        witness.hold()
    );
    let command = shell(&script).timeout(Duration::from_millis(300));
    let outcome = handle(&command, text("")).await;
    assert!(is_retry(&outcome, "0.3 s"), "{outcome:?}");
    // It was asked before it would have been killed.
    assert_eq!(end(watch).await, "asked\n");
}

#[tokio::test]
async fn a_program_that_will_not_end_is_killed() {
    let witness = Witness::new();
    let watch = witness.watch();
    let script = format!(
        "{}; trap '' TERM; sleep 1000 & while :; do sleep 1000; done",
        witness.hold()
    );
    let command = shell(&script).timeout(Duration::from_millis(300));
    let outcome = handle(&command, text("")).await;
    assert!(is_retry(&outcome, "0.3 s"), "{outcome:?}");
    assert_eq!(end(watch).await, "");
}

#[tokio::test]
async fn endless_output_is_ended_by_the_timeout() {
    let command = shell("yes")
        .timeout(Duration::from_millis(300))
        .max_output(1000);
    let outcome = handle(&command, text("")).await;
    assert!(is_retry(&outcome, "0.3 s"), "{outcome:?}");
}

#[tokio::test]
async fn a_program_need_not_read_its_stdin() {
    let long = "x".repeat(1 << 20);
    for script in ["true", "exec 0<&-; echo", "head -c 1 >/dev/null"] {
        assert!(
            output(&shell(script), text(&long)).await.len() <= 1,
            "{script}"
        );
    }
    // It is killed with its stdin still full.
    let command = shell("sleep 1000").timeout(Duration::from_millis(300));
    assert!(is_retry(&handle(&command, text(&long)).await, "0.3 s"));
}

#[tokio::test]
async fn input_and_output_larger_than_any_pipe_pass_at_once() {
    let long = "x".repeat(4 << 20);
    assert_eq!(output(&shell("cat"), text(&long)).await, long.as_bytes());
}

#[tokio::test]
async fn what_a_program_leaves_running_ends_with_the_attempt() {
    let witness = Witness::new();
    let watch = witness.watch();
    // The one left behind holds stdin, stdout and the witness.
    let command = shell(&format!("{}; sleep 1000 & echo done", witness.hold()));
    let long = "x".repeat(1 << 20);
    assert_eq!(output(&command, text(&long)).await, b"done\n");
    assert_eq!(end(watch).await, "");
}

#[tokio::test]
async fn a_program_that_left_the_group_holds_nobody_up() {
    let witness = Witness::new();
    let path = quoted(&witness.path);
    let command = shell(&format!("setsid cat {path} & echo done"));
    assert_eq!(output(&command, text("")).await, b"done\n");
    // Lets it end.
    fs::write(&witness.path, "").unwrap();
}

#[tokio::test]
async fn dropping_an_attempt_ends_all_of_it_and_leaves_no_zombie() {
    let witness = Witness::new();
    let (path, hold) = (witness.path.clone(), witness.hold());
    let pid = tokio::task::spawn_blocking(move || {
        use std::io::{BufRead, BufReader};
        let mut pipe = BufReader::new(fs::File::open(path).unwrap());
        let mut pid = String::new();
        pipe.read_line(&mut pid).unwrap();
        (pid.trim().to_owned(), pipe)
    });
    let attempt = first(text(""));
    let command = shell(&format!("{hold}; sleep 1000 & echo $$ >&3; sleep 1000"));
    let (pid, mut pipe) = tokio::select! {
        outcome = command.handle(&attempt) => panic!("{outcome:?}"),
        started = pid => started.unwrap(),
    };
    let rest = tokio::task::spawn_blocking(move || {
        let mut rest = String::new();
        std::io::Read::read_to_string(&mut pipe, &mut rest).unwrap();
        rest
    });
    assert_eq!(end(rest).await, "");
    let gone = async {
        while fs::exists(format!("/proc/{pid}")).unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, gone)
        .await
        .expect("a zombie was left");
}

#[tokio::test]
async fn many_programs_run_beside_each_other() {
    let command = shell("cat; exit $CTALK_TOPIC");
    let runs = (0..20).map(|number| {
        let mut message = text(&number.to_string());
        message.topic = Some(if number % 2 == 0 { "0" } else { "75" }.to_owned());
        let command = command.clone();
        async move { command.handle(&first(message)).await }
    });
    for (number, outcome) in futures_util::future::join_all(runs)
        .await
        .into_iter()
        .enumerate()
    {
        if number % 2 == 0 {
            let output = number.to_string().into_bytes();
            assert_eq!(outcome, Outcome::Done { output });
        } else {
            assert!(is_retry(&outcome, "75"), "{outcome:?}");
        }
    }
}
