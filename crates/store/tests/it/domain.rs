//! The suite's cases for `domain`.

use tose_api::ProjectId;
use tose_api::domain::DomainStatus::{Active, Failed, Pending};
use tose_model::access::WorkspaceScope;
use tose_store::{Domain, Error, Result, Verdict};

use crate::harness::Lab;

const HOST: &str = "app.example.org";

async fn claim(lab: &Lab, scope: &WorkspaceScope, domain: &Domain) -> Result<()> {
    let event = lab.event();
    lab.store.create_domain(scope, domain, &event).await
}

/// Whose the host name is.
async fn holder(lab: &Lab, host: &str) -> Option<Domain> {
    let host = host.parse().expect("a host name");
    lab.store.find_domain_for_task(&host).await.expect("read")
}

async fn list(lab: &Lab, scope: &WorkspaceScope, project_id: ProjectId) -> Vec<Domain> {
    lab.store
        .list_domains(scope, project_id)
        .await
        .expect("a list")
}

async fn other_project(lab: &Lab) -> (WorkspaceScope, ProjectId) {
    let other = lab.workspace("other").await;
    let project_id = lab
        .try_project(&other, "shop", &["shop-other.example.com"])
        .await
        .expect("a project");
    (other, project_id)
}

#[tokio::test]
async fn what_is_written_is_read_back_after_the_platforms_own() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let new = lab.domain(&lab.scope, project_id, HOST, Pending);
    claim(&lab, &lab.scope, &new).await.expect("claimed");
    let domains = list(&lab, &lab.scope, project_id).await;
    let [own, brought] = domains.as_slice() else {
        panic!("two domains, not {domains:?}");
    };
    assert_eq!(
        (own.hostname.as_str(), own.is_default, own.status),
        ("shop.example.com", true, Active)
    );
    assert_eq!(brought, &new);
    let read = lab
        .store
        .get_domain(&lab.scope, project_id, new.id)
        .await
        .expect("there");
    assert_eq!(read, new);
    assert_eq!(holder(&lab, HOST).await, Some(new));
    assert_eq!(holder(&lab, "free.example.org").await, None);
}

#[tokio::test]
async fn a_claimed_host_name_is_taken() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let blog = lab.project("blog").await;
    let (other, theirs) = other_project(&lab).await;
    let first = lab.domain(&lab.scope, project_id, HOST, Pending);
    claim(&lab, &lab.scope, &first).await.expect("claimed");
    let events = lab.count_events(&lab.scope).await;
    for (scope, project_id, host, status) in [
        (&lab.scope, project_id, HOST, Pending),
        (&lab.scope, blog, HOST, Pending),
        (&lab.scope, blog, HOST, Active),
        (&other, theirs, HOST, Pending),
        (&other, theirs, "shop.example.com", Active),
    ] {
        let second = lab.domain(scope, project_id, host, status);
        let refused = claim(&lab, scope, &second).await;
        assert!(
            matches!(refused, Err(Error::Taken(_))),
            "{second:?}: {refused:?}"
        );
    }
    assert_eq!(holder(&lab, HOST).await, Some(first));
    assert_eq!(list(&lab, &lab.scope, blog).await.len(), 1);
    assert_eq!(list(&lab, &other, theirs).await.len(), 1);
    assert_eq!(lab.count_events(&lab.scope).await, events);
}

#[tokio::test]
async fn a_proved_claim_replaces_another_workspaces_unproved_one() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let (other, theirs) = other_project(&lab).await;
    for (host, status) in [("a.example.org", Pending), ("b.example.org", Failed)] {
        let unproved = lab.domain(&lab.scope, project_id, host, status);
        claim(&lab, &lab.scope, &unproved).await.expect("claimed");
        let proved = lab.domain(&other, theirs, host, Active);
        claim(&lab, &other, &proved).await.expect("replaced");
        assert_eq!(holder(&lab, host).await, Some(proved));
        let gone = lab
            .store
            .get_domain(&lab.scope, project_id, unproved.id)
            .await;
        assert!(matches!(gone, Err(Error::NotFound("domain"))));
    }
}

#[tokio::test]
async fn a_proved_claim_does_not_replace_a_proved_one() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let (other, theirs) = other_project(&lab).await;
    let first = lab.domain(&lab.scope, project_id, HOST, Active);
    claim(&lab, &lab.scope, &first).await.expect("claimed");
    let second = lab.domain(&other, theirs, HOST, Active);
    let refused = claim(&lab, &other, &second).await;
    assert!(matches!(refused, Err(Error::Taken(_))), "{refused:?}");
    assert_eq!(holder(&lab, HOST).await, Some(first));
}

#[tokio::test]
async fn of_two_proved_claims_at_once_one_is_kept() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let (other, theirs) = other_project(&lab).await;
    let ours = lab.domain(&lab.scope, project_id, HOST, Active);
    let rival = lab.domain(&other, theirs, HOST, Active);
    let (first, second) = tokio::join!(claim(&lab, &lab.scope, &ours), claim(&lab, &other, &rival));
    assert!(first.is_ok() != second.is_ok(), "{first:?} {second:?}");
    let kept = if first.is_ok() { ours } else { rival };
    assert_eq!(holder(&lab, HOST).await, Some(kept));
    assert!(matches!(first.and(second), Err(Error::Taken(_))));
}

