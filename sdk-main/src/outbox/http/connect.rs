//! The way to a target: TCP, perhaps a proxy, perhaps encryption, perhaps both twice.

use std::fmt;

use rustls::pki_types::ServerName;

use super::address::Address;
use super::deadline::Deadline;
use super::dial::dial;
use super::error::{SendError, SendErrorKind, Stage};
use super::line::{self, Failure, Line, Stream};
use super::proxy::{Proxies, Proxy};
use super::target::Target;
use super::tls::Tls;

/// Makes a connection over which requests for `target` can be sent.
pub(super) async fn connect(
    target: &Target,
    proxies: &Proxies,
    tls: &mut Tls,
    deadline: &Deadline,
) -> Result<Line, SendError> {
    let address = &target.address;
    let proxy = proxies
        .for_target(target)
        .map_err(|error| SendError::new(SendErrorKind::Proxy, address, error))?;
    let mut stream = match proxy {
        None => Box::new(dial(address, deadline).await?),
        Some(proxy) => by_way_of(proxy, target, tls, deadline).await?,
    };
    if target.secure {
        stream = secure(stream, address, address, tls, deadline).await?;
    }
    Line::open(stream).await.map_err(|failure| error(failure, address))
}

/// Gets to the proxy and, if the target is to be spoken to over TLS, through it.
async fn by_way_of(
    proxy: &Proxy,
    target: &Target,
    tls: &mut Tls,
    deadline: &Deadline,
) -> Result<Box<dyn Stream>, SendError> {
    let reached = async {
        let mut stream: Box<dyn Stream> = Box::new(dial(&proxy.address, deadline).await?);
        if proxy.secure {
            stream = secure(stream, &proxy.address, proxy, tls, deadline).await?;
        }
        if target.secure {
            let tunnel = line::tunnel(stream, proxy, &target.address);
            let tunnel = deadline.hold(Stage::Proxy, proxy, tunnel).await?;
            stream = tunnel.map_err(|failure| error(failure, proxy))?;
        }
        Ok(stream)
    };
    reached.await.map_err(|error: SendError| error.of_proxy(proxy))
}

async fn secure(
    stream: Box<dyn Stream>,
    address: &Address,
    peer: impl fmt::Display + Copy,
    tls: &mut Tls,
    deadline: &Deadline,
) -> Result<Box<dyn Stream>, SendError> {
    let refused = |detail: String| SendError::new(SendErrorKind::Tls, peer, detail);
    let connector = tls.connector().map_err(refused)?;
    let name = ServerName::try_from(address.host.clone())
        .map_err(|error| refused(format!("{:?}: {error}", address.host)))?;
    let stream = deadline.hold(Stage::Tls, peer, connector.connect(name, stream)).await?;
    match stream {
        Ok(stream) => Ok(Box::new(stream)),
        Err(failure) => Err(error(line::tls_failure(&failure), peer)),
    }
}

fn error((kind, detail): Failure, peer: impl fmt::Display) -> SendError {
    SendError::new(kind, peer, detail)
}
