//! Options: a JSON object, so that new ones need no new functions.

use std::ffi::c_char;

use serde::de::DeserializeOwned;

use crate::{caller::Caller, code::Code, error::Fault};

/// Longest text of options, in bytes.
const MAX_LEN: usize = 64 * 1024;

/// Reads options. None at all, as NULL or as an empty text, are the defaults. `T` refuses unknown names.
pub(crate) fn read<T: DeserializeOwned + Default>(
    caller: &Caller,
    text: *const c_char,
    len: usize,
) -> Result<T, Fault> {
    let text = caller.text(text, len)?;
    if text.is_empty() {
        return Ok(T::default());
    }
    if text.len() > MAX_LEN {
        let text = format!("options have at most {MAX_LEN} bytes");
        return Err(Fault::new(Code::CTALK_TOO_LONG, text));
    }
    // A list would be taken as the values without their names.
    if !text.trim_start().starts_with('{') {
        let text = "the options are not a JSON object";
        return Err(Fault::new(Code::CTALK_BAD_OPTIONS, text));
    }
    serde_json::from_str(text).map_err(|error| {
        let text = format!("the options: {}", without_values(&error));
        Fault::new(Code::CTALK_BAD_OPTIONS, text)
    })
}

/// What is wrong, without the values: one of them may be a passphrase.
fn without_values(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let is_of_names = text.starts_with("unknown field `") && !text.contains(char::is_control);
    if is_of_names || !error.is_data() {
        return text;
    }
    format!(
        "a value is missing or of the wrong kind at line {} column {}",
        error.line(),
        error.column()
    )
}

/// An option that must be there.
pub(crate) fn required<T>(option: Option<T>, name: &str) -> Result<T, Fault> {
    option.ok_or_else(|| {
        let text = format!("the options need `{name}`");
        Fault::new(Code::CTALK_BAD_OPTIONS, text)
    })
}
