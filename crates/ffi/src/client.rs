//! An agent at its relay: sending, receiving, calling.

use std::{
    ffi::{c_char, c_void},
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use ctalk::{
    Admission, Call, Class, Draft, Error, Event, Next, Registration, Sent,
    clock::SystemClock,
    relay::{Kind, clawtalk::BearerKey},
    shown::{Failure, Myself, NotSent, Registered},
    wire::MessageType,
};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{
    agent::{Agent, At, Manner},
    bytes::{Bytes, ctalk_bytes},
    caller::Caller,
    card::ctalk_card,
    code::{Code, ctalk_code},
    error::{Fault, ctalk_error},
    guard::{guard, guard_value},
    handle::{self, Opaque},
    identity::{Own, ctalk_identity},
    message::{self, Message, ctalk_message},
    options,
    stopper::ctalk_stopper,
};

/// As a timeout: wait until something comes or the call is stopped.
pub const CTALK_FOREVER: u64 = u64::MAX;

/// What a handler says became of a message: it was handled, as ctalk_message_commit says.
pub const CTALK_COMMIT: u32 = 0;
/// It could not be handled now, as ctalk_message_retry says.
pub const CTALK_RETRY: u32 = 1;
/// It will never be handled, as ctalk_message_reject says.
pub const CTALK_REJECT: u32 = 2;
/// Nothing can be handled any more: the message is to be tried again, and ctalk_client_run returns.
pub const CTALK_STOP: u32 = 3;

/// How long a call waits for its response unless the options say otherwise.
const CALL: Duration = Duration::from_secs(30);

/// An open profile: an agent at its relay. Any number of threads may use one at the same time: calls take
/// turns, and those that wait for messages let others go first. It has a thread from the first message
/// that it hands over, which keeps messages in hand, and there are threads that look up host names.
///
/// Several clients, in one process or many, may have the same profile open.
///
/// Owned by whoever opened it; freed with ctalk_client_free. What it handed over and nobody settled is
/// given back then. A child process of fork() must not use it, nor open another one (CTALK_FORKED); to free
/// it there does nothing.
pub struct ctalk_client {
    _private: [u8; 0],
}

impl Opaque for ctalk_client {
    type Value = Client;
    const NAME: &'static str = "ctalk_client";
}

/// What is behind [`ctalk_client`].
pub(crate) struct Client(pub(crate) Arc<Agent>);

/// What a program does with a message; `user` is what it gave to ctalk_client_run. The message belongs to
/// the library and is valid until the handler returns; the handler may settle it itself, and use the
/// client. Returns CTALK_COMMIT, CTALK_RETRY, CTALK_REJECT or CTALK_STOP. It must return, and must
/// neither throw nor jump out.
pub type ctalk_handler =
    Option<unsafe extern "C" fn(user: *mut c_void, message: *const ctalk_message) -> u32>;

/// The folder of the user's profile of this name, whether it is there or not: where `ctalk --profile NAME`
/// has it. Reads the environment: CTALK_HOME, and where the home folder is.
/// `default` is the name that the command line takes where none is given.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_profile_folder(
    name: *const c_char,
    name_len: usize,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let name = caller.text(name, name_len)?;
        // As for the command line, one that is set to nothing is not set.
        let home = std::env::var_os("CTALK_HOME").filter(|home| !home.is_empty());
        let home = home.map(PathBuf::from).or_else(ctalk::profiles_folder);
        let home = home.ok_or_else(|| {
            let text = "there is no home folder to keep profiles in; set CTALK_HOME to a folder";
            Fault::new(Code::of(Class::Usage), text)
        })?;
        let folder = home.join(name).into_os_string().into_string();
        let folder = folder
            .map_err(|_| Fault::new(Code::CTALK_NOT_UTF8, "the folder's name is not UTF-8"))?;
        out.put(Bytes::from(folder));
        Ok(())
    })
}

