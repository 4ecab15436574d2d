//! Environment variables. One that is set to nothing counts as not set.

use std::{env, ffi::OsString};

use anyhow::Result;
use ctalk::Class;

use crate::exit::Complaint;

pub(crate) const HOME: &str = "CTALK_HOME";
pub(crate) const PASSPHRASE_FILE: &str = "CTALK_PASSPHRASE_FILE";
pub(crate) const RELAY_URL: &str = "CLAWTALK_URL";
pub(crate) const API_KEY: &str = "CLAWTALK_API_KEY";
pub(crate) const ADMIN_KEY: &str = "ADMIN_KEY";
pub(crate) const RELAY_CONFIG: &str = "CTALK_RELAY_CONFIG";
pub(crate) const INVITE: &str = "CLAWTALK_INVITE";
pub(crate) const OPENCLAW_TOKEN: &str = "OPENCLAW_HOOKS_TOKEN";
pub(crate) const OPENCLAW_WS_TOKEN: &str = "OPENCLAW_WS_TOKEN";
pub(crate) const WTT_AGENT_ID: &str = "WTT_AGENT_ID";
pub(crate) const WTT_AGENT_TOKEN: &str = "WTT_AGENT_TOKEN";
pub(crate) const WTT_API_URL: &str = "WTT_API_URL";
pub(crate) const WTT_BEARER_TOKEN: &str = "WTT_BEARER_TOKEN";

/// What no program that ctalk runs gets to see: secrets, and where one is.
pub(crate) const SECRETS: [&str; 8] = [
    PASSPHRASE_FILE,
    API_KEY,
    ADMIN_KEY,
    INVITE,
    OPENCLAW_TOKEN,
    OPENCLAW_WS_TOKEN,
    WTT_AGENT_TOKEN,
    WTT_BEARER_TOKEN,
];

/// The variable's value.
pub(crate) fn value(name: &str) -> Option<OsString> {
    env::var_os(name).filter(|value| !value.is_empty())
}

/// The variable's value, which must be UTF-8.
pub(crate) fn text(name: &str) -> Result<Option<String>> {
    value(name)
        .map(OsString::into_string)
        .transpose()
        .map_err(|_| Complaint::new(Class::Usage, format!("{name} is not UTF-8 text")).into())
}
