//! What visitors of a host meet before its app, where the host's owner wants it so.
//!
//! A host without rules pays nothing for them. What has to be counted across workers (requests of an
//! address, requests that run) is shared by them and survives new tables; only hosts that have such a
//! limit wait for it. Guarantee: the rules apply in the order of [`Rules`]'s fields.

use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::header::AUTHORIZATION;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Uri};
use tose_api::domain_settings::Hsts;
use tose_model::route::{PathRule, Rules};

/// After how many questions addresses that are back at their full allowance are forgotten.
const FORGET_EVERY: u32 = 4096;

/// The rules of a host as workers use them.
pub(crate) struct Ruled {
    rules: Rules,
    gate: Option<Arc<Gate>>,
    hsts: Option<HeaderValue>,
}

/// What a rule answers instead of the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ruling {
    /// The visitor's address is none of those that may come.
    Forbidden,
    /// No name and password, or not the right ones.
    Unauthorized,
    /// Too many requests of one address.
    TooFast,
    /// Too many requests at the same time.
    TooMany,
    /// The body is too large.
    TooLarge,
    /// The app is being worked on.
    Maintenance,
}

/// Counts what a host has limits for.
pub(crate) struct Gate {
    requests_per_second: Option<u32>,
    limiter: Option<RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>>,
    asked: AtomicU32,
    running: AtomicU32,
}

/// One of the requests that may run at the same time; it counts for as long as this lives.
pub(crate) struct Permit(Arc<Gate>);

impl Ruled {
    /// Puts rules into use; `gate` is the one that the host had.
    pub(crate) fn new(rules: Rules, gate: Option<Arc<Gate>>) -> Self {
        let has_limit = rules.requests_per_second.is_some() || rules.max_requests.is_some();
        let rate = rules.requests_per_second;
        let gate = has_limit.then(|| {
            gate.filter(|gate| gate.requests_per_second == rate)
                .unwrap_or_else(|| Arc::new(Gate::new(rate)))
        });
        Self {
            hsts: rules.hsts.map(hsts_value),
            rules,
            gate,
        }
    }

    /// The rules.
    pub(crate) fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What counts its limits.
    pub(crate) fn gate(&self) -> Option<&Arc<Gate>> {
        self.gate.as_ref()
    }

    /// What browsers are told to remember of HTTPS.
    pub(crate) fn hsts(&self) -> Option<&HeaderValue> {
        self.hsts.as_ref()
    }

    /// Whether the address may come in at all.
    pub(crate) fn check_address(&self, address: IpAddr) -> Result<(), Ruling> {
        let ranges = &self.rules.allowed_ips;
        if ranges.is_empty() || ranges.iter().any(|range| range.contains(address)) {
            Ok(())
        } else {
            Err(Ruling::Forbidden)
        }
    }

    /// Whether a request may go on to the app; the permit, where requests are counted, is to be held
    /// until its answer has ended.
    pub(crate) fn admit(
        &self,
        address: IpAddr,
        headers: &HeaderMap,
    ) -> Result<Option<Permit>, Ruling> {
        if let Some(gate) = &self.gate {
            gate.check_rate(address)?;
        }
        self.check_user(headers)?;
        if self.rules.maintenance {
            return Err(Ruling::Maintenance);
        }
        match (&self.gate, self.rules.max_requests) {
            (Some(gate), Some(most)) => Gate::enter(gate, most).map(Some),
            _ => Ok(None),
        }
    }

    fn check_user(&self, headers: &HeaderMap) -> Result<(), Ruling> {
        if self.rules.users.is_empty() {
            return Ok(());
        }
        let given = credentials(headers).ok_or(Ruling::Unauthorized)?;
        let (name, password) = split_once(&given, b':').ok_or(Ruling::Unauthorized)?;
        let user = self
            .rules
            .users
            .iter()
            .find(|user| user.name.as_bytes() == name);
        match user {
            Some(user) if user.accepts(password) => Ok(()),
            _ => Err(Ruling::Unauthorized),
        }
    }

