//! The suite's cases for `domain_settings`.

use tose_api::ProjectId;
use tose_api::domain::DomainStatus::Active;
use tose_model::access::WorkspaceScope;
use tose_model::secret::Sealed;
use tose_store::{Domain, Error, ProjectHost, Result, StoredPath, StoredSettings};

use crate::harness::Lab;

/// One of each kind of value.
fn settings(project_id: ProjectId) -> StoredSettings {
    let settings = serde_json::json!({
        "redirect_to": "other.example.org",
        "allowed_ips": ["203.0.113.0/24"],
        "users": [{"name": "ann"}],
        "max_body_mb": 8,
        "upstream": "h2c",
        "hsts": {"max_age_days": 30},
        "error_page": "<h1>sorry</h1>",
        "sticky": true,
    });
    StoredSettings {
        settings: serde_json::from_value(settings).expect("settings"),
        paths: vec![StoredPath {
            prefix: "/api".to_owned(),
            project_id,
            strip_prefix: true,
        }],
        sealed_users: Some(Sealed::from_bytes(vec![1, 2, 3])),
    }
}

/// The project's own domain.
async fn own(lab: &Lab, project_id: ProjectId) -> Domain {
    let domains = lab.store.list_domains(&lab.scope, project_id).await;
    domains.expect("a list").remove(0)
}

async fn set(
    lab: &Lab,
    scope: &WorkspaceScope,
    project_id: ProjectId,
    domain: &Domain,
    new: &StoredSettings,
) -> Result<()> {
    let event = lab.event();
    lab.store
        .set_domain_settings(scope, project_id, domain.id, new, &event)
        .await
}

#[tokio::test]
async fn settings_are_read_back_with_the_domain_and_cleared() {
    let lab = Lab::new().await;
    let (shop, api) = (lab.project("shop").await, lab.project("api").await);
    let domain = own(&lab, shop).await;
    assert_eq!(domain.settings, StoredSettings::default());
    let events = lab.count_events(&lab.scope).await;
    for new in [settings(api), StoredSettings::default()] {
        set(&lab, &lab.scope, shop, &domain, &new)
            .await
            .expect("written");
        let read = lab.store.get_domain(&lab.scope, shop, domain.id).await;
        assert_eq!(read.expect("there").settings, new);
        assert_eq!(own(&lab, shop).await.settings, new);
    }
    assert_eq!(lab.count_events(&lab.scope).await, events + 2);
    let untouched = own(&lab, api).await;
    assert_eq!(untouched.settings, StoredSettings::default());
}

#[tokio::test]
async fn another_workspace_or_project_changes_nothing() {
    let lab = Lab::new().await;
    let (shop, api) = (lab.project("shop").await, lab.project("api").await);
    let other = lab.workspace("other").await;
    let domain = own(&lab, shop).await;
    let events = lab.count_events(&lab.scope).await;
    for (scope, project_id) in [(&other, shop), (&lab.scope, api)] {
        let refused = set(&lab, scope, project_id, &domain, &settings(api)).await;
        assert!(
            matches!(refused, Err(Error::NotFound("domain"))),
            "{refused:?}"
        );
    }
    assert_eq!(own(&lab, shop).await, domain);
    assert_eq!(lab.count_events(&lab.scope).await, events);
    assert_eq!(lab.count_events(&other).await, 0);
}

#[tokio::test]
async fn redirects_are_those_of_the_workspace() {
    let lab = Lab::new().await;
    let (shop, api) = (lab.project("shop").await, lab.project("api").await);
    let other = lab.workspace("other").await;
    let new = settings(api);
    let brought = lab.domain(&lab.scope, shop, "app.example.org", Active);
    let event = lab.event();
    let claimed = lab.store.create_domain(&lab.scope, &brought, &event).await;
    claimed.expect("claimed");
    set(&lab, &lab.scope, shop, &brought, &new)
        .await
        .expect("written");
    // Settings without a redirect are in the way of none.
    let mut without = new.clone();
    without.settings.redirect_to = None;
    let domain = own(&lab, shop).await;
    set(&lab, &lab.scope, shop, &domain, &without)
        .await
        .expect("written");
    let redirects = lab.store.list_redirects(&lab.scope).await.expect("a list");
    let to = new.settings.redirect_to.expect("a redirect");
    assert_eq!(
        redirects.into_iter().collect::<Vec<_>>(),
        [(brought.hostname, to)]
    );
    let theirs = lab.store.list_redirects(&other).await.expect("a list");
    assert!(theirs.is_empty());
}

#[tokio::test]
async fn hosts_of_projects_are_those_of_the_workspace_without_the_deleted() {
    let lab = Lab::new().await;
    let (shop, old) = (lab.project("shop").await, lab.project("old").await);
    let other = lab.workspace("other").await;
    let hosts = ["shop-other.example.com"];
    let theirs = lab.try_project(&other, "shop", &hosts).await;
    theirs.expect("a project");
    lab.store
        .delete_project(&lab.scope, old, lab.now(), &lab.event())
        .await
        .expect("deleted");
    let found = lab.store.list_project_hosts(&lab.scope).await;
    let expected = ProjectHost {
        project_id: shop,
        slug: "shop".parse().expect("a slug"),
        hostname: "shop.example.com".parse().expect("a host name"),
    };
    assert_eq!(found.expect("a list"), [expected]);
}
