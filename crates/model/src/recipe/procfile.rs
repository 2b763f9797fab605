//! Procfiles: `NAME: COMMAND`, one on a line.

use crate::command::split;
use crate::process::{MAX_PROCESSES, Process, Processes, is_process_name};

/// The command of the process `web`.
pub(super) fn web(text: &str) -> Option<&str> {
    entries(text).find_map(|(name, command)| (name == "web").then_some(command))
}

/// What runs before a version takes over: the command of the process `release`, for a shell, in the
/// form that [`crate::command::split`] reads.
pub(super) fn release(text: &str) -> Option<String> {
    let found = entries(text).find_map(|(name, command)| (name == "release").then_some(command));
    found.map(for_shell)
}

/// The other processes, which run once the project says how many of each, and the names of those that
/// cannot be had under theirs.
pub(super) fn others(text: &str) -> (Processes, Vec<&str>) {
    let (mut processes, mut refused) = (Processes::new(), Vec::new());
    for (name, command) in entries(text).filter(|(name, _)| !["web", "release"].contains(name)) {
        let slug = name.parse().ok().filter(is_process_name);
        let command = for_shell(command);
        match slug {
            Some(slug) if split(&command).is_ok() && processes.len() < MAX_PROCESSES => {
                let process = Process {
                    command,
                    replicas: 0,
                };
                processes.entry(slug).or_insert(process);
            }
            _ => refused.push(name),
        }
    }
    (processes, refused)
}

fn for_shell(command: &str) -> String {
    shell_words::join(["sh", "-c", command])
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
        let text = "# comment: no\nrelease: migrate\nweb:  gunicorn app:app \nworker: work it\nJob_2: x\njob: y\n";
        assert_eq!(web(text), Some("gunicorn app:app"));
        let (processes, refused) = others(text);
        let found: Vec<_> = processes
            .iter()
            .map(|(name, process)| (name.as_str(), process.command.as_str(), process.replicas))
            .collect();
        assert_eq!(found, [("worker", "sh -c 'work it'", 0)]);
        assert_eq!(refused, ["Job_2", "job"]);
        assert_eq!(release(text).as_deref(), Some("sh -c migrate"));
        let quoted = release("release: a 'b c' && d").expect("a command");
        let words = crate::command::split(&quoted).expect("it can be split");
        assert_eq!(words, ["sh", "-c", "a 'b c' && d"]);
        assert_eq!(web("web:\nweb"), None);
    }
}
