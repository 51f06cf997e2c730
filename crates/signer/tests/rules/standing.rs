//! Standing consents at the signer: counted, never twice, within what the person signed.

use chancery_api::signer::SignRoot;
use chancery_delegation::{
    ConsentArtefact, RootDraft, SignedStanding, SoftwareAuthenticator, StandingForm,
    StandingStatement, StandingUse,
};
use chancery_identity::trust::Role;
use chancery_types::id::ConsentId;
use chancery_types::{Digest, RevocationKind, base64url};

use super::{Bench, INSTANCE, NOW, mission, person_id, reason, revocation};

fn statement(max_uses: u64) -> StandingStatement {
    let agent = INSTANCE.split("/instance/").next().unwrap();
    StandingStatement {
        standing: StandingForm::V1,
        id: ConsentId::from_random([8; 16]),
        issuer: "https://example.org/authority".into(),
        person: person_id(),
        signed_at: NOW,
        epoch: 1,
        mission: Digest::of(mission()),
        agent: agent.parse().unwrap(),
        gateway: "spiffe://example.org/service/gateway".into(),
        entries: vec![serde_json::json!({"type": "mcp_tool", "server": "ledger", "tool": "list"})],
        max_uses,
        max_seconds: 600,
        max_depth: 1,
        expires_at: NOW.plus_seconds(86_400),
    }
}

impl Bench {
    fn signed(&self, statement: StandingStatement) -> SignedStanding {
        let mut device = SoftwareAuthenticator::new("cred", "localhost", "https://localhost", 0);
        let challenge = statement.challenge().unwrap();
        let assertion = device.assert(&challenge, |message| self.person.sign_der(message));
        SignedStanding {
            statement,
            assertion: assertion.unwrap(),
        }
    }

    fn used(&self, number: u64) -> RootDraft {
        let mut draft = self.draft();
        draft.terms.jti = format!("del_{number}");
        draft.person.standing = Some(StandingUse {
            consent: statement(1).id,
            number,
        });
        draft
    }

    async fn rooted(
        &self,
        draft: &RootDraft,
        consent: impl Into<ConsentArtefact>,
    ) -> Result<(), String> {
        let request = SignRoot {
            claims: draft.to_claims().unwrap(),
            consent: consent.into(),
            mission: base64url::encode(mission()),
        };
        reason(self.client.root(&request).await).map(drop)
    }

    async fn uses(&self) -> u64 {
        self.client.consent(statement(1).id).await.unwrap().uses
    }
}

fn refused(code: &str) -> Result<(), String> {
    Err(code.to_owned())
}

#[tokio::test]
async fn a_use_is_counted_where_the_key_is_and_no_number_is_given_twice() {
    let mut bench = Bench::new(&[Role::Principal]).await;
    let signed = bench.signed(statement(3));
    let of = |number| bench.used(number);
    let (first, second, third, fourth) = (of(1), of(2), of(3), of(4));
    let number = "consent_number";
    assert_eq!(bench.uses().await, 0);
    assert_eq!(bench.rooted(&second, signed.clone()).await, refused(number));
    assert_eq!(bench.rooted(&first, signed.clone()).await, Ok(()));
    assert_eq!(bench.rooted(&first, signed.clone()).await, refused(number));
    // A signer that was killed and started again goes on where it was.
    bench.client = bench.again().await;
    assert_eq!(bench.uses().await, 1);
    assert_eq!(bench.rooted(&first, signed.clone()).await, refused(number));
    assert_eq!(bench.rooted(&second, signed.clone()).await, Ok(()));
    // Of two that want the last place at once one has it.
    let (one, other) = tokio::join!(
        bench.rooted(&third, signed.clone()),
        bench.rooted(&third, signed.clone())
    );
    let mut both = [one, other];
    both.sort();
    assert_eq!(both, [Ok(()), refused("consent_used_up")]);
    // No further one, by whatever number.
    assert_eq!(
        bench.rooted(&fourth, signed.clone()).await,
        refused("consent_used_up")
    );
    assert_eq!(
        bench.rooted(&third, signed).await,
        refused("consent_used_up")
    );
    assert_eq!(bench.uses().await, 3);
}

