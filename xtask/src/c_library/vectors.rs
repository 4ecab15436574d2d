//! The vectors of `tests/vectors` through C: the verdicts and classes of failure of the Rust library.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::thread;

use anyhow::{Context, Result, ensure};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::workspace::{command, root};

/// The X25519 key of the readers of envelopes, which opening does not use: a secret of 32 bytes of 7,
/// and its public half.
const SECRET: [u8; 32] = [7; 32];
const PUBLIC: &str = "E75P6uryBMf9M1j8nAByGIHRdCeBKCJ+xnTzf3/pe20=";

/// Runs every vector of what C has functions for, through the program `vectors`.
pub(super) fn check(program: &Path) -> Result<()> {
    let vectors = all()?;
    let mut child = command(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let mut stdin = child.stdin.take().context("no way to write to it")?;
    let lines: String = vectors
        .iter()
        .map(|vector| format!("{}\n", vector.line))
        .collect();
    // Beside reading the answers, so that neither side waits for the other.
    let writing = thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "the program failed: {}",
        text.lines().last().unwrap_or_default()
    );
    writing.join().ok().context("writing panicked")??;
    let answers: Vec<&str> = text.lines().collect();
    ensure!(
        answers.len() == vectors.len(),
        "{} answers to {} vectors",
        answers.len(),
        vectors.len()
    );
    for (vector, answer) in vectors.iter().zip(answers) {
        ensure!(
            vector.answer == answer,
            "{}: {answer} where {} is expected",
            vector.name,
            vector.answer
        );
    }
    ensure!(vectors.len() > 300, "only {} vectors", vectors.len());
    println!("{} vectors", vectors.len());
    Ok(())
}

struct Vector {
    name: String,
    /// For the program.
    line: String,
    /// What it must answer.
    answer: String,
}

/// What the program is told of a vector, and what it must answer.
type Reading = fn(&Value) -> Result<Option<(String, String)>>;

/// Files that are lists of vectors.
const LISTS: [(&str, Reading); 4] = [
    ("safety.json", safety),
    ("succession.json", statement),
    ("receipt.json", receipt),
    ("xwing.json", xwing),
];

fn all() -> Result<Vec<Vector>> {
    let mut vectors = Vec::new();
    let readings: [(&str, Reading); 3] = [
        ("envelope/valid", native),
        ("envelope/invalid", native),
        ("classic", classic),
    ];
    for (folder, read) in readings {
        let folder = root().join("tests/vectors").join(folder);
        let mut files: Vec<_> = fs::read_dir(&folder)?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<_>>()?;
        files.retain(|file| {
            file.extension()
                .is_some_and(|extension| extension == "json")
        });
        files.sort();
        for file in files {
            let name = file.display().to_string();
            let value: Value = serde_json::from_slice(&fs::read(&file)?)?;
            let read = read(&value).with_context(|| name.clone())?;
            vectors.extend(read.map(|(line, answer)| Vector { name, line, answer }));
        }
    }
    for (file, read) in LISTS {
        let text = fs::read(root().join("tests/vectors").join(file))?;
        let list: Vec<Value> = serde_json::from_slice(&text).context(file)?;
        ensure!(!list.is_empty(), "{file} has no vectors");
        for (number, value) in list.iter().enumerate() {
            let name = format!("{file}, {number}");
            let read = read(value).with_context(|| name.clone())?;
            vectors.extend(read.map(|(line, answer)| Vector { name, line, answer }));
        }
    }
    Ok(vectors)
}

