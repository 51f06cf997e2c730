//! The root, the link, and who consented.

use chancery_audit::*;
use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Assertion, ChainContext, ChainTip, ConsentArtefact, Credential, Entry as Grantable, LinkDraft,
    PersonDraft, RevocationSet, RootDraft, SignedStanding, SoftwareAuthenticator, StandingForm,
    StandingStatement, StandingUse, Terms, TrustAnchor, VerifiedChain, verify_chain,
    verify_consent,
};
use chancery_evidence::ObjectKind;
use chancery_session::{Event as Step, Joining, PRINCIPAL, principal_text};
use chancery_types::{Digest, to_canonical};
use serde_json::json;

use super::{AGENT, AUTHORITY, Builder, GATEWAY, at, id, person};

impl Builder {
    pub(super) fn disclose(&mut self, name: &str, value: String, salt: u8) -> Disclosure {
        let disclosure = Disclosure {
            name: Label::or_digest(name),
            salt: [salt; 32],
            value,
        };
        self.keep(ObjectKind::Disclosure, to_canonical(&disclosure).unwrap());
        disclosure
    }

    pub(super) fn terms(&self, holder: usize, jti: &str) -> Terms {
        let grant = |tool: &str| {
            let entry = json!({"type": "mcp_tool", "server": "bank", "tool": tool, "limits": {}});
            Grantable::parse(&entry).unwrap()
        };
        Terms {
            subject: self.holders[holder].name.clone(),
            key: *self.holders[holder].key.public(),
            audience: Some(vec![GATEWAY.to_owned()]),
            issued_at: at(0),
            not_before: at(0),
            expires_at: at(2_000),
            jti: jti.to_owned(),
            max_depth: 3,
            entries: vec![grant("pay"), grant("list")],
            forbid: Vec::new(),
            ask: Vec::new(),
        }
    }

    pub(super) fn assert(&self, another: bool, challenge: &Digest) -> Assertion {
        let Credential { credential_id, .. } = self.credential(another);
        let mut device =
            SoftwareAuthenticator::new(credential_id, "localhost", "http://localhost", 0);
        let key = self.key_of(another);
        device
            .assert(challenge, |bytes| key.sign_der(bytes))
            .unwrap()
    }

    pub(super) fn key_of(&self, another: bool) -> &SigningKey {
        match another {
            true => &self.signers.approver,
            false => &self.signers.person,
        }
    }

    pub(super) fn credential(&self, another: bool) -> chancery_delegation::Credential<'_> {
        Credential {
            credential_id: if another { "cred-8" } else { "cred" },
            key: self.key_of(another).public(),
            rp_id: "localhost",
            origin: "http://localhost",
            last_counter: None,
        }
    }

    pub(super) fn root(&mut self) -> (VerifiedChain, chancery_delegation::Consent, Disclosure) {
        let draft = RootDraft {
            issuer: AUTHORITY.to_owned(),
            terms: self.terms(0, "root-1"),
            sid: id::<chancery_types::id::SessionKind>(1).to_string(),
            epoch: 1,
            person: PersonDraft {
                issuer: AUTHORITY.to_owned(),
                subject: person().to_string(),
                acr: "passkey".to_owned(),
                authenticated_at: at(0),
                standing: self.standing.map(|_| StandingUse {
                    consent: id(8),
                    number: 1,
                }),
            },
            mission: self.mission.digest(),
        };
        let statement = self.statement(&draft);
        let artefact = match self.standing {
            None => self.assert(false, &draft.challenge().unwrap()).into(),
            Some(_) => ConsentArtefact::from(SignedStanding {
                assertion: self.assert(false, &statement.challenge().unwrap()),
                statement: statement.clone(),
            }),
        };
        let artefact = artefact.to_bytes().unwrap();
        let consent = self.keep(ObjectKind::Consent, artefact.clone());
        let authority = &self.signers.authority;
        let token = draft
            .sign(consent, authority.public(), &AwsLc, &|bytes| {
                authority.sign(bytes)
            })
            .unwrap();
        let chain = self.verify(&[&token]);
        let verified = verify_consent(&chain, &artefact, &self.credential(false), &AwsLc).unwrap();
        let disclosure = Disclosure {
            name: Label::or_digest(PRINCIPAL),
            salt: [4; 32],
            value: principal_text(chain.principal()).unwrap(),
        };
        let mut enrol = DelegationRoot {
            delegation: Label::or_digest("root-1"),
            link: Digest::of(&token),
            session: id(1),
            delegate: self.label(0),
            principal: disclosure.commitment(),
            mission: chain.mission(),
            assurance: Assurance::Consent,
            consent,
            epoch: 1,
            expires: chain.expires_at(),
            standing: self.standing.map(|_| statement.id),
            standing_use: self.standing.map(|_| 1),
        };
        if let Some(change) = self.standing {
            enrol.assurance = Assurance::Standing;
            let standing = ConsentStanding {
                standing: statement.id,
                statement: statement.challenge().unwrap(),
                consent,
                principal: disclosure.commitment(),
                mission: statement.mission,
                agent: Label::or_digest(AGENT),
                max_uses: statement.max_uses,
                max_seconds: statement.max_seconds,
                expires: statement.expires_at,
            };
            let mut before = vec![Event::from(standing)];
            self.consent = before.first().cloned();
            change(&mut before);
            for event in before {
                self.server.append(at(4), event);
            }
        }
        self.server.append(at(5), enrol.into());
        (chain, verified, disclosure)
    }

    pub(super) fn statement(&self, draft: &RootDraft) -> StandingStatement {
        StandingStatement {
            standing: StandingForm::V1,
            id: id(8),
            issuer: AUTHORITY.to_owned(),
            person: person(),
            signed_at: draft.person.authenticated_at,
            epoch: draft.epoch,
            mission: draft.mission,
            agent: AGENT.parse().unwrap(),
            gateway: GATEWAY.to_owned(),
            entries: draft.terms.entries.iter().map(Grantable::to_json).collect(),
            max_uses: 3,
            max_seconds: 2_000,
            max_depth: 3,
            expires_at: at(86_400),
        }
    }

    pub(super) fn link(&mut self, root: &VerifiedChain) -> VerifiedChain {
        let token = root.root().token().to_owned();
        let tip = ChainTip::read(&[&token]).unwrap();
        let draft = LinkDraft {
            terms: self.terms(1, "link-1"),
        };
        let key = &self.holders[0].key;
        let link = draft.sign(&tip, &AwsLc, &|bytes| key.sign(bytes)).unwrap();
        self.verify(&[&token, &link])
    }

    pub(super) fn verify(&mut self, links: &[&str]) -> VerifiedChain {
        self.keep(ObjectKind::Chain, links.join(",").into_bytes());
        for link in links {
            self.keep(ObjectKind::Link, link.as_bytes().to_vec());
        }
        let anchors = [TrustAnchor {
            issuer: AUTHORITY.to_owned(),
            key: *self.signers.authority.public(),
        }];
        let context = ChainContext {
            now: at(1),
            audience: GATEWAY,
            anchors: &anchors,
            epoch: 1,
            revoked: RevocationSet::none(),
            verifier: &AwsLc,
        };
        verify_chain(links, &context).unwrap()
    }

    pub(super) fn join(&mut self, holder: usize, chain: &VerifiedChain, principal: &Disclosure) {
        let member = self.member(holder);
        let (chain, principal) = (chain.clone(), principal.clone());
        self.step(Step::Join(Box::new(Joining {
            member,
            chain,
            principal,
        })));
    }
}
