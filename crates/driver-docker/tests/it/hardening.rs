//! What a replica can and cannot do, as the engine and as the process itself see it.

use bollard::query_parameters::InspectContainerOptions;
use futures_util::StreamExt;
use tose_model::driver::{Driver, DriverError, EngineStep, ReplicaState, Scope, VolumeMount};

use crate::engine::{BASE_IMAGE, on_site};

#[tokio::test]
async fn a_replica_has_the_limits_and_no_more_rights_than_it_needs() {
    on_site(async |site| {
        let spec = site
            .start("CMD [\"sleep\", \"infinity\"]")
            .await
            .expect("it starts");
        let name = site.container_name();
        let details = site
            .docker
            .inspect_container(&name, None::<InspectContainerOptions>)
            .await;
        let details = details.expect("it is there");
        let host = details.host_config.expect("always there");
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        let mut added = host.cap_add.expect("a list");
        added.sort_unstable();
        let expected = [
            "CHOWN",
            "DAC_OVERRIDE",
            "FOWNER",
            "KILL",
            "NET_BIND_SERVICE",
            "SETGID",
            "SETUID",
        ];
        assert_eq!(
            added
                .iter()
                .map(|name| name.trim_start_matches("CAP_"))
                .collect::<Vec<_>>(),
            expected
        );
        assert_eq!(
            host.security_opt,
            Some(vec!["no-new-privileges".to_owned()])
        );
        assert_eq!(
            (host.nano_cpus, host.memory),
            (Some(500_000_000), Some(128 << 20))
        );
        assert_eq!(
            (host.memory_swap, host.pids_limit),
            (host.memory, Some(256))
        );
        assert_eq!((host.init, host.shm_size), (Some(true), Some(64 << 20)));
        assert_eq!(host.binds.unwrap_or_default(), Vec::<String>::new());
        assert!(host.port_bindings.unwrap_or_default().is_empty());
        let config = details.config.expect("always there");
        assert_eq!(config.hostname.as_deref(), Some(spec.name.as_str()));
        let labels = config.labels.expect("always there");
        assert_eq!(labels["tose.workspace.slug"], "acme");
        assert_eq!(labels["tose.project.slug"], "web");
    })
    .await;
}

#[tokio::test]
async fn a_process_sees_its_limits_from_inside() {
    let look = "grep -E '^(CapEff|CapBnd|NoNewPrivs|Seccomp):' /proc/self/status; ulimit -n; df -k /dev/shm | tail -n 1 | awk '{print $2}'; cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null; mount -t tmpfs none /mnt 2>/dev/null && echo mounted; exit 0";
    on_site(async |site| {
        let spec = site
            .start(&format!("CMD [\"sh\", \"-c\", \"{look}\"]"))
            .await
            .expect("it starts");
        let lines = site.output(&spec.name).await;
        let mut words: Vec<_> = lines
            .iter()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        // CHOWN 0, DAC_OVERRIDE 1, FOWNER 3, KILL 5, SETGID 6, SETUID 7, NET_BIND_SERVICE 10.
        let capabilities = format!(
            "{:016x}",
            1 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 10
        );
        // The kernel's hard limit for the engine may be lower than what a replica should have.
        let open_files = [65_536, 16_384, 4_096, 1_024].map(|limit: u32| limit.to_string());
        let given = words.iter().position(|word| open_files.contains(word));
        words.remove(given.expect("one of the limits"));
        let expected: [&str; 7] = [
            &format!("CapEff: {capabilities}"),
            &format!("CapBnd: {capabilities}"),
            "NoNewPrivs: 1",
            "Seccomp: 2",
            "65536",
            "134217728",
            "256",
        ];
        let mut words: Vec<_> = words.iter().map(String::as_str).collect();
        words.sort_unstable();
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        assert_eq!(words, expected);
    })
    .await;
}