/// An envelope or a card; nothing for parts, which are the client's alone.
fn native(vector: &Value) -> Result<Option<(String, String)>> {
    let kind = text(vector, "kind")?;
    let input = text(vector, "input")?;
    let (kind, input) = match kind {
        "card" | "envelope" => (kind, STANDARD.decode(input)?),
        "text-card" => (kind, input.as_bytes().to_vec()),
        "text-envelope" => ("envelope", input.as_bytes().to_vec()),
        _ => return Ok(None),
    };
    let mut fields = vec![kind.as_bytes().to_vec(), input];
    if kind == "envelope" {
        let (keys, seed) = match vector.get("recipient") {
            None => (String::new(), Vec::new()),
            Some(reader) => (keys(reader)?, hex::decode(text(reader, "xwingSeed")?)?),
        };
        fields.extend([number(vector, "now")?.into_bytes(), keys.into_bytes(), seed]);
    }
    let line = joined(&fields);
    let answer = match (
        vector.get("class"),
        vector.get("card"),
        vector.get("envelope"),
    ) {
        (Some(class), None, None) => code(class.as_str().unwrap_or_default())?.to_owned(),
        (None, Some(card), None) => card_answer(card)?,
        (None, None, Some(envelope)) => envelope_answer(envelope)?,
        _ => anyhow::bail!("it expects nothing, or more than one thing"),
    };
    Ok(Some((line, answer)))
}

fn classic(vector: &Value) -> Result<Option<(String, String)>> {
    let sender = vector.get("sender").context("no sender")?;
    let recipient = vector.get("recipient").context("no recipient")?.to_string();
    let line = joined(&[
        b"classic".to_vec(),
        text(vector, "relayed")?.into(),
        recipient.into_bytes(),
        text(sender, "publicKey")?.into(),
        text(sender, "signingKey")?.into(),
    ]);
    let answer = match text(vector, "expect")? {
        how @ ("opened" | "unauthenticated") => {
            format!("0\t{how}\t{}", hex::encode(text(vector, "payload")?))
        }
        "not verified" => code("not-verified")?.to_owned(),
        failure if failure.starts_with("cannot open") => code("cannot-open")?.to_owned(),
        failure => {
            ensure!(
                failure.starts_with("malformed: "),
                "an unknown outcome: {failure}"
            );
            code("malformed")?.to_owned()
        }
    };
    Ok(Some((line, answer)))
}

fn safety(vector: &Value) -> Result<Option<(String, String)>> {
    let [one, other] = [0, 1].map(|place| {
        let fingerprint = vector.get("fingerprints").and_then(|both| both.get(place));
        fingerprint.and_then(Value::as_str).unwrap_or_default()
    });
    let line = joined(&[b"safety".to_vec(), one.into(), other.into()]);
    let answer = format!(
        r#"{{"safetyNumber":"{}","words":"{}","qr":"{}"}}"#,
        text(vector, "digits")?,
        text(vector, "words")?,
        text(vector, "qr")?
    );
    Ok(Some((line, json_answer(&answer))))
}

/// A succession or a revocation.
fn statement(vector: &Value) -> Result<Option<(String, String)>> {
    let line = joined(&[b"statement".to_vec(), text(vector, "text")?.into()]);
    let Some(statement) = vector.get("statement") else {
        return Ok(Some((line, code(text(vector, "class")?)?.to_owned())));
    };
    let identities = statement.get("identities").and_then(Value::as_array);
    let fingerprints = identities.context("no identities")?.iter();
    let fingerprints = fingerprints.map(|identity| text(identity, "fingerprint"));
    let (ends, successor) = match fingerprints.collect::<Result<Vec<_>>>()?[..] {
        [ends] => (ends, "null".to_owned()),
        [ends, successor] => (ends, format!("\"{successor}\"")),
        _ => anyhow::bail!("neither one identity nor two"),
    };
    let answer = format!(
        r#"{{"kind":"{}","fingerprint":"{ends}","successor":{successor},"created":{}}}"#,
        text(vector, "kind")?,
        number(statement, "created")?
    );
    Ok(Some((line, json_answer(&answer))))
}

fn receipt(vector: &Value) -> Result<Option<(String, String)>> {
    let mut fields = vec![
        b"receipt".to_vec(),
        hex::decode(text(vector, "payload")?)?,
        text(vector, "contentType")?.into(),
    ];
    if let Some(reply_to) = vector.get("replyTo").and_then(Value::as_str) {
        fields.push(reply_to.into());
    }
    let answer = match vector.get("receipt") {
        None => code("malformed")?.to_owned(),
        Some(receipt) => json_answer(&format!(
            r#"{{"id":"{}","outcome":"{}","attempt":{},"digest":"{}"}}"#,
            text(receipt, "id")?,
            text(receipt, "outcome")?,
            number(receipt, "attempt")?,
            text(receipt, "digest")?
        )),
    };
    Ok(Some((joined(&fields), answer)))
}

