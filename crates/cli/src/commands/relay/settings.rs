//! Settings from the command line, the environment and a file, in that order.

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::ValueEnum;
use ctalk::{Class, text::escaped};
use ctalk_relay::{AddressHeader, Audit, Config, Networks, Quota, RateLimit, TlsFiles};
use serde::Serialize;
use toml::{Table, Value};

use super::{
    Args,
    logs::{Format, Level},
    values::{Limit, OrOff, Switch},
};
use crate::{environment, exit::Complaint, input, output::Output, secrets::SecretArg};

/// The most bytes of a file of settings.
const MAX_FILE: usize = 64 * 1024;
/// Every key of a file.
const KEYS: [&str; 18] = [
    ADDRESS_HEADER,
    ADMIN_KEY,
    ADMIN_VIEW,
    AUDIT,
    DATA,
    LISTEN,
    LOG_FORMAT,
    LOG_LEVEL,
    MAX_BYTES,
    MAX_CONNECTIONS,
    MAX_CONNECTIONS_PER_ADDRESS,
    MAX_MESSAGES,
    MONITORING,
    RATE_LIMIT,
    REGISTRATION_LIMIT,
    TLS_CERTIFICATE,
    TLS_KEY,
    WEBHOOK_NETWORKS,
];
const ADDRESS_HEADER: &str = "address-header";
const ADMIN_KEY: &str = "admin-key";
const ADMIN_VIEW: &str = "admin-view";
const AUDIT: &str = "audit";
const DATA: &str = "data";
const LISTEN: &str = "listen";
const LOG_FORMAT: &str = "log-format";
const LOG_LEVEL: &str = "log-level";
const MAX_BYTES: &str = "max-bytes";
const MAX_CONNECTIONS: &str = "max-connections";
const MAX_CONNECTIONS_PER_ADDRESS: &str = "max-connections-per-address";
const MAX_MESSAGES: &str = "max-messages";
const MONITORING: &str = "monitoring";
const RATE_LIMIT: &str = "rate-limit";
const REGISTRATION_LIMIT: &str = "registration-limit";
const TLS_CERTIFICATE: &str = "tls-certificate";
const TLS_KEY: &str = "tls-key";
/// How a [`RateLimit`] is written.
const RATE: &str = "N/SECONDSs, for example 10/10s, or off";
const WEBHOOK_NETWORKS: &str = "webhook-networks";
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

/// Where a value comes from.
#[derive(Clone)]
enum Origin {
    Flag,
    Variable(String),
    File(String),
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Flag => "command line",
            Self::Variable(name) => name,
            Self::File(path) => path,
            Self::Default => "default",
        })
    }
}

/// A value and where it comes from.
struct Setting<T> {
    value: T,
    origin: Origin,
}

/// What a relay is started with.
pub(super) struct Settings {
    listen: Setting<SocketAddr>,
    data: Setting<PathBuf>,
    rate_limit: Setting<RateLimit>,
    registration_limit: Setting<RateLimit>,
    address_header: Option<Setting<AddressHeader>>,
    max_messages: Setting<Limit>,
    max_bytes: Setting<Limit>,
    admin_view: Setting<Switch>,
    audit: Setting<Audit>,
    max_connections: Setting<NonZeroU32>,
    max_connections_per_address: Setting<NonZeroU32>,
    monitoring: Setting<OrOff<SocketAddr>>,
    tls_certificate: Setting<OrOff<String>>,
    tls_key: Setting<OrOff<String>>,
    webhook_networks: Setting<Networks>,
    log_level: Setting<Level>,
    log_format: Setting<Format>,
    admin_key: Option<Setting<AdminKeySource>>,
}

/// Where the admin key is, when it is not made by the relay.
#[derive(Clone)]
pub(super) enum AdminKeySource {
    /// Behind `--admin-key`, or in the file that the file of settings names.
    Given(SecretArg),
    /// In the environment.
    Variable,
}

