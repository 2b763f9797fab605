//! Analyses: each file in `tests/analysis` is the output of an app or a build, and says above it which
//! cause is named first.
//!
//! `# expect: ID` (or `none`), `# says: TEXT` that its title or fix holds, `# from: PROGRAM` for output that a
//! program really wrote, or `# from: documentation`.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::LazyLock;

use proptest::prelude::*;
use tose_model::analysis::{Analysis, Facts, analyze, patterns};

/// What a file says above the output.
#[derive(Debug, Default)]
struct Sample {
    name: String,
    expected: Vec<String>,
    says: Vec<String>,
    from: Vec<String>,
    text: String,
}

fn parse(name: String, text: &str) -> Sample {
    let mut sample = Sample {
        name,
        ..Sample::default()
    };
    let mut rest = text;
    while let Some((line, after)) = rest.split_once('\n') {
        let Some((key, value)) = line
            .strip_prefix("# ")
            .and_then(|line| line.split_once(": "))
        else {
            break;
        };
        let list = match key {
            "expect" => &mut sample.expected,
            "says" => &mut sample.says,
            "from" => &mut sample.from,
            _ => break,
        };
        list.push(value.to_owned());
        rest = after;
    }
    sample.text = rest.to_owned();
    sample
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(read_samples);

fn read_samples() -> Vec<Sample> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/analysis");
    let mut samples: Vec<Sample> = std::fs::read_dir(dir)
        .expect("the folder")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "log"))
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            let text = std::fs::read_to_string(&path).expect("a text");
            parse(name.into_owned(), &text)
        })
        .collect();
    samples.sort_by(|a, b| a.name.cmp(&b.name));
    samples
}

fn analyze_text(text: &str) -> Analysis {
    let lines: Vec<&str> = text.lines().collect();
    analyze(&lines, &Facts::default())
}

/// What is wrong with the answer to a sample.
fn complaint(sample: &Sample) -> Option<String> {
    let [expected] = sample.expected.as_slice() else {
        return Some("it has no `# expect:`".to_owned());
    };
    if sample.from.len() != 1 {
        return Some("it does not say where it is from".to_owned());
    }
    let analysis = analyze_text(&sample.text);
    let first = analysis.causes.first();
    let found = first.map_or("none", |cause| cause.pattern);
    if found != expected {
        return Some(format!("{expected} expected, {analysis:#?}"));
    }
    let words = first.map_or(String::new(), |cause| {
        format!("{}: {}", cause.title, cause.fix)
    });
    let missing = sample.says.iter().find(|text| !words.contains(*text));
    missing.map(|text| format!("{text} is not in: {words}"))
}

#[test]
fn each_sample_has_the_cause_that_it_names() {
    let mut wrong = String::new();
    for sample in SAMPLES.iter() {
        if let Some(complaint) = complaint(sample) {
            writeln!(wrong, "{}: {complaint}", sample.name).expect("a text");
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn each_pattern_is_the_first_cause_of_a_sample() {
    let expected: BTreeSet<&str> = SAMPLES
        .iter()
        .flat_map(|sample| sample.expected.iter().map(String::as_str))
        .collect();
    let missing: Vec<&str> = patterns().filter(|id| !expected.contains(id)).collect();
    assert!(missing.is_empty(), "no sample for {missing:#?}");
}

#[test]
fn output_of_well_apps_has_no_cause() {
    let healthy = SAMPLES
        .iter()
        .filter(|sample| sample.expected == ["none"])
        .count();
    assert!(healthy >= 8, "{healthy}");
}

/// Whether a name between braces was left as it is in the table.
fn has_hole(text: &str) -> bool {
    text.split('{').skip(1).any(|part| {
        let name = part.split_once('}').map_or("", |(name, _)| name);
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_lowercase())
    })
}

#[test]
fn every_cause_is_complete() {
    for sample in SAMPLES.iter() {
        for cause in analyze_text(&sample.text).causes {
            let name = &sample.name;
            let words = format!("{} {}", cause.title, cause.fix);
            assert!(!has_hole(&words), "{name}: {words}");
            assert!(!cause.evidence.is_empty(), "{name}: {}", cause.pattern);
            let is_clean = |line: &String| !line.contains(|c: char| c.is_control() && c != '\t');
            assert!(cause.evidence.iter().all(is_clean), "{name}");
        }
    }
}

#[test]
fn what_an_app_recovered_from_is_no_cause() {
    let refused = "Error: connect ECONNREFUSED 10.0.0.7:5432";
    let analysis = analyze_text(&format!("{refused}\nConnected to the database\n"));
    assert_eq!(analysis.causes, []);

    let normal = "GET / 200\n".repeat(300);
    assert_eq!(analyze_text(&format!("{refused}\n{normal}")).causes, []);

    let text = format!("{refused}\nserver listening on 3000\nTypeError: x is not a function");
    let causes = analyze_text(&text).causes;
    let names: Vec<&str> = causes.iter().map(|cause| cause.pattern).collect();
    assert_eq!(names, ["node-not-a-function", "postgres-refused"]);
    assert!(causes[1].confidence < causes[0].confidence);
}

#[test]
fn what_came_last_is_named_first() {
    let text = "Error: Cannot find module 'express'\nError: listen EADDRINUSE: address already in use :::80\n";
    let names: Vec<&str> = analyze_text(text)
        .causes
        .iter()
        .map(|cause| cause.pattern)
        .collect();
    assert_eq!(names, ["port-in-use", "node-missing-module"]);
}

#[test]
fn facts_are_looked_at_like_lines() {
    let facts = Facts {
        reason: Some(
            "the app exited with code 1 right after it was started; the log has its output. Its last output: panic",
        ),
        exit_code: None,
    };
    assert_eq!(analyze(&[], &facts).causes[0].pattern, "exit-code");
    let facts = Facts {
        reason: None,
        exit_code: Some(137),
    };
    let analysis = analyze(&["started"], &facts);
    assert_eq!(analysis.causes[0].pattern, "exit-killed");
}

#[test]
fn what_has_no_known_cause_is_said_so() {
    let analysis = analyze_text("starting\nerror: the moon is not full\n");
    assert_eq!(analysis.causes, []);
    assert_eq!(analysis.unexplained, ["error: the moon is not full"]);
    assert!(analysis.summary.contains("the moon is not full"));
    assert_eq!(analyze_text("").summary, "There is no output to look at.");
    let analysis = analyze_text("hello\n");
    assert_eq!(analysis.summary, "Nothing in 1 lines looks like a failure.");
}

proptest! {
    #[test]
    fn no_input_makes_it_panic(lines in prop::collection::vec(any::<String>(), 0..40)) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        analyze(&lines, &Facts::default());
    }

    /// Parts of real output in any order, cut anywhere.
    #[test]
    fn no_mixture_makes_it_panic(
        places in prop::collection::vec((any::<prop::sample::Index>(), 0..200_usize), 0..60),
    ) {
        let all: Vec<&str> = SAMPLES.iter().flat_map(|sample| sample.text.lines()).collect();
        let lines: Vec<&str> = places
            .iter()
            .map(|(index, cut)| {
                let line = *index.get(&all);
                line.get(*cut..).unwrap_or(line)
            })
            .collect();
        let analysis = analyze(&lines, &Facts::default());
        prop_assert!(analysis.causes.len() <= 5);
        prop_assert!(!analysis.summary.is_empty());
    }
}
