//! Contacts: whose keys they have, what they may do, and what is known of them.

use std::fs;

use serde_json::{Value, json};
use snapbox::str;

use crate::support::{Sandbox, error_lines, lines, on_a_terminal, stderr, text};

/// Both know each other, by first use.
fn acquainted(sandbox: &Sandbox) {
    sandbox.run("alice", &["send", "bob", "hello"]).success();
    sandbox.run("bob", &["recv"]).success();
}

fn shown(sandbox: &Sandbox, profile: &str, name: &str) -> Value {
    sandbox.json(profile, &["contact", "show", name]).remove(0)
}

fn number(sandbox: &Sandbox, profile: &str, name: &str) -> Value {
    sandbox
        .json(profile, &["contact", "verify", name])
        .remove(0)
}

/// Verifies a contact by the fingerprint that it has here.
fn verify(sandbox: &Sandbox, profile: &str, name: &str) {
    let fingerprint = shown(sandbox, profile, name)["fingerprint"].clone();
    sandbox
        .run(profile, &["contact", "verify", name, text(&fingerprint)])
        .success();
}

/// The settings of a profile, with another line.
fn set(sandbox: &Sandbox, profile: &str, line: &str) {
    let path = sandbox.profile(profile).join("profile.toml");
    let settings = fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = settings
        .lines()
        .filter(|line| !line.starts_with("require"))
        .collect();
    fs::write(path, format!("{}\n{line}\n", kept.join("\n"))).unwrap();
}

#[test]
fn both_sides_see_the_same_safety_number_in_every_form() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    let card = sandbox.json("alice", &["card"]).remove(0);
    sandbox
        .run("bob", &["contact", "add", text(&card["card"])])
        .success();
    let alices = number(&sandbox, "alice", "bob");
    let bobs = number(&sandbox, "bob", "alice");
    for member in ["safetyNumber", "words"] {
        assert_eq!(alices[member], bobs[member]);
    }
    assert_eq!(alices["fingerprint"], bobs["ownFingerprint"]);
    assert_eq!(alices["ownFingerprint"], bobs["fingerprint"]);
    assert_eq!(alices["ownFingerprint"], card["fingerprint"]);
    assert_eq!(
        [&alices["format"], &alices["standing"]],
        ["native", "pinned"]
    );

    let printed = sandbox
        .run("alice", &["contact", "verify", "bob"])
        .success();
    let printed = String::from_utf8(printed.get_output().stdout.clone()).unwrap();
    let words: Vec<_> = printed.split_whitespace().collect();
    let all: Vec<_> = [&alices["safetyNumber"], &alices["words"]]
        .into_iter()
        .flat_map(|member| text(member).split(' '))
        .collect();
    assert_eq!(all.len(), 15 + 23);
    assert!(
        words.windows(all.len()).any(|words| words == all),
        "{printed}"
    );
    // Drawn from the same text on both sides.
    let blocks = |profile: &str, name: &str| {
        let output = sandbox.run(profile, &["contact", "verify", name]).success();
        let printed = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        printed.rsplit("\n\n").next().unwrap().to_owned()
    };
    let code = blocks("alice", "bob");
    assert!(code.contains('█'), "{code}");
    assert_eq!(code, blocks("bob", "alice"));
    assert_eq!(shown(&sandbox, "alice", "bob")["standing"], "pinned");
}

#[test]
fn both_sides_see_the_same_number_when_neither_knows_a_card() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    acquainted(&sandbox);
    let alices = number(&sandbox, "alice", "bob");
    let bobs = number(&sandbox, "bob", "alice");
    assert_eq!(alices["safetyNumber"], bobs["safetyNumber"]);
    assert_eq!([&alices["format"], &bobs["format"]], ["classic", "classic"]);
    assert_eq!(alices["fingerprint"], bobs["ownFingerprint"]);
    assert_eq!(alices["ownFingerprint"], bobs["fingerprint"]);

    // With only one of the cards they differ, and that is said; with both they are the same again.
    let card = |profile: &str| sandbox.json(profile, &["card"])[0]["card"].clone();
    sandbox
        .run("alice", &["contact", "add", text(&card("bob"))])
        .success();
    let one_sided = number(&sandbox, "alice", "bob");
    assert_ne!(one_sided["safetyNumber"], bobs["safetyNumber"]);
    let told = sandbox
        .run("bob", &["contact", "verify", "alice"])
        .success();
    assert!(stderr(&told).contains("`ctalk contact add`"));
    sandbox
        .run("bob", &["contact", "add", text(&card("alice"))])
        .success();
    assert_eq!(
        number(&sandbox, "bob", "alice")["safetyNumber"],
        one_sided["safetyNumber"]
    );
}

