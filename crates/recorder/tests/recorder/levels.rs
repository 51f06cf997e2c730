use chancery_api::append::{AppendClient, Level};

use crate::support::{Serving, code, options, run};

#[test]
fn published_is_under_a_visible_checkpoint() {
    run(async {
        let serving = Serving::start().await;
        let mut options = options(serving.owner("a"));
        options.level = Level::Published;
        let client = AppendClient::connect(options).await.unwrap();
        for number in 0..5 {
            let appended = client.append(format!("{number}")).await.unwrap();
            let (_, checkpoint) = serving
                .recorder
                .journal()
                .reader()
                .checkpoint()
                .unwrap()
                .unwrap();
            assert!(appended.covered > appended.index);
            assert!(checkpoint.size >= appended.covered);
            let proof = serving
                .recorder
                .journal()
                .reader()
                .proof_file(appended.index);
            assert!(proof.is_ok());
        }
    });
}

#[test]
fn witnessed_is_promised_by_no_log_without_witnesses() {
    run(async {
        let serving = Serving::start().await;
        let mut options = options(serving.owner("a"));
        options.level = Level::Witnessed;
        let error = AppendClient::connect(options).await.unwrap_err();
        assert_eq!(code(&error), "append_no_witnesses");
    });
}
