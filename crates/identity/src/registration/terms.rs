use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{DnsName, Hint, SvidSeconds};
use crate::{AttestationLevel, Isolation};

/// The most DNS names of one registration, and of one X.509-SVID.
pub const MAX_DNS_NAMES: usize = 16;

/// What the instances of an agent are issued, and what they must have been attested with before they
/// are issued anything. Where nothing is said the deployment's own values count and nothing more than
/// the reviewed code is required.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RegistrationTerms {
    /// The DNS names in each X.509-SVID, beside the one URI.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub dns_names: BTreeSet<DnsName>,
    /// The hint that goes with each SVID at the Workload API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<Hint>,
    /// How long an X.509-SVID lives at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509_svid_seconds: Option<SvidSeconds>,
    /// How long a JWT-SVID, and a WIT-SVID, lives at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jwt_svid_seconds: Option<SvidSeconds>,
    /// The isolation that an instance must have been started with, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub isolation: Option<Isolation>,
    /// The attestation that an instance must have, at least.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub attestation_level: Option<AttestationLevel>,
}

/// Why terms are not those of a registration, or are not met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// More DNS names than an SVID has.
    #[error("an agent has {MAX_DNS_NAMES} dns names at most")]
    DnsNames,
    /// A life of X.509-SVIDs above the deployment's.
    #[error(
        "x509_svid_seconds is {asked}, and this deployment issues x509-svids for {most} seconds at most"
    )]
    X509Lifetime {
        /// What was asked for.
        asked: SvidSeconds,
        /// What the deployment issues.
        most: u64,
    },
    /// A life of JWT-SVIDs above the deployment's.
    #[error(
        "jwt_svid_seconds is {asked}, and this deployment issues jwt-svids for {most} seconds at most"
    )]
    JwtLifetime {
        /// What was asked for.
        asked: SvidSeconds,
        /// What the deployment issues.
        most: u64,
    },
    /// An instance that was not fenced in as its agent's registration requires.
    #[error("the registration requires {required} instances, and this one is {found}")]
    Isolation {
        /// What the registration requires.
        required: Isolation,
        /// What the instance was attested with.
        found: Isolation,
    },
    /// An instance that less vouches for than its agent's registration requires.
    #[error("the registration requires attestation by {required}, and this instance has {found}")]
    AttestationLevel {
        /// What the registration requires.
        required: AttestationLevel,
        /// What the instance was attested with.
        found: AttestationLevel,
    },
}

impl TermsError {
    /// The reason code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::DnsNames => "dns_names",
            Self::X509Lifetime { .. } | Self::JwtLifetime { .. } => "svid_lifetime",
            Self::Isolation { .. } => "isolation_required",
            Self::AttestationLevel { .. } => "attestation_required",
        }
    }
}

impl RegistrationTerms {
    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Refuses what a deployment does not issue whose X.509-SVIDs and JWT-SVIDs live so many seconds.
    pub fn check(&self, x509_seconds: u64, jwt_seconds: u64) -> Result<(), TermsError> {
        if self.dns_names.len() > MAX_DNS_NAMES {
            return Err(TermsError::DnsNames);
        }
        if let Some(asked) = self
            .x509_svid_seconds
            .filter(|it| it.seconds() > x509_seconds)
        {
            let most = x509_seconds;
            return Err(TermsError::X509Lifetime { asked, most });
        }
        if let Some(asked) = self
            .jwt_svid_seconds
            .filter(|it| it.seconds() > jwt_seconds)
        {
            let most = jwt_seconds;
            return Err(TermsError::JwtLifetime { asked, most });
        }
        Ok(())
    }

    /// Refuses an instance that was attested with less than is required.
    pub fn check_attested(
        &self,
        level: AttestationLevel,
        isolation: Isolation,
    ) -> Result<(), TermsError> {
        if let Some(required) = self.isolation.filter(|required| isolation < *required) {
            let found = isolation;
            return Err(TermsError::Isolation { required, found });
        }
        if let Some(required) = self.attestation_level.filter(|required| level < *required) {
            let found = level;
            return Err(TermsError::AttestationLevel { required, found });
        }
        Ok(())
    }

    /// The life of an X.509-SVID where the deployment's is that long: never longer than it.
    pub fn x509_seconds(&self, deployment: u64) -> u64 {
        shorter(self.x509_svid_seconds, deployment)
    }

