//! The suite's cases for `user`.

use std::time::Duration;

use tose_api::{Email, UserId};
use tose_model::IdGen;
use tose_model::secret::Sealed;
use tose_store::{Error, NewUser, Operator, User};

use crate::harness::Lab;

fn address(text: &str) -> Email {
    text.parse().expect("an address")
}

async fn read(lab: &Lab, id: UserId) -> User {
    lab.store.get_user(id).await.expect("an account")
}

async fn password(lab: &Lab, id: UserId) -> Option<String> {
    read(lab, id).await.password_hash
}

/// Asks for a reset for a minute, whose token has the hash `[token; 32]`.
async fn ask_reset(lab: &Lab, id: UserId, token: u8) {
    lab.store
        .create_password_reset(&[token; 32], id, lab.in_seconds(60))
        .await
        .expect("kept");
}

async fn reset(lab: &Lab, token: u8, password_hash: &str) -> bool {
    lab.store
        .use_password_reset(&[token; 32], password_hash, lab.now())
        .await
        .expect("asked")
}

async fn offer_secret(lab: &Lab, id: UserId, byte: u8) -> tose_store::Result<()> {
    let secret = Sealed::from_bytes(vec![byte]);
    lab.store.set_totp_secret(id, &secret).await
}

/// An account with two-factor on since `step`, and the recovery codes with the hashes `[code; 32]`.
async fn user_with_two_factor(lab: &Lab, email: &str, step: i64, codes: &[u8]) -> UserId {
    let id = lab.user(email).await;
    offer_secret(lab, id, 1).await.expect("kept");
    let codes: Vec<[u8; 32]> = codes.iter().map(|code| [*code; 32]).collect();
    lab.store
        .confirm_totp(id, step, &codes, lab.now())
        .await
        .expect("confirmed");
    id
}

async fn use_step(lab: &Lab, id: UserId, step: i64) -> bool {
    lab.store.use_totp_step(id, step).await.expect("asked")
}

async fn use_code(lab: &Lab, id: UserId, code: u8) -> bool {
    lab.store
        .use_recovery_code(id, &[code; 32])
        .await
        .expect("asked")
}

#[tokio::test]
async fn what_is_written_is_read_back() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    lab.store.rename_user(id, "Ada").await.expect("renamed");
    let expected = User {
        id,
        email: address("a@example.com"),
        name: Some("Ada".to_owned()),
        password_hash: Some("before".to_owned()),
        totp_secret: None,
        two_factor: false,
        is_operator: false,
        created_at: lab.now(),
    };
    assert_eq!(read(&lab, id).await, expected);
    let find = async |text: &str| {
        let found = lab.store.find_user_by_email(&address(text)).await;
        found.expect("read")
    };
    assert_eq!(find("a@example.com").await, Some(expected));
    assert_eq!(find("b@example.com").await, None);
    let unknown = lab.store.get_user(UserId::from_uuid(lab.ids.uuid())).await;
    assert!(matches!(unknown, Err(Error::NotFound("user"))));
}

#[tokio::test]
async fn an_account_that_only_has_keys_has_no_password() {
    let lab = Lab::new().await;
    let owner = lab.owner(&lab.scope).await;
    assert_eq!(password(&lab, owner).await, None);
}

#[tokio::test]
async fn a_taken_address_is_refused_and_its_account_stays() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    let second = NewUser {
        id: UserId::from_uuid(lab.ids.uuid()),
        email: address("a@example.com"),
        name: Some("Somebody else".to_owned()),
        password_hash: "other".to_owned(),
        now: lab.now(),
    };
    let refused = lab.store.create_user(&second).await;
    assert!(matches!(refused, Err(Error::Taken(_))), "{refused:?}");
    let found = lab
        .store
        .find_user_by_email(&second.email)
        .await
        .expect("read");
    assert_eq!(found.map(|user| (user.id, user.name)), Some((id, None)));
}

#[tokio::test]
async fn a_new_password_ends_every_login_but_one_and_drops_resets() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    let other = lab.user("b@example.com").await;
    let kept = lab.login(id, 1).await;
    lab.login(id, 2).await;
    lab.login(other, 3).await;
    ask_reset(&lab, id, 9).await;
    let epoch = lab.store.credentials_epoch();
    lab.store
        .set_password(id, "after", Some(kept))
        .await
        .expect("set");
    assert!(lab.store.credentials_epoch() > epoch);
    assert!(lab.is_logged_in(1).await, "the one that is kept");
    assert!(!lab.is_logged_in(2).await);
    assert!(lab.is_logged_in(3).await, "somebody else's");
    assert!(!reset(&lab, 9, "stolen").await);
    assert_eq!(password(&lab, id).await.as_deref(), Some("after"));
    assert_eq!(password(&lab, other).await.as_deref(), Some("before"));
    lab.store
        .set_password(id, "later", None)
        .await
        .expect("set");
    assert!(!lab.is_logged_in(1).await, "none is kept");
    assert!(lab.is_logged_in(3).await);
}

#[tokio::test]
async fn a_reset_token_works_once_and_ends_every_login() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    lab.login(id, 1).await;
    ask_reset(&lab, id, 9).await;
    assert!(!reset(&lab, 8, "guessed").await, "an unknown token");
    let epoch = lab.store.credentials_epoch();
    assert!(reset(&lab, 9, "after").await);
    assert!(lab.store.credentials_epoch() > epoch);
    assert!(!lab.is_logged_in(1).await);
    assert!(!reset(&lab, 9, "again").await);
    assert_eq!(password(&lab, id).await.as_deref(), Some("after"));
}

