use std::time::{Duration, Instant};

use chancery_api::ClientError;
use chancery_api::server::{
    ConsentState, IssuedRoot, RaiseEpoch, Revoke, SubmitConsent, UseConsent,
};
use chancery_audit::{Assurance, EndReason, Event};
use chancery_crypto::AwsLc;
use chancery_delegation::{
    ChainReading, ConsentArtefact, Entry, PersonDraft, Revocable, RootDraft, SignedStanding,
    StandingForm, StandingStatement, StandingUse, Target, Terms,
};
use chancery_evidence::verify;
use chancery_signer::SignerKeys;
use chancery_types::id::{ConsentId, PersonId};
use chancery_types::{Digest, RevocationKind, Timestamp, base64url};
use serde_json::json;

use super::agent::{Agent, GATEWAY, MISSION};
use super::plane::{AGENT, DOMAIN, Human, now};
use super::world::{Opened, World, reasons, tool};

fn statement(world: &World, max_uses: u64) -> StandingStatement {
    let signed_at = Timestamp::from_seconds(now().as_seconds());
    StandingStatement {
        standing: StandingForm::V1,
        id: ConsentId::from_random([7; 16]),
        issuer: format!("https://{DOMAIN}/authority"),
        person: world.plane.principal.id,
        signed_at,
        epoch: 1,
        mission: Digest::of(MISSION),
        agent: AGENT.parse().unwrap(),
        gateway: GATEWAY.to_owned(),
        entries: vec![tool("read")],
        max_uses,
        max_seconds: 300,
        max_depth: 3,
        expires_at: signed_at.plus_seconds(86_400),
    }
}

fn signed(human: &Human, statement: StandingStatement) -> SubmitConsent {
    let assertion = human.assert(&statement.challenge().unwrap());
    SubmitConsent {
        signed: SignedStanding {
            statement,
            assertion,
        },
        mission: base64url::encode(MISSION),
    }
}

fn code<T>(answer: Result<T, ClientError>) -> String {
    match answer {
        Ok(_) => "ok".to_owned(),
        Err(ClientError::Refused(problem)) => problem.reason,
        Err(other) => panic!("{other}"),
    }
}

impl World {
    /// Hands in a standing consent of the principal.
    async fn stand(&self, statement: &StandingStatement) {
        let request = signed(&self.plane.principal, statement.clone());
        let consent = self.plane.client().submit_consent(&request).await.unwrap();
        assert_eq!((consent.uses, consent.state), (0, ConsentState::Stands));
        assert!(consent.roots.is_empty());
    }

    /// Uses it once for a new instance.
    async fn root_by(&self, id: ConsentId) -> Result<(Agent, IssuedRoot), ClientError> {
        let agent = Agent::launch(&self.plane).await;
        let asked = UseConsent {
            instance_id: agent.id,
        };
        let root = self.plane.client().use_consent(id, &asked).await?;
        Ok((agent, root))
    }

    async fn state(&self, id: ConsentId) -> (u64, ConsentState) {
        let consent = self.plane.client().consent(id).await.unwrap();
        (consent.uses, consent.state)
    }
}

