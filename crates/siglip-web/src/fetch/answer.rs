//! What an answer's headers say, and whether they can be believed.

/// The part of a file that a `206` holds: `bytes 100-199/200`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentRange {
    start: u64,
    end: u64,
    /// None where the server does not say.
    total: Option<u64>,
}

impl ContentRange {
    /// Reads the header's value; RFC 9110, section 14.4.
    pub fn parse(value: &str) -> Option<ContentRange> {
        let (range, total) = value.trim().strip_prefix("bytes ")?.split_once('/')?;
        let (start, end) = range.split_once('-')?;
        let total = match total {
            "*" => None,
            figure => Some(figure.parse().ok()?),
        };
        let range = ContentRange { start: start.parse().ok()?, end: end.parse().ok()?, total };
        (range.start <= range.end && total.is_none_or(|total| range.end < total)).then_some(range)
    }

    /// Whether it starts at `position` of a file of `total` bytes.
    pub fn fits(&self, position: u64, total: u64) -> bool {
        self.start == position && self.end < total && self.total.is_none_or(|said| said == total)
    }
}

/// An ETag, if it is a strong one: equal ones mean equal bytes, weak ones do not.
pub fn strong_etag(value: &str) -> Option<&str> {
    let tag = value.trim();
    (tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')).then_some(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_believed_where_it_fits() {
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
    fn only_strong_etags_mean_equal_bytes() {
        assert_eq!(strong_etag(" \"abc\""), Some("\"abc\""));
        for weak in ["W/\"abc\"", "abc", "\"", "\"\"", ""] {
            assert_eq!(strong_etag(weak), None);
        }
    }
}
