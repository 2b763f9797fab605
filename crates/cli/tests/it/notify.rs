//! `tose notify`.

use insta::assert_snapshot;
use serde_json::{Value, json};
use tose_api::notification::{
    ChannelKind, DeliveryState, LastDelivery, NoticeDeliveryView, NoticeEvent, NotificationTest,
    NotificationView,
};
use tose_api::workspace::Deleted;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

const ID: &str = "0198c0de-0000-7000-8000-0000000000c1";
const URL: &str = "https://hooks.slack.com/services/s3cret";

/// One that is told of everything by mail.
fn mail() -> NotificationView {
    NotificationView {
        id: "0198c0de-0000-7000-8000-0000000000c2"
            .parse()
            .expect("an id"),
        name: "ops".to_owned(),
        kind: ChannelKind::Email,
        enabled: true,
        events: Vec::new(),
        projects: Vec::new(),
        email: Some("ops@example.com".to_owned()),
        url: None,
        chat_id: None,
        secret: None,
        last_delivery: None,
        created_at: time(0),
        updated_at: time(0),
    }
}

/// One that is told of some things, and took nothing last.
fn chat() -> NotificationView {
    NotificationView {
        id: ID.parse().expect("an id"),
        name: "Team chat".to_owned(),
        kind: ChannelKind::Slack,
        events: vec![NoticeEvent::UptimeDown, NoticeEvent::UptimeUp],
        projects: vec!["hello".parse().expect("a slug")],
        email: None,
        url: Some("https://hooks.slack.com".to_owned()),
        last_delivery: Some(LastDelivery {
            at: time(60_000),
            ok: false,
            reason: Some("it answered 404".to_owned()),
        }),
        ..mail()
    }
}

/// One whose secret the server made.
fn webhook() -> NotificationView {
    NotificationView {
        name: "hook".to_owned(),
        kind: ChannelKind::Webhook,
        email: None,
        url: Some("https://example.com".to_owned()),
        secret: Some("0123456789abcdef".to_owned()),
        ..mail()
    }
}

fn server(is_delivered: bool) -> StandIn {
    StandIn::start(move |method, path, _| match method {
        "GET" if path.ends_with("/deliveries") => success(vec![
            delivery(DeliveryState::Waiting),
            delivery(DeliveryState::LeftOut),
        ]),
        "GET" => success(vec![mail(), chat()]),
        "PUT" => success(chat()),
        "DELETE" => success(Deleted {
            deleted: ID.to_owned(),
        }),
        "POST" if path.ends_with("/test") => success(NotificationTest {
            delivered: is_delivered,
            reason: (!is_delivered).then(|| "it answered 404".to_owned()),
        }),
        "POST" => success(webhook()),
        _ => failure(404, "not_found", path),
    })
}

fn delivery(state: DeliveryState) -> NoticeDeliveryView {
    let waits = state == DeliveryState::Waiting;
    NoticeDeliveryView {
        id: "0198c0de-0000-7000-8000-0000000000d1"
            .parse()
            .expect("an id"),
        event: NoticeEvent::UptimeDown,
        project: waits.then(|| "hello".parse().expect("a slug")),
        title: "demo/hello is down: it answered 500".to_owned(),
        at: time(0),
        state,
        attempts: u32::from(waits) * 2,
        next_at: waits.then(|| time(90_000)),
        ended_at: None,
        reason: waits.then(|| "it answered 503".to_owned()),
    }
}

/// The method and the body of the newest request.
fn sent(server: &StandIn) -> (String, Value) {
    let request = server.requests().pop().expect("a request");
    let body = serde_json::from_str(&request.body).expect("JSON");
    (request.method, body)
}

