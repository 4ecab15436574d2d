//! What a relay is started with.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::num::NonZeroU32;
#[cfg(unix)]
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::testing::Defects;
use crate::{AddressHeader, Audit, Clock, Networks, Quota, RateLimit, SystemClock, TlsFiles};

/// Proxies commonly end a connection that is silent for a minute; some do so after 30 seconds.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Fine enough for pauses of seconds and more.
const WEBHOOK_TICK: Duration = Duration::from_secs(1);

/// Settings of one relay. Make one with [`Config::new`] and change its fields.
#[non_exhaustive]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The data folder, made with mode 0700 when missing.
    pub data: PathBuf,
    /// The key that admits the operator.
    pub admin_key: AdminKey,
    /// How many messages one agent may send; 10 in 10 seconds unless changed.
    pub rate_limit: RateLimit,
    /// How often one address may try to register with an invite; 20 times a minute unless changed.
    pub registration_limit: RateLimit,
    /// The header in which a proxy in front of the relay names its peers, for the limit on
    /// registrations. Unless this is set no header is believed, and behind a proxy all share the
    /// limit of its address; set without a proxy, whoever writes the header has no limit.
    pub address_header: Option<AddressHeader>,
    /// How much an inbox may hold unless the operator says otherwise for its agent.
    pub quota: Quota,
    /// Whether the admin key shows everybody's messages; it does unless changed.
    pub admin_view: bool,
    /// Whether there is an audit log, and who writes it; there is none unless changed.
    pub audit: Audit,
    /// Where to listen for monitoring, which needs no key there; nowhere unless changed.
    pub monitoring: Option<SocketAddr>,
    /// Connections at once, fewer where the system allows fewer files; 16,384 unless changed. When there
    /// are as many, the one that has been idle longest makes room for a new one; without an idle one
    /// the new one is closed.
    pub max_connections: NonZeroU32,
    /// Of these, connections from one address or, with IPv6, from one network of 64 bits; 8,192 unless
    /// changed. A proxy in front of the relay is one address.
    pub max_connections_per_address: NonZeroU32,
    /// The certificate to do TLS with; plain HTTP unless changed.
    pub tls: Option<TlsFiles>,
    /// Where time comes from; the system's clock unless changed.
    pub clock: Arc<dyn Clock>,
    /// Where webhooks may lead besides the open internet; nowhere unless changed.
    pub webhook_networks: Networks,
    pub(crate) paging: Paging,
    /// How often the clock is looked at while a webhook waits to be tried again.
    pub(crate) webhook_tick: Duration,
    /// How long a stream is silent at most.
    pub(crate) heartbeat: Duration,
    /// What a relay for tests gets wrong on purpose.
    pub(crate) defects: Option<Defects>,
}

impl Config {
    /// Connections at once unless changed.
    pub const MAX_CONNECTIONS: NonZeroU32 = number(16_384);
    /// Connections from one address unless changed: whoever takes all of them leaves room for others.
    pub const MAX_CONNECTIONS_PER_ADDRESS: NonZeroU32 = number(8192);

    /// Settings with the default rate limit and the system's clock.
    #[must_use]
    pub fn new(listen: SocketAddr, data: impl Into<PathBuf>, admin_key: AdminKey) -> Self {
        Self {
            listen,
            data: data.into(),
            admin_key,
            rate_limit: RateLimit::default(),
            registration_limit: RateLimit::REGISTRATIONS,
            address_header: None,
            quota: Quota::default(),
            admin_view: true,
            audit: Audit::Off,
            monitoring: None,
            max_connections: Self::MAX_CONNECTIONS,
            max_connections_per_address: Self::MAX_CONNECTIONS_PER_ADDRESS,
            tls: None,
            clock: Arc::new(SystemClock),
            webhook_networks: Networks::NONE,
            paging: Paging::Full,
            webhook_tick: WEBHOOK_TICK,
            heartbeat: HEARTBEAT,
            defects: None,
        }
    }
}

const fn number(number: u32) -> NonZeroU32 {
    match NonZeroU32::new(number) {
        Some(number) => number,
        None => NonZeroU32::MIN,
    }
}

/// What `GET /messages` offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Paging {
    /// Everything this crate documents.
    Full,
    /// What the reference relay's snapshot offers: newest first and `since` only.
    Reference,
}

/// The longest admin key, in bytes: it has to fit into a request header.
const MAX_ADMIN_KEY_LEN: usize = 4096;

/// The operator's key. Only its SHA-256 is kept, so nothing can print it.
#[derive(Clone)]
pub struct AdminKey([u8; 32]);

impl AdminKey {
    /// The name of the key file in the data folder.
    pub const FILE_NAME: &str = "admin.key";

