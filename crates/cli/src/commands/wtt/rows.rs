//! How answers of the service are shown.

use anyhow::Result;
use ctalk::{Class, text::escaped};
use serde::Serialize;
use serde_json::Value;

use crate::{exit::Complaint, output::Output};

/// Shows things one per line, with these of their members in columns.
pub(super) fn table<const N: usize>(
    output: &Output,
    things: &[impl Serialize],
    columns: [&str; N],
) -> Result<()> {
    if output.is_json() {
        return things.iter().try_for_each(|thing| output.object(thing));
    }
    let mut rows = vec![columns.map(str::to_uppercase)];
    for thing in things {
        let thing = serde_json::to_value(thing)?;
        rows.push(columns.map(|column| cell(thing.get(column))));
    }
    output.table(&rows)
}

/// Shows one thing, a member per line.
pub(super) fn object(output: &Output, thing: &impl Serialize) -> Result<()> {
    if output.is_json() {
        return output.object(thing);
    }
    match serde_json::to_value(thing)? {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            let rows: Vec<_> = members
                .map(|(name, value)| [escaped(name).into_owned(), cell(Some(value))])
                .collect();
            output.table(&rows)
        }
        value => output.line(&cell(Some(&value))),
    }
}

/// A value on one line.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => escaped(text).into_owned(),
        Some(value) => escaped(&value.to_string()).into_owned(),
    }
}

/// The list in an answer, which may stand alone, or under this name or `data`.
pub(super) fn items(answer: Value, name: &str) -> Result<Vec<Value>> {
    match answer {
        Value::Array(items) => return Ok(items),
        Value::Object(members) if members.is_empty() => return Ok(Vec::new()),
        Value::Object(mut members) => {
            let found = [name, "data"].iter().find_map(|name| members.remove(*name));
            if let Some(found) = found {
                return items(found, name);
            }
        }
        _ => {}
    }
    Err(Complaint::new(Class::RelayRefused, "the service's answer holds no list").into())
}
