//! Commands run one after the other, with titles, durations and an honest account of what was left out.

use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// What may be left out when the machine lacks something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Skips {
    /// A skip is reported at the end.
    Reported,
    /// A skip is a failure.
    Forbidden,
}

impl Skips {
    /// Forbidden where the environment says `CI=true`.
    pub(crate) fn from_env() -> Self {
        if std::env::var_os("CI").is_some_and(|ci| ci == "true") {
            Self::Forbidden
        } else {
            Self::Reported
        }
    }
}

/// The steps of one run.
pub(crate) struct Steps {
    skips: Skips,
    done: usize,
    skipped: Vec<String>,
    started: Instant,
}

impl Steps {
    pub(crate) fn new(skips: Skips) -> Self {
        Self {
            skips,
            done: 0,
            skipped: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Runs `command` with its output shown.
    ///
    /// # Errors
    /// When it cannot be started or fails; the error holds the line that repeats it.
    pub(crate) fn run(&mut self, title: &str, command: &mut Command) -> Result<()> {
        let line = shell_line(command);
        println!("\n=== {title}\n    {line}");
        let started = Instant::now();
        let status = command
            .status()
            .with_context(|| format!("{title}: cannot start `{line}`"))?;
        let seconds = started.elapsed().as_secs_f64();
        if !status.success() {
            bail!("{title} failed after {seconds:.1} s ({status}); to repeat it:\n\n    {line}\n");
        }
        self.done += 1;
        println!("=== {title}: ok, {seconds:.1} s");
        Ok(())
    }

    /// Runs a check that is more than one command; what it prints is shown.
    ///
    /// # Errors
    /// Those of `check`, with the title.
    pub(crate) fn check(&mut self, title: &str, check: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("\n=== {title}");
        let started = Instant::now();
        check().with_context(|| format!("{title} failed"))?;
        self.done += 1;
        let seconds = started.elapsed().as_secs_f64();
        println!("=== {title}: ok, {seconds:.1} s");
        Ok(())
    }

    /// Leaves `what` out because of `why`.
    ///
    /// # Errors
    /// Where skips are forbidden.
    pub(crate) fn skip(&mut self, what: &str, why: &str) -> Result<()> {
        if self.skips == Skips::Forbidden {
            bail!("{what}: {why}; with CI=true nothing may be skipped");
        }
        println!("\n=== {what}: SKIPPED: {why}");
        self.skipped.push(format!("{what}: {why}"));
        Ok(())
    }

    /// The closing lines.
    pub(crate) fn summary(&self) -> String {
        let seconds = self.started.elapsed().as_secs_f64();
        let mut text = format!("{} steps ok, {seconds:.1} s", self.done);
        if self.skipped.is_empty() {
            text.push_str(", nothing skipped");
        } else {
            text.push_str(&format!(
                "\n\nWARNING: {} NOT TESTED ON THIS MACHINE:",
                self.skipped.len()
            ));
            for skipped in &self.skipped {
                text.push_str(&format!("\n  - {skipped}"));
            }
        }
        text
    }
}

/// The command as a line for a shell in the workspace's root folder.
pub(crate) fn shell_line(command: &Command) -> String {
    let variables = command.get_envs().filter_map(|(name, value)| {
        value.map(|value| {
            format!(
                "{}={}",
                name.to_string_lossy(),
                quoted(&value.to_string_lossy())
            )
        })
    });
    let words = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|word| quoted(&word.to_string_lossy()));
    variables.chain(words).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@,+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_names_the_line_that_repeats_it() {
        let mut steps = Steps::new(Skips::Reported);
        let error = steps
            .run(
                "Refusal",
                Command::new("sh").args(["-c", "exit 3"]).env("A", "b c"),
            )
            .unwrap_err();
        assert!(
            error.to_string().contains("A='b c' sh -c 'exit 3'"),
            "{error}"
        );
        assert!(steps.summary().starts_with("0 steps ok"));
    }

    #[test]
    fn a_skip_is_listed_with_its_reason() {
        let mut steps = Steps::new(Skips::Reported);
        steps.skip("Python", "no python3").unwrap();
        let summary = steps.summary();
        assert!(summary.contains("WARNING: 1 NOT TESTED"), "{summary}");
        assert!(summary.contains("Python: no python3"), "{summary}");
    }

    #[test]
    fn a_skip_is_a_failure_where_skips_are_forbidden() {
        let error = Steps::new(Skips::Forbidden)
            .skip("Python", "no python3")
            .unwrap_err();
        assert!(error.to_string().contains("no python3"), "{error}");
    }

    #[test]
    fn quoting_survives_the_shell() {
        let word = "it's $HOME; \\ \"x\"";
        let output = Command::new("sh")
            .arg("-c")
            .arg(format!("printf %s {}", quoted(word)))
            .output()
            .unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), word);
    }
}
