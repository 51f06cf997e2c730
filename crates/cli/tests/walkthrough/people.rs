//! The first person: the one-time code is used up by an enrolment and by nothing else.

use super::deployment::Deployment;

#[test]
fn a_one_time_code_survives_what_is_not_an_enrolment() {
    let deployment = Deployment::new();
    let code = deployment.code();
    deployment
        .enrol("0000-0000-0000-0000")
        .refused(1, &["one-time code", "`up` printed", "open still"]);
    assert!(!deployment.place.at("me.authenticator").exists());
    let missing = [
        "trust",
        "enrol",
        "--code",
        &code,
        "--authenticator",
        "no/folder",
    ];
    deployment
        .place
        .chancery(&missing)
        .refused(1, &["no/folder"]);
    deployment.place.write("me.authenticator", "mine");
    deployment
        .enrol(&code)
        .refused(1, &["me.authenticator", "never overwritten"]);
    std::fs::remove_file(deployment.place.at("me.authenticator")).unwrap();
    deployment.enrol(&code).ok();

    std::fs::remove_file(deployment.place.at("me.authenticator")).unwrap();
    deployment.enrol(&code).refused(1, &["was used"]);
    assert!(!deployment.place.at("me.authenticator").exists());
}

#[test]
fn a_one_time_code_survives_a_server_that_is_away() {
    let mut deployment = Deployment::new();
    let code = deployment.code();
    deployment.stop();
    deployment
        .enrol(&code)
        .refused(3, &["server.sock", "is `chancery up` running"]);
    assert!(!deployment.place.at("me.authenticator").exists());

    deployment.start();
    assert_ne!(deployment.code(), code, "a code is printed once");
    deployment.enrol(&code).refused(1, &["one-time code"]);
    deployment.enrol(&deployment.code()).ok();
    deployment.stop();
    deployment.start();
    assert!(deployment.opened.get("enrol_code").is_none());
}
