//! The suite's cases for `env_var`.

use std::collections::BTreeMap;

use tose_api::EnvKey;
use tose_api::env_var::EnvVarsChanged;
use tose_model::secret::Sealed;
use tose_store::{Error, KeepOthers, NewEnvVar};

use crate::harness::Lab;

fn variables(entries: &[(&str, u8, Option<bool>)]) -> BTreeMap<EnvKey, NewEnvVar> {
    let entry = |(key, value, is_secret): &(&str, u8, Option<bool>)| {
        let variable = NewEnvVar {
            value: Sealed::from_bytes(vec![*value]),
            is_secret: *is_secret,
        };
        (key.parse().expect("a key"), variable)
    };
    entries.iter().map(entry).collect()
}

#[tokio::test]
async fn sets_are_merged_or_replaced_in_one_go() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let set = async |entries: &[(&str, u8, Option<bool>)], keep| {
        let event = lab.event();
        lab.store
            .set_env_vars(&lab.scope, id, &variables(entries), keep, lab.now(), &event)
            .await
            .expect("set")
    };
    let changed = set(&[("A", 1, Some(true)), ("B", 2, None)], KeepOthers::Yes).await;
    assert_eq!(
        changed,
        EnvVarsChanged {
            created: 2,
            updated: 0,
            deleted: 0
        }
    );
    let changed = set(&[("A", 3, None), ("C", 4, None)], KeepOthers::No).await;
    assert_eq!(
        changed,
        EnvVarsChanged {
            created: 1,
            updated: 1,
            deleted: 1
        }
    );
    let list = lab
        .store
        .list_env_vars(&lab.scope, id)
        .await
        .expect("a list");
    let seen: Vec<_> = list
        .iter()
        .map(|v| (v.key.as_str(), v.value.as_bytes(), v.is_secret))
        .collect();
    assert_eq!(seen, [("A", &[3][..], true), ("C", &[4][..], false)]);
}

#[tokio::test]
async fn another_workspace_neither_reads_nor_writes() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let event = lab.event();
    let one = variables(&[("A", 1, None)]);
    lab.store
        .set_env_vars(&lab.scope, id, &one, KeepOthers::Yes, lab.now(), &event)
        .await
        .expect("set");
    let other = lab.workspace("other").await;
    assert!(
        lab.store
            .list_env_vars(&other, id)
            .await
            .expect("a list")
            .is_empty()
    );
    let two = variables(&[("A", 2, None)]);
    let foreign = lab
        .store
        .set_env_vars(&other, id, &two, KeepOthers::No, lab.now(), &lab.event())
        .await;
    assert!(matches!(foreign, Err(Error::NotFound("project"))));
    let gone = lab
        .store
        .delete_env_var(&other, id, "A", &lab.event())
        .await;
    assert!(matches!(gone, Err(Error::NotFound("variable"))));
    let list = lab
        .store
        .list_env_vars(&lab.scope, id)
        .await
        .expect("a list");
    assert_eq!(list[0].value.as_bytes(), [1]);
}