/// Opens the profile in a folder. The relay is not asked.
///
/// Options: `folder`, which is needed; `passphrase` or `passphraseFile`, where the key store needs one;
/// `relay`, an address that counts instead of the profile's, and `apiKey` for it; `require`, a list of
/// `verified` and `native`: what must hold of everybody who is written to or read, beside what the
/// profile requires.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_open(
    options: *const c_char,
    options_len: usize,
    out: *mut *mut ctalk_client,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let agent = Agent::open(options::read(caller, options, options_len)?)?;
        out.put(Client(Arc::new(agent)));
        Ok(())
    })
}

/// Frees a client. NULL is allowed, and freeing twice does nothing. Calls that use it in other threads end
/// with CTALK_WRONG_HANDLE, as if they were stopped; this does not wait until they have, and the last of
/// them gives back what was in hand.
#[unsafe(no_mangle)]
pub extern "C" fn ctalk_client_free(client: *mut ctalk_client) {
    guard_value((), || {
        if let Some(client) = handle::find(client) {
            client.0.close();
        }
        handle::free(client);
        Some(())
    });
}

/// The agent as `ctalk --json whoami` prints it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_whoami(
    client: *const ctalk_client,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(agent(client)?.briefly(|desk| {
            let identity = desk.identity()?;
            Bytes::json(&Myself::new(&desk.profile, identity.public_keys()))
        })?);
        Ok(())
    })
}

/// The agent's current key card, for others to add. Makes one where there is none, or where the keys are due
/// for rotation, as `ctalk card` does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_card(
    client: *const ctalk_client,
    out: *mut *mut ctalk_card,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(agent(client)?.briefly(|desk| Ok(desk.card()?.into()))?);
        Ok(())
    })
}

/// The agent's keys and card as they are now, to seal and open without the relay: as ctalk_identity_load,
/// without asking for the passphrase again. A copy, which does not see later rotations.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_identity(
    client: *const ctalk_client,
    out: *mut *mut ctalk_identity,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        out.put(agent(client)?.briefly(|desk| {
            let card = desk.card()?;
            Ok(Own::new(desk.identity()?, Some(card)))
        })?);
        Ok(())
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Registering {
    relay: Option<String>,
    admin_key: Option<Zeroizing<String>>,
    invite: Option<Zeroizing<String>>,
    owner: Option<String>,
}

/// Registers the agent at a relay: its name, its keys and its key card. The client is at that relay from
/// now on; the profile prefers the first one that it was registered at. Safe to repeat. `out` becomes what `ctalk --json register` prints; it may be NULL.
///
/// Options: `adminKey` or `invite`, which a ClawTalk relay asks for; `relay`, by default the client's; `owner`, who
/// answers for the agent, by default its name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_register(
    client: *const ctalk_client,
    options: *const c_char,
    options_len: usize,
    stopper: *const ctalk_stopper,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let agent = agent(client)?;
        let options: Registering = options::read(caller, options, options_len)?;
        let admission = match (options.admin_key, options.invite) {
            (Some(key), None) => Some(Admission::AdminKey(BearerKey::new(key.as_str()))),
            (None, Some(code)) => Some(Admission::Invite(code)),
            (None, None) if is_open(options.relay.as_deref()) => None,
            _ => {
                let text = "the options need either `adminKey` or `invite`";
                return Err(Fault::new(Code::CTALK_BAD_OPTIONS, text));
            }
        };
        let registered = agent.run(stopper, async |at| {
            let mut turn = at.turn().await;
            let desk = &mut *turn;
            let url = options
                .relay
                .or_else(|| desk.relay_url().map(str::to_owned));
            let url = options::required(url, "relay")?;
            let owner = options
                .owner
                .unwrap_or_else(|| desk.profile.name().to_owned());
            let secrets = desk.keystore.read()?;
            let clock = Arc::new(SystemClock);
            let card = ctalk::register(
                &mut desk.profile,
                &desk.keystore,
                &secrets,
                Registration {
                    url: &url,
                    relay_name: None,
                    admission,
                    owner: &owner,
                },
                clock,
            )
            .await?;
            desk.set_relay(url);
            desk.reopen();
            Bytes::json(&Registered {
                name: desk.profile.name(),
                relay: desk.profile.relay(),
                fingerprint: card.fingerprint(),
            })
        })?;
        if let Some(out) = out {
            out.put(registered);
        }
        Ok(())
    })
}