#[test]
fn only_the_whole_and_right_fingerprint_verifies_a_contact() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    let whoami = sandbox.json("bob", &["whoami"]).remove(0);
    let right = text(&whoami["fingerprint"]).to_owned();
    let wrong = text(&sandbox.json("alice", &["whoami"])[0]["fingerprint"]).to_owned();
    let verify = |arguments: &[&str]| {
        sandbox.run(
            "alice",
            &[&["contact", "verify", "bob", "--json"], arguments].concat(),
        )
    };
    for (given, code) in [(wrong.as_str(), 5), (&right[..60], 2), ("bob's", 2)] {
        let refused = verify(&[given]).code(code).stdout_eq("");
        let error = error_lines(&refused).remove(0);
        if code == 5 {
            let told = text(&error["error"]).replace(' ', "");
            assert!(told.contains(&right) && told.contains(&wrong), "{told}");
            assert!(text(&error["hint"]).contains("whoami"));
        }
        assert_eq!(shown(&sandbox, "alice", "bob")["standing"], "pinned");
    }
    let grouped: Vec<_> = right.as_bytes().chunks(4).collect();
    let words: Vec<_> = grouped
        .iter()
        .map(|group| str::from_utf8(group).unwrap())
        .collect();
    let verified = lines(&verify(&words).success()).remove(0);
    assert_eq!(verified["standing"], "verified");
    assert_eq!(shown(&sandbox, "alice", "bob")["standing"], "verified");
    sandbox
        .run(
            "alice",
            &["contact", "verify", "bob", &right.to_uppercase()],
        )
        .success()
        .stdout_eq("bob is verified\n");
    sandbox
        .run("alice", &["contact", "verify", "nobody", &right])
        .code(2);
}

#[test]
fn a_contact_without_a_card_is_verified_by_both_its_keys() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    acquainted(&sandbox);
    let whoami = sandbox.json("bob", &["whoami"]).remove(0);
    // The native one says nothing about the key that is sealed to.
    let refused = sandbox
        .run(
            "alice",
            &["contact", "verify", "bob", text(&whoami["fingerprint"])],
        )
        .code(5);
    assert!(stderr(&refused).contains("classic fingerprint"));
    sandbox
        .run(
            "alice",
            &[
                "contact",
                "verify",
                "bob",
                text(&whoami["classicFingerprint"]),
            ],
        )
        .success()
        .stdout_eq("bob is verified\n");
}

#[test]
fn at_a_terminal_a_yes_verifies_and_nothing_else_does() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    for (typed, standing) in [("n\n", "pinned"), ("\n", "pinned"), ("y\n", "verified")] {
        let seen = on_a_terminal(&sandbox, "alice", "contact verify bob", false, typed);
        assert!(
            seen.contains("Is it the same on both sides? [y/N]"),
            "{seen}"
        );
        assert_eq!(
            shown(&sandbox, "alice", "bob")["standing"],
            standing,
            "{typed:?}"
        );
    }
}

#[test]
fn without_a_terminal_the_safety_number_is_only_shown() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    let command = sandbox
        .command("alice")
        .args(["contact", "verify", "bob"])
        .stdin("y\n");
    let output = sandbox.finish(command).success();
    let fingerprint = shown(&sandbox, "alice", "bob")["fingerprint"].clone();
    let way = format!("ctalk contact verify bob {}", text(&fingerprint));
    assert!(stderr(&output).contains(&way));
    assert_eq!(shown(&sandbox, "alice", "bob")["standing"], "pinned");
}

