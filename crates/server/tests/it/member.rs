//! Members and keys of a workspace.

use serde_json::json;

use crate::harness::Lab;

#[tokio::test]
async fn the_last_owner_stays_and_nobody_grants_more_than_they_have() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let admin = lab.member(&owner, "admin").await;
    let member = lab.member(&owner, "member").await;
    let id = async |client: &crate::harness::Client| {
        let me = client.get("/api/me").await;
        me.data()["user_id"].as_str().expect("an id").to_owned()
    };
    let (owner_id, admin_id, member_id) = (id(&owner).await, id(&admin).await, id(&member).await);

    for path in [format!("members/{owner_id}")] {
        let lowered = owner.put(&path, json!({"role": "admin"})).await;
        assert_eq!(lowered.status, 409, "{lowered:?}");
        assert_eq!(owner.delete(&path).await.status, 409);
        assert_eq!(
            admin.delete(&path).await.status,
            403,
            "a higher role than theirs"
        );
    }
    let ann = lab.person("ann@example.com").await;
    let above = json!({"user_id": ann.user_id, "role": "owner"});
    assert_eq!(admin.post("members", above.clone()).await.status, 403);
    let invite = json!({"email": "x@example.com", "role": "owner"});
    assert_eq!(admin.post("invitations", invite).await.status, 403);
    assert_eq!(
        admin
            .put(&format!("members/{member_id}"), json!({"role": "admin"}))
            .await
            .status,
        403,
        "roles are an owner's to change"
    );
    assert_eq!(
        member.delete(&format!("members/{admin_id}")).await.status,
        403
    );
    assert_eq!(
        member.delete(&format!("members/{member_id}")).await.status,
        200,
        "leaves"
    );
    assert_eq!(
        member.get("/api/me").await.status,
        401,
        "and their keys are void"
    );

    assert_eq!(owner.post("members", above).await.status, 201);
    assert_eq!(
        owner.delete(&format!("members/{owner_id}")).await.status,
        200
    );
    assert_eq!(owner.get("/api/me").await.status, 401);
}

#[tokio::test]
async fn a_lower_role_counts_from_the_next_call_on() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let admin = lab.member(&owner, "admin").await;
    let body = json!({"name": "a"});
    assert_eq!(admin.post("projects", body.clone()).await.status, 201);
    let me = admin.get("/api/me").await;
    let path = format!("members/{}", me.data()["user_id"].as_str().expect("an id"));
    assert_eq!(
        owner.put(&path, json!({"role": "member"})).await.status,
        200
    );
    assert_eq!(admin.post("projects", body).await.status, 403);
}

#[tokio::test]
async fn a_key_is_shown_once_and_its_use_is_noted() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    let made = owner.post("api-keys", json!({"name": "ci"})).await;
    assert_eq!(made.status, 201);
    let key = made.data()["key"].as_str().expect("a key").to_owned();
    assert!(key.starts_with("tose_sk_") && key.len() == 48, "{key}");
    let find = async || {
        let list = owner.get("api-keys").await;
        let keys = list.data().as_array().expect("a list").clone();
        keys.into_iter()
            .find(|found| found["id"] == made.data()["id"])
            .expect("the key")
    };
    let listed = find().await;
    assert!(listed.get("key").is_none(), "{listed}");
    assert_eq!(listed["last_used_at"], json!(null));
    assert!(
        listed["key_prefix"]
            .as_str()
            .expect("a text")
            .starts_with(&key[..12])
    );
    assert_eq!(owner.with_key(Some(&key)).get("/api/me").await.status, 200);
    assert_ne!(find().await["last_used_at"], json!(null));
    for days in [json!(0), json!(3651), json!(-1), json!("x")] {
        let bad = owner
            .post("api-keys", json!({"name": "x", "expires_in_days": days}))
            .await;
        assert_eq!(bad.status, 400, "{bad:?}");
    }
}

#[tokio::test]
async fn events_say_who_did_what_from_where() {
    let lab = Lab::start().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    owner
        .post("projects/shop/env", json!({"key": "A", "value": "1"}))
        .await;
    let page = owner.get("events?limit=1").await;
    assert_eq!(page.body["meta"]["has_more"], json!(true));
    let events = owner.get("events").await;
    let newest = &events.data()[0];
    assert_eq!(newest["action"], json!("env.set"));
    assert_eq!(newest["actor"], json!("demo@example.com"));
    assert_eq!(
        (&newest["via"], &newest["ip"]),
        (&json!("api_key"), &json!("127.0.0.1"))
    );
    assert_eq!(events.data()[1]["target"], json!("shop"));
}
