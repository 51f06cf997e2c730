//! Instances that others started: whose they are, and that they end with them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chancery_api::ClientError;
use chancery_api::server::{LaunchTerms, Roster};
use chancery_identity::{InstanceSpiffeId, Isolation};
use tokio::time::timeout;

use super::{AGENT, Serving, Sleeper};
use crate::{
    EndReason, Launch, LaunchError, LaunchRequest, Process, RegisterLaunch, RegisteredLaunch,
    Withdrawn,
};

const WORKER: &str = "spiffe://td/agent/worker";

/// A shell with children that sleep.
struct Family {
    parent: Sleeper,
    children: Vec<Process>,
}

impl Family {
    async fn of(children: usize) -> Self {
        let script = "sleep 60 & ".repeat(children) + "wait";
        let parent = Sleeper::start("bash", &["-c", &script]);
        let children = below(parent.0.id(), children).await;
        Self { parent, children }
    }

    fn process(&self) -> Process {
        Process::open(self.parent.0.id().try_into().unwrap()).unwrap()
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        for child in &self.children {
            let _ = child.kill();
        }
    }
}

/// The children of a process, once it has so many.
async fn below(pid: u32, count: usize) -> Vec<Process> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    loop {
        let text = std::fs::read_to_string(&path).unwrap();
        let pids: Vec<i32> = text
            .split_whitespace()
            .map(|pid| pid.parse().unwrap())
            .collect();
        if pids.len() >= count {
            let open = |pid: &i32| Process::open(*pid).unwrap();
            return pids.iter().map(open).collect();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

impl Serving {
    async fn launched(
        &self,
        process: &Process,
        agent: &str,
        (said, terms): (Option<&InstanceSpiffeId>, LaunchTerms),
    ) -> Result<Arc<Launch>, LaunchError> {
        let request = LaunchRequest {
            agent: agent.parse().unwrap(),
            init_pid: None,
            isolation: Isolation::Unisolated,
            program: None,
            parent: said.cloned(),
            terms,
        };
        self.launches.register(process.clone(), request).await
    }

    async fn parent(&self, family: &Family) -> InstanceSpiffeId {
        let nothing = (None, LaunchTerms::default());
        let launch = self.launched(&family.process(), AGENT, nothing).await;
        launch.unwrap().instance().clone()
    }

    async fn child(
        &self,
        process: &Process,
        parent: &InstanceSpiffeId,
    ) -> Result<InstanceSpiffeId, LaunchError> {
        let said = (Some(parent), LaunchTerms::default());
        let launch = self.launched(process, WORKER, said).await?;
        Ok(launch.instance().clone())
    }

    /// Waits until the issuer heard how an instance ended.
    async fn end_of(&self, instance: &InstanceSpiffeId) -> EndReason {
        loop {
            let ended = self.issuer.ended.lock().unwrap().clone();
            if let Some((_, reason)) = ended.iter().find(|(id, _)| id == instance) {
                return *reason;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn outliving() -> LaunchTerms {
    LaunchTerms {
        outlive: true,
        ..LaunchTerms::default()
    }
}

#[tokio::test]
async fn the_issuer_hears_who_started_what_and_for_what() {
    let serving = Serving::start();
    let family = Family::of(1).await;
    let parent = serving.parent(&family).await;
    let terms = LaunchTerms {
        task: Some("count".parse().unwrap()),
        lifetime_seconds: Some(600),
        outlive: false,
    };
    let said = (Some(&parent), terms.clone());
    let child = serving
        .launched(&family.children[0], WORKER, said)
        .await
        .unwrap();
    let opened = serving.issuer.opened.lock().unwrap().clone();
    assert_eq!(
        (opened[0].parent(), opened[1].parent()),
        (None, Some(&parent))
    );
    assert_eq!(opened[1].terms(), &terms);
    assert!(child.until.is_some());
}

#[tokio::test]
async fn what_an_instance_started_ends_with_it_down_to_the_last() {
    let serving = Serving::start();
    let mut family = Family::of(1).await;
    let parent = serving.parent(&family).await;
    let child = serving.child(&family.children[0], &parent).await.unwrap();
    // Another family beside it.
    let mut inner = Family::of(1).await;
    let other = serving.parent(&inner).await;
    let grandchild = serving.child(&inner.children[0], &other).await.unwrap();
    family.parent.end();
    assert_eq!(serving.end_of(&parent).await, EndReason::BridgeExited);
    assert_eq!(serving.end_of(&child).await, EndReason::ParentEnded);
    family.children[0].exited().await;
    // And nobody else.
    assert!(inner.children[0].is_alive());
    inner.parent.end();
    assert_eq!(serving.end_of(&grandchild).await, EndReason::ParentEnded);
    inner.children[0].exited().await;
}

#[tokio::test]
async fn generations_end_together() {
    let serving = Serving::start();
    let mut top = Sleeper::start("bash", &["-c", "bash -c 'sleep 60 & wait' & wait"]);
    let middle = below(top.0.id(), 1).await.remove(0);
    let leaf = below(middle.pid().try_into().unwrap(), 1).await.remove(0);
    let process = Process::open(top.0.id().try_into().unwrap()).unwrap();
    let nothing = (None, LaunchTerms::default());
    let first = serving.launched(&process, AGENT, nothing).await.unwrap();
    let second = serving.child(&middle, first.instance()).await.unwrap();
    // The nearest one above is the parent, not the first.
    let refused = serving.child(&leaf, first.instance()).await;
    assert!(matches!(refused, Err(LaunchError::OtherParent { .. })));
    let third = serving.child(&leaf, &second).await.unwrap();
    top.end();
    assert_eq!(serving.end_of(&second).await, EndReason::ParentEnded);
    assert_eq!(serving.end_of(&third).await, EndReason::ParentEnded);
    middle.exited().await;
    leaf.exited().await;
}

#[tokio::test]
async fn who_may_outlive_goes_on() {
    let serving = Serving::start();
    let mut family = Family::of(2).await;
    let parent = serving.parent(&family).await;
    let said = (Some(&parent), outliving());
    let stays = serving
        .launched(&family.children[0], WORKER, said)
        .await
        .unwrap();
    let goes = serving.child(&family.children[1], &parent).await.unwrap();
    family.parent.end();
    assert_eq!(serving.end_of(&goes).await, EndReason::ParentEnded);
    assert!(family.children[0].is_alive() && stays.end_reason().is_none());
    // Also where the node was killed meanwhile.
    let instance = stays.instance().clone();
    let serving = serving.killed().await;
    let again = serving.launches.list();
    assert_eq!(again.len(), 1);
    assert!(again[0].instance() == &instance && family.children[0].is_alive());
}

#[tokio::test]
async fn nobody_is_a_child_by_its_own_word() {
    let serving = Serving::start();
    let (family, other) = (Family::of(1).await, Family::of(1).await);
    let (parent, stranger) = (serving.parent(&family).await, serving.parent(&other).await);
    let alone = Sleeper::plain();
    let alone = Process::open(alone.0.id().try_into().unwrap()).unwrap();
    for (process, said) in [
        (&family.children[0], &stranger),
        (&other.children[0], &parent),
        (&alone, &parent),
    ] {
        let refused = serving.child(process, said).await;
        assert!(
            matches!(refused, Err(LaunchError::OtherParent { .. })),
            "{refused:?}"
        );
    }
    assert_eq!(serving.issuer.opened.lock().unwrap().len(), 2);
    // Who says nothing is a child all the same.
    let nothing = (None, LaunchTerms::default());
    let child = serving
        .launched(&family.children[0], WORKER, nothing)
        .await
        .unwrap();
    assert_eq!(child.facts().parent(), Some(&parent));
}

#[tokio::test]
async fn a_parent_that_has_ended_starts_nothing() {
    let serving = Serving::start();
    let family = Family::of(1).await;
    let nothing = (None, LaunchTerms::default());
    let launch = serving
        .launched(&family.process(), AGENT, nothing.clone())
        .await
        .unwrap();
    let parent = launch.instance().clone();
    // Its process goes on.
    serving.launches.withdraw(launch.id()).unwrap();
    for said in [(Some(&parent), LaunchTerms::default()), nothing] {
        let refused = serving.launched(&family.children[0], WORKER, said).await;
        assert!(
            matches!(refused, Err(LaunchError::ParentEnded(_))),
            "{refused:?}"
        );
    }
    assert_eq!(serving.issuer.opened.lock().unwrap().len(), 1);
}

/// Nothing of an ended launch stays in memory, its agent key least of all, where nobody needs it any more.
#[tokio::test]
async fn what_has_ended_with_all_of_its_processes_is_let_go_of() {
    let serving = Serving::start();
    let mut sleeper = Sleeper::plain();
    let process = Process::open(sleeper.0.id().try_into().unwrap()).unwrap();
    let nothing = (None, LaunchTerms::default());
    let launch = serving.launched(&process, AGENT, nothing).await.unwrap();
    let kept = Arc::downgrade(&launch);
    drop(launch);
    sleeper.end();
    let gone = async {
        while kept.strong_count() > 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(10), gone).await.unwrap();
}

#[tokio::test]
async fn a_revoked_parent_starts_nothing_and_takes_its_children_along() {
    let serving = Serving::start();
    let family = Family::of(2).await;
    let parent = serving.parent(&family).await;
    let child = serving.child(&family.children[0], &parent).await.unwrap();
    // With its agent: that may be lifted.
    let agents = BTreeSet::from([AGENT.to_owned()]);
    let withdrawn = Withdrawn::new(agents, BTreeSet::new());
    serving.issuer.withdrawn.send_replace(withdrawn);
    while !serving
        .launches
        .list()
        .iter()
        .any(|launch| launch.is_withdrawn())
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let refused = serving.child(&family.children[1], &parent).await;
    assert!(
        matches!(refused, Err(LaunchError::ParentRevoked(_))),
        "{refused:?}"
    );
    assert!(family.children[0].is_alive());
    // By itself: that is for good.
    let instances = BTreeSet::from([parent.to_string()]);
    let withdrawn = Withdrawn::new(BTreeSet::new(), instances);
    serving.issuer.withdrawn.send_replace(withdrawn);
    assert_eq!(serving.end_of(&child).await, EndReason::ParentEnded);
    family.children[0].exited().await;
    let refused = serving.child(&family.children[1], &parent).await;
    assert!(
        matches!(refused, Err(LaunchError::ParentRevoked(_))),
        "{refused:?}"
    );
}

/// The parent dies while the server opens its child: the child never runs.
#[tokio::test]
async fn a_child_does_not_outlive_a_parent_that_died_meanwhile() {
    let serving = Serving::start();
    let mut family = Family::of(1).await;
    let parent = serving.parent(&family).await;
    serving.issuer.holds_openings.send_replace(true);
    let child = family.children[0].clone();
    let registering = serving.child(&child, &parent);
    let dying = async {
        while serving.issuer.opened.lock().unwrap().len() < 2 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        family.parent.end();
        serving.end_of(&parent).await;
        serving.issuer.holds_openings.send_replace(false);
    };
    let (refused, ()) = tokio::join!(registering, dying);
    assert!(
        matches!(refused, Err(LaunchError::ParentEnded(_))),
        "{refused:?}"
    );
    child.exited().await;
    let heard = async || serving.issuer.ended.lock().unwrap().clone();
    while heard().await.len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(heard().await[1].1, EndReason::ParentEnded);
    assert!(serving.launches.list().is_empty());
}

/// Who asked is killed while the server opens the instance: it is noted all the same, and ended.
#[tokio::test]
async fn what_was_opened_for_somebody_who_has_gone_is_ended() {
    let serving = Serving::start();
    let mut family = Family::of(1).await;
    serving.issuer.holds_openings.send_replace(true);
    let request = RegisterLaunch {
        agent_id: AGENT.parse().unwrap(),
        init_pid: Some(family.parent.0.id().try_into().unwrap()),
        isolated: false,
        program: None,
        parent: None,
        terms: LaunchTerms::default(),
    };
    let node = serving.operator();
    let asking = tokio::spawn(async move {
        node.post::<_, RegisteredLaunch>("/v1/launches", &request)
            .await
    });
    while serving.issuer.opened.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    family.parent.end();
    // Until the connection is gone at the other end as well.
    tokio::time::sleep(Duration::from_millis(50)).await;
    serving.issuer.holds_openings.send_replace(false);
    while serving.issuer.ended.lock().unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(serving.launches.list().is_empty());
}

#[tokio::test]
async fn a_node_that_was_away_ends_what_lost_its_parent() {
    let serving = Serving::start();
    let mut family = Family::of(1).await;
    let parent = serving.parent(&family).await;
    let child = serving.child(&family.children[0], &parent).await.unwrap();
    // The node is killed first; then the parent dies.
    let serving = {
        let serving = serving;
        serving.launches.abandon();
        family.parent.end();
        assert!(family.children[0].is_alive());
        serving.killed().await
    };
    assert_eq!(serving.end_of(&child).await, EndReason::ParentEnded);
    family.children[0].exited().await;
}

#[tokio::test]
async fn an_instance_ends_with_its_time() {
    let serving = Serving::start();
    let family = Family::of(2).await;
    let parent = serving.parent(&family).await;
    let terms = LaunchTerms {
        lifetime_seconds: Some(1),
        ..LaunchTerms::default()
    };
    let said = (Some(&parent), terms);
    let child = serving
        .launched(&family.children[0], WORKER, said)
        .await
        .unwrap();
    let child = child.instance().clone();
    assert_eq!(serving.end_of(&child).await, EndReason::LifetimeOver);
    family.children[0].exited().await;
    assert!(family.process().is_alive() && family.children[1].is_alive());
}

#[tokio::test]
async fn a_node_that_stops_kills_nobody() {
    let mut serving = Serving::start();
    let family = Family::of(1).await;
    let parent = serving.parent(&family).await;
    let child = serving.child(&family.children[0], &parent).await.unwrap();
    serving.stop().await;
    for instance in [&parent, &child] {
        assert_eq!(serving.end_of(instance).await, EndReason::NodeStopped);
    }
    assert!(family.children[0].is_alive() && family.process().is_alive());
}

#[tokio::test]
async fn a_roster_is_asked_for_by_an_instance_alone() {
    let serving = Serving::start();
    let asked = serving.operator().get::<Roster>("/v1/descendants").await;
    let Err(ClientError::Refused(problem)) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(problem.reason, "not_launched");
    // This process is one; this issuer keeps no roster.
    serving.launch_own().await;
    let asked = serving.operator().get::<Roster>("/v1/descendants").await;
    let Err(ClientError::Refused(problem)) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(problem.reason, "issuer_unavailable");
    let limited = "/v1/descendants?limit=many";
    let asked = serving.operator().get::<Roster>(limited).await;
    let Err(ClientError::Refused(problem)) = asked else {
        panic!("{asked:?}");
    };
    assert_eq!(problem.reason, "bad_roster_filter");
    let others = "/v1/descendants?instance=ins_7zzzzzzzzzzzzzzzzzzzzzzzzz";
    let asked = serving.operator().get::<Roster>(others).await;
    assert!(asked.is_err(), "{asked:?}");
}
