//! The rules of trust against a model that is small enough to be believed.
//!
//! People, the cards they sign and what a relay shows are drawn at random, and so is what the user
//! does. After every step the contacts are those of the model, and the step went well or did not as
//! it does there.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::Duration,
};

use ctalk::{
    Client, Error, add_contact,
    core::{Card, CardStatement, Identity, XWingSecret, trust::Standing},
    relay::{Accepted, Delivery, Outgoing, Relay, RelayError},
    wire::DirectoryEntry,
};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use tempfile::TempDir;

use crate::{
    agents::{new_identity, rng, text_draft},
    scene::{NOW, SetClock, at},
};

const NAMES: [&str; 3] = ["ann", "bob", "cyd"];
/// The last one is a thief: its cards carry the X-Wing key of the first.
const PEOPLE: usize = 4;

/// A card: whose it is, its serial, and which of two with that serial.
type CardId = (usize, u64, bool);

type Person = (Identity, BTreeMap<(u64, bool), Card>);

/// Everybody's keys and cards, made once.
static PEOPLE_KEYS: LazyLock<Vec<Person>> = LazyLock::new(|| {
    let seeds: Vec<_> = (0..PEOPLE)
        .map(|_| XWingSecret::generate(&mut rng()).seed())
        .collect();
    (0..PEOPLE)
        .map(|person| {
            let seed = &seeds[person % (PEOPLE - 1)];
            let identity = new_identity().with_xwing(XWingSecret::from_seed(seed));
            let key = XWingSecret::from_seed(seed).public_key().clone();
            let cards = [(1, false), (1, true), (2, false), (2, true)].map(|(serial, other)| {
                let statement = CardStatement {
                    name: NAMES[person % NAMES.len()],
                    serial,
                    created: at(NOW),
                    expires: at(NOW + 1_000_000),
                    addresses: if other { &["there"] } else { &[] },
                };
                let card = Card::sign(&identity, &key, &statement).unwrap();
                ((serial, other), card)
            });
            (identity, BTreeMap::from(cards))
        })
        .collect()
});

fn card((person, serial, other): CardId) -> &'static Card {
    &PEOPLE_KEYS[person].1[&(serial, other)]
}

const fn xwing(person: usize) -> usize {
    person % (PEOPLE - 1)
}

/// A contact as the model knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Contact {
    person: usize,
    card: Option<CardId>,
    standing: Standing,
    address: Option<&'static str>,
    /// Whether the directory has shown its card.
    fresh: bool,
    /// Who it was before.
    former: BTreeSet<usize>,
    cards: BTreeSet<CardId>,
}

