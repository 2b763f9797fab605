//! Procfiles: `NAME: COMMAND`, one on a line.

/// The command of the process `web`.
pub(super) fn web(text: &str) -> Option<&str> {
    entries(text).find_map(|(name, command)| (name == "web").then_some(command))
}

/// What runs before a version takes over: the command of the process `release`, for a shell, in the
/// form that [`crate::command::split`] reads.
pub(super) fn release(text: &str) -> Option<String> {
    let found = entries(text).find_map(|(name, command)| (name == "release").then_some(command));
    found.map(|command| shell_words::join(["sh", "-c", command]))
}

/// The names of the other processes, which do not run.
pub(super) fn others(text: &str) -> Vec<&str> {
    let names = entries(text).map(|(name, _)| name);
    names
        .filter(|name| !["web", "release"].contains(name))
        .collect()
}

fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().filter_map(|line| {
        let (name, command) = line.split_once(':')?;
        let (name, command) = (name.trim(), command.trim());
        let is_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
        (is_name && !command.is_empty()).then_some((name, command))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_web_line_is_found_among_others() {
        let text = "# comment: no\nrelease: migrate\nweb:  gunicorn app:app \nworker: work\n";
        assert_eq!(web(text), Some("gunicorn app:app"));
        assert_eq!(others(text), ["worker"]);
        assert_eq!(release(text).as_deref(), Some("sh -c migrate"));
        let quoted = release("release: a 'b c' && d").expect("a command");
        let words = crate::command::split(&quoted).expect("it can be split");
        assert_eq!(words, ["sh", "-c", "a 'b c' && d"]);
        assert_eq!(web("web:\nweb"), None);
    }
}
