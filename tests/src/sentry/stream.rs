//! A connection that two threads can use at once, encrypted or not.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex};

use rustls::{ServerConfig, ServerConnection};

/// The server's side of a connection.
pub(super) struct Stream {
    tcp: TcpStream,
    tls: Option<Arc<Mutex<ServerConnection>>>,
}

impl Stream {
    pub(super) fn new(tcp: TcpStream, tls: Option<&Arc<ServerConfig>>) -> io::Result<Self> {
        let connection = tls.map(|config| ServerConnection::new(config.clone()));
        let connection = connection.transpose().map_err(io::Error::other)?;
        Ok(Self { tcp, tls: connection.map(|connection| Arc::new(Mutex::new(connection))) })
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { tcp: self.tcp.try_clone()?, tls: self.tls.clone() })
    }

    pub(super) fn tcp(&self) -> &TcpStream {
        &self.tcp
    }

    /// Lets the system take little that was not read yet.
    pub(super) fn take_little_at_once(&self) {
        #[cfg(unix)]
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size(&self.tcp, 64 * 1024);
    }

    /// Says that nothing more will be written.
    pub(super) fn finish(&mut self) {
        if let Some(tls) = &self.tls {
            let mut tls = tls.lock().unwrap();
            tls.send_close_notify();
            let _ = flush(&mut tls, &mut self.tcp);
        }
        let _ = self.tcp.shutdown(Shutdown::Write);
    }

    /// Ends the connection so that the other side sees it reset.
    pub(super) fn reset(&self) {
        #[cfg(unix)]
        let _ = rustix::net::sockopt::set_socket_linger(
            &self.tcp,
            Some(std::time::Duration::from_secs(0)),
        );
        #[cfg(not(unix))]
        let _ = self.tcp.shutdown(Shutdown::Both);
    }

    /// Does nothing, reads nothing, until the other side or this server closes the connection.
    pub(super) fn hang(&mut self) {
        #[cfg(target_os = "linux")]
        {
            use rustix::event::{PollFd, PollFlags, poll};
            let mut fds = [PollFd::new(&self.tcp, PollFlags::RDHUP)];
            while poll(&mut fds, None) == Err(rustix::io::Errno::INTR) {}
        }
        // Elsewhere nobody tells of the end who does not read up to it.
        #[cfg(not(target_os = "linux"))]
        let _ = io::copy(&mut self.tcp, &mut io::sink());
    }
}

fn flush(tls: &mut ServerConnection, tcp: &mut TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(tcp)?;
    }
    Ok(())
}

impl Read for Stream {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.tcp.read(out) };
        let mut raw = [0; 16 * 1024];
        loop {
            match tls.lock().unwrap().reader().read(out) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return read,
            }
            // Nobody else is kept waiting while this waits.
            let read = self.tcp.read(&mut raw)?;
            let mut tls = tls.lock().unwrap();
            let mut new = &raw[..read];
            loop {
                tls.read_tls(&mut new)?;
                let state = tls.process_new_packets().map_err(io::Error::other);
                flush(&mut tls, &mut self.tcp)?;
                state?;
                if new.is_empty() {
                    break;
                }
            }
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &self.tls else { return self.tcp.write(bytes) };
        let mut tls = tls.lock().unwrap();
        let written = tls.writer().write(bytes)?;
        flush(&mut tls, &mut self.tcp)?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