#[test]
fn channels_are_listed_with_how_they_fare() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["notify"]));
    let shown = sandbox.run(&["notify", "list", "--json"]).ok().stdout;
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown, json!([mail(), chat()]));
    assert_snapshot!(sandbox.run(&["notify", "show", "Team chat"]));
    let by_id = sandbox.run(&["notify", "show", ID]).ok();
    assert!(by_id.stdout.starts_with("Team chat  slack  on\n"));
    let nobody = StandIn::start(|_, _, _| success(Vec::<NotificationView>::new()));
    assert_snapshot!(Sandbox::linked(&nobody).run(&["notify"]), @"
    exit: 0
    ----- stdout -----
    NAME  KIND  TO  EVENTS  PROJECTS  LAST MESSAGE

    ----- stderr -----
    nobody is told of anything: `tose notify add NAME --email ADDRESS` changes that
    ");
}

#[test]
fn a_channel_is_added_by_where_it_is() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    let add = |arguments: &[&str], input: &str| {
        let arguments = [&["notify", "add", "ops"], arguments].concat();
        let shown = sandbox.run_with_input(&arguments, input).ok();
        assert!(!shown.to_string().contains("s3cret"), "{shown}");
        let (method, body) = sent(&server);
        assert_eq!(method, "POST");
        body
    };
    let rules = ["--events", "uptime-down,deploy_failed"];
    let more = ["--projects", "hello,orders", "--off"];
    let by_mail = [&["--email", "ops@example.com"], &rules[..], &more].concat();
    let expected = json!({
        "name": "ops", "kind": "email", "email": "ops@example.com", "enabled": false,
        "events": ["uptime_down", "deploy_failed"], "projects": ["hello", "orders"],
    });
    assert_eq!(add(&by_mail, ""), expected);
    let expected = json!({"name": "ops", "kind": "slack", "url": URL, "events": ["*"]});
    let by_slack = ["--slack", "-", "--events", "all"];
    assert_eq!(add(&by_slack, &format!("{URL}\n")), expected);
    let expected = json!({"name": "ops", "kind": "discord", "url": URL});
    assert_eq!(add(&["--discord", URL], ""), expected);
    let expected = json!({
        "name": "ops", "kind": "telegram", "chat_id": "-1001", "bot_token": "1:s3cret",
    });
    assert_eq!(add(&["--telegram", "-1001"], "1:s3cret\n"), expected);
    let expected = json!({
        "name": "ops", "kind": "webhook", "url": "https://example.com/in", "secret": "s3cret-of-my-own",
    });
    let signed = ["--webhook", "https://example.com/in", "--secret"];
    assert_eq!(add(&signed, "s3cret-of-my-own\n"), expected);
}

#[test]
fn a_secret_that_the_server_made_is_shown_once() {
    let server = server(true);
    let arguments = [
        "notify",
        "add",
        "hook",
        "--webhook",
        "https://example.com/in",
    ];
    assert_snapshot!(Sandbox::linked(&server).run(&arguments));
}

#[test]
fn only_what_is_named_is_changed() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    let edit = |arguments: &[&str], input: &str| {
        let arguments = [&["notify", "edit", "Team chat"], arguments].concat();
        sandbox.run_with_input(&arguments, input).ok();
        let (method, body) = sent(&server);
        assert_eq!(method, "PUT");
        body
    };
    assert_eq!(edit(&["--enabled", "off"], ""), json!({"enabled": false}));
    let expected = json!({"name": "chat", "events": ["*"], "projects": []});
    let arguments = ["--name", "chat", "--events", "all", "--projects", ""];
    assert_eq!(edit(&arguments, ""), expected);
    assert_eq!(edit(&["--url", "-"], URL), json!({"url": URL}));
    let expected = json!({"chat_id": "-7", "bot_token": "1:s3cret"});
    assert_eq!(edit(&["--chat", "-7", "--bot-token"], "1:s3cret"), expected);
    assert_eq!(edit(&["--secret"], "abc"), json!({"secret": "abc"}));
}

