//! Lists of contacts, also of somebody who made them up.

use std::io::{self, BufReader, Read};

use ctalk::{
    Class, ImportError, Imported, LineError, ListedContact,
    core::{Card, Identity, XWingSecret, trust::Standing},
    import_contacts,
    store::{Contact, Learned, NewContact, Store},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    agents::{new_identity, rng},
    scene::{NOW, at, sign},
};

/// Somebody with a store.
struct Importer {
    me: Identity,
    store: Store,
    folder: TempDir,
}

impl Importer {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store.sqlite"), None).unwrap();
        Self {
            me: new_identity(),
            store,
            folder,
        }
    }

    /// Imports a list; returns what it came to, and the refused lines with their classes.
    fn import(&mut self, list: impl Read) -> (Result<Imported, ImportError>, Vec<(u64, Class)>) {
        let mut refused = Vec::new();
        let report = |line, error: &LineError| refused.push((line, error.class()));
        let list = BufReader::new(list);
        let imported = import_contacts(&mut self.store, &self.me, list, at(NOW), report);
        (imported, refused)
    }

    /// Imports lines none of which is refused: how many were added, renewed and known.
    fn take(&mut self, lines: &[Value]) -> [u64; 3] {
        let (imported, refused) = self.import(text(lines).as_bytes());
        assert_eq!(refused, []);
        let imported = imported.unwrap();
        [imported.added, imported.renewed, imported.known]
    }

    /// The classes of lines all of which are refused.
    fn refused(&mut self, lines: &[Value]) -> Vec<Class> {
        let before = self.store.contacts().unwrap();
        let (imported, refused) = self.import(text(lines).as_bytes());
        assert_eq!(imported.unwrap().refused, lines.len() as u64);
        assert_eq!(self.store.contacts().unwrap(), before);
        refused.into_iter().map(|(_, class)| class).collect()
    }

    /// A contact as another process sees it.
    fn contact(&self, name: &str) -> Contact {
        let store = Store::open(&self.folder.path().join("store.sqlite"), None).unwrap();
        store.contact(name).unwrap().unwrap()
    }
}

/// Somebody with a card.
struct Person {
    identity: Identity,
    xwing: XWingSecret,
}

impl Person {
    fn new() -> Self {
        Self {
            identity: new_identity(),
            xwing: XWingSecret::generate(&mut rng()),
        }
    }

    fn card(&self, serial: u64) -> Card {
        sign(&self.identity, &self.xwing, "card", serial, NOW)
    }

    fn by_card(&self, name: &str, serial: u64) -> Value {
        json!({"name": name, "card": self.card(serial).to_text()})
    }

    fn by_keys(&self, name: &str) -> Value {
        let keys = self.identity.public_keys();
        json!({
            "name": name,
            "publicKey": keys.encryption().to_base64(),
            "signingKey": keys.verifying().to_base64(),
        })
    }
}

