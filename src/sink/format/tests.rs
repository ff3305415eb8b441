use proptest::prelude::*;

use super::{Content, Format, Reason, Refusal, UnknownFormat};

/// What one variable named `A` looks like in a file of this format.
fn line(format: Format, value: &str) -> String {
    let bytes = format.render(&[("A", value)]).expect("a format that carries the value");
    String::from_utf8(bytes.bytes().expect("one file").to_vec()).unwrap()
}

/// The formats that carry all of these variables.
fn able_to_carry(variables: &[(&str, &str)]) -> Vec<Format> {
    Format::ALL.into_iter().filter(|format| format.carries(variables)).collect()
}

#[test]
fn each_format_quotes_in_its_own_way() {
    for (format, value, expected) in [
        (Format::Sh, "", "export A=''\n"),
        (Format::Sh, "it's $(id)\n\\", "export A='it'\\''s $(id)\n\\'\n"),
        (Format::Sh, "''", "export A=''\\'''\\'''\n"),
        (Format::Systemd, "it's", "A='it'\"'\"'s'\n"),
        (Format::Systemd, "a\nb\\", "A='a\nb\\'\n"),
        (Format::Docker, " \"a\" # 'b' ", "A= \"a\" # 'b' \n"),
        (Format::Compose, "a\\b\"c$d'e\nf", "A=\"a\\\\b\\\"c\\$d'e\nf\"\n"),
        (Format::Compose, "$$é", "A=\"\\$\\$é\"\n"),
        (Format::Kubernetes, "a \"b\"\n# c", "A='a \"b\"\n# c'\n"),
        (Format::Dotenv, "", "A=''\n"),
        (Format::Dotenv, "a\n\"$(id)\" \\n", "A='a\n\"$(id)\" \\n'\n"),
        (Format::Dotenv, "it's\n$ 5", "A=\"it's\n$ 5\"\n"),
        (Format::Dotenv, "it's \"x\"\\", "A=it's \"x\"\\\n"),
        (Format::Dotenv, "C:\\", "A=C:\\\n"),
        (Format::Json, "a\"b\\\n\u{1}é", "{\n  \"A\": \"a\\\"b\\\\\\n\\u0001é\"\n}\n"),
    ] {
        assert_eq!(line(format, value), expected, "{format}");
    }
}

#[test]
fn each_format_says_why_it_cannot_carry_a_value() {
    let docker_line = |length| Reason::LineTooLong { limit: length };
    for (format, value, reason) in [
        (Format::Sh, "\0", Reason::Nul),
        (Format::Systemd, "a\u{fdd0}", Reason::Noncharacter),
        (Format::Systemd, "\u{10ffff}", Reason::Noncharacter),
        (Format::Systemd, &"x".repeat(131_070), Reason::TooLong { limit: 131_071 }),
        (Format::Docker, "a\nb", Reason::Newline),
        (Format::Docker, "a\r", Reason::CarriageReturnAtLineEnd),
        (Format::Docker, &"x".repeat(65_534), docker_line(65_535)),
        (Format::Compose, "a\0b", Reason::Nul),
        (Format::Kubernetes, "", Reason::Empty),
        (Format::Kubernetes, "it's", Reason::SingleQuote),
        (Format::Kubernetes, "a\r\nb", Reason::CarriageReturnAtLineEnd),
        (Format::Kubernetes, &"x".repeat(65_532), docker_line(65_535)),
        (Format::Kubernetes, &format!("a\n{}\nb", "x".repeat(65_536)), docker_line(65_535)),
        (Format::Dotenv, "a\rb", Reason::CarriageReturn),
        (Format::Dotenv, "${HOME}", Reason::Expansion),
        (Format::Dotenv, "${a:-b:c}", Reason::Expansion),
        (Format::Dotenv, "${a:${b}", Reason::Expansion),
        (Format::Dotenv, "'\"\n", Reason::Unquotable),
        (Format::Dotenv, "it's $HOME", Reason::Unquotable),
        (Format::Dotenv, "it's a \"b\" # c", Reason::Unquotable),
        (Format::Dotenv, "it's a \"b\"\u{feff}", Reason::Unquotable),
        (Format::Dotenv, r"\\", Reason::Unquotable),
    ] {
        assert_eq!(format.check("A", value), Err(reason), "{format}: {value:.20}");
    }
}

