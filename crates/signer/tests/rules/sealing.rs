//! Keys that a passphrase seals.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use chancery_api::authority::{AuthorityKind, ChangeAuthority};
use chancery_crypto::create_private_file;
use chancery_signer::{Seal, SealCost, SealedError, StandingKeys};

use super::{Bench, INSTANCE, x509};

const CHEAP: SealCost = SealCost {
    memory_kib: 64,
    passes: 1,
};

/// The key files that are in clear.
fn clear(folder: &Path) -> Vec<String> {
    let mut clear = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let sealed = |path: &Path| std::fs::read(path).unwrap().starts_with(b"chancery sealed");
        if name.ends_with(".key") && path.is_file() && !sealed(&path) || name.ends_with(".clear") {
            clear.push(name);
        }
    }
    clear.sort();
    clear
}

#[tokio::test]
async fn sealed_keys_sign_as_before_and_open_by_their_passphrase_alone() {
    let mut bench = Bench::new(&[]).await;
    let folder = bench.folder.path().to_owned();
    let passphrase = tempfile::tempdir().unwrap();
    let file = passphrase.path().join("passphrase");
    create_private_file(&file, b"correct horse battery\n").unwrap();
    assert!(clear(&folder).len() >= 6);
    Seal::begin(&folder, &file, CHEAP).unwrap();
    let again = Seal::begin(&folder, &file, CHEAP);
    assert!(matches!(again, Err(SealedError::Sealed(_))));
    bench.client = bench.again().await;
    assert!(clear(&folder).is_empty(), "{:?}", clear(&folder));
    bench.client.x509(&x509(INSTANCE)).await.unwrap();
    // A key that is made is sealed from the first on.
    let made = bench.prepare(AuthorityKind::Jwt).await.unwrap();
    assert!(clear(&folder).is_empty());
    bench
        .install(|trust| trust.jwt_authorities.push(made.key))
        .await;
    let request = ChangeAuthority {
        id: made.id,
        force: false,
    };
    bench.client.activate_authority(&request).await.unwrap();
    bench.client = bench.again().await;
    let known = bench.client.authorities().await.unwrap();
    assert_eq!(known.active(AuthorityKind::Jwt).unwrap().id, made.id);
    for wrong in ["another horse battery\n", "short\n", ""] {
        std::fs::write(&file, wrong).unwrap();
        assert!(bench.reopened_by_keys().is_err(), "{wrong}");
    }
    std::fs::write(&file, "correct horse battery").unwrap();
    assert!(bench.reopened_by_keys().is_ok());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    assert!(bench.reopened_by_keys().is_err());
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    // A sealed key is of its place, to the last byte.
    let (delegation, snapshot) = (folder.join("delegation.key"), folder.join("snapshot.key"));
    let good = std::fs::read(&delegation).unwrap();
    std::fs::copy(&snapshot, &delegation).unwrap();
    assert!(bench.reopened_by_keys().is_err());
    for place in [22, good.len() - 1] {
        let mut bad = good.clone();
        bad[place] ^= 1;
        std::fs::write(&delegation, bad).unwrap();
        assert!(bench.reopened_by_keys().is_err(), "{place}");
    }
    std::fs::write(&delegation, good).unwrap();
    assert!(bench.reopened_by_keys().is_ok());
    // Without the file that says how, nothing opens.
    let seal = folder.join("seal.json");
    let text = std::fs::read_to_string(&seal).unwrap();
    assert!(!text.contains("horse"));
    std::fs::write(&seal, text.replace("\"passes\": 1", "\"passes\": 2")).unwrap();
    assert!(bench.reopened_by_keys().is_err());
    std::fs::remove_file(&seal).unwrap();
    assert!(bench.reopened_by_keys().is_err());
}

/// Each state that a crash leaves while keys are sealed: nothing is lost, and nothing stays in clear.
#[tokio::test]
async fn a_crash_while_keys_are_sealed_destroys_none() {
    for point in 0..5 {
        let bench = Bench::new(&[]).await;
        let folder = bench.folder.path().to_owned();
        let file = folder.join("passphrase");
        create_private_file(&file, b"correct horse battery\n").unwrap();
        let (key, other) = (folder.join("jwt.key"), folder.join("jwt.clear"));
        let content = std::fs::read(&key).unwrap();
        Seal::begin(&folder, &file, CHEAP).unwrap();
        match point {
            // Linked, and not sealed.
            0 => std::fs::hard_link(&key, &other).unwrap(),
            // The sealed one is written, and not yet in its place.
            1 => {
                std::fs::hard_link(&key, &other).unwrap();
                create_private_file(&folder.join("jwt.next"), b"chancery sealed").unwrap();
            }
            // In its place, and the one in clear is there, or zeros, or nothing of it.
            _ => {
                bench.reopened().unwrap();
                let left = match point {
                    2 => content.clone(),
                    3 => vec![0; content.len()],
                    _ => Vec::new(),
                };
                create_private_file(&other, &left).unwrap();
            }
        }
        let client = bench.again().await;
        assert!(clear(&folder).is_empty(), "{point}: {:?}", clear(&folder));
        let known = client.authorities().await.unwrap();
        assert!(known.active(AuthorityKind::Jwt).is_some(), "{point}");
        client.x509(&x509(INSTANCE)).await.unwrap();
        assert!(bench.reopened().is_ok(), "{point}");
    }
}

/// A passphrase that is handed over is there once: a start reads it once.
#[tokio::test]
async fn a_start_reads_the_passphrase_once() {
    let bench = Bench::new(&[]).await;
    let folder = bench.folder.path().to_owned();
    let file = folder.join("passphrase");
    create_private_file(&file, b"correct horse battery\n").unwrap();
    Seal::begin(&folder, &file, CHEAP).unwrap();
    bench
        .reopened_between(|| std::fs::remove_file(&file).unwrap())
        .unwrap();
}

impl Bench {
    fn reopened_by_keys(&self) -> Result<StandingKeys, chancery_signer::KeysError> {
        StandingKeys::open(self.folder.path())
    }
}
