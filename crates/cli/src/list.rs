//! Lists as people give them: with commas between their parts; an empty text is an empty list.

use std::str::FromStr;

/// The parts of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let parts = text.split(',').map(str::trim);
        let parts = parts.filter(|part| !part.is_empty());
        parts.map(str::parse).collect::<Result<_, _>>().map(Self)
    }
}

/// The parts with commas between them, or `otherwise` where there are none.
pub(crate) fn written<T: ToString>(parts: &[T], otherwise: &str) -> String {
    match parts {
        [] => otherwise.to_owned(),
        parts => {
            let parts: Vec<_> = parts.iter().map(T::to_string).collect();
            parts.join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_have_commas() {
        for (text, parts) in [("", &[][..]), ("1", &[1]), ("1,2, 3,", &[1, 2, 3])] {
            assert_eq!(text.parse(), Ok(List(parts.to_vec())), "{text}");
        }
        assert!("1,x".parse::<List<u8>>().is_err());
        assert_eq!(written(&[1, 2], "none"), "1, 2");
        assert_eq!(written::<u8>(&[], "none"), "none");
    }
}
