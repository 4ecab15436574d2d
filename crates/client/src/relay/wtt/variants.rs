//! The same thing under the names and in the shapes that it has in different answers of the service.

use serde_json::{Map, Value};

/// An object.
pub(super) type Object = Map<String, Value>;

/// What things are called.
pub(super) const ID: &[&str] = &["id", "message_id"];
pub(super) const MESSAGES: &[&str] = &["messages"];
pub(super) const TIME: &[&str] = &["created_at", "timestamp"];
pub(super) const ROLE: &[&str] = &["role", "my_role"];
pub(super) const CODE: &[&str] = &["code", "claim_code"];
/// What an object may be wrapped in.
const WRAPPERS: [&str; 2] = ["data", "items"];
/// So deep it is looked for a list.
const DEPTH: usize = 3;

/// A list, which may stand alone, under one of these names, or in a wrapper. An empty one is one, too, and
/// so is the empty object that an answer without a word counts as.
pub(super) fn list(value: Value, names: &[&str]) -> Option<Vec<Value>> {
    match value {
        Value::Object(object) if object.is_empty() => Some(Vec::new()),
        value => list_within(value, names, DEPTH),
    }
}

fn list_within(value: Value, names: &[&str], depth: usize) -> Option<Vec<Value>> {
    match value {
        Value::Array(list) => Some(list),
        Value::Object(mut object) if depth > 0 => {
            let found = names.iter().chain(&WRAPPERS);
            let found = found.copied().find_map(|name| object.remove(name))?;
            list_within(found, names, depth - 1)
        }
        _ => None,
    }
}

/// An object, which may stand alone or as `name` or in a wrapper.
pub(super) fn object(value: Value, name: &str) -> Option<Object> {
    let Value::Object(mut object) = value else {
        return None;
    };
    for name in [name, "data"] {
        if let Some(Value::Object(_)) = object.get(name)
            && let Some(Value::Object(inner)) = object.remove(name)
        {
            return Some(inner);
        }
    }
    Some(object)
}

/// A text, which may be a number.
pub(super) fn text(object: &Object, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| match object.get(*name)? {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    })
}

/// A moment in milliseconds since the Unix epoch: written as in ISO 8601, in UTC where it does not say
/// otherwise, or a number of seconds or milliseconds.
pub(super) fn time(object: &Object, names: &[&str]) -> Option<i64> {
    /// As seconds this is the year 5138, as milliseconds 1973.
    const LEAST_MILLIS: f64 = 1e11;
    names.iter().find_map(|name| match object.get(*name)? {
        Value::String(text) => {
            let time = text.parse::<jiff::Timestamp>().or_else(|_| {
                let civil: jiff::civil::DateTime = text.parse()?;
                civil
                    .to_zoned(jiff::tz::TimeZone::UTC)
                    .map(|time| time.timestamp())
            });
            time.ok().map(jiff::Timestamp::as_millisecond)
        }
        Value::Number(number) => {
            let number = number.as_f64()?;
            let seconds = if number.abs() < LEAST_MILLIS {
                number
            } else {
                number / 1000.0
            };
            let time = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
            let time = jiff::Timestamp::from_duration(time).ok()?;
            Some(time.as_millisecond())
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{list, object, text, time};

    #[test]
    fn a_list_is_found_in_every_shape_and_an_empty_one_is_not_absent() {
        let messages = json!([1, 2]);
        for shape in [
            json!([1, 2]),
            json!({ "messages": messages }),
            json!({ "data": messages }),
            json!({ "data": { "items": messages } }),
            json!({ "data": { "messages": messages, "topics": [] } }),
            json!({ "items": messages }),
        ] {
            let found = list(shape.clone(), &["messages"]);
            assert_eq!(found, Some(vec![json!(1), json!(2)]), "{shape}");
        }
        for shape in [json!({ "messages": [] }), json!([]), json!({})] {
            assert_eq!(list(shape, &["messages"]), Some(Vec::new()));
        }
        for shape in [
            json!({ "topics": [] }),
            json!("x"),
            json!({ "messages": {} }),
            Value::Null,
        ] {
            assert_eq!(list(shape, &["messages"]), None);
        }
        let deep = json!({ "data": { "data": { "data": { "data": [] } } } });
        assert_eq!(list(deep, &[]), None);
    }

    #[test]
    fn an_object_is_found_alone_and_wrapped() {
        for shape in [
            json!({ "id": 7 }),
            json!({ "topic": { "id": 7 } }),
            json!({ "data": { "id": 7 } }),
        ] {
            let found = object(shape, "topic").unwrap();
            assert_eq!(text(&found, &["no", "id"]).as_deref(), Some("7"));
        }
        assert!(object(json!([]), "topic").is_none());
    }

    #[test]
    fn a_time_is_read_however_it_is_written() {
        for written in [
            json!("2026-01-02T03:04:05Z"),
            json!("2026-01-02T04:04:05+01:00"),
            json!("2026-01-02T03:04:05.000000"),
            json!("2026-01-02 03:04:05"),
            json!(1_767_323_045),
            json!(1_767_323_045_000_i64),
            json!(1_767_323_045.0),
        ] {
            let object = json!({ "timestamp": written });
            let found = time(object.as_object().unwrap(), &["created_at", "timestamp"]);
            assert_eq!(found, Some(1_767_323_045_000), "{written}");
        }
        for written in [json!("yesterday"), json!(null), json!(1e300), json!([])] {
            let object = json!({ "timestamp": written });
            assert_eq!(time(object.as_object().unwrap(), &["timestamp"]), None);
        }
    }
}
