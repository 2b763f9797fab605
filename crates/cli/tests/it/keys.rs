//! `tose keys`.

use insta::assert_snapshot;
use tose_api::member::ApiKeyView;

use crate::harness::{KEY, Sandbox};
use crate::stand_in::{StandIn, failure, success};
use crate::views::time;

fn key(number: u32, name: &str) -> ApiKeyView {
    ApiKeyView {
        id: format!("0198c0de-0000-7000-8000-0000000000e{number}")
            .parse()
            .expect("an id"),
        name: name.to_owned(),
        key: None,
        key_prefix: format!("tose_sk_000{number}"),
        user_id: "0198c0de-0000-7000-8000-00000000000a"
            .parse()
            .expect("an id"),
        email: "ada@example.com".to_owned(),
        created_at: time(0),
        expires_at: (number == 2).then(|| time(86_400_000)),
        last_used_at: (number == 1).then(|| time(60_000)),
    }
}

fn server() -> StandIn {
    StandIn::start(|method, path, _| match method {
        "GET" => success(vec![key(1, "laptop"), key(2, "CI"), key(3, "CI")]),
        "POST" => success(ApiKeyView {
            key: Some(KEY.to_owned()),
            ..key(4, "new")
        }),
        "DELETE" => success(serde_json::json!({ "deleted": path.rsplit('/').next() })),
        _ => failure(404, "not_found", path),
    })
}

#[test]
fn keys_are_listed() {
    let server = server();
    assert_snapshot!(Sandbox::linked(&server).run(&["keys"]), @"
    exit: 0
    ----- stdout -----
    ID                                    KEY            NAME    OWNER            LAST USED             EXPIRES
    0198c0de-0000-7000-8000-0000000000e1  tose_sk_0001…  laptop  ada@example.com  2026-01-01T00:01:00Z  -
    0198c0de-0000-7000-8000-0000000000e2  tose_sk_0002…  CI      ada@example.com  -                     2026-01-02T00:00:00Z
    0198c0de-0000-7000-8000-0000000000e3  tose_sk_0003…  CI      ada@example.com  -                     -

    ----- stderr -----
    ");
    assert_snapshot!(server.transcript(), @"GET /api/workspaces/demo/api-keys");
}

#[test]
fn a_new_key_is_all_that_stdout_gets() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["keys", "create", "new", "--expires-in-days", "30"]), @"
    exit: 0
    ----- stdout -----
    tose_sk_0123456789abcdef0123456789abcdef01234567

    ----- stderr -----
    keep the key: it is not shown again, and `tose keys revoke` ends it
    ");
    assert_snapshot!(server.transcript(), @r#"POST /api/workspaces/demo/api-keys {"name":"new","expires_in_days":30}"#);
}

#[test]
fn a_key_is_revoked_by_whatever_names_only_it() {
    let server = server();
    let sandbox = Sandbox::linked(&server);
    assert_snapshot!(sandbox.run(&["keys", "revoke", "laptop"]), @"
    exit: 0
    ----- stdout -----
    revoked tose_sk_0001… (laptop)

    ----- stderr -----
    ");
    sandbox.run(&["keys", "revoke", "tose_sk_0002…"]).ok();
    sandbox
        .run(&["keys", "revoke", "0198c0de-0000-7000-8000-0000000000e3"])
        .ok();
    assert_snapshot!(sandbox.run(&["keys", "revoke", "CI"]), @"
    exit: 2
    ----- stdout -----

    ----- stderr -----
    error: `CI` fits several keys: name one by its id, which `tose keys` lists
    ");
    assert_snapshot!(sandbox.run(&["keys", "revoke", "phone"]), @"
    exit: 5
    ----- stdout -----

    ----- stderr -----
    error: there is no key `phone`: see with `tose keys` what there is
    ");
    assert_snapshot!(server.transcript(), @"
    GET /api/workspaces/demo/api-keys
    DELETE /api/workspaces/demo/api-keys/0198c0de-0000-7000-8000-0000000000e1
    GET /api/workspaces/demo/api-keys
    DELETE /api/workspaces/demo/api-keys/0198c0de-0000-7000-8000-0000000000e2
    GET /api/workspaces/demo/api-keys
    DELETE /api/workspaces/demo/api-keys/0198c0de-0000-7000-8000-0000000000e3
    GET /api/workspaces/demo/api-keys
    GET /api/workspaces/demo/api-keys
    ");
}
