//! One request, one answer, and the server's own words when it refuses.

use super::access::Account;
use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use protocols::json::{Message, decode, encode};
use protocols::native::Problem;
use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;
use ureq::http::{Method, Request, Response, StatusCode};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, SendBody};

/// The most bytes of a page of an export.
const PAGE: u64 = 64 << 20;
/// How long the server may take to connect and to begin to answer. Publishing a large
/// package means that it reads every byte of it first.
const CONNECT: Duration = Duration::from_secs(10);
const ANSWER: Duration = Duration::from_secs(30 * 60);

/// A server that can be asked.
pub(crate) struct Client {
    agent: Agent,
    account: Account,
}

impl Client {
    /// A client of the account's server that believes its authorities only.
    pub(crate) fn new(account: Account) -> anyhow::Result<Self> {
        let roots = authorities(&account.ca)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::new_with_certs(&roots))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let config = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .tls_config(tls)
            .build();
        Ok(Self { agent: config.new_agent(), account })
    }

    /// Asks for `path`.
    pub(crate) fn get<A: Message>(&self, path: &str) -> anyhow::Result<A> {
        answer(self.send(Method::GET, path, SendBody::none(), None)?)
    }

    /// Sends `message` to `path`.
    pub(crate) fn post<M: Message, A: Message>(
        &self,
        path: &str,
        message: &M,
    ) -> anyhow::Result<A> {
        let bytes = encode(message)?;
        let body = SendBody::from_owned_reader(std::io::Cursor::new(bytes));
        answer(self.send(Method::POST, path, body, None)?)
    }

    /// Sends the bytes of a small document to `path`; there is no answer but that it
    /// was taken.
    pub(crate) fn put(&self, path: &str, bytes: Vec<u8>) -> anyhow::Result<()> {
        let body = SendBody::from_owned_reader(std::io::Cursor::new(bytes));
        let response = self.send(Method::PUT, path, body, None)?;
        if response.status().is_success() { Ok(()) } else { Err(refused(response)) }
    }

    /// Sends a file to `path`, showing how far it is. The server is asked first
    /// whether it wants it at all.
    pub(crate) fn upload<A: Message>(
        &self,
        path: &str,
        file: File,
        bar: &ProgressBar,
    ) -> anyhow::Result<A> {
        let body = SendBody::from_owned_reader(bar.wrap_read(file));
        answer(self.send(Method::POST, path, body, Some("100-continue"))?)
    }

    /// Asks for a page of `path` that is no message: its bytes, and what to ask behind.
    pub(crate) fn page(&self, path: &str) -> anyhow::Result<(Vec<u8>, Option<String>)> {
        let mut response = self.send(Method::GET, path, SendBody::none(), None)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response));
        }
        let next = response.headers().get("refit-next").and_then(|value| value.to_str().ok());
        let next = next.map(str::to_owned);
        let bytes = response.body_mut().with_config().limit(PAGE).read_to_vec();
        Ok((bytes.context("the server's page broke off")?, next))
    }

    /// Copies what `path` serves to `out`. Returns how many bytes.
    pub(crate) fn download(&self, path: &str, out: &mut impl Write) -> anyhow::Result<u64> {
        let mut response = self.send(Method::GET, path, SendBody::none(), None)?;
        if response.status() != StatusCode::OK {
            return Err(refused(response));
        }
        let mut body = response.body_mut().as_reader();
        std::io::copy(&mut body, out).with_context(|| format!("cannot copy `{path}`"))
    }

    fn send(
        &self,
        method: Method,
        path: &str,
        body: SendBody<'_>,
        expect: Option<&str>,
    ) -> anyhow::Result<Response<Body>> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.account.server))
            .header("authorization", format!("Bearer {}", self.account.token))
            .header("content-type", "application/json");
        let request = expect.into_iter().fold(request, |r, value| r.header("expect", value));
        let sent = self.agent.run(request.body(body)?);
        sent.with_context(|| format!("cannot reach {}", self.account.server))
    }
}

fn authorities(pem: &str) -> anyhow::Result<Vec<Certificate<'static>>> {
    let items: Result<Vec<_>, _> = parse_pem(pem.as_bytes()).collect();
    let items = items.context("the authority's certificate cannot be read")?;
    let certificates = items.into_iter().filter_map(|item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    });
    let roots: Vec<_> = certificates.collect();
    if roots.is_empty() {
        bail!("the file of the authority holds no certificate");
    }
    Ok(roots)
}

fn answer<A: Message>(mut response: Response<Body>) -> anyhow::Result<A> {
    if response.status() != StatusCode::OK {
        return Err(refused(response));
    }
    let limit = u64::try_from(A::LIMIT).unwrap_or(u64::MAX);
    let bytes = response.body_mut().with_config().limit(limit).read_to_vec();
    let bytes = bytes.with_context(|| format!("the server's {} broke off", A::KIND))?;
    Ok(decode(&bytes)?)
}

/// The server's own words, or its status where it has none.
fn refused(mut response: Response<Body>) -> anyhow::Error {
    let status = response.status();
    let limit = u64::try_from(Problem::LIMIT).unwrap_or(u64::MAX);
    let bytes = response.body_mut().with_config().limit(limit).read_to_vec().unwrap_or_default();
    match decode::<Problem>(&bytes) {
        Ok(problem) if problem.what_to_do.is_empty() => anyhow::anyhow!("{}", problem.error),
        Ok(problem) => anyhow::anyhow!("{}\nWhat to do: {}", problem.error, problem.what_to_do),
        Err(_) => anyhow::anyhow!("the server answered with status {status}"),
    }
}

/// A text in a query (RFC 3986 2.1).
pub(super) fn escaped(text: &str) -> String {
    let escape = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_crosses_the_wire_whole() {
        assert_eq!(escaped("a+b==ä;c"), "a%2Bb%3D%3D%C3%A4%3Bc");
    }
}