    /// The rule of the longest prefix that a path begins with.
    pub(crate) fn path_rule(&self, path: &str) -> Option<&PathRule> {
        let fits = |rule: &&PathRule| {
            path.strip_prefix(rule.prefix.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let rules = self.rules.paths.iter().filter(fits);
        rules.max_by_key(|rule| rule.prefix.len())
    }
}

/// Cuts a prefix off the target's path.
pub(crate) fn strip_prefix(head: &mut Parts, prefix: &str) {
    let rest = head.uri.path_and_query().map_or("", PathAndQuery::as_str);
    let rest = rest.strip_prefix(prefix).unwrap_or(rest);
    let target = if rest.starts_with('/') {
        PathAndQuery::try_from(rest)
    } else {
        PathAndQuery::try_from(format!("/{rest}"))
    };
    // Part of a target is one: it began with a slash, or does now.
    if let Ok(target) = target {
        head.uri = Uri::from(target);
    }
}

fn hsts_value(hsts: Hsts) -> HeaderValue {
    let seconds = u64::from(hsts.max_age_days) * 24 * 3600;
    let below = if hsts.include_subdomains {
        "; includeSubDomains"
    } else {
        ""
    };
    let preload = if hsts.preload { "; preload" } else { "" };
    let text = format!("max-age={seconds}{below}{preload}");
    HeaderValue::try_from(text).expect("numbers and words make a header value")
}

/// What stands behind `Basic` in the one `Authorization` header (RFC 7617).
fn credentials(headers: &HeaderMap) -> Option<Vec<u8>> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let (scheme, rest) = split_once(value.as_bytes(), b' ')?;
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return None;
    }
    STANDARD.decode(rest.trim_ascii()).ok()
}

fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&byte| byte == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

impl Gate {
    fn new(requests_per_second: Option<u32>) -> Self {
        let rate = requests_per_second.and_then(NonZeroU32::new);
        let limiter = rate.map(|rate| {
            let burst = rate.saturating_mul(NonZeroU32::MIN.saturating_add(1));
            RateLimiter::hashmap(Quota::per_second(rate).allow_burst(burst))
        });
        Self {
            requests_per_second,
            limiter,
            asked: AtomicU32::new(0),
            running: AtomicU32::new(0),
        }
    }

