//! Writing to a peer that is gone, in a process that does not ignore SIGPIPE: a library of Rust in
//! a program of another language.
#![cfg(unix)]

use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::os::unix::net::UnixListener;
use std::{env, fs, process};

use ws_net::{Runtime, Transport};

/// With one piece and with several.
async fn writing_to_nobody_is_an_error<R: Runtime>(runtime: R, name: &str) {
    let path = env::temp_dir().join(format!("ws-sigpipe-{}-{name}", process::id()));
    let listener = UnixListener::bind(&path).unwrap();
    let mut stream = runtime.connect_unix(path.clone()).await.unwrap();
    fs::remove_file(&path).unwrap();
    drop(listener.accept().unwrap());
    for pieces in [&[IoSlice::new(b"one")][..], &[IoSlice::new(b"one"), IoSlice::new(b"two")]] {
        let error = poll_fn(|cx| stream.poll_write_vectored(cx, pieces)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    }
}

/// Tokio's vectored writes are its own.
#[test]
fn no_signal_comes() {
    // SAFETY: the default takes no code of ours, and nothing else here depends on the signal.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    ws_smol::block_on(1, writing_to_nobody_is_an_error(ws_smol::Smol, "smol")).unwrap();
    let case = writing_to_nobody_is_an_error(ws_async_std::AsyncStd, "async-std");
    ws_async_std::block_on(1, case).unwrap();
}
