//! A breadcrumb: what the application's thread pays for leaving one.
//!
//! The peer is `sentry::add_breadcrumb` with a client of its own. Ours is measured twice: our own
//! function, and the same call of `sentry` while we listen.

use std::sync::Arc;
use std::time::Duration;

use guardhouse_main::{Options, app, sentry};
use sentry::{Breadcrumb, Client, ClientOptions, Hub};

use super::{Silent, scratch};
use crate::measure::{Measure, Settings, Subject};

/// Measures the row.
pub(crate) fn run(settings: &Settings) -> Vec<Measure> {
    let directory = scratch("breadcrumb");
    let options = Options::new(app!())
        .dsn("http://key@127.0.0.1:9/1")
        .cache_dir(&directory)
        .shutdown_timeout(Duration::ZERO);
    let guard = guardhouse_main::init(options).expect("the directory is ours");
    let listened_to = Hub::current();
    let mut options = ClientOptions::new().dsn("http://key@127.0.0.1:9/1");
    options.transport = Some(Arc::new(Arc::new(Silent)));
    let plain = Hub::new(Some(Arc::new(Client::from(options))), Arc::default());

    let ours = settings.time(
        Subject {
            name: "breadcrumb: guardhouse_main::add_breadcrumb",
            peer: "sentry::add_breadcrumb",
            goal: 1.25,
        },
        || guardhouse_main::add_breadcrumb(breadcrumb()),
        || plain.add_breadcrumb(breadcrumb()),
    );
    // There is no goal for it: keeping a copy for the other processes is more work than not doing it.
    let through_sentry = settings.time(
        Subject {
            name: "breadcrumb: sentry::add_breadcrumb beside us",
            peer: "the same without us",
            goal: f64::INFINITY,
        },
        || listened_to.add_breadcrumb(breadcrumb()),
        || plain.add_breadcrumb(breadcrumb()),
    );
    drop(guard);
    let _ = std::fs::remove_dir_all(directory);
    vec![ours, through_sentry]
}

fn breadcrumb() -> Breadcrumb {
    Breadcrumb {
        category: Some("ui.click".to_owned()),
        message: Some("the button that saves the document was pressed".to_owned()),
        data: [("document".to_owned(), "sheet-7".into())].into(),
        ..Breadcrumb::default()
    }
}