    /// Takes `key`: 1 to 4,096 visible ASCII characters, so that it can travel in a header.
    ///
    /// # Errors
    /// [`AdminKeyError::Unusable`] when it is empty, too long or holds anything else.
    pub fn new(key: impl Into<String>) -> Result<Self, AdminKeyError> {
        let key = key.into();
        let fits = (1..=MAX_ADMIN_KEY_LEN).contains(&key.len());
        if !fits || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(AdminKeyError::Unusable);
        }
        Ok(Self(Sha256::digest(key.as_bytes()).into()))
    }

    /// Reads `admin.key` in `folder`, or makes 32 random bytes and stores them there as base64url
    /// without padding, mode 0600. Also returns the file's path and whether it was made now.
    ///
    /// # Errors
    /// [`AdminKeyError::File`] when folder or file cannot be made or read,
    /// [`AdminKeyError::Exposed`] when other users may read the file,
    /// [`AdminKeyError::Unusable`] when it holds no usable key, and
    /// [`AdminKeyError::Random`] when the system has no randomness.
    pub fn load_or_create(folder: &Path) -> Result<(Self, PathBuf, bool), AdminKeyError> {
        let path = folder.join(Self::FILE_NAME);
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| AdminKeyError::File { path, source }
        };
        create_private_folder(folder).map_err(at(folder))?;
        match File::open(&path) {
            Ok(file) => Ok((Self::read(file, &path)?, path, false)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut random = [0; 32];
                getrandom::fill(&mut random).map_err(|_| AdminKeyError::Random)?;
                let key = URL_SAFE_NO_PAD.encode(random);
                write_new(folder, &path, &key).map_err(at(&path))?;
                Ok((Self::new(key)?, path, true))
            }
            Err(error) => Err(at(&path)(error)),
        }
    }

    fn read(file: File, path: &Path) -> Result<Self, AdminKeyError> {
        let at = |source| AdminKeyError::File {
            path: path.to_owned(),
            source,
        };
        if is_exposed(&file).map_err(at)? {
            return Err(AdminKeyError::Exposed(path.to_owned()));
        }
        let mut text = String::new();
        // One byte more than the longest key and its newline, so that a longer file is noticed.
        file.take(MAX_ADMIN_KEY_LEN as u64 + 2)
            .read_to_string(&mut text)
            .map_err(at)?;
        Self::new(text.trim_end())
    }

    /// Whether `presented` is this key, in time that does not depend on where they differ.
    pub(crate) fn matches(&self, presented: &[u8; 32]) -> bool {
        self.0.ct_eq(presented).into()
    }
}

/// Why there is no admin key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminKeyError {
    /// Others than its owner may read the key file.
    #[error("{0} can be read by other users; run `chmod 600` on it or replace it")]
    Exposed(PathBuf),
    /// The key file or its folder cannot be made or read.
    #[error("cannot use {path}: {source}")]
    File {
        /// The folder or file.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness for an admin key")]
    Random,
    /// The key cannot travel in a header.
    #[error("an admin key is 1 to 4096 visible ASCII characters without spaces")]
    Unusable,
}

/// Makes `folder` and its parents with mode 0700; one that exists stays as it is.
pub(crate) fn create_private_folder(folder: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    builder.mode(0o700);
    builder.create(folder)
}

/// Options for making files that only their owner may read.
pub(crate) fn private_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    options.mode(0o600);
    options
}

#[cfg(unix)]
fn is_exposed(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(file.metadata()?.permissions().mode() & 0o077 != 0)
}

#[cfg(not(unix))]
fn is_exposed(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Puts `key` into place whole and on disk, so that a crash leaves either no file or all of it.
fn write_new(folder: &Path, path: &Path, key: &str) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{key}")?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path)?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn digest(key: &str) -> [u8; 32] {
        Sha256::digest(key.as_bytes()).into()
    }

    #[test]
    fn a_made_key_is_private_and_read_again() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("data");
        let (made, path, created) = AdminKey::load_or_create(&folder).unwrap();
        assert!(created);
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&folder), 0o700);
        assert_eq!(mode(&path), 0o600);
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text.trim_end().len(), 43);
        assert!(made.matches(&digest(text.trim_end())));
        let (again, _, created) = AdminKey::load_or_create(&folder).unwrap();
        assert!(!created);
        assert!(again.matches(&digest(text.trim_end())));
    }

    #[test]
    fn a_key_file_that_others_can_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (_, path, _) = AdminKey::load_or_create(folder.path()).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        let refused = AdminKey::load_or_create(folder.path());
        assert!(matches!(refused, Err(AdminKeyError::Exposed(_))));
    }

    #[test]
    fn keys_that_no_header_carries_are_refused() {
        let longest = "k".repeat(MAX_ADMIN_KEY_LEN);
        assert!(AdminKey::new(longest.as_str()).is_ok());
        for key in [
            "",
            "two words",
            "line\n",
            "schl\u{fc}ssel",
            &(longest + "k"),
        ] {
            assert!(
                matches!(AdminKey::new(key), Err(AdminKeyError::Unusable)),
                "{key:?}"
            );
        }
    }

    #[test]
    fn another_key_does_not_match() {
        let key = AdminKey::new("test-admin-key").unwrap();
        assert!(key.matches(&digest("test-admin-key")));
        assert!(!key.matches(&digest("test-admin-kez")));
    }
}
