//! A gateway's log that goes on from an older copy of another one, and what it must say of that.

use chancery_audit::{CheckpointEnrol, EndReason, EpochRaise, Event, LogSucceed, commit};
use chancery_crypto::AwsLc;
use chancery_evidence::{Axis, AxisVerdict, NoteValue, Report, verify};
use chancery_identity::trust::VerifiedTrust;
use chancery_types::Digest;

use crate::log_writer::LogSigner;
use crate::scene::{Beside, Builder, GATEWAY, Scene, at};

const OLD: &str = "example.org/log/gateway";
const NEW: &str = "example.org/log/gateway.2";

/// The scene's gateway log, succeeded at its end after 40 more entries were signed.
struct Succeeded {
    scene: Scene,
    trust: VerifiedTrust,
    size: u64,
}

impl Succeeded {
    fn new(change: impl FnOnce(&mut LogSucceed)) -> Self {
        let mut scene = Scene::new();
        let signer = LogSigner::new(NEW);
        let trust = scene.trust_with(|document| {
            document.log_origins.push(signer.to_origin(GATEWAY));
        });
        let size = scene.gateway.size();
        let mut succeed = LogSucceed {
            log: OLD.parse().unwrap(),
            size,
            root: scene.gateway.root(),
            checkpoint: Digest::of("the note of what is left"),
            signed: size + 40,
            signed_root: Digest::of("the root of what was signed"),
            signed_checkpoint: Digest::of("its note"),
        };
        change(&mut succeed);
        scene.gateway.origin = NEW.parse().unwrap();
        scene.gateway.append(at(90), succeed.into());
        scene.signers.gateway = signer;
        let mut succeeded = Self { scene, trust, size };
        succeeded.sign();
        succeeded
    }

    /// Signs what is there now, and has the server enrol it.
    fn sign(&mut self) {
        let scene = &mut self.scene;
        let note = scene.gateway.checkpoint(&scene.signers.gateway);
        let (size, root) = (scene.gateway.size(), scene.gateway.root());
        self.enrol(NEW, size, root, Digest::of(&note));
        self.scene.gateway.note = Some(note);
    }

    fn enrol(&mut self, log: &str, size: u64, root: Digest, checkpoint: Digest) {
        let log = log.parse().unwrap();
        let enrol = CheckpointEnrol {
            log,
            size,
            root,
            checkpoint,
        };
        self.scene.server.append(at(90), enrol.into());
    }

    fn verify(&self) -> Report {
        verify(&self.scene.files(), Some(&self.trust), &AwsLc, at(100))
    }
}

/// A change to what a succession says.
type Lie = fn(&mut LogSucceed);

/// What is found beside that the log does not have this trust document.
fn reasons(report: &Report) -> Vec<&str> {
    let reasons = report.findings.iter().map(|found| found.reason);
    reasons.filter(|it| !it.starts_with("trust_")).collect()
}

fn succeeded(report: &Report) -> Vec<&str> {
    let notes = report.notes.iter();
    let notes = notes.filter(|note| note.value == NoteValue::Succeeded);
    notes.map(|note| note.about.as_str()).collect()
}

#[test]
fn what_is_left_is_verified_under_the_new_name_and_the_gap_is_said() {
    let whole = Succeeded::new(|_| {});
    let report = whole.verify();
    assert_eq!(reasons(&report), Vec::<&str>::new());
    let said = format!(
        "{NEW} goes on from {OLD} at {} entries; 40 more were signed there and are missing",
        whole.size
    );
    assert_eq!(succeeded(&report), [said]);
}

fn cut_before_the_end(play: &mut Builder, second: u64) {
    if second == 35 {
        play.succeed(second, LogSigner::new(NEW));
    }
}

fn cut_before_a_call(play: &mut Builder, second: u64) {
    if second == 25 {
        play.succeed(second, LogSigner::new(NEW));
    }
}