impl Settings {
    /// Puts together what `args`, the environment and the file that they name say.
    pub(super) fn of(args: &Args, output: &Output) -> Result<Self> {
        let sources = Sources::named(args.config.clone())?;
        let data = sources.data(args.data.clone())?;
        let listen = sources.setting(LISTEN, args.listen, "ADDRESS:PORT", |text| {
            text.parse().ok()
        })?;
        let rate_limit =
            sources.setting(RATE_LIMIT, args.rate_limit, RATE, |text| text.parse().ok())?;
        let registration_limit =
            sources.setting(REGISTRATION_LIMIT, args.registration_limit, RATE, |text| {
                text.parse().ok()
            })?;
        let address_header = sources.setting(
            ADDRESS_HEADER,
            args.address_header.clone(),
            "a header's name",
            |text| text.parse().ok(),
        )?;
        let limit = |key, flag| {
            sources.setting(key, flag, "a whole number, or off", |text| {
                text.parse().ok()
            })
        };
        let max_messages = limit(MAX_MESSAGES, args.max_messages)?;
        let max_bytes = limit(MAX_BYTES, args.max_bytes)?;
        let admin_view = sources.setting(ADMIN_VIEW, args.admin_view, "on or off", |text| {
            Switch::from_str(text, false).ok()
        })?;
        let audit = sources.setting(AUDIT, args.audit, "off, posted or automatic", |text| {
            text.parse().ok()
        })?;
        let monitoring = sources.setting(
            MONITORING,
            args.monitoring,
            "ADDRESS:PORT, or off",
            |text| text.parse().ok(),
        )?;
        let number = "a number of at least 1";
        let max_connections =
            sources.setting(MAX_CONNECTIONS, args.max_connections, number, |text| {
                text.parse().ok()
            })?;
        let max_connections_per_address = sources.setting(
            MAX_CONNECTIONS_PER_ADDRESS,
            args.max_connections_per_address,
            number,
            |text| text.parse().ok(),
        )?;
        let file = "a file, or off";
        let tls_certificate = args.tls_certificate.clone();
        let tls_certificate = sources.setting(TLS_CERTIFICATE, tls_certificate, file, |text| {
            text.parse().ok()
        })?;
        let tls_key = sources.setting(TLS_KEY, args.tls_key.clone(), file, |text| {
            text.parse().ok()
        })?;
        let webhook_networks = sources.setting(
            WEBHOOK_NETWORKS,
            args.webhook_networks.clone(),
            "ADDRESS/LENGTH, separated by commas, or none",
            |text| text.parse().ok(),
        )?;
        let log_level = sources.setting(
            LOG_LEVEL,
            args.log_level,
            "error, warn, info or debug",
            |text| Level::from_str(text, false).ok(),
        )?;
        let log_format = sources.setting(LOG_FORMAT, args.log_format, "text or json", |text| {
            Format::from_str(text, false).ok()
        })?;
        let quota = Quota::default();
        Ok(Self {
            listen: listen.unwrap_or_else(|| by_default(DEFAULT_LISTEN)),
            data,
            rate_limit: rate_limit.unwrap_or_else(|| by_default(RateLimit::default())),
            registration_limit: registration_limit
                .unwrap_or_else(|| by_default(RateLimit::REGISTRATIONS)),
            address_header,
            max_messages: max_messages.unwrap_or_else(|| by_default(Limit(quota.messages))),
            max_bytes: max_bytes.unwrap_or_else(|| by_default(Limit(quota.bytes))),
            admin_view: admin_view.unwrap_or_else(|| by_default(Switch::On)),
            audit: audit.unwrap_or_else(|| by_default(Audit::default())),
            max_connections: max_connections.unwrap_or_else(|| by_default(Config::MAX_CONNECTIONS)),
            max_connections_per_address: max_connections_per_address
                .unwrap_or_else(|| by_default(Config::MAX_CONNECTIONS_PER_ADDRESS)),
            monitoring: monitoring.unwrap_or_else(|| by_default(OrOff(None))),
            tls_certificate: tls_certificate.unwrap_or_else(|| by_default(OrOff(None))),
            tls_key: tls_key.unwrap_or_else(|| by_default(OrOff(None))),
            webhook_networks: webhook_networks.unwrap_or_else(|| by_default(Networks::NONE)),
            log_level: log_level.unwrap_or_else(|| by_default(Level::of(output))),
            log_format: log_format.unwrap_or_else(|| by_default(Format::Text)),
            admin_key: sources.admin_key(args.admin_key.clone())?,
        })
    }

    pub(super) fn listen(&self) -> SocketAddr {
        self.listen.value
    }

    pub(super) fn data(&self) -> &Path {
        &self.data.value
    }

    pub(super) fn rate_limit(&self) -> RateLimit {
        self.rate_limit.value
    }

    pub(super) fn registration_limit(&self) -> RateLimit {
        self.registration_limit.value
    }

    pub(super) fn address_header(&self) -> Option<AddressHeader> {
        let header = self.address_header.as_ref();
        header.map(|setting| setting.value.clone())
    }

    pub(super) fn quota(&self) -> Quota {
        Quota {
            messages: self.max_messages.value.0,
            bytes: self.max_bytes.value.0,
        }
    }

    pub(super) fn admin_view(&self) -> bool {
        self.admin_view.value == Switch::On
    }

    pub(super) fn audit(&self) -> Audit {
        self.audit.value
    }

    pub(super) fn monitoring(&self) -> Option<SocketAddr> {
        self.monitoring.value.0
    }

    /// In all and from one address.
    pub(super) fn max_connections(&self) -> (NonZeroU32, NonZeroU32) {
        (
            self.max_connections.value,
            self.max_connections_per_address.value,
        )
    }

