//! What the roster says of an instance, and until when it has anything.

use std::path::Path;

use chancery_audit::{CredentialForm, Event};
use chancery_crypto::SigningKey;
use chancery_journal::Subject;
use chancery_store::RootRow;
use chancery_types::id::PersonId;
use chancery_types::{Algorithm, base64url};

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
        (ids.collect::<Vec<_>>(), roster.next.is_some())
    };
    let nothing = RosterFilter::default;
    let by_agent = RosterFilter {
        agent: Some("orchestrator".parse().unwrap()),
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
        let nothing = RosterFilter::default();
        let roster = domain.client().descendants(id, &nothing).await.unwrap();
        let ids = roster.instances.iter().map(|entry| entry.instance_id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids(one).await, [grandchild, child]);
    assert_eq!(ids(child).await, [grandchild]);
    assert!(ids(grandchild).await.is_empty());
    let nothing = RosterFilter::default();
    let unknown = domain
        .client()
        .descendants(InstanceId::from_random([9; 16]), &nothing)
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

/// When an SVID expires is told before the tables have it, and after a crash that left it in the log alone.
#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_an_svid_is_told_before_it_is_written_and_after_a_crash() {
    let mut domain = Domain::start("own.example").await;
    domain.registered("worker", None).await;
    let opened = domain.begin("worker", None, LaunchTerms::default()).await;
    let id = opened.unwrap().instance_id;
    let mut beside = domain.beside().await;
    let begin = sqlx::query("BEGIN IMMEDIATE").execute(&mut beside);
    begin.await.unwrap();
    // Nobody writes the tables, and whoever issues waits for nobody who does.
    let svid = domain.x509(id).await.unwrap();
    assert_eq!(domain.of(id).await.svid_until, Some(svid.not_after));
    let issued = domain.entries().await.into_iter().rev();
    let issued = issued.map(|entry| entry.event);
    let issued = issued.filter_map(|event| match event {
        Event::IdentityIssue(issue) if issue.instance.as_str().ends_with(&id.to_string()) => {
            Some(issue)
        }
        _ => None,
    });
    let issued: Vec<_> = issued.collect();
    assert_eq!(issued.len(), 1);
    sqlx::query("ROLLBACK").execute(&mut beside).await.unwrap();
    domain.restart().await;
    assert_eq!(domain.of(id).await.svid_until, Some(svid.not_after));
    // Of two that were killed for, the later counts; what is no X.509-SVID does not, nor what is nobody's.
    let later = |seconds: u64, form| {
        let mut issue = issued[0].clone();
        issue.expires = svid.not_after.plus_seconds(seconds);
        issue.credentials[0].expires = issue.expires;
        issue.credentials[0].form = form;
        issue
    };
    let mut service = later(400, CredentialForm::X509Svid);
    service.instance = "spiffe://own.example/service/gateway".parse().unwrap();
    let events = [
        later(200, CredentialForm::X509Svid),
        later(100, CredentialForm::X509Svid),
        later(300, CredentialForm::JwtSvid),
        service,
    ];
    domain.enrolled(events.map(Event::from).to_vec()).await;
    for _ in 0..2 {
        domain.restart().await;
        let until = domain.of(id).await.svid_until;
        assert_eq!(until, Some(svid.not_after.plus_seconds(200)));
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

/// A root that says on whose behalf its holder acts. Who lists instances reads it and verifies nothing.
fn root_of(person: PersonId, holder: InstanceId) -> RootRow {
    let part = |value: &Value| base64url::encode(value.to_string());
    let header = json!({"alg": "Ed25519", "typ": "adt+jwt", "kid": base64url::encode([1; 32])});
    let key = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let claims = json!({
        "iss": "https://authority.own.example",
        "sub": format!("{}/instance/{holder}", agent("orchestrator")),
        "iat": 1_800_000_000, "nbf": 1_800_000_000, "exp": 1_800_003_600,
        "jti": format!("root-{holder}"), "del_depth": 0, "del_max_depth": 7,
        "cnf": {"jwk": key.public()},
        "authorization_details": [{"type": "mcp_tool", "server": "fs", "tool": "read"}],
        "aud": ["spiffe://own.example/gateway/home"], "sid": "ses_01", "ep": 1,
        "prn": {
            "iss": "https://idp.own.example", "sub": person, "acr": "phr",
            "auth_time": 1_800_000_000, "apr": base64url::encode([2; 32]),
        },
        "mission_s256": base64url::encode([3; 32]),
    });
    let signature = base64url::encode([0; 64]);
    let jws = format!("{}.{}.{signature}", part(&header), part(&claims));
    let consent = json!({
        "credential_id": "AQ", "authenticator_data": "AQ", "client_data_json": "AQ",
        "signature": "AQ",
    });
    RootRow {
        jti: format!("root-{holder}"),
        subject: Subject::person(person),
        instance_id: holder,
        document: json!({
            "root": jws, "consent": consent, "mission": "AQ", "manifest": "AQ", "log_index": 0,
            "principal": {"name": "principal", "salt": base64url::encode([4; 32]), "value": "x"},
        }),
        created_at: now(),
        standing: None,
    }
}

/// Of two persons whose roots stand below one another each instance is told of its own alone.
#[tokio::test(flavor = "multi_thread")]
async fn who_acts_for_whom_is_told_to_those_above_whom_it_stands() {
    let mut domain = peopled(may(&["worker"]), Some(may(&["worker"]))).await;
    let top = domain.opened("orchestrator", None).await;
    let side = domain.opened("worker", Some(top)).await;
    let middle = domain.opened("worker", Some(top)).await;
    let low = domain.opened("worker", Some(middle)).await;
    let alone = domain.opened("orchestrator", None).await;
    let [one, two, nobody] = [1, 2, 3].map(|number| PersonId::from_random([number; 16]));
    let store = domain.tables().await;
    store.put_root(&root_of(one, top)).await.unwrap();
    store.put_root(&root_of(two, middle)).await.unwrap();
    drop(store);
    domain.restart().await;
    let client = domain.client();
    let shown = |roster: Roster| {
        let entries = roster.instances.into_iter();
        let entries = entries.map(|entry| (entry.instance_id, entry.on_behalf_of));
        entries.collect::<Vec<_>>()
    };
    let acting = |person: PersonId| RosterFilter {
        on_behalf_of: Some(person),
        ..RosterFilter::default()
    };
    let of = |person: PersonId| Some(person.to_string());
    let all = RosterFilter::default();
    let operator = async |filter| shown(client.roster(&filter).await.unwrap());
    let below = async |id, filter| shown(client.descendants(id, &filter).await.unwrap());
    let everyone = [
        (alone, None),
        (low, of(two)),
        (middle, of(two)),
        (side, of(one)),
        (top, of(one)),
    ];
    assert_eq!(operator(all.clone()).await, everyone);
    assert_eq!(operator(acting(one)).await, everyone[3..]);
    assert_eq!(operator(acting(two)).await, everyone[1..3]);
    assert_eq!(operator(acting(nobody)).await, []);
    // The one above is not told who is below, and finds nothing by a name.
    let seen = [(low, None), (middle, None), (side, of(one))];
    assert_eq!(below(top, all.clone()).await, seen);
    assert_eq!(below(top, acting(one)).await, seen[2..]);
    for person in [two, nobody] {
        assert_eq!(below(top, acting(person)).await, []);
    }
    // Neither is the one below told who is above.
    assert_eq!(below(middle, all.clone()).await, [(low, of(two))]);
    assert_eq!(below(middle, acting(two)).await, [(low, of(two))]);
    for (id, person) in [(middle, one), (low, two), (alone, one)] {
        assert_eq!(below(id, acting(person)).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_hold_each_instance_once_also_while_others_begin() {
    let many = MaySpawn {
        at_once: 100,
        ..may(&["worker"])
    };
    let domain = peopled(many, None).await;
    let parent = domain.opened("orchestrator", None).await;
    let mut children = Vec::new();
    for _ in 0..7 {
        children.insert(0, domain.opened("worker", Some(parent)).await);
    }
    let client = domain.client();
    let (mut filter, mut seen) = (RosterFilter::default(), Vec::new());
    filter.limit = Some(3);
    filter.agent = Some("worker".parse().unwrap());
    loop {
        let page = client.descendants(parent, &filter).await.unwrap();
        assert!(page.instances.len() <= 3);
        seen.extend(page.instances.iter().map(|entry| entry.instance_id));
        // Newer than whatever follows: in no page from here on.
        domain.opened("worker", Some(parent)).await;
        match page.next {
            Some(next) => filter.after = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, children);
    // The same for the operator; from a time on.
    let since = domain.of(children[3]).await.since;
    filter = RosterFilter {
        since: Some(since),
        after: Some(domain.of(children[0]).await.place()),
        ..RosterFilter::default()
    };
    let page = client.roster(&filter).await.unwrap();
    let ids: Vec<_> = page.instances.iter().map(|it| it.instance_id).collect();
    assert_eq!(ids, children[1..4]);
    assert_eq!(page.next, None);
    // Nothing is behind the last one, and another's place tells nothing of it.
    filter = RosterFilter {
        after: Some(domain.of(parent).await.place()),
        ..RosterFilter::default()
    };
    assert!(client.roster(&filter).await.unwrap().instances.is_empty());
    assert!(
        client
            .descendants(children[0], &filter)
            .await
            .unwrap()
            .instances
            .is_empty()
    );
}