/// What is found of a session whose log was succeeded while it was open, and how it ended.
fn cut(beside: Beside, reason: EndReason) -> Report {
    let scene = Scene::with(beside, reason, None);
    let new = scene.signers.gateway.to_origin(GATEWAY);
    let trust = scene.trust_with(|document| document.log_origins.push(new));
    verify(&scene.files(), Some(&trust), &AwsLc, at(100))
}

#[test]
fn of_a_session_that_a_succession_cut_entries_are_missing() {
    let report = cut(cut_before_the_end, EndReason::Interrupted);
    assert_eq!(reasons(&report), ["session_cut"]);
    assert!(!report.is_verified());
    let complete = report.axes.iter().find(|it| it.axis == Axis::Completeness);
    assert_eq!(complete.unwrap().verdict, AxisVerdict::Fails);
}

#[test]
fn a_session_that_goes_on_where_its_log_was_succeeded_is_found() {
    let report = cut(cut_before_the_end, EndReason::Completed);
    assert_eq!(reasons(&report), ["session_cut", "session_not_interrupted"]);
    let report = cut(cut_before_a_call, EndReason::Interrupted);
    let found = reasons(&report).into_iter();
    let calls = found.filter(|it| *it == "session_not_interrupted").count();
    assert_eq!(calls, 1, "{:#?}", report.findings);
}

#[test]
fn evidence_of_the_old_log_stays_evidence_and_says_that_another_goes_on() {
    let scene = Scene::new();
    let new = LogSigner::new(NEW);
    let trust = scene.trust_with(|document| document.log_origins.push(new.to_origin(GATEWAY)));
    let report = verify(&scene.files(), Some(&trust), &AwsLc, at(100));
    assert_eq!(reasons(&report), Vec::<&str>::new());
    assert_eq!(
        succeeded(&report),
        [format!("{OLD}, from which {NEW} goes on")]
    );
}

#[test]
fn a_succession_that_is_not_what_it_says_is_found() {
    let lies: [(Lie, &str); 9] = [
        (|it| it.size += 1, "succession_differs"),
        (|it| it.size -= 1, "succession_differs"),
        (|it| it.root = Digest::of("another"), "succession_differs"),
        (|it| it.signed = it.size, "succession_needless"),
        (|it| it.signed = it.size - 1, "succession_needless"),
        (|it| it.log = NEW.parse().unwrap(), "succession_unknown"),
        (
            |it| it.log = "example.org/log/server".parse().unwrap(),
            "succession_unknown",
        ),
        (
            |it| it.log = "example.org/log/gateway.3".parse().unwrap(),
            "succession_unknown",
        ),
        (
            |it| it.log = "example.com/log/gateway".parse().unwrap(),
            "succession_unknown",
        ),
    ];
    for (change, reason) in lies {
        let report = Succeeded::new(change).verify();
        assert!(
            reasons(&report).contains(&reason),
            "{reason}: {:?}",
            reasons(&report)
        );
    }
}

#[test]
fn the_trust_document_names_both_logs() {
    let mut without = Succeeded::new(|_| {});
    without.trust = without.scene.trust_with(|document| {
        let new = without.scene.signers.gateway.to_origin(GATEWAY);
        document.log_origins.retain(|known| known.origin != OLD);
        document.log_origins.push(new);
    });
    assert!(reasons(&without.verify()).contains(&"succession_unknown"));
    let mut of_another = Succeeded::new(|_| {});
    of_another.trust = of_another.scene.trust_with(|document| {
        let writer = "spiffe://example.org/service/gateway/g2";
        let new = of_another.scene.signers.gateway.to_origin(writer);
        document.log_origins.push(new);
    });
    assert!(!of_another.verify().is_verified());
    assert!(!reasons(&of_another.verify()).is_empty());
}

