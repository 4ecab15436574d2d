//! What went wrong, as an exit code, a text and a way out.

use std::process::ExitCode;

use ctalk::{
    Class, ProfileError, core::KeygenError, keystore::KeystoreError, relay::RelayError, shown,
    store::StoreError, stream::StreamError,
};
use ctalk_relay::AdminKeyError;

/// Something that the command line itself objects to.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Complaint {
    class: Class,
    text: String,
    hint: Option<String>,
}

impl Complaint {
    pub(crate) fn new(class: Class, text: impl Into<String>) -> Self {
        Self {
            class,
            text: text.into(),
            hint: None,
        }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// A failed run, ready to be told.
pub(crate) struct Failure {
    pub(crate) class: Class,
    pub(crate) text: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    /// The failure in JSON.
    pub(crate) fn shown(&self) -> shown::Failure<'_> {
        shown::Failure::new(self.class, &self.text, self.hint.as_deref())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Complaint>() {
            Ok(Complaint { class, text, hint }) => return Self { class, text, hint },
            Err(error) => error,
        };
        let error = match error.downcast::<StreamError>() {
            Ok(error) => {
                return Self {
                    class: error.class(),
                    text: error.to_string(),
                    hint: error.hint(),
                };
            }
            Err(error) => error,
        };
        let of_the_client = error
            .downcast::<ctalk::Error>()
            .or_else(|error| error.downcast::<ProfileError>().map(Into::into))
            .or_else(|error| error.downcast::<KeystoreError>().map(Into::into))
            .or_else(|error| error.downcast::<StoreError>().map(Into::into))
            .or_else(|error| error.downcast::<RelayError>().map(Into::into))
            .or_else(|error| error.downcast::<KeygenError>().map(Into::into));
        match of_the_client {
            Ok(error) => Self::from(error),
            Err(error) => Self {
                class: of_the_relay(&error),
                text: with_causes(&error),
                hint: None,
            },
        }
    }
}

impl From<ctalk::Error> for Failure {
    fn from(error: ctalk::Error) -> Self {
        Self {
            class: error.class(),
            text: error.to_string(),
            hint: error.hint(),
        }
    }
}

/// The error and its causes, without those that are told of already.
fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

/// The class of what a relay that runs here met.
fn of_the_relay(error: &anyhow::Error) -> Class {
    use ctalk_relay::Error;
    match (error.downcast_ref(), error.downcast_ref()) {
        (
            Some(
                Error::BackupTarget { .. }
                | Error::Bind { .. }
                | Error::Certificate { .. }
                | Error::NoDatabase { .. },
            ),
            _,
        )
        | (_, Some(AdminKeyError::Unusable)) => Class::Usage,
        (
            Some(
                Error::Damaged { .. }
                | Error::Database { .. }
                | Error::DataFolder { .. }
                | Error::InUse { .. }
                | Error::NewerDatabase { .. },
            ),
            _,
        )
        | (_, Some(AdminKeyError::Exposed(_) | AdminKeyError::File { .. })) => Class::LocalStore,
        _ => Class::Unexpected,
    }
}

/// The exit code of a class.
pub(crate) fn code(class: Class) -> ExitCode {
    ExitCode::from(class.code())
}
