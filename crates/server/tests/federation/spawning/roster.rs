//! What the roster says of an instance, and until when it has anything.

use std::path::Path;

use super::*;
use crate::domain::now;

const TASK: &str = "count the books of Ada";

/// Whether a file below a folder holds that text.
fn holds(folder: &Path, text: &str) -> bool {
    std::fs::read_dir(folder).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return holds(&path, text);
        }
        // Sockets are no text.
        let bytes = path.is_file().then(|| std::fs::read(path).unwrap());
        bytes.is_some_and(|bytes| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        })
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_has_nothing_beyond_its_time() {
    let domain = Domain::start("own.example").await;
    domain.registered("worker", None).await;
    let short = domain.begin("worker", None, lasting(1)).await.unwrap();
    let until = short.until.unwrap();
    let svid = domain.x509(short.instance_id).await;
    if let Ok(svid) = svid {
        assert!(svid.not_after.as_seconds() <= until.as_seconds() + 1);
    }
    loop {
        match domain.x509(short.instance_id).await {
            Ok(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
            Err(reason) => break assert_eq!(reason, "instance_over"),
        }
    }
    assert!(now() >= until);
    let long = domain.begin("worker", None, lasting(3_000)).await.unwrap();
    let svid = domain.x509(long.instance_id).await.unwrap();
    let entry = domain.of(long.instance_id).await;
    assert_eq!(entry.svid_until, Some(svid.not_after));
    assert_eq!(entry.until, long.until);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_roster_tells_the_living_and_the_dead_and_no_log_tells_a_task() {
    let domain = peopled(may(&["worker"]), None).await;
    let parent = domain.opened("orchestrator", None).await;
    let terms = LaunchTerms {
        task: Some(TASK.parse().unwrap()),
        ..lasting(600)
    };
    let child = domain.begin("worker", Some(parent), terms).await.unwrap();
    let dead = domain.opened("worker", Some(parent)).await;
    domain.end(dead).await;
    let entry = domain.of(child.instance_id).await;
    assert_eq!(entry.task.as_deref(), Some(TASK));
    assert_eq!((entry.parent, entry.until), (Some(parent), child.until));
    assert_eq!((entry.node, entry.on_behalf_of.as_deref()), (None, None));
    assert!(!entry.outlive && entry.since <= now());
    // Neither in the log nor in the tables, where it is sealed; the agent's name is.
    let log = domain.file("log");
    let folder = log.parent().unwrap();
    assert!(holds(folder, &agent("orchestrator")));
    assert!(!holds(folder, TASK));
    let client = domain.client();
    let listed = async |filter: RosterFilter| {
        let roster = client.roster(&filter).await.unwrap();
        let ids = roster.instances.iter().map(|entry| entry.instance_id);
        (ids.collect::<Vec<_>>(), roster.more)
    };
    let nothing = RosterFilter::default;
    let by_agent = RosterFilter {
        agent: Some(agent("orchestrator").parse().unwrap()),
        ..nothing()
    };
    assert_eq!(listed(by_agent).await, (vec![parent], false));
    let by_parent = RosterFilter {
        parent: Some(parent),
        state: Some(InstanceState::Ended),
        ..nothing()
    };
    assert_eq!(listed(by_parent).await, (vec![dead], false));
    let newest = RosterFilter {
        limit: Some(1),
        ..nothing()
    };
    assert_eq!(listed(newest).await, (vec![dead], true));
    for limit in [0, 10_001] {
        let filter = RosterFilter {
            limit: Some(limit),
            ..nothing()
        };
        let refused = client.roster(&filter).await.map(drop).map_err(reason);
        assert_eq!(refused, Err("limit".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_sees_what_it_started_and_nobody_elses() {
    let domain = peopled(may(&["worker"]), Some(may(&["worker"]))).await;
    let one = domain.opened("orchestrator", None).await;
    let other = domain.opened("orchestrator", None).await;
    let child = domain.opened("worker", Some(one)).await;
    let grandchild = domain.opened("worker", Some(child)).await;
    domain.opened("worker", Some(other)).await;
    domain.end(grandchild).await;
    let ids = async |id: InstanceId| {
        let roster = domain.client().descendants(id).await.unwrap();
        let ids = roster.instances.iter().map(|entry| entry.instance_id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(one).await, [grandchild, child]);
    assert_eq!(ids(child).await, [grandchild]);
    assert!(ids(grandchild).await.is_empty());
    let unknown = domain
        .client()
        .descendants(InstanceId::from_random([9; 16]))
        .await;
    assert_eq!(
        unknown.map(drop).map_err(reason),
        Err("instance_unknown".to_owned())
    );
}

/// An SVID lives as long as its registration says, and never longer than its instance.
#[tokio::test(flavor = "multi_thread")]
async fn the_shorter_of_two_times_counts() {
    let domain = Domain::start("own.example").await;
    let terms = RegistrationTerms {
        x509_svid_seconds: Some("120".parse().unwrap()),
        ..RegistrationTerms::default()
    };
    let registered = domain.registering_with("worker", None, terms);
    registered.await.unwrap();
    for (instance, most) in [(lasting(40), 40), (lasting(3_000), 120)] {
        let opened = domain.begin("worker", None, instance).await.unwrap();
        let svid = domain.x509(opened.instance_id).await.unwrap();
        let lives = svid.not_after.micros_since(now()) / 1_000_000;
        assert!((most - 20..=most).contains(&lives), "{lives} of {most}");
        let noted = domain.of(opened.instance_id).await.svid_until;
        assert_eq!(noted, Some(svid.not_after));
    }
}

/// The same for those that are asked for together; one whose time is over is refused alone.
#[tokio::test(flavor = "multi_thread")]
async fn each_of_those_issued_together_has_its_own_time() {
    let domain = Domain::start("own.example").await;
    domain.registered("worker", None).await;
    let mut instances = Vec::new();
    for terms in [lasting(1), lasting(40), LaunchTerms::default()] {
        let opened = domain.begin("worker", None, terms).await.unwrap();
        instances.push(opened.instance_id);
    }
    while domain.x509(instances[0]).await.is_ok() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let before = domain.of(instances[0]).await.svid_until;
    let issued = domain.x509s(&instances).await;
    // It may have been found over and ended meanwhile.
    let over = issued[0].as_ref().unwrap_err().as_str();
    assert!(matches!(over, "instance_over" | "instance_ended"), "{over}");
    assert!(issued[1..].iter().all(Result::is_ok), "{issued:?}");
    assert_eq!(domain.of(instances[0]).await.svid_until, before);
    for (id, most) in [(instances[1], 40), (instances[2], 600)] {
        let until = domain.of(id).await.svid_until.unwrap();
        let lives = until.micros_since(now()) / 1_000_000;
        assert!((most - 20..=most).contains(&lives), "{lives} of {most}");
    }
}