#[tokio::test]
async fn a_replica_is_ended_by_its_images_own_signal() {
    let program = "import signal, sys; signal.signal(signal.SIGINT, lambda *_: (print('interrupted', flush=True), sys.exit(9))); print('ready', flush=True); signal.pause()";
    on_site(async |site| {
        let steps = format!("STOPSIGNAL SIGINT\nCMD [\"python3\", \"-c\", \"{program}\"]");
        let spec = site.start(&steps).await.expect("it starts");
        let mut lines = site.driver.logs(&spec.name, None).await.expect("logs");
        assert_eq!(
            lines.next().await.expect("a line").expect("a line").text,
            b"ready"
        );
        site.driver
            .apply(&EngineStep::TerminateReplica {
                name: spec.name.clone(),
            })
            .await
            .expect("end");
        assert_eq!(
            lines.next().await.expect("a line").expect("a line").text,
            b"interrupted"
        );
        assert!(lines.next().await.is_none());
        let expected = ReplicaState::Exited {
            exit_code: 9,
            out_of_memory: false,
        };
        let began = tokio::time::Instant::now();
        loop {
            let replicas = site
                .driver
                .observe(Scope::Installation)
                .await
                .expect("observe");
            if replicas[0].state == expected {
                break;
            }
            assert!(began.elapsed().as_secs() < 60, "{replicas:?}");
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn what_an_author_can_mend_is_said_plainly() {
    for (steps, expected) in [
        (
            "USER nobody-here\nCMD [\"true\"]",
            "the image has no user `nobody-here`",
        ),
        (
            "RUN touch /file\nWORKDIR /\nENV A=1\nCMD []\nENTRYPOINT []",
            "the image names no command to run: add a CMD to its Dockerfile",
        ),
    ] {
        on_site(async |site| {
            let error = site.start(steps).await.expect_err("it cannot start");
            assert!(matches!(error, DriverError::CannotStart(_)), "{error:?}");
            assert_eq!(error.to_string(), expected);
        })
        .await;
    }
}

#[tokio::test]
async fn a_command_of_its_own_leaves_nothing_of_the_images() {
    on_site(async |site| {
        let steps = "ENTRYPOINT [\"echo\", \"entrypoint\"]\nCMD [\"command\"]";
        let request = site.request(&format!("FROM {BASE_IMAGE}\n{steps}\n"));
        site.build(request).await.1.expect("it builds");
        let mut spec = site.spec();
        let words = ["sh", "-c", "echo \"$@\"", "sh", "mine"];
        for (command, expected) in [
            (None, "entrypoint command"),
            (Some(words.map(str::to_owned).to_vec()), "mine"),
        ] {
            spec.generation += 1;
            spec.command = command;
            site.driver
                .apply(&EngineStep::StartReplica(Box::new(spec.clone())))
                .await
                .expect("it starts");
            assert_eq!(site.output(&spec.name).await, [expected]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_volume_that_cannot_be_mounted_is_said_plainly() {
    on_site(async |site| {
        let request = site.request(&format!("FROM {BASE_IMAGE}\nCMD [\"true\"]\n"));
        site.build(request).await.1.expect("it builds");
        for (path, expected) in [
            (
                "/etc/passwd",
                "a volume's path is a file in the image: choose another one",
            ),
            (
                "/",
                "a volume cannot be mounted at its path: choose another one",
            ),
            (
                "/proc",
                "a volume cannot be mounted at its path: choose another one",
            ),
        ] {
            let mut spec = site.spec();
            spec.volumes.push(VolumeMount {
                name: "data".parse().expect("a slug"),
                path: path.to_owned(),
            });
            let step = EngineStep::StartReplica(Box::new(spec.clone()));
            let error = site.driver.apply(&step).await.expect_err("not there");
            assert!(matches!(error, DriverError::CannotStart(_)), "{error:?}");
            assert_eq!(error.to_string(), expected);
            let step = EngineStep::RemoveReplica { name: spec.name };
            site.driver.apply(&step).await.expect("remove");
        }
    })
    .await;
}