/// Whether a relay lets everybody in.
fn is_open(url: Option<&str>) -> bool {
    url.is_some_and(|url| matches!(Kind::of(url), Ok(kind) if kind != Kind::ClawTalk))
}

/// One recipient, or several.
#[derive(Deserialize)]
#[serde(untagged)]
enum To {
    One(String),
    Several(Vec<String>),
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Sending {
    to: Option<To>,
    content_type: Option<String>,
    #[serde(rename = "type")]
    message_type: Option<MessageType>,
    topic: Option<String>,
    public_topic: bool,
    correlation_id: Option<String>,
    reply_to: Option<String>,
    ttl: Option<u64>,
    name: Option<String>,
    idempotency_key: Option<String>,
    receipt: bool,
    plaintext: bool,
    no_wait: bool,
}

/// Seals, signs and sends a message. Recipients are contacts' names, or names of the relay, which are
/// pinned by this first use.
///
/// Options: `to`, a name or a list of names, which is needed; `contentType`: `text/plain`,
/// `application/json` or `application/octet-stream`, by default text where the data are UTF-8 and else
/// bytes; `type`: `request` (the default), `response` or `notification`; `topic`, and `publicTopic` to show
/// it to the relay; `correlationId`; `replyTo`; `ttl`, how many seconds it lives, by default 7 days and at
/// most 30; `name`, that of the file that it is; `idempotencyKey`, under which it is delivered once however
/// often this is called; `receipt`, to ask for one and send again until it came; `plaintext`, neither to
/// encrypt nor to sign; `noWait`, only to put it into the outbox, which works without the relay and leaves
/// with ctalk_client_flush or any later call that talks to the relay.
///
/// `out` becomes a JSON list with what `ctalk --json send` prints for each recipient, in order; it may be
/// NULL. To one recipient a failure is that of the call; CTALK_QUEUED then says that the message is in
/// the outbox and will leave. To several, CTALK_OK may stand for some failures: their objects have `error`,
/// `class`, `code` and `hint`. When the call is stopped the message may be in the outbox or have left.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_send(
    client: *const ctalk_client,
    data: *const u8,
    data_len: usize,
    options: *const c_char,
    options_len: usize,
    stopper: *const ctalk_stopper,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out_or_none(out)?;
        let agent = agent(client)?;
        let options: Sending = options::read(caller, options, options_len)?;
        let recipients = match options::required(options.to, "to")? {
            To::One(name) => vec![name],
            To::Several(names) => names,
        };
        if recipients.is_empty() {
            let text = "`to` names nobody";
            return Err(Fault::new(Code::CTALK_BAD_RECIPIENTS, text));
        }
        let data = caller.bytes(data, data_len)?;
        let draft = Draft {
            message_type: options.message_type.unwrap_or(MessageType::Request),
            topic: options.topic,
            public_topic: options.public_topic,
            correlation_id: options.correlation_id,
            reply_to: options.reply_to,
            ttl: options.ttl,
            name: options.name,
            idempotency_key: options.idempotency_key,
            receipt: options.receipt,
            ..Draft::new(message::content(data, options.content_type.as_deref())?)
        };
        if options.plaintext && (options.no_wait || options.receipt) {
            let text = "`plaintext` goes with neither `noWait` nor `receipt`";
            return Err(Fault::new(Code::CTALK_BAD_OPTIONS, text));
        }
        let outcomes = agent.run(stopper, async |at| {
            let mut turn = at.turn().await;
            let outcomes = if options.plaintext {
                let client = turn.refreshed(at).await?;
                client.send_plaintext(&recipients, &draft).await
            } else if options.no_wait {
                turn.client()?.enqueue(&recipients, &draft).await
            } else {
                let client = turn.refreshed(at).await?;
                client.send(&recipients, &draft).await
            };
            tell_notices(turn.client()?, at);
            shown(at, &recipients, outcomes?)
        })?;
        if let Some(out) = out {
            out.put(outcomes);
        }
        Ok(())
    })
}

