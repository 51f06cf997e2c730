//! A SPIFFE program that we did not write all of: the crate `spiffe` holds its stream open and opens it
//! again, and everything that it sees is said.

use std::path::PathBuf;

use chancery_types::Digest;
use serde_json::Value;

use crate::deployment::{Deployment, text};
use crate::place::{Started, chancery, until};

/// An SVID that a client received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Svid {
    /// When it came, in microseconds of the client's clock.
    pub(crate) at: u64,
    pub(crate) id: String,
    /// The digest of its key, as it is enrolled.
    pub(crate) key: Digest,
    /// Seconds.
    pub(crate) not_before: u64,
    /// Seconds.
    pub(crate) not_after: u64,
}

/// An end of the client's stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) at: u64,
    pub(crate) why: String,
}

/// A client that follows its SVIDs.
pub(crate) struct Watcher {
    running: Started,
}

/// The program that follows.
pub(crate) fn program() -> PathBuf {
    let folder = PathBuf::from(chancery()).parent().unwrap().join("examples");
    let program = folder.join("spiffe_peer");
    let shown = program.display();
    assert!(program.exists(), "{shown}: build the examples");
    program
}

impl End {
    /// The node has nothing to hand out now, and may have later.
    #[track_caller]
    pub(crate) fn is_for_now(&self) {
        let why = self.why.to_lowercase();
        assert!(why.contains("unavailable"), "{self:?}");
    }
}

impl Watcher {
    /// Starts one as an instance of an agent of that name, which is registered.
    pub(crate) fn start(deployment: &Deployment, agent: &str) -> Self {
        let program = program();
        deployment.agent(agent, text(&program));
        Self::again(deployment, agent)
    }

    /// One more of an agent that is registered.
    pub(crate) fn again(deployment: &Deployment, agent: &str) -> Self {
        let program = program();
        let run = [
            "--agent",
            agent,
            "--network",
            "host",
            "--",
            text(&program),
            "follow",
        ];
        Self::of(deployment.run(&run))
    }

    /// What runs follows its SVIDs; it has the first one when this returns.
    pub(crate) fn of(mut running: Started) -> Self {
        until("the first SVID", || {
            assert!(running.exit().is_none(), "{}", running.err());
            running.out().contains("not_after").then_some(())
        });
        Self { running }
    }

    fn said(&self) -> Vec<Value> {
        let out = self.running.out();
        // The last line may be half written.
        let whole = out.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines = whole.lines().filter(|line| line.starts_with('{'));
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    pub(crate) fn svids(&self) -> Vec<Svid> {
        let number = |line: &Value, name: &str| line[name].as_u64().unwrap();
        let svid = |line: &Value| {
            let key = line["key"].as_str()?;
            let bytes = key
                .as_bytes()
                .chunks(2)
                .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap());
            Some(Svid {
                at: number(line, "at"),
                id: line["id"].as_str().unwrap().to_owned(),
                key: Digest::of(bytes.collect::<Vec<_>>()),
                not_before: number(line, "not_before"),
                not_after: number(line, "not_after"),
            })
        };
        self.said().iter().filter_map(svid).collect()
    }

    pub(crate) fn ends(&self) -> Vec<End> {
        let end = |line: &Value| {
            Some(End {
                at: line["at"].as_u64().unwrap(),
                why: line["end"].as_str()?.to_owned(),
            })
        };
        self.said().iter().filter_map(end).collect()
    }

    /// The SVID that it received last.
    pub(crate) fn last(&self) -> Svid {
        self.svids().pop().unwrap()
    }

    /// The first SVID with another key than the last one has now.
    #[track_caller]
    pub(crate) fn next(&self) -> Svid {
        let known = self.svids();
        let is_new = |svid: &Svid| known.iter().all(|known| known.key != svid.key);
        until("another SVID", || self.svids().into_iter().find(is_new))
    }

    /// It received nothing that was over, or of a time to come, by its clock, whose seconds are `ahead` of
    /// its own at each moment.
    pub(crate) fn received_nothing_but_of_its_time(&self, ahead: impl Fn(u64) -> i64) {
        for svid in self.svids() {
            let now = (svid.at / 1_000_000).saturating_add_signed(ahead(svid.at));
            let is_of_now = svid.not_before <= now && now <= svid.not_after;
            assert!(is_of_now, "at {now}: {svid:?}");
        }
    }

    /// It had a valid SVID at every moment, on one stream.
    pub(crate) fn was_never_without(&self) {
        assert_eq!(self.ends(), []);
        let svids = self.svids();
        for pair in svids.windows(2) {
            let [before, after] = pair else { continue };
            assert!(after.at / 1_000_000 < before.not_after, "{pair:?}");
        }
    }
}
