//! What goes into the audit log.

use std::fmt;
use std::str::FromStr;

/// Whether a relay keeps an audit log, and who writes it.
///
/// Written `off`, `posted` or `automatic`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audit {
    /// Nothing is written.
    #[default]
    Off,
    /// Agents post entries about their own messages, as ClawTalk's clients do.
    Posted,
    /// They do, and the relay writes an entry, with its payload, for each copy of a message that is
    /// sent in the clear.
    Automatic,
}

impl Audit {
    const ALL: [Self; 3] = [Self::Off, Self::Posted, Self::Automatic];
}

impl fmt::Display for Audit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Off => "off",
            Self::Posted => "posted",
            Self::Automatic => "automatic",
        })
    }
}

impl FromStr for Audit {
    type Err = InvalidAudit;

    fn from_str(text: &str) -> Result<Self, InvalidAudit> {
        let named = Self::ALL
            .into_iter()
            .find(|audit| audit.to_string() == text);
        named.ok_or(InvalidAudit)
    }
}

/// The text does not say what is audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an audit log is off, posted or automatic")]
pub struct InvalidAudit;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn audit_logs_are_read_as_they_are_written() {
        for audit in Audit::ALL {
            assert_eq!(audit.to_string().parse(), Ok(audit));
        }
        for text in ["", "on", "Off", "off "] {
            assert_eq!(text.parse::<Audit>(), Err(InvalidAudit), "{text:?}");
        }
    }
}
