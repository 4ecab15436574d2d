//! What is printed: data on stdout, talk on stderr.

use std::{
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use anyhow::Result;
use ctalk::{
    Notice,
    core::Fingerprint,
    text::{distinct, escaped, is_unsafe},
};
use serde::Serialize;

use crate::{
    args::Global,
    exit::{self, Failure},
    talk,
};

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default();

/// How and how much to print.
#[derive(Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    terminal: bool,
    colour: bool,
    colour_talk: bool,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let (stdout, stderr) = (io::stdout(), io::stderr());
        let terminal = stdout.is_terminal();
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose,
            terminal,
            colour: terminal && AutoStream::choice(&stdout) != ColorChoice::Never,
            colour_talk: stderr.is_terminal() && AutoStream::choice(&stderr) != ColorChoice::Never,
        }
    }

    /// Whether JSON was asked for.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Whether nothing but errors is said.
    pub(crate) const fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether more is said.
    pub(crate) const fn is_verbose(&self) -> bool {
        self.verbose
    }

    /// Whether stdout is a terminal.
    pub(crate) const fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Prints one line, or several.
    pub(crate) fn line(&self, text: &str) -> Result<()> {
        self.raw(text.as_bytes(), b"\n")
    }

    /// Prints bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<()> {
        self.raw(bytes, b"")
    }

    /// Prints a value as one line of JSON.
    pub(crate) fn object(&self, value: &impl Serialize) -> Result<()> {
        self.line(&self.json(value)?)
    }

    /// A value as [`Output::object`] prints it.
    pub(crate) fn json(&self, value: &impl Serialize) -> Result<String> {
        let json = serde_json::to_string(value)?;
        Ok(if self.terminal {
            safe_json(&json).into_owned()
        } else {
            json
        })
    }

    /// Prints a value as one line of JSON on stderr, for when stdout carries a payload.
    pub(crate) fn report(&self, value: &impl Serialize) -> Result<()> {
        talk::last_line(&safe_json(&serde_json::to_string(value)?));
        Ok(())
    }

    /// Whether work that takes long may show how far it is.
    pub(crate) fn shows_progress(&self) -> bool {
        !self.quiet && !self.json && io::stderr().is_terminal()
    }

    /// Prints rows in columns, the first one as their heading when it is one.
    pub(crate) fn table<const N: usize>(&self, rows: &[[String; N]]) -> Result<()> {
        let mut widths = [0; N];
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in rows {
            let mut line = String::new();
            for (width, cell) in widths.iter().zip(row) {
                // Writing to a string does not fail.
                let _ = write!(line, "{cell:width$}  ");
            }
            self.line(line.trim_end())?;
        }
        Ok(())
    }

    /// The text in this style, where stdout shows colours.
    pub(crate) fn styled(&self, style: Style, text: &str) -> String {
        styled(self.colour, style, text)
    }

    /// Says something that the user may want to know.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            talk::line(&one_line(text));
        }
    }

    /// Says what the user may do.
    pub(crate) fn hint(&self, text: &str) {
        if !self.quiet {
            self.labelled(HINT, "hint:", text);
        }
    }

    /// Says that something is not as it should be, though the run goes on.
    pub(crate) fn warning(&self, text: &str) {
        if !self.quiet {
            self.labelled(WARNING, "warning:", text);
        }
    }

    /// Says something that is of interest when looking for a mistake.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            talk::line(&one_line(text));
        }
    }

    /// Says that a contact was pinned; the fingerprint is in hex.
    pub(crate) fn pinned(&self, name: &str, fingerprint: &str) {
        let shown = fingerprint
            .parse::<Fingerprint>()
            .map_or_else(|_| fingerprint.to_owned(), |parsed| parsed.to_string());
        self.note(&format!("pinned {} {shown}", distinct(name)));
    }

    /// Says what came up about contacts' identities.
    pub(crate) fn notices(&self, notices: Vec<Notice>) {
        for notice in &notices {
            self.notice(notice);
        }
    }

    /// Says what came up about a contact's identity.
    pub(crate) fn notice(&self, notice: &Notice) {
        match serde_json::to_string(notice) {
            Ok(json) if self.json && !self.quiet => talk::line(&safe_json(&json)),
            _ => self.warning(&notice.to_string()),
        }
    }

    /// Says that a message was set aside.
    pub(crate) fn set_aside(&self, text: &str) {
        self.labelled(WARNING, "set aside:", text);
    }

    /// Says that a message waits for the user's decision.
    pub(crate) fn held(&self, text: &str) {
        self.labelled(HINT, "held:", text);
    }

    /// Says why the run failed; returns the exit code.
    pub(crate) fn failure(&self, failure: impl Into<Failure>) -> ExitCode {
        let failure = failure.into();
        if self.json {
            return Self::json_failure(&failure);
        }
        let label = styled(self.colour_talk, ERROR, "error:");
        talk::last_line(&format!("{label} {}", one_line(&failure.text)));
        if let Some(hint) = &failure.hint {
            self.hint(hint);
        }
        exit::code(failure.class)
    }

    /// Says why the run failed in JSON; returns the exit code.
    pub(crate) fn json_failure(failure: &Failure) -> ExitCode {
        // Strings and a number always are JSON.
        if let Ok(json) = serde_json::to_string(&failure.shown()) {
            talk::last_line(&safe_json(&json));
        }
        exit::code(failure.class)
    }

    fn labelled(&self, style: Style, label: &str, text: &str) {
        let label = styled(self.colour_talk, style, label);
        talk::line(&format!("{label} {}", one_line(text)));
    }

    fn raw(&self, text: &[u8], end: &[u8]) -> Result<()> {
        let mut stdout = io::stdout().lock();
        stdout
            .write_all(text)
            .and_then(|()| stdout.write_all(end))
            .and_then(|()| stdout.flush())
            .map_err(|error| anyhow::anyhow!("cannot write to stdout: {error}"))
    }
}

fn styled(colour: bool, style: Style, text: &str) -> String {
    if colour {
        format!("{style}{text}{style:#}")
    } else {
        text.to_owned()
    }
}

/// Foreign parts of a text can neither steer the terminal nor begin a line of their own.
fn one_line(text: &str) -> String {
    let line: Vec<&str> = text.lines().map(str::trim_end).collect();
    escaped(&line.join(" ")).into_owned()
}

/// JSON with every character that could steer a terminal written as `\uXXXX`.
fn safe_json(json: &str) -> Cow<'_, str> {
    if !json.chars().any(is_unsafe) {
        return Cow::Borrowed(json);
    }
    let mut safe = String::with_capacity(json.len() + 16);
    for character in json.chars() {
        if character < ' ' {
            // Strings escape these, so this one stands between two tokens.
            safe.push(' ');
        } else if is_unsafe(character) {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a string does not fail.
                let _ = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    Cow::Owned(safe)
}

#[cfg(test)]
mod tests {
    use super::{one_line, safe_json};

    #[test]
    fn json_for_a_terminal_keeps_its_value() {
        let value = serde_json::json!({"a\u{202e}": ["\u{1b}[2J", "\u{e0041}", "é", "\u{7f}"]});
        let json = serde_json::to_string_pretty(&value)
            .unwrap()
            .replace(' ', "\t");
        let safe = safe_json(&json);
        assert!(!safe.chars().any(ctalk::text::is_unsafe), "{safe}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&safe).unwrap(),
            value
        );
    }

    #[test]
    fn foreign_text_cannot_forge_a_line_of_talk() {
        assert_eq!(one_line("no `a\nhint: b\u{1b}`"), "no `a hint: b\\u{1b}`");
    }
}
