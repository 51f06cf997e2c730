//! What is registered beside a manifest decides what is issued, and what is retired is issued nothing.

use chancery_api::ClientError;
use chancery_api::server::{
    Agent, AgentRetired, ExpectedRegistration, InstanceState, IssueJwt, IssuedX509,
    LaunchedInstance, OpenInstance, RegisterAgent, RetireAgent,
};
use chancery_attestation::{Evidence, LaunchEvidence, ProcessEvidence};
use chancery_audit::{Entry, Event};
use chancery_crypto::SigningKey;
use chancery_identity::{Isolation, RegistrationTerms};
use chancery_types::id::{InstanceId, LaunchId};
use chancery_types::{Algorithm, Digest, base64url};

use crate::domain::{DAY, Domain, now};
use crate::instances::{CODE, manifest, reason};

const AGENT: &str = "spiffe://own.example/agent/clerk";

fn evidence(isolation: Isolation) -> Evidence {
    Evidence::Launch(LaunchEvidence {
        launch: LaunchId::from_random([1; 16]),
        isolation,
        executable: Digest::of(CODE),
        uid: 1_000,
    })
}

fn terms(change: impl FnOnce(&mut RegistrationTerms)) -> RegistrationTerms {
    let mut terms = RegistrationTerms::default();
    change(&mut terms);
    terms
}

fn named(names: &[&str]) -> RegistrationTerms {
    terms(|it| it.dns_names = names.iter().map(|name| name.parse().unwrap()).collect())
}

impl Domain {
    /// A registration of the clerk by a manifest that its issuer signed.
    fn clerk(&self, terms: RegistrationTerms) -> RegisterAgent {
        RegisterAgent {
            manifest: self.signed(AGENT),
            terms,
            ..RegisterAgent::default()
        }
    }

    async fn register(&self, terms: RegistrationTerms) -> Agent {
        let request = self.clerk(terms);
        self.client().register_agent(&request).await.unwrap()
    }

    async fn open(&self, evidence: Evidence) -> Result<LaunchedInstance, ClientError> {
        let request = OpenInstance {
            agent_id: AGENT.to_owned(),
            evidence,
            parent: None,
            terms: Default::default(),
        };
        self.client().open_instance(&request).await
    }

    async fn jwt(&self, instance_id: InstanceId) -> Result<String, ClientError> {
        let request = IssueJwt {
            instance_id,
            audience: vec!["reports".parse().unwrap()],
            broker: None,
        };
        let signed = self.client().issue_jwt(&request).await?;
        Ok(signed.token)
    }

    async fn retire(&self) -> Result<AgentRetired, ClientError> {
        let request = RetireAgent {
            agent_id: AGENT.to_owned(),
            reason: "not needed any more".to_owned(),
            expected: None,
        };
        self.client().retire_agent(&request).await
    }

    async fn running(&self) -> usize {
        let all = self.client().instances().await.unwrap().instances;
        all.iter()
            .filter(|one| one.state == InstanceState::Running)
            .count()
    }

    /// The index of an entry that is enrolled now: two that follow each other say that nothing else was.
    async fn probe(&self) -> u64 {
        let probe = "spiffe://own.example/agent/probe";
        let request = RegisterAgent {
            manifest: self.signed(probe),
            ..RegisterAgent::default()
        };
        let registered = self.client().register_agent(&request).await;
        registered.unwrap().log_index
    }

    /// The clerk, where it is registered.
    async fn known(&self) -> Option<Agent> {
        let agents = self.client().agents().await.unwrap().agents;
        agents.into_iter().find(|agent| agent.agent_id == AGENT)
    }
}

fn is_named(issued: &IssuedX509, name: &str) -> bool {
    let leaf = base64url::decode(&issued.chain[0]).unwrap();
    leaf.windows(name.len()).any(|part| part == name.as_bytes())
}

