//! Tests of messages.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn item(title: &str, text: &str) -> Item {
    Item {
        id: NoticeId::from_uuid(Uuid::nil()),
        event: Some(NoticeEvent::UptimeDown),
        project: Some("shop".parse().expect("a slug")),
        title: title.to_owned(),
        text: text.to_owned(),
        at: Timestamp::from_nanos(0),
    }
}

fn message(items: Vec<Item>, left_out: u64) -> Message {
    Message {
        workspace: Some("demo".parse().expect("a slug")),
        items,
        left_out,
    }
}

#[test]
fn outlets_are_written_and_read() {
    let id = Uuid::from_u128(7);
    for outlet in [
        Outlet::Channel(NotificationChannelId::from_uuid(id)),
        Outlet::MonitorDiscord(ProjectId::from_uuid(id)),
        Outlet::MonitorEmail(ProjectId::from_uuid(id)),
        Outlet::Mail("ops@example.com".parse().expect("an address")),
    ] {
        assert_eq!(outlet.to_string().parse(), Ok(outlet));
    }
    for bad in ["", "channel", "channel:x", "mail:x", "other:1"] {
        assert_eq!(bad.parse::<Outlet>(), Err(InvalidOutlet), "{bad}");
    }
}

#[test]
fn rules_name_events_and_projects_and_an_empty_list_is_all() {
    let (shop, blog): (Slug, Slug) = (
        "shop".parse().expect("a slug"),
        "blog".parse().expect("a slug"),
    );
    let down = NoticeEvent::UptimeDown;
    for (events, projects, project, expected) in [
        (&[][..], &[][..], Some(&shop), true),
        (&[down], &[], Some(&shop), true),
        (&[NoticeEvent::DeployFailed], &[], Some(&shop), false),
        (&[], std::slice::from_ref(&shop), Some(&shop), true),
        (&[], std::slice::from_ref(&shop), Some(&blog), false),
        (&[], std::slice::from_ref(&shop), None, true),
        (
            &[NoticeEvent::DeployFailed],
            std::slice::from_ref(&shop),
            None,
            false,
        ),
    ] {
        assert_eq!(is_wanted(events, projects, down, project), expected);
    }
}

#[test]
fn one_event_is_told_by_itself_and_several_as_a_list() {
    let one = message(
        vec![item("demo/shop is down: it answered 500", "Seen\nnow.")],
        0,
    );
    assert_eq!(one.title(), "demo/shop is down: it answered 500");
    assert_eq!(one.event(), "uptime_down");
    assert_eq!(
        one.discord(),
        json!({"content": "demo/shop is down\\: it answered 500\nSeen\nnow.", "allowed_mentions": {"parse": []}})
    );
    let several = message(vec![item("a", ""), item("b", "")], 3);
    assert_eq!(several.title(), "5 events of demo");
    assert_eq!(several.event(), "group");
    assert_eq!(
        several.slack()["text"],
        "5 events of demo\n3 earlier events were left out: there were too many at once.\na\nb"
    );
    let body = several.webhook("id");
    assert_eq!(
        (&body["left_out"], &body["project"]),
        (&json!(3), &Value::Null)
    );
    assert_eq!(body["notices"][1]["title"], "b");
    assert!(several.mail().starts_with("3 earlier events were left out"));
}

#[test]
fn each_medium_is_given_nothing_to_interpret() {
    for (text, discord) in [
        (
            "@everyone <@1> **b**",
            "\\@everyone \\<\\@1\\> \\*\\*b\\*\\*",
        ),
        ("[a](b) # c", "\\[a\\]\\(b\\) \\# c"),
        ("1. x", "1\\. x"),
        ("shop.example 1.5", "shop.example 1.5"),
        ("https://evil.example", "https\\://evil.example"),
    ] {
        assert_eq!(escape_for_discord(text), discord);
    }
    assert_eq!(
        escape_for_slack("<!channel> & <http://a|b>"),
        "&lt;!channel&gt; &amp; &lt;http://a|b&gt;"
    );
    assert_eq!(escape_for_telegram("@admin"), "@\u{2060}admin");
    assert_eq!(visible("a\r\nb\u{202e}c\u{7}\u{200b}"), "a  bc");
    assert_eq!(shortened("abc", 3), "abc");
    assert_eq!(shortened("abcd", 3), "ab…");
}

#[test]
fn a_chat_of_telegram_is_a_number_or_a_name() {
    let one = message(vec![item("a", "")], 0);
    assert_eq!(one.telegram("-1001")["chat_id"], json!(-1001));
    assert_eq!(one.telegram("@news")["chat_id"], json!("@news"));
}

#[test]
fn pauses_double_up_to_an_hour() {
    let seconds = |failures| pause_after(failures, 0).as_secs();
    assert_eq!(
        [1, 2, 3, 9, 10, 100].map(seconds),
        [10, 20, 40, 2560, 3600, 3600]
    );
    assert_eq!(pause_after(1, u8::MAX), Duration::from_millis(7500));
}

#[test]
fn answers_are_judged_by_their_status() {
    for (status, verdict) in [
        (204, Verdict::Taken),
        (301, Verdict::Refused),
        (404, Verdict::Refused),
        (408, Verdict::Later),
        (429, Verdict::Later),
        (503, Verdict::Later),
    ] {
        assert_eq!(judge(status), verdict, "{status}");
    }
}

proptest! {
    #[test]
    fn no_text_becomes_markup_a_call_or_a_line_of_its_own(title in ".{0,300}", text in "(?s).{0,3000}") {
        let one = message(vec![item(&title, &text)], 0);
        let discord = one.discord();
        let content = discord["content"].as_str().expect("a text");
        prop_assert!(content.chars().count() <= 2000);
        let mut is_escaped = false;
        for char in content.chars() {
            if "*_~`|<>#[]()@:!-+&\\".contains(char) && !is_escaped {
                prop_assert_eq!(char, '\\', "{}", content);
                is_escaped = true;
            } else {
                is_escaped = false;
            }
        }
        let slack = one.slack();
        let slack = slack["text"].as_str().expect("a text");
        prop_assert!(slack.len() <= 40_000 && !slack.contains(['<', '>']));
        let rest = slack.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "");
        prop_assert!(!rest.contains('&'));
        let telegram = one.telegram("1");
        let telegram = telegram["text"].as_str().expect("a text");
        prop_assert!(telegram.encode_utf16().count() <= 4096);
        let joined = telegram.replace("@\u{2060}", "");
        prop_assert!(!joined.contains('@'));
        prop_assert!(!one.title().chars().any(char::is_control));
        prop_assert!(!one.mail().chars().any(|char| char.is_control() && char != '\n'));
    }
}
