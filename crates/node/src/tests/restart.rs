//! A node that is killed takes up its launches again, and no others.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use chancery_types::Digest;
use serde_json::{Value, json};

use super::issuer::Mood;
use super::{RegisteredLaunch, Serving, Sleeper};
use crate::{EndReason, LaunchList, Process};

impl Serving {
    async fn registered(&self) -> Vec<crate::LaunchView> {
        let list: LaunchList = self.operator().get("/v1/launches").await.unwrap();
        list.launches
    }

    fn record(&self, launch: &RegisteredLaunch) -> PathBuf {
        let name = format!("{}.json", launch.launch_id);
        self.folder.path().join("launches").join(name)
    }

    fn edit(&self, launch: &RegisteredLaunch, edit: impl FnOnce(&mut Value)) {
        let path = self.record(launch);
        let mut record = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        edit(&mut record);
        fs::write(path, record.to_string()).unwrap();
    }

    /// Waits until the issuer has heard of so many ends.
    async fn heard(&self, count: usize) -> Vec<EndReason> {
        for _ in 0..200 {
            let ended = self.issuer.ended.lock().unwrap().clone();
            if ended.len() >= count {
                return ended.iter().map(|(_, reason)| *reason).collect();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the issuer did not hear of the end");
    }
}

#[tokio::test]
async fn a_killed_node_takes_up_its_launches() {
    let serving = Serving::start();
    let mut sleeper = Sleeper::plain();
    let launch = serving.register(Some(sleeper.0.id()), false).await.unwrap();
    let before = serving.registered().await;
    let serving = serving.killed().await;
    let after = serving.registered().await;
    assert_eq!(json!(before), json!(after));
    assert_eq!(serving.launches.list()[0].id(), launch.launch_id);
    // It is held against new registrations as before, and its end is seen.
    assert!(serving.register(Some(sleeper.0.id()), false).await.is_err());
    sleeper.end();
    assert_eq!(serving.heard(1).await, [EndReason::ProcessExited]);
    while serving.record(&launch).exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(serving.registered().await.len(), 0);
}

#[tokio::test]
async fn what_ended_meanwhile_is_told() {
    let serving = Serving::start();
    let mut sleeper = Sleeper::plain();
    serving.register(Some(sleeper.0.id()), false).await.unwrap();
    sleeper.end_unheard(&serving).await;
    let serving = serving.killed().await;
    serving.issuer.feel(Mood::Willing);
    assert_eq!(serving.registered().await.len(), 0);
    assert_eq!(serving.heard(1).await, [EndReason::ProcessExited]);
}

#[tokio::test]
async fn another_process_of_that_id_is_not_the_launch() {
    for (member, value) in [("start_time", json!(1)), ("pid", json!(1))] {
        let serving = Serving::start();
        let sleeper = Sleeper::plain();
        let launch = serving.register(Some(sleeper.0.id()), false).await.unwrap();
        serving.edit(&launch, |record| record["init"][member] = value);
        let serving = serving.killed().await;
        assert_eq!(serving.registered().await.len(), 0, "{member}");
        assert_eq!(serving.heard(1).await, [EndReason::ProcessExited]);
    }
}

#[tokio::test]
async fn nothing_outlives_a_start_of_the_machine() {
    let serving = Serving::start();
    let sleeper = Sleeper::plain();
    let launch = serving.register(Some(sleeper.0.id()), false).await.unwrap();
    serving.edit(&launch, |record| record["boot"] = json!("another"));
    let serving = serving.killed().await;
    assert_eq!(serving.registered().await.len(), 0);
    assert_eq!(serving.heard(1).await, [EndReason::ProcessExited]);
}

/// An earlier node did not note which files the kernel runs itself: a program is held to what was
/// measured all the same.
#[tokio::test]
async fn a_launch_of_an_earlier_node_is_held_to_its_program() {
    for (native, same, vouched) in [
        (None, true, true),
        (None, false, false),
        (Some(true), false, false),
        (Some(false), false, true),
    ] {
        let serving = Serving::start();
        let sleeper = Sleeper::plain();
        let launch = serving.register(Some(sleeper.0.id()), false).await.unwrap();
        serving.edit(&launch, |record| {
            let executable = record["executable"].as_object_mut().unwrap();
            executable.remove("native");
            executable.remove("size");
            if let Some(native) = native {
                executable.insert("native".to_owned(), json!(native));
            }
            if !same {
                executable.insert("digest".to_owned(), json!(Digest::of("another program")));
            }
        });
        let serving = serving.killed().await;
        let process = Process::open(sleeper.0.id().try_into().unwrap()).unwrap();
        let launch = &serving.launches.list()[0];
        let answer = launch.vouches_for(&process).await;
        assert_eq!(answer, vouched, "{native:?} {same}");
    }
}

#[tokio::test]
async fn what_was_withdrawn_does_not_begin_again() {
    let serving = Serving::start();
    let sleeper = Sleeper::plain();
    let launch = serving.register(Some(sleeper.0.id()), false).await.unwrap();
    // Nobody hears of it, and the node is killed before somebody does.
    serving.issuer.feel(Mood::Away);
    assert!(serving.launches.withdraw(launch.launch_id).is_some());
    let serving = serving.killed().await;
    assert_eq!(serving.registered().await.len(), 0);
    serving.issuer.feel(Mood::Willing);
    assert_eq!(serving.heard(1).await, [EndReason::Withdrawn]);
}

#[tokio::test]
async fn an_issuer_that_was_away_hears_later() {
    let serving = Serving::start();
    let mut sleeper = Sleeper::plain();
    serving.register(Some(sleeper.0.id()), false).await.unwrap();
    sleeper.end_unheard(&serving).await;
    serving.issuer.feel(Mood::Willing);
    assert_eq!(serving.heard(1).await, [EndReason::ProcessExited]);
}

impl Sleeper {
    /// Ends while the issuer is away.
    async fn end_unheard(&mut self, serving: &Serving) {
        serving.issuer.feel(Mood::Away);
        self.end();
        while !serving.registered().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(serving.issuer.ended.lock().unwrap().is_empty());
    }
}