#[test]
fn blocking_outlasts_verification_and_ends_in_pinned() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    verify(&sandbox, "alice", "bob");
    sandbox
        .run("alice", &["contact", "block", "bob"])
        .success()
        .stdout_eq("bob is blocked\n");
    let fingerprint = shown(&sandbox, "alice", "bob")["fingerprint"].clone();
    for arguments in [
        &["contact", "verify", "bob", text(&fingerprint)][..],
        &["contact", "verify", "bob"],
        &["send", "bob", "hi"],
        &["send", "--plaintext", "bob", "hi"],
    ] {
        sandbox
            .run("alice", arguments)
            .code(13)
            .stdout_eq("")
            .stderr_eq(str![[r#"
error: `bob` is blocked
hint: ctalk contact unblock bob

"#]]);
    }
    assert_eq!(shown(&sandbox, "alice", "bob")["standing"], "blocked");
    sandbox
        .run("bob", &["send", "alice", "let me in"])
        .success();
    let aside = sandbox.run("alice", &["recv"]).code(9).stdout_eq("");
    assert!(stderr(&aside).contains("blocked"));

    let unblocked = sandbox.json("alice", &["contact", "unblock", "bob"]);
    assert_eq!(unblocked[0]["standing"], "pinned");
    sandbox.run("alice", &["send", "bob", "hi"]).success();
    verify(&sandbox, "alice", "bob");
    sandbox
        .run("alice", &["contact", "unblock", "bob"])
        .success()
        .stdout_eq("bob is verified\n");
}

#[test]
fn contacts_are_renamed_and_written_about() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol"]);
    sandbox
        .run("alice", &["send", "bob", "x", "--to", "carol"])
        .success();
    sandbox
        .run("alice", &["contact", "rename", "bob", "Robert"])
        .success()
        .stdout_eq("renamed bob to Robert\n");
    sandbox
        .run("alice", &["contact", "note", "robert", "met at\nthe fair"])
        .success()
        .stdout_eq("noted for Robert\n");
    let robert = shown(&sandbox, "alice", "ROBERT");
    assert_eq!(
        [&robert["name"], &robert["address"], &robert["notes"]],
        ["Robert", "bob", "met at\nthe fair"]
    );
    let output = sandbox
        .run("alice", &["contact", "show", "Robert"])
        .success();
    let printed = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(printed.contains(r"met at\u{a}the fair"), "{printed}");
    // The relay's name goes on to reach him.
    for name in ["Robert", "bob"] {
        let sent = sandbox.json("alice", &["send", name, "x"]).remove(0);
        assert_eq!(
            [&sent["to"], &sent["pinned"]],
            [&json!("Robert"), &json!(false)]
        );
    }
    sandbox
        .run("alice", &["contact", "rename", "carol", "ROBERT"])
        .code(5)
        .stdout_eq("");
    assert_eq!(shown(&sandbox, "alice", "carol")["name"], "carol");
    let noted = sandbox.json("alice", &["contact", "note", "Robert", ""]);
    assert_eq!(noted[0]["notes"], "");
    sandbox
        .run("alice", &["contact", "note", "Robert", &"x".repeat(4097)])
        .code(2);
    for arguments in [
        &["rename", "nobody", "somebody"][..],
        &["note", "nobody", "x"],
        &["block", "nobody"],
        &["unblock", "nobody"],
        &["verify", "nobody"],
    ] {
        sandbox
            .run("alice", &[&["contact"], arguments].concat())
            .code(2)
            .stdout_eq("");
    }
}

#[test]
fn no_contact_gets_a_name_that_is_a_path_or_an_option_or_looks_like_another() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    for name in [
        "../x",
        "/etc/x",
        "-rf",
        "--json",
        "a b",
        "b\u{43e}b",
        "bob\u{202e}",
        "broadcast",
    ] {
        let refused = sandbox
            .run("alice", &["contact", "rename", "bob", "--", name])
            .code(2)
            .stdout_eq("");
        assert!(!stderr(&refused).contains('\u{202e}'));
    }
    assert_eq!(shown(&sandbox, "alice", "bob")["name"], "bob");
}

