//! Domains, with a DNS server of the test's own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
use hickory_resolver::proto::rr::rdata::{CNAME, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio_util::sync::{CancellationToken, DropGuard};
use tose_proxy::certificates::{self, Folder};

use crate::harness::{Client, Lab, eventually};

type Records = Arc<Mutex<HashMap<(String, RecordType), RData>>>;

/// Answers what it was told, and that all else does not exist.
struct DnsServer {
    addr: SocketAddr,
    records: Records,
    _stop: DropGuard,
}

impl DnsServer {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let addr = socket.local_addr().expect("an address");
        let records = Records::default();
        let stop = CancellationToken::new();
        let (known, ended) = (Arc::clone(&records), stop.clone());
        tokio_util::task::TaskTracker::new().spawn(async move {
            let mut buffer = [0; 4096];
            loop {
                tokio::select! {
                    () = ended.cancelled() => return,
                    received = socket.recv_from(&mut buffer) => {
                        let (length, peer) = received.expect("a question");
                        let answer = answer(&known, &buffer[..length]);
                        socket.send_to(&answer, peer).await.expect("sent");
                    }
                }
            }
        });
        Self {
            addr,
            records,
            _stop: stop.drop_guard(),
        }
    }

    fn set_alias(&self, name: &str, target: &str) {
        let target = Name::from_ascii(format!("{target}.")).expect("a name");
        self.set(name, RecordType::CNAME, RData::CNAME(CNAME(target)));
    }

    fn set_text(&self, name: &str, text: &str) {
        let data = RData::TXT(TXT::new(vec![text.to_owned()]));
        self.set(name, RecordType::TXT, data);
    }

    fn set(&self, name: &str, kind: RecordType, data: RData) {
        let mut records = self.records.lock().expect("no panic");
        records.insert((format!("{name}."), kind), data);
    }
}

fn answer(records: &Records, question: &[u8]) -> Vec<u8> {
    let question = Message::from_vec(question).expect("a question");
    let mut answer = Message::response(question.metadata.id, OpCode::Query);
    answer.metadata.response_code = ResponseCode::NXDomain;
    for query in &question.queries {
        let name = query.name().to_ascii().to_lowercase();
        let records = records.lock().expect("no panic");
        if let Some(data) = records.get(&(name, query.query_type())) {
            answer.metadata.response_code = ResponseCode::NoError;
            answer.add_answer(Record::from_rdata(query.name().clone(), 60, data.clone()));
        }
        answer.add_query(query.clone());
    }
    answer.to_vec().expect("an answer")
}

async fn lab_with_dns() -> (Lab, DnsServer) {
    let dns = DnsServer::start().await;
    let addr = dns.addr;
    let lab = Lab::start_with(move |config| config.name_servers = vec![addr]).await;
    (lab, dns)
}

async fn add(client: &Client, domain: &str) -> Value {
    let made = client
        .post("projects/shop/domains", json!({"domain": domain}))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    made.data().clone()
}

async fn verify(client: &Client, domain: &Value) -> Value {
    let id = domain["id"].as_str().expect("an id");
    let path = format!("projects/shop/domains/{id}/verify");
    client.post(&path, json!({})).await.data().clone()
}