#[test]
fn values_at_the_limits_pass() {
    for (format, value) in [
        (Format::Sh, "x".repeat(1 << 20)),
        (Format::Systemd, "x".repeat(131_069)),
        (Format::Systemd, "\u{fdcf}\u{fdf0}\u{fffd}\u{10fffd}".to_owned()),
        (Format::Docker, "x".repeat(65_533)),
        (Format::Docker, "a\rb".to_owned()),
        (Format::Kubernetes, "x".repeat(65_531)),
        (Format::Kubernetes, format!("{}\n{}\n{}", "a".repeat(65_532), "b".repeat(65_535), "c".repeat(65_534))),
        (Format::Kubernetes, "a\rb\r".to_owned()),
        (Format::Dotenv, "${a:b}".to_owned()),
        (Format::Dotenv, "${a".to_owned()),
        (Format::Dotenv, "${a:-".to_owned()),
        (Format::Json, "\0".to_owned()),
        (Format::Dir, "\0\r\n".repeat(1 << 20)),
    ] {
        assert_eq!(format.check("A", &value), Ok(()), "{format}: {value:.20}");
    }
}

#[test]
fn names_are_identifiers_but_for_kubernetes_json_and_dir() {
    let identifiers = ["A", "__", "a_1", "A1", "__A"];
    let kubernetes_only = ["a-b.c d", "1A", "A B", "\"A'", "A#", "~"];
    let json_only = [" A", "A ", "#A", "A=B", "É", "A\n", "A\t", "A\u{7f}"];
    for format in Format::ALL {
        let takes = |name: &&str| format.check(name, "v").is_ok();
        assert!(identifiers.iter().all(takes), "{format}");
        assert_eq!(
            kubernetes_only.iter().any(takes),
            matches!(format, Format::Kubernetes | Format::Json | Format::Dir),
            "{format}"
        );
        assert_eq!(json_only.iter().any(takes), matches!(format, Format::Json | Format::Dir), "{format}");
    }
    assert!(kubernetes_only.iter().all(|name| Format::Kubernetes.check(name, "v").is_ok()));
}

#[test]
fn names_of_a_folder_are_those_of_files_that_it_has_no_use_for_itself() {
    let (most, over) = ("n".repeat(255), "é".repeat(128));
    for name in ["A", ".hidden", ".A..", "a b\n", "~", "-", "\\", "PATH", "COM1", "é", &most] {
        assert_eq!(Format::Dir.check(name, ""), Ok(()), "{name}");
    }
    for (name, reason, said) in [
        ("", Reason::NotAFileName, "\"\" (a name that no file can have: empty, `.`, or with a slash or NUL character)"),
        (".", Reason::NotAFileName, ". (a name that no file can have: empty, `.`, or with a slash or NUL character)"),
        (
            "a/b",
            Reason::NotAFileName,
            "a/b (a name that no file can have: empty, `.`, or with a slash or NUL character)",
        ),
        ("/", Reason::NotAFileName, "/ (a name that no file can have: empty, `.`, or with a slash or NUL character)"),
        (
            "a\0",
            Reason::NotAFileName,
            r"a\u{0} (a name that no file can have: empty, `.`, or with a slash or NUL character)",
        ),
        ("..", Reason::TwoDots, ".. (a name that begins with `..`)"),
        ("..data", Reason::TwoDots, "..data (a name that begins with `..`)"),
        ("...", Reason::TwoDots, "... (a name that begins with `..`)"),
    ] {
        assert_eq!(Format::Dir.check(name, "v"), Err(reason), "{name}");
        assert_eq!(Refusal { name: name.to_owned(), reason }.to_string(), said);
    }
    let reason = Reason::NameTooLong { limit: 255 };
    assert_eq!(Format::Dir.check(&over, "v"), Err(reason));
    assert!(Refusal { name: over, reason }.to_string().ends_with("… (a name of more than 255 bytes)"));
}

#[test]
fn only_sh_refuses_names_that_mean_something_to_a_shell() {
    let special =
        [("RANDOM", "bash"), ("_", "bash"), ("status", "zsh"), ("PGRP", "mksh"), ("JOBMAX", "ksh"), ("WORDS", "yash")];
    for (name, shell) in special {
        assert_eq!(Format::Sh.check(name, "v"), Err(Reason::SpecialToAShell { shell }), "{name}");
        let others = Format::ALL.into_iter().filter(|format| *format != Format::Sh);
        assert!(others.into_iter().all(|format| format.check(name, "v").is_ok()), "{name}");
    }
    for name in ["Random", "DATABASE_URL", "GIT_TOKEN", "USER", "PORT"] {
        assert_eq!(Format::Sh.check(name, "v"), Ok(()), "{name}");
    }
    assert_eq!(Format::Dotenv.check("__proto__", "v"), Err(Reason::Setter));
    let refusals = Format::Sh.render(&[("USERNAME", "v")]).unwrap_err();
    assert_eq!(refusals[0].to_string(), "USERNAME (a name that means something to zsh)");
}

