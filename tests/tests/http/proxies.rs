//! Through proxies.

use guardhouse_main::outbox::http::{HttpOptions, Proxies, SendErrorKind, Stage};
use guardhouse_tests::sentry::{Authority, Proxy, ProxyOptions, Sentry, an_event};

use super::{Client, options, short, upload};

/// `user:pass word`, as a URL holds it and as a header does.
const CREDENTIALS: (&str, &str) = ("user:pass%20word@", "Basic dXNlcjpwYXNzIHdvcmQ=");
/// Hosts that only the proxy finds.
const HTTP: &str = "http://public@sentry.test:8080/42";
const HTTPS: &str = "https://public@sentry.test/42";

fn by_way_of(dsn: &str, url: &str) -> HttpOptions {
    options(dsn).proxies(Proxies::none().http(url).unwrap().https(url).unwrap())
}

fn demanding() -> ProxyOptions {
    ProxyOptions { authorization: Some(CREDENTIALS.1.to_owned()), ..ProxyOptions::default() }
}

#[test]
fn what_is_not_encrypted_is_passed_on_by_the_proxy() {
    let sentry = Sentry::start();
    sentry.expect(an_event().with_message("hello").times(2));
    let proxy = Proxy::start(sentry.address(), ProxyOptions::default(), None);
    let mut client = Client::new(by_way_of(HTTP, &proxy.url("")));
    assert_eq!(client.status(), 200);
    assert_eq!(client.status(), 200);
    let asked = proxy.asked();
    assert_eq!(asked[0].method, "POST");
    assert_eq!(asked[0].target, "http://sentry.test:8080/api/42/envelope/");
    assert_eq!(asked[0].header("Host"), Some("sentry.test:8080"));
    assert_eq!(asked[0].header("Proxy-Authorization"), None);
    sentry.verify();
}

#[test]
fn what_is_encrypted_goes_through_the_proxy() {
    let authority = Authority::new();
    let sentry = Sentry::start_tls(&authority);
    sentry.expect(an_event().times(2));
    let proxy = Proxy::start(sentry.address(), demanding(), None);
    let options = by_way_of(HTTPS, &proxy.url(CREDENTIALS.0));
    let mut client = Client::new(options.authorities(authority.pem().as_bytes()).unwrap());
    assert_eq!(client.status(), 200);
    assert_eq!(client.status(), 200);
    let asked = proxy.asked();
    assert_eq!(asked.len(), 1, "one connection for both");
    assert_eq!((&*asked[0].method, &*asked[0].target), ("CONNECT", "sentry.test:443"));
    sentry.verify();
    assert_eq!(
        sentry.requests()[0].header("Proxy-Authorization"),
        None,
        "it is for the proxy only"
    );
}

#[test]
fn a_proxy_gets_the_credentials_that_it_demands() {
    let sentry = Sentry::start();
    let proxy = Proxy::start(sentry.address(), demanding(), None);
    assert_eq!(Client::new(by_way_of(HTTP, &proxy.url(CREDENTIALS.0))).status(), 200);
    for dsn in [HTTP, HTTPS] {
        for url in [proxy.url(""), proxy.url("user:wrong@")] {
            let mut client = Client::new(by_way_of(dsn, &url));
            let error = client.send(upload("x")).unwrap_err();
            assert_eq!(error.kind(), SendErrorKind::Proxy, "{error}");
            let shown = format!("{error} {error:?} {:?}", client.http);
            assert!(shown.contains("407") && !shown.contains("wrong"), "{shown}");
        }
    }
    assert_eq!(sentry.requests().len(), 1);
}

#[test]
fn a_proxy_can_be_spoken_to_over_tls() {
    let authority = Authority::new();
    let pem = authority.pem();
    for (sentry, dsn) in [(Sentry::start(), HTTP), (Sentry::start_tls(&authority), HTTPS)] {
        let proxy = Proxy::start(sentry.address(), demanding(), Some(&authority));
        let options = by_way_of(dsn, &proxy.url(CREDENTIALS.0));
        let mut client = Client::new(options.authorities(pem.as_bytes()).unwrap());
        assert_eq!(client.status(), 200, "{dsn}");
        assert_eq!(proxy.asked().len(), 1);
        sentry.verify();

        let mut client = Client::new(by_way_of(dsn, &proxy.url(CREDENTIALS.0)));
        assert_eq!(client.failure(), SendErrorKind::Proxy, "its authority is not known");
    }
}

#[test]
fn a_proxy_that_refuses_is_a_failure_and_no_answer() {
    let sentry = Sentry::start();
    for status in [403, 502] {
        let refusal = ProxyOptions { refusal: Some(status), ..ProxyOptions::default() };
        let proxy = Proxy::start(sentry.address(), refusal, None);
        let error = Client::new(by_way_of(HTTPS, &proxy.url(""))).send(upload("x")).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Proxy);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
    }
    assert_eq!(sentry.connections(), 0);
}

#[test]
fn a_proxy_that_is_not_there_or_hangs_is_a_failure() {
    let sentry = Sentry::start();
    let hanging = ProxyOptions { hangs: true, ..ProxyOptions::default() };
    let proxy = Proxy::start(sentry.address(), hanging, None);
    let url = proxy.url("");
    let mut client = Client::new(by_way_of(HTTPS, &url).timeouts(short()));
    assert_eq!(client.failure(), SendErrorKind::Timeout(Stage::Proxy));
    let mut client = Client::new(by_way_of(HTTP, &url).timeouts(short()));
    assert_eq!(client.failure(), SendErrorKind::Timeout(Stage::Answer));
    drop(proxy);
    for dsn in [HTTP, HTTPS] {
        assert_eq!(Client::new(by_way_of(dsn, &url)).failure(), SendErrorKind::Proxy);
    }
}

#[test]
fn the_environment_names_the_proxy_and_who_needs_none() {
    let sentry = Sentry::start();
    let proxy = Proxy::start(sentry.address(), ProxyOptions::default(), None);
    let url = proxy.url("");
    let set = |no_proxy: &'static str| {
        let url = url.clone();
        Proxies::from_variables(move |name| match name {
            "HTTP_PROXY" => Some(url.clone()),
            "NO_PROXY" => Some(no_proxy.to_owned()),
            _ => None,
        })
    };
    // This computer is reached directly in any case.
    assert_eq!(Client::new(options(&sentry.dsn()).proxies(set(""))).status(), 200);
    assert_eq!(proxy.asked().len(), 0);
    assert_eq!(Client::new(options(HTTP).proxies(set("other.test"))).status(), 200);
    assert_eq!(proxy.asked().len(), 1);
    let mut client = Client::new(options(HTTP).proxies(set("other.test, .test:8080")));
    assert_eq!(client.failure(), SendErrorKind::Resolve, "nobody else knows the name");
    assert_eq!(proxy.asked().len(), 1);
}

#[test]
fn an_exception_is_reached_directly() {
    let sentry = Sentry::start();
    let proxy = Proxy::start(sentry.address(), ProxyOptions::default(), None);
    let proxies = Proxies::none().http(&proxy.url("")).unwrap();
    let all = Client::new(options(&sentry.dsn()).proxies(proxies.clone())).status();
    assert_eq!((all, proxy.asked().len()), (200, 1));
    let excepted = proxies.except("127.0.0.0/8");
    let direct = Client::new(options(&sentry.dsn()).proxies(excepted)).status();
    assert_eq!((direct, proxy.asked().len()), (200, 1));
}
