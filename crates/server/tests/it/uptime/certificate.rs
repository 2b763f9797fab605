//! Certificates that checks meet: when they end, and who is told.

use std::path::Path;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
};
use serde_json::json;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};

use super::site::Site;
use super::{
    CHECKS, INTERVAL, checks, has_status, log_lines, reach_loopback, set, shop, uptime_is,
};
use crate::harness::{Client, Lab, eventually};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// An authority whose certificates the server trusts.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(file: &Path) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let mut name = DistinguishedName::new();
        name.push(DnType::CommonName, "An authority of tests");
        params.distinguished_name = name;
        params.not_before = rcgen::date_time_ymd(2025, 1, 1);
        params.not_after = rcgen::date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("a certificate");
        std::fs::write(file, issuer.pem()).expect("written");
        Self(issuer)
    }

    /// A site with a certificate for `name`, which ends on this day of 2026.
    async fn site(&self, name: &str, day: (u8, u8)) -> Site {
        let (chain, key) = self.certificate(name, day);
        Site::start_with_chain(chain, key).await
    }

    fn certificate(
        &self,
        name: &str,
        (month, day): (u8, u8),
    ) -> (Vec<CertificateDer<'static>>, PrivatePkcs8KeyDer<'static>) {
        let mut params = CertificateParams::new([name.to_owned()]).expect("parameters");
        params.not_before = rcgen::date_time_ymd(2025, 12, 1);
        params.not_after = rcgen::date_time_ymd(2026, month, day);
        let key = KeyPair::generate().expect("a key");
        let made = params.signed_by(&key, &self.0).expect("a certificate");
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (vec![made.der().clone()], key)
    }
}

/// A server that trusts an authority; its clock says 2026-01-01.
async fn trusting() -> (Lab, Client, Authority, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let roots = dir.path().join("ca.pem");
    let authority = Authority::new(&roots);
    let (lab, owner) = shop(move |config| {
        reach_loopback(config);
        config.drains.ca_file = Some(roots.clone());
    })
    .await;
    (lab, owner, authority, dir)
}

fn address(scheme: &str, site: &Site) -> String {
    format!("{scheme}://localhost:{}", site.addr.port())
}

#[tokio::test]
async fn the_end_of_a_certificate_is_told_once_and_so_is_a_new_one() {
    let (mut lab, owner, authority, _dir) = trusting().await;
    let old = authority.site("localhost", (1, 20)).await;
    let body =
        json!({"enabled": true, "check_url": address("https", &old), "check_interval_sec": 10});
    set(&owner, body).await;
    let view = has_status(&owner, "up").await;
    assert_eq!(view["certificate_expires_at"], "2026-01-20T00:00:00Z");
    assert_eq!(view["certificate_warn_days"], json!(14));
    assert_eq!(log_lines(&lab, &owner, "certificate").await, 0);
    lab.clock.advance(DAY * 6);
    crate::liveness::log_has(
        &lab,
        &owner,
        "certificate of shop's address ends at 2026-01-20",
    )
    .await;
    // It is not told again, also not after a restart or with other settings for the same address.
    lab.restart().await;
    let owner = owner.at(&lab);
    let checked = async |count: usize| {
        eventually(&format!("{count} checks"), async || {
            // When the first check after a start is due is a matter of chance.
            lab.clock.advance(INTERVAL);
            let listed = owner.get(CHECKS).await;
            match listed.data().as_array().expect("a list").len() {
                seen if seen >= count => Ok(()),
                seen => Err(seen.to_string()),
            }
        })
        .await;
    };
    checked(4).await;
    set(&owner, json!({"timeout_ms": 5000})).await;
    checked(6).await;
    assert_eq!(log_lines(&lab, &owner, "certificate").await, 1);
    let (chain, key) = authority.certificate("localhost", (4, 1));
    old.renew(chain, key);
    let words = "shop's address has a new certificate, until 2026-04-01";
    eventually(words, async || {
        lab.clock.advance(INTERVAL);
        match log_lines(&lab, &owner, words).await {
            1 => Ok(()),
            count => Err(count.to_string()),
        }
    })
    .await;
    assert_eq!(log_lines(&lab, &owner, "certificate").await, 2);
    assert_eq!(lab.fsck().await, Vec::<String>::new());
}

