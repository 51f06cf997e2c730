use chancery_identity::bundle::{KeyName, Readiness};
use chancery_identity::{BundleDocument, Incubating, PublishedBundle};
use chancery_types::Digest;

use crate::support::{Domain, es256, now, svid_key};

#[test]
fn b_02_the_sequence_rises_with_every_change_and_with_nothing_else() {
    let domain = Domain::new("td");
    let one = PublishedBundle::first(domain.name.clone(), domain.keys(), 300, now());
    assert_eq!(one.document().sequence(), Some(1));
    let same = one
        .clone()
        .publish(domain.keys(), 300, now().plus_seconds(5));
    assert_eq!(same, one);
    let mut seen = vec![1];
    let mut published = one;
    let mut keys = domain.keys();
    let empty = chancery_identity::BundleKeys::none(&domain.name);
    keys.jwt = chancery_identity::JwtBundle::new(domain.name.clone(), [svid_key(&es256())]);
    for (keys, hint) in [
        (keys.clone(), 300),
        (keys.clone(), 60),
        (empty, 60),
        (keys, 60),
        (domain.keys(), 300),
    ] {
        published = published.publish(keys, hint, now());
        seen.push(published.document().sequence().unwrap());
    }
    assert_eq!(
        seen,
        [1, 2, 3, 4, 5, 6],
        "what was published before is a change as well"
    );
}

#[test]
fn b_02_the_sequence_goes_on_where_what_was_published_is_read_again() {
    let domain = Domain::new("td");
    let first = PublishedBundle::first(domain.name.clone(), domain.keys(), 300, now());
    let text = first.document().to_json().unwrap();
    let read = BundleDocument::parse(domain.name.clone(), text.as_bytes(), Incubating::WIT_SVID);
    let since: Vec<_> = first.since().map(|(name, at)| (name.clone(), at)).collect();
    let later = now().plus_seconds(1_000_000);
    let resumed = PublishedBundle::resume(read.unwrap(), since, later);
    assert_eq!(resumed, first);
    let same = resumed.clone().publish(domain.keys(), 300, later);
    assert_eq!(same, first, "nothing changed");
    let empty = chancery_identity::BundleKeys::none(&domain.name);
    assert_eq!(
        resumed.publish(empty, 300, later).document().sequence(),
        Some(2)
    );
    // A key of which it is not known since when it is told is told from now on.
    let forgotten = PublishedBundle::resume(first.document().clone(), [], later);
    let (name, _) = first.since().next().unwrap();
    assert!(matches!(
        forgotten.readiness(name, later),
        Readiness::Early(_)
    ));
    assert_eq!(first.readiness(name, later), Readiness::Ready);
}

#[test]
fn f_01_a_key_signs_nothing_before_readers_can_have_seen_it() {
    let domain = Domain::new("td");
    let hint = 300;
    let published = PublishedBundle::first(domain.name.clone(), domain.keys(), hint, now());
    let old = KeyName::Jwt(domain.jwt.public().kid());
    let next = es256();
    let new = KeyName::Jwt(next.public().kid());
    assert_eq!(published.readiness(&new, now()), Readiness::Unpublished);
    let mut keys = domain.keys();
    let both = [svid_key(&domain.jwt), svid_key(&next)];
    keys.jwt = chancery_identity::JwtBundle::new(domain.name.clone(), both);
    let later = now().plus_seconds(10_000);
    let published = published.publish(keys, hint, later);
    let ready = later.plus_seconds(3 * hint);
    assert_eq!(published.readiness(&new, later), Readiness::Early(ready));
    let almost = ready.minus_seconds(1);
    assert_eq!(published.readiness(&new, almost), Readiness::Early(ready));
    assert_eq!(published.readiness(&new, ready), Readiness::Ready);
    assert_eq!(published.readiness(&old, later), Readiness::Ready);
    let root = KeyName::X509(Digest::of(&domain.root.der));
    assert_eq!(published.readiness(&root, later), Readiness::Ready);
    // A name of one kind is none of another.
    let wit = KeyName::Wit(domain.jwt.public().kid());
    assert_eq!(published.readiness(&wit, later), Readiness::Unpublished);
    // A key that is gone and comes back is told anew.
    let gone = published.publish(domain.keys(), hint, ready);
    assert_eq!(gone.readiness(&new, ready), Readiness::Unpublished);
}
