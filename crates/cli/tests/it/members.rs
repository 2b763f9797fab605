//! `tose members`.

use insta::assert_snapshot;
use tose_api::member::{InvitationView, MemberView};
use tose_api::workspace::Role;

use crate::harness::Sandbox;
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

fn member(digit: char, email: &str, role: Role) -> MemberView {
    MemberView {
        user_id: format!("0198c0de-0000-7000-8000-00000000000{digit}")
            .parse()
            .expect("an id"),
        email: email.to_owned(),
        name: (role == Role::Owner).then(|| "Ada".to_owned()),
        role,
        created_at: time(0),
    }
}

fn invitation() -> InvitationView {
    InvitationView {
        id: "0198c0de-0000-7000-8000-0000000000f1"
            .parse()
            .expect("an id"),
        email: "cy@example.com".to_owned(),
        role: Role::Admin,
        invited_by: "ada@example.com".to_owned(),
        created_at: time(0),
        expires_at: time(604_800_000),
        token: None,
        mailed: None,
    }
}

fn server(mailed: bool) -> StandIn {
    StandIn::start(move |method, path, _| {
        match (method, path.trim_start_matches("/api/workspaces/demo/")) {
            ("GET", "members") => success(vec![
                member('a', "ada@example.com", Role::Owner),
                member('b', "bo@example.com", Role::Member),
            ]),
            ("GET", "invitations") => success(vec![invitation()]),
            ("POST", "invitations") => success(InvitationView {
                token: Some("0123456789".repeat(4)),
                mailed: Some(mailed),
                ..invitation()
            }),
            ("PUT", _) => success(member('b', "bo@example.com", Role::Admin)),
            ("DELETE", rest) => success(serde_json::json!({ "deleted": rest })),
            _ => failure(404, "not_found", path),
        }
    })
}

#[test]
fn members_and_invitations_are_listed() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["members"]), @"
    exit: 0
    ----- stdout -----
    EMAIL            ROLE    SINCE                 NAME
    ada@example.com  owner   2026-01-01T00:00:00Z  Ada
    bo@example.com   member  2026-01-01T00:00:00Z

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["members", "list", "--invited"]), @"
    exit: 0
    ----- stdout -----
    EMAIL           ROLE   EXPIRES               INVITED BY
    cy@example.com  admin  2026-01-08T00:00:00Z  ada@example.com

    ----- stderr -----
    ");
}

#[test]
fn an_invitation_shows_its_token() {
    let invite = ["members", "invite", "Cy@Example.com", "--role", "admin"];
    let server = server(false);
    assert_snapshot!(Sandbox::linked(&server).run(&invite), @"
    exit: 0
    ----- stdout -----
    invited cy@example.com to demo as admin until 2026-01-08T00:00:00Z
    token  0123456789012345678901234567890123456789

    ----- stderr -----
    no mail was sent: hand the token over yourself; it is not shown again
    ");
    assert_snapshot!(server.transcript(), @r#"POST /api/workspaces/demo/invitations {"email":"cy@example.com","role":"admin"}"#);
}

#[test]
fn an_invitation_that_was_mailed_says_so() {
    let server = server(true);
    let invite = ["members", "invite", "cy@example.com"];
    let outcome = Sandbox::linked(&server).run(&invite).ok();
    assert_eq!(outcome.stderr, "a mail with the token is on its way\n");
}

#[test]
fn a_member_gets_another_role() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["members", "role", "BO@example.com", "admin"]), @"
    exit: 0
    ----- stdout -----
    bo@example.com is admin of demo

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["members", "role", "cy@example.com", "admin"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: there is no member `cy@example.com`: see with `tose members list` what there is
    ");
    assert_snapshot!(sandbox.run(&["members", "role", "bo@example.com", "boss"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: invalid value 'boss' for '<ROLE>'
      [possible values: member, admin, owner]

    For more information, try '--help'.
    ");
    assert_snapshot!(server.transcript(), @r#"
    GET /api/workspaces/demo/members
    PUT /api/workspaces/demo/members/0198c0de-0000-7000-8000-00000000000b {"role":"admin"}
    GET /api/workspaces/demo/members
    "#);
}

#[test]
fn members_and_invitations_are_removed_by_address() {
    let server = server(true);
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["members", "remove", "bo@example.com"]), @"
    exit: 0
    ----- stdout -----
    bo@example.com is no member of demo any more

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["members", "remove", "cy@example.com"]), @"
    exit: 0
    ----- stdout -----
    took the invitation of cy@example.com back

    ----- stderr -----
    ");
    assert_snapshot!(sandbox.run(&["members", "remove", "di@example.com"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: there is no member and no invitation `di@example.com`: see with `tose members list` what there is
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/members
    DELETE /api/workspaces/demo/members/0198c0de-0000-7000-8000-00000000000b
    GET /api/workspaces/demo/members
    GET /api/workspaces/demo/invitations
    DELETE /api/workspaces/demo/invitations/0198c0de-0000-7000-8000-0000000000f1
    GET /api/workspaces/demo/members
    GET /api/workspaces/demo/invitations
    ");
}