#[test]
fn variables_are_sorted_by_name() {
    let bytes = Format::Docker.render(&[("b", "1"), ("A", "2"), ("a", "3"), ("B", "4")]).unwrap();
    assert_eq!(bytes.bytes(), Some(&b"A=2\nB=4\na=3\nb=1\n"[..]));
    let Content::Folder(files) = Format::Dir.render(&[("b", "1"), ("A", "\0")]).unwrap() else { panic!("a folder") };
    let files: Vec<_> = files.iter().map(|file| (file.name.as_str(), &**file.content)).collect();
    assert_eq!(files, [("A", &b"\0"[..]), ("b", b"1")]);
}

#[test]
fn a_set_without_variables_is_an_empty_file_object_or_folder() {
    for format in Format::ALL {
        let expected: &[u8] = if format == Format::Json { b"{}\n" } else { b"" };
        let expected = Some(expected).filter(|_| format != Format::Dir);
        assert_eq!(format.render(&[]).unwrap().bytes(), expected, "{format}");
        assert_eq!(format.empty(), format.render(&[]).unwrap(), "{format}");
    }
}

#[test]
fn a_refusal_names_every_variable_in_the_way_and_no_value() {
    let refusals = Format::Kubernetes.render(&[("B", "hunter'2"), ("OK", "x"), ("A", "")]).unwrap_err();
    let names = |name: &str, reason| Refusal { name: name.to_owned(), reason };
    assert_eq!(refusals, [names("A", Reason::Empty), names("B", Reason::SingleQuote)]);
    let texts: Vec<_> = refusals.iter().map(ToString::to_string).collect();
    assert_eq!(texts, ["A (an empty value)", "B (a single quote)"]);
    assert!(!format!("{refusals:?}").contains("hunter"));
    for format in [Format::Sh, Format::Dir] {
        let shown = format!("{:?}", format.render(&[("B", "hunter2")]));
        assert!(!shown.contains("hunter") && !shown.contains("104"), "{shown}");
    }
}

#[test]
fn the_formats_that_could_carry_the_whole_set_are_known() {
    let hard = [("A", "it's"), ("B", "a\nb"), ("C", "")];
    assert_eq!(
        able_to_carry(&hard),
        [Format::Sh, Format::Compose, Format::Systemd, Format::Dotenv, Format::Json, Format::Dir]
    );
    assert_eq!(able_to_carry(&[("É", "\0")]), [Format::Json, Format::Dir]);
    assert_eq!(able_to_carry(&[("a/b", "\0")]), [Format::Json]);
    assert_eq!(able_to_carry(&[]), Format::ALL);
}

#[test]
fn formats_are_known_by_their_names() {
    for format in Format::ALL {
        assert_eq!(format.name().parse(), Ok(format));
        assert!(UnknownFormat.to_string().contains(format.name()));
    }
    assert_eq!("Sh".parse::<Format>(), Err(UnknownFormat));
}

proptest! {
    #[test]
    fn a_set_is_rendered_exactly_when_each_of_its_variables_passes(
        values in prop::collection::vec("(\\PC|[\n\r\\\\'\"`$(){}:#\u{0}-]){0,6}", 0..6),
    ) {
        let names: Vec<_> = (0..values.len()).map(|i| format!("V{i}")).collect();
        let variables: Vec<_> = names.iter().map(String::as_str).zip(values.iter().map(String::as_str)).collect();
        for format in Format::ALL {
            let refused: Vec<_> = variables
                .iter()
                .filter_map(|(name, value)| Some(((*name).to_owned(), format.check(name, value).err()?)))
                .collect();
            match format.render(&variables) {
                Ok(Content::Folder(files)) => {
                    prop_assert!(refused.is_empty());
                    prop_assert_eq!(files.len(), variables.len());
                }
                Ok(Content::File(bytes)) => {
                    prop_assert!(refused.is_empty());
                    prop_assert_eq!(bytes.capacity(), bytes.len(), "the buffer was sized in advance");
                    prop_assert!(bytes.last().is_none_or(|last| *last == b'\n'));
                }
                Err(refusals) => {
                    let found: Vec<_> = refusals.into_iter().map(|r| (r.name, r.reason)).collect();
                    prop_assert_eq!(found, refused);
                }
            }
            prop_assert_eq!(able_to_carry(&variables).contains(&format), format.render(&variables).is_ok());
        }
    }

    // The three ways of quoting, each with what it carries at the least.
    #[test]
    fn dotenv_refuses_nothing_that_one_of_its_quotings_carries(
        single in "[^'\r\\\\\x00$]{0,8}",
        double in "[^\"\r\\\\\x00$]{0,8}",
        bare in "[a-z]([a-z'\"` \t]{0,8}[a-z'\"`])?\\\\?",
    ) {
        for value in [single, double, bare] {
            prop_assert_eq!(Format::Dotenv.check("A", &value), Ok(()), "{:?}", value);
        }
    }
}