fn text(lines: &[Value]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn whoever_is_imported_is_pinned_and_to_be_verified() {
    let mut importer = Importer::new();
    let (bob, carol) = (Person::new(), Person::new());
    let list = [bob.by_card("bob", 1), carol.by_keys("carol")];
    assert_eq!(importer.take(&list), [2, 0, 0]);
    for (name, person) in [("bob", &bob), ("carol", &carol)] {
        let contact = importer.contact(name);
        assert_eq!(contact.keys, *person.identity.public_keys());
        assert_eq!(
            (contact.standing, contact.learned, contact.since),
            (Standing::Pinned, Learned::Imported, NOW)
        );
    }
    assert_eq!(importer.contact("bob").card, Some(bob.card(1)));
    // Nor can a list say that somebody is verified.
    let mut line = Person::new().by_card("dave", 1);
    line["standing"] = json!("verified");
    assert_eq!(importer.refused(&[line]), [Class::Malformed]);
}

#[test]
fn an_export_is_imported_as_it_was_and_again_changes_nothing() {
    let mut first = Importer::new();
    let people = [
        Person::new().by_card("bob", 1),
        Person::new().by_keys("carol"),
    ];
    first.take(&people);
    let bob = first.contact("bob");
    first
        .store
        .set_notes(&bob, "nobody else's business")
        .unwrap();
    first.store.set_standing(&bob, Standing::Verified).unwrap();
    let contacts = first.store.contacts().unwrap();
    let exported: Vec<_> = contacts
        .iter()
        .map(|contact| serde_json::to_value(ListedContact::from(contact)).unwrap())
        .collect();
    assert_eq!(exported, people);

    assert_eq!(first.take(&exported), [0, 0, 2]);
    assert_eq!(first.store.contacts().unwrap(), contacts);
    let mut second = Importer::new();
    assert_eq!(second.take(&exported), [2, 0, 0]);
    assert_eq!(second.contact("bob").standing, Standing::Pinned);
}

#[test]
fn a_list_lifts_and_renames_nobody_and_brings_newer_cards() {
    let mut importer = Importer::new();
    let (bob, carol) = (Person::new(), Person::new());
    importer.take(&[bob.by_card("bob", 2), carol.by_keys("carol")]);
    for (name, standing) in [("bob", Standing::Verified), ("carol", Standing::Blocked)] {
        let contact = importer.contact(name);
        importer.store.set_standing(&contact, standing).unwrap();
    }
    let list = [
        bob.by_card("robert", 1),
        bob.by_keys("bobby"),
        bob.by_card("bob", 3),
        carol.by_card("caroline", 1),
    ];
    assert_eq!(importer.take(&list), [0, 2, 2]);
    assert_eq!(importer.store.contacts().unwrap().len(), 2);
    assert_eq!(importer.contact("bob").card, Some(bob.card(3)));
    assert_eq!(importer.contact("bob").standing, Standing::Verified);
    assert_eq!(importer.contact("carol").card, Some(carol.card(1)));
    assert_eq!(importer.contact("carol").standing, Standing::Blocked);
}

#[test]
fn a_list_overwrites_nobody() {
    let mut importer = Importer::new();
    let (bob, carol, mallory) = (Person::new(), Person::new(), Person::new());
    importer.take(&[bob.by_card("bob", 2), carol.by_keys("carol")]);
    let me = Person {
        identity: Identity::from_keygen_json(&importer.me.to_keygen_json()).unwrap(),
        xwing: XWingSecret::generate(&mut rng()),
    };
    let keys = |encryption: &Person, signing: &Person| {
        let (mut line, other) = (encryption.by_keys("dave"), signing.by_keys("dave"));
        line["signingKey"] = other["signingKey"].clone();
        line
    };
    let same_xwing = Person {
        identity: new_identity(),
        xwing: XWingSecret::from_seed(&bob.xwing.seed()),
    };
    let same_serial = Person {
        identity: Identity::from_keygen_json(&bob.identity.to_keygen_json()).unwrap(),
        xwing: XWingSecret::generate(&mut rng()),
    };
    let list = [
        mallory.by_card("bob", 9),
        mallory.by_keys("CAROL"),
        keys(&bob, &mallory),
        keys(&mallory, &bob),
        keys(&mallory, &carol),
        me.by_card("dave", 1),
        me.by_keys("dave"),
        same_xwing.by_card("dave", 1),
        same_serial.by_card("bob", 2),
    ];
    assert_eq!(importer.refused(&list), [Class::NotTrusted; 9]);
}

#[test]
fn a_bad_line_is_told_by_its_number_and_keeps_no_other_out() {
    let mut importer = Importer::new();
    let (bob, carol) = (Person::new(), Person::new());
    let card = bob.card(1).to_text();
    let mut both = bob.by_card("bob", 1);
    both["publicKey"] = bob.by_keys("bob")["publicKey"].clone();
    let mut forged = bob.by_card("bob", 1);
    let last = if card.ends_with('A') { "Q" } else { "A" };
    forged["card"] = json!(format!("{}{last}", &card[..card.len() - 1]));
    let bad = [
        json!([]),
        json!({"name": "bob"}),
        json!({"card": card}),
        both,
        json!({"name": "bob", "card": "ctalk-card:"}),
        json!({"name": "bob", "publicKey": "", "signingKey": ""}),
        json!({"name": "../bob", "card": card}),
        json!({"name": "-rf", "card": card}),
        json!({"name": "b\u{43e}b", "card": card}),
        json!({"name": "bob\u{202e}", "card": card}),
        json!({"name": "x".repeat(65), "card": card}),
    ];
    let mut list = text(&bad).into_bytes();
    list.extend(b"not JSON\n\xff\xfe\n\n");
    list.extend([b'{'; 8193]);
    list.extend(
        format!(
            "\n{}\r\n{forged}\n{}",
            carol.by_keys("carol"),
            bob.by_card("bob", 1)
        )
        .as_bytes(),
    );
    let (imported, refused) = importer.import(list.as_slice());
    let imported = imported.unwrap();
    assert_eq!([imported.added, imported.refused], [2, 15]);
    let numbers: Vec<_> = refused.iter().map(|(number, _)| *number).collect();
    // 14 is empty, and 16 is a contact.
    assert_eq!(numbers, [(1..=13).collect(), vec![15, 17]].concat());
    assert!(
        refused[..14]
            .iter()
            .all(|(_, class)| *class == Class::Malformed),
        "{refused:?}"
    );
    assert_eq!(importer.store.contacts().unwrap().len(), 2);
}

#[test]
fn the_longest_line_is_imported_and_a_longer_one_is_never_held() {
    let mut importer = Importer::new();
    let line = Person::new().by_keys("bob").to_string();
    let padded = |length: usize| format!("{line}{}", " ".repeat(length - line.len()));
    let (imported, _) = importer.import(format!("{}\r\n", padded(8192)).as_bytes());
    assert_eq!(imported.unwrap().added, 1);
    let (imported, refused) = importer.import(padded(8193).as_bytes());
    assert_eq!(imported.unwrap().refused, 1);
    assert_eq!(refused, [(1, Class::Malformed)]);

    let endless = io::repeat(b'x').take(256 << 20).chain(&b"\n"[..]);
    let (imported, refused) = importer.import(endless.chain(line.as_bytes()));
    let imported = imported.unwrap();
    assert_eq!([imported.known, imported.refused], [1, 1]);
    assert_eq!(refused, [(1, Class::Malformed)]);
}

#[test]
fn a_million_lines_are_read_and_no_more() {
    let mut importer = Importer::new();
    let line = text(&[Person::new().by_keys("bob")]);
    let (imported, _) = importer.import(line.as_bytes().chain(io::repeat(b'\n').take(999_999)));
    assert_eq!(imported.unwrap().added, 1);
    let other = text(&[Person::new().by_keys("carol")]);
    let (imported, refused) = importer.import(
        io::repeat(b'\n')
            .take(999_999)
            .chain(other.as_bytes())
            .chain(&b"{}\n"[..]),
    );
    assert!(matches!(imported, Err(ImportError::TooManyLines)));
    assert_eq!(refused, []);
    // What came before stays.
    assert_eq!(importer.store.contacts().unwrap().len(), 2);
}

#[test]
fn an_import_that_fails_keeps_what_was_imported_before() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("gone"))
        }
    }
    let mut importer = Importer::new();
    let line = text(&[Person::new().by_keys("bob")]);
    let (imported, _) = importer.import(line.as_bytes().chain(Broken));
    assert!(matches!(imported, Err(ImportError::Read(_))));
    importer.contact("bob");
    // And the store is as good as before.
    let person = Person::new();
    let pinned = NewContact {
        name: "carol",
        address: None,
        keys: person.identity.public_keys(),
        card: None,
        learned: Learned::FirstUse,
        standing: Standing::Pinned,
    };
    importer.store.pin(pinned, NOW).unwrap();
    importer.contact("carol");
}