/// What the relay shows, and who is known.
#[derive(Clone, Debug, Default)]
struct Model {
    directory: BTreeMap<&'static str, (usize, Option<CardId>)>,
    contacts: BTreeMap<&'static str, Contact>,
    /// Whether the last step went well.
    ok: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// The relay shows this under the name from now on.
    Show(&'static str, usize, Option<(u64, bool)>),
    Hide(&'static str),
    AddCard(CardId, Option<&'static str>),
    AddListed(&'static str, Option<&'static str>),
    Send(&'static str),
    Accept(&'static str, usize),
    Verify(&'static str),
    Block(&'static str),
    Unblock(&'static str),
    Rename(&'static str, &'static str),
    Remove(&'static str),
}

type Done = Result<(), ()>;

impl Model {
    fn step(&mut self, step: &Step) {
        let done = match *step {
            Step::Show(name, person, card) => {
                let card = card.map(|(serial, other)| (person, serial, other));
                self.directory.insert(name, (person, card));
                Ok(())
            }
            Step::Hide(name) => {
                self.directory.remove(name);
                Ok(())
            }
            Step::AddCard(card, local) => self.add_card(card, local),
            Step::AddListed(address, local) => self.add_listed(address, local).map(|_| ()),
            Step::Send(name) => self.send(name),
            Step::Accept(name, person) => self.accept(name, person),
            Step::Verify(name) => self.stand(name, Standing::after_verification),
            Step::Block(name) => self.stand(name, |_| Standing::Blocked),
            Step::Unblock(name) => self.stand(name, Standing::after_unblocking),
            Step::Rename(name, new) => {
                if self.contacts.contains_key(name)
                    && (name == new || !self.contacts.contains_key(new))
                {
                    let contact = self.contacts.remove(name);
                    self.contacts.extend(contact.map(|contact| (new, contact)));
                    Ok(())
                } else {
                    Err(())
                }
            }
            Step::Remove(name) => self.contacts.remove(name).map(|_| ()).ok_or(()),
        };
        self.ok = done.is_ok();
    }

    fn stand(&mut self, name: &str, change: impl Fn(Standing) -> Standing) -> Done {
        let contact = self.contacts.get_mut(name).ok_or(())?;
        contact.standing = change(contact.standing);
        Ok(())
    }

    fn named_by(&self, person: usize) -> Option<&'static str> {
        let mut contacts = self.contacts.iter();
        contacts
            .find(|(_, contact)| contact.person == person)
            .map(|(name, _)| *name)
    }

    fn at(&self, address: &str) -> Option<&'static str> {
        let mut contacts = self.contacts.iter();
        contacts
            .find(|(_, contact)| contact.address == Some(address))
            .map(|(name, _)| *name)
    }

    /// Nobody of another name is or was this person.
    fn check_holders(&self, name: &str, person: usize) -> Done {
        let held = self.contacts.iter().any(|(holder, contact)| {
            *holder != name && (contact.person == person || contact.former.contains(&person))
        });
        if held { Err(()) } else { Ok(()) }
    }

    /// It is the only card of its serial.
    fn check_known(&self, card: CardId) -> Done {
        let doubled = self.contacts.values().any(|contact| {
            let mut cards = contact.cards.iter();
            (contact.person == card.0 || contact.former.contains(&card.0))
                && cards.any(|held| held.0 == card.0 && held.1 == card.1 && *held != card)
        });
        if doubled { Err(()) } else { Ok(()) }
    }

    /// And nobody of another name has its X-Wing key.
    fn check_card(&self, name: &str, card: CardId) -> Done {
        let stolen = self.contacts.iter().any(|(holder, contact)| {
            let mut cards = contact.cards.iter();
            *holder != name && cards.any(|held| xwing(held.0) == xwing(card.0) && held.0 != card.0)
        });
        if stolen {
            return Err(());
        }
        self.check_known(card)
    }

    fn renew(&mut self, name: &'static str, card: CardId) -> Done {
        let held = self.contacts[name].card;
        if held.is_some_and(|held| held.1 == card.1 && held != card) {
            return Err(());
        }
        if held.is_none_or(|held| held.1 < card.1) {
            self.check_known(card)?;
            let contact = self.contacts.get_mut(name).ok_or(())?;
            contact.card = Some(card);
            contact.cards.insert(card);
        }
        Ok(())
    }

    fn pin(
        &mut self,
        name: &'static str,
        address: Option<&'static str>,
        person: usize,
        card: Option<CardId>,
    ) -> Done {
        if self
            .contacts
            .get(name)
            .is_some_and(|contact| contact.person != person)
        {
            return Err(());
        }
        for (other, contact) in &mut self.contacts {
            if *other != name && address.is_some() && contact.address == address {
                contact.address = None;
            }
        }
        if let Some(contact) = self.contacts.get_mut(name) {
            contact.address = address;
            return Ok(());
        }
        let contact = Contact {
            person,
            card,
            standing: Standing::Pinned,
            address,
            fresh: false,
            former: BTreeSet::new(),
            cards: card.into_iter().collect(),
        };
        self.contacts.insert(name, contact);
        Ok(())
    }

    fn add_card(&mut self, card: CardId, local: Option<&'static str>) -> Done {
        if let Some(name) = self.named_by(card.0) {
            return self.renew(name, card);
        }
        let name = local.unwrap_or(NAMES[card.0 % NAMES.len()]);
        self.check_holders(name, card.0)?;
        self.check_card(name, card)?;
        if self.contacts.contains_key(name) {
            return Err(());
        }
        self.pin(name, None, card.0, Some(card))
    }

    fn add_listed(
        &mut self,
        address: &'static str,
        local: Option<&'static str>,
    ) -> Result<&'static str, ()> {
        let (person, card) = *self.directory.get(address).ok_or(())?;
        let unlisted = self
            .named_by(person)
            .filter(|name| self.contacts[name].address.is_none());
        if let Some(name) = self.at(address).or(unlisted) {
            let contact = self.contacts.get_mut(name).ok_or(())?;
            if contact.person != person {
                return Err(());
            }
            contact.address = Some(address);
            if let Some(card) = card {
                self.renew(name, card)?;
                self.contacts.get_mut(name).ok_or(())?.fresh = true;
            }
            return Ok(name);
        }
        let name = local.unwrap_or(address);
        self.check_holders(name, person)?;
        let mut others = self.directory.iter();
        if others.any(|(other, entry)| *other != address && entry.0 == person) {
            return Err(());
        }
        if let Some(card) = card {
            self.check_card(name, card)?;
        }
        self.pin(name, Some(address), person, card)?;
        if card.is_some() {
            self.contacts.get_mut(name).ok_or(())?.fresh = true;
        }
        Ok(name)
    }

    fn send(&mut self, name: &'static str) -> Done {
        let known = self.contacts.contains_key(name).then_some(name);
        let known = known.or_else(|| self.at(name));
        let is_fresh = known.is_some_and(|known| {
            let contact = &self.contacts[known];
            contact.address.is_some() && contact.fresh && contact.card.is_some()
        });
        let to = match known {
            Some(known) if is_fresh => known,
            Some(known) => {
                let address = self.address_of(known)?;
                self.add_listed(address, None)?
            }
            None => self.add_listed(name, None)?,
        };
        if self.contacts[to].standing == Standing::Blocked {
            return Err(());
        }
        Ok(())
    }

    /// Where the directory lists a contact.
    fn address_of(&self, name: &'static str) -> Result<&'static str, ()> {
        let contact = &self.contacts[name];
        if let Some(address) = contact.address {
            return self
                .directory
                .contains_key(address)
                .then_some(address)
                .ok_or(());
        }
        if self
            .directory
            .get(name)
            .is_some_and(|entry| entry.0 == contact.person)
        {
            return Ok(name);
        }
        let listed = self.directory.iter();
        let mut listed = listed.filter(|(_, entry)| entry.0 == contact.person);
        match (listed.next(), listed.next()) {
            (Some((address, _)), None) => Ok(address),
            _ => Err(()),
        }
    }

    fn accept(&mut self, name: &'static str, person: usize) -> Done {
        let known = self.contacts.contains_key(name).then_some(name);
        let known = known.or_else(|| self.at(name));
        let known = known.filter(|known| self.contacts[known].address.is_some());
        let address = known.and_then(|known| self.contacts[known].address);
        let address = address.unwrap_or(name);
        let (listed, card) = *self.directory.get(address).ok_or(())?;
        if listed != person {
            return Err(());
        }
        let holder = known.unwrap_or(address);
        let same = known.filter(|known| self.contacts[known].person == person);
        if let (Some(card), Some(held)) = (card, same.and_then(|known| self.contacts[known].card))
            && (held.1 == card.1 && held != card)
        {
            return Err(());
        }
        self.check_holders(holder, person)?;
        if let Some(card) = card {
            self.check_known(card)?;
        }
        let Some(known) = known else {
            return self.pin(address, Some(address), person, card);
        };
        if self.contacts[known].person == person {
            return card.map_or(Ok(()), |card| self.renew(known, card));
        }
        let contact = self.contacts.get_mut(known).ok_or(())?;
        if contact.card.is_some() && card.is_none() {
            return Err(());
        }
        contact.former.insert(contact.person);
        contact.person = person;
        contact.card = card;
        contact.cards.extend(card);
        contact.standing = contact.standing.after_accepted_keys();
        contact.fresh = false;
        Ok(())
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::default()).boxed()
    }

    fn transitions(model: &Self) -> BoxedStrategy<Step> {
        // Mostly of the person whom the relay shows: others are refused at once.
        let mut accepted: Vec<_> = model
            .directory
            .iter()
            .map(|(name, entry)| (*name, entry.0))
            .collect();
        accepted.push(("ann", 0));
        // Mostly cards of those who were somebody else's before: they are what the rules are for.
        let former = model.contacts.values().flat_map(|contact| &contact.former);
        let mut people: Vec<_> = former.copied().collect();
        people.extend(0..PEOPLE);
        let name = || proptest::sample::select(&NAMES[..]);
        let local = || proptest::option::of(name());
        let version = || (1..=2_u64, any::<bool>());
        let person = || 0..PEOPLE;
        let card =
            (person(), version()).prop_map(|(person, (serial, other))| (person, serial, other));
        prop_oneof![
            4 => (name(), person(), proptest::option::of(version()))
                .prop_map(|(name, person, card)| Step::Show(name, person, card)),
            1 => name().prop_map(Step::Hide),
            3 => (card, local()).prop_map(|(card, local)| Step::AddCard(card, local)),
            3 => (name(), local()).prop_map(|(name, local)| Step::AddListed(name, local)),
            4 => name().prop_map(Step::Send),
            3 => proptest::sample::select(accepted)
                .prop_map(|(name, person)| Step::Accept(name, person)),
            2 => name().prop_map(Step::Verify),
            1 => name().prop_map(Step::Block),
            1 => name().prop_map(Step::Unblock),
            1 => (name(), name()).prop_map(|(name, new)| Step::Rename(name, new)),
            1 => name().prop_map(Step::Remove),
        ]
        .boxed()
    }

    fn apply(mut state: Self, step: &Step) -> Self {
        state.step(step);
        state
    }
}

/// A relay that shows what it is told to and takes every message.
#[derive(Clone, Default)]
struct Shown(Arc<Mutex<BTreeMap<&'static str, DirectoryEntry>>>);

#[async_trait::async_trait]
impl Relay for Shown {
    fn url(&self) -> &str {
        "shown://"
    }

    async fn send(&self, _outgoing: &Outgoing) -> Result<Accepted, RelayError> {
        Ok(Accepted {
            relay_id: None,
            ts: None,
        })
    }

    async fn fetch(&self, _wait: Duration) -> Result<Vec<Delivery>, RelayError> {
        Ok(Vec::new())
    }

    async fn directory(&self) -> Result<Vec<DirectoryEntry>, RelayError> {
        Ok(self.0.lock().unwrap().values().cloned().collect())
    }
}

/// The client under test.
struct Real {
    client: Client,
    me: Identity,
    shown: Shown,
    runtime: tokio::runtime::Runtime,
    _folder: TempDir,
}

impl Real {
    fn new() -> Self {
        // In memory where there is such a place: nothing here is about durability.
        let memory = Path::new("/dev/shm");
        let folder = if memory.is_dir() {
            TempDir::new_in(memory).unwrap()
        } else {
            TempDir::new().unwrap()
        };
        let (me, shown) = (new_identity(), Shown::default());
        let identity = Identity::from_keygen_json(&me.to_keygen_json()).unwrap();
        let store = folder.path().join("store.sqlite");
        let clock = Arc::new(SetClock::new());
        Self {
            client: Client::new("me", identity, shown.clone(), &store, clock).unwrap(),
            me,
            shown,
            runtime: tokio::runtime::Builder::new_current_thread()
                .build()
                .unwrap(),
            _folder: folder,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), Error> {
        let client = &mut self.client;
        match *step {
            Step::Show(name, person, version) => {
                let (identity, cards) = &PEOPLE_KEYS[person];
                let keys = identity.public_keys();
                let entry = DirectoryEntry {
                    name: name.to_owned(),
                    public_key: Some(keys.encryption().to_base64()),
                    signing_key: Some(keys.verifying().to_base64()),
                    capabilities: version
                        .map(|version| cards[&version].to_text())
                        .into_iter()
                        .collect(),
                    online: None,
                    last_seen: None,
                };
                self.shown.0.lock().unwrap().insert(name, entry);
                Ok(())
            }
            Step::Hide(name) => {
                self.shown.0.lock().unwrap().remove(name);
                Ok(())
            }
            Step::AddCard(id, local) => {
                add_contact(client.store_mut(), &self.me, card(id), local, at(NOW)).map(|_| ())
            }
            Step::AddListed(address, local) => self
                .runtime
                .block_on(client.add_contact(address, local))
                .map(|_| ()),
            Step::Send(name) => {
                let names = [name.to_owned()];
                let draft = text_draft("x");
                let mut outcomes = self.runtime.block_on(client.send(&names, &draft))?;
                outcomes.remove(0).map(|_| ())
            }
            Step::Accept(name, person) => {
                let fingerprint = PEOPLE_KEYS[person].0.public_keys().fingerprint();
                self.runtime.block_on(client.accept_key(name, fingerprint))
            }
            Step::Verify(name) => self.stand(name, Standing::after_verification),
            Step::Block(name) => self.stand(name, |_| Standing::Blocked),
            Step::Unblock(name) => self.stand(name, Standing::after_unblocking),
            Step::Rename(name, new) => {
                let contact = self.contact(name)?;
                Ok(self.client.store_mut().rename_contact(&contact, new)?)
            }
            Step::Remove(name) => {
                self.contact(name)?;
                self.client.store_mut().remove_contact(name)?;
                Ok(())
            }
        }
    }

    fn contact(&self, name: &str) -> Result<ctalk::store::Contact, Error> {
        let contact = self.client.store().contact(name)?;
        contact.ok_or_else(|| Error::UnknownContact {
            name: name.to_owned(),
        })
    }

    fn stand(&mut self, name: &str, change: impl Fn(Standing) -> Standing) -> Result<(), Error> {
        let contact = self.contact(name)?;
        self.client.store_mut().change_standing(&contact, change)?;
        Ok(())
    }
}

struct Trust;

impl StateMachineTest for Trust {
    type SystemUnderTest = Real;
    type Reference = Model;

    fn init_test(_: &Model) -> Real {
        Real::new()
    }

    fn apply(mut real: Real, model: &Model, step: Step) -> Real {
        let outcome = real.step(&step);
        assert_eq!(outcome.is_ok(), model.ok, "{step:?}: {outcome:?}");
        real
    }

    fn check_invariants(real: &Real, model: &Model) {
        let person = |contact: &ctalk::store::Contact| {
            let mut people = PEOPLE_KEYS.iter();
            people.position(|(identity, _)| *identity.public_keys() == contact.keys)
        };
        let found: Vec<_> = real.client.store().contacts().unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|contact| {
                (
                    contact.name.as_str(),
                    person(contact),
                    contact.card.as_ref(),
                    contact.standing,
                    contact.address.as_deref(),
                )
            })
            .collect();
        let expected: Vec<_> = model
            .contacts
            .iter()
            .map(|(name, contact)| {
                (
                    *name,
                    Some(contact.person),
                    contact.card.map(card),
                    contact.standing,
                    contact.address,
                )
            })
            .collect();
        assert_eq!(found, expected);
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn contacts_are_what_a_small_model_says(sequential 1..40 => Trust);
}
