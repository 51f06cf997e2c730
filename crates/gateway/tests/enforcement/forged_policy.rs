//! Whoever runs the control plane makes no policy: what it serves is in force only by a policy
//! signer's signature over these very files, and never goes back.

use std::path::Path;
use std::time::Duration;

use chancery_audit::Event;
use chancery_crypto::SigningKey;
use chancery_gateway::Gateway;
use chancery_policy::{SignedBundle, bundle_digest};
use chancery_types::{Algorithm, Digest, base64url, to_canonical};
use serde_json::json;
use tokio::sync::oneshot;

use super::intermediary::Intermediary;
use super::plane::Plane;
use super::said;
use super::world::{World, reasons, tools};

/// Lets everything happen, `fs/wipe` too.
const ALL: &str = "@id(\"all\") permit(principal, action, resource);";

const NO_SIGNER: &str = "no policy signer of the trust document signed the policy bundle";
const OTHER_FILES: &str = "the server sent another policy bundle than the snapshot names";
const READY: &str = "gateway ready";
const OLDER: &str = "of the policy is older than version";
const FORK: &str = "another policy bundle of version";

/// A policy that is not one.
struct Forgery {
    name: &'static str,
    bundle: SignedBundle,
    /// What the snapshot names.
    digest: Digest,
    /// What the gateway says about it.
    said: &'static str,
}

fn digest(bundle: &SignedBundle) -> Digest {
    bundle_digest(&bundle.to_files()).unwrap()
}

fn forgeries(plane: &Plane) -> Vec<Forgery> {
    let genuine = plane.bundle(2, ALL);
    let statement = SignedBundle::statement(digest(&genuine));
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let by_stranger = base64url::encode(stranger.sign(&statement).unwrap());
    let forged = |name, change: &dyn Fn(&mut SignedBundle)| {
        let mut bundle = genuine.clone();
        change(&mut bundle);
        Forgery {
            name,
            digest: digest(&bundle),
            bundle,
            said: NO_SIGNER,
        }
    };
    let alter = |bundle: &mut SignedBundle| {
        let policies = bundle.files.get_mut("policies.cedar").unwrap();
        policies.push_str("\n@id(\"more\") permit(principal, action, resource);\n");
    };
    let bare = digest(&genuine).to_string();
    vec![
        forged("without a signature", &|bundle| bundle.signature.clear()),
        forged("signed by a stranger", &|bundle| {
            bundle.kid = stranger.public().kid();
            bundle.signature.clone_from(&by_stranger);
        }),
        forged("signed by a stranger in the signer's name", &|bundle| {
            bundle.signature.clone_from(&by_stranger);
        }),
        forged("signed by the signer for something else", &|bundle| {
            let other = plane.policy_key.sign(bare.as_bytes()).unwrap();
            bundle.signature = base64url::encode(other);
        }),
        forged("altered after signing", &alter),
        Forgery {
            digest: digest(&genuine),
            said: OTHER_FILES,
            ..forged("altered under the name of what was signed", &alter)
        },
        Forgery {
            name: "signed, but of an earlier version",
            bundle: plane.bundle(0, ALL),
            digest: digest(&plane.bundle(0, ALL)),
            said: OLDER,
        },
        Forgery {
            name: "signed, but another one of the version in force",
            bundle: plane.bundle(1, ALL),
            digest: digest(&plane.bundle(1, ALL)),
            said: FORK,
        },
    ]
}

fn impose(between: &Intermediary, forgery: &Forgery) {
    between.impose(forgery.digest, forgery.bundle.clone());
}

fn is_kept(data: &Path, bundle: &SignedBundle) -> bool {
    let object = Digest::of(to_canonical(bundle).unwrap());
    data.join("gateway/objects").join(object.to_hex()).exists()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_policy_signer_signed_is_never_in_force() {
    said::listen();
    let (world, between) = World::behind_an_intermediary().await;
    let mut opened = world.open(&tools()).await;
    let before = world.plane.client().status().await.unwrap().policy_digest;
    let forgeries = forgeries(&world.plane);
    for forgery in &forgeries {
        let mark = said::mark();
        impose(&between, forgery);
        said::hear(mark, forgery.said).await;
        for (tool, arguments, reason) in [
            ("read", json!({"path": "/a"}), "ok"),
            ("wipe", json!({}), "policy_forbid"),
        ] {
            let (agent, chain) = (&opened.agent, &opened.chain);
            let reply = opened.connection.call(agent, chain, tool, arguments).await;
            assert_eq!(reply.reason(), reason, "{}: {tool}", forgery.name);
        }
        if forgery.said == NO_SIGNER {
            assert!(
                !is_kept(world.folder.path(), &forgery.bundle),
                "{}",
                forgery.name
            );
        }
        between.be_honest();
        said::hear(mark, "snapshots are fresh again").await;
    }
    let log = world.log().await;
    assert_eq!(
        reasons(&log),
        ["permit", "policy_forbid"].repeat(forgeries.len())
    );
    for entry in &log {
        if let Event::Decision(decision) = &entry.event {
            assert_eq!(decision.policy, before);
        }
    }
    assert_eq!(world.forwarded().len(), forgeries.len());
    // The way itself is open: what a policy signer signed is in force by it.
    let next = world.plane.bundle(2, ALL);
    let (mark, named) = (said::mark(), digest(&next));
    between.impose(named, next);
    said::hear(mark, "policy in force").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (agent, chain) = (&opened.agent, &opened.chain);
    let wiped = opened
        .connection
        .call(agent, chain, "wipe", json!({}))
        .await;
    assert_eq!(wiped.reason(), "ok");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_does_not_begin_with_what_no_policy_signer_signed() {
    said::listen();
    let world = World::plane().await;
    let between = Intermediary::start(world.folder.path());
    let forgeries = forgeries(&world.plane);
    let mut config = world.config();
    config.server_socket = between.socket().to_owned();
    let gateway = Gateway::open(config).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let start = said::mark();
    let serving = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        gateway.serve(stop).await.unwrap();
    });
    let startings = [
        "without a signature",
        "altered under the name of what was signed",
    ];
    for forgery in forgeries.iter().filter(|one| startings.contains(&one.name)) {
        let mark = said::mark();
        impose(&between, forgery);
        said::hear(mark, forgery.said).await;
    }
    assert!(!said::is_heard(start, READY));
    between.be_honest();
    said::hear(start, READY).await;
    drop(stop);
    serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_that_was_in_force_is_the_least_after_a_restart() {
    said::listen();
    let mut world = World::plane().await;
    let between = Intermediary::start(world.folder.path());
    world.start_gateway(|_| {}).await;
    let mark = said::mark();
    let forbidding = "@id(\"nobody\") forbid(principal, action, resource);";
    world.plane.publish(2, forbidding).await;
    said::hear(mark, "policy in force").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    world.stop_gateway().await;

    let mut config = world.config();
    config.server_socket = between.socket().to_owned();
    let gateway = Gateway::open(config).await.unwrap();
    let older = world.plane.bundle(1, ALL);
    between.impose(digest(&older), older);
    let start = said::mark();
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = tokio::spawn(async move {
        let stop = async {
            let _ = stopped.await;
        };
        gateway.serve(stop).await.unwrap();
    });
    said::hear(start, OLDER).await;
    let mark = said::mark();
    let other = world.plane.bundle(2, ALL);
    between.impose(digest(&other), other);
    said::hear(mark, FORK).await;
    assert!(!said::is_heard(start, READY));
    between.be_honest();
    said::hear(start, READY).await;
    drop(stop);
    serving.await.unwrap();
}