#[test]
fn a_name_that_looks_like_another_is_shown_as_what_it_is() {
    let sandbox = Sandbox::with(&["alice"]);
    let look_alike = "b\u{43e}b";
    let (public_key, signing_key) = sandbox.foreign_keys();
    sandbox
        .relay
        .register(look_alike, &public_key, &signing_key);
    let listed = sandbox.run("alice", &["agents"]).success();
    let listed = String::from_utf8(listed.get_output().stdout.clone()).unwrap();
    assert!(
        listed.contains(r"b\u{43e}b") && !listed.contains(look_alike),
        "{listed}"
    );
    let fingerprint = sandbox.json("alice", &["agents"])[1]["fingerprint"].clone();
    sandbox
        .run(
            "alice",
            &["contact", "accept-key", look_alike, text(&fingerprint)],
        )
        .success();
    for arguments in [
        ["contact", "list"].as_slice(),
        &["contact", "show", look_alike],
    ] {
        let output = sandbox.run("alice", arguments).success();
        let printed = String::from_utf8(output.get_output().stdout.clone()).unwrap();
        assert!(
            printed.contains(r"b\u{43e}b") && !printed.contains(look_alike),
            "{printed}"
        );
    }
}

#[test]
fn the_cards_that_a_contact_had_are_shown_newest_first() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    let first = sandbox.json("bob", &["card"]).remove(0);
    // A card names the relay, and so another one makes another card.
    let path = sandbox.profile("bob").join("profile.toml");
    let settings = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        settings.replace("http://127.0.0.1", "http://localhost"),
    )
    .unwrap();
    let second = sandbox.json("bob", &["card"]).remove(0);
    sandbox
        .run("alice", &["contact", "add", text(&second["card"])])
        .success();
    let cards = shown(&sandbox, "alice", "bob")["cards"].clone();
    assert_eq!(cards.as_array().unwrap().len(), 2);
    for (held, card) in [(&cards[0], &second), (&cards[1], &first)] {
        for member in ["serial", "created", "expires", "fingerprint"] {
            assert_eq!(held[member], card[member]);
        }
        assert!(text(&held["received"]).ends_with('Z'));
    }
    let output = sandbox.run("alice", &["contact", "show", "bob"]).success();
    let printed = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    assert!(printed.contains(&second["serial"].to_string()), "{printed}");
}

#[test]
fn what_is_required_is_required_of_sending_and_receiving() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    sandbox
        .run("alice", &["send", "--require", "native", "bob", "x"])
        .success();
    let refused = sandbox
        .run("alice", &["send", "--require", "verified", "bob", "x"])
        .code(5)
        .stdout_eq("");
    assert!(stderr(&refused).contains("ctalk contact verify bob"));
    sandbox
        .run("bob", &["send", "alice", "to be set aside"])
        .success();
    let aside = sandbox
        .run("alice", &["recv", "--require", "verified"])
        .code(9)
        .stdout_eq("");
    assert!(stderr(&aside).contains("unverified"));

    verify(&sandbox, "alice", "bob");
    sandbox
        .run("alice", &["send", "--require", "verified", "bob", "x"])
        .success();
    let number = sandbox.json("alice", &["inbox", "list"])[0]["number"].to_string();
    sandbox.run("alice", &["inbox", "retry", &number]).success();
    let both = ["recv", "--require", "verified", "--require", "native"];
    let received = sandbox.json("alice", &both);
    assert_eq!(
        [&received[0]["payload"], &received[0]["trust"]],
        ["to be set aside", "verified"]
    );
    sandbox
        .run("alice", &["send", "--require", "paired", "bob", "x"])
        .code(2);
}

#[test]
fn an_envelope_can_be_required() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    acquainted(&sandbox);
    let refused = sandbox
        .run("alice", &["send", "--require", "native", "bob", "x"])
        .code(5);
    assert!(stderr(&refused).contains("key card"));
    sandbox.run("alice", &["send", "bob", "x"]).success();
    let aside = sandbox
        .run("bob", &["recv", "--require", "native"])
        .code(9)
        .stdout_eq("");
    assert!(stderr(&aside).contains("downgrade"));
}

