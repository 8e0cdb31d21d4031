//! The page on a local address.

use std::io;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::command::{Error, command};
use crate::wasm::{BUILDS, Build};
use crate::{Result, setup};

/// What to expect where nothing has been built yet.
const FIRST_RUN: &str = "\
First run, which takes minutes:
  1. npm packages and Rust's WebAssembly target
  2. the engine that every browser runs; then the page is served
  3. two faster engines, while you use the page";

/// How the page is served.
#[derive(clap::Args)]
pub struct Serve {
    /// Where to listen on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Leave the browser closed.
    #[arg(long)]
    no_open: bool,
    /// Send COOP and COEP, which make the page cross-origin isolated; it does not need them.
    #[arg(long)]
    isolated: bool,
}

impl Serve {
    /// Makes the build that every browser runs, prints the address, makes the faster builds, and serves until stopped.
    pub fn run(self) -> Result {
        let [first, faster @ ..] = &BUILDS;
        if !first.is_published() {
            eprintln!("{FIRST_RUN}");
        }
        setup::wasm()?;
        faster.iter().try_for_each(Build::withdraw)?;
        first.run()?;
        let server = Server::start(self.port, self.isolated)?;
        println!("{}", server.address);
        if !self.no_open {
            open(&server.address);
        }
        match faster.iter().try_for_each(Build::run) {
            Ok(()) => eprintln!("Every build is there. Pages opened from now on take the fastest."),
            Err(error) => eprintln!("xtask: {error}; pages take the build named {}", first.name),
        }
        server.wait()
    }
}

/// The repository's files over HTTP, from a thread of its own, for as long as the process lives.
pub struct Server {
    /// Where it listens, with a slash at the end.
    pub address: String,
    port: u16,
    thread: JoinHandle<io::Result<()>>,
}

impl Server {
    /// Listens on 127.0.0.1; port 0 is any free one.
    pub fn start(port: u16, isolated: bool) -> Result<Server> {
        let error = |source| Error::Port { port, source };
        let listener = std::net::TcpListener::bind(("127.0.0.1", port)).map_err(error)?;
        listener.set_nonblocking(true).map_err(error)?;
        let address = format!("http://{}/", listener.local_addr().map_err(error)?);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            runtime.block_on(async {
                axum::serve(tokio::net::TcpListener::from_std(listener)?, router(isolated)).await
            })
        });
        Ok(Server { address, port, thread })
    }

    /// Until it fails.
    fn wait(self) -> Result {
        let stopped = || io::Error::other("the server has stopped");
        let result = self.thread.join().unwrap_or_else(|_| Err(stopped()));
        result.map_err(|source| Error::Port { port: self.port, source })
    }
}

fn router(isolated: bool) -> Router {
    let mut headers = vec![(header::CACHE_CONTROL, "no-cache")];
    if isolated {
        headers.push((HeaderName::from_static("cross-origin-opener-policy"), "same-origin"));
        headers.push((HeaderName::from_static("cross-origin-embedder-policy"), "require-corp"));
    }
    let files = Router::new().fallback_service(ServeDir::new(crate::path(".")));
    headers.into_iter().fold(files, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
    })
}

/// Shows the page in the visitor's browser; without one, the printed address has to do.
fn open(address: &str) {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut open = command(program, &[address]);
    let _ = open.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
}
