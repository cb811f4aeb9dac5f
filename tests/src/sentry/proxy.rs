//! An HTTP proxy that leads everything to one server.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::ServerConfig;

use super::authority::{Authority, NAMES};
use super::message::{Head, Requests, find};
use super::server::Server;
use super::stream::Stream;

/// A proxy on this computer. Whatever host it is asked for, it connects to one server, so that
/// tests can use names that do not exist.
pub struct Proxy {
    server: Server,
    asked: Arc<Mutex<Vec<Asked>>>,
    is_secure: bool,
}

/// What a proxy was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method: `CONNECT`, or that of a request to be passed on.
    pub method: String,
    /// The address, or the URL.
    pub target: String,
    /// The headers.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// How a proxy is to be.
#[derive(Clone, Debug, Default)]
pub struct ProxyOptions {
    /// The `Proxy-Authorization` that it demands.
    pub authorization: Option<String>,
    /// The status that it refuses everything with.
    pub refusal: Option<u16>,
    /// Whether it takes connections and says nothing.
    pub hangs: bool,
}

impl Proxy {
    /// Starts a proxy that leads to `to`; one that is spoken to over TLS, if there is an authority.
    pub fn start(to: SocketAddr, options: ProxyOptions, authority: Option<&Authority>) -> Self {
        let tls = authority.map(Authority::server);
        let is_secure = tls.is_some();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let serving = Serving { to, options, tls, asked: asked.clone() };
        let server = Server::start(move |tcp, _| {
            // A client that goes away is no failure of the proxy.
            let _ = serving.serve(tcp);
        });
        Self { server, asked, is_secure }
    }

    /// Its URL, with what is given put before the host, as `user:password@`.
    pub fn url(&self, credentials: &str) -> String {
        let (scheme, host) = if self.is_secure { ("https", NAMES[0]) } else { ("http", NAMES[1]) };
        format!("{scheme}://{credentials}{host}:{}", self.server.address().port())
    }

    /// What it was asked.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

struct Serving {
    to: SocketAddr,
    options: ProxyOptions,
    tls: Option<Arc<ServerConfig>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Serving {
    fn serve(&self, tcp: TcpStream) -> io::Result<()> {
        let mut stream = Stream::new(tcp, self.tls.as_ref())?;
        if self.options.hangs {
            stream.hang();
            return Ok(());
        }
        let mut back = stream.try_clone()?;
        let mut requests = Requests::new(stream);
        let Head { method, target, headers } = requests.head()?;
        let asked = Asked { method, target, headers };
        self.asked.lock().unwrap().push(asked.clone());

        let given = asked.header("proxy-authorization");
        let demanded = self.options.authorization.as_deref();
        let refusal =
            self.options.refusal.or((demanded.is_some() && given != demanded).then_some(407));
        if let Some(status) = refusal {
            // The rest of the request is read, so that the answer is not lost to a reset.
            write!(back, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
            back.finish();
            io::copy(&mut requests.stream, &mut io::sink())?;
            return Ok(());
        }
        let mut upstream = TcpStream::connect(self.to)?;
        if asked.method == "CONNECT" {
            back.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        } else {
            upstream.write_all(passed_on(&asked).as_bytes())?;
        }
        let mut answers = upstream.try_clone()?;
        let answering = std::thread::spawn(move || {
            let _ = io::copy(&mut answers, &mut back);
            back.finish();
        });
        let _ = io::copy(&mut requests.stream, &mut upstream);
        let _ = upstream.shutdown(std::net::Shutdown::Write);
        let _ = answering.join();
        Ok(())
    }
}

/// The head of a request as the server gets it. Each has a connection of its own.
fn passed_on(asked: &Asked) -> String {
    let path = asked.target.splitn(4, '/').nth(3).unwrap_or("");
    let mut head = format!("{} /{path} HTTP/1.1\r\nConnection: close\r\n", asked.method);
    for (name, value) in &asked.headers {
        let is_for_proxy = ["proxy-authorization", "connection"]
            .iter()
            .any(|header| name.eq_ignore_ascii_case(header));
        if !is_for_proxy {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head + "\r\n"
}
