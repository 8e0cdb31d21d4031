//! Serves the page on a local address.

use std::io;
use std::thread::JoinHandle;

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::services::ServeDir;
use tower_http::set_header::SetResponseHeaderLayer;

use crate::command::{Error, command};
use crate::wasm::{BUILDS, Build};
use crate::{Result, package, setup};

/// Printed if nothing has been built yet.
const FIRST_RUN: &str = "\
The first run takes some minutes:
  1. install npm packages and Rust's WebAssembly target
  2. build the engine that every browser runs, then print the address
  3. build two faster engines and the decoders of rare picture formats, while you use the page";

/// How the page is served.
#[derive(clap::Args)]
pub struct Serve {
    /// Where to listen on 127.0.0.1.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Do not open a browser.
    #[arg(long)]
    no_open: bool,
    /// Send COOP and COEP, which make the page cross-origin isolated. The page works without them.
    #[arg(long)]
    isolated: bool,
}

impl Serve {
    /// Compiles the build that every browser runs, prints the address, compiles the faster builds, and serves until
    /// stopped.
    pub fn run(self) -> Result {
        let [first, faster @ ..] = &BUILDS;
        if !first.is_published() {
            eprintln!("{FIRST_RUN}");
        }
        setup::wasm()?;
        faster.iter().try_for_each(Build::withdraw)?;
        first.run()?;
        let site = crate::path(".");
        package::list_offline_files(&site)?;
        let server = Server::start(self.port, self.isolated)?;
        println!("{}", server.address);
        if !self.no_open {
            open(&server.address);
        }
        let made = faster.iter().try_for_each(Build::run);
        match made.and_then(|()| package::list_offline_files(&site)) {
            Ok(()) => eprintln!("All builds are ready. Pages opened from now on use the fastest one."),
            Err(error) => eprintln!("xtask: {error}; pages use the build {}", first.name),
        }
        server.wait()
    }
}

/// Serves the repository's files over HTTP from its own thread, until the process ends.
pub struct Server {
    /// Its URL, with a slash at the end.
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

    /// Returns only if serving fails.
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
    // The code that the page copies for a site is tried on pages of other origins.
    let any = HeaderValue::from_static("*");
    let shared = SetResponseHeaderLayer::overriding(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
    let www = Router::new().fallback_service(ServeDir::new(crate::path("www"))).layer(shared);
    let files = Router::new().nest("/www", www).fallback_service(ServeDir::new(crate::path(".")));
    headers.into_iter().fold(files, |router, (name, value)| {
        router.layer(SetResponseHeaderLayer::overriding(name, HeaderValue::from_static(value)))
    })
}

/// Opens the page in a browser. It is no error if there is none: the address has been printed.
fn open(address: &str) {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ => "xdg-open",
    };
    let mut open = command(program, &[address]);
    let _ = open.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).spawn();
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::Server;

    /// The head of the answer, in lower case, and the body.
    fn get(server: &Server, path: &str) -> (String, String) {
        let host = server.address.trim_start_matches("http://").trim_end_matches('/');
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_lowercase(), body.to_owned())
    }

    #[test]
    fn pages_of_other_origins_may_load_the_element_but_read_nothing_else() {
        let server = Server::start(0, false).unwrap();
        let (head, body) = get(&server, "/www/siglip-classifier.js");
        assert!(
            head.starts_with("http/1.1 200") && head.contains("access-control-allow-origin: *"),
            "{head}"
        );
        assert!(head.contains("cache-control: no-cache"), "{head}");
        assert!(body.contains("customElements"), "{body}");
        let (head, _) = get(&server, "/www/none.js");
        assert!(head.starts_with("http/1.1 404"), "{head}");
        for path in ["/", "/Cargo.toml"] {
            let (head, _) = get(&server, path);
            assert!(head.starts_with("http/1.1 200") && !head.contains("access-control"), "{path}: {head}");
        }
    }
}
