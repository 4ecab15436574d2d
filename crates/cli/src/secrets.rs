//! Secrets from the command line: a file's content, an environment variable, or, against better
//! advice, the argument itself.

use std::{
    convert::Infallible,
    io::{self, BufRead, IsTerminal, Read},
    path::Path,
    str::FromStr,
};

use anyhow::Result;
use ctalk::{Class, text::without_line_end};
use zeroize::Zeroizing;

use crate::{environment, exit::Complaint, input, output::Output};

/// Largest secret, in bytes; every one of them travels in a header or a small JSON body.
const MAX: usize = 4096;

/// The value of an option that takes a secret. Any text is one, so that no parser ever repeats it.
#[derive(Clone)]
pub(crate) struct SecretArg(Zeroizing<String>);

impl FromStr for SecretArg {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(Zeroizing::new(text.to_owned())))
    }
}

impl SecretArg {
    /// The file that holds the secret, unless this is the secret itself.
    pub(crate) fn file(&self) -> Option<&str> {
        self.0.strip_prefix('@')
    }
}

/// The secret behind `option`, whose value `given` is.
pub(crate) fn from_option(
    option: &str,
    variable: &str,
    given: SecretArg,
    output: &Output,
) -> Result<Zeroizing<String>> {
    let SecretArg(text) = given;
    let Some(file) = text.strip_prefix('@') else {
        output.hint(&format!(
            "other users can read arguments: give {option} as @FILE, or set {variable}"
        ));
        return checked(text, option);
    };
    let text = read(file)?;
    checked(Zeroizing::new(without_line_end(&text).to_owned()), file)
}

/// The name and value of an HTTP header, given as `NAME: VALUE`. The value, or what follows its first
/// word, may be `@FILE`.
pub(crate) fn header(given: &SecretArg, output: &Output) -> Result<(String, Zeroizing<String>)> {
    let SecretArg(text) = given;
    let Some((name, value)) = text.split_once(':') else {
        let text = "--header needs a name, a colon and a value";
        return Err(Complaint::new(Class::Usage, text)
            .hint("for example --header 'Authorization: Bearer @FILE'")
            .into());
    };
    let (name, value) = (name.trim(), value.trim());
    let (scheme, rest) = match value.split_once(' ') {
        Some((scheme, rest)) if rest.trim_start().starts_with('@') => (scheme, rest.trim_start()),
        _ => ("", value),
    };
    let Some(file) = rest.strip_prefix('@') else {
        if name.eq_ignore_ascii_case("authorization") {
            output.hint("other users can read arguments: give the header's value as @FILE");
        }
        return Ok((name.to_owned(), Zeroizing::new(value.to_owned())));
    };
    let secret = read(file)?;
    let secret = checked(Zeroizing::new(without_line_end(&secret).to_owned()), file)?;
    let value = if scheme.is_empty() {
        secret
    } else {
        Zeroizing::new(format!("{scheme} {}", secret.as_str()))
    };
    Ok((name.to_owned(), value))
}

/// The pairing code that `given` is or points to. Its rules are its own, and it may hold blanks.
pub(crate) fn pairing_code(given: SecretArg, output: &Output) -> Result<Zeroizing<String>> {
    let SecretArg(text) = given;
    if text.as_str() == "-" {
        return line(output);
    }
    if let Some(file) = text.strip_prefix('@') {
        return read(file);
    }
    output.hint(
        "other users can read arguments: give the code as @FILE, or on stdin with `ctalk pair -`",
    );
    Ok(text)
}

/// The first line of stdin, so that somebody who types it ends with Enter.
fn line(output: &Output) -> Result<Zeroizing<String>> {
    if io::stdin().is_terminal() {
        output.note("type the code, and Enter:");
    }
    let mut line = Zeroizing::new(String::with_capacity(MAX));
    io::stdin()
        .lock()
        .take(MAX as u64)
        .read_line(&mut line)
        .map_err(|error| Complaint::new(Class::Usage, format!("cannot read stdin: {error}")))?;
    Ok(line)
}

/// What a file holds, or stdin for `-`; nothing if it is not UTF-8.
fn read(file: &str) -> Result<Zeroizing<String>> {
    // Room for a line end of two bytes, and for the byte that shows that there are too many.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX + 3));
    input::read(Path::new(file), MAX + 2, &mut bytes)?;
    let text = str::from_utf8(&bytes).unwrap_or_default();
    Ok(Zeroizing::new(text.to_owned()))
}

/// The secret in an environment variable.
pub(crate) fn from_environment(variable: &str) -> Result<Option<Zeroizing<String>>> {
    environment::text(variable)?
        .map(|text| checked(Zeroizing::new(text), variable))
        .transpose()
}

fn checked(secret: Zeroizing<String>, source: &str) -> Result<Zeroizing<String>> {
    let fits = (1..=MAX).contains(&secret.len());
    if fits && secret.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(secret)
    } else {
        let text = format!(
            "{source} holds no usable secret: it must be 1 to {MAX} visible ASCII characters on \
             one line"
        );
        Err(Complaint::new(Class::Usage, text).into())
    }
}
