use chancery_types::{Digest, Timestamp};

use crate::Reason;
use crate::token::{Grant, LinkClaims};

/// Checks that a link continues its parent and narrows it, in the order of the format. Returns for
/// each entry of the child the parent entry that subsumes it.
///
/// INVARIANT: whoever makes a link and whoever verifies it call this one function, so that no
/// draft passes that a verifier refuses.
pub(crate) fn check_narrowing(
    parent: &Grant,
    parent_audience: &[String],
    parent_hash: &Digest,
    child: &LinkClaims,
) -> Result<Vec<usize>, Reason> {
    let require = |holds: bool, reason| if holds { Ok(()) } else { Err(reason) };
    let grant = &child.grant;
    require(
        grant.issuer == parent.subject.as_str() && child.parent == *parent_hash,
        Reason::BrokenLink,
    )?;
    require(
        parent.depth.checked_add(1) == Some(grant.depth),
        Reason::BadDepth,
    )?;
    require(grant.max_depth <= parent.max_depth, Reason::DepthEscalation)?;
    require(grant.depth <= grant.max_depth, Reason::DepthExceeded)?;
    require(
        grant.not_before >= parent.not_before && grant.expires_at <= parent.expires_at,
        Reason::TtlEscalation,
    )?;
    let mut audience = grant.audience.iter().flatten();
    require(
        audience.all(|name| parent_audience.contains(name)),
        Reason::AudienceEscalation,
    )?;
    let entries = grant.entries.iter();
    entries
        .map(|entry| {
            parent
                .entries
                .iter()
                .position(|known| known.subsumes(entry))
        })
        .collect::<Option<_>>()
        .ok_or(Reason::ScopeEscalation)
}

/// Checks that neither the subject nor the key of the last grant stands in one before it.
pub(crate) fn check_unique<'a>(
    mut before: impl Iterator<Item = &'a Grant>,
    last: &Grant,
) -> Result<(), Reason> {
    if before.any(|grant| grant.subject == last.subject || grant.key == last.key) {
        Err(Reason::Cycle)
    } else {
        Ok(())
    }
}

/// Checks that the grant is in force: `nbf` <= now < `exp`.
pub(super) fn check_time(grant: &Grant, now: Timestamp) -> Result<(), Reason> {
    if now < grant.not_before {
        Err(Reason::NotYetValid)
    } else if now >= grant.expires_at {
        Err(Reason::Expired)
    } else {
        Ok(())
    }
}
