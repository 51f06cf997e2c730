//! What the logs hold of a presentation: whose entries they are, and what each says.

use chancery_audit::{
    Assurance, CredentialForm, DelegationRoot, Entry, IdentityIssue, Isolation, Label, SessionJoin,
    SessionOpen,
};
use chancery_delegation::{Entry as Grantable, PersonDraft, RootDraft, StandingUse, Terms};
use chancery_identity::{AttestationLevel, Confirmation, SpiffeId, WitClaims};
use chancery_types::id::InstanceKind;
use chancery_types::jws::{self, Compact};

use super::*;
use crate::log_writer::LogSigner;
use crate::scene::{AUTHORITY, id};

fn issue(entry: &mut Entry) -> &mut IdentityIssue {
    match &mut entry.event {
        Event::IdentityIssue(issue) => issue,
        other => panic!("{other:?}"),
    }
}

fn root(entry: &mut Entry) -> &mut DelegationRoot {
    match &mut entry.event {
        Event::DelegationRoot(root) => root,
        other => panic!("{other:?}"),
    }
}

fn open(entry: &mut Entry) -> &mut SessionOpen {
    match &mut entry.event {
        Event::SessionOpen(open) => open,
        other => panic!("{other:?}"),
    }
}

fn join(entry: &mut Entry) -> &mut SessionJoin {
    match &mut entry.event {
        Event::SessionJoin(join) => join,
        other => panic!("{other:?}"),
    }
}

type Lie<'a> = (&'a str, &'a dyn Fn(&mut Entry));

