//! Log drains: what an app prints, on its way to a service.

use serde_json::json;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tose_e2e::{Installation, Source, eventually, run, when};

/// The service listens on this machine.
const PRIVATE: &str = "[drains]\nallow_private = true\n";

/// The next message of syslog, by its length; `None` at the end of the connection.
async fn message(connection: &mut TcpStream) -> Option<String> {
    let mut length = 0;
    loop {
        match connection.read_u8().await {
            Ok(b' ') => break,
            Ok(digit) => length = length * 10 + usize::from(digit - b'0'),
            Err(_) => return None,
        }
    }
    let mut message = vec![0; length];
    connection.read_exact(&mut message).await.ok()?;
    Some(String::from_utf8(message).expect("text"))
}

#[tokio::test]
async fn what_an_app_prints_arrives_at_a_service_also_what_it_prints_while_the_server_is_dead() {
    let Some(mut site) = Installation::start_with(PRIVATE).await else {
        return;
    };
    let project = site.project("web", &Source::app("one")).await;
    let id = project.deploy_live().await;
    let replica = project.has_one_replica(&id).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("its address");
    let url = format!("syslog://{addr}");
    let body = json!({"name": "logs", "kind": "syslog", "url": url});
    project.post("/drains", &body).await;
    site.visit(&project.host, "/print?one").await;
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let first = message(&mut connection).await.expect("a message");
    let head = format!(" demo web {replica} stdout [meta sequenceId=\"");
    assert!(
        first.starts_with("<14>1 ") && first.contains(&head),
        "{first}"
    );
    assert!(first.ends_with("\"] one"), "{first}");
    site.visit(&project.host, "/print-err?two").await;
    let second = message(&mut connection).await.expect("a message");
    assert!(
        second.starts_with("<12>1 ") && second.ends_with(" two"),
        "{second}"
    );
    eventually("both are noted", async || {
        let drains = project.get("/drains").await;
        when(drains[0]["status"]["delivered_lines"] == 2, drains)
    })
    .await;

    site.kill_9();
    assert_eq!(message(&mut connection).await, None);
    site.visit(&project.host, "/print?three").await;
    site.restart().await;
    let (mut connection, _) = listener.accept().await.expect("a connection");
    let third = message(&mut connection).await.expect("a message");
    assert!(third.ends_with(" three"), "{third}");

    let folder = tempfile::tempdir().expect("a folder");
    let words = ["drains", "--project", "web", "--json"];
    let mut listing = site.tose(folder.path(), &words);
    listing.env("TOSE_API_KEY", &site.api().key);
    listing.env("TOSE_API_URL", &site.api().base_url);
    let listed = run(listing).await.ok();
    assert!(listed.contains("\"state\": \"ok\""), "{listed}");
}
