//! `ctalk wtt`, against a stand-in for the service.

mod commands;
mod profiles;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../../client/tests/client/wtt/rest.rs"]
mod rest;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../../client/tests/client/wtt/service.rs"]
mod service;
mod settings;
#[allow(dead_code, reason = "other tests use the rest of it")]
#[path = "../../../../client/tests/client/wtt/stand_in.rs"]
mod stand_in;
#[path = "../../../../client/tests/client/wtt/tasks.rs"]
mod tasks;

use ctalk::relay::wtt::{Credentials, register};
use snapbox::cmd::{Command, OutputAssert};
use tokio::runtime::Runtime;

use self::stand_in::StandIn;
use crate::support::{Sandbox, lines, text};

/// Profiles that know each other, and their agents at the service.
struct Place {
    sandbox: Sandbox,
    service: StandIn,
    agents: Vec<(&'static str, Credentials)>,
    /// Where the service runs.
    _runtime: Runtime,
}

impl Place {
    fn with(names: &[&'static str]) -> Self {
        let sandbox = Sandbox::with(names);
        let runtime = Runtime::new().unwrap();
        let service = runtime.block_on(StandIn::start());
        let registered = names.iter().map(|name| {
            let credentials = runtime.block_on(register(&service.url(), name)).unwrap();
            (*name, credentials)
        });
        let agents = registered.collect();
        for one in names {
            for other in names.iter().filter(|other| *other != one) {
                let card = sandbox.json(other, &["card"]).remove(0);
                let card = text(&card["card"]).to_owned();
                sandbox.run(one, &["contact", "add", &card]).success();
            }
        }
        Self {
            sandbox,
            service,
            agents,
            _runtime: runtime,
        }
    }

    fn credentials(&self, name: &str) -> &Credentials {
        let found = self.agents.iter().find(|(known, _)| *known == name);
        &found.unwrap().1
    }

    fn id(&self, name: &str) -> &str {
        self.credentials(name).agent()
    }

    fn token(&self, name: &str) -> String {
        let text = self.credentials(name).expose();
        text.split_once(':').unwrap().1.to_owned()
    }

    /// `ctalk wtt` as one of the agents, with WTT's own variables.
    fn command(&self, name: &str, args: &[&str]) -> Command {
        let command = self.sandbox.command(name).arg("wtt").args(args).stdin("");
        command
            .env("WTT_AGENT_ID", self.id(name))
            .env("WTT_AGENT_TOKEN", self.token(name))
            .env("WTT_API_URL", self.service.url().trim_start_matches("wtt+"))
    }

    fn run(&self, name: &str, args: &[&str]) -> OutputAssert {
        self.sandbox.finish(self.command(name, args))
    }

    /// What is printed on stdout.
    fn shown(&self, name: &str, args: &[&str]) -> String {
        let output = self.run(name, args).success();
        String::from_utf8(output.get_output().stdout.clone()).unwrap()
    }

    fn json(&self, name: &str, args: &[&str]) -> Vec<serde_json::Value> {
        lines(&self.run(name, &[args, &["--json"]].concat()).success())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // That nothing secret was printed the sandbox looks for where it knows secrets.
        self.service.stop();
    }
}