#[test]
fn a_test_says_whether_the_message_was_taken() {
    let good = server(true);
    assert_snapshot!(Sandbox::linked(&good).run(&["notify", "test", "ops"]), @"
    exit: 0
    ----- stdout -----
    ops took a message

    ----- stderr -----
    ");
    let bad = server(false);
    assert_snapshot!(Sandbox::linked(&bad).run(&["notify", "test", "Team chat"]), @"
    exit: 1
    ----- stdout -----

    ----- stderr -----
    error: the message to Team chat failed: it answered 404
    ");
    let path = bad.requests().pop().expect("a request").path;
    assert!(
        path.ends_with(&format!("/notifications/{ID}/test")),
        "{path}"
    );
    assert_snapshot!(Sandbox::linked(&bad).run(&["notify", "test", "nobody"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: there is no channel `nobody`: see with `tose notify` what there is
    ");
}

#[test]
fn a_channel_is_removed_when_somebody_has_agreed() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["notify", "rm", "Team chat"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: removing the channel Team chat needs --yes where nobody can be asked
    ");
    assert!(
        server
            .requests()
            .iter()
            .all(|request| request.method == "GET")
    );
    assert_snapshot!(sandbox.run(&["notify", "rm", "Team chat", "--yes"]), @"
    exit: 0
    ----- stdout -----
    Team chat is told nothing any more

    ----- stderr -----
    ");
    let request = server.requests().pop().expect("a request");
    assert_eq!(request.method, "DELETE");
    assert!(request.path.ends_with(ID), "{}", request.path);
}

#[test]
fn deliveries_say_what_became_of_them() {
    let server = server(true);
    assert_snapshot!(Sandbox::linked(&server).run(&["notify", "deliveries", "ops"]));
}

#[test]
fn what_cannot_be_meant_is_told_before_anything_is_asked() {
    let server = StandIn::unused();
    let sandbox = Sandbox::linked(&server);
    let add = ["notify", "add", "ops"];
    assert_snapshot!(sandbox.run(&add), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the following required arguments were not provided:
      <--email <EMAIL>|--discord <URL>|--slack <URL>|--telegram <CHAT>|--webhook <URL>>

    Usage: tose notify add <--email <EMAIL>|--discord <URL>|--slack <URL>|--telegram <CHAT>|--webhook <URL>> <NAME>

    For more information, try '--help'.
    ");
    let two = ["--email", "ops@example.com", "--slack", "-"];
    assert_snapshot!(sandbox.run(&[&add[..], &two].concat()), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: the argument '--email <EMAIL>' cannot be used with '--slack <URL>'

    Usage: tose notify add <--email <EMAIL>|--discord <URL>|--slack <URL>|--telegram <CHAT>|--webhook <URL>> <NAME>

    For more information, try '--help'.
    ");
    let event = ["--email", "ops@example.com", "--events", "rain"];
    assert_snapshot!(sandbox.run(&[&add[..], &event].concat()), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'rain' for '--events <EVENTS>': there is no event `rain`: there are all, uptime_down, uptime_up, deploy_failed, deploy_recovered, crash_loop, backup_failed, wallet_low, wallet_suspended, wallet_resumed, certificate_trouble, certificate_expiring, disk_full, alert_firing, alert_resolved, autoscaled

    For more information, try '--help'.
    ");
    let both = ["--webhook", "-", "--secret"];
    assert_snapshot!(sandbox.run(&[&add[..], &both].concat()), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --webhook - and --secret cannot both be read from stdin: set one of them later, with `tose notify edit`
    ");
    assert_snapshot!(sandbox.run(&["notify", "edit", "ops"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: nothing is to be changed: say what, see `tose notify edit --help`
    ");
    let both = ["notify", "edit", "ops", "--url", "-", "--bot-token"];
    assert_snapshot!(sandbox.run(&both), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: --url - and --bot-token cannot both be read from stdin: set one of them later, with `tose notify edit`
    ");
    assert!(server.requests().is_empty());
}