#[test]
fn the_profile_can_require_and_the_option_adds_to_it() {
    let sandbox = Sandbox::classic(&["alice", "bob"]);
    acquainted(&sandbox);
    set(&sandbox, "alice", r#"require = ["verified"]"#);
    sandbox.run("alice", &["send", "bob", "x"]).code(5);
    sandbox
        .run("alice", &["send", "--plaintext", "bob", "x"])
        .code(5);
    sandbox
        .run("alice", &["send", "--plaintext", "--broadcast", "x"])
        .code(5);
    // What the profile says survives what ctalk writes into it.
    sandbox.register("alice").success();
    sandbox.relay.set_agent_capabilities("alice", &[]);
    sandbox.run("alice", &["send", "bob", "x"]).code(5);
    verify(&sandbox, "alice", "bob");
    sandbox.run("alice", &["send", "bob", "x"]).success();
    sandbox
        .run("alice", &["send", "--require", "native", "bob", "x"])
        .code(5);

    for (setting, told) in [
        (r#"require = ["paired"]"#, "`paired` cannot be required"),
        (r#"require = "verified""#, "require"),
        ("require = [1]", "require"),
    ] {
        set(&sandbox, "alice", setting);
        let refused = sandbox.run("alice", &["send", "bob", "x"]).code(8);
        let refused = stderr(&refused);
        assert!(refused.contains("profile.toml"), "{refused}");
        assert!(
            refused.contains(told) && refused.contains("line "),
            "{refused}"
        );
    }
    set(&sandbox, "alice", "");
    sandbox.run("alice", &["send", "bob", "x"]).success();
}

#[test]
fn a_key_that_changed_says_whether_the_former_one_was_verified() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    acquainted(&sandbox);
    let pinned = text(&shown(&sandbox, "alice", "bob")["classicFingerprint"]).to_owned();
    let (public_key, signing_key) = sandbox.foreign_keys();
    let refused = |is_verified: bool| {
        // Else the directory is not asked again for a day.
        sandbox.run("alice", &["contact", "add", "bob"]).code(5);
        let output = sandbox
            .run("alice", &["contact", "add", "bob", "--json"])
            .code(5);
        let error = error_lines(&output).remove(0);
        let told = text(&error["error"]).replace(' ', "");
        let offered = text(&sandbox.json("alice", &["agents"])[1]["fingerprint"]).to_owned();
        assert!(told.contains(&pinned) && told.contains(&offered), "{told}");
        assert_eq!(told.contains("whomyouverified"), is_verified, "{told}");
        let hint = text(&error["hint"]);
        assert!(
            hint.contains(&format!("ctalk contact accept-key bob {offered}")),
            "{hint}"
        );
        assert_eq!(hint.contains("verify it again"), is_verified, "{hint}");
    };
    sandbox.relay.set_agent_capabilities("bob", &[]);
    sandbox
        .relay
        .set_agent_keys("bob", &public_key, &signing_key);
    refused(false);
    verify(&sandbox, "alice", "bob");
    refused(true);
    assert_eq!(shown(&sandbox, "alice", "bob")["standing"], "verified");
}

#[test]
fn one_line_end_of_a_file_is_taken_off_and_no_lone_carriage_return() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let card = text(&sandbox.json("bob", &["card"])[0]["card"]).to_owned();
    for (end, code) in [
        ("\r", 10),
        ("\n\n", 10),
        ("\n\r", 10),
        (" ", 10),
        ("\r\n", 0),
    ] {
        let file = sandbox.file("card", format!("{card}{end}"));
        sandbox.run("alice", &["contact", "add", &file]).code(code);
    }
    sandbox.file("admin-key", format!("{}\r", crate::support::ADMIN_KEY));
    sandbox
        .run(
            "carol",
            &["keygen", "--name", "carol", "--key-store", "plain"],
        )
        .success();
    sandbox.register("carol").code(2);
    sandbox.file("admin-key", format!("{}\r\n", crate::support::ADMIN_KEY));
    sandbox.register("carol").success();
}

#[test]
fn contacts_are_exported_to_another_profile_and_are_to_be_verified_there() {
    let sandbox = Sandbox::with(&["alice", "bob", "carol", "dave", "erin"]);
    sandbox.relay.set_agent_capabilities("carol", &[]);
    sandbox
        .run(
            "alice",
            &["send", "bob", "x", "--to", "carol", "--to", "dave"],
        )
        .success();
    verify(&sandbox, "alice", "bob");
    sandbox
        .run("alice", &["contact", "block", "dave"])
        .success();
    sandbox
        .run("alice", &["contact", "note", "bob", "owes me ten"])
        .success();
    let exported = sandbox
        .run("alice", &["contact", "export"])
        .success()
        .stderr_eq("1 blocked left out\n");
    let list = String::from_utf8(exported.get_output().stdout.clone()).unwrap();
    let (bob, carol) = (
        shown(&sandbox, "alice", "bob"),
        shown(&sandbox, "alice", "carol"),
    );
    let card = sandbox.json("bob", &["card"])[0]["card"].clone();
    let keys = [carol["publicKey"].clone(), carol["signingKey"].clone()];
    assert_eq!(
        lines(&exported),
        [
            json!({"name": "bob", "card": card}),
            json!({"name": "carol", "publicKey": keys[0], "signingKey": keys[1]}),
        ]
    );
    sandbox
        .run("alice", &["contact", "export", "CAROL"])
        .success()
        .stdout_eq(format!("{}\n", list.lines().nth(1).unwrap()));
    for (names, code) in [(["carol", "dave"], 13), (["carol", "nobody"], 2)] {
        sandbox
            .run("alice", &[&["contact", "export"], &names[..]].concat())
            .code(code)
            .stdout_eq("");
    }

    let file = sandbox.file("list", &list);
    sandbox
        .run("erin", &["contact", "import", &file])
        .success()
        .stdout_eq("2 added, 0 renewed, 0 known, 0 refused\n")
        .stderr_eq("");
    let from_stdin = sandbox
        .command("erin")
        .args(["contact", "import", "-", "--json"])
        .stdin(list);
    sandbox.finish(from_stdin).success().stdout_eq(str![[r#"
{"added":0,"renewed":0,"known":2,"refused":0}

"#]]);
    for (name, held) in [("bob", &bob), ("carol", &carol)] {
        let imported = shown(&sandbox, "erin", name);
        assert_eq!(imported["fingerprint"], held["fingerprint"]);
        assert_eq!(
            [
                &imported["standing"],
                &imported["learned"],
                &imported["notes"]
            ],
            ["pinned", "imported", ""]
        );
    }
    // The relay's directory says where they are.
    sandbox
        .run("erin", &["send", "bob", "hi", "--to", "carol"])
        .success()
        .stderr_eq("");
}

#[test]
fn bad_lines_of_a_list_are_told_and_the_good_ones_kept() {
    let sandbox = Sandbox::with(&["alice", "bob"]);
    let card = sandbox.json("bob", &["card"])[0]["card"].clone();
    let (public_key, signing_key) = sandbox.foreign_keys();
    let own = sandbox.json("alice", &["card"])[0]["card"].clone();
    let list = [
        json!({"name": "mallory\u{202e}", "card": card}).to_string(),
        json!({"name": "bob", "card": card}).to_string(),
        json!({"name": "bob", "publicKey": public_key, "signingKey": signing_key}).to_string(),
        json!({"name": "me", "card": own}).to_string(),
        "\u{1b}[2J".to_owned(),
    ];
    let file = sandbox.file("list", list.join("\n"));
    let output = sandbox
        .run("alice", &["contact", "import", &file])
        .code(10)
        .stdout_eq("1 added, 0 renewed, 0 known, 4 refused\n");
    let told = stderr(&output);
    for begin in [
        r"error: line 1: `mallory\u{202e}` cannot be a name",
        "error: line 3: `bob` is already the name of another contact",
        "error: line 4: the publicKey and signingKey offered for \"me\"",
        "error: line 5: ",
    ] {
        assert!(told.contains(begin), "{begin}: {told}");
    }
    assert!(!told.contains(['\u{202e}', '\u{1b}']), "{told}");

    let output = sandbox
        .run("alice", &["contact", "import", &file, "--json"])
        .code(10);
    assert_eq!(lines(&output)[0]["known"], 1);
    let refused: Vec<_> = error_lines(&output)
        .iter()
        .map(|error| (error["line"].clone(), error["class"].clone()))
        .collect();
    let classes = ["malformed", "not-trusted", "not-trusted", "malformed"];
    let expected: Vec<_> = [1, 3, 4, 5]
        .into_iter()
        .zip(classes)
        .map(|(line, class)| (json!(line), json!(class)))
        .collect();
    assert_eq!(refused, expected);
    sandbox
        .run("alice", &["contact", "import", "./no-such-file"])
        .code(2);
}
