//! The disk of the data folder is full while calls are made and identities are issued: what was
//! acknowledged is kept, what cannot be enrolled does not happen, and all goes on once there is room.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use super::calls::Calls;
use super::roll::Roll;
use super::watcher::Watcher;
use super::writers::Writers;
use crate::deployment::Deployment;
use crate::place::{Place, until};

/// Room for both logs and not much else.
const SIZE: &str = "size=96m,mode=0700";

/// A small disk of the data folder's own, which this thread, its threads and its commands see; none, said
/// aloud, where nobody may mount one.
fn small_disk(place: &Place) -> Option<()> {
    let folder = place.at("chancery-data");
    std::fs::create_dir(&folder).unwrap();
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    let none: Option<&str> = None;
    let mounted = unshare(CloneFlags::CLONE_NEWNS)
        .and_then(|()| mount(none, "/", none, private, none))
        .and_then(|()| {
            mount(
                Some("small"),
                &folder,
                Some("tmpfs"),
                MsFlags::empty(),
                Some(SIZE),
            )
        });
    if let Err(error) = mounted {
        println!("skipped: no file system can be mounted here: {error}");
    }
    mounted.ok()
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    let mut file = File::create(path).unwrap();
    for size in [1 << 20, 4096, 1] {
        let piece = vec![b'x'; size];
        while file.write_all(&piece).is_ok() {}
    }
}

#[test]
fn what_cannot_be_enrolled_does_not_happen_and_all_goes_on_once_there_is_room() {
    let place = Place::new();
    if small_disk(&place).is_none() {
        return;
    }
    let mut deployment = Deployment::started(place, &["--svid-lifetime", "10"]);
    deployment.enrol(&deployment.code()).ok();
    let calls = Calls::start(&deployment);
    let watcher = Watcher::start(&deployment, "watcher");
    let writers = Writers::start(deployment.place.at("chancery-data/run/server.sock"));
    writers.go_on(5);
    let filler = deployment.place.at("chancery-data/filler");
    fill(&filler);
    until("the disk is full", || {
        deployment
            .up()
            .err()
            .contains("No space left on device")
            .then_some(())
    });
    // Its last SVID ends: nothing that is not enrolled takes its place, and nothing that is over stays.
    let end = until("an SVID that ends", || watcher.ends().into_iter().next());
    let last = watcher.last();
    end.is_for_now();
    assert!(end.at / 1_000_000 + 1 >= last.not_after, "{end:?} {last:?}");
    let asked = deployment
        .place
        .chancery(&["node", "token", "--out", "token"]);
    assert_ne!(asked.code, Some(0), "{asked:?}");
    let during = (writers.acknowledged(), calls.as_ref().map(Calls::succeeded));
    std::thread::sleep(std::time::Duration::from_secs(2));
    let still = (writers.acknowledged(), calls.as_ref().map(Calls::succeeded));
    assert_eq!(during, still, "something happened that was not enrolled");
    assert_eq!(watcher.last(), last);

    std::fs::remove_file(&filler).unwrap();
    let next = watcher.next();
    assert!(next.not_after > last.not_after);
    writers.go_on(5);
    if let Some(calls) = &calls {
        calls.go_on(3);
        println!("{:?}", calls.refusals());
    }
    watcher.received_nothing_but_of_its_time(|_| 0);
    let written = writers.stop();
    let svids = watcher.svids();
    drop((watcher, calls));
    deployment.stop();
    let roll = Roll::of(&mut deployment);
    roll.has_each_once(&svids);
    roll.has_what_was_acknowledged(&written);
}