/// What became of a message, for each recipient; the failure itself if there is only one.
fn shown(
    at: &At<'_>,
    recipients: &[String],
    outcomes: Vec<Result<Sent, Error>>,
) -> Result<Bytes, Fault> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Outcome<'a> {
        Sent(Sent),
        Not(NotSent<'a>),
    }
    let is_only_one = outcomes.len() == 1;
    let mut shown = Vec::with_capacity(outcomes.len());
    for (to, outcome) in recipients.iter().zip(outcomes) {
        shown.push(match outcome {
            Ok(sent) => {
                if let (true, Some(fingerprint)) = (sent.pinned, &sent.fingerprint) {
                    at.tell_pinned(&sent.to, fingerprint);
                }
                Outcome::Sent(sent)
            }
            Err(error) if is_only_one => return Err(error.into()),
            Err(error) => Outcome::Not(NotSent {
                to,
                failure: Failure::from(&error),
            }),
        });
    }
    Bytes::json(&shown)
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Calling {
    to: Option<String>,
    timeout_ms: Option<u64>,
    content_type: Option<String>,
    topic: Option<String>,
    correlation_id: Option<String>,
    name: Option<String>,
}

/// Sends a request to one recipient, who needs a key card, and waits for its response, beside whoever
/// receives. `out` becomes the response, which is settled already. CTALK_TIMED_OUT when none came;
/// CTALK_REMOTE_FAILED and CTALK_REFUSED when the other side says that it did not handle the request.
///
/// Options: `to`, which is needed; `timeoutMs`, by default 30,000; `contentType`, `topic`, `correlationId`
/// and `name`, as for ctalk_client_send.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_call(
    client: *const ctalk_client,
    data: *const u8,
    data_len: usize,
    options: *const c_char,
    options_len: usize,
    stopper: *const ctalk_stopper,
    out: *mut *mut ctalk_message,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let agent = agent(client)?;
        let options: Calling = options::read(caller, options, options_len)?;
        let to = options::required(options.to, "to")?;
        let timeout = options.timeout_ms.map_or(CALL, Duration::from_millis);
        let data = caller.bytes(data, data_len)?;
        let draft = Draft {
            topic: options.topic,
            correlation_id: options.correlation_id,
            name: options.name,
            ..Draft::new(message::content(data, options.content_type.as_deref())?)
        };
        let response = agent.run(stopper, async |at| {
            let mut call = {
                let mut turn = at.turn().await;
                let client = turn.refreshed(at).await?;
                Call::begin(client, &to, draft, timeout).await?
            };
            loop {
                // Others have their turns in between.
                let mut turn = at.turn().await;
                let client = turn.client()?;
                if let Some(response) = call.advance(client).await? {
                    let received = response.message.clone();
                    response.settle(client)?;
                    tell_notices(client, at);
                    return Ok(received);
                }
                call.pause(client).await?;
                turn.stir();
            }
        })?;
        out.put(Message::settled(response));
        Ok(())
    })
}

/// Sends what is in the outbox, and returns when the relay has it or cannot take it: a failure is that of the
/// first message which stays there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_flush(
    client: *const ctalk_client,
    stopper: *const ctalk_stopper,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |_| {
        agent(client)?.run(stopper, async |at| {
            let mut turn = at.turn().await;
            let client = turn.refreshed(at).await?;
            let flushed = client.flush().await;
            tell_notices(client, at);
            for flushed in flushed? {
                if let ctalk::Fate::Queued(error) | ctalk::Fate::Failed(error) = flushed.fate {
                    return Err(Error::from(error).into());
                }
            }
            Ok(())
        })
    })
}

