//! Notices: who is told of what, and what a message looks like to each medium.
//!
//! Guarantees: pure. A text that a user can choose is shown as it is: it becomes no markup, no link with another name,
//! no call to people and no header, whatever it holds; property tests show it. A message has at most [`MOST_LISTED`]
//! events in it, and says how many more there were.
//! Not here: the outbox (`tose-store`), sending (`tose-server`, `notice.rs`), and when (`tasks/notices.rs`).

use std::fmt;
use std::fmt::Write as _;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Value, json};
use tose_api::notification::NoticeEvent;
use tose_api::{Email, NoticeId, NotificationChannelId, ProjectId, Slug, Timestamp};

/// The most events that a message lists.
pub const MOST_LISTED: usize = 10;
/// The longest title, in characters.
pub const MAX_TITLE: usize = 200;
/// The longest text, in characters.
pub const MAX_TEXT: usize = 1000;
/// The longest message that Discord takes is 2000 characters.
const MAX_DISCORD: usize = 1900;
/// Slack cuts texts off after 4000 characters.
const MAX_SLACK: usize = 3900;
/// The longest message that Telegram takes is 4096 units of UTF-16.
const MAX_TELEGRAM: usize = 4000;
/// How long after the first failure in a row the next attempt comes, at most; each further one waits twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Where word of an event goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outlet {
    /// A channel of a workspace.
    Channel(NotificationChannelId),
    /// The webhook of Discord that a project's monitor names.
    MonitorDiscord(ProjectId),
    /// The address of mail that a project's monitor names.
    MonitorEmail(ProjectId),
    /// An operator's address of mail.
    Mail(Email),
}

impl fmt::Display for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Channel(id) => write!(f, "channel:{id}"),
            Self::MonitorDiscord(id) => write!(f, "monitor-discord:{id}"),
            Self::MonitorEmail(id) => write!(f, "monitor-email:{id}"),
            Self::Mail(email) => write!(f, "mail:{}", email.as_str()),
        }
    }
}

/// A text that names no outlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no outlet")]
pub struct InvalidOutlet;

impl FromStr for Outlet {
    type Err = InvalidOutlet;

    fn from_str(text: &str) -> Result<Self, InvalidOutlet> {
        let (kind, rest) = text.split_once(':').ok_or(InvalidOutlet)?;
        let outlet = match kind {
            "channel" => rest.parse().map(Self::Channel).ok(),
            "monitor-discord" => rest.parse().map(Self::MonitorDiscord).ok(),
            "monitor-email" => rest.parse().map(Self::MonitorEmail).ok(),
            "mail" => rest.parse().map(Self::Mail).ok(),
            _ => None,
        };
        outlet.ok_or(InvalidOutlet)
    }
}

/// Whether a rule with these lists wants an event; an empty list stands for all, and what is of no project is of each.
pub fn is_wanted(
    events: &[NoticeEvent],
    projects: &[Slug],
    event: NoticeEvent,
    project: Option<&Slug>,
) -> bool {
    let of_project = project.is_none_or(|slug| projects.is_empty() || projects.contains(slug));
    of_project && (events.is_empty() || events.contains(&event))
}

/// An event as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Its id.
    pub id: NoticeId,
    /// Its kind; `None` is a test.
    pub event: Option<NoticeEvent>,
    /// The project, if it is of one.
    pub project: Option<Slug>,
    /// What happened, in a line.
    pub title: String,
    /// What else there is to say; may be empty.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

impl Item {
    fn event(&self) -> &'static str {
        self.event.map_or("test", NoticeEvent::as_str)
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id, "event": self.event(), "project": self.project, "title": self.title,
            "text": self.text, "at": self.at,
        })
    }
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The workspace; operators are told of none.
    pub workspace: Option<Slug>,
    /// What it is about, the oldest first; at least one.
    pub items: Vec<Item>,
    /// How many older ones it does not list.
    pub left_out: u64,
}

impl Message {
    /// What it is about, in a line without control characters.
    pub fn title(&self) -> String {
        match &self.items[..] {
            [one] if self.left_out == 0 => visible(&one.title),
            items => {
                let count = self.left_out.saturating_add(items.len() as u64);
                match &self.workspace {
                    Some(workspace) => format!("{count} events of {workspace}"),
                    None => format!("{count} events of the server"),
                }
            }
        }
    }

