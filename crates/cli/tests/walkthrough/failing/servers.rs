//! Two servers of one data folder and one database, of which one works: it is killed, stopped, asked to
//! end, at random; and nothing that was acknowledged is lost or there twice.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sqlx::{Connection as _, PgConnection};

use super::roll::Roll;
use super::watcher::Watcher;
use super::writers::Writers;
use super::{rounds, until_served};
use crate::place::{Place, Started, chancery, until};
use crate::postgres::Postgres;

/// A second server, which is started again whenever it ends: what a service manager does.
struct Second<'a> {
    place: &'a Place,
    running: Started,
    ended: Vec<String>,
}

impl<'a> Second<'a> {
    fn start(place: &'a Place) -> Self {
        Self {
            running: Self::spawn(place),
            place,
            ended: Vec::new(),
        }
    }

    fn spawn(place: &Place) -> Started {
        let mut command = place.command(chancery());
        Started::new(command.arg("server"), place)
    }

    fn keep(&mut self) {
        if self.running.exit().is_some() {
            self.ended.push(self.running.err());
            self.running = Self::spawn(self.place);
        }
    }
}

/// Who has the place, and which holding of it that is.
async fn holder(address: &str) -> Option<(Pid, i64)> {
    let mut beside = PgConnection::connect(address).await.ok()?;
    let asked = sqlx::query_as("SELECT holder, epoch FROM fences WHERE name = 'server'");
    let (holder, epoch): (String, i64) = asked.fetch_one(&mut beside).await.ok()?;
    let process = holder.strip_prefix("process ")?.split(' ').next()?;
    Some((Pid::from_raw(process.parse().ok()?), epoch))
}

pub(super) async fn rows(address: &str) -> Vec<String> {
    let mut beside = PgConnection::connect(address).await.unwrap();
    let asked = sqlx::query_scalar("SELECT digest FROM node_tokens");
    asked.fetch_all(&mut beside).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_servers_one_works_and_nothing_is_lost_or_doubled_when_it_fails() {
    let Some(mut database) = Postgres::start().await else {
        return;
    };
    let address = database.database().await;
    let mut deployment = super::failover::with_database(&address, &["--svid-lifetime", "30"]);
    let watcher = Watcher::start(&deployment, "watcher");
    let writers = Writers::start(deployment.place.at("chancery-data/run/server.sock"));
    let mut second = Second::start(&deployment.place);
    until("the second one waits", || {
        second
            .running
            .err()
            .contains("another server works")
            .then_some(())
    });
    let mut seed = std::process::id();
    let mut random = |below: u32| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 16) % below
    };
    let (mut moved, mut epochs) = (0, Vec::new());
    for round in 0..rounds(10) {
        writers.go_on(3);
        let (pid, epoch) = holder(&address).await.unwrap();
        epochs.push(epoch);
        let how = random(3);
        let pause = match how {
            0 => kill(pid, Signal::SIGKILL).map(|()| Duration::ZERO),
            1 => kill(pid, Signal::SIGTERM).map(|()| Duration::ZERO),
            _ => {
                kill(pid, Signal::SIGSTOP).unwrap();
                // Once it is away for longer than it may rely on its place.
                let seconds = if round == 0 || moved == 0 { 11 } else { 1 };
                Ok(Duration::from_secs(seconds))
            }
        };
        let pause = pause.unwrap();
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
            assert_eq!(
                holder(&address).await.unwrap().1,
                epoch,
                "a stopped one keeps the log"
            );
            kill(pid, Signal::SIGCONT).unwrap();
        }
        // Those that ended are started again: one by `up`, the other one here.
        let mut last = epoch;
        let ended = how != 2 || pause > Duration::from_secs(10);
        for _ in 0..600 {
            second.keep();
            if let Some((now, next)) = holder(&address).await {
                last = next;
                if !ended || (next > epoch && now != pid) {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert_eq!(last > epoch, ended, "round {round}");
        moved += usize::from(ended);
    }
    writers.go_on(3);
    assert!(epochs.is_sorted(), "{epochs:?}");
    let written = writers.stop();
    // A renewal may meet one failure after another until its SVID is over; nothing that is over is handed out.
    watcher.received_nothing_but_of_its_time(|_| 0);
    let svids = watcher.svids();
    second.running.signal(Signal::SIGTERM);
    until("the second one ends", || second.running.exit());
    until_served(&deployment);
    let second = second.ended;
    let rows = rows(&address).await;
    deployment.stop();
    println!(
        "{} acknowledged, {} not, epochs {epochs:?}, the second one ended {} times",
        written.tokens.len(),
        written.refused.len(),
        second.len()
    );
    let roll = Roll::of(&mut deployment);
    roll.has_each_once(&svids);
    roll.has_what_was_acknowledged(&written);
    roll.rows_are(&rows, &written);
}