#[tokio::test]
async fn nobody_is_told_of_a_certificate_who_asked_for_that() {
    let (lab, owner, authority, _dir) = trusting().await;
    let site = authority.site("localhost", (1, 5)).await;
    let body =
        json!({"enabled": true, "check_url": address("https", &site), "certificate_warn_days": 0});
    set(&owner, body).await;
    let view = has_status(&owner, "up").await;
    assert_eq!(view["certificate_expires_at"], "2026-01-05T00:00:00Z");
    assert_eq!(log_lines(&lab, &owner, "certificate").await, 0);
    lab.clock.advance(Duration::from_secs(1));
    set(&owner, json!({"certificate_warn_days": 5})).await;
    crate::liveness::log_has(&lab, &owner, "ends at 2026-01-05").await;
    // What was said of one address is nothing about another.
    let plain = Site::start().await;
    let view = set(&owner, json!({"check_url": plain.url()})).await;
    assert_eq!(view["certificate_expires_at"], json!(null));
}

#[tokio::test]
async fn a_certificate_alone_is_checked_by_its_handshake() {
    let (lab, owner, authority, _dir) = trusting().await;
    let good = authority.site("localhost", (3, 1)).await;
    let soon = authority.site("localhost", (1, 10)).await;
    let over = authority.site("localhost", (1, 1)).await;
    let other = authority.site("example.com", (3, 1)).await;
    let own = Site::start_with_tls().await;
    let plain = Site::start().await;
    let untrusted = "its certificate is not trusted, or is for another name";
    set(&owner, json!({"kind": "certificate"})).await;
    for (number, (site, days, reason, ends)) in [
        (&good, 14, None, json!("2026-03-01T00:00:00Z")),
        (
            &soon,
            14,
            Some("its certificate ends in less than 14 days"),
            json!("2026-01-10T00:00:00Z"),
        ),
        (&soon, 0, None, json!("2026-01-10T00:00:00Z")),
        (
            &over,
            0,
            Some("its certificate has expired"),
            json!("2026-01-01T00:00:00Z"),
        ),
        (&other, 14, Some(untrusted), json!("2026-03-01T00:00:00Z")),
        (&own, 14, Some(untrusted), json!("4096-01-01T00:00:00Z")),
        (
            &plain,
            14,
            Some("no connection to it came about"),
            json!(null),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        lab.clock.advance(Duration::from_secs(1));
        let body = json!({"enabled": true, "check_url": address("tls", site), "certificate_warn_days": days});
        set(&owner, body).await;
        let newest = checks(&owner, number + 1).await.remove(0);
        assert_eq!(newest["reason"], json!(reason), "{number}: {newest}");
        let view = uptime_is(&owner, "the check", |view| {
            view["last_checked_at"] == newest["time"]
        })
        .await;
        assert_eq!(view["kind"], "certificate");
        if ends != "4096-01-01T00:00:00Z" {
            assert_eq!(view["certificate_expires_at"], ends, "{number}: {view}");
        }
    }
    assert_eq!(good.requests().len(), 0, "only hands are shaken");
    let refused = owner
        .put(super::UPTIME, json!({"check_url": "tls://127.0.0.1:25"}))
        .await;
    assert_eq!(refused.status, 400, "{refused:?}");
}

#[tokio::test]
async fn the_certificate_of_an_own_name_is_the_one_that_this_servers_proxy_shows() {
    let dir = tempfile::tempdir().expect("a directory");
    let roots = dir.path().join("ca.pem");
    let authority = Authority::new(&roots);
    let proxy = authority.site("demo-shop.localhost", (2, 1)).await;
    let addr = proxy.addr;
    let (_lab, owner) = shop(move |config| {
        config.drains.ca_file = Some(roots.clone());
        config.https_addr = tose_server::config::Listen::On(addr);
    })
    .await;
    let view = set(&owner, json!({"enabled": true, "kind": "certificate"})).await;
    let url = format!("tls://demo-shop.localhost:{}", addr.port());
    assert_eq!(view["check_url"], json!(url));
    let view = has_status(&owner, "up").await;
    assert_eq!(view["certificate_expires_at"], "2026-02-01T00:00:00Z");
}