fn lives(issued: &IssuedX509) -> u64 {
    // A second of the hour may have passed.
    issued.not_after.micros_since(now()) / 1_000_000
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_issued_is_what_the_registration_says_from_the_next_issuance_on() {
    let domain = Domain::start("own.example").await;
    let first = named(&["a.example", "b.example"]);
    let all = terms(|it| {
        *it = first;
        it.x509_svid_seconds = Some("120".parse().unwrap());
        it.jwt_svid_seconds = Some("30".parse().unwrap());
        it.hint = Some("internal".parse().unwrap());
    });
    let registered = domain.register(all.clone()).await;
    assert_eq!(registered.terms, all);
    let known = domain.known().await.unwrap();
    assert_eq!(
        (&known.terms, known.log_index),
        (&all, registered.log_index)
    );
    let opened = domain.open(evidence(Isolation::Isolated)).await.unwrap();
    let issued = domain.x509(opened.instance_id).await.unwrap();
    assert!(is_named(&issued, "a.example") && is_named(&issued, "b.example"));
    assert!((60..=120).contains(&lives(&issued)), "{}", lives(&issued));
    let token = domain.jwt(opened.instance_id).await.unwrap();
    let claims = chancery_types::jws::Compact::parse(&token).unwrap().claims;
    let life = claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap();
    assert_eq!(life, 30);
    // Registered again with less: the running instance has no more of it from now on.
    domain.register(named(&["b.example"])).await;
    let issued = domain.x509(opened.instance_id).await.unwrap();
    assert!(!is_named(&issued, "a.example") && is_named(&issued, "b.example"));
    assert!(lives(&issued) > 120);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_issued_is_not_registered() {
    let domain = Domain::start("own.example").await;
    let longer = |it: &mut RegistrationTerms| it.x509_svid_seconds = Some("601".parse().unwrap());
    let token = |it: &mut RegistrationTerms| it.jwt_svid_seconds = Some("301".parse().unwrap());
    let many: Vec<String> = (0..17).map(|number| format!("n{number}.example")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let stranger = SigningKey::generate(Algorithm::Ed25519).unwrap();
    let plain = |manifest: String| RegisterAgent {
        manifest,
        ..RegisterAgent::default()
    };
    let expired = manifest(&domain.manifests, AGENT, DAY / 2);
    let size = domain.probe().await;
    for (request, why) in [
        (domain.clerk(terms(longer)), "svid_lifetime"),
        (domain.clerk(terms(token)), "svid_lifetime"),
        (domain.clerk(named(&many)), "dns_names"),
        (plain(manifest(&stranger, AGENT, 30 * DAY)), "manifest"),
        (plain(expired), "manifest"),
        (
            plain(domain.signed("spiffe://other.example/agent/clerk")),
            "trust_domain",
        ),
        (plain("AAAA".to_owned()), "manifest"),
    ] {
        let client = domain.client();
        assert_eq!(reason(client.judge_agent(&request).await.unwrap_err()), why);
        assert_eq!(
            reason(client.register_agent(&request).await.unwrap_err()),
            why
        );
    }
    // Judged well is not registered.
    let good = domain.clerk(named(&["a.example"]));
    let judged = domain.client().judge_agent(&good).await.unwrap();
    assert_eq!(judged.agent_id, AGENT);
    assert!(domain.known().await.is_none());
    assert_eq!(domain.probe().await, size + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_attested_with_less_is_refused_before_anything_is_issued() {
    let domain = Domain::start("own.example").await;
    let process = Evidence::Process(ProcessEvidence {
        executable: Digest::of(CODE),
        uid: 1_000,
    });
    let level = |text: &str| terms(|it| it.attestation_level = Some(text.parse().unwrap()));
    let isolated = terms(|it| it.isolation = Some(Isolation::Isolated));
    for (terms, evidence, why) in [
        (
            isolated.clone(),
            evidence(Isolation::Unisolated),
            "isolation_required",
        ),
        (isolated.clone(), process.clone(), "isolation_required"),
        (
            level("software-only/launch"),
            process.clone(),
            "attestation_required",
        ),
        (
            level("tpm"),
            evidence(Isolation::Isolated),
            "attestation_required",
        ),
    ] {
        domain.register(terms).await;
        let before = domain.probe().await;
        assert_eq!(reason(domain.open(evidence).await.unwrap_err()), why);
        assert_eq!(domain.probe().await, before + 1);
    }
    assert_eq!(domain.running().await, 0);
    // What runs already is issued nothing more, and is again once the registration permits it.
    domain.register(RegistrationTerms::default()).await;
    let opened = domain.open(evidence(Isolation::Unisolated)).await.unwrap();
    let id = opened.instance_id;
    domain.x509(id).await.unwrap();
    domain.register(isolated).await;
    let before = domain.probe().await;
    assert_eq!(domain.x509(id).await.unwrap_err(), "isolation_required");
    assert_eq!(
        reason(domain.jwt(id).await.unwrap_err()),
        "isolation_required"
    );
    assert_eq!(domain.probe().await, before + 1);
    domain.register(RegistrationTerms::default()).await;
    domain.x509(id).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_was_made_for_another_registration_changes_nothing() {
    use ExpectedRegistration::{Absent, Entry};
    let domain = Domain::start("own.example").await;
    let client = domain.client();
    let change = |expected, owner: Option<&str>| RegisterAgent {
        expected,
        owner: owner.map(|owner| owner.parse().unwrap()),
        ..domain.clerk(RegistrationTerms::default())
    };
    let retire = |expected| RetireAgent {
        agent_id: AGENT.to_owned(),
        reason: "pruned".to_owned(),
        expected,
    };
    let entry = client.register_agent(&change(Some(Entry(0)), None)).await;
    assert_eq!(reason(entry.unwrap_err()), "registration_changed");
    let first = client
        .register_agent(&change(Some(Absent), None))
        .await
        .unwrap();
    let size = domain.probe().await;
    for expected in [Absent, Entry(first.log_index + 1), Entry(0)] {
        let request = change(Some(expected), None);
        assert_eq!(
            reason(client.register_agent(&request).await.unwrap_err()),
            "registration_changed"
        );
        assert_eq!(
            reason(client.judge_agent(&request).await.unwrap_err()),
            "registration_changed"
        );
        let retired = client.retire_agent(&retire(Some(expected))).await;
        assert_eq!(reason(retired.unwrap_err()), "registration_changed");
    }
    assert_eq!(domain.probe().await, size + 1);
    // Of two who change the same one, one does.
    let request = RegisterAgent {
        adopt: true,
        ..change(Some(Entry(first.log_index)), Some("team-a"))
    };
    let (one, other) = tokio::join!(
        client.register_agent(&request),
        client.register_agent(&request)
    );
    let done = [&one, &other].into_iter().filter(|it| it.is_ok()).count();
    assert_eq!(done, 1, "{one:?} {other:?}");
    // Others' files change nothing of it; a person does, and then it is nobody's.
    let others = client.register_agent(&change(None, Some("team-b"))).await;
    assert_eq!(reason(others.unwrap_err()), "registration_owner");
    let by_hand = client.register_agent(&change(None, None)).await.unwrap();
    assert_eq!(by_hand.owner, None);
    // Which no files take over that do not say so.
    let files = change(None, Some("team-b"));
    let refused = client.register_agent(&files).await;
    assert_eq!(reason(refused.unwrap_err()), "registration_owner");
    let adopting = RegisterAgent {
        adopt: true,
        ..files
    };
    client.register_agent(&adopting).await.unwrap();
    // Not from others' files either.
    let others = RegisterAgent {
        adopt: true,
        ..change(None, Some("team-a"))
    };
    let refused = client.register_agent(&others).await;
    assert_eq!(reason(refused.unwrap_err()), "registration_owner");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_agent_is_ended_everywhere_and_may_be_registered_again() {
    let mut domain = Domain::start("own.example").await;
    assert_eq!(reason(domain.retire().await.unwrap_err()), "agent_unknown");
    domain.register(named(&["a.example"])).await;
    let mut opened = Vec::new();
    for _ in 0..2 {
        let instance = domain.open(evidence(Isolation::Isolated)).await.unwrap();
        domain.x509(instance.instance_id).await.unwrap();
        opened.push(instance);
    }
    let client = domain.client();
    let nothing = Digest::of("nothing is known");
    let told = client.foreign_bundles(nothing, 0).await.unwrap();
    assert_eq!(told.terms[AGENT], named(&["a.example"]));
    let waiting = tokio::spawn(async move { client.foreign_bundles(told.state, 60).await });
    let retired = domain.retire().await.unwrap();
    assert_eq!(retired.instances.len(), 2);
    assert!(waiting.await.unwrap().unwrap().terms.is_empty());
    assert!(domain.known().await.is_none());
    assert_eq!(domain.running().await, 0);
    // First the entry, then what follows from it: nodes and gateways hear of each instance.
    let revoked = domain.client().revocations().await.unwrap().revocations;
    assert_eq!(revoked.len(), 2);
    assert!(revoked.iter().all(|one| one.log_index > retired.log_index));
    let withdrawn = domain.client().withdrawn(nothing, 0).await.unwrap();
    assert!(
        opened
            .iter()
            .all(|one| withdrawn.instances.contains(&one.spiffe_id))
    );
    assert_eq!(
        reason(
            domain
                .open(evidence(Isolation::Isolated))
                .await
                .unwrap_err()
        ),
        "agent_unknown"
    );
    for one in &opened {
        assert_eq!(
            domain.x509(one.instance_id).await.unwrap_err(),
            "instance_ended"
        );
    }
    // Once more it changes nothing and says the same: what can hold something yet is revoked.
    let size = domain.probe().await;
    let again = domain.retire().await.unwrap();
    assert_eq!(
        (again.log_index, again.instances.len()),
        (retired.log_index, 2)
    );
    assert_eq!(domain.probe().await, size + 1);
    domain.restart().await;
    let size = domain.probe().await;
    let again = domain.retire().await.unwrap();
    assert_eq!(again.log_index, retired.log_index);
    assert_eq!(domain.probe().await, size + 1);
    // Registered again it has other instances; what was ended stays ended.
    let next = domain.register(RegistrationTerms::default()).await;
    assert!(next.terms.is_empty() && next.log_index > retired.log_index);
    let fresh = domain.open(evidence(Isolation::Isolated)).await.unwrap();
    domain.x509(fresh.instance_id).await.unwrap();
    for one in &opened {
        assert_eq!(
            domain.x509(one.instance_id).await.unwrap_err(),
            "instance_ended"
        );
    }
    assert_eq!(domain.running().await, 1);
}

/// What has ended holds what it was issued for up to an hour.
#[tokio::test(flavor = "multi_thread")]
async fn what_ended_just_before_its_agent_was_retired_is_revoked_as_well() {
    let domain = Domain::start("own.example").await;
    domain.register(RegistrationTerms::default()).await;
    let opened = domain.open(evidence(Isolation::Isolated)).await.unwrap();
    domain.x509(opened.instance_id).await.unwrap();
    domain.end(opened.instance_id).await;
    assert_eq!(domain.running().await, 0);
    let retired = domain.retire().await.unwrap();
    assert_eq!(retired.instances, std::slice::from_ref(&opened.spiffe_id));
    let known = domain.client().withdrawn(Digest::of(""), 0).await;
    assert!(known.unwrap().instances.contains(&opened.spiffe_id));
}

/// However they fall together: nothing of the retired agent goes on under the new registration, and what
/// was issued to it was issued before the retirement.
#[tokio::test(flavor = "multi_thread")]
async fn retiring_registering_and_issuing_at_once_leave_nothing_behind() {
    let mut domain = Domain::start("own.example").await;
    domain.register(RegistrationTerms::default()).await;
    let mut before = Vec::new();
    for _ in 0..4 {
        before.push(domain.open(evidence(Isolation::Isolated)).await.unwrap());
    }
    let client = domain.client();
    let again = domain.clerk(RegistrationTerms::default());
    let issuing = async {
        let mut refused = 0;
        for _ in 0..4 {
            for one in &before {
                refused += usize::from(domain.x509(one.instance_id).await.is_err());
            }
        }
        refused
    };
    let registering = async {
        loop {
            match client.register_agent(&again).await {
                Ok(agent) => break agent,
                Err(error) => assert_eq!(reason(error), "retirement_unfinished"),
            }
        }
    };
    let together = async { tokio::join!(issuing, domain.retire(), registering) };
    let limit = std::time::Duration::from_secs(60);
    let (_, retired, _) = tokio::time::timeout(limit, together).await.unwrap();
    let retired = retired.unwrap();
    assert_eq!(retired.instances.len(), 4);
    assert_eq!(domain.running().await, 0);
    for one in &before {
        assert_eq!(
            domain.x509(one.instance_id).await.unwrap_err(),
            "instance_ended"
        );
    }
    // Of the log: nobody of the four is issued anything from the retirement on.
    domain.restart().await;
    let logged = domain.logged();
    let is_retirement = |entry: &Entry| matches!(entry.event, Event::AgentRetire(_));
    let at = logged.iter().position(is_retirement).unwrap();
    let later = &logged[at..];
    let issued = later.iter().filter(|entry| match &entry.event {
        Event::IdentityIssue(issued) => before
            .iter()
            .any(|one| issued.instance.as_str() == one.spiffe_id),
        _ => false,
    });
    assert_eq!(issued.count(), 0, "{later:?}");
    // Revoked before it ended, each of them.
    for one in &before {
        let place = |wanted: &str| {
            later.iter().position(|entry| match &entry.event {
                Event::RevocationAdd(added) => {
                    wanted == "revoked" && added.id.as_str() == one.spiffe_id
                }
                Event::IdentityEnd(ended) => {
                    wanted == "ended" && ended.instance.as_str() == one.spiffe_id
                }
                _ => false,
            })
        };
        assert!(
            place("revoked").unwrap() < place("ended").unwrap(),
            "{later:?}"
        );
    }
}

/// A server that was killed between the retirement and the end of its instances ends them at its next start.
#[tokio::test(flavor = "multi_thread")]
async fn a_retirement_that_broke_off_is_finished() {
    let mut domain = Domain::start("own.example").await;
    let registered = domain.register(RegistrationTerms::default()).await;
    let opened = domain.open(evidence(Isolation::Isolated)).await.unwrap();
    let store = domain.tables().await;
    store
        .retire_agent(AGENT, registered.log_index + 1)
        .await
        .unwrap();
    drop(store);
    domain.restart().await;
    assert_eq!(domain.running().await, 0);
    let revoked = domain.client().revocations().await.unwrap().revocations;
    assert_eq!(revoked.len(), 1);
    assert_eq!(
        domain.x509(opened.instance_id).await.unwrap_err(),
        "instance_ended"
    );
    let again = domain.retire().await.unwrap();
    assert_eq!(again.log_index, registered.log_index + 1);
}

/// Of those that are asked for together each is issued by its own registration, and refused alone.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_together_is_issued_by_the_registration_of_each() {
    let domain = Domain::start("own.example").await;
    domain.register(RegistrationTerms::default()).await;
    let apart = domain.open(evidence(Isolation::Isolated)).await.unwrap();
    let shared = domain.open(evidence(Isolation::Unisolated)).await.unwrap();
    let probe = "spiffe://own.example/agent/probe";
    let request = RegisterAgent {
        manifest: domain.signed(probe),
        terms: named(&["probe.example"]),
        ..RegisterAgent::default()
    };
    domain.client().register_agent(&request).await.unwrap();
    let request = OpenInstance {
        agent_id: probe.to_owned(),
        evidence: evidence(Isolation::Unisolated),
        parent: None,
        terms: Default::default(),
    };
    let other = domain.client().open_instance(&request).await.unwrap();
    let all = [&apart, &shared, &other].map(|one| one.instance_id);
    let has = |leaf: &Result<Vec<u8>, String>, name: &str| {
        let leaf = leaf.as_ref().unwrap();
        leaf.windows(name.len()).any(|part| part == name.as_bytes())
    };
    let issued = domain.x509s(&all).await;
    for (one, leaf) in [&apart, &shared, &other].into_iter().zip(&issued) {
        assert!(has(leaf, &one.spiffe_id));
    }
    assert!(!has(&issued[0], "a.example") && has(&issued[2], "probe.example"));
    let more = terms(|it| {
        *it = named(&["a.example"]);
        it.isolation = Some(Isolation::Isolated);
    });
    domain.register(more).await;
    let issued = domain.x509s(&all).await;
    assert!(has(&issued[0], "a.example") && !has(&issued[0], "probe.example"));
    assert_eq!(issued[1], Err("isolation_required".to_owned()));
    assert!(has(&issued[2], "probe.example") && !has(&issued[2], "a.example"));
    domain.retire().await.unwrap();
    let issued = domain.x509s(&all).await;
    for gone in &issued[..2] {
        assert_eq!(*gone, Err("instance_ended".to_owned()));
    }
    assert!(has(&issued[2], "probe.example"));
}

/// Whoever waits to register lets those that are issued together go on to their end.
#[tokio::test(flavor = "multi_thread")]
async fn issuing_together_and_registering_at_once_come_to_an_end() {
    let domain = Domain::start("own.example").await;
    domain.register(RegistrationTerms::default()).await;
    let mut instances = Vec::new();
    for _ in 0..3 {
        let opened = domain.open(evidence(Isolation::Isolated)).await.unwrap();
        instances.push(opened.instance_id);
    }
    let issuing = async || {
        for _ in 0..10 {
            let issued = domain.x509s(&instances).await;
            assert!(issued.iter().all(Result::is_ok), "{issued:?}");
        }
    };
    let registering = async {
        for _ in 0..20 {
            domain.register(RegistrationTerms::default()).await;
        }
    };
    let together = async { tokio::join!(issuing(), issuing(), registering) };
    let limit = std::time::Duration::from_secs(60);
    tokio::time::timeout(limit, together).await.unwrap();
}
