//! Commands in a replica, as far as only a real engine shows them.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use tose_model::driver::{Driver, ExecOutput, ExecRequest, ExecSession, ReplicaName, TtySize};

use crate::engine::{Site, on_site};

async fn exec(site: &Site, name: &ReplicaName, script: &str, tty: Option<TtySize>) -> ExecSession {
    let command = ["sh", "-c", script].map(str::to_owned).to_vec();
    let request = ExecRequest {
        command,
        env: Vec::new(),
        tty,
    };
    let session = site.driver.exec(name, &request).await;
    session.expect("it begins")
}

/// What comes from standard output and standard error, until the end.
async fn rest(session: &mut ExecSession) -> (String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = session.output.next().await {
        match piece.expect("a piece") {
            ExecOutput::Stdout(piece) => out.extend_from_slice(&piece),
            ExecOutput::Stderr(piece) => err.extend_from_slice(&piece),
        }
    }
    let text = |bytes| String::from_utf8(bytes).expect("text");
    (text(out), text(err))
}

async fn start(site: &Site) -> ReplicaName {
    let spec = site.start("CMD [\"sleep\", \"infinity\"]").await;
    spec.expect("it starts").name
}

#[tokio::test]
async fn a_command_has_no_more_rights_than_its_replica() {
    let look = "grep -E '^(CapPrm|CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/PID/status; grep -E 'memory|pids' /proc/PID/cgroup; cat /proc/PID/limits | grep open";
    on_site(async |site| {
        let name = start(site).await;
        let mut seen = Vec::new();
        // The second process is the replica's own: the first is its init, which the engine adds.
        for tty in [
            None,
            Some(TtySize {
                columns: 80,
                rows: 24,
            }),
        ] {
            for pid in ["self", "$(cat /proc/1/task/1/children | cut -d ' ' -f 1)"] {
                let mut session = exec(site, &name, &look.replace("PID", pid), tty).await;
                let (out, _) = rest(&mut session).await;
                assert!(
                    out.contains("NoNewPrivs:\t1") && out.contains("Seccomp:\t2"),
                    "{out}"
                );
                seen.push(out.replace('\r', ""));
            }
        }
        assert!(seen.iter().all(|one| *one == seen[0]), "{seen:#?}");
    })
    .await;
}

#[tokio::test]
async fn what_a_command_writes_is_told_apart_without_a_terminal() {
    on_site(async |site| {
        let name = start(site).await;
        let script = "echo out; echo err >&2; exit 7";
        let mut session = exec(site, &name, script, None).await;
        let expected = ("out\n".to_owned(), "err\n".to_owned());
        assert_eq!(rest(&mut session).await, expected);
        let code = site.driver.exec_exit_code(&session.id).await;
        assert_eq!(code.expect("it is known"), Some(7));
    })
    .await;
}

#[tokio::test]
async fn a_terminal_has_the_size_that_it_is_told() {
    on_site(async |site| {
        let name = start(site).await;
        let size = TtySize { columns: 132, rows: 43 };
        let script = "read line; stty size; read line; stty size; printf '\\1\\0\\0\\0\\377\\377\\377\\377tail'";
        let mut session = exec(site, &name, script, Some(size)).await;
        session.input.send(Bytes::from_static(b"go\n")).await.expect("it reads");
        let mut seen = Vec::new();
        while !String::from_utf8_lossy(&seen).contains("43 132") {
            let piece = session.output.next().await.expect("it goes on");
            let ExecOutput::Stdout(piece) = piece.expect("a piece") else {
                panic!("a terminal has one output")
            };
            seen.extend_from_slice(&piece);
        }
        let size = TtySize { columns: 80, rows: 24 };
        site.driver.resize_exec(&session.id, size).await.expect("it runs");
        session.input.send(Bytes::from_static(b"go\n")).await.expect("it reads");
        let mut seen = Vec::new();
        while let Some(piece) = session.output.next().await {
            let ExecOutput::Stdout(piece) = piece.expect("a piece") else {
                panic!("a terminal has one output")
            };
            seen.extend_from_slice(&piece);
        }
        assert!(String::from_utf8_lossy(&seen).contains("24 80"), "{seen:?}");
        // Bytes that look like the head of a frame are none.
        assert!(seen.ends_with(b"\x01\0\0\0\xff\xff\xff\xfftail"), "{seen:?}");
    })
    .await;
}

#[tokio::test]
async fn more_than_fits_the_pipes_goes_both_ways() {
    on_site(async |site| {
        let name = start(site).await;
        let ExecSession {
            id,
            output,
            mut input,
        } = exec(site, &name, "cat", None).await;
        let chunk = Bytes::from(vec![b'x'; 1 << 16]);
        let send = async {
            for _ in 0..128 {
                input.send(chunk.clone()).await.expect("it reads");
            }
            input.close().await.expect("it is open");
        };
        let count = output.fold(0, async |count, piece| match piece.expect("a piece") {
            ExecOutput::Stdout(piece) => count + piece.len(),
            ExecOutput::Stderr(piece) => panic!("{piece:?}"),
        });
        let ((), count) = futures_util::future::join(send, count).await;
        assert_eq!(count, 128 << 16);
        let code = site.driver.exec_exit_code(&id).await;
        assert_eq!(code.expect("it is known"), Some(0));
    })
    .await;
}

#[tokio::test]
async fn a_shell_goes_when_its_session_is_dropped() {
    on_site(async |site| {
        let name = start(site).await;
        let request = ExecRequest {
            command: vec!["sh".to_owned()],
            env: Vec::new(),
            tty: Some(TtySize {
                columns: 80,
                rows: 24,
            }),
        };
        let mut session = site.driver.exec(&name, &request).await.expect("it begins");
        session
            .output
            .next()
            .await
            .expect("a prompt")
            .expect("a prompt");
        let id = session.id.clone();
        drop(session);
        let began = tokio::time::Instant::now();
        while site
            .driver
            .exec_exit_code(&id)
            .await
            .expect("it was there")
            .is_none()
        {
            assert!(began.elapsed().as_secs() < 30, "it runs on");
            tokio::task::yield_now().await;
        }
    })
    .await;
}