    /// The life of a JWT-SVID or a WIT-SVID where the deployment's is that long: never longer than it.
    pub fn jwt_seconds(&self, deployment: u64) -> u64 {
        shorter(self.jwt_svid_seconds, deployment)
    }

    /// What an SVID was issued by: all but the hint, which stands beside an SVID and not in it. One that
    /// was issued by something else is not what the registration permits.
    #[must_use]
    pub fn issued(&self) -> Self {
        Self {
            hint: None,
            ..self.clone()
        }
    }
}

fn shorter(asked: Option<SvidSeconds>, deployment: u64) -> u64 {
    asked.map_or(deployment, |asked| asked.seconds().min(deployment))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Option<SvidSeconds> {
        Some(seconds.try_into().unwrap())
    }

    #[test]
    fn nothing_said_requires_nothing_and_changes_nothing() {
        let terms = RegistrationTerms::default();
        assert!(terms.is_empty());
        assert_eq!(serde_json::to_string(&terms).unwrap(), "{}");
        assert_eq!(terms.check(10, 10), Ok(()));
        let least = (AttestationLevel::Process, Isolation::Unisolated);
        assert_eq!(terms.check_attested(least.0, least.1), Ok(()));
        assert_eq!(
            (terms.x509_seconds(600), terms.jwt_seconds(300)),
            (600, 300)
        );
    }

    #[test]
    fn a_life_is_never_above_the_deployments() {
        let terms = RegistrationTerms {
            x509_svid_seconds: seconds(600),
            jwt_svid_seconds: seconds(60),
            ..Default::default()
        };
        assert_eq!(terms.check(600, 60), Ok(()));
        assert_eq!(
            (terms.x509_seconds(3_600), terms.jwt_seconds(300)),
            (600, 60)
        );
        // A deployment that was started anew with shorter lives.
        assert_eq!((terms.x509_seconds(30), terms.jwt_seconds(30)), (30, 30));
        let refused = terms.check(599, 60).unwrap_err();
        assert_eq!(refused.code(), "svid_lifetime");
        assert!(refused.to_string().contains("599"), "{refused}");
        let refused = terms.check(600, 59).unwrap_err();
        assert!(matches!(refused, TermsError::JwtLifetime { most: 59, .. }));
    }

    #[test]
    fn what_was_attested_with_less_is_refused_for_its_own_reason() {
        use AttestationLevel::{Launch, Process, SevSnp, Tpm};
        use Isolation::{Isolated, Unisolated};
        let terms = |isolation, attestation_level| RegistrationTerms {
            isolation,
            attestation_level,
            ..Default::default()
        };
        for (required, level, isolation, refused) in [
            (terms(Some(Isolated), None), Launch, Isolated, None),
            (
                terms(Some(Isolated), None),
                Tpm,
                Unisolated,
                Some("isolation_required"),
            ),
            (terms(Some(Unisolated), None), Process, Unisolated, None),
            (terms(None, Some(Launch)), Launch, Unisolated, None),
            (terms(None, Some(Launch)), SevSnp, Unisolated, None),
            (
                terms(None, Some(Launch)),
                Process,
                Isolated,
                Some("attestation_required"),
            ),
            (
                terms(None, Some(Tpm)),
                Launch,
                Isolated,
                Some("attestation_required"),
            ),
            (
                terms(Some(Isolated), Some(Tpm)),
                Process,
                Unisolated,
                Some("isolation_required"),
            ),
        ] {
            let found = required.check_attested(level, isolation);
            assert_eq!(found.err().map(TermsError::code), refused, "{required:?}");
        }
    }

    #[test]
    fn there_are_not_too_many_names() {
        let name = |number: usize| format!("n{number}.example").parse().unwrap();
        let mut terms = RegistrationTerms {
            dns_names: (0..MAX_DNS_NAMES).map(name).collect(),
            ..Default::default()
        };
        assert_eq!(terms.check(600, 300), Ok(()));
        terms.dns_names.insert(name(MAX_DNS_NAMES));
        assert_eq!(terms.check(600, 300), Err(TermsError::DnsNames));
    }

    #[test]
    fn members_that_nobody_knows_are_refused() {
        for bad in [
            r#"{"dns_name": []}"#,
            r#"{"hint": null, "hint": null}"#,
            r#"{"isolation": {"isolated": null}}"#,
            r#"{"attestation_level": "launch"}"#,
            r#"{"x509_svid_seconds": 3601}"#,
        ] {
            assert!(
                serde_json::from_str::<RegistrationTerms>(bad).is_err(),
                "{bad}"
            );
        }
    }
}