#[tokio::test]
async fn what_dns_said_is_noted() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let new = lab.domain(&lab.scope, project_id, HOST, Pending);
    claim(&lab, &lab.scope, &new).await.expect("claimed");
    for (status, reason, seconds) in [(Failed, Some("no proof"), 60), (Active, None, 120)] {
        let verdict = Verdict {
            status,
            reason: reason.map(str::to_owned),
            at: lab.in_seconds(seconds),
        };
        lab.store
            .set_domain_verdict(&lab.scope, new.id, &verdict)
            .await
            .expect("noted");
        let expected = Domain {
            status,
            reason: verdict.reason,
            checked_at: Some(verdict.at),
            ..new.clone()
        };
        assert_eq!(holder(&lab, HOST).await, Some(expected));
    }
}

#[tokio::test]
async fn the_platforms_own_host_name_stays_and_others_go() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let own = holder(&lab, "shop.example.com").await.expect("a domain");
    let brought = lab.domain(&lab.scope, project_id, HOST, Active);
    claim(&lab, &lab.scope, &brought).await.expect("claimed");
    let events = lab.count_events(&lab.scope).await;
    let refused = lab
        .store
        .delete_domain(&lab.scope, project_id, own.id, &lab.event())
        .await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert_eq!(lab.count_events(&lab.scope).await, events);
    let verdict = Verdict {
        status: Failed,
        reason: Some("no proof".to_owned()),
        at: lab.in_seconds(60),
    };
    lab.store
        .set_domain_verdict(&lab.scope, own.id, &verdict)
        .await
        .expect("does nothing");
    lab.store
        .delete_domain(&lab.scope, project_id, brought.id, &lab.event())
        .await
        .expect("deleted");
    assert_eq!(list(&lab, &lab.scope, project_id).await, [own]);
    assert_eq!(holder(&lab, HOST).await, None);
}

#[tokio::test]
async fn what_waits_for_dns_is_listed_by_when_it_was_last_asked() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let make = |host, status, checked_at| Domain {
        checked_at,
        ..lab.domain(&lab.scope, project_id, host, status)
    };
    let recent = make("recent.example.org", Pending, Some(lab.in_seconds(50)));
    let never = make("never.example.org", Pending, None);
    let old = make("old.example.org", Pending, Some(lab.in_seconds(10)));
    let proved = make("proved.example.org", Active, Some(lab.in_seconds(10)));
    let failed = make("failed.example.org", Failed, Some(lab.in_seconds(10)));
    for domain in [&recent, &never, &old, &proved, &failed] {
        claim(&lab, &lab.scope, domain).await.expect("claimed");
    }
    let list = async |seconds: u64| {
        let before = lab.in_seconds(seconds);
        let found = lab.store.list_pending_domains_for_task(before).await;
        found.expect("a list")
    };
    assert_eq!(list(51).await, [never.clone(), old.clone(), recent]);
    assert_eq!(list(50).await, [never.clone(), old.clone()]);
    assert_eq!(list(10).await, std::slice::from_ref(&never));
    let verdict = Verdict {
        status: Pending,
        reason: None,
        at: lab.in_seconds(40),
    };
    lab.store
        .set_domain_verdict(&lab.scope, never.id, &verdict)
        .await
        .expect("noted");
    assert_eq!(list(40).await, [old]);
}

#[tokio::test]
async fn another_workspace_neither_sees_nor_changes_a_domain() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let (other, _) = other_project(&lab).await;
    let new = lab.domain(&lab.scope, project_id, HOST, Pending);
    claim(&lab, &lab.scope, &new).await.expect("claimed");
    let events = lab.count_events(&other).await;
    assert_eq!(list(&lab, &other, project_id).await, []);
    let foreign = lab.store.get_domain(&other, project_id, new.id).await;
    assert!(matches!(foreign, Err(Error::NotFound("domain"))));
    let verdict = Verdict {
        status: Active,
        reason: None,
        at: lab.in_seconds(60),
    };
    lab.store
        .set_domain_verdict(&other, new.id, &verdict)
        .await
        .expect("does nothing");
    let deleted = lab
        .store
        .delete_domain(&other, project_id, new.id, &lab.event())
        .await;
    assert!(deleted.is_err());
    assert_eq!(holder(&lab, HOST).await, Some(new));
    assert_eq!(lab.count_events(&other).await, events);
}

#[tokio::test]
async fn another_project_of_the_workspace_does_not_hold_the_domain() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let blog = lab.project("blog").await;
    let new = lab.domain(&lab.scope, project_id, HOST, Pending);
    claim(&lab, &lab.scope, &new).await.expect("claimed");
    let elsewhere = lab.store.get_domain(&lab.scope, blog, new.id).await;
    assert!(matches!(elsewhere, Err(Error::NotFound("domain"))));
    let deleted = lab
        .store
        .delete_domain(&lab.scope, blog, new.id, &lab.event())
        .await;
    assert!(deleted.is_err());
    assert_eq!(holder(&lab, HOST).await, Some(new));
}

#[tokio::test]
async fn a_deleted_projects_host_names_are_free() {
    let lab = Lab::new().await;
    let project_id = lab.project("shop").await;
    let (other, theirs) = other_project(&lab).await;
    let first = lab.domain(&lab.scope, project_id, HOST, Active);
    claim(&lab, &lab.scope, &first).await.expect("claimed");
    lab.store
        .delete_project(&lab.scope, project_id, lab.now(), &lab.event())
        .await
        .expect("deleted");
    for host in [HOST, "shop.example.com"] {
        let next = lab.domain(&other, theirs, host, Pending);
        claim(&lab, &other, &next).await.expect("free");
        assert_eq!(holder(&lab, host).await, Some(next));
    }
}
