//! `ctalk service`.

use std::{env, fmt::Write as _, path::Path, process::ExitCode};

use anyhow::Result;
use clap::Parser;
use ctalk::Class;

use crate::{
    args::{self, Cli, Command},
    commands::recv,
    context::Context,
    environment,
    exit::Complaint,
};

/// Variables that are taken over into the unit when they are set. None of them is a secret.
const TAKEN_OVER: [&str; 4] = [
    "PATH",
    environment::HOME,
    environment::PASSPHRASE_FILE,
    environment::RELAY_URL,
];

/// What holds a program back that needs none of it. A user's service manager can do all of it without
/// privileges; whatever hides parts of the file system it often cannot, and a handler may need.
const HARDENING: &str = "\
UMask=0077
LimitCORE=0
NoNewPrivileges=yes
LockPersonality=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
SystemCallArchitectures=native
";

/// Print a systemd user unit that runs `ctalk recv --follow`
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Print the unit, which is all that this does
    #[arg(long)]
    print: bool,
    /// What `recv --follow` is given, for example --exec COMMAND
    #[arg(
        value_name = "RECV-OPTION",
        allow_hyphen_values = true,
        trailing_var_arg = true
    )]
    options: Vec<String>,
}

pub(crate) fn run(args: &Args, context: &Context<'_>) -> Result<ExitCode> {
    if !args.print {
        return Err(
            Complaint::new(Class::Usage, "nothing is installed by itself")
                .hint("ctalk service --print --exec COMMAND > ~/.config/systemd/user/ctalk.service")
                .into(),
        );
    }
    let mut words = vec![
        "--profile".to_owned(),
        context.profile_name.clone(),
        "recv".to_owned(),
        "--follow".to_owned(),
    ];
    words.extend_from_slice(&args.options);
    let name = "ctalk".to_owned();
    let profile = match Cli::try_parse_from(std::iter::once(&name).chain(&words)) {
        Ok(Cli {
            command: Command::Recv(recv),
            global,
        }) => {
            recv::check(&recv, context.output)?;
            let context = Context::new(global, context.output);
            context.profile()?;
            context.profile_name
        }
        Ok(_) => return Err(unusable("these options")),
        Err(error) => return Ok(args::refuse(&error)),
    };
    if environment::value(environment::API_KEY).is_some() {
        context
            .output
            .warning("the API key in CLAWTALK_API_KEY is no part of the unit");
    }
    let unit = unit(&profile, &words)?;
    context.output.line(unit.trim_end())?;
    Ok(ExitCode::SUCCESS)
}

fn unit(profile: &str, words: &[String]) -> Result<String> {
    let program = env::current_exe()?;
    let mut command = quoted(text(&program, "the path of ctalk")?, true);
    for word in words {
        command.push(' ');
        command.push_str(&quoted(word, true));
    }
    let folder = env::current_dir()?;
    let folder = text(&folder, "the current folder")?;
    if folder.contains(char::is_control) {
        return Err(unusable("the current folder"));
    }
    let mut unit = format!(
        "[Unit]\nDescription=ctalk: messages for {}\n\n[Service]\nType=exec\nExecStart={command}\n\
         WorkingDirectory={}\n",
        profile.replace('%', "%%"),
        folder.replace('%', "%%"),
    );
    for name in TAKEN_OVER {
        if let Some(value) = environment::text(name)? {
            // Writing to a string cannot fail.
            let _ = writeln!(
                unit,
                "Environment={}",
                quoted(&format!("{name}={value}"), false)
            );
        }
    }
    // Handlers that run when it is stopped end before it does; what is wrong from the start, and the
    // end of a counted run, stays so.
    unit.push_str(
        "KillMode=mixed\nRestart=on-failure\nRestartSec=5\nRestartPreventExitStatus=2 9\n",
    );
    unit.push_str(HARDENING);
    unit.push_str("\n[Install]\nWantedBy=default.target\n");
    Ok(unit)
}

fn text<'p>(path: &'p Path, what: &str) -> Result<&'p str> {
    path.to_str().ok_or_else(|| unusable(what))
}

fn unusable(what: &str) -> anyhow::Error {
    Complaint::new(Class::Usage, format!("{what} cannot stand in a unit")).into()
}

/// One word as systemd reads it: in quotes with C's escapes, its own specifiers doubled, and in a
/// command line dollar signs too.
fn quoted(word: &str, is_command: bool) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    let mut quoted = String::from('"');
    for character in word.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '%' => quoted.push_str("%%"),
            '$' if is_command => quoted.push_str("$$"),
            '\0'..='\x1f' | '\x7f' => {
                // Writing to a string cannot fail.
                let _ = write!(quoted, "\\x{:02x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_as_systemd_reads_them() {
        for (word, expected) in [
            ("--exec", "--exec"),
            ("", "\"\""),
            ("a b", "\"a b\""),
            ("100%", "\"100%%\""),
            ("$HOME ${x}", "\"$$HOME $${x}\""),
            ("it's \"so\" \\", "\"it's \\\"so\\\" \\\\\""),
            ("a\nb\t", "\"a\\x0ab\\x09\""),
            (";", "\";\""),
            ("é", "\"é\""),
        ] {
            assert_eq!(quoted(word, true), expected);
        }
        assert_eq!(quoted("A=$x %h", false), "\"A=$x %%h\"");
    }
}