    /// The files for TLS, which are both there or neither.
    pub(super) fn tls(&self) -> Result<Option<TlsFiles>> {
        match (&self.tls_certificate.value.0, &self.tls_key.value.0) {
            (None, None) => Ok(None),
            (Some(certificate), Some(key)) => Ok(Some(TlsFiles {
                certificate: certificate.into(),
                key: key.into(),
            })),
            _ => {
                let text = "TLS needs a certificate and its key";
                let hint = format!("set both {TLS_CERTIFICATE} and {TLS_KEY}, or none");
                Err(Complaint::new(Class::Usage, text).hint(hint).into())
            }
        }
    }

    pub(super) fn webhook_networks(&self) -> Networks {
        self.webhook_networks.value.clone()
    }

    pub(super) fn log(&self) -> (Level, Format) {
        (self.log_level.value, self.log_format.value)
    }

    pub(super) fn admin_key(&self) -> Option<AdminKeySource> {
        self.admin_key.as_ref().map(|setting| setting.value.clone())
    }

    /// Prints every setting and where it comes from, as a file of settings or as JSON.
    pub(super) fn print(&self, output: &Output) -> Result<()> {
        let shown = self.shown();
        if output.is_json() {
            let shown: BTreeMap<_, _> = shown.iter().map(|each| (each.key, each)).collect();
            return output.object(&shown);
        }
        for Shown { key, value, from } in shown {
            let value = value.map_or_else(
                || format!("# {key} is not shown"),
                |value| format!("{key} = {}", Value::String(value)),
            );
            output.line(&format!("{value} # {from}"))?;
        }
        Ok(())
    }

    fn shown(&self) -> Vec<Shown> {
        fn shown<T>(key: &'static str, setting: &Setting<T>, value: String) -> Shown {
            Shown {
                key,
                value: Some(value),
                from: escaped(&setting.origin.to_string()).into_owned(),
            }
        }
        let mut all = vec![
            shown(LISTEN, &self.listen, self.listen.value.to_string()),
            shown(DATA, &self.data, self.data.value.display().to_string()),
            shown(
                RATE_LIMIT,
                &self.rate_limit,
                self.rate_limit.value.to_string(),
            ),
            shown(
                REGISTRATION_LIMIT,
                &self.registration_limit,
                self.registration_limit.value.to_string(),
            ),
            shown(
                MAX_MESSAGES,
                &self.max_messages,
                self.max_messages.value.to_string(),
            ),
            shown(MAX_BYTES, &self.max_bytes, self.max_bytes.value.to_string()),
            shown(ADMIN_VIEW, &self.admin_view, word(self.admin_view.value)),
            shown(AUDIT, &self.audit, self.audit.value.to_string()),
            shown(
                MAX_CONNECTIONS,
                &self.max_connections,
                self.max_connections.value.to_string(),
            ),
            shown(
                MAX_CONNECTIONS_PER_ADDRESS,
                &self.max_connections_per_address,
                self.max_connections_per_address.value.to_string(),
            ),
            shown(
                MONITORING,
                &self.monitoring,
                self.monitoring.value.to_string(),
            ),
            shown(
                TLS_CERTIFICATE,
                &self.tls_certificate,
                self.tls_certificate.value.to_string(),
            ),
            shown(TLS_KEY, &self.tls_key, self.tls_key.value.to_string()),
            shown(
                WEBHOOK_NETWORKS,
                &self.webhook_networks,
                self.webhook_networks.value.to_string(),
            ),
            shown(LOG_LEVEL, &self.log_level, word(self.log_level.value)),
            shown(LOG_FORMAT, &self.log_format, word(self.log_format.value)),
        ];
        if let Some(header) = &self.address_header {
            all.push(shown(ADDRESS_HEADER, header, header.value.to_string()));
        }
        let (value, from) = match &self.admin_key {
            // A file's name is none of the secret, but what is no file's name may be all of it.
            Some(setting) => (
                match &setting.value {
                    AdminKeySource::Given(given) => given.file().map(|file| format!("@{file}")),
                    AdminKeySource::Variable => None,
                },
                setting.origin.to_string(),
            ),
            None => (None, "kept in the data folder".to_owned()),
        };
        all.push(Shown {
            key: ADMIN_KEY,
            value,
            from: escaped(&from).into_owned(),
        });
        all
    }
}

/// A setting as it is printed.
#[derive(Serialize)]
struct Shown {
    #[serde(skip)]
    key: &'static str,
    /// Absent where it would show a secret.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
    from: String,
}

fn by_default<T>(value: T) -> Setting<T> {
    Setting {
        value,
        origin: Origin::Default,
    }
}

fn word(value: impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}

