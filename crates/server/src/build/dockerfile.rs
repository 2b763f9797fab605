//! What has to be known of a Dockerfile before the engine reads it.

use std::collections::BTreeSet;

/// The names that a Dockerfile declares with `ARG`. Values are passed for these only: the engine
/// warns about any other, and a value that no step uses would spoil no cache but help nobody.
pub(crate) fn declared_args(dockerfile: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut is_continued = false;
    let mut in_arg = false;
    for line in dockerfile.lines().map(str::trim) {
        if line.starts_with('#') {
            continue;
        }
        let mut words = line.trim_end_matches('\\').split_whitespace();
        if !is_continued {
            in_arg = words
                .next()
                .is_some_and(|word| word.eq_ignore_ascii_case("ARG"));
        }
        if in_arg {
            let names_of = words.map(|word| word.split('=').next().unwrap_or(word).to_owned());
            names.extend(names_of.filter(|name| is_variable_name(name)));
        }
        is_continued = line.ends_with('\\');
    }
    names
}

fn is_variable_name(text: &str) -> bool {
    text.parse::<tose_api::EnvKey>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declared_arguments_are_found() {
        let text = "# ARG NOT\nARG A\narg B=1\nFROM x\nARG C=\"x y\" \\\n  D\nRUN echo ARG E\n";
        let names: Vec<_> = declared_args(text).into_iter().collect();
        assert_eq!(names, ["A", "B", "C", "D"]);
    }
}