/// Says how messages are handed over from now on. What is in hand is given back. Without this call, it is
/// with the defaults.
///
/// Options: `topic`, only messages of this topic; `since`, only those with a relay's time after this;
/// `handler`, the name by which the profile's policy knows the program; `intervalMs`, the longest pause
/// between two looks at a relay that does not push, by default 2,000; `maxAttempts`, by default 8;
/// `retryAfterMs`, the pause before the second attempt, by default 1,000; `unordered`, not to have later
/// messages of a sender wait for earlier ones; `unsigned`, to hand over what nobody signed, which is
/// otherwise held for the user (`ctalk inbox`); `keep`, to keep the bytes of handled messages, still
/// sealed; `sanitize`, whether hidden and directional characters are taken out of texts, by default true.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_follow(
    client: *const ctalk_client,
    options: *const c_char,
    options_len: usize,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let agent = agent(client)?;
        let manner: Manner = options::read(caller, options, options_len)?;
        agent.briefly(|desk| desk.follow(manner))
    })
}

/// Waits for the next message, for `timeout_ms` at most: 0 asks the relay once, CTALK_FOREVER waits for
/// ever. `out` becomes the message, which is in hand until it is settled (see ctalk_message), or NULL when
/// none came in time. Several may be in hand at a time; those of one sender come one after the other.
///
/// What was set aside or held meanwhile, and a relay that does not answer for a while, is no failure: see
/// ctalk_client_take_events.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_next(
    client: *const ctalk_client,
    timeout_ms: u64,
    stopper: *const ctalk_stopper,
    out: *mut *mut ctalk_message,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        match next(&agent(client)?, timeout_ms, stopper)? {
            Some(message) => out.put(message),
            None => out.put_none(),
        }
        Ok(())
    })
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Running {
    count: Option<u64>,
    idle_ms: Option<u64>,
}

/// Has a handler run for each message, one after the other, on this thread, and settles each message as the
/// handler says. CTALK_INTERRUPTED once it is stopped, which breaks off no handler. CTALK_BAD_CALLBACK for
/// an answer that is none; its message is tried again, and the run is over.
///
/// Options: `count`, to return CTALK_OK after so many messages; `idleMs`, to do so when none came for so
/// long; 0 is when nothing waits any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_run(
    client: *const ctalk_client,
    options: *const c_char,
    options_len: usize,
    handler: ctalk_handler,
    user: *mut c_void,
    stopper: *const ctalk_stopper,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let agent = agent(client)?;
        let options: Running = options::read(caller, options, options_len)?;
        let handler = handler.ok_or_else(|| Fault::null("the handler"))?;
        let mut left = options.count.unwrap_or(u64::MAX);
        let timeout = options.idle_ms.unwrap_or(CTALK_FOREVER);
        while left > 0 {
            let Some(message) = next(&agent, timeout, stopper)? else {
                return Ok(());
            };
            left -= 1;
            let lent = Lent(handle::give::<ctalk_message>(message));
            // SAFETY: the header asks the caller for a handler that can be called like this while the run
            // lasts.
            let said = unsafe { handler(user, lent.0) };
            let message = handle::get(lent.0.cast_const())?;
            drop(lent);
            if message.is_settled() {
                if said == CTALK_STOP {
                    return Ok(());
                }
                continue;
            }
            let tried_again = |why| {
                message.settle(|client, ticket| client.retry(ticket.clone(), why).map(|_| ()))
            };
            match said {
                CTALK_COMMIT => message.settle(|client, ticket| client.commit(ticket.clone()))?,
                CTALK_RETRY => tried_again("the handler asked for another attempt")?,
                CTALK_REJECT => message.settle(|client, ticket| {
                    client.reject(ticket.clone(), "the handler rejected it")
                })?,
                CTALK_STOP => return tried_again("the handler stopped"),
                other => {
                    tried_again("the handler gave no answer")?;
                    let text = format!("the handler answered {other}, which means nothing");
                    return Err(Fault::new(Code::CTALK_BAD_CALLBACK, text));
                }
            }
        }
        Ok(())
    })
}

