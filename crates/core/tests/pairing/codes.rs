//! Codes as they are shown and typed.

use core::convert::Infallible;
use std::collections::HashSet;

use ctalk_core::pairing::{CODE_WORDS, Code, CodeError, MAX_CODE_LEN};
use rand_core::{TryCryptoRng, TryRng};

use crate::{
    scene::{CODE, code},
    support::Seeded,
};

/// The same byte for ever.
struct Only(u8);

impl TryRng for Only {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_ne_bytes([self.0; 4]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_ne_bytes([self.0; 8]))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill(self.0);
        Ok(())
    }
}

impl TryCryptoRng for Only {}

#[test]
fn the_words_span_the_whole_list() {
    let generate = |byte| Code::generate("a", &mut Only(byte)).unwrap();
    assert_eq!(*generate(0).to_text(), "a-abandon-abandon-abandon-abandon");
    assert_eq!(*generate(0xff).to_text(), "a-zoo-zoo-zoo-zoo");
}

#[test]
fn every_word_is_drawn_on_its_own() {
    let mut rng = Seeded::new("codes");
    let mut seen: [HashSet<String>; CODE_WORDS] = Default::default();
    for _ in 0..500 {
        let text = Code::generate("a", &mut rng).unwrap().to_text();
        let words: Vec<_> = text.split('-').skip(1).collect();
        assert_eq!(words.len(), CODE_WORDS);
        for (seen, word) in seen.iter_mut().zip(words) {
            seen.insert(word.to_owned());
        }
    }
    // 500 draws from 2,048 words meet about 444 of them, and 2,000 draws about 1,277.
    for seen in &seen {
        assert!((400..490).contains(&seen.len()), "{}", seen.len());
    }
    let all: HashSet<_> = seen.iter().flatten().collect();
    assert!((1200..1350).contains(&all.len()), "{}", all.len());
}

#[test]
fn a_code_is_read_however_it_is_typed() {
    for typed in [
        CODE,
        "alice abandon zoo ability wild",
        "alice-Abandon-ZOO-ability-wilD",
        "  alice-abandon-zoo-ability-wild\r\n",
        "alice abandon - zoo  --  ability\twild",
        "alice  abandon-zoo-ability-wild - ",
    ] {
        let read = Code::parse(typed).unwrap();
        assert_eq!(*read.to_text(), CODE, "{typed}");
        assert_eq!(read.name(), "alice", "{typed}");
    }
}

#[test]
fn a_name_keeps_its_dashes_and_its_letter_case() {
    for name in ["b", "a-b", "Bob-", "-", "--", "zoo-zoo", "R_2-d2", "\u{e9}"] {
        let code = Code::generate(name, &mut Seeded::new(name)).unwrap();
        let read = Code::parse(&code.to_text()).unwrap();
        assert_eq!(read.name(), name);
        assert_eq!(read.to_text(), code.to_text());
    }
}

#[test]
fn a_wrong_word_is_told_by_its_place_alone() {
    for (typed, place) in [
        ("alice-abandom-zoo-ability-wild", 1),
        ("alice-abandon-hunter2-ability-wild", 2),
        ("alice-abandon-zoo-abilit-wild", 3),
        ("alice-abandon-zoo-ability-wildd", 4),
        ("alice-smith-zoo-ability-wild", 1),
        ("abandon-zoo-ability-w\u{ef}ld", 4),
    ] {
        let error = Code::parse(typed).unwrap_err();
        assert_eq!(error, CodeError::UnknownWord { place }, "{typed}");
        let shown = format!("{error} {error:?}");
        assert!(shown.contains(&place.to_string()));
        for word in typed.split('-') {
            assert!(!shown.contains(word), "{shown}");
        }
    }
}

#[test]
fn what_is_not_a_name_and_four_words_is_refused() {
    for (typed, error) in [
        ("", CodeError::Form),
        ("abandon", CodeError::Form),
        ("alice-zoo-ability-wild", CodeError::Form),
        ("-abandon-zoo-ability-wild", CodeError::Name),
        ("al ice-abandon-zoo-ability-wild", CodeError::Name),
        ("a\u{7}-abandon-zoo-ability-wild", CodeError::Name),
    ] {
        assert_eq!(Code::parse(typed).unwrap_err(), error, "{typed:?}");
    }
    let found = MAX_CODE_LEN + 1;
    let long = format!("{}{CODE}", " ".repeat(found - CODE.len()));
    assert_eq!(
        Code::parse(&long).unwrap_err(),
        CodeError::TooLong { found }
    );
    assert_eq!(*Code::parse(&long[1..]).unwrap().to_text(), CODE);
}

#[test]
fn a_name_that_could_not_be_read_back_gets_no_code() {
    let generate = |name: &str| Code::generate(name, &mut Seeded::new("code"));
    for name in ["", "a b", "a\n", "\u{85}", &"a".repeat(65)] {
        assert_eq!(generate(name).unwrap_err(), CodeError::Name, "{name:?}");
    }
    let code = generate(&"a".repeat(64)).unwrap();
    assert_eq!(Code::parse(&code.to_text()).unwrap().name().len(), 64);
}

#[test]
fn a_code_reads_back_as_it_was_read() {
    assert_eq!(*code().to_text(), CODE);
}
