use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use zeroize::Zeroizing;

use super::KeystoreError;

/// A passphrase: UTF-8 text that is not empty, wiped when dropped and never shown.
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// The largest passphrase file, in bytes.
    pub const MAX_LEN: usize = 4096;

    /// Takes `text` as it is.
    ///
    /// # Errors
    /// [`KeystoreError::PassphraseEmpty`] if there is none.
    pub fn new(text: Zeroizing<String>) -> Result<Self, KeystoreError> {
        if text.is_empty() {
            Err(KeystoreError::PassphraseEmpty)
        } else {
            Ok(Self(text))
        }
    }

    /// Reads the passphrase from a file, without the line end (`\n` or `\r\n`) after it.
    ///
    /// # Errors
    /// [`KeystoreError::Io`], [`KeystoreError::PassphraseEmpty`], and
    /// [`KeystoreError::PassphraseFile`] for what is too long or not UTF-8.
    pub fn read_file(path: &Path) -> Result<Self, KeystoreError> {
        let refused = || KeystoreError::PassphraseFile {
            path: path.to_owned(),
            max: Self::MAX_LEN,
        };
        // Holds one byte more than allowed, so that it never grows and leaves no copy behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::MAX_LEN + 1));
        File::open(path)
            .and_then(|file| file.take(Self::MAX_LEN as u64 + 1).read_to_end(&mut bytes))
            .map_err(|source| KeystoreError::Io {
                action: "read",
                path: path.to_owned(),
                source,
            })?;
        if bytes.len() > Self::MAX_LEN {
            return Err(refused());
        }
        let text = str::from_utf8(&bytes).map_err(|_| refused())?;
        let line = crate::text::without_line_end(text);
        Self::new(Zeroizing::new(line.to_owned()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(_) = self;
        f.write_str("Passphrase(..)")
    }
}

/// What a person is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prompt {
    /// The passphrase of an existing store.
    Existing,
    /// A passphrase for a new store, to be typed twice.
    New,
}

/// Where a passphrase comes from, if one is needed.
pub enum PassphraseSource<'a> {
    /// From nowhere: needing one is [`KeystoreError::PassphraseMissing`].
    None,
    /// It is known already.
    Given(Passphrase),
    /// A person is asked, only if it is needed, and at most once.
    Ask(&'a mut dyn FnMut(Prompt) -> Result<Passphrase, KeystoreError>),
}

impl PassphraseSource<'_> {
    pub(super) fn get(self, prompt: Prompt) -> Result<Passphrase, KeystoreError> {
        match self {
            Self::None => Err(KeystoreError::PassphraseMissing),
            Self::Given(passphrase) => Ok(passphrase),
            Self::Ask(ask) => ask(prompt),
        }
    }
}