#[tokio::test]
async fn a_name_leads_to_the_project_once_its_dns_says_so() {
    let (lab, dns) = lab_with_dns().await;
    let owner = lab.owner("demo").await;
    lab.live(&owner, "app:1").await;
    let pending = add(&owner, "app.example.com").await;
    assert_eq!(pending["status"], json!("pending"));
    assert!(
        pending["reason"]
            .as_str()
            .expect("a reason")
            .contains("no CNAME"),
        "{pending}"
    );
    let record = &pending["dns_records"][0];
    assert_eq!(
        (&record["type"], &record["name"], &record["value"]),
        (
            &json!("CNAME"),
            &json!("app.example.com"),
            &json!("demo-shop.localhost")
        )
    );
    owner.project_is("shop", "running").await;
    assert!(
        lab.data_plane.route("app.example.com").is_none(),
        "not before there is proof"
    );

    dns.set_alias("app.example.com", "elsewhere.example.net");
    let wrong = verify(&owner, &pending).await;
    assert!(
        wrong["reason"]
            .as_str()
            .expect("a reason")
            .contains("leads to elsewhere.example.net"),
        "{wrong}"
    );
    dns.set_alias("app.example.com", "demo-shop.localhost");
    let active = verify(&owner, &pending).await;
    assert_eq!(
        (&active["status"], &active["reason"]),
        (&json!("active"), &json!(null))
    );
    eventually("the name is routed", async || {
        match lab.data_plane.route("app.example.com") {
            Some(route) if route.backends.len() == 1 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;

    let id = active["id"].as_str().expect("an id");
    owner.delete(&format!("projects/shop/domains/{id}")).await;
    eventually("the name is not routed any more", async || {
        match lab.data_plane.route("app.example.com") {
            None => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn a_name_with_its_token_is_active_at_once() {
    let (lab, dns) = lab_with_dns().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let pending = add(&owner, "example.com").await;
    let record = &pending["dns_records"][1];
    assert_eq!(record["type"], json!("TXT"));
    let text = |field: &str| record[field].as_str().expect("a text").to_owned();
    dns.set_text(&text("name"), &text("value"));
    assert_eq!(verify(&owner, &pending).await["status"], json!("active"));
}

#[tokio::test]
async fn a_claim_without_proof_gives_way_to_one_with_it() {
    let (lab, dns) = lab_with_dns().await;
    let (squatter, owner) = (lab.owner("squat").await, lab.owner("demo").await);
    for client in [&squatter, &owner] {
        client.project("shop", "app:1").await;
    }
    add(&squatter, "brand.example.com").await;
    let body = json!({"domain": "brand.example.com"});
    let taken = owner.post("projects/shop/domains", body.clone()).await;
    assert_eq!((taken.status, taken.code()), (409, "taken"));
    let words: Vec<&str> = taken.error().split(' ').collect();
    let token = words
        .iter()
        .find(|word| word.starts_with("tose-verify="))
        .expect("the error says which token");
    dns.set_text("_tose-challenge.brand.example.com", token);
    let made = owner.post("projects/shop/domains", body.clone()).await;
    assert_eq!(
        (made.status, &made.data()["status"]),
        (201, &json!("active"))
    );
    let total = squatter.get("projects/shop/domains").await.body["meta"]["total"].clone();
    assert_eq!(total, json!(1), "only its own name is left");
    assert_eq!(
        squatter.post("projects/shop/domains", body).await.status,
        409
    );
}

#[tokio::test]
async fn a_week_without_proof_is_a_failure_and_an_answer_that_is_missing_is_none() {
    let (lab, dns) = lab_with_dns().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    let pending = add(&owner, "app.example.com").await;
    lab.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let failed = verify(&owner, &pending).await;
    assert_eq!(failed["status"], json!("failed"));
    dns.set_alias("app.example.com", "demo-shop.localhost");
    assert_eq!(verify(&owner, &pending).await["status"], json!("active"));
    dns.records.lock().expect("no panic").clear();
    let kept = verify(&owner, &pending).await;
    assert_eq!(kept["status"], json!("active"), "what was proved stays");
}

#[tokio::test]
async fn names_that_are_not_the_users_to_bring_are_refused() {
    let (lab, _dns) = lab_with_dns().await;
    let owner = lab.owner("demo").await;
    owner.project("shop", "app:1").await;
    for bad in [
        "x.localhost",
        "localhost",
        "single",
        "127.0.0.1",
        "Upper.example.com",
        "a..b",
    ] {
        let answer = owner
            .post("projects/shop/domains", json!({"domain": bad}))
            .await;
        assert_eq!(answer.status, 400, "{bad}: {answer:?}");
    }
    let list = owner.get("projects/shop/domains").await;
    let id = list.data()[0]["id"].as_str().expect("an id");
    let kept = owner.delete(&format!("projects/shop/domains/{id}")).await;
    assert_eq!(kept.status, 409, "the platform's own stays");
}

#[tokio::test]
async fn a_certificate_that_is_brought_before_the_proof_is_used_after_it() {
    let (lab, dns) = lab_with_dns().await;
    let owner = lab.owner("demo").await;
    let project = owner.project("shop", "nginx").await;
    let pending = add(&owner, "app.example.com").await;
    let made = rcgen::generate_simple_self_signed(["app.example.com".to_owned()]);
    let made = made.expect("a certificate");
    let id = pending["id"].as_str().expect("an id");
    let key = made.signing_key.serialize_pem();
    let body = json!({"certificate": made.cert.pem(), "private_key": key});
    let path = format!("projects/shop/domains/{id}/certificate");
    assert_eq!(owner.put(&path, body).await.status, 200);
    let folder = Folder::of(&lab.data_dir().join("data"));
    let name = certificates::Name::Host("app.example.com".parse().expect("a name"));
    assert_eq!(folder.read(&name).expect("a folder"), None);
    let url = project["url"].as_str().expect("a URL");
    let target = url.trim_start_matches("http://").split(':').next();
    dns.set_alias("app.example.com", target.expect("a host"));
    assert_eq!(verify(&owner, &pending).await["status"], json!("active"));
    assert!(folder.read(&name).expect("a folder").is_some());
}
