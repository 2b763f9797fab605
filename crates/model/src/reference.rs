//! References in the values of variables: `${{ my-postgres.URL }}` stands for what the workspace's database or
//! project with that slug has, when a deployment is made.
//!
//! Not here: looking things up (`tose-server`, `app/reference.rs`).

use std::collections::BTreeSet;

/// What a reference begins and ends with.
const BEGIN: &str = "${{";
const END: &str = "}}";

/// What a project calls itself in its own variables.
pub const SELF: &str = "self";

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// What it stands for is looked up.
    Reference(Reference<'a>),
}

/// What a piece of a value stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference<'a> {
    /// The slug of a database or a project, or [`SELF`].
    pub name: &'a str,
    /// What of it, such as `URL`.
    pub field: &'a str,
}

/// Takes a value apart. What is no reference, an opening without its end for one, is text.
pub fn pieces(value: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut text = 0;
    let mut from = 0;
    while let Some(start) = value[from..].find(BEGIN).map(|at| from + at) {
        let inner = start + BEGIN.len();
        let Some(end) = value[inner..].find(END).map(|at| inner + at) else {
            break;
        };
        from = inner;
        if let Some(reference) = reference(&value[inner..end]) {
            if text < start {
                pieces.push(Piece::Text(&value[text..start]));
            }
            pieces.push(Piece::Reference(reference));
            text = end + END.len();
            from = text;
        }
    }
    if text < value.len() {
        pieces.push(Piece::Text(&value[text..]));
    }
    pieces
}

/// What is between the braces, if it is a name and a field.
fn reference(inner: &str) -> Option<Reference<'_>> {
    let (name, field) = inner.trim().split_once('.')?;
    let is_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_field = |byte: u8| byte.is_ascii_uppercase() || byte == b'_';
    let fits = !name.is_empty()
        && !field.is_empty()
        && name.bytes().all(is_name)
        && field.bytes().all(is_field);
    fits.then_some(Reference { name, field })
}

/// The names that values refer to.
pub fn names<'a>(values: impl IntoIterator<Item = &'a str>) -> BTreeSet<&'a str> {
    let name = |piece| match piece {
        Piece::Reference(reference) => Some(reference.name),
        Piece::Text(_) => None,
    };
    values
        .into_iter()
        .flat_map(|value| pieces(value).into_iter().filter_map(name))
        .collect()
}

/// A value with each reference replaced by what `look_up` finds.
///
/// # Errors
/// The first that `look_up` has.
pub fn resolve<E>(
    value: &str,
    mut look_up: impl FnMut(Reference<'_>) -> Result<String, E>,
) -> Result<String, E> {
    let mut resolved = String::with_capacity(value.len());
    for piece in pieces(value) {
        match piece {
            Piece::Text(text) => resolved.push_str(text),
            Piece::Reference(reference) => resolved.push_str(&look_up(reference)?),
        }
    }
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(value: &str) -> String {
        resolve(value, |reference| {
            Ok::<_, ()>(format!("<{} {}>", reference.name, reference.field))
        })
        .expect("found")
    }

    #[test]
    fn references_are_found_wherever_they_stand() {
        for (value, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${{ db.URL }}", "<db URL>"),
            ("${{db.URL}}", "<db URL>"),
            (
                "a ${{ my-db.HOST }}:${{ my-db.PORT }} b",
                "a <my-db HOST>:<my-db PORT> b",
            ),
            ("${{ self.PRIVATE_URL }}", "<self PRIVATE_URL>"),
            // None of these is one.
            ("${{ db.URL", "${{ db.URL"),
            ("${{ db }}", "${{ db }}"),
            ("${{ db.url }}", "${{ db.url }}"),
            ("${{ secrets.A b }}", "${{ secrets.A b }}"),
            ("${db.URL}", "${db.URL}"),
            ("${{ ${{ db.URL }}", "${{ <db URL>"),
            ("ä${{ db.URL }}ö", "ä<db URL>ö"),
        ] {
            assert_eq!(shown(value), expected, "{value}");
        }
        let values = ["${{ a.URL }}${{ b.URL }}", "${{ a.HOST }}"];
        assert_eq!(names(values), BTreeSet::from(["a", "b"]));
    }

    proptest! {
        #[test]
        fn text_stays_as_it_is(value in "([a-z.${} ]|\\PC){0,40}") {
            let mut joined = String::new();
            for piece in pieces(&value) {
                match piece {
                    Piece::Text(text) => joined.push_str(text),
                    Piece::Reference(Reference { name, field }) => {
                        let inner = format!("{name}.{field}");
                        prop_assert!(value.contains(&inner));
                        joined.push_str(&inner);
                    }
                }
            }
            let bare = |text: &str| text.replace([' ', '$', '{', '}'], "");
            prop_assert_eq!(bare(&joined), bare(&value));
        }
    }
}
