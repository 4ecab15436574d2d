//! Every file of `tests/vectors/envelope`: read as it says, damaged in every way, and made again.

mod damage;
mod generate;
mod points;
mod run;

use std::{fs, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A vector file. Binary values are hex, inputs and payloads padded standard base64.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Vector {
    description: String,
    /// Of what is refused, a class of section 8.
    #[serde(skip_serializing_if = "Option::is_none")]
    class: Option<String>,
    kind: InputKind,
    /// Milliseconds since 1970 at which it is read.
    now: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    recipient: Option<Reader>,
    /// Base64 of the bytes for the binary kinds, the text itself for the others.
    input: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    envelope: Option<ExpectedEnvelope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    card: Option<ExpectedCard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<ExpectedPart>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum InputKind {
    #[default]
    Envelope,
    Card,
    Part,
    TextEnvelope,
    TextCard,
    TextPart,
}

/// Who opens the envelope. The seed of the signing key is there for implementations that cannot
/// take the public key alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Reader {
    signing_key: String,
    signing_seed: String,
    xwing_seed: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectedEnvelope {
    sender: String,
    id: String,
    created: u64,
    expires: u64,
    recipients: u16,
    header_digest: String,
    metadata: ExpectedMetadata,
    payload: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectedMetadata {
    kind: String,
    /// Absent where the sender asks for none.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    receipt: bool,
    topic: Option<String>,
    correlation_id: Option<String>,
    reply_to: Option<String>,
    content_type: String,
    name: Option<String>,
    /// The one-line form.
    card: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectedCard {
    fingerprint: String,
    name: String,
    /// In decimal, because not every reader of JSON keeps 64 bits.
    serial: String,
    created: u64,
    expires: u64,
    signing_key: String,
    encryption_key: String,
    xwing_key: String,
    addresses: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ExpectedPart {
    sender: String,
    id: String,
    index: u16,
    count: u16,
    slice_length: u16,
    length: u32,
    expires: u64,
    digest: String,
    slice: String,
}

/// `valid` or `invalid`.
fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/vectors/envelope")
        .join(name)
}

/// All vectors of a folder, by name.
fn read_folder(name: &str) -> Vec<(String, Vector)> {
    let folder = folder(name);
    let mut vectors: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| {
            let path = entry.unwrap().path();
            assert_eq!(path.extension().unwrap(), "json", "{}", path.display());
            let text = fs::read_to_string(&path).unwrap();
            let vector = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            (
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                vector,
            )
        })
        .collect();
    vectors.sort_by(|(left, _), (right, _)| left.cmp(right));
    vectors
}
