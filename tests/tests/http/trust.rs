//! Whom encryption is agreed on with.

use guardhouse_main::outbox::http::{Http, HttpError, HttpOptions, SendErrorKind};
use guardhouse_tests::sentry::{Authority, Sentry, an_event};

use super::{Client, options, upload};

#[test]
fn an_authority_that_is_given_is_trusted() {
    let authority = Authority::new();
    let sentry = Sentry::start_tls(&authority);
    sentry.expect(an_event().times(2));
    let options = options(&sentry.dsn()).authorities(authority.pem().as_bytes()).unwrap();
    let mut client = Client::new(options);
    assert_eq!(client.status(), 200);
    assert_eq!(client.status(), 200);
    assert_eq!(sentry.connections(), 1);
    sentry.verify();
}

#[test]
fn an_unknown_authority_is_refused_with_a_hint() {
    let sentry = Sentry::start_tls(&Authority::new());
    let other = options(&sentry.dsn()).authorities(Authority::new().pem().as_bytes()).unwrap();
    for options in [options(&sentry.dsn()), other] {
        let error = Client::new(options).send(upload("secret")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Tls);
        assert!(error.to_string().contains("additional authority"), "{error}");
    }
    assert_eq!(sentry.requests().len(), 0);
}

#[test]
fn anybody_is_trusted_only_if_asked_for() {
    let sentry = Sentry::start_tls(&Authority::new());
    let anybody = options(&sentry.dsn()).accept_invalid_certs(true);
    assert_eq!(Client::new(anybody).status(), 200);
    let somebody = options(&sentry.dsn()).accept_invalid_certs(false);
    assert_eq!(Client::new(somebody).failure(), SendErrorKind::Tls);
}

#[test]
fn a_file_of_authorities_is_read_when_it_is_needed() {
    let authority = Authority::new();
    let sentry = Sentry::start_tls(&authority);
    let file = std::env::temp_dir().join(format!("guardhouse-{}-ca.pem", std::process::id()));
    let mut client = Client::new(options(&sentry.dsn()).authorities_file(&file));
    let error = client.send(upload("x")).unwrap_err();
    assert_eq!(error.kind(), SendErrorKind::Tls);
    assert!(error.to_string().contains("ca.pem cannot be read"), "{error}");
    std::fs::write(&file, authority.pem()).unwrap();
    let status = client.send(upload("x")).map(|answer| answer.status);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(status, Ok(200), "an error is not remembered");
}

#[test]
fn what_is_no_certificate_is_refused_at_once() {
    let given = |pem: &str| options("https://public@localhost/42").authorities(pem.as_bytes());
    for pem in ["", "hello", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        let result: Result<HttpOptions, HttpError> = given(pem);
        assert_eq!(result.unwrap_err(), HttpError::Authorities, "{pem}");
    }
    assert!(Http::new(given(&Authority::new().pem()).unwrap()).is_ok());
}

#[test]
fn encryption_with_a_server_that_has_none_fails() {
    let sentry = Sentry::start();
    let mut client = Client::new(options(&sentry.dsn().replace("http:", "https:")));
    let error = client.send(upload("x")).unwrap_err();
    assert!(matches!(error.kind(), SendErrorKind::Tls | SendErrorKind::BrokenOff), "{error}");
}
