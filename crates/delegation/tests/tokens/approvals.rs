use chancery_crypto::{AwsLc, SigningKey};
use chancery_delegation::{
    Answer, ApprovalError, ApprovalStatement, Assertion, AssertionError, Credential,
    SoftwareAuthenticator, Verdict, verify_approval,
};
use chancery_types::id::{ApprovalId, SessionId};
use chancery_types::{Algorithm, Digest, Timestamp};

use crate::support::NOW;

const ORIGIN: &str = "https://acme.example";

fn statement(verdict: Verdict) -> ApprovalStatement {
    ApprovalStatement {
        id: ApprovalId::from_random([1; 16]),
        verdict,
        action: Digest::of("action"),
        display: Digest::of("display"),
        session: SessionId::from_random([2; 16]),
        policy: Digest::of("policy"),
        expires_at: NOW.plus_seconds(300),
    }
}

fn sign(key: &SigningKey, statement: &ApprovalStatement) -> Assertion {
    let mut authenticator = SoftwareAuthenticator::new("Y3JlZA", "acme.example", ORIGIN, 0);
    let challenge = statement.challenge().unwrap();
    let answered = authenticator.assert(&challenge, |message| key.sign_der(message));
    answered.unwrap()
}

fn judge(
    key: &SigningKey,
    statement: ApprovalStatement,
    assertion: &Assertion,
    now: Timestamp,
) -> Result<Answer, ApprovalError> {
    let credential = Credential {
        credential_id: "Y3JlZA",
        key: key.public(),
        rp_id: "acme.example",
        origin: ORIGIN,
        last_counter: None,
    };
    verify_approval(statement, assertion, &credential, now, &AwsLc)
}

#[test]
fn only_an_approval_approves() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let yes = statement(Verdict::Approve);
    let answer = judge(&key, yes.clone(), &sign(&key, &yes), NOW).unwrap();
    assert!(matches!(answer, Answer::Approved(approval) if *approval.statement() == yes));
    let no = statement(Verdict::Deny);
    let answer = judge(&key, no.clone(), &sign(&key, &no), NOW).unwrap();
    assert!(matches!(answer, Answer::Denied(denial) if *denial.statement() == no));
}

#[test]
fn an_approval_is_for_one_action_as_displayed() {
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let signed = statement(Verdict::Approve);
    let assertion = sign(&key, &signed);
    let other = Digest::of("other");
    for changed in [
        ApprovalStatement {
            id: ApprovalId::from_random([9; 16]),
            ..signed.clone()
        },
        ApprovalStatement {
            action: other,
            ..signed.clone()
        },
        ApprovalStatement {
            display: other,
            ..signed.clone()
        },
        ApprovalStatement {
            session: SessionId::from_random([9; 16]),
            ..signed.clone()
        },
        ApprovalStatement {
            policy: other,
            ..signed.clone()
        },
        ApprovalStatement {
            expires_at: NOW.plus_seconds(301),
            ..signed.clone()
        },
        ApprovalStatement {
            verdict: Verdict::Deny,
            ..signed.clone()
        },
    ] {
        let verdict = judge(&key, changed, &assertion, NOW);
        assert!(matches!(
            verdict,
            Err(ApprovalError::Assertion(AssertionError::Challenge))
        ));
    }
    let denied = sign(&key, &statement(Verdict::Deny));
    assert!(judge(&key, signed.clone(), &denied, NOW).is_err());
    let other = SigningKey::generate(Algorithm::Es256).unwrap();
    let verdict = judge(&other, signed.clone(), &assertion, NOW);
    assert!(matches!(
        verdict,
        Err(ApprovalError::Assertion(AssertionError::Signature))
    ));
    let late = judge(&key, signed.clone(), &assertion, signed.expires_at);
    assert!(matches!(late, Err(ApprovalError::Expired)));
}

#[test]
fn a_statement_has_one_spelling() {
    let bytes = statement(Verdict::Approve).to_bytes().unwrap();
    assert_eq!(
        ApprovalStatement::parse(&bytes).unwrap(),
        statement(Verdict::Approve)
    );
    let text = String::from_utf8(bytes).unwrap();
    for (from, to) in [
        (r#""verdict":"approve""#, r#""verdict":true"#),
        (r#""verdict":"approve""#, r#""verdict":"Approve""#),
        (r#""verdict":"approve""#, r#""verdict": "approve""#),
        (r#""verdict":"approve""#, r#""verdict":"approve","uses":9"#),
        (r#","verdict":"approve""#, ""),
        ("apv_", "exe_"),
        ("ses_", "ins_"),
        ("sha256:", ""),
    ] {
        let bad = text.replacen(from, to, 1);
        assert_ne!(bad, text);
        assert!(ApprovalStatement::parse(bad.as_bytes()).is_err(), "{bad}");
    }
}