#[test]
fn a_gap_that_is_larger_than_it_is_said_to_be_is_found() {
    let (root, note) = (Digest::of("another"), Digest::of("note"));
    let mut understated = Succeeded::new(|_| {});
    understated.enrol(OLD, understated.size + 41, root, note);
    assert_eq!(reasons(&understated.verify()), ["gap_understated"]);
    let mut forked = Succeeded::new(|_| {});
    forked.enrol(OLD, forked.size + 40, root, note);
    assert_eq!(reasons(&forked.verify()), ["log_forked"]);
    let mut another = Succeeded::new(|_| {});
    another.enrol(OLD, another.size, root, note);
    assert_eq!(reasons(&another.verify()), ["log_forked"]);
    let mut disclosed = Succeeded::new(|_| {});
    let signed_root = Digest::of("the root of what was signed");
    disclosed.enrol(OLD, disclosed.size + 40, signed_root, note);
    disclosed.enrol(OLD, disclosed.size + 39, root, note);
    assert_eq!(reasons(&disclosed.verify()), Vec::<&str>::new());
}

#[test]
fn nothing_is_written_under_the_old_name_any_more() {
    let mut later = Succeeded::new(|_| {});
    let event: Event = EpochRaise {
        epoch: 2,
        by: commit("revoker", &[1; 32], b"uid 0"),
        reason: commit("revocation-reason", &[2; 32], b"tested"),
    }
    .into();
    later.scene.gateway.origin = OLD.parse().unwrap();
    later.scene.gateway.append(at(91), event);
    later.sign();
    assert!(reasons(&later.verify()).contains(&"entry_origin"));
}

#[test]
fn of_a_line_the_log_that_succeeds_all_others_is_the_current_one() {
    let scene = Scene::new();
    let trust = scene.trust_with(|document| {
        for (place, writer) in [
            ("10", GATEWAY),
            ("9", GATEWAY),
            ("11", "spiffe://example.org/x"),
        ] {
            let log = LogSigner::new(&format!("{OLD}.{place}"));
            document.log_origins.push(log.to_origin(writer));
        }
        let second = LogSigner::new("example.org/log/gateway/g2");
        let writer = format!("{GATEWAY}/g2");
        document.log_origins.push(second.to_origin(&writer));
    });
    let origin = |known: Option<&chancery_identity::trust::LogOrigin>| {
        known.map(|known| known.origin.clone()).unwrap_or_default()
    };
    assert_eq!(origin(trust.gateway(GATEWAY)), format!("{OLD}.10"));
    assert_eq!(origin(trust.current_log(OLD)), format!("{OLD}.10"));
    assert_eq!(origin(trust.current_log("example.org/log/other")), "");
    let second = "example.org/log/gateway/g2";
    assert_eq!(origin(trust.current_log(second)), second);
    assert_eq!(origin(trust.gateway(&format!("{GATEWAY}/g2"))), second);
    for (name, is_gateway, is_server) in [
        (OLD, true, false),
        ("example.org/log/gateway.9", true, false),
        ("example.org/log/gateway.8", false, false),
        ("example.org/log/gateway.11", false, false),
        ("example.org/log/server", false, true),
        ("example.org/log/server.2", false, false),
        ("example.com/log/gateway", false, false),
    ] {
        assert_eq!(
            trust.gateway_of_origin(name).is_some(),
            is_gateway,
            "{name}"
        );
        assert_eq!(trust.server_of_origin(name).is_some(), is_server, "{name}");
    }
    let ten = "example.org/log/gateway.10";
    for (earlier, later, succeeds) in [
        (OLD, ten, false),
        (OLD, "example.org/log/gateway.9", false),
        ("example.org/log/gateway.9", ten, true),
        (ten, ten, false),
        (ten, OLD, false),
        (OLD, "example.org/log/gateway.11", false),
        ("example.org/log/server", ten, false),
        (second, ten, false),
        ("example.org/log/gateway.2", ten, false),
    ] {
        let found = trust.is_succeeded_by(earlier, later);
        assert_eq!(found, succeeds, "{earlier} {later}");
    }
}