/// Where settings are looked up that the command line does not have.
struct Sources {
    file: Option<File>,
}

/// The data folder alone, with `flag` and `config` from the command line.
pub(super) fn data_folder(flag: Option<PathBuf>, config: Option<PathBuf>) -> Result<PathBuf> {
    Ok(Sources::named(config)?.data(flag)?.value)
}

impl Sources {
    /// The environment and the file `config`, or the one that the environment names.
    fn named(config: Option<PathBuf>) -> Result<Self> {
        let named = environment::value(environment::RELAY_CONFIG).map(PathBuf::from);
        let file = match config.or(named) {
            Some(path) => Some(File::read(&path)?),
            None => None,
        };
        Ok(Self { file })
    }

    fn data(&self, flag: Option<PathBuf>) -> Result<Setting<PathBuf>> {
        let data = self.setting(DATA, flag, "a folder", |text| Some(PathBuf::from(text)))?;
        data.ok_or_else(|| {
            let text = "the relay needs a folder for its database";
            let hint = "give --data FOLDER, set CTALK_RELAY_DATA, or put `data` into the file of \
                        --config";
            Complaint::new(Class::Usage, text).hint(hint).into()
        })
    }

    /// The setting `key`, if any source has it; `expected` says how it is written.
    fn setting<T>(
        &self,
        key: &str,
        flag: Option<T>,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<Setting<T>>> {
        if let Some(value) = flag {
            let origin = Origin::Flag;
            return Ok(Some(Setting { value, origin }));
        }
        let Some((text, origin)) = self.text(key)? else {
            return Ok(None);
        };
        let value = parse(&text).ok_or_else(|| {
            let text = match &origin {
                Origin::File(path) => format!("{path}: `{key}` must be {expected}, not {text:?}"),
                _ => format!("{origin} must be {expected}, not {text:?}"),
            };
            Complaint::new(Class::Usage, text)
        })?;
        Ok(Some(Setting { value, origin }))
    }

    fn text(&self, key: &str) -> Result<Option<(String, Origin)>> {
        let variable = format!("CTALK_RELAY_{}", key.replace('-', "_").to_ascii_uppercase());
        if let Some(text) = environment::text(&variable)? {
            return Ok(Some((text, Origin::Variable(variable))));
        }
        let in_file = self.file.as_ref().and_then(|file| file.text(key));
        Ok(in_file)
    }

    fn admin_key(&self, flag: Option<SecretArg>) -> Result<Option<Setting<AdminKeySource>>> {
        if let Some(given) = flag {
            return Ok(Some(Setting {
                value: AdminKeySource::Given(given),
                origin: Origin::Flag,
            }));
        }
        if environment::value(environment::ADMIN_KEY).is_some() {
            return Ok(Some(Setting {
                value: AdminKeySource::Variable,
                origin: Origin::Variable(environment::ADMIN_KEY.to_owned()),
            }));
        }
        let Some((text, origin)) = self.file.as_ref().and_then(|file| file.text(ADMIN_KEY)) else {
            return Ok(None);
        };
        if !text.starts_with('@') {
            let text = format!("{origin}: `{ADMIN_KEY}` must be @ and the name of a file");
            let hint = "put the key into a file of its own that only the relay's user can read";
            return Err(Complaint::new(Class::Usage, text).hint(hint).into());
        }
        let Ok(given) = text.parse();
        Ok(Some(Setting {
            value: AdminKeySource::Given(given),
            origin,
        }))
    }
}

/// A file of settings, all of them texts.
struct File {
    path: String,
    table: Table,
}

impl File {
    fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        input::read(path, MAX_FILE, &mut bytes)?;
        let path = path.display().to_string();
        // No complaint repeats a value, which may be a key that was put there by mistake.
        let complain = |text: String, hint: String| {
            Complaint::new(Class::Usage, format!("{path}: {text}")).hint(hint)
        };
        let remedy = || format!("the keys are {}", KEYS.join(", "));
        let text = str::from_utf8(&bytes)
            .map_err(|_| complain("it is not UTF-8 text".to_owned(), remedy()))?;
        let table: Table = text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            let text = format!("line {line} is not TOML");
            complain(text, "write each setting as KEY = \"VALUE\"".to_owned())
        })?;
        for (key, value) in &table {
            if !KEYS.contains(&key.as_str()) {
                return Err(complain(format!("there is no setting {key:?}"), remedy()).into());
            }
            if !value.is_str() {
                let hint = format!("write {key} = \"VALUE\"");
                return Err(complain(format!("`{key}` must be a text"), hint).into());
            }
        }
        Ok(Self { path, table })
    }

    fn text(&self, key: &str) -> Option<(String, Origin)> {
        let text = self.table.get(key)?.as_str()?;
        Some((text.to_owned(), Origin::File(self.path.clone())))
    }
}