impl Stand {
    /// The parts as they would be if the logs said something else in these entries, and signed it.
    fn lying(&self, lies: &[Lie<'_>]) -> Parts {
        let (mut server, mut gateway) = (self.scene.server.clone(), self.scene.gateway.clone());
        let mut parts = self.parts.clone();
        for (part, lie) in lies {
            let (log, at) = match *part {
                "issued" => (&mut server, &parts.issued),
                "rooted" => (&mut server, &parts.rooted),
                "opened" => (&mut gateway, &parts.opened),
                _ => (&mut gateway, &parts.joined),
            };
            let mut entry = Entry::parse(&log.entries[at.index as usize]).unwrap();
            let before = entry.clone();
            lie(&mut entry);
            assert_ne!(entry, before, "{part}");
            log.entries[at.index as usize] = entry.to_bytes().unwrap();
        }
        for at in [&mut parts.issued, &mut parts.rooted] {
            *at = enrolled_at(&server, at.index as usize);
        }
        for at in [&mut parts.opened, &mut parts.joined] {
            *at = enrolled_at(&gateway, at.index as usize);
        }
        parts.checkpoints = Checkpoints {
            server: server.checkpoint(&self.scene.signers.server),
            gateway: gateway.checkpoint(&self.scene.signers.gateway),
        };
        parts
    }

    #[track_caller]
    fn noticed(&self, code: &str, said: &str, (part, lie): Lie<'_>) {
        let parts = self.lying(&[(part, lie)]);
        let error = self.verify(&self.signed(parts)).unwrap_err();
        let text = error.to_string();
        assert!(error.code() == code && text.starts_with(said), "{text}");
    }
}

#[test]
fn an_entry_is_the_one_that_its_part_asks_for() {
    let stand = Stand::new();
    let (server, gateway) = (&stand.scene.server, &stand.scene.gateway);
    let registered = enrolled(server, |it| matches!(it, Event::ManifestRegister(_)));
    let decided = enrolled(gateway, |it| matches!(it, Event::Decision(_)));
    stand.refused("wrong_entry", |parts| parts.issued = registered.clone());
    stand.refused("wrong_entry", |parts| parts.rooted = registered.clone());
    stand.refused("wrong_entry", |parts| parts.opened = decided.clone());
    stand.refused("wrong_entry", |parts| parts.joined = decided.clone());
    stand.refused("wrong_entry", |parts| parts.joined = parts.opened.clone());
    // The certificate's entry enrols no token.
    let certificate = enrolled(server, |it| {
        matches!(it, Event::IdentityIssue(issue)
            if issue.credentials[0].key == Digest::of("spki"))
    });
    stand.refused("part_differs", |parts| parts.issued = certificate.clone());
    let change: [fn(&mut Enrolled); 4] = [
        |at| at.index += 1,
        |at| drop(at.path.pop()),
        |at| at.path.push(at.path[0].clone()),
        |at| at.path.swap(0, 1),
    ];
    for change in change {
        stand.refused("not_enrolled", |parts| change(&mut parts.issued));
        stand.refused("not_enrolled", |parts| change(&mut parts.rooted));
        stand.refused("not_enrolled", |parts| change(&mut parts.joined));
    }
    stand.refused("part_malformed", |parts| parts.joined.path[0] = "x".into());
    stand.refused("part_malformed", |parts| parts.joined.entry = "+".into());
    stand.refused("part_malformed", |parts| parts.evidence = "e30".into());
    stand.refused("part_malformed", |parts| parts.consent = "e30".into());
}

#[test]
fn a_log_of_somebody_else_enrols_nothing() {
    let stand = Stand::new();
    // The same entries under keys of somebody else, who calls the log alike.
    let forged = LogSigner::new("example.org/log/server");
    stand.refused("checkpoint_refused", |parts| {
        parts.checkpoints.server = stand.scene.server.checkpoint(&forged);
    });
    let foreign = LogSigner::new("example.org/log/gateway/other");
    stand.refused("checkpoint_refused", |parts| {
        parts.checkpoints.gateway = stand.scene.gateway.checkpoint(&foreign);
    });
    // The gateway's entries do not stand in the server's log, whoever signs it.
    let mut log = Log::new("example.org/log/gateway");
    log.entries = stand.scene.server.entries.clone();
    let signed = log.checkpoint(&stand.scene.signers.gateway);
    stand.refused("wrong_entry", |parts| {
        parts.checkpoints.gateway = signed;
        parts.opened = parts.issued.clone();
    });
}

#[test]
fn each_thing_that_an_entry_says_is_held_against_the_others() {
    let stand = Stand::new();
    stand.verify(&stand.signed(stand.lying(&[]))).unwrap();
    let other = || Label::or_digest("other");
    let differs = |part: &str, said: &str, lie: &dyn Fn(&mut Entry)| {
        stand.noticed("part_differs", said, (part, lie));
    };
    let issued = |lie: fn(&mut IdentityIssue)| {
        differs("issued", "issued: ", &|entry| lie(issue(entry)));
    };
    issued(|it| it.credentials[0].id = id(99));
    issued(|it| it.credentials[0].key = Digest::of("k"));
    issued(|it| it.credentials[0].form = CredentialForm::WitSvid);
    issued(|it| it.credentials[0].expires = at(2_999));
    issued(|it| it.credentials.clear());
    issued(|it| it.instance = Label::or_digest("other"));
    issued(|it| it.manifest = Digest::of("m"));
    issued(|it| it.attestation_level = Label::or_digest("tpm"));
    issued(|it| it.isolation = Isolation::Unisolated);
    issued(|it| it.evidence = Digest::of("e"));
    issued(|it| it.executable = Digest::of("x"));
    issued(|it| it.launch = None);
    let rooted = |lie: fn(&mut DelegationRoot)| {
        differs("rooted", "rooted: ", &|entry| lie(root(entry)));
    };
    rooted(|it| it.delegation = Label::or_digest("other"));
    rooted(|it| it.link = Digest::of("l"));
    rooted(|it| it.session = id(99));
    rooted(|it| it.delegate = Label::or_digest("other"));
    rooted(|it| it.mission = Digest::of("m"));
    rooted(|it| it.assurance = Assurance::Asserted);
    rooted(|it| it.consent = Digest::of("c"));
    rooted(|it| it.epoch = 2);
    rooted(|it| it.expires = at(1));
    rooted(|it| it.standing = Some(id(8)));
    rooted(|it| it.standing_use = Some(1));
    let joined = |lie: fn(&mut SessionJoin)| {
        differs("joined", "joined: ", &|entry| lie(join(entry)));
    };
    joined(|it| it.session = id(99));
    joined(|it| it.instance = Label::or_digest("other"));
    joined(|it| it.agent_key = Digest::of("k"));
    joined(|it| it.manifest = Digest::of("m"));
    joined(|it| it.attestation_level = Label::or_digest("tpm"));
    joined(|it| it.isolation = Isolation::Unisolated);
    let chain = "chain: ";
    differs("joined", chain, &|entry| {
        join(entry).chain = Digest::of("c")
    });
    differs("opened", chain, &|entry| open(entry).root = other());
    differs("opened", chain, &|entry| {
        open(entry).mission = Digest::of("m")
    });
    differs("opened", "joined: ", &|entry| open(entry).session = id(99));
    differs("opened", "opened: ", &|entry| open(entry).gateway = other());
    differs("opened", "opened: ", &|entry| open(entry).expires = now());
    differs("opened", "rooted: ", &|entry| {
        open(entry).assurance = Assurance::Standing;
    });
    let policy: &dyn Fn(&mut Entry) = &|entry| open(entry).policy = Digest::of("p");
    stand.noticed("policy_mismatch", "another policy", ("opened", policy));
    for part in ["issued", "rooted", "opened", "joined"] {
        let said = format!("{part}: ");
        let late: &dyn Fn(&mut Entry) = &|entry| entry.at = now().plus_seconds(6);
        stand.noticed("wrong_entry", &said, (part, late));
        // The name of the other log, and of one that nobody knows.
        let logs = match part {
            "issued" | "rooted" => ["example.org/log/gateway", "example.org/log/none"],
            _ => ["example.org/log/server", "example.org/log/none"],
        };
        for log in logs {
            let moved: &dyn Fn(&mut Entry) = &|entry| entry.origin = log.parse().unwrap();
            stand.noticed("wrong_entry", &said, (part, moved));
        }
    }
}

#[test]
fn an_instance_joins_after_the_session_was_opened() {
    let stand = Stand::new();
    let mut gateway = stand.scene.gateway.clone();
    let (opened, joined) = (stand.parts.opened.index, stand.parts.joined.index);
    gateway.entries.swap(opened as usize, joined as usize);
    let why = stand.refused("part_differs", |parts| {
        parts.opened = enrolled_at(&gateway, joined as usize);
        parts.joined = enrolled_at(&gateway, opened as usize);
        parts.checkpoints.gateway = gateway.checkpoint(&stand.scene.signers.gateway);
    });
    assert!(why.starts_with("joined: "), "{why}");
}

/// What somebody presents who has every key of the deployment, an agent's manifest, what a person once
/// signed, and a key of their own.
fn minted(stand: &Stand, standing: Option<StandingUse>) -> Result<Shown, PresentationRefusal> {
    let (scene, own) = (&stand.scene, key(Algorithm::Ed25519));
    let signers = &scene.signers;
    let name = format!(
        "spiffe://example.org/agent/clerk/instance/{}",
        id::<InstanceKind>(5)
    );
    let name: SpiffeId = name.parse().unwrap();
    let manifest =
        Compact::parse(&stand.parts.credential).unwrap().claims["manifest_digest"].clone();
    let claims = WitClaims {
        sub: name.clone(),
        cnf: Confirmation { jwk: *own.public() },
        iat: at(0).as_seconds(),
        exp: at(3_000).as_seconds(),
        jti: id(55),
        manifest_digest: serde_json::from_value(manifest).unwrap(),
        attestation_level: AttestationLevel::Launch,
        isolation: chancery_identity::Isolation::Isolated,
    };
    let input = claims.signing_input(signers.tokens.public()).unwrap();
    let token = jws::assemble(&input, &signers.tokens.sign(input.as_bytes()).unwrap());
    let consent = Digest::of(base64url::decode(&stand.parts.consent).unwrap());
    let mut opened = Entry::parse(&base64url::decode(&stand.parts.opened.entry).unwrap()).unwrap();
    let grants = ["pay", "list"].map(|tool| {
        let grant = json!({"type": "mcp_tool", "server": "bank", "tool": tool, "limits": {}});
        Grantable::parse(&grant).unwrap()
    });
    let draft = RootDraft {
        issuer: AUTHORITY.to_owned(),
        terms: Terms {
            subject: name.clone(),
            key: *own.public(),
            audience: Some(vec![GATEWAY.to_owned()]),
            issued_at: at(0),
            not_before: at(0),
            expires_at: at(2_000),
            jti: "root-9".to_owned(),
            max_depth: 3,
            entries: grants.to_vec(),
            forbid: Vec::new(),
            ask: Vec::new(),
        },
        sid: open(&mut opened).session.to_string(),
        epoch: 1,
        person: PersonDraft {
            issuer: AUTHORITY.to_owned(),
            subject: person().to_string(),
            acr: "passkey".to_owned(),
            authenticated_at: at(0),
            standing,
        },
        mission: open(&mut opened).mission,
    };
    let authority = &signers.authority;
    let sign = |bytes: &[u8]| authority.sign(bytes);
    let link = draft
        .sign(consent, authority.public(), &AwsLc, &sign)
        .unwrap();
    let (label, thumbprint) = (Label::or_digest(name.as_str()), own.public().thumbprint());
    let mut parts = stand.lying(&[
        ("issued", &|entry| {
            issue(entry).instance = label.clone();
            issue(entry).credentials[0].id = id(55);
            issue(entry).credentials[0].key = thumbprint;
        }),
        ("rooted", &|entry| {
            root(entry).delegation = Label::or_digest("root-9");
            root(entry).link = Digest::of(&link);
            root(entry).delegate = label.clone();
            root(entry).standing_use = standing.map(|used| used.number);
        }),
        ("opened", &|entry| {
            open(entry).root = Label::or_digest("root-9")
        }),
        ("joined", &|entry| {
            join(entry).instance = label.clone();
            join(entry).agent_key = thumbprint;
            join(entry).chain = Digest::of(&link);
        }),
    ]);
    parts.credential = token;
    parts.chain = vec![link.clone()];
    stand
        .verify(&stand.signed_by(&own, parts))
        .map(|it| Shown::from(&it))
}

#[test]
fn every_key_of_the_deployment_does_not_make_a_persons_consent() {
    let refused = minted(&Stand::new(), None).unwrap_err();
    assert_eq!(refused.code(), "consent_refused", "{refused}");
}

/// A standing consent names an agent and no key: said where it is shown, and in the documentation.
#[test]
fn with_a_standing_consent_it_is_said_that_it_binds_no_key() {
    let stand = Stand::of(Scene::with_standing(|_| {}, |_, _| {}));
    let again = StandingUse {
        consent: id(8),
        number: 2,
    };
    let shown = minted(&stand, Some(again)).unwrap();
    assert!(
        shown
            .notes
            .iter()
            .any(|note| note.starts_with("standing: ")),
        "{shown}"
    );
}
