//! The suite's cases for `idempotency`.

use std::time::Duration;

use futures_util::future::join_all;
use tose_api::UserId;
use tose_api::workspace::Role;
use tose_model::IdGen;
use tose_model::secret::Sealed;
use tose_store::{Claim, Error, NewEvent};

use crate::harness::Lab;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Claims a name for a request with the hash `[request; 32]`, in the process `owner`.
async fn claim(lab: &Lab, name: &str, request: u8, owner: &str) -> Claim {
    let not_before = lab.now().saturating_sub(DAY);
    lab.store
        .claim_idempotency_key(name, &[request; 32], owner, lab.now(), not_before)
        .await
        .expect("asked")
}

fn running(request: u8) -> Claim {
    Claim::Running {
        request_hash: vec![request; 32],
    }
}

fn lost(request: u8, target: &str) -> Claim {
    Claim::Lost {
        request_hash: vec![request; 32],
        target: target.to_owned(),
    }
}

/// An event of a call that came with a name.
fn event_of(lab: &Lab, name: &str, target: &str) -> NewEvent {
    let mut event = lab.event();
    event.actor.idempotency = Some(name.to_owned());
    event.target = target.to_owned();
    event
}

#[tokio::test]
async fn a_name_is_fresh_once_and_then_running() {
    let lab = Lab::new().await;
    assert_eq!(claim(&lab, "n", 1, "boot-1").await, Claim::Fresh);
    for request in [1, 2] {
        // What the first request was is for the caller to compare.
        assert_eq!(claim(&lab, "n", request, "boot-1").await, running(1));
    }
    assert_eq!(claim(&lab, "other", 1, "boot-1").await, Claim::Fresh);
}

#[tokio::test]
async fn of_many_claims_at_once_one_is_fresh() {
    let lab = Lab::new().await;
    let claims = join_all((0..20).map(|_| claim(&lab, "n", 1, "boot-1"))).await;
    let count = |wanted: &Claim| claims.iter().filter(|claim| *claim == wanted).count();
    assert_eq!((count(&Claim::Fresh), count(&running(1))), (1, 19));
}

#[tokio::test]
async fn an_answer_is_replayed_byte_for_byte() {
    let lab = Lab::new().await;
    assert_eq!(claim(&lab, "n", 1, "boot-1").await, Claim::Fresh);
    let answer = Sealed::from_bytes((0..=u8::MAX).collect());
    lab.store
        .keep_answer("n", 201, &answer)
        .await
        .expect("kept");
    lab.store
        .release_idempotency_key("n")
        .await
        .expect("an answer stays");
    let answered = Claim::Answered {
        request_hash: vec![1; 32],
        status: 201,
        answer,
    };
    for (request, owner) in [(1, "boot-1"), (1, "boot-2"), (2, "boot-1")] {
        assert_eq!(claim(&lab, "n", request, owner).await, answered);
    }
    assert_eq!(claim(&lab, "other", 1, "boot-1").await, Claim::Fresh);
}

#[tokio::test]
async fn what_a_process_that_ended_did_not_do_can_be_done_again() {
    let lab = Lab::new().await;
    assert_eq!(claim(&lab, "n", 1, "boot-1").await, Claim::Fresh);
    // The call was refused, so it left no event.
    let nobody = UserId::from_uuid(lab.ids.uuid());
    let refused = lab
        .store
        .add_member(&lab.scope, nobody, Role::Member, &event_of(&lab, "n", "x"))
        .await;
    assert!(matches!(refused, Err(Error::NotFound("user"))));
    lab.store
        .add_event(&lab.scope, &event_of(&lab, "other", "y"))
        .await
        .expect("written");
    assert_eq!(claim(&lab, "n", 2, "boot-2").await, Claim::Fresh);
    assert_eq!(claim(&lab, "n", 2, "boot-2").await, running(2));
}

#[tokio::test]
async fn of_many_that_take_over_from_a_process_that_ended_one_is_fresh() {
    let lab = Lab::new().await;
    assert_eq!(claim(&lab, "n", 1, "boot-1").await, Claim::Fresh);
    let claims = join_all((0..20).map(|_| claim(&lab, "n", 1, "boot-2"))).await;
    let fresh = claims.iter().filter(|claim| **claim == Claim::Fresh);
    assert_eq!(fresh.count(), 1);
}

#[tokio::test]
async fn what_a_process_that_ended_did_is_not_done_again() {
    let lab = Lab::new().await;
    assert_eq!(claim(&lab, "n", 1, "boot-1").await, Claim::Fresh);
    lab.store
        .rename_workspace(&lab.scope, "New", &event_of(&lab, "n", "demo"))
        .await
        .expect("renamed");
    assert_eq!(claim(&lab, "n", 1, "boot-1").await, running(1));
    for request in [1, 2] {
        assert_eq!(claim(&lab, "n", request, "boot-2").await, lost(1, "demo"));
    }
}

#[tokio::test]
async fn a_released_name_can_be_claimed_again_unless_it_took_effect() {
    let lab = Lab::new().await;
    for (name, expected) in [("none", Claim::Fresh), ("some", lost(1, "demo"))] {
        assert_eq!(claim(&lab, name, 1, "boot-1").await, Claim::Fresh);
        if expected != Claim::Fresh {
            lab.store
                .add_event(&lab.scope, &event_of(&lab, name, "demo"))
                .await
                .expect("written");
        }
        lab.store
            .release_idempotency_key(name)
            .await
            .expect("released");
        assert_eq!(claim(&lab, name, 1, "boot-1").await, expected);
    }
    lab.store
        .release_idempotency_key("unknown")
        .await
        .expect("does nothing");
}

#[tokio::test]
async fn names_are_forgotten_after_their_time() {
    let lab = Lab::new().await;
    for name in ["answered", "unanswered"] {
        assert_eq!(claim(&lab, name, 1, "boot-1").await, Claim::Fresh);
    }
    let answer = Sealed::from_bytes(vec![7]);
    lab.store
        .keep_answer("answered", 200, &answer)
        .await
        .expect("kept");
    lab.clock.advance(DAY);
    let answered = Claim::Answered {
        request_hash: vec![1; 32],
        status: 200,
        answer,
    };
    assert_eq!(claim(&lab, "answered", 2, "boot-1").await, answered);
    assert_eq!(claim(&lab, "unanswered", 2, "boot-1").await, running(1));
    lab.clock.advance(Duration::from_secs(1));
    for name in ["answered", "unanswered"] {
        assert_eq!(claim(&lab, name, 2, "boot-1").await, Claim::Fresh);
    }
}