#[tokio::test]
async fn nothing_beyond_what_the_person_signed_is_rooted_or_counted() {
    let bench = Bench::new(&[Role::Principal]).await;
    let signed = bench.signed(statement(3));
    let mut forged = signed.clone();
    forged.statement.max_uses = 9;
    let used = bench.used(1);
    assert_eq!(bench.rooted(&used, forged).await, refused("consent"));
    let mut other = signed.clone();
    other.assertion.credential_id = "other".to_owned();
    assert_eq!(bench.rooted(&used, other).await, refused("consent"));

    type Change = fn(&mut RootDraft);
    let changes: [(Change, &str); 6] = [
        (
            |d| d.terms.expires_at = NOW.plus_seconds(601),
            "consent_lifetime",
        ),
        (|d| d.terms.max_depth = 2, "consent_depth"),
        (|d| d.epoch = 2, "consent_epoch"),
        (
            |d| d.person.authenticated_at = NOW.minus_seconds(1),
            "consent_person",
        ),
        (
            |d| d.terms.audience = Some(vec!["spiffe://example.org/service/other".into()]),
            "consent_gateway",
        ),
        (|d| d.terms.entries.clear(), "consent_scope"),
    ];
    for (change, code) in changes {
        let mut changed = bench.used(1);
        change(&mut changed);
        let answer = bench.rooted(&changed, signed.clone()).await;
        assert_eq!(answer, refused(code));
    }
    let mut over = statement(3);
    over.expires_at = NOW.plus_seconds(599);
    let over = bench.signed(over);
    assert_eq!(bench.rooted(&used, over).await, refused("consent_expired"));
    let mut elsewhere = statement(3);
    elsewhere.agent = "spiffe://example.org/agent/other".parse().unwrap();
    let elsewhere = bench.signed(elsewhere);
    assert_eq!(
        bench.rooted(&used, elsewhere).await,
        refused("consent_agent")
    );
    let mut for_another = statement(3);
    for_another.mission = Digest::of("other");
    let for_another = bench.signed(for_another);
    assert_eq!(
        bench.rooted(&used, for_another).await,
        refused("consent_mission")
    );

    // Neither kind of consent stands in for the other.
    let own = bench.consent(&used);
    assert_eq!(bench.rooted(&used, own).await, refused("consent"));
    let mut plain = bench.used(1);
    plain.person.standing = None;
    assert_eq!(
        bench.rooted(&plain, signed.clone()).await,
        refused("consent")
    );
    assert_eq!(bench.uses().await, 0);
    // And another statement under the same id does not go on where the first one ended.
    let single = bench.signed(statement(1));
    assert_eq!(bench.rooted(&used, single).await, Ok(()));
    assert_eq!(
        bench.rooted(&bench.used(2), signed).await,
        refused("consent_differs")
    );
}

#[tokio::test]
async fn what_another_person_signed_is_no_consent_of_the_principal() {
    let bench = Bench::new(&[Role::Principal]).await;
    let stranger = Bench::new(&[Role::Principal]).await;
    let theirs = stranger.signed(statement(3));
    let used = bench.used(1);
    assert_eq!(bench.rooted(&used, theirs).await, refused("consent"));
    let mut named = statement(3);
    named.person = chancery_types::id::PersonId::from_random([2; 16]);
    let named = bench.signed(named);
    assert_eq!(bench.rooted(&used, named).await, refused("consent_person"));
    let approver = Bench::new(&[Role::Approver]).await;
    let signed = approver.signed(statement(3));
    assert_eq!(
        approver.rooted(&approver.used(1), signed).await,
        refused("consent")
    );
}

#[tokio::test]
async fn a_revoked_consent_roots_nothing_more() {
    let bench = Bench::new(&[Role::Principal]).await;
    let signed = bench.signed(statement(3));
    assert_eq!(bench.rooted(&bench.used(1), signed.clone()).await, Ok(()));
    let id = statement(3).id.to_string();
    let gone = revocation(RevocationKind::Consent, &id, NOW);
    bench
        .snapshot(1, 1, std::slice::from_ref(&gone))
        .await
        .unwrap();
    let answer = bench.rooted(&bench.used(2), signed.clone()).await;
    assert_eq!(answer, refused("revoked"));
    assert_eq!(bench.uses().await, 1);
    // A server can neither forget it nor wait until it is over.
    assert_eq!(
        bench.snapshot(2, 2, &[]).await.unwrap_err(),
        "revocation_dropped"
    );
    let lift = bench.lift(&gone, "example.org", &bench.root);
    bench.client.lift(&lift).await.unwrap();
    bench.snapshot(2, 1, &[]).await.unwrap();
    assert_eq!(bench.rooted(&bench.used(2), signed).await, Ok(()));
}
