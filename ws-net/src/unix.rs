//! Unix sockets and their files.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};
use tracing::warn;

/// The file of a socket that was made here. Dropping it removes the file, if it is still the same.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

/// Makes a listening socket with a new file.
///
/// # Errors
/// What the system says, with the file, and what to do when the file exists.
pub(crate) fn bind(path: &Path, backlog: i32) -> io::Result<(UnixListener, SocketFile)> {
    let named = |error: io::Error| {
        let problem = match error.kind() {
            ErrorKind::AddrInUse => who_has(path),
            _ => error.to_string(),
        };
        io::Error::new(error.kind(), format!("cannot listen on {}: {problem}", path.display()))
    };
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path).map_err(named)?).map_err(named)?;
    let metadata = fs::symlink_metadata(path).map_err(named)?;
    let file = SocketFile { path: path.into(), identity: (metadata.dev(), metadata.ino()) };
    socket.listen(backlog).map_err(named)?;
    Ok((socket.into(), file))
}

/// Whether somebody listens there. Does not wait for one who does not accept.
fn ask(path: &Path) -> io::Result<()> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(()),
        connected => connected,
    }
}

/// Why the file is there.
fn who_has(path: &Path) -> String {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    match ask(path) {
        Ok(()) => "another program listens there: stop it, or choose another path".into(),
        Err(error) if is_socket && error.kind() == ErrorKind::ConnectionRefused => {
            "nobody listens there any more, a program left the file behind: remove it".into()
        }
        Err(_) if is_socket => "a socket is there already: choose another path".into(),
        Err(_) => "a file is there that is no socket: choose another path".into(),
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if same && let Err(error) = fs::remove_file(&self.path) {
            let path = self.path.display();
            warn!(target: "ws::server", "the file {path} could not be removed: {error}");
        }
    }
}