#[tokio::test]
async fn of_two_resets_with_one_token_at_once_one_sets_the_password() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    ask_reset(&lab, id, 9).await;
    let (first, second) = tokio::join!(reset(&lab, 9, "first"), reset(&lab, 9, "second"));
    assert_ne!(first, second);
    let expected = if first { "first" } else { "second" };
    assert_eq!(password(&lab, id).await.as_deref(), Some(expected));
}

#[tokio::test]
async fn a_reset_token_is_void_after_its_end() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    ask_reset(&lab, id, 9).await;
    lab.clock.advance(Duration::from_secs(60));
    lab.login(id, 1).await;
    assert!(!reset(&lab, 9, "late").await);
    assert_eq!(password(&lab, id).await.as_deref(), Some("before"));
    assert!(lab.is_logged_in(1).await);
}

#[tokio::test]
async fn a_reset_takes_the_place_of_the_one_before() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    let other = lab.user("b@example.com").await;
    for (user, token) in [(id, 7), (other, 8), (id, 9)] {
        ask_reset(&lab, user, token).await;
    }
    assert!(!reset(&lab, 7, "old").await);
    assert!(reset(&lab, 9, "new").await);
    assert!(reset(&lab, 8, "theirs").await, "another account's stays");
    assert_eq!(password(&lab, id).await.as_deref(), Some("new"));
    assert_eq!(password(&lab, other).await.as_deref(), Some("theirs"));
}

#[tokio::test]
async fn an_authenticators_secret_can_be_replaced_until_it_is_confirmed() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    for byte in [1, 2] {
        offer_secret(&lab, id, byte).await.expect("kept");
    }
    let user = read(&lab, id).await;
    let secret = Sealed::from_bytes(vec![2]);
    assert_eq!(
        (user.totp_secret.as_ref(), user.two_factor),
        (Some(&secret), false)
    );
    lab.store
        .confirm_totp(id, 10, &[[7; 32]], lab.now())
        .await
        .expect("confirmed");
    let replaced = offer_secret(&lab, id, 3).await;
    assert!(matches!(replaced, Err(Error::Conflict(_))), "{replaced:?}");
    let again = lab.store.confirm_totp(id, 11, &[[8; 32]], lab.now()).await;
    assert!(matches!(again, Err(Error::Conflict(_))), "{again:?}");
    let user = read(&lab, id).await;
    assert_eq!((user.totp_secret, user.two_factor), (Some(secret), true));
    assert!(use_code(&lab, id, 7).await);
    assert!(!use_code(&lab, id, 8).await, "nothing is half done");
}

#[tokio::test]
async fn without_a_secret_there_is_nothing_to_confirm() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    let refused = lab.store.confirm_totp(id, 10, &[[7; 32]], lab.now()).await;
    assert!(matches!(refused, Err(Error::Conflict(_))), "{refused:?}");
    assert!(!read(&lab, id).await.two_factor);
    assert!(!use_code(&lab, id, 7).await);
}

#[tokio::test]
async fn a_step_is_taken_once_and_no_earlier_one_after_it() {
    let lab = Lab::new().await;
    let id = user_with_two_factor(&lab, "a@example.com", 10, &[]).await;
    let other = user_with_two_factor(&lab, "b@example.com", 10, &[]).await;
    assert!(!use_step(&lab, id, 10).await, "the confirmation took it");
    assert!(use_step(&lab, id, 12).await);
    for step in [10, 11, 12] {
        assert!(!use_step(&lab, id, step).await, "{step}");
    }
    assert!(use_step(&lab, other, 11).await, "another account's");
    let (first, second) = tokio::join!(use_step(&lab, id, 13), use_step(&lab, id, 13));
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_recovery_code_works_once_and_for_its_account_only() {
    let lab = Lab::new().await;
    let id = user_with_two_factor(&lab, "a@example.com", 10, &[7, 8]).await;
    let other = user_with_two_factor(&lab, "b@example.com", 10, &[9]).await;
    assert!(!use_code(&lab, other, 7).await, "another account's");
    let (first, second) = tokio::join!(use_code(&lab, id, 7), use_code(&lab, id, 7));
    assert_ne!(first, second);
    assert!(!use_code(&lab, id, 7).await);
    assert!(use_code(&lab, id, 8).await);
}

#[tokio::test]
async fn switching_two_factor_off_removes_all_of_it() {
    let lab = Lab::new().await;
    let id = user_with_two_factor(&lab, "a@example.com", 10, &[7]).await;
    let other = user_with_two_factor(&lab, "b@example.com", 10, &[8]).await;
    lab.store.disable_totp(id).await.expect("switched off");
    let user = read(&lab, id).await;
    assert_eq!((user.totp_secret, user.two_factor), (None, false));
    assert!(!use_code(&lab, id, 7).await);
    assert!(read(&lab, other).await.two_factor);
    assert!(use_code(&lab, other, 8).await);
    offer_secret(&lab, id, 2).await.expect("a fresh secret");
    lab.store
        .confirm_totp(id, 5, &[], lab.now())
        .await
        .expect("confirmed");
    assert!(use_step(&lab, id, 6).await, "the fresh secret's own steps");
}

#[tokio::test]
async fn an_operator_is_made_and_unmade_by_address() {
    let lab = Lab::new().await;
    let id = lab.user("a@example.com").await;
    for (is_operator, expected) in [(Operator::Yes, true), (Operator::No, false)] {
        let epoch = lab.store.credentials_epoch();
        lab.store
            .set_operator(&address("a@example.com"), is_operator)
            .await
            .expect("set");
        assert_eq!(read(&lab, id).await.is_operator, expected);
        assert!(lab.store.credentials_epoch() > epoch);
    }
    let unknown = lab
        .store
        .set_operator(&address("b@example.com"), Operator::Yes)
        .await;
    assert!(matches!(unknown, Err(Error::NotFound("user"))));
}