    /// What kind of event it is about: `group` if it is about several.
    pub fn event(&self) -> &'static str {
        match &self.items[..] {
            [one] if self.left_out == 0 => one.event(),
            _ => "group",
        }
    }

    fn left_out_line(&self) -> Option<String> {
        let left_out = self.left_out;
        (left_out > 0).then(|| {
            format!("{left_out} earlier events were left out: there were too many at once.")
        })
    }

    /// The lines of a message of chat, `escape`d each, of at most `most` units as `measure` counts them.
    fn chat(&self, most: usize, escape: fn(&str) -> String, measure: fn(&str) -> usize) -> String {
        let mut lines = Vec::new();
        if self.items.len() > 1 || self.left_out > 0 {
            lines.push(self.title());
            lines.extend(self.left_out_line());
        }
        for item in &self.items {
            lines.push(visible(&item.title));
            lines.extend(
                item.text
                    .lines()
                    .map(visible)
                    .filter(|line| !line.is_empty()),
            );
        }
        let mut text = String::new();
        let mut used = 0;
        for line in lines {
            let line = escape(&line);
            let length = measure(&line) + 1;
            if used + length + 2 > most {
                text.push('…');
                break;
            }
            used += length;
            text.push_str(&line);
            text.push('\n');
        }
        text.trim_end().to_owned()
    }

    /// The body for a webhook of Discord.
    pub fn discord(&self) -> Value {
        let content = self.chat(MAX_DISCORD, escape_for_discord, count_chars);
        json!({"content": content, "allowed_mentions": {"parse": []}})
    }

    /// The body for an incoming webhook of Slack.
    pub fn slack(&self) -> Value {
        let text = self.chat(MAX_SLACK, escape_for_slack, count_chars);
        json!({
            "text": text, "mrkdwn": false, "parse": "none", "link_names": false,
            "unfurl_links": false, "unfurl_media": false,
        })
    }

    /// The body for Telegram's `sendMessage`. Without a parse mode there is no markup.
    pub fn telegram(&self, chat_id: &str) -> Value {
        let units = |text: &str| text.encode_utf16().count();
        let text = self.chat(MAX_TELEGRAM, escape_for_telegram, units);
        let chat_id = chat_id
            .parse::<i64>()
            .map_or_else(|_| json!(chat_id), |number| json!(number));
        json!({"chat_id": chat_id, "text": text, "link_preview_options": {"is_disabled": true}})
    }

    /// The body for a webhook of the user's own. `id` is the message's.
    pub fn webhook(&self, id: &str) -> Value {
        let single = match &self.items[..] {
            [one] if self.left_out == 0 => Some(one),
            _ => None,
        };
        let last = self.items.last();
        json!({
            "id": id,
            "event": self.event(),
            "workspace": self.workspace,
            "project": single.and_then(|one| one.project.clone()),
            "title": self.title(),
            "text": single.map_or("", |one| one.text.as_str()),
            "at": last.map(|one| one.at),
            "notices": self.items.iter().map(Item::json).collect::<Vec<_>>(),
            "left_out": self.left_out,
        })
    }

    /// The text of a mail.
    pub fn mail(&self) -> String {
        let mut text = String::new();
        if let Some(line) = self.left_out_line() {
            text.push_str(&line);
            text.push_str("\n\n");
        }
        for item in &self.items {
            text.push_str(&visible(&item.title));
            text.push('\n');
            for line in item.text.lines().map(visible) {
                text.push_str(&line);
                text.push('\n');
            }
            // A String takes everything.
            let _ = write!(text, "Seen at {}.\n\n", item.at);
        }
        text.push_str(match self.workspace {
            Some(_) => "An admin of the workspace had this mail sent to you.\n",
            None => "You get this mail as an operator of the server.\n",
        });
        text
    }
}

fn count_chars(text: &str) -> usize {
    text.chars().count()
}

/// A text as one line without what is not seen: control characters, and those that turn the direction of what follows.
pub fn visible(text: &str) -> String {
    let is_hidden = |char: char| {
        char.is_control()
            || matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    let shown = text.chars().map(|char| match char {
        '\n' | '\r' | '\t' => ' ',
        char => char,
    });
    shown.filter(|char| !is_hidden(*char)).collect()
}

/// The beginning of a text, of at most so many characters.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(1)).collect();
            kept + "…"
        }
    }
}

/// A line that Discord shows as it is: a backslash takes the meaning of every punctuation mark after it. Slashes, dots,
/// commas and the like have none, but a number with a dot at the beginning would be a list.
pub fn escape_for_discord(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    let mut is_number = true;
    for char in line.chars() {
        let has_meaning = char.is_ascii_punctuation()
            && !matches!(char, '/' | ',' | '.' | '\'' | '"' | '%' | ';' | '?' | '=');
        if has_meaning || (char == '.' && is_number) {
            escaped.push('\\');
        }
        is_number &= char.is_ascii_digit() || char == ' ';
        escaped.push(char);
    }
    escaped
}

/// A line that Slack shows as it is: links and calls to people are written with `<`, and nothing else is read where
/// `mrkdwn` is off.
pub fn escape_for_slack(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for char in line.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// A line in which Telegram finds nobody to call: a character without width after each `@` parts it from the name.
pub fn escape_for_telegram(line: &str) -> String {
    line.replace('@', "@\u{2060}")
}

/// What an answer of HTTP means for a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It was taken.
    Taken,
    /// It may be taken later.
    Later,
    /// It would be refused again.
    Refused,
}

/// What an answer with this status means.
pub fn judge(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Taken,
        408 | 425 | 429 | 500..=599 => Verdict::Later,
        _ => Verdict::Refused,
    }
}

/// How long to wait after so many failures in a row: 10 s and twice as long each time, an hour at most; up to a
/// quarter less, as `random` has it, so that those who failed together do not come back together.
pub fn pause_after(failures: u32, random: u8) -> Duration {
    let doublings = failures.saturating_sub(1).min(30);
    let full = FIRST_PAUSE
        .saturating_mul(1 << doublings)
        .min(LONGEST_PAUSE);
    full - full / 4 * u32::from(random) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests;
