//! What a file of variables may look like.

use super::*;

fn parsed(text: &str) -> Vec<(String, String)> {
    let variables = parse(text).expect(text);
    variables
        .into_iter()
        .map(|(key, value)| (key.to_string(), value))
        .collect()
}

#[test]
fn values_are_read_as_they_are_quoted() {
    for (text, value) in [
        ("A=", ""),
        ("A=b", "b"),
        ("  A = b c  ", "b c"),
        ("export A=b", "b"),
        ("export\tA=b", "b"),
        ("A=b # note", "b"),
        ("A=# note", ""),
        ("A=b#c", "b#c"),
        ("A=b=c", "b=c"),
        ("A='b # \\n \"c\"'", "b # \\n \"c\""),
        ("A=\"b # c\" # note", "b # c"),
        ("A=\"1\\n2\\t\\\\ \\\" \\$ \\`\"", "1\n2\t\\ \" $ `"),
        ("A=\"\\d+\"", "\\d+"),
        ("A=\"1\n2\"", "1\n2"),
        ("A='1\n2'\n", "1\n2"),
        ("A=b\r\n", "b"),
        ("\u{feff}A=b", "b"),
        ("A=${{ DB.URL }}", "${{ DB.URL }}"),
    ] {
        assert_eq!(
            parsed(text),
            [("A".to_owned(), value.to_owned())],
            "{text:?}"
        );
    }
}

#[test]
fn comments_and_blank_lines_are_skipped() {
    let text = "# note\n\n  # note\nA=1\n\nexport_me=2\n#end";
    let expected = [("A", "1"), ("export_me", "2")];
    assert_eq!(
        parsed(text),
        expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
    );
    assert_eq!(parsed(""), []);
}

#[test]
fn an_error_names_its_line() {
    for (text, line, reason) in [
        ("A=1\nB", 2, "this is no KEY=value"),
        ("A='1\n2'\n\nB C=1", 4, "a variable name"),
        ("=1", 1, "a variable name"),
        ("A=1\nB=\"x\n\n", 2, "the value has no closing \""),
        ("A='x' y", 1, "there is text after the closing '"),
        ("A=1\nB=2\nA=3", 3, "A is set twice"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.line, line, "{text:?}");
        assert!(error.reason.starts_with(reason), "{error}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let values = [
        "",
        "b",
        "a b",
        "#",
        " ",
        "it's",
        "\"",
        "'\"$`\\",
        "1\n2\r\n",
        "\t",
        "\\n",
        "${A}",
        "ü",
        "https://u:p@h/?a=b&c",
        "'\t\\t",
        "é\u{1}",
    ];
    for value in values {
        let key: EnvKey = "KEY".parse().expect("a key");
        let text = line(&key, value);
        assert_eq!(
            parsed(&text),
            [("KEY".to_owned(), value.to_owned())],
            "{text:?}"
        );
    }
}
