//! As which agent, and where, `ctalk wtt` calls.

use std::{fs, io::ErrorKind, sync::Arc};

use anyhow::Result;
use ctalk::{
    Class, Error,
    clock::SystemClock,
    relay::{
        self,
        clawtalk::BearerKey,
        wtt::{Credentials, Wtt},
    },
};
use zeroize::Zeroizing;

use crate::{args, context::Context, environment, exit::Complaint};

/// Where the service is unless something else is said.
const SERVICE: &str = "https://www.waxbyte.com";
/// Where WTT's own clients keep their settings.
const FILE: &str = ".env";
/// Largest file of settings, in bytes.
const MAX_FILE: u64 = 64 * 1024;
/// What addresses of WTT services begin with.
const SCHEME: &str = "wtt+";

/// Which service a command talks to.
#[derive(clap::Args)]
pub(super) struct RelayArg {
    /// The service's address or name [default: the first WTT service that the profile is registered at]
    #[arg(long = "relay", value_name = "URL", global = true)]
    service: Option<String>,
}

/// An agent of a service.
pub(super) struct Connection {
    pub(super) wtt: Wtt,
}

/// What WTT's own clients are set up with. All of it comes from one place, so that no token goes to where
/// another place says.
#[derive(Default)]
struct Settings {
    agent: Option<String>,
    token: Option<Zeroizing<String>>,
    url: Option<String>,
    bearer: Option<Zeroizing<String>>,
}

impl Connection {
    /// The agent of the environment, else the profile's, else that of the settings file of the current
    /// folder.
    pub(super) fn new(relay: RelayArg, context: &Context<'_>) -> Result<Self> {
        let environment = Settings::collect(environment::text)?;
        let bearer = environment.bearer.clone();
        if let Some(connection) = environment.connection(relay.service.as_deref())? {
            return Ok(connection);
        }
        let profile = context.profile().ok();
        let registered = profile.as_ref().and_then(|profile| {
            let mut relays = profile.relays().iter();
            relays.find(|relay| relay.url.starts_with(SCHEME))
        });
        let url = match (relay.service, registered) {
            (None, registered) => registered.map(|relay| relay.url.clone()),
            (given, _) => {
                let given = args::RelayArg { url: given };
                context.known_relay_url(given, profile.as_ref())?
            }
        };
        if let (Some(url), Some(profile)) = (&url, &profile) {
            let (_, secrets) = context.keystore(profile)?;
            let stored = secrets.api_key(&relay::normalised(url).map_err(Error::from)?);
            if let Some(credentials) = stored.and_then(Credentials::from_text) {
                return Self::at(url, credentials, bearer);
            }
        }
        let file = Settings::of_file()?;
        let connection = file.connection(url.as_deref())?.ok_or_else(|| {
            Complaint::new(Class::Usage, "no agent of a WTT service is known")
                .hint("register one: ctalk register --relay wtt+https://HOST; or set WTT_AGENT_ID and WTT_AGENT_TOKEN")
        })?;
        context
            .output
            .note(&format!("agent {} of {FILE}", connection.wtt.agent()));
        Ok(connection)
    }

    fn at(url: &str, credentials: Credentials, bearer: Option<Zeroizing<String>>) -> Result<Self> {
        let bearer = bearer.map(|bearer| BearerKey::new(bearer.as_str()));
        let wtt = Wtt::new(url, credentials, bearer, Arc::new(SystemClock))?;
        Ok(Self { wtt })
    }
}

impl Settings {
    fn collect(mut value: impl FnMut(&str) -> Result<Option<String>>) -> Result<Self> {
        let mut secret = |name: &str| Ok::<_, anyhow::Error>(value(name)?.map(Zeroizing::new));
        Ok(Self {
            token: secret(environment::WTT_AGENT_TOKEN)?,
            bearer: secret(environment::WTT_BEARER_TOKEN)?,
            agent: value(environment::WTT_AGENT_ID)?,
            url: value(environment::WTT_API_URL)?,
        })
    }

    /// Lines of `NAME=VALUE`; nothing in a value stands for anything else.
    fn of_file() -> Result<Self> {
        let is_small =
            fs::metadata(FILE).is_ok_and(|file| file.is_file() && file.len() <= MAX_FILE);
        let text = match fs::read_to_string(FILE) {
            Ok(text) if is_small => Zeroizing::new(text),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(
                    Complaint::new(Class::Usage, format!("cannot read {FILE}: {error}")).into(),
                );
            }
            Ok(_) | Err(_) => return Ok(Self::default()),
        };
        let find = |wanted: &str| {
            let mut lines = text.lines().filter_map(|line| {
                let (name, value) = line.trim().trim_start_matches("export ").split_once('=')?;
                (name.trim() == wanted).then(|| unquoted(value.trim()).to_owned())
            });
            Ok(lines.next_back().filter(|value| !value.is_empty()))
        };
        Self::collect(find)
    }

    /// The agent, if there is one; at `url` where that is given.
    fn connection(self, url: Option<&str>) -> Result<Option<Connection>> {
        let (Some(agent), Some(token)) = (&self.agent, &self.token) else {
            return Ok(None);
        };
        let credentials = Credentials::new(agent, token).ok_or_else(|| {
            Complaint::new(
                Class::Usage,
                "WTT_AGENT_ID or WTT_AGENT_TOKEN is none that the service gives out",
            )
        })?;
        let given = url.or(self.url.as_deref()).unwrap_or(SERVICE);
        let url = if given.starts_with(SCHEME) {
            given.to_owned()
        } else {
            format!("{SCHEME}{given}")
        };
        Connection::at(&url, credentials, self.bearer).map(Some)
    }
}

fn unquoted(value: &str) -> &str {
    ['"', '\'']
        .iter()
        .find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(value)
}
