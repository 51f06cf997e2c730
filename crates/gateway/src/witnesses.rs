use chancery_evidence::LogProblem;
use chancery_evidence::log::{log_keys, witness_policy};
use chancery_identity::trust::{TrustDocument, UnwitnessedRule};
use chancery_journal::{Unwitnessed, Witnesses};

/// Who cosigns the checkpoints of the log `origin`, as the trust document says; none where it names
/// no witnesses, or no such log.
pub fn witnesses(trust: &TrustDocument, origin: &str) -> Result<Option<Witnesses>, LogProblem> {
    let (Some(policy), Some(known)) = (witness_policy(trust)?, trust.log_origin(origin)) else {
        return Ok(None);
    };
    let mut witnesses = Witnesses::new(policy, log_keys(known)?);
    if let Some(rule) = &trust.witnesses {
        witnesses.unwitnessed = match rule.unwitnessed {
            UnwitnessedRule::Publish => Unwitnessed::Publish,
            UnwitnessedRule::Withhold => Unwitnessed::Withhold,
        };
    }
    Ok(Some(witnesses))
}
