//! Certificates that users bring.

use serde_json::{Value, json};
use tose_proxy::certificates::{Folder, Name};

use tose_server::config::{Config, Listen};

use crate::harness::{Client, Lab, eventually};

fn made(names: &[&str]) -> (String, String) {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let made = rcgen::generate_simple_self_signed(names).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn https(config: &mut Config) {
    config.https_addr = Listen::On("127.0.0.1:443".parse().expect("an address"));
}

/// The path of the name that the platform gave to the project `shop`.
async fn given(owner: &Client) -> (String, Value) {
    let listed = owner.get("projects/shop/domains").await;
    let domain = listed.data()[0].clone();
    let id = domain["id"].as_str().expect("an id");
    (format!("projects/shop/domains/{id}/certificate"), domain)
}

#[tokio::test]
async fn a_certificate_that_is_brought_is_given_to_the_proxy_and_taken_back() {
    let mut lab = Lab::start_with(https).await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "nginx").await;
    let (path, domain) = given(&owner).await;
    assert_eq!(domain["https"]["status"], "off", "{domain}");
    let host = domain["domain"].as_str().expect("a name");
    let (certificate, private_key) = made(&["other.example.com", "*.localhost"]);
    let body = json!({"certificate": certificate, "private_key": private_key});
    let set = owner.put(&path, body).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(set.data()["https"]["status"], "active");
    assert_eq!(set.data()["https"]["source"], "uploaded");
    assert!(!set.body.to_string().contains("PRIVATE"), "{set:?}");

    let folder = Folder::of(&lab.data_dir().join("data"));
    let name = || Name::Host(host.parse().expect("a name"));
    let kept = folder
        .read(&name())
        .expect("a folder")
        .expect("a certificate");
    assert_eq!(kept.chain, certificate);
    let text = String::from_utf8_lossy(&kept.sealed_key);
    assert!(!text.contains("PRIVATE"), "the key lies open");
    let route = || {
        lab.data_plane
            .route(host)
            .and_then(|route| route.https_port)
    };
    eventually("visitors are sent to HTTPS", async || {
        route().ok_or("none".to_owned())
    })
    .await;
    let project = owner.get("projects/shop").await;
    assert_eq!(project.data()["url"], json!(format!("https://{host}")));

    // What a crash or a restore took from the proxy is there again.
    folder.remove(&name()).expect("removed");
    lab.restart().await;
    let owner = owner.at(&lab);
    eventually("it is there again", async || {
        let found = folder.read(&name()).expect("a folder");
        found.ok_or("none".to_owned())
    })
    .await;
    let gone = owner.delete(&path).await;
    assert_eq!(gone.data()["https"]["status"], "off");
    eventually("visitors are no longer sent to HTTPS", async || {
        let route = lab.data_plane.route(host).expect("a route");
        route.https_port.map_or(Ok(()), |_| Err("still".to_owned()))
    })
    .await;
    assert_eq!(owner.delete(&path).await.status, 404);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_refused_with_the_reason() {
    let lab = Lab::start_with(https).await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "nginx").await;
    let (path, _) = given(&owner).await;
    let ((good, key), (_, other_key)) = (made(&["demo-shop.localhost"]), made(&["x.example"]));
    let (foreign, foreign_key) = made(&["a.example", "*.b.example"]);
    let expired = {
        let names = vec!["demo-shop.localhost".to_owned()];
        let mut params = rcgen::CertificateParams::new(names).expect("names");
        params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        (certificate.pem(), key.serialize_pem())
    };
    for (certificate, private_key, words) in [
        (&good, &other_key, "cannot be used with this private_key"),
        (&"nothing".to_owned(), &key, "no certificate in PEM"),
        (
            &good,
            &"nothing".to_owned(),
            "cannot be used with this private_key",
        ),
        (&foreign, &foreign_key, "is for a.example, *.b.example"),
        (&expired.0, &expired.1, "has expired"),
    ] {
        let body = json!({"certificate": certificate, "private_key": private_key});
        let refused = owner.put(&path, body).await;
        assert_eq!(refused.status, 400, "{words}: {refused:?}");
        assert!(refused.error().contains(words), "{refused:?}");
    }
}
