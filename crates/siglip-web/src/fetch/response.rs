//! A response's headers, and what they say about the file.

use web_sys::AbortController;

/// A response whose head has arrived.
pub struct Response {
    /// Status, headers and the stream of the body.
    pub head: web_sys::Response,
    /// Aborts the request.
    pub controller: AbortController,
}

impl Response {
    /// A header, if it is there and the server lets this page see it.
    pub fn header(&self, name: &str) -> Option<String> {
        self.head.headers().get(name).ok().flatten()
    }
}

/// What the server says about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The ETag, if it is a strong one.
    pub etag: Option<String>,
    /// Last-Modified, as the server wrote it.
    pub last_modified: Option<String>,
    /// The sha256, if the server sends it.
    pub sha256: Option<String>,
}

impl Identity {
    /// What the headers of a response say.
    pub fn of(response: &Response, url: &str) -> Identity {
        let etag = response.header("etag").and_then(|value| strong_etag(&value).map(String::from));
        // A hub's ETag of a large file is the file's sha256. After a redirect, the ETag is that of the storage behind.
        let from_hub = url.contains("/resolve/") && !response.head.redirected();
        let own = etag.as_deref().filter(|_| from_hub);
        let linked = response.header("x-linked-etag");
        let sha256 = linked.as_deref().or(own).and_then(crate::integrity::parse);
        Identity { sha256, last_modified: response.header("last-modified"), etag }
    }
}

/// The range of a file that a `206` response holds: `bytes 100-199/200`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    start: u64,
    end: u64,
    /// The file's length; `None` if the server does not say.
    total: Option<u64>,
}

impl ContentRange {
    /// Parses the header's value (RFC 9110, section 14.4).
    pub fn parse(value: &str) -> Option<ContentRange> {
        let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let total = match total {
            "*" => None,
            number => Some(number.parse().ok()?),
        };
        let range = ContentRange { start: start.parse().ok()?, end: end.parse().ok()?, total };
        (range.start <= range.end && total.is_none_or(|total| range.end < total)).then_some(range)
    }

    /// Whether the range starts at `position` of a file of `total` bytes.
    pub fn fits(&self, position: u64, total: u64) -> bool {
        self.start == position && self.end < total && self.total.is_none_or(|stated| stated == total)
    }
}

/// The ETag, if it is a strong one. Equal strong ETags mean equal bytes; equal weak ones do not.
fn strong_etag(value: &str) -> Option<&str> {
    let tag = value.trim();
    (tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_must_continue_the_file() {
        let fits = |value: &str| ContentRange::parse(value).is_some_and(|range| range.fits(100, 200));
        for good in ["bytes 100-199/200", " bytes 100-199/*", "bytes 100-100/200"] {
            assert!(fits(good), "{good}");
        }
        for bad in [
            "bytes 99-199/200",
            "bytes 101-199/200",
            "bytes 100-200/201",
            "bytes 100-200/200",
            "bytes 100-99/200",
            "bytes 100-199/199",
            "bytes */200",
            "bytes 100-/200",
            "bytes -100/200",
            "items 100-199/200",
            "bytes 100-199",
            "bytes 100-18446744073709551616/200",
            "",
        ] {
            assert!(!fits(bad), "{bad}");
        }
    }

    #[test]
    fn weak_etags_are_ignored() {
        assert_eq!(strong_etag(" \"abc\""), Some("\"abc\""));
        for weak in ["W/\"abc\"", "abc", "\"", "\"\"", ""] {
            assert_eq!(strong_etag(weak), None);
        }
    }
}
