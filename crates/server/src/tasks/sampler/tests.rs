//! Rounds of the sampler against a fake engine.

use tose_api::{Cpu, DeploymentId, Ram, WorkspaceId};
use tose_model::driver::{EngineStep, ReplicaKey, ReplicaSpec};
use tose_model::traffic::Latency;
use tose_model::{Clock, IdGen};
use tose_testkit::{Act, FakeDriver, ManualClock, Program, SeededIds};

use super::*;

const PERIOD: Duration = Duration::from_secs(PERIOD_SECONDS.unsigned_abs());

/// An engine with two replicas of one project.
struct Lab {
    clock: Arc<ManualClock>,
    driver: FakeDriver,
    spec: ReplicaSpec,
    memory: Memory,
}

impl Lab {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new());
        let driver = FakeDriver::new(clock.clone());
        driver.add_image("app:1", Program::default());
        let ids = SeededIds::new(1);
        let key = ReplicaKey {
            project_id: ProjectId::from_uuid(ids.uuid()),
            deployment_id: DeploymentId::from_uuid(ids.uuid()),
            index: 0,
        };
        let project: tose_api::Slug = "shop".parse().expect("a slug");
        let spec = ReplicaSpec {
            name: ReplicaName::new(&project, &key),
            key,
            generation: 1,
            known_generation: 1,
            workspace_id: WorkspaceId::from_uuid(ids.uuid()),
            workspace: "demo".parse().expect("a slug"),
            project,
            image: "app:1".to_owned(),
            command: None,
            env: vec![("PORT".parse().expect("a key"), "3000".to_owned().into())],
            port: 3000_u64.try_into().expect("a port"),
            cpu: Cpu::from_milli(500).expect("in range"),
            ram: Ram::from_milli(500).expect("in range"),
            volumes: Vec::new(),
        };
        let network = EngineStep::EnsureNetwork {
            workspace_id: spec.workspace_id,
            workspace: spec.workspace.clone(),
        };
        driver.apply(&network).await.expect("a network");
        let lab = Self {
            clock,
            driver,
            spec,
            memory: Memory::default(),
        };
        lab.start(0).await;
        lab.start(1).await;
        lab
    }

    async fn start(&self, index: u32) -> ReplicaName {
        let key = ReplicaKey {
            index,
            ..self.spec.key
        };
        let spec = ReplicaSpec {
            name: ReplicaName::new(&self.spec.project, &key),
            key,
            ..self.spec.clone()
        };
        let name = spec.name.clone();
        let step = EngineStep::StartReplica(Box::new(spec));
        self.driver.apply(&step).await.expect("it starts");
        name
    }

    fn name(&self, index: u32) -> ReplicaName {
        let key = ReplicaKey {
            index,
            ..self.spec.key
        };
        ReplicaName::new(&self.spec.project, &key)
    }

    fn moved(&self, index: u32, received_bytes: u64) {
        let usage = Usage {
            cpu_milli: 100,
            memory_bytes: 1_000,
            received_bytes,
            sent_bytes: 2 * received_bytes,
        };
        self.driver.set_usage(&self.name(index), usage);
    }

    /// A look at the engine, ten seconds after the one before.
    async fn look(&mut self) -> Option<Sample> {
        self.clock.advance(PERIOD);
        let mut samples = Samples::new();
        let measured = measure(&self.driver).await.expect("the engine answers");
        self.memory
            .add_usage(&mut samples, measured, self.clock.now());
        let latest = samples.remove(&self.spec.key.project_id);
        latest.map(|latest| latest.sample)
    }
}

fn network(sample: Option<Sample>) -> (u64, u64) {
    let sample = sample.expect("it runs");
    (sample.network_received_bytes, sample.network_sent_bytes)
}

#[tokio::test]
async fn replicas_are_measured_together_and_their_bytes_by_difference() {
    let mut lab = Lab::new().await;
    lab.moved(0, 50);
    lab.moved(1, 70);
    // What they moved before is not this time's.
    let first = Sample {
        samples: 1,
        cpu_milli: 200,
        memory_bytes: 2_000,
        replicas: 2,
        ..Sample::default()
    };
    assert_eq!(lab.look().await, Some(first.clone()));
    lab.moved(0, 60);
    let second = Sample {
        network_received_bytes: 10,
        network_sent_bytes: 20,
        ..first.clone()
    };
    assert_eq!(lab.look().await, Some(second));
    assert_eq!(lab.look().await, Some(first));
}

#[tokio::test]
async fn a_total_that_went_down_began_anew() {
    let mut lab = Lab::new().await;
    lab.moved(0, 50);
    lab.look().await;
    lab.moved(0, 30);
    assert_eq!(network(lab.look().await), (30, 60));
    // 0 says that it is not known, which is no new beginning.
    lab.moved(0, 0);
    assert_eq!(network(lab.look().await), (0, 0));
    lab.moved(0, 35);
    assert_eq!(network(lab.look().await), (5, 10));
}

#[tokio::test]
async fn of_a_replica_that_came_since_everything_counts() {
    let mut lab = Lab::new().await;
    lab.look().await;
    lab.start(2).await;
    lab.moved(2, 40);
    assert_eq!(network(lab.look().await), (40, 80));
    assert_eq!(network(lab.look().await), (0, 0));
}

