//! What has to hold and what is aimed at, as ratios to the peers that are measured along.
//!
//! Pingora is not measured here. Where all were, side by side and with 512 bytes, it took these
//! microseconds of CPU a request, and from that come the gates: HTTP/1.1 52.8 (nginx 32.5, HAProxy
//! 29.4), HTTPS 89.2 (43.1, 44.7), HTTP/2 78.5 (45.4, 30.8).

use std::fmt;

use super::Scenario;
use super::peer::Peer;
use crate::load::Shot;

/// A number of a shot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    PerSecond,
    Cpu,
    P99,
}

/// A limit of a ratio to a peer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bar {
    /// Whether it must hold; others are only aimed at.
    pub(crate) is_gate: bool,
    pub(crate) metric: Metric,
    pub(crate) limit: f64,
    why: &'static str,
}

impl Metric {
    pub(crate) const ALL: [Self; 3] = [Self::PerSecond, Self::Cpu, Self::P99];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::PerSecond => "requests per second",
            Self::Cpu => "CPU per request",
            Self::P99 => "p99",
        }
    }

    pub(crate) const fn of(self, shot: &Shot) -> f64 {
        match self {
            Self::PerSecond => shot.per_second,
            Self::Cpu => shot.cpu_us,
            Self::P99 => shot.p99_us,
        }
    }
}

/// The bars of a scenario against a peer.
pub(crate) fn bars(scenario: Scenario, peer: Peer) -> Vec<Bar> {
    use Metric::{Cpu, P99, PerSecond};

    match (scenario, peer) {
        (Scenario::Http, Peer::Haproxy) => vec![
            gate(1.44, "0.8 of Pingora"),
            target(PerSecond, 1.1, ""),
            target(P99, 1.0, ""),
        ],
        (Scenario::Http, Peer::Nginx) => vec![
            gate(1.30, "0.8 of Pingora"),
            target(PerSecond, 1.21, "1.10 of HAProxy"),
            target(P99, 1.0, ""),
        ],
        (Scenario::Https, Peer::Haproxy) => vec![gate(1.40, "0.7 of Pingora")],
        (Scenario::Https, Peer::Nginx) => {
            vec![gate(1.45, "0.7 of Pingora"), target(Cpu, 1.0, "")]
        }
        (Scenario::H2, Peer::Haproxy) => {
            vec![gate(1.78, "0.7 of Pingora"), target(Cpu, 1.0, "")]
        }
        (Scenario::H2, Peer::Nginx) => vec![gate(1.21, "0.7 of Pingora")],
        (Scenario::Handshakes, Peer::Haproxy) => vec![target(Cpu, 0.9, "")],
        _ => Vec::new(),
    }
}

const fn gate(limit: f64, why: &'static str) -> Bar {
    Bar {
        is_gate: true,
        metric: Metric::Cpu,
        limit,
        why,
    }
}

const fn target(metric: Metric, limit: f64, why: &'static str) -> Bar {
    Bar {
        is_gate: false,
        metric,
        limit,
        why,
    }
}

impl Bar {
    fn is_met(&self, ratio: f64) -> bool {
        match self.metric {
            Metric::PerSecond => ratio >= self.limit,
            Metric::Cpu | Metric::P99 => ratio <= self.limit,
        }
    }

    /// The bar, and whether `ratio` holds it.
    pub(crate) fn judge(&self, ratio: f64) -> String {
        let least_or_most = if self.metric == Metric::PerSecond {
            ">="
        } else {
            "<="
        };
        let what = format!("{} {least_or_most} {:.2}", self.metric.name(), self.limit);
        let why = match self.why {
            "" => String::new(),
            why => format!(" ({why})"),
        };
        verdict(self.is_gate, format!("{what}{why}"), self.is_met(ratio))
    }
}

/// A line about a gate or a target.
pub(crate) fn verdict(is_gate: bool, what: impl fmt::Display, is_met: bool) -> String {
    let kind = if is_gate { "gate:  " } else { "target:" };
    let outcome = if is_met { "holds" } else { "is missed" };
    format!("{kind} {what} {outcome}")
}