    fn check_rate(&self, address: IpAddr) -> Result<(), Ruling> {
        let Some(limiter) = &self.limiter else {
            return Ok(());
        };
        if self.asked.fetch_add(1, Ordering::Relaxed) % FORGET_EVERY == FORGET_EVERY - 1 {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        let key = payer(address);
        limiter.check_key(&key).map_err(|_| Ruling::TooFast)
    }

    fn enter(gate: &Arc<Self>, most: u32) -> Result<Permit, Ruling> {
        let before = gate.running.fetch_add(1, Ordering::Relaxed);
        // Dropped where it is not given away, so the count is right again.
        let permit = Permit(Arc::clone(gate));
        if before < most {
            Ok(permit)
        } else {
            Err(Ruling::TooMany)
        }
    }
}

/// Whose allowance an address uses: everybody with IPv6 has a whole network of them.
fn payer(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) >> 64 << 64;
            IpAddr::V6(Ipv6Addr::from(network))
        }
        address @ IpAddr::V4(_) => address,
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use tose_model::route::Credential;
    use tose_model::secret::SecretString;

    const VISITOR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 9));

    fn ruled(rules: Rules) -> Ruled {
        Ruled::new(rules, None)
    }

    fn admit(ruled: &Ruled, headers: &[(&'static str, &str)]) -> Result<(), Ruling> {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
            .collect();
        ruled.admit(VISITOR, &headers).map(drop)
    }

    #[test]
    fn only_a_user_with_the_right_password_comes_in() {
        let password = SecretString::from("a:b c".to_owned());
        let users = vec![Credential::new("ann".to_owned(), &password, [1; 16])];
        let ruled = ruled(Rules {
            users,
            ..Rules::default()
        });
        let check = |text: &str, expected: Result<(), Ruling>| {
            let value = format!("bAsIc {}", STANDARD.encode(text));
            assert_eq!(
                admit(&ruled, &[("authorization", &value)]),
                expected,
                "{text}"
            );
        };
        check("ann:a:b c", Ok(()));
        for text in ["ann:a:b", "ann:", "ann", "bob:a:b c", "", ":a:b c"] {
            check(text, Err(Ruling::Unauthorized));
        }
        assert_eq!(admit(&ruled, &[]), Err(Ruling::Unauthorized));
        let bearer = [("authorization", "Bearer YW5uOmE6YiBj")];
        assert_eq!(admit(&ruled, &bearer), Err(Ruling::Unauthorized));
    }

    #[test]
    fn the_longest_prefix_that_ends_at_a_segment_decides() {
        let rule = |prefix: &str| PathRule {
            prefix: prefix.to_owned(),
            host: "api.example.com".parse().unwrap(),
            project_id: "01890000-0000-7000-8000-000000000001".parse().unwrap(),
            strip_prefix: true,
        };
        let ruled = ruled(Rules {
            paths: vec![rule("/api"), rule("/api/v2")],
            ..Rules::default()
        });
        let check = |path: &str, expected: Option<&str>| {
            let found = ruled.path_rule(path).map(|rule| rule.prefix.as_str());
            assert_eq!(found, expected, "{path}");
        };
        check("/api", Some("/api"));
        check("/api/", Some("/api"));
        check("/api/v2/x", Some("/api/v2"));
        check("/api/v22", Some("/api"));
        check("/apis", None);
        check("/", None);
    }

    #[test]
    fn a_prefix_is_cut_off_with_the_query_kept() {
        let check = |target: &str, expected: &str| {
            let request = http::Request::builder().uri(target).body(()).unwrap();
            let mut head = request.into_parts().0;
            strip_prefix(&mut head, "/api");
            assert_eq!(head.uri, expected);
        };
        check("/api/x?y=1", "/x?y=1");
        check("/api?y=1", "/?y=1");
        check("/api", "/");
        check("/api/", "/");
    }

    #[test]
    fn so_many_requests_run_at_the_same_time() {
        let ruled = ruled(Rules {
            max_requests: Some(2),
            ..Rules::default()
        });
        let enter = || ruled.admit(VISITOR, &HeaderMap::new());
        let (first, second) = (enter().unwrap(), enter().unwrap());
        assert_eq!(enter().map(drop), Err(Ruling::TooMany));
        drop(first);
        assert!(enter().is_ok());
        drop(second);
    }

    #[test]
    fn an_address_has_its_own_allowance_and_a_network_of_ipv6_is_one_address() {
        let ruled = ruled(Rules {
            requests_per_second: Some(1),
            ..Rules::default()
        });
        let ask = |address: &str| {
            let address = address.parse().unwrap();
            ruled.admit(address, &HeaderMap::new()).map(drop)
        };
        assert_eq!((ask("203.0.113.9"), ask("203.0.113.9")), (Ok(()), Ok(())));
        assert_eq!(ask("203.0.113.9"), Err(Ruling::TooFast));
        assert_eq!(ask("::ffff:203.0.113.9"), Err(Ruling::TooFast));
        assert_eq!(ask("203.0.113.10"), Ok(()));
        assert_eq!((ask("2001:db8::1"), ask("2001:db8::2")), (Ok(()), Ok(())));
        assert_eq!(ask("2001:db8::3"), Err(Ruling::TooFast));

        // A new table with the same rate forgets nothing.
        let gate = ruled.gate().cloned();
        let again = Ruled::new(ruled.rules().clone(), gate);
        let refused = again.admit(VISITOR, &HeaderMap::new()).map(drop);
        assert_eq!(refused, Err(Ruling::TooFast));
    }
}