#[tokio::test]
async fn after_a_restart_of_the_server_nothing_counts_twice() {
    let mut lab = Lab::new().await;
    lab.look().await;
    lab.moved(0, 40);
    assert_eq!(network(lab.look().await), (40, 80));
    lab.memory = Memory::default();
    assert_eq!(network(lab.look().await), (0, 0));
    lab.moved(0, 41);
    assert_eq!(network(lab.look().await), (1, 2));
}

#[tokio::test]
async fn a_replica_that_cannot_be_measured_is_skipped_and_remembered() {
    let mut lab = Lab::new().await;
    lab.moved(0, 50);
    lab.moved(1, 50);
    lab.look().await;
    lab.moved(0, 51);
    lab.clock.advance(PERIOD);
    let mut measured = measure(&lab.driver).await.expect("the engine answers");
    measured.sort_by_key(|measured| measured.replica.key.index);
    measured[0].usage = None;
    let mut samples = Samples::new();
    lab.memory
        .add_usage(&mut samples, measured, lab.clock.now());
    let sample = samples.remove(&lab.spec.key.project_id);
    assert_eq!(sample.map(|latest| latest.sample.replicas), Some(1));
    assert_eq!(network(lab.look().await), (1, 2));
}

#[tokio::test]
async fn what_answers_visitors_is_added_up_by_itself_as_well() {
    let mut lab = Lab::new().await;
    let worker = ReplicaKey::worker_index(0, 0);
    lab.start(worker).await;
    for index in [0, 1, worker] {
        lab.moved(index, 50);
    }
    let measured = measure(&lab.driver).await.expect("the engine answers");
    let mut samples = Samples::new();
    lab.memory
        .add_usage(&mut samples, measured, lab.clock.now());
    let latest = samples.remove(&lab.spec.key.project_id);
    let latest = latest.expect("it runs");
    assert_eq!(
        (latest.sample.cpu_milli, latest.cpu_limit_milli),
        (300, 1500)
    );
    let web = latest.web;
    assert_eq!(
        (web.replicas, web.cpu_milli, web.cpu_limit_milli),
        (2, 200, 1000)
    );
}

#[tokio::test]
async fn what_does_not_run_is_not_measured() {
    let mut lab = Lab::new().await;
    for index in [0, 1] {
        let name = lab.name(index);
        let step = EngineStep::RemoveReplica { name };
        lab.driver.apply(&step).await.expect("it ends");
    }
    assert_eq!(lab.look().await, None);
}

#[test]
fn visitors_count_by_difference_from_the_second_look_on() {
    let id = ProjectId::from_uuid(SeededIds::new(1).uuid());
    let mut memory = Memory::default();
    let mut look = |traffic: Option<Traffic>| {
        let mut samples = Samples::new();
        let traffic = traffic.map(|traffic| (id, traffic)).into_iter().collect();
        memory.add_traffic(&mut samples, traffic);
        let latest = samples.remove(&id).map(|latest| latest.sample);
        latest.filter(|sample| !sample.is_empty())
    };
    let traffic = |requests, sent_bytes| {
        let mut latency = Latency::default();
        for _ in 0..requests {
            latency.record(Duration::from_millis(1));
        }
        Traffic {
            requests,
            by_class: [0, 0, 0, 0, requests / 2],
            received_bytes: 9,
            sent_bytes,
            latency,
        }
    };
    let sample = |requests, errors_5xx, sent_bytes| {
        Some(Sample {
            requests,
            errors_5xx,
            sent_bytes,
            latency: traffic(requests, 0).latency,
            ..Sample::default()
        })
    };
    assert_eq!(look(Some(traffic(10, 100))), None);
    assert_eq!(look(Some(traffic(14, 130))), sample(4, 2, 30));
    assert_eq!(look(Some(traffic(14, 130))), None);
    // The proxy was started again.
    assert_eq!(look(Some(traffic(2, 20))), sample(2, 1, 20));
    assert_eq!(look(None), None);
    assert_eq!(look(Some(traffic(6, 50))), sample(6, 3, 50));
}

#[tokio::test]
async fn each_restart_after_a_crash_is_counted_once() {
    let mut lab = Lab::new().await;
    let crashes = Program::new([Act::Crash { times: 2, code: 1 }]);
    lab.driver.add_image("crash:1", crashes);
    lab.look().await;
    lab.spec.image = "crash:1".to_owned();
    lab.start(2).await;
    let mut restarts = 0;
    for _ in 0..20 {
        restarts += lab.look().await.expect("two others run").restarts;
    }
    assert_eq!(restarts, 2);
    // What was before the server's start is nobody's.
    lab.memory = Memory::default();
    assert_eq!(lab.look().await.expect("they run").restarts, 0);
}

#[tokio::test]
async fn the_limits_are_those_of_the_replicas_that_were_measured() {
    let mut lab = Lab::new().await;
    let mut samples = Samples::new();
    let measured = measure(&lab.driver).await.expect("the engine answers");
    lab.memory
        .add_usage(&mut samples, measured, lab.clock.now());
    let latest = &samples[&lab.spec.key.project_id];
    assert_eq!(latest.cpu_limit_milli, 1_000);
    assert_eq!(latest.memory_limit_bytes, 2 * lab.spec.ram.bytes());
}
