//! Procfiles: `NAME: COMMAND`, one on a line.

/// The command of the process `web`.
pub(super) fn web(text: &str) -> Option<&str> {
    entries(text).find_map(|(name, command)| (name == "web").then_some(command))
}

/// The names of the other processes, which do not run.
pub(super) fn others(text: &str) -> Vec<&str> {
    let names = entries(text).map(|(name, _)| name);
    names.filter(|name| *name != "web").collect()
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
        assert_eq!(others(text), ["release", "worker"]);
        assert_eq!(web("web:\nweb"), None);
    }
}