async fn read(opened: &mut Opened) -> String {
    let path = json!({"path": "/a"});
    let (agent, chain) = (&opened.agent, &opened.chain);
    let reply = opened.connection.call(agent, chain, "read", path).await;
    reply.reason().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_consent_roots_so_often_and_its_evidence_verifies() {
    let world = World::start().await;
    let server = world.plane.client();
    let statement = statement(&world, 2);
    let id = statement.id;
    world.stand(&statement).await;
    let again = server
        .submit_consent(&signed(&world.plane.principal, statement))
        .await;
    assert_eq!(code(again), "consent_exists");
    let listed = server.person(world.plane.principal.id).await.unwrap();
    assert_eq!(listed.consents, [id]);

    let (agent, root) = world.root_by(id).await.unwrap();
    let mut opened = world.open_by(agent, root).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    assert_eq!(read(&mut opened).await, "ok");
    assert_eq!(read(&mut worker).await, "ok");
    let (agent, chain) = (&opened.agent, &opened.chain);
    let reply = opened
        .connection
        .call(agent, chain, "note", json!({}))
        .await;
    assert_eq!(reply.reason(), "not_in_scope");
    let ended = opened
        .connection
        .control("POST", &opened.session, "/end")
        .await;
    assert_eq!(ended.reason(), "ok", "{ended:?}");
    let log = world.log().await;
    let assurance = log.iter().find_map(|entry| match &entry.event {
        Event::SessionOpen(open) => Some(open.assurance),
        _ => None,
    });
    assert_eq!(assurance, Some(Assurance::Standing));
    let files = world.evidence(&opened.session).await;
    let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
    assert_eq!(report.findings, [], "{report:#?}");

    // Another server goes on with the count; the second use is the last one.
    world.plane.stop_server().await;
    world.plane.start_server().await;
    assert_eq!(world.state(id).await, (1, ConsentState::Stands));
    let (_, root) = world.root_by(id).await.unwrap();
    assert_eq!(code(world.root_by(id).await), "consent_used_up");
    assert_eq!(world.state(id).await, (2, ConsentState::UsedUp));
    let shown = server.consent(id).await.unwrap();
    let numbers: Vec<_> = shown.roots.iter().map(|root| root.number).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(shown.roots[0].session, opened.session);
    assert_eq!(shown.roots[0].instance, opened.agent.spiffe_id);
    assert_eq!(shown.roots[1].log_index, root.log_index);
    assert_eq!(server.consents().await.unwrap().consents.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_want_the_last_places_at_once_each_number_is_given_once() {
    let world = World::plane().await;
    let statement = statement(&world, 3);
    let id = statement.id;
    world.stand(&statement).await;
    let all = futures_of(&world, id, 5).await;
    let refused: Vec<_> = all.iter().filter_map(|one| one.as_ref().err()).collect();
    assert_eq!(refused, ["consent_used_up", "consent_used_up"]);
    let mut numbers: Vec<_> = all.iter().filter_map(|one| one.as_ref().ok()).collect();
    numbers.sort();
    assert_eq!(numbers, [&1, &2, &3]);
    assert_eq!(world.state(id).await, (3, ConsentState::UsedUp));
}

/// So many uses at once: their numbers, or why there is none.
async fn futures_of(world: &World, id: ConsentId, count: usize) -> Vec<Result<u64, String>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..count {
        let agent = Agent::launch(&world.plane).await;
        let client = world.plane.client();
        let asked = UseConsent {
            instance_id: agent.id,
        };
        tasks.spawn(async move {
            match client.use_consent(id, &asked).await {
                Ok(root) => {
                    let reading = ChainReading::read(&[&root.root]).unwrap();
                    Ok(reading.principal().standing.unwrap().number)
                }
                Err(error) => Err(code::<()>(Err(error))),
            }
        });
    }
    tasks.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_standing_consent_is_the_persons_own_and_of_now() {
    let world = World::plane().await;
    let server = world.plane.client();
    let (own, other) = (&world.plane.principal, &world.plane.approver);
    let good = signed(own, statement(&world, 2));
    let mut forged = good.clone();
    forged.signed.statement.max_uses = 3;
    let mut by_another = good.clone();
    let challenge = by_another.signed.statement.challenge().unwrap();
    by_another.signed.assertion = other.assert(&challenge);
    let mut elsewhere = good.clone();
    elsewhere.mission = base64url::encode(MISSION.replace("March", "April"));
    type Edit = fn(&mut StandingStatement);
    let edits: [(Edit, &str); 9] = [
        (|s| s.expires_at = now(), "consent_expired"),
        (
            |s| s.expires_at = s.expires_at.plus_seconds(86_400 * 365 * 200),
            "consent_expired",
        ),
        (|s| s.signed_at = s.signed_at.minus_seconds(900), "consent"),
        (|s| s.epoch = 2, "consent"),
        (|s| s.issuer.push('x'), "consent"),
        (|s| s.gateway.push('x'), "gateway"),
        (|s| s.person = PersonId::from_random([2; 16]), "consent"),
        (|s| s.max_uses = 0, "consent"),
        (|s| s.entries.clear(), "consent"),
    ];
    for (request, reason) in [
        (forged, "consent"),
        (by_another, "consent"),
        (elsewhere, "mission_mismatch"),
    ] {
        assert_eq!(code(server.submit_consent(&request).await), reason);
    }
    for (at, (edit, reason)) in edits.into_iter().enumerate() {
        let mut changed = statement(&world, 2);
        edit(&mut changed);
        let answer = server.submit_consent(&signed(own, changed)).await;
        assert_eq!(code(answer), reason, "{at}");
    }
    let id = good.signed.statement.id;
    assert_eq!(code(server.consent(id).await), "consent_unknown");
    assert_eq!(code(world.root_by(id).await), "consent_unknown");
    assert!(server.consents().await.unwrap().consents.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_consent_is_used_no_more_and_what_rests_on_it_ends() {
    let world = World::start().await;
    let server = world.plane.client();
    let statement = statement(&world, 9);
    let id = statement.id;
    world.stand(&statement).await;
    let (agent, root) = world.root_by(id).await.unwrap();
    let mut opened = world.open_by(agent, root).await;
    let mut worker = world.join(&opened, &[tool("read")]).await;
    assert_eq!(read(&mut worker).await, "ok");
    let (late, unused) = world.root_by(id).await.unwrap();
    let request = Revoke {
        what: Revocable::new(RevocationKind::Consent, &id.to_string()).unwrap(),
        reason: "the work is done".to_owned(),
    };
    server.revoke(&request).await.unwrap();
    assert_eq!(code(world.root_by(id).await), "revoked");
    assert_eq!(world.state(id).await, (2, ConsentState::Revoked));
    let log = world.log().await;
    let mut ends = log.iter().filter_map(|entry| match &entry.event {
        Event::SessionEnd(end) => Some(end),
        _ => None,
    });
    let end = ends.next().unwrap();
    assert_eq!(end.reason, EndReason::Revoked);
    assert_eq!(end.cause.as_ref().unwrap(), &"consent");
    // Nothing is asked any more, so that the last checkpoint is the one that the server enrols, a moment
    // later.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let files = world.evidence(&opened.session).await;
        let report = verify(&files, Some(&world.plane.trust), &AwsLc, now());
        if report.is_verified() {
            break;
        }
        assert!(Instant::now() < deadline, "{report:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    for seat in [&mut worker, &mut opened] {
        assert_ne!(read(seat).await, "ok");
    }
    // A root that was signed before opens nothing any more.
    let mut connection = late.connect(world.address).await;
    let nonce = connection.nonce().await;
    let chain = [unused.root.clone()];
    let reply = connection
        .open(&late.presentation(&unused, &chain, &nonce))
        .await;
    assert_eq!(reply.reason(), "revoked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_ends_with_its_date_and_with_the_epoch() {
    let world = World::plane().await;
    let server = world.plane.client();
    let mut short = statement(&world, 2);
    short.expires_at = now().plus_seconds(3);
    world.stand(&short).await;
    // A root does not outlive the consent.
    let (_, root) = world.root_by(short.id).await.unwrap();
    let reading = ChainReading::read(&[&root.root]).unwrap();
    assert!(reading.grants()[0].expires_at <= short.expires_at);
    let mut lasting = statement(&world, 2);
    lasting.id = ConsentId::from_random([9; 16]);
    world.stand(&lasting).await;
    tokio::time::sleep(Duration::from_millis(3_100)).await;
    assert_eq!(code(world.root_by(short.id).await), "consent_expired");
    assert_eq!(world.state(short.id).await.1, ConsentState::Expired);
    let reason = "everything at once".to_owned();
    server.raise_epoch(&RaiseEpoch { reason }).await.unwrap();
    assert_eq!(code(world.root_by(lasting.id).await), "consent_epoch");
    assert_eq!(world.state(lasting.id).await, (0, ConsentState::StaleEpoch));
}

/// A root that the server never drafts and the signer never signs: by the authority's own key, as if
/// both were taken over. `change` changes what it says.
fn stolen(
    world: &World,
    agent: &Agent,
    honest: &IssuedRoot,
    change: impl FnOnce(&mut RootDraft),
) -> IssuedRoot {
    let ConsentArtefact::Standing(signed) = &honest.consent else {
        panic!("no standing consent");
    };
    let statement = &signed.statement;
    let issued_at = Timestamp::from_seconds(now().as_seconds());
    let mut draft = RootDraft {
        issuer: statement.issuer.clone(),
        terms: Terms {
            subject: agent.spiffe_id.parse().unwrap(),
            key: *agent.key.public(),
            audience: Some(vec![GATEWAY.to_owned()]),
            issued_at,
            not_before: issued_at,
            expires_at: issued_at.plus_seconds(statement.max_seconds),
            jti: "del_stolen".to_owned(),
            max_depth: 1,
            entries: statement.read_entries().unwrap(),
            forbid: Vec::new(),
            ask: Vec::new(),
        },
        sid: "ses_7zzzzzzzzzzzzzzzzzzzzzzzzz".to_owned(),
        epoch: 1,
        person: PersonDraft {
            issuer: statement.issuer.clone(),
            subject: statement.person.to_string(),
            acr: "software-only".to_owned(),
            authenticated_at: statement.signed_at,
            standing: Some(StandingUse {
                consent: statement.id,
                number: 2,
            }),
        },
        mission: statement.mission,
    };
    change(&mut draft);
    let keys = SignerKeys::open(&world.plane.data.join("signer")).unwrap();
    let artefact = Digest::of(honest.consent.to_bytes().unwrap());
    let authority = &keys.delegation;
    let root = draft.sign(artefact, authority.public(), &AwsLc, &|input| {
        authority.sign(input)
    });
    IssuedRoot {
        root: root.unwrap(),
        ..honest.clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_holds_every_root_to_the_consent_itself() {
    let world = World::start().await;
    let statement = statement(&world, 2);
    world.stand(&statement).await;
    let (agent, honest) = world.root_by(statement.id).await.unwrap();
    let mut connection = agent.connect(world.address).await;
    type Change = fn(&mut RootDraft);
    let cases: [(Change, &str); 11] = [
        (
            |d| {
                d.person.standing = d
                    .person
                    .standing
                    .map(|used| StandingUse { number: 3, ..used });
            },
            "consent_used_up",
        ),
        (
            |d| {
                d.person.standing = d.person.standing.map(|used| StandingUse {
                    consent: ConsentId::from_random([1; 16]),
                    ..used
                });
            },
            "consent_other",
        ),
        (|d| d.person.standing = None, "consent_invalid"),
        (
            |d| d.person.authenticated_at = d.terms.issued_at.plus_seconds(60),
            "consent_person",
        ),
        (
            |d| d.terms.expires_at = d.terms.expires_at.plus_seconds(1),
            "consent_lifetime",
        ),
        (
            |d| d.terms.entries = vec![Entry::new("fs", Target::Tool("pay")).unwrap()],
            "consent_scope",
        ),
        (|d| d.terms.max_depth = 4, "consent_depth"),
        (
            |d| d.person.subject = PersonId::from_random([2; 16]).to_string(),
            "consent_invalid",
        ),
        (
            |d| {
                let other = format!("spiffe://{DOMAIN}/service/gateway/other");
                d.terms.audience = Some(vec![GATEWAY.to_owned(), other]);
            },
            "consent_gateway",
        ),
        (
            |d| d.mission = Digest::of(MISSION.replace("March", "April")),
            "consent_mission",
        ),
        (|_| {}, "ok"),
    ];
    let mut expected = Vec::new();
    for (change, reason) in cases {
        let mut root = stolen(&world, &agent, &honest, change);
        if reason == "consent_mission" {
            root.mission = base64url::encode(MISSION.replace("March", "April"));
        }
        let nonce = connection.nonce().await;
        let chain = [root.root.clone()];
        let presentation = agent.presentation(&root, &chain, &nonce);
        let reply = connection.open(&presentation).await;
        assert_eq!(reply.reason(), reason, "{reply:?}");
        expected.push(reason);
    }
    expected.pop();
    let log = world.log().await;
    assert_eq!(reasons(&log), expected);
}
