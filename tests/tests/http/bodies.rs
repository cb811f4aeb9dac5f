//! Bodies of all sizes arrive byte for byte.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom};
use std::path::PathBuf;

use guardhouse_main::outbox::http::{SendErrorKind, Upload};
use guardhouse_tests::sentry::Sentry;

use super::{Client, envelope, noise, upload};

/// A file that is removed in the end.
struct Stored(PathBuf);

impl Stored {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("guardhouse-{}-{name}", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }
}

impl Drop for Stored {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

#[test]
fn a_small_body_goes_as_it_is() {
    let sentry = Sentry::start();
    Client::of(&sentry).send(upload("small")).unwrap();
    let request = &sentry.requests()[0];
    assert_eq!(request.header("Content-Encoding"), None);
    assert_eq!(request.body, envelope("small").as_bytes());
}

#[test]
fn a_usual_body_is_compressed_and_its_length_told() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    for text in ["a".repeat(1024), noise(100_000), "b".repeat(1_000_000)] {
        assert_eq!(client.send(upload(&text)).unwrap().status, 200);
        let request = sentry.requests().pop().unwrap();
        assert_eq!(request.header("Content-Encoding"), Some("gzip"));
        let length = request.header("Content-Length").unwrap();
        assert_eq!(length.parse::<usize>().unwrap(), request.body.len());
        assert!(request.body.len() < request.content.len());
        assert!(request.content == envelope(&text).as_bytes(), "byte for byte");
    }
    assert_eq!(sentry.connections(), 1);
}

#[test]
fn a_large_body_is_compressed_on_the_way() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    for text in [noise(2 << 20), "c".repeat(4 << 20)] {
        assert_eq!(client.send(upload(&text)).unwrap().status, 200);
        let request = sentry.requests().pop().unwrap();
        assert_eq!(request.header("Transfer-Encoding"), Some("chunked"));
        assert_eq!(request.header("Content-Length"), None);
        assert!(request.content == envelope(&text).as_bytes(), "byte for byte");
    }
    assert_eq!(sentry.connections(), 1, "the connection is kept");
}

#[test]
fn a_file_goes_between_bytes_from_where_it_stands() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    let report = "{\"type\":\"client_report\"}\n{\"discarded_events\":[]}\n";
    for (name, text) in [("small", "x".to_owned()), ("large", noise(2 << 20))] {
        let whole = envelope(&text);
        let (header, items) = whole.split_once('\n').unwrap();
        let stored = Stored::new(name, &format!("{{\"old\":true}}\n{items}behind"));
        let mut file = stored.open();
        file.seek(SeekFrom::Start(13)).unwrap();
        let upload =
            Upload::new(format!("{header}\n")).then_file(file, items.len() as u64).then(report);
        assert_eq!(upload.len(), (whole.len() + report.len()) as u64);
        assert_eq!(client.send(upload).unwrap().status, 200);
        let request = sentry.requests().pop().unwrap();
        assert!(request.content == format!("{whole}{report}").as_bytes(), "byte for byte");
    }
    sentry.verify();
}

#[test]
fn a_file_that_is_too_short_is_our_fault_and_sends_no_envelope() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    for (name, text) in [("short", "x".to_owned()), ("short-large", noise(2 << 20))] {
        let whole = envelope(&text);
        let stored = Stored::new(name, &whole);
        let upload = Upload::default().then_file(stored.open(), whole.len() as u64 + 1);
        let error = client.send(upload).unwrap_err();
        assert_eq!(error.kind(), SendErrorKind::Body);
        assert!(!error.is_network());
        assert!(error.to_string().contains("the file ends 1 bytes before it should"), "{error}");
    }
    assert_eq!(client.status(), 200, "it goes on");
    assert_eq!(sentry.requests().len(), 1, "nothing arrived in part");
}

#[test]
fn nothing_is_sent_as_nothing() {
    let sentry = Sentry::start();
    let mut client = Client::of(&sentry);
    assert_eq!(client.send(Upload::default()).unwrap().status, 400, "it is no envelope");
    assert_eq!(sentry.requests()[0].body, b"");
}
