//! What the server knows of the signer's authorities.

use chancery_api::authority::{AuthorityKind, ChangeAuthority, PrepareAuthority};
use chancery_api::signer::SignerClient;

use super::domain::Domain;
use super::instances::reason;

/// A step whose answer was lost, or that failed halfway, leaves no wrong view behind.
#[tokio::test]
async fn after_a_step_that_failed_the_signer_is_asked_anew() {
    let domain = Domain::start("steps.example").await;
    let client = domain.client();
    let signer = SignerClient::new(domain.file("signer.sock"));
    let ids = async || {
        let known = client.authorities().await.unwrap();
        let ids = known.authorities.iter().map(|view| view.authority.id);
        ids.collect::<Vec<_>>()
    };
    assert_eq!(ids().await.len(), 3);
    let kind = AuthorityKind::Jwt;
    let prepare = PrepareAuthority { kind, bare: false };
    // The signer went the step, and the server heard nothing of it.
    let made = signer.prepare_authority(&prepare).await.unwrap().id;
    let refused = client.prepare_authority(&prepare).await;
    assert_eq!(reason(refused.unwrap_err()), "authority_prepared");
    assert!(ids().await.contains(&made));
    let change = ChangeAuthority {
        id: made,
        force: false,
    };
    signer.destroy_authority(&change).await.unwrap();
    let refused = client.revoke_authority(&change).await;
    assert_eq!(reason(refused.unwrap_err()), "authority_unknown");
    assert!(!ids().await.contains(&made));
    client.prepare_authority(&prepare).await.unwrap();
}
