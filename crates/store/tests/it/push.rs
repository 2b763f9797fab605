//! The suite's cases for `push`.

use tose_api::envelope::Paging;
use tose_api::git::{GitProvider, PushVerdict};
use tose_api::{ProjectId, PushDeliveryId};
use tose_model::IdGen;
use tose_model::push::RepoKey;
use tose_model::secret::Sealed;
use tose_store::{Error, GitConnection, NewPushDelivery};

use crate::harness::Lab;

fn delivery(lab: &Lab, name: &str, digest: Option<u8>) -> NewPushDelivery {
    NewPushDelivery {
        id: PushDeliveryId::from_uuid(lab.ids.uuid()),
        provider: GitProvider::Gitea,
        delivery: name.to_owned(),
        digest: digest.map(|byte| [byte; 32]),
        git_ref: Some("main".to_owned()),
        commit: None,
        verdict: PushVerdict::Skipped,
    }
}

async fn add(lab: &Lab, id: ProjectId, new: &NewPushDelivery) -> Result<(), Error> {
    lab.store
        .add_push_delivery(&lab.scope, id, new, None, lab.now())
        .await
}

#[tokio::test]
async fn an_event_is_taken_once_by_its_id_and_by_its_digest() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    let first = delivery(&lab, "one", Some(1));
    add(&lab, id, &first).await.expect("the first");
    for (name, digest) in [("one", Some(2)), ("two", Some(1))] {
        let again = add(&lab, id, &delivery(&lab, name, digest)).await;
        assert!(matches!(again, Err(Error::Taken(_))), "{name}: {again:?}");
    }
    for name in ["three", "four"] {
        let unsigned = delivery(&lab, name, None);
        add(&lab, id, &unsigned).await.expect("no digest, no clash");
    }
    let other = lab.project("other").await;
    let same = delivery(&lab, "one", Some(1));
    add(&lab, other, &same).await.expect("another project's");
    let digest = [1; 32];
    let found = lab
        .store
        .find_push_delivery(&lab.scope, id, "nothing", Some(&digest))
        .await
        .expect("asked");
    assert_eq!(found.map(|found| found.id), Some(first.id));
}

#[tokio::test]
async fn the_newest_two_hundred_events_are_kept() {
    let lab = Lab::new().await;
    let id = lab.project("shop").await;
    for number in 0..205 {
        let new = delivery(&lab, &number.to_string(), None);
        add(&lab, id, &new).await.expect("added");
        lab.clock.advance(std::time::Duration::from_secs(1));
    }
    let paging = Paging::new(Some(1), Some(1)).expect("a page");
    let (newest, total) = lab
        .store
        .list_push_deliveries(&lab.scope, id, paging)
        .await
        .expect("a list");
    assert_eq!((newest.len(), total), (1, 200));
    let first = lab
        .store
        .find_push_delivery(&lab.scope, id, "4", None)
        .await;
    assert_eq!(first.expect("asked"), None, "the oldest is forgotten");
}

#[tokio::test]
async fn a_repository_leads_to_the_projects_that_have_a_secret() {
    let lab = Lab::new().await;
    let (id, without) = (lab.project("shop").await, lab.project("other").await);
    let connection = GitConnection {
        repo_full_name: None,
        repo_url: "git@example.com:Ada/Shop.git".parse().expect("an address"),
        branch: "main".parse().expect("a branch"),
        auto_deploy: false,
        root_directory: None,
        dockerfile_path: None,
        deploy_key: None,
        deploy_key_public: None,
        access_token: None,
        installation_id: None,
        webhook_secret: Some(Sealed::from_bytes(vec![1])),
        watch_paths: vec!["a/".to_owned()],
        provider: None,
        previews: false,
        preview_limit: 5,
        last_report: None,
        created_at: lab.now(),
    };
    let put = async |id, connection: &GitConnection| {
        lab.store
            .put_git_connection(&lab.scope, id, connection, &lab.event())
            .await
            .expect("connected");
    };
    put(id, &connection).await;
    let no_secret = GitConnection {
        webhook_secret: None,
        ..connection
    };
    put(without, &no_secret).await;
    let key = RepoKey::new(&"https://example.com/ada/shop".parse().expect("an address"));
    let found = lab
        .store
        .list_push_candidates_for_task(&key)
        .await
        .expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].project_id, found[0].auto_deploy), (id, false));
    assert_eq!(found[0].watch_paths, ["a/"]);
}