/// A handle that a handler has for as long as it runs.
struct Lent(*mut ctalk_message);

impl Drop for Lent {
    fn drop(&mut self) {
        handle::free(self.0);
    }
}

/// What came up since this was last called, as a JSON list, oldest first, at most 1,000: objects whose
/// `event` is `set-aside` (a message that is held, or was set aside with a reason), `notice` (something
/// about a contact's identity, or about what was sent), `pinned` (keys that were pinned just now),
/// `trouble` (something failed that may pass, and is tried again) or `recovered` (the relay answers again).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ctalk_client_take_events(
    client: *const ctalk_client,
    out: *mut *mut ctalk_bytes,
    error: *mut *mut ctalk_error,
) -> ctalk_code {
    // SAFETY: what the header asks of the caller is what `Caller` needs.
    guard(unsafe { Caller::new(error) }, |caller| {
        let out = caller.out(out)?;
        let events = Vec::from(agent(client)?.take_events()?);
        out.put(Bytes::from(format!("[{}]", events.join(","))));
        Ok(())
    })
}

/// The agent behind a handle.
pub(crate) fn agent(client: *const ctalk_client) -> Result<Arc<Agent>, Fault> {
    Ok(Arc::clone(&handle::get(client)?.0))
}

/// Tells what came up on the way.
pub(crate) fn tell_notices(client: &mut ctalk::Client, at: &At<'_>) {
    for notice in client.take_notices() {
        at.observe(Event::Notice(&notice));
    }
}

/// Waits for the next message.
fn next(
    agent: &Arc<Agent>,
    timeout_ms: u64,
    stopper: *const ctalk_stopper,
) -> Result<Option<Message>, Fault> {
    let timeout = Duration::from_millis(timeout_ms);
    // `None` for ever, or as good as that.
    let deadline = Instant::now().checked_add(timeout);
    let deadline = deadline.filter(|_| timeout_ms != CTALK_FOREVER);
    agent.run(stopper, async |at| {
        let mut observe = |event: Event<'_>| at.observe(event);
        let mut was_asked = false;
        let over = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(over);
        let _watch = if timeout_ms == 0 {
            None
        } else {
            tokio::select! {
                biased;
                watch = at.watch() => Some(watch),
                () = &mut over => return Ok(None),
            }
        };
        loop {
            let mut turn = at.turn().await;
            let (client, following) = turn.following()?;
            while let Some(next) = following.next(client, &mut observe).await? {
                match next {
                    Next::Message(handover) | Next::Unauthenticated(handover) => {
                        if let (true, Some(fingerprint)) =
                            (handover.pinned_now, &handover.message.fingerprint)
                        {
                            at.tell_pinned(&handover.message.relay_from, fingerprint);
                        }
                        let attempt = handover.attempt;
                        let (received, ticket) = handover.into_parts();
                        return Ok(Some(Message::new(agent, received, attempt, ticket)));
                    }
                    Next::SetAside(aside) => at.observe(Event::SetAside(&aside)),
                }
            }
            if timeout_ms == 0 {
                if was_asked {
                    return Ok(None);
                }
                was_asked = true;
                following.ask_now(client, &mut observe).await?;
                continue;
            }
            tokio::select! {
                biased;
                // Whoever waits for a turn has it now.
                () = at.rung() => {}
                waited = following.wait(client, &mut observe) => waited?,
                () = &mut over => return Ok(None),
            }
        }
    })
}