/// The public key of a seed; what is done with both is within envelopes.
fn xwing(vector: &Value) -> Result<Option<(String, String)>> {
    let seed = hex::decode(text(vector, "seed")?)?;
    let line = joined(&[b"xwing".to_vec(), seed]);
    Ok(Some((line, format!("0\t{}", text(vector, "pk")?))))
}

/// An answer that is JSON.
fn json_answer(json: &str) -> String {
    format!("0\t{}", hex::encode(json))
}

/// The code of a class of failure, as `ctalk.h` has it.
fn code(class: &str) -> Result<&'static str> {
    Ok(match class {
        "malformed" => "200",
        "newer" => "201",
        "not-verified" => "202",
        "expired" => "203",
        "not-for-me" => "204",
        "cannot-open" => "205",
        _ => anyhow::bail!("an unknown class: {class}"),
    })
}

fn card_answer(card: &Value) -> Result<String> {
    let mut answer = vec![
        "0".to_owned(),
        hex::encode(text(card, "fingerprint")?),
        hex::encode(text(card, "name")?),
        text(card, "serial")?.to_owned(),
        number(card, "created")?,
        number(card, "expires")?,
    ];
    for key in ["signingKey", "encryptionKey", "xwingKey"] {
        answer.push(text(card, key)?.to_owned());
    }
    let addresses = card.get("addresses").and_then(Value::as_array);
    for address in addresses.context("no addresses")? {
        answer.push(hex::encode(
            address.as_str().context("an address is no text")?,
        ));
    }
    Ok(answer.join("\t"))
}

fn envelope_answer(envelope: &Value) -> Result<String> {
    let metadata = envelope.get("metadata").context("no metadata")?;
    let receipt = metadata
        .get("receipt")
        .is_some_and(|receipt| *receipt == true);
    let optional = |name| match metadata.get(name).and_then(Value::as_str) {
        Some(text) => hex::encode(text),
        None => "-".to_owned(),
    };
    Ok([
        "0".to_owned(),
        text(envelope, "sender")?.to_owned(),
        hex::encode(text(envelope, "id")?),
        number(envelope, "created")?,
        number(envelope, "expires")?,
        number(envelope, "recipients")?,
        text(envelope, "headerDigest")?.to_owned(),
        hex::encode(text(metadata, "kind")?),
        u8::from(receipt).to_string(),
        optional("topic"),
        optional("correlationId"),
        optional("replyTo"),
        hex::encode(text(metadata, "contentType")?),
        optional("name"),
        optional("card"),
        hex::encode(STANDARD.decode(text(envelope, "payload")?)?),
    ]
    .join("\t"))
}

/// The lasting keys of a reader, as ClawTalk's key generator writes them.
fn keys(reader: &Value) -> Result<String> {
    let signing = hex::decode(text(reader, "signingKey")?)?;
    let mut secret = hex::decode(text(reader, "signingSeed")?)?;
    secret.extend_from_slice(&signing);
    Ok(serde_json::json!({
        "publicKey": PUBLIC,
        "privateKey": STANDARD.encode(SECRET),
        "signingKey": STANDARD.encode(&signing),
        "signingPrivateKey": STANDARD.encode(&secret),
    })
    .to_string())
}

fn joined(fields: &[Vec<u8>]) -> String {
    fields
        .iter()
        .map(hex::encode)
        .collect::<Vec<_>>()
        .join("\t")
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    let text = value.get(name).and_then(Value::as_str);
    text.with_context(|| format!("no text `{name}`"))
}

fn number(value: &Value, name: &str) -> Result<String> {
    let number = value.get(name).and_then(Value::as_u64);
    Ok(number
        .with_context(|| format!("no number `{name}`"))?
        .to_string())
}
